//! What is asked and answered as JSON.

use cairn_archive::{Claim, SourceError, SourcePartition, SourceSnapshot};
use cairn_model::{descriptor::PartitionDescriptor, ids::PartitionId, table::TableDefinition, time::Timestamp};
use serde::{Deserialize, Serialize};

pub(super) const PARTITIONS: &str = "/v1/partitions";
pub(super) const ENTRIES: &str = "/v1/entries";
pub(super) const SNAPSHOT: &str = "/v1/snapshot";
pub(super) const CLOSE: &str = "/v1/close";
pub(super) const ARCHIVED: &str = "/v1/archived";
pub(super) const HAS: &str = "/v1/has";
pub(super) const RESTORE: &str = "/v1/restore";
pub(super) const FILL: &str = "/v1/fill";
pub(super) const READ: &str = "/v1/read";

/// One of the answer of [`PARTITIONS`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LedPartition {
    descriptor: PartitionDescriptor,
    definition: TableDefinition,
    applied_index: u64,
}

impl From<SourcePartition> for LedPartition {
    fn from(SourcePartition { descriptor, definition, applied_index }: SourcePartition) -> Self {
        Self { descriptor, definition, applied_index }
    }
}

impl From<LedPartition> for SourcePartition {
    fn from(LedPartition { descriptor, definition, applied_index }: LedPartition) -> Self {
        Self { descriptor, definition, applied_index }
    }
}

/// Asks [`ENTRIES`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EntriesCall {
    pub(super) partition_id: PartitionId,
    pub(super) from: u64,
    pub(super) bytes_max: u64,
}

/// Asks [`SNAPSHOT`], [`CLOSE`] and [`HAS`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PartitionCall {
    pub(super) partition_id: PartitionId,
}

/// One of what [`ARCHIVED`] is told.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ArchivedNote {
    pub(super) partition_id: PartitionId,
    pub(super) index: u64,
}

/// The answer of [`CLOSE`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ClosedTime {
    index: u64,
    time: Timestamp,
}

impl From<Claim> for ClosedTime {
    fn from(Claim { index, time }: Claim) -> Self {
        Self { index, time }
    }
}

impl From<ClosedTime> for Claim {
    fn from(ClosedTime { index, time }: ClosedTime) -> Self {
        Self { index, time }
    }
}

/// What a snapshot is of.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SnapshotHead {
    descriptor: PartitionDescriptor,
    definition: TableDefinition,
    index: u64,
    term: u64,
    entry_time: Timestamp,
    size_bytes: u64,
    item_count: u64,
}

type Chunks = Box<dyn Iterator<Item = Result<bytes::Bytes, SourceError>> + Send>;

impl SnapshotHead {
    pub(super) fn split(snapshot: SourceSnapshot) -> (Self, Chunks) {
        let SourceSnapshot { descriptor, definition, index, term, entry_time, size_bytes, item_count, chunks } =
            snapshot;
        (Self { descriptor, definition, index, term, entry_time, size_bytes, item_count }, chunks)
    }

    pub(super) fn join(self, chunks: Chunks) -> SourceSnapshot {
        let Self { descriptor, definition, index, term, entry_time, size_bytes, item_count } = self;
        SourceSnapshot { descriptor, definition, index, term, entry_time, size_bytes, item_count, chunks }
    }
}

/// What a table's past is of that was laid out to be read.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PastHead {
    pub(super) definition: TableDefinition,
    pub(super) size_bytes: u64,
}

/// What restored data is to become.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AdoptOrder {
    pub(super) descriptor: PartitionDescriptor,
    pub(super) definition: TableDefinition,
}

/// Why the node does not do what it is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "error")]
pub(super) enum Refusal {
    Compacted { first: u64 },
    NotLeader,
    Failed { message: String },
}

impl Refusal {
    pub(super) fn failed(error: impl Into<anyhow::Error>) -> Self {
        Self::Failed { message: format!("{:#}", error.into()) }
    }
}

impl From<SourceError> for Refusal {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Compacted { first } => Self::Compacted { first },
            SourceError::NotLeader => Self::NotLeader,
            error @ SourceError::Failed(_) => Self::failed(error),
        }
    }
}

impl From<Refusal> for SourceError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Compacted { first } => Self::Compacted { first },
            Refusal::NotLeader => Self::NotLeader,
            Refusal::Failed { message } => Self::Failed(message.into()),
        }
    }
}
