//! Backups on demand: whole copies of tables, which nothing else in the archive is needed for.

use crate::{ArchiveError, Bucket, SourceSnapshot};
use cairn_model::{descriptor::KeyRange, ids::PartitionId, table::TableDefinition};
use serde::{Deserialize, Serialize};

/// Who made a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum BackupType {
    User,
    System,
}

/// A backup that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewBackup {
    /// The last part of its ARN.
    pub backup_id: String,
    pub arn: String,
    pub name: String,
    pub backup_type: BackupType,
    pub table_arn: String,
    pub definition: TableDefinition,
    /// Milliseconds since the Unix epoch.
    pub creation_time_ms: u64,
    /// When it goes by itself.
    pub expiry_time_ms: Option<u64>,
}

/// `backup.json`: a backup that is there, whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupRecord {
    pub backup_id: String,
    pub arn: String,
    pub name: String,
    pub backup_type: BackupType,
    pub table_arn: String,
    /// The table as it was then.
    pub definition: TableDefinition,
    pub creation_time_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry_time_ms: Option<u64>,
    pub item_count: u64,
    /// Of the items, in DynamoDB's bytes.
    pub table_size_bytes: u64,
    /// Of the backup's objects.
    pub size_bytes: u64,
    pub partitions: Vec<BackupPartition>,
}

/// One partition of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupPartition {
    pub partition_id: PartitionId,
    pub range: KeyRange,
}

/// Writes a backup of a table from a snapshot of each of its partitions. If it fails, nothing of it stays.
pub async fn create(
    _bucket: &Bucket,
    _cluster: &str,
    _account: &str,
    _backup: NewBackup,
    _snapshots: Vec<SourceSnapshot>,
) -> Result<BackupRecord, ArchiveError> {
    todo!()
}

/// An account's backups, by id.
pub async fn list(_bucket: &Bucket, _cluster: &str, _account: &str) -> Result<Vec<BackupRecord>, ArchiveError> {
    todo!()
}

/// [`ArchiveError::NotFound`] where there is none.
pub async fn get(
    _bucket: &Bucket,
    _cluster: &str,
    _account: &str,
    _backup_id: &str,
) -> Result<BackupRecord, ArchiveError> {
    todo!()
}

/// Deletes a backup and gives it as it was; [`ArchiveError::NotFound`] where there is none.
pub async fn delete(
    _bucket: &Bucket,
    _cluster: &str,
    _account: &str,
    _backup_id: &str,
) -> Result<BackupRecord, ArchiveError> {
    todo!()
}
