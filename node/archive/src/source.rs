//! A node's replicas, as the archive sees them; implemented by the program over its replication host.

use async_trait::async_trait;
use bytes::Bytes;
use cairn_model::{descriptor::PartitionDescriptor, ids::PartitionId, table::TableDefinition, time::Timestamp};
use cairn_replication::{core::Claim, log::LogEntry};
use std::fmt;

/// A partition that this node leads, of a table whose continuous backups are on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourcePartition {
    pub descriptor: PartitionDescriptor,
    pub definition: TableDefinition,
    pub applied_index: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The log begins only at `first`: what is before it is gone.
    #[error("the log begins at entry {first}")]
    Compacted { first: u64 },
    /// Whoever leads the partition now goes on.
    #[error("this node does not lead the partition")]
    NotLeader,
    #[error(transparent)]
    Failed(Box<dyn std::error::Error + Send + Sync>),
}

/// One state of a partition: all that it had applied up to `index`.
pub struct SourceSnapshot {
    pub descriptor: PartitionDescriptor,
    pub definition: TableDefinition,
    pub index: u64,
    pub term: u64,
    /// Of the newest entry up to `index` that has a time; 0 if none has.
    pub entry_time: Timestamp,
    /// Of the items, in DynamoDB's bytes.
    pub size_bytes: u64,
    pub item_count: u64,
    /// Each at most 256 KiB, in order. Called from a blocking thread.
    pub chunks: Box<dyn Iterator<Item = Result<Bytes, SourceError>> + Send>,
}

impl fmt::Debug for SourceSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceSnapshot")
            .field("partition_id", &self.descriptor.partition_id)
            .field("index", &self.index)
            .field("size_bytes", &self.size_bytes)
            .finish_non_exhaustive()
    }
}

#[async_trait]
pub trait Source: Send + Sync {
    /// The partitions to archive: those this node leads whose table has continuous backups on.
    fn partitions(&self) -> Vec<SourcePartition>;

    /// Committed entries, contiguous from `from`, each with its entry time (0: it has none); as many as fit in
    /// `bytes_max`, but at least one; none where none is committed yet. Times rise strictly along the log.
    async fn entries(
        &self,
        partition: PartitionId,
        from: u64,
        bytes_max: u64,
    ) -> Result<Vec<(LogEntry, Timestamp)>, SourceError>;

    /// The partition's state by now.
    async fn snapshot(&self, partition: PartitionId) -> Result<SourceSnapshot, SourceError>;

    /// A claim that is as late as the partition can make it: what it stamps from now on is above.
    async fn close(&self, partition: PartitionId) -> Result<Claim, SourceError>;

    /// The entries up to `index` are in the archive: the log need not keep them for it.
    fn archived(&self, partition: PartitionId, index: u64);
}
