//! What a table is restored from, and the reading of it, from the bucket alone: its nodes and volumes may be gone.

use crate::{ArchiveError, Bucket, Recovery, TablePath, table::ArchivedTable};
use cairn_model::{
    descriptor::KeyRange,
    ids::{PartitionId, TableId},
    table::TableDefinition,
    time::Timestamp,
};
use cairn_replication::log::LogEntry;

type SinkError = Box<dyn std::error::Error + Send + Sync>;

/// Takes one restored partition: the chunks of a snapshot, then the entries after it. Called from a blocking thread.
pub trait RestoreSink: Send {
    fn chunk(&mut self, chunk: &[u8]) -> Result<(), SinkError>;

    /// The snapshot is whole: no chunk follows.
    fn chunks_done(&mut self) -> Result<(), SinkError>;

    /// The entry that follows the snapshot or the entry before.
    fn entry(&mut self, entry: LogEntry) -> Result<(), SinkError>;
}

/// How a table is restored.
#[derive(Debug)]
pub struct RestorePlan {
    /// The source table's, as it was last or as it is in the backup.
    pub definition: TableDefinition,
    /// None for a backup, which is of one moment.
    pub at: Option<Timestamp>,
    /// They cover all keys.
    pub partitions: Vec<PartitionPlan>,
    /// To be read from the bucket.
    pub bytes: u64,
}

/// How one partition of it is restored.
#[derive(Debug)]
pub struct PartitionPlan {
    /// In the source.
    pub partition_id: PartitionId,
    pub range: KeyRange,
    pub parents: Vec<PartitionId>,
}

impl PartitionPlan {
    /// Reads the partition into `sink`, verifying each byte on the way; `progress` is told how many bytes more were
    /// read from the bucket. For a blocking thread of a tokio runtime (`spawn_blocking`).
    pub fn run(&self, _sink: &mut dyn RestoreSink, _progress: &mut dyn FnMut(u64)) -> Result<(), ArchiveError> {
        todo!()
    }
}

/// The tables the archive knows of under a name or an id, also deleted ones.
pub async fn find_table(
    _bucket: &Bucket,
    _cluster: &str,
    _account: &str,
    _by: TableRef<'_>,
) -> Result<Vec<ArchivedTable>, ArchiveError> {
    todo!()
}

/// A table, by its name or its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableRef<'a> {
    Name(&'a str),
    Id(TableId),
}

/// What can be restored of a table.
pub async fn recoverable(_bucket: &Bucket, _path: &TablePath) -> Result<Recovery, ArchiveError> {
    todo!()
}

/// How a table is restored as of `at`: with every entry whose time is at or before it.
pub async fn plan(_bucket: &Bucket, _path: &TablePath, _at: Timestamp) -> Result<RestorePlan, ArchiveError> {
    todo!()
}

/// How a table is restored from a backup.
pub async fn plan_backup(
    _bucket: &Bucket,
    _cluster: &str,
    _account: &str,
    _backup_id: &str,
) -> Result<RestorePlan, ArchiveError> {
    todo!()
}
