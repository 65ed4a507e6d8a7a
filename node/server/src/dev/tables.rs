//! The tables of `cairn dev`: what the one node holds is what there is.

use super::{
    asking::{asked, came_to_be},
    indexes,
    records::{Records, TableRecord},
    tending::FILLING_INTERVAL,
};
use crate::{environment, node::Node};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use cairn_api::{Catalog, NewTable, TableUpdate, TableView, TagUpdate, Tags, arn::TableArn, errors};
use cairn_model::{
    ErrorKind, ServiceError,
    descriptor::{KeyRange, PartitionDescriptor},
    ids::{PartitionId, TableId},
    node::{Order, OrderOutcome, ReplicaReport, ReplicaState},
    table::{TableDefinition, TableStatus},
    table_class::TableClassHistory,
    throughput::ThroughputHistory,
};
use cairn_replication::restore::Restored;
use std::{
    collections::{BTreeMap, HashMap, HashSet, hash_map::Entry},
    sync::Arc,
    time::Duration,
};
use tokio::sync::Mutex;

/// The one account of `cairn dev`.
pub(super) const ACCOUNT: &str = "local";
/// The one zone.
pub(super) const ZONE: &str = "local";
/// How long an order is pursued.
const ORDER_DEADLINE: Duration = Duration::from_secs(10);
pub(super) const ORDER_PAUSE: Duration = Duration::from_millis(5);
/// How long a request waits for the partition to lead itself, which takes a moment after a start.
pub(super) const LEADER_DEADLINE: Duration = Duration::from_secs(5);
/// How often item counts are taken over.
const REFRESH_INTERVAL: Duration = Duration::from_secs(1);

/// Catalog and partitions of one node.
#[derive(Debug)]
pub(super) struct LocalTables {
    pub(super) node: Arc<Node>,
    region: String,
    pub(super) records: Records,
    pub(super) current: ArcSwap<Tables>,
    /// One change of the catalog at a time.
    changes: Mutex<()>,
    /// Tables that go or come while requests go on.
    passing: parking_lot::Mutex<HashMap<TableId, Passing>>,
    /// Indexes that were made with an empty table, as long as they don't say so themselves.
    pub(super) made_empty: parking_lot::Mutex<HashSet<TableId>>,
}

/// What a table is on its way to.
#[derive(Debug)]
enum Passing {
    /// Its data is being restored or imported.
    In(Box<TableDefinition>),
    /// Its last backup is being made.
    Out,
}

#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) by_name: BTreeMap<String, Arc<TableView>>,
    partitions: HashMap<TableId, (PartitionId, u64)>,
}

impl LocalTables {
    pub(super) fn new(node: Arc<Node>, region: String, records: Records) -> Arc<Self> {
        let tables = Arc::new(Self {
            node,
            region,
            records,
            current: ArcSwap::default(),
            changes: Mutex::default(),
            passing: parking_lot::Mutex::default(),
            made_empty: parking_lot::Mutex::default(),
        });
        tables.refresh();
        let weak = Arc::downgrade(&tables);
        tokio::spawn(async move {
            loop {
                let Some(tables) = weak.upgrade() else { return };
                // Not while a change is under way: it takes over what it changed itself.
                if let Ok(_alone) = tables.changes.try_lock() {
                    tables.refresh();
                    tables.tend_indexes().await;
                }
                let interval = if tables.fills() { FILLING_INTERVAL } else { REFRESH_INTERVAL };
                drop(tables);
                tokio::time::sleep(interval).await;
            }
        });
        tables
    }

    pub(super) fn refresh(&self) {
        let mut tables = Tables::default();
        let replicas = self.node.host().reports();
        let mut hidden: HashMap<TableId, Vec<&ReplicaReport>> = HashMap::new();
        let mut made_empty = self.made_empty.lock();
        for replica in &*replicas {
            let id = replica.definition.table_id;
            tables.partitions.insert(id, (replica.descriptor.partition_id, replica.descriptor.epoch));
            if let Some(of) = &replica.definition.index_of {
                hidden.entry(of.table_id).or_default().push(replica);
                if indexes::is_filled(replica) {
                    made_empty.remove(&id);
                }
            }
        }
        for replica in replicas.iter().filter(|replica| replica.definition.index_of.is_none()) {
            let mut view = self.view(replica.definition.clone(), replica.item_count, replica.size_bytes);
            let hidden = hidden.get(&view.definition.table_id).map_or(&[][..], Vec::as_slice);
            view.global_indexes = indexes::views(&view.definition, &view.arn, hidden, &made_empty);
            tables.by_name.insert(view.definition.table_name.clone(), Arc::new(view));
        }
        drop(made_empty);
        for (table_id, passing) in &*self.passing.lock() {
            match passing {
                Passing::In(definition) => {
                    let view = tables.by_name.entry(definition.table_name.clone());
                    let view = view.or_insert_with(|| {
                        let mut view = self.view(TableDefinition::clone(definition), 0, 0);
                        view.global_indexes = indexes::views(&view.definition, &view.arn, &[], &HashSet::new());
                        Arc::new(view)
                    });
                    if view.definition.table_id == *table_id {
                        indexes::passing(Arc::make_mut(view), TableStatus::Creating);
                    }
                }
                Passing::Out => {
                    let view = tables.by_name.values_mut().find(|view| view.definition.table_id == *table_id);
                    if let Some(view) = view {
                        indexes::passing(Arc::make_mut(view), TableStatus::Deleting);
                    }
                }
            }
        }
        self.current.store(Arc::new(tables));
    }

