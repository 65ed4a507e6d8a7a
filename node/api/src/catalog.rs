//! The tables of an account as this package sees them, and what it asks of whoever keeps them.
//! Where the catalog lies (a folder, Kubernetes) is the implementor's business.

use async_trait::async_trait;
use cairn_model::{
    KeySchema, ServiceError, TableDefinition,
    table::{BillingMode, ProvisionedThroughput, TableClass, TableStatus},
};
use std::sync::Arc;

/// A table at one moment: what DescribeTable shows and what requests are checked against.
#[derive(Clone, Debug, PartialEq)]
pub struct TableView {
    pub definition: TableDefinition,
    pub status: TableStatus,
    pub item_count: u64,
    /// In DynamoDB's bytes; as old as the catalog's last report.
    pub size_bytes: u64,
    pub arn: String,
}

/// A table to be made: checked, complete, without the identity and the time that the catalog gives it.
#[derive(Clone, Debug, PartialEq)]
pub struct NewTable {
    pub table_name: String,
    pub key_schema: KeySchema,
    pub billing_mode: BillingMode,
    /// Present if and only if the billing mode is PROVISIONED.
    pub provisioned_throughput: Option<ProvisionedThroughput>,
    pub table_class: Option<TableClass>,
    pub deletion_protection_enabled: bool,
}

/// What an UpdateTable changes; a field not given stays as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableUpdate {
    pub billing_mode: Option<BillingMode>,
    /// Given whenever the table is PROVISIONED afterwards and was not, or changes its capacity.
    pub provisioned_throughput: Option<ProvisionedThroughput>,
    pub table_class: Option<TableClass>,
    pub deletion_protection_enabled: Option<bool>,
}

/// Who keeps the tables.
///
/// States are the implementor's to check where they can race: it answers `ResourceInUseException` for a name that
/// exists or a table not ACTIVE, `ResourceNotFoundException` for one that is gone, `AccessDeniedException` for one
/// that another owner keeps from being changed. [`crate::errors`] has the texts.
#[async_trait]
pub trait Catalog: Send + Sync {
    /// The hot path: from memory, without waiting. `None` when the account has no such table.
    fn table(&self, account: &str, name: &str) -> Option<Arc<TableView>>;

    /// The names of the account's tables in ascending order of their bytes.
    fn list_tables(&self, account: &str) -> Vec<String>;

    /// The table as it is after the call, CREATING or ACTIVE already.
    async fn create_table(&self, account: &str, table: NewTable) -> Result<Arc<TableView>, ServiceError>;

    /// The table as it is after the call, UPDATING or ACTIVE again.
    async fn update_table(
        &self,
        account: &str,
        name: &str,
        update: TableUpdate,
    ) -> Result<Arc<TableView>, ServiceError>;

    /// The table as it was, with the status DELETING.
    async fn delete_table(&self, account: &str, name: &str) -> Result<Arc<TableView>, ServiceError>;
}
