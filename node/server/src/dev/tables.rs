//! The tables of `cairn dev`: what the one node holds is what there is.

use super::records::{Records, TableRecord};
use crate::{environment, node::Node, throttle::Demand};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use cairn_api::{
    Catalog, NewTable, Partitions, Room, RoutingKey, TableUpdate, TableView, TagUpdate, Tags, arn::TableArn, errors,
};
use cairn_model::{
    ErrorKind, ServiceError,
    descriptor::{KeyRange, Member, MemberRole, PartitionDescriptor},
    ids::{PartitionId, ReplicaId, TableId},
    node::{Counts, Order, OrderOutcome, ReplicaState},
    table::{TableDefinition, TableStatus},
    throughput::ThroughputHistory,
};
use cairn_replication::{
    operation::{PartitionError, PartitionOutcome, PartitionRequest},
    restore::Restored,
};
use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    sync::Arc,
    time::Duration,
};
use tokio::sync::Mutex;

/// The one account of `cairn dev`.
pub(super) const ACCOUNT: &str = "local";
/// The one zone.
const ZONE: &str = "local";
/// How long an order is pursued.
const ORDER_DEADLINE: Duration = Duration::from_secs(10);
const ORDER_PAUSE: Duration = Duration::from_millis(5);
/// How long a request waits for the partition to lead itself, which takes a moment after a start.
const LEADER_DEADLINE: Duration = Duration::from_secs(5);
/// How often item counts are taken over.
const REFRESH_INTERVAL: Duration = Duration::from_secs(1);