    fn view(&self, definition: TableDefinition, item_count: u64, size_bytes: u64) -> TableView {
        let arn = TableArn { region: &self.region, account: ACCOUNT, table_name: &definition.table_name }.to_string();
        let status = TableStatus::Active;
        TableView { definition, status, is_warming: false, item_count, size_bytes, arn, global_indexes: Vec::new() }
    }

    /// The one partition of a table.
    pub(super) fn partition_of(&self, table: &TableView) -> Result<PartitionId, ServiceError> {
        let partition = self.partition(table.definition.table_id);
        partition.map(|(id, _)| id).ok_or_else(|| errors::table_not_found(&table.definition.table_name))
    }

    /// Takes a name for a table whose data is being restored: it is CREATING until [`Self::end_passing`].
    pub(super) async fn begin_restore(&self, definition: TableDefinition) -> Result<Arc<TableView>, ServiceError> {
        self.begin_passing(definition, errors::restore_target_taken).await
    }

    /// Takes a name for a table that is filled with what is imported: it is CREATING until [`Self::end_passing`].
    pub(super) async fn begin_import(&self, definition: TableDefinition) -> Result<Arc<TableView>, ServiceError> {
        self.begin_passing(definition, |taken| errors::table_exists(&taken.definition.table_name)).await
    }

    async fn begin_passing(
        &self,
        definition: TableDefinition,
        refusal: impl Fn(&TableView) -> ServiceError + Send,
    ) -> Result<Arc<TableView>, ServiceError> {
        let _alone = self.changes.lock().await;
        let name = definition.table_name.clone();
        if let Some(taken) = self.table(ACCOUNT, &name) {
            return Err(refusal(&taken));
        }
        self.passing.lock().insert(definition.table_id, Passing::In(Box::new(definition)));
        self.refresh();
        self.existing(&name)
    }

    /// The table is DELETING from now on, and was not before.
    pub(super) async fn begin_delete(&self, name: &str) -> Result<Arc<TableView>, ServiceError> {
        let _alone = self.changes.lock().await;
        let table_id = self.existing(name)?.definition.table_id;
        match self.passing.lock().entry(table_id) {
            Entry::Vacant(entry) => {
                entry.insert(Passing::Out);
            }
            Entry::Occupied(entry) if matches!(entry.get(), Passing::Out) => {
                return Err(errors::table_being_deleted(name));
            }
            Entry::Occupied(_) => return Err(errors::table_in_use(name)),
        }
        self.refresh();
        self.existing(name)
    }

    /// The table is there, or gone, as the node has it.
    pub(super) async fn end_passing(&self, table_id: TableId) {
        let _alone = self.changes.lock().await;
        self.passing.lock().remove(&table_id);
        self.refresh();
    }

    /// Drops what the node has of a table, but for what can be read of its streams, whatever there is under its name by now.
    pub(super) async fn drop_table(&self, table_id: TableId) -> Result<(), ServiceError> {
        if let Some((partition_id, _)) = self.partition(table_id) {
            let deleted_at_ms = Some(environment::wall_ms());
            self.order(Order::DropPartition { partition_id, table_id, deleted_at_ms }).await?;
        }
        self.tend_indexes().await;
        self.forget(table_id).await;
        Ok(())
    }

    /// Whether the node has data of the table.
    pub(super) fn has(&self, table_id: TableId) -> bool {
        self.partition(table_id).is_some()
    }

