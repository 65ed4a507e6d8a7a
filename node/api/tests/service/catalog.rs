//! A catalog in memory, whose tables are ACTIVE at once.

use crate::client::NOW_MS;
use async_trait::async_trait;
use cairn_api::{
    AutoScalingUpdate, Catalog, IndexView, NewTable, TableAutoScaling, TableUpdate, TableView, TagUpdate, Tags, errors,
};
use cairn_model::{
    ServiceError, TableDefinition,
    ids::TableId,
    index::{GlobalIndex, LocalIndex},
    table::TableStatus,
    table_class::TableClassHistory,
    throughput::ThroughputHistory,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

#[derive(Default)]
pub(crate) struct MemoryCatalog(
    Mutex<BTreeMap<(String, String), Arc<TableView>>>,
    Mutex<BTreeMap<TableId, Tags>>,
    Mutex<BTreeMap<TableId, ThroughputHistory>>,
    Mutex<BTreeMap<TableId, TableAutoScaling>>,
    Mutex<BTreeMap<TableId, TableClassHistory>>,
    Mutex<BTreeMap<TableId, TableDefinition>>,
);

impl MemoryCatalog {
    pub(crate) fn set_status(&self, name: &str, status: TableStatus) {
        let mut tables = self.0.lock().unwrap();
        let table = tables.get_mut(&("game".to_owned(), name.to_owned())).unwrap();
        *table = Arc::new(TableView { status, ..(**table).clone() });
    }

    pub(crate) fn set_warming(&self, name: &str, is_warming: bool) {
        let mut tables = self.0.lock().unwrap();
        let table = tables.get_mut(&("game".to_owned(), name.to_owned())).unwrap();
        *table = Arc::new(TableView { is_warming, ..(**table).clone() });
    }

    /// From now on the storage nodes have of the table, and of its indexes, what the catalog has now.
    pub(crate) fn set_held(&self, name: &str) {
        let table = self.table("game", name).unwrap();
        let of_indexes = table.global_indexes.iter().map(|index| &index.table.definition);
        let held = of_indexes.chain([&table.definition]).map(|held| (held.table_id, held.clone()));
        self.5.lock().unwrap().extend(held);
    }

    pub(crate) fn set_local_indexes(&self, name: &str, local_indexes: Vec<LocalIndex>) {
        let mut tables = self.0.lock().unwrap();
        let table = tables.get_mut(&("game".to_owned(), name.to_owned())).unwrap();
        let mut view = (**table).clone();
        view.definition.local_indexes = local_indexes;
        *table = Arc::new(view);
    }

    /// From now on, the table's global index of this name is in this status.
    pub(crate) fn set_index_status(&self, table: &str, index: &str, status: TableStatus, backfilling: bool) {
        let mut tables = self.0.lock().unwrap();
        let table = tables.get_mut(&("game".to_owned(), table.to_owned())).unwrap();
        let mut view = (**table).clone();
        let index = view.global_indexes.iter_mut().find(|shown| shown.name() == index).unwrap();
        index.backfilling = backfilling;
        Arc::make_mut(&mut index.table).status = status;
        *table = Arc::new(view);
    }

    /// Tables of the account `game`, made without a word to anybody.
    pub(crate) fn fill(&self, of: &str, count: usize) {
        let definition = self.table("game", of).unwrap().definition.clone();
        for number in 0..count {
            let table_name = format!("filled-{number:04}");
            self.insert_creating(TableDefinition { table_name, ..definition.clone() }).unwrap();
        }
    }

    /// What a restore does first.
    pub(crate) fn insert_creating(&self, definition: TableDefinition) -> Result<Arc<TableView>, ServiceError> {
        let mut tables = self.0.lock().unwrap();
        let key = (definition.account.clone(), definition.table_name.clone());
        if let Some(table) = tables.get(&key) {
            return Err(errors::restore_target_taken(table));
        }
        let view = Arc::new(view(definition, TableStatus::Creating));
        tables.insert(key, view.clone());
        Ok(view)
    }
}

fn new_index_id() -> TableId {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1 << 32);
    TableId(u128::from(NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)).to_be_bytes())
}

fn view(definition: TableDefinition, status: TableStatus) -> TableView {
    let arn = format!("arn:aws:dynamodb:east:{}:table/{}", definition.account, definition.table_name);
    let global_indexes = index_views(&definition, &arn, status);
    TableView { arn, status, is_warming: false, item_count: 0, size_bytes: 0, definition, global_indexes }
}

fn index_views(table: &TableDefinition, arn: &str, status: TableStatus) -> Vec<IndexView> {
    let view = |index: &GlobalIndex| {
        let arn = format!("{arn}/index/{}", index.index_name);
        IndexView { table: Arc::new(TableView { arn, ..view(table.of_index(index), status) }), backfilling: false }
    };
    table.global_indexes.iter().map(view).collect()
}