/// Catalog and partitions of one node.
#[derive(Debug)]
pub(super) struct LocalTables {
    node: Arc<Node>,
    region: String,
    records: Records,
    current: ArcSwap<Tables>,
    /// One change of the catalog at a time.
    changes: Mutex<()>,
    /// Tables that go or come while requests go on.
    passing: parking_lot::Mutex<HashMap<TableId, Passing>>,
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
struct Tables {
    by_name: BTreeMap<String, Arc<TableView>>,
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
        });
        tables.refresh();
        let weak = Arc::downgrade(&tables);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(REFRESH_INTERVAL).await;
                let Some(tables) = weak.upgrade() else { return };
                // Not while a change is under way: it takes over what it changed itself.
                if let Ok(_alone) = tables.changes.try_lock() {
                    tables.refresh();
                }
            }
        });
        tables
    }

    pub(super) fn refresh(&self) {
        let mut tables = Tables::default();
        for replica in self.node.host().replicas() {
            let id = replica.definition.table_id;
            tables.partitions.insert(id, (replica.descriptor.partition_id, replica.descriptor.epoch));
            let view = self.view(replica.definition, replica.item_count, replica.size_bytes);
            tables.by_name.insert(view.definition.table_name.clone(), Arc::new(view));
        }
        for (table_id, passing) in &*self.passing.lock() {
            match passing {
                Passing::In(definition) => {
                    let view = tables.by_name.entry(definition.table_name.clone());
                    let view = view.or_insert_with(|| Arc::new(self.view(TableDefinition::clone(definition), 0, 0)));
                    if view.definition.table_id == *table_id {
                        Arc::make_mut(view).status = TableStatus::Creating;
                    }
                }
                Passing::Out => {
                    let view = tables.by_name.values_mut().find(|view| view.definition.table_id == *table_id);
                    if let Some(view) = view {
                        Arc::make_mut(view).status = TableStatus::Deleting;
                    }
                }
            }
        }
        self.current.store(Arc::new(tables));
    }

    fn view(&self, definition: TableDefinition, item_count: u64, size_bytes: u64) -> TableView {
        let arn = TableArn { region: &self.region, account: ACCOUNT, table_name: &definition.table_name }.to_string();
        TableView { definition, status: TableStatus::Active, item_count, size_bytes, arn, global_indexes: Vec::new() }
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

    /// The table is DELETING from now on; and whether it was not before.
    pub(super) async fn begin_delete(&self, name: &str) -> Result<(Arc<TableView>, bool), ServiceError> {
        let _alone = self.changes.lock().await;
        let table_id = self.existing(name)?.definition.table_id;
        let began = match self.passing.lock().entry(table_id) {
            Entry::Vacant(entry) => {
                entry.insert(Passing::Out);
                true
            }
            Entry::Occupied(entry) if matches!(entry.get(), Passing::Out) => false,
            Entry::Occupied(_) => return Err(errors::table_in_use(name)),
        };
        self.refresh();
        Ok((self.existing(name)?, began))
    }

    /// The table is there, or gone, as the node has it.
    pub(super) async fn end_passing(&self, table_id: TableId) {
        let _alone = self.changes.lock().await;
        self.passing.lock().remove(&table_id);
        self.refresh();
    }

    /// Drops what the node has of a table, whatever there is under its name by now.
    pub(super) async fn drop_table(&self, table_id: TableId) -> Result<(), ServiceError> {
        if let Some((partition_id, _)) = self.partition(table_id) {
            self.order(Order::DropPartition { partition_id, table_id }).await?;
        }
        if let Err(error) = self.records.put(table_id, TableRecord::default()).await {
            tracing::warn!(%table_id, %error, "failed to remove a deleted table's record; it goes at the next start");
        }
        Ok(())
    }

    /// Whether the node has data of the table.
    pub(super) fn has(&self, table_id: TableId) -> bool {
        self.partition(table_id).is_some()
    }

    /// Makes restored or imported data a table's.
    pub(super) async fn adopt(&self, restored: Restored, definition: TableDefinition) -> anyhow::Result<()> {
        let range = restored.range().clone();
        let descriptor = self.first_descriptor(definition.table_id, range);
        let partition_id = descriptor.partition_id;
        match self.node.host().adopt(restored, descriptor, definition).await {
            OrderOutcome::Done => Ok(self.leads(partition_id).await?),
            other => anyhow::bail!("the node did not take the data: {other:?}"),
        }
    }

    async fn make(&self, definition: TableDefinition) -> Result<(), ServiceError> {
        let descriptor = self.first_descriptor(definition.table_id, KeyRange::default());
        let partition_id = descriptor.partition_id;
        self.order(Order::Bootstrap { descriptor, definition }).await?;
        self.leads(partition_id).await?;
        self.refresh();
        Ok(())
    }

    fn first_descriptor(&self, table_id: TableId, range: KeyRange) -> PartitionDescriptor {
        PartitionDescriptor {
            partition_id: PartitionId(uuid::Uuid::new_v4().into_bytes()),
            table_id,
            range,
            epoch: 1,
            members: vec![Member {
                replica_id: ReplicaId(1),
                node_id: self.node.id(),
                zone: ZONE.to_owned(),
                address: String::new(),
                role: MemberRole::Voter,
            }],
            next_replica_id: 2,
            parents: Vec::new(),
        }
    }

    async fn keep(&self, table_id: TableId, record: TableRecord) -> Result<(), ServiceError> {
        self.records.put(table_id, record).await.map_err(|error| {
            ServiceError::new(ErrorKind::InternalServerError, format!("failed to write the table's record: {error}"))
        })
    }

    fn existing(&self, name: &str) -> Result<Arc<TableView>, ServiceError> {
        self.table(ACCOUNT, name).ok_or_else(|| errors::table_not_found(name))
    }

    fn partition(&self, table: TableId) -> Option<(PartitionId, u64)> {
        self.current.load().partitions.get(&table).copied()
    }

    async fn order(&self, order: Order) -> Result<(), ServiceError> {
        let failed = |message: String| ServiceError::new(ErrorKind::InternalServerError, message);
        let done = tokio::time::timeout(ORDER_DEADLINE, async {
            loop {
                match self.node.host().order(order.clone()).await {
                    OrderOutcome::Done => return Ok(()),
                    OrderOutcome::Refused { message } => return Err(failed(message)),
                    OrderOutcome::InProgress { .. } | OrderOutcome::NotLeader { .. } => {
                        tokio::time::sleep(ORDER_PAUSE).await;
                    }
                }
            }
        })
        .await;
        done.unwrap_or_else(|_| Err(failed(format!("the node did not carry out the change within {ORDER_DEADLINE:?}"))))
    }

    async fn leads(&self, partition: PartitionId) -> Result<(), ServiceError> {
        let leads = || {
            let replicas = self.node.host().replicas();
            replicas.iter().any(|r| r.descriptor.partition_id == partition && r.state == ReplicaState::Leader)
        };
        let led = tokio::time::timeout(LEADER_DEADLINE, async {
            while !leads() {
                tokio::time::sleep(ORDER_PAUSE).await;
            }
        });
        led.await.map_err(|_| ServiceError::new(ErrorKind::InternalServerError, "the table's partition did not start"))
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
        self.keep(table_id, TableRecord { tags: std::mem::take(&mut table.tags), throughput }).await?;
        let definition = table.into_definition(ACCOUNT, table_id, environment::wall_ms(), new_table_id);
        self.make(definition).await?;
        let created = self.existing(&name)?;
        Ok(Arc::new(TableView { status: TableStatus::Creating, ..(*created).clone() }))
    }

    async fn update_table(
        &self,
        _account: &str,
        name: &str,
        update: TableUpdate,
    ) -> Result<Arc<TableView>, ServiceError> {
        let _alone = self.changes.lock().await;
        let table = self.existing(name)?;
        let (partition_id, _) =
            self.partition(table.definition.table_id).ok_or_else(|| errors::table_not_found(name))?;
        let mut definition = table.definition.clone();
        definition.schema_version += 1;
        let now_ms = environment::wall_ms();
        update.apply(&mut definition, now_ms, new_table_id);
        let units = [table.definition.provisioned_throughput, definition.provisioned_throughput];
        self.order(Order::UpdateDefinition { partition_id, definition }).await?;
        self.refresh();
        let table_id = table.definition.table_id;
        let mut record = self.records.of(table_id);
        // What it was, too: a process that ended before it noted that is made up for here.
        units.into_iter().for_each(|units| record.throughput.note(units, now_ms));
        self.keep(table_id, record).await?;
        let updated = self.existing(name)?;
        Ok(Arc::new(TableView { status: TableStatus::Updating, ..(*updated).clone() }))
    }

    async fn delete_table(&self, _account: &str, name: &str) -> Result<Arc<TableView>, ServiceError> {
        let _alone = self.changes.lock().await;
        let table = self.existing(name)?;
        self.drop_table(table.definition.table_id).await?;
        self.refresh();
        Ok(Arc::new(TableView { status: TableStatus::Deleting, ..(*table).clone() }))
    }

    fn throughput_history(&self, table: &TableView) -> ThroughputHistory {
        self.records.throughput_of(table.definition.table_id)
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

#[async_trait]
impl Partitions for LocalTables {
    async fn counts(&self, table: &TableView) -> Option<Counts> {
        let (partition, _) = self.partition(table.definition.table_id)?;
        let counted = tokio::time::timeout(LEADER_DEADLINE, async {
            loop {
                // None until the partition leads, in the moment after a start.
                match self.node.host().counts(partition).await {
                    None if self.has(table.definition.table_id) => tokio::time::sleep(ORDER_PAUSE).await,
                    counted => return counted,
                }
            }
        });
        counted.await.ok()?
    }

    async fn request(
        &self,
        table: &TableView,
        _key: RoutingKey<'_>,
        mut request: PartitionRequest,
        room: &Room,
    ) -> Result<PartitionOutcome, ServiceError> {
        let demand = Demand::of(&request);
        // The one replica leads: a consistent read costs nothing more, and never goes back in time after a start.
        match &mut request {
            PartitionRequest::Get(get) => get.consistent = true,
            PartitionRequest::Range(range) => range.consistent = true,
            PartitionRequest::Write(_)
            | PartitionRequest::Feed(_)
            | PartitionRequest::Stream(_)
            | PartitionRequest::Transact(_)
            | PartitionRequest::TransactGet(_) => {}
        }
        let name = &table.definition.table_name;
        if request.brings_data() && self.node.disk().full() {
            return Err(ServiceError::new(ErrorKind::ThrottlingException, crate::node::DISK_FULL));
        }
        let (partition, epoch) =
            self.partition(table.definition.table_id).ok_or_else(|| errors::table_not_found(name))?;
        let mut patience = LEADER_DEADLINE;
        loop {
            // The request is kept for another try only until the partition leads, in the moment after a start.
            match self.node.request(partition, epoch, request.clone(), demand).await {
                Ok(outcome) => return room.make_for(&outcome).await.map(|()| outcome),
                Err(PartitionError::Service(error)) => return Err(error),
                Err(PartitionError::NotLeader { .. }) if !patience.is_zero() => {
                    patience = patience.saturating_sub(ORDER_PAUSE);
                    tokio::time::sleep(ORDER_PAUSE).await;
                }
                Err(PartitionError::UnknownPartition) => return Err(errors::table_not_found(name)),
                Err(PartitionError::Throttled(limit)) => return Err(limit.exceeded(&table.arn)),
                Err(PartitionError::Overloaded { reason }) => {
                    return Err(ServiceError::new(ErrorKind::ThrottlingException, reason));
                }
                Err(error) => return Err(ServiceError::new(ErrorKind::InternalServerError, error.to_string())),
            }
        }
    }
}

pub(super) fn new_table_id() -> TableId {
    TableId(uuid::Uuid::new_v4().into_bytes())
}