    /// Makes restored or imported data a table's.
    pub(super) async fn adopt(&self, restored: Restored, mut definition: TableDefinition) -> anyhow::Result<()> {
        indexes::locate(&mut definition, self.node.id());
        let descriptor = self.first_descriptor(definition.table_id, restored.range().clone());
        let partition_id = descriptor.partition_id;
        match self.node.host().adopt(restored, descriptor, definition.clone()).await {
            OrderOutcome::Done => self.leads(partition_id).await?,
            other => anyhow::bail!("the node did not take the data: {other:?}"),
        }
        if !definition.global_indexes.is_empty() {
            let alone = self.changes.lock().await;
            self.tend_indexes().await;
            drop(alone);
            self.filled(&definition).await;
        }
        Ok(())
    }

    async fn make(&self, mut definition: TableDefinition) -> Result<(), ServiceError> {
        indexes::locate(&mut definition, self.node.id());
        let descriptor = self.first_descriptor(definition.table_id, KeyRange::default());
        let partition_id = descriptor.partition_id;
        self.made_empty.lock().extend(definition.global_indexes.iter().map(|index| index.index_id));
        self.order(Order::Bootstrap { descriptor, definition }).await?;
        self.leads(partition_id).await?;
        self.refresh();
        self.tend_indexes().await;
        Ok(())
    }

    fn first_descriptor(&self, table_id: TableId, range: KeyRange) -> PartitionDescriptor {
        let partition_id = PartitionId(uuid::Uuid::new_v4().into_bytes());
        PartitionDescriptor::first(partition_id, table_id, range, vec![indexes::first_member(self.node.id())])
    }

    async fn keep(&self, table_id: TableId, record: TableRecord) -> Result<(), ServiceError> {
        self.records.put(table_id, record).await.map_err(|error| {
            ServiceError::new(ErrorKind::InternalServerError, format!("failed to write the table's record: {error}"))
        })
    }

    /// Of the table and of its indexes. What it was, too: a process that ended before it noted that is made up for here.
    async fn note_throughput(
        &self,
        before: &TableDefinition,
        after: &TableDefinition,
        now_ms: u64,
    ) -> Result<(), ServiceError> {
        let of_index = |definition: &TableDefinition, id: TableId| {
            let index = definition.global_indexes.iter().find(|index| index.index_id == id);
            index.and_then(|index| index.provisioned_throughput)
        };
        let ids = after.global_indexes.iter().map(|index| index.index_id);
        let of_indexes = ids.map(|id| (id, [of_index(before, id), of_index(after, id)]));
        let of_table = (after.table_id, [before.provisioned_throughput, after.provisioned_throughput]);
        for (id, units) in of_indexes.chain([of_table]) {
            let mut record = self.records.of(id);
            for units in units {
                record.throughput.note_mode(units, after.creation_time_ms, now_ms);
                record.throughput.note(units, now_ms);
            }
            self.keep(id, record).await?;
        }
        Ok(())
    }

    /// What it was, too: a process that ended before it noted that is made up for here.
    async fn note_class(
        &self,
        before: &TableDefinition,
        after: &TableDefinition,
        now_ms: u64,
    ) -> Result<(), ServiceError> {
        let [class, changed] = [before, after].map(|definition| definition.table_class.unwrap_or_default());
        if class == changed {
            return Ok(());
        }
        let mut record = self.records.of(after.table_id);
        record.table_class.note(class, now_ms);
        record.table_class.note(changed, now_ms);
        self.keep(after.table_id, record).await
    }

    fn existing(&self, name: &str) -> Result<Arc<TableView>, ServiceError> {
        self.table(ACCOUNT, name).ok_or_else(|| errors::table_not_found(name))
    }

    pub(super) fn partition(&self, table: TableId) -> Option<(PartitionId, u64)> {
        self.current.load().partitions.get(&table).copied()
    }

    pub(super) async fn order(&self, order: Order) -> Result<(), ServiceError> {
        let failed = |message: String| ServiceError::new(ErrorKind::InternalServerError, message);
        let done = asked(ORDER_DEADLINE, ORDER_PAUSE, || async {
            match self.node.host().order(order.clone()).await {
                OrderOutcome::Done => Some(Ok(())),
                OrderOutcome::Refused { message } => Some(Err(failed(message))),
                OrderOutcome::InProgress { .. } | OrderOutcome::NotLeader { .. } => None,
            }
        });
        let late = || Err(failed(format!("the node did not carry out the change within {ORDER_DEADLINE:?}")));
        done.await.unwrap_or_else(late)
    }

