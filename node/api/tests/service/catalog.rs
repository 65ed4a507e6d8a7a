//! A catalog in memory, whose tables are ACTIVE at once.

use crate::client::NOW_MS;
use async_trait::async_trait;
use cairn_api::{Catalog, NewTable, TableUpdate, TableView, errors};
use cairn_model::{
    ServiceError, TableDefinition,
    ids::TableId,
    table::TableStatus,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

#[derive(Default)]
pub(crate) struct MemoryCatalog(Mutex<BTreeMap<(String, String), Arc<TableView>>>);

impl MemoryCatalog {
    pub(crate) fn set_status(&self, name: &str, status: TableStatus) {
        let mut tables = self.0.lock().unwrap();
        let table = tables.get_mut(&("game".to_owned(), name.to_owned())).unwrap();
        *table = Arc::new(TableView { status, ..(**table).clone() });
    }
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

    async fn create_table(&self, account: &str, table: NewTable) -> Result<Arc<TableView>, ServiceError> {
        let mut tables = self.0.lock().unwrap();
        let mut id = [0; 16];
        id[15] = u8::try_from(tables.len()).unwrap_or(u8::MAX);
        let view = Arc::new(TableView {
            arn: format!("arn:aws:dynamodb:east:{account}:table/{}", table.table_name),
            status: TableStatus::Active,
            item_count: 0,
            size_bytes: 0,
            definition: TableDefinition {
                account: account.to_owned(),
                table_name: table.table_name.clone(),
                table_id: TableId(id),
                schema_version: 1,
                key_schema: table.key_schema,
                billing_mode: table.billing_mode,
                provisioned_throughput: table.provisioned_throughput,
                table_class: table.table_class,
                deletion_protection_enabled: table.deletion_protection_enabled,
                creation_time_ms: 1_700_000_000_123,
                continuous_backups: None,
                restored_from: None,
            },
        });
        tables.insert((account.to_owned(), table.table_name), view.clone());
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
        update.apply(&mut view.definition, NOW_MS);
        *table = Arc::new(view);
        Ok(table.clone())
    }

    async fn delete_table(&self, account: &str, name: &str) -> Result<Arc<TableView>, ServiceError> {
        let mut tables = self.0.lock().unwrap();
        let table =
            tables.remove(&(account.to_owned(), name.to_owned())).ok_or_else(|| errors::table_not_found(name))?;
        Ok(Arc::new(TableView { status: TableStatus::Deleting, ..(*table).clone() }))
    }
}