#[async_trait]
impl Catalog for MemoryCatalog {
    fn table(&self, account: &str, name: &str) -> Option<Arc<TableView>> {
        self.0.lock().unwrap().get(&(account.to_owned(), name.to_owned())).cloned()
    }

    fn list_tables(&self, account: &str) -> Vec<String> {
        let tables = self.0.lock().unwrap();
        tables.keys().filter(|(owner, _)| owner == account).map(|(_, name)| name.clone()).collect()
    }

    async fn create_table(&self, account: &str, mut table: NewTable) -> Result<Arc<TableView>, ServiceError> {
        let mut tables = self.0.lock().unwrap();
        let mut id = [0; 16];
        id[15] = u8::try_from(tables.len()).unwrap_or(u8::MAX);
        let name = table.table_name.clone();
        self.1.lock().unwrap().insert(TableId(id), std::mem::take(&mut table.tags));
        let definition = table.into_definition(account, TableId(id), 1_700_000_000_123, new_index_id);
        let view = Arc::new(view(definition, TableStatus::Active));
        tables.insert((account.to_owned(), name), view.clone());
        Ok(view)
    }

    async fn update_table(
        &self,
        account: &str,
        name: &str,
        update: TableUpdate,
    ) -> Result<Arc<TableView>, ServiceError> {
        let mut tables = self.0.lock().unwrap();
        let table =
            tables.get_mut(&(account.to_owned(), name.to_owned())).ok_or_else(|| errors::table_not_found(name))?;
        let mut view = (**table).clone();
        view.definition.schema_version += 1;
        let mut histories = self.2.lock().unwrap();
        let history = histories.entry(view.definition.table_id).or_default();
        history.note_mode(view.definition.provisioned_throughput, view.definition.creation_time_ms, NOW_MS);
        history.note(view.definition.provisioned_throughput, NOW_MS);
        let mut note_indexes = |definition: &TableDefinition| {
            for index in &definition.global_indexes {
                histories.entry(index.index_id).or_default().note(index.provisioned_throughput, NOW_MS);
            }
        };
        note_indexes(&view.definition);
        let mut classes = self.4.lock().unwrap();
        let class = classes.entry(view.definition.table_id).or_default();
        class.note(view.definition.table_class.unwrap_or_default(), NOW_MS);
        update.apply(&mut view.definition, NOW_MS, new_index_id);
        note_indexes(&view.definition);
        class.note(view.definition.table_class.unwrap_or_default(), NOW_MS);
        view.global_indexes = index_views(&view.definition, &view.arn, TableStatus::Active);
        let history = histories.entry(view.definition.table_id).or_default();
        history.note_mode(view.definition.provisioned_throughput, view.definition.creation_time_ms, NOW_MS);
        history.note(view.definition.provisioned_throughput, NOW_MS);
        *table = Arc::new(view);
        Ok(table.clone())
    }

    async fn delete_table(&self, account: &str, name: &str) -> Result<Arc<TableView>, ServiceError> {
        let mut tables = self.0.lock().unwrap();
        let table =
            tables.remove(&(account.to_owned(), name.to_owned())).ok_or_else(|| errors::table_not_found(name))?;
        Ok(Arc::new(TableView { status: TableStatus::Deleting, ..(*table).clone() }))
    }

    fn definition_held(&self, table: &TableView) -> Option<TableDefinition> {
        self.5.lock().unwrap().get(&table.definition.table_id).cloned()
    }

    fn throughput_history(&self, table: &TableView) -> ThroughputHistory {
        self.2.lock().unwrap().get(&table.definition.table_id).copied().unwrap_or_default()
    }

    fn table_class_history(&self, table: &TableView) -> TableClassHistory {
        self.4.lock().unwrap().get(&table.definition.table_id).cloned().unwrap_or_default()
    }

    async fn tags(&self, table: &TableView) -> Result<Tags, ServiceError> {
        Ok(self.1.lock().unwrap().get(&table.definition.table_id).cloned().unwrap_or_default())
    }

    async fn update_tags(&self, account: &str, name: &str, update: TagUpdate) -> Result<(), ServiceError> {
        let table_id = self.table(account, name).ok_or_else(|| errors::table_not_found(name))?.definition.table_id;
        let mut tags = self.1.lock().unwrap();
        let updated = update.apply(tags.get(&table_id).cloned().unwrap_or_default())?;
        tags.insert(table_id, updated);
        Ok(())
    }

    fn auto_scaling(&self, table: &TableView) -> TableAutoScaling {
        self.3.lock().unwrap().get(&table.definition.table_id).cloned().unwrap_or_default()
    }

    async fn update_auto_scaling(
        &self,
        account: &str,
        name: &str,
        update: AutoScalingUpdate,
    ) -> Result<Arc<TableView>, ServiceError> {
        let table = self.table(account, name).ok_or_else(|| errors::table_not_found(name))?;
        let settings = update.apply(self.auto_scaling(&table))?;
        self.3.lock().unwrap().insert(table.definition.table_id, settings);
        Ok(table)
    }
}