    /// Waits a while until the partitions of indexes lead themselves, as they do in the moment after a start: before that nobody knows
    /// whether an index has all that it had.
    pub(super) async fn indexes_lead(&self) {
        let lead = || {
            let reports = self.node.host().reports();
            let mut of_indexes = reports.iter().filter(|report| report.definition.index_of.is_some());
            of_indexes.all(|report| report.state == ReplicaState::Leader)
        };
        if !came_to_be(LEADER_DEADLINE, ORDER_PAUSE, lead).await {
            tracing::warn!("an index did not start: it is shown as CREATING until it does");
        }
        self.refresh();
    }

    async fn leads(&self, partition: PartitionId) -> Result<(), ServiceError> {
        let leads = || {
            let replicas = self.node.host().replicas();
            replicas.iter().any(|r| r.descriptor.partition_id == partition && r.state == ReplicaState::Leader)
        };
        if came_to_be(LEADER_DEADLINE, ORDER_PAUSE, leads).await {
            return Ok(());
        }
        Err(ServiceError::new(ErrorKind::InternalServerError, "the table's partition did not start"))
    }
}

#[async_trait]
impl Catalog for LocalTables {
    fn table(&self, account: &str, name: &str) -> Option<Arc<TableView>> {
        if account != ACCOUNT {
            return None;
        }
        self.current.load().by_name.get(name).cloned()
    }

    fn list_tables(&self, account: &str) -> Vec<String> {
        if account != ACCOUNT {
            return Vec::new();
        }
        self.current.load().by_name.keys().cloned().collect()
    }

    async fn create_table(&self, _account: &str, mut table: NewTable) -> Result<Arc<TableView>, ServiceError> {
        let _alone = self.changes.lock().await;
        let name = table.table_name.clone();
        if self.table(ACCOUNT, &name).is_some() {
            return Err(errors::table_exists(&name));
        }
        let table_id = new_table_id();
        // First: a table that is there has its tags.
        let throughput = ThroughputHistory { units: table.provisioned_throughput, ..ThroughputHistory::default() };
        let tags = std::mem::take(&mut table.tags);
        self.keep(table_id, TableRecord { tags, throughput, ..TableRecord::default() }).await?;
        let definition = table.into_definition(ACCOUNT, table_id, environment::wall_ms(), new_table_id);
        self.make(definition).await?;
        let mut created = self.existing(&name)?;
        indexes::passing(Arc::make_mut(&mut created), TableStatus::Creating);
        Ok(created)
    }

    async fn update_table(
        &self,
        _account: &str,
        name: &str,
        update: TableUpdate,
    ) -> Result<Arc<TableView>, ServiceError> {
        let _alone = self.changes.lock().await;
        let before = self.existing(name)?;
        indexes::check(&before, &update.global_indexes)?;
        let (partition_id, _) =
            self.partition(before.definition.table_id).ok_or_else(|| errors::table_not_found(name))?;
        let mut definition = before.definition.clone();
        definition.schema_version += 1;
        let now_ms = environment::wall_ms();
        update.apply(&mut definition, now_ms, new_table_id);
        indexes::locate(&mut definition, self.node.id());
        self.order(Order::UpdateDefinition { partition_id, definition: definition.clone() }).await?;
        self.refresh();
        let updated = self.existing(name)?;
        self.tend_indexes().await;
        self.note_throughput(&before.definition, &definition, now_ms).await?;
        self.note_class(&before.definition, &definition, now_ms).await?;
        Ok(updated)
    }

    async fn delete_table(&self, _account: &str, name: &str) -> Result<Arc<TableView>, ServiceError> {
        let _alone = self.changes.lock().await;
        let table = self.existing(name)?;
        self.drop_table(table.definition.table_id).await?;
        self.refresh();
        let mut deleted = table;
        indexes::passing(Arc::make_mut(&mut deleted), TableStatus::Deleting);
        Ok(deleted)
    }

    fn throughput_history(&self, table: &TableView) -> ThroughputHistory {
        self.records.throughput_of(table.definition.table_id)
    }

    fn table_class_history(&self, table: &TableView) -> TableClassHistory {
        self.records.of(table.definition.table_id).table_class
    }

    async fn tags(&self, table: &TableView) -> Result<Tags, ServiceError> {
        Ok(self.records.of(table.definition.table_id).tags)
    }

    async fn update_tags(&self, _account: &str, name: &str, update: TagUpdate) -> Result<(), ServiceError> {
        let _alone = self.changes.lock().await;
        let table_id = self.existing(name)?.definition.table_id;
        let record = self.records.of(table_id);
        self.keep(table_id, TableRecord { tags: update.apply(record.tags)?, ..record }).await
    }
}

pub(super) fn new_table_id() -> TableId {
    TableId(uuid::Uuid::new_v4().into_bytes())
}
