//! What a table is, apart from where its partitions lie: its keys, billing and settings.

use crate::ids::TableId;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ScalarType {
    S,
    N,
    B,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyAttribute {
    pub name: String,
    pub scalar_type: ScalarType,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeySchema {
    pub partition: KeyAttribute,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort: Option<KeyAttribute>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum BillingMode {
    Provisioned,
    PayPerRequest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TableClass {
    Standard,
    StandardInfrequentAccess,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProvisionedThroughput {
    pub read_capacity_units: u64,
    pub write_capacity_units: u64,
}

/// Everything of a table that its storage nodes keep with its data and its routers need.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TableDefinition {
    /// The account: a Kubernetes namespace, or `local` in `cairn dev`.
    pub account: String,
    pub table_name: String,
    pub table_id: TableId,
    /// Rises with every change of the definition; an entry evaluated under another is void.
    pub schema_version: u64,
    pub key_schema: KeySchema,
    pub billing_mode: BillingMode,
    /// Absent when on demand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provisioned_throughput: Option<ProvisionedThroughput>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table_class: Option<TableClass>,
    #[serde(default)]
    pub deletion_protection_enabled: bool,
    /// Milliseconds since the Unix epoch.
    pub creation_time_ms: u64,
    /// Present while point-in-time recovery is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continuous_backups: Option<ContinuousBackups>,
    /// Where the table's first data came from, if it was restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored_from: Option<RestoredFrom>,
}

/// Point-in-time recovery, while it is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContinuousBackups {
    /// 1 to 35.
    pub recovery_period_days: u16,
    /// Since when it is on without a break; milliseconds since the Unix epoch.
    pub enabled_at_ms: u64,
}

/// What a table was restored from: a backup, or another table at a point in time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RestoredFrom {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_backup_arn: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_table_arn: Option<String>,
    /// The moment that was restored; milliseconds since the Unix epoch.
    pub restore_time_ms: u64,
}

/// The life of a table, in DynamoDB's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TableStatus {
    Creating,
    Active,
    Updating,
    Deleting,
}
