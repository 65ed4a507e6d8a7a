//! What can go wrong in the engine, and which of it must end the process.

use cairn_model::ids::{PartitionId, ReplicaId};
use std::path::PathBuf;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// A store's failure.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A commit or an fsync failed: what is on disk is no longer known, and the process must exit.
    #[error("failed to {action} (the process must end: what is on disk is no longer known)")]
    Write { action: &'static str, source: Source },
    /// A read failed; what was read for is damaged, other data may be sound.
    #[error("failed to {action}")]
    Read { action: &'static str, source: Source },
}

/// Why the engine did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(
        "failed to read the stored {what}: {reason}; put a copy of the data folder back, or give this node an empty one and let it be rebuilt from its peers"
    )]
    Damaged { what: &'static str, reason: String },
    #[error(
        "the stored {what} has format version {found}, but this program reads versions up to {known}: start a newer one"
    )]
    NewerFormat { what: &'static str, found: u8, known: u8 },
    #[error("no replica is stored under storage id {storage_id}")]
    UnknownStorage { storage_id: u64 },
    #[error("this node holds no replica of partition {partition_id}")]
    UnknownPartition { partition_id: PartitionId },
    #[error("this node already holds replica {} of partition {partition_id}", replica_id.0)]
    ReplicaExists { partition_id: PartitionId, replica_id: ReplicaId },
    #[error("replica id {} of partition {partition_id} was used on this node before (up to {}): it is never used again", replica_id.0, used.0)]
    ReplicaIdUsed { partition_id: PartitionId, replica_id: ReplicaId, used: ReplicaId },
    #[error("entry {index} is not above {applied}, which storage id {storage_id} has applied")]
    AppliedAlready { storage_id: u64, index: u64, applied: u64 },
    #[error("failed to load a snapshot: {reason}")]
    Snapshot { reason: String },
}

impl EngineError {
    /// True when the process must end rather than go on: it no longer knows what is on disk.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Store(StoreError::Write { .. }))
    }
}

/// Why a data folder is refused. Nothing in it has been changed.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error("failed to {action} {}", path.display())]
    Io { action: &'static str, path: PathBuf, source: std::io::Error },
    #[error("{} is in use by another process: stop that one, or use another data folder", path.display())]
    InUse { path: PathBuf },
    #[error("{} is damaged ({reason}): {advice}", path.display())]
    Damaged { path: PathBuf, reason: String, advice: &'static str },
    #[error("{} has format version {found}, but this program reads versions up to {known}: start a newer version of cairn on this folder", path.display())]
    NewerFormat { path: PathBuf, found: u64, known: u64 },
    #[error("{} belongs to {found}, not to {expected}: mount the right volume, or use an empty folder", path.display())]
    OtherOwner { path: PathBuf, found: String, expected: String },
    #[error("{} is not a data folder of cairn, and not empty (it holds {found}): use an empty folder", path.display())]
    NotOurs { path: PathBuf, found: String },
    #[error("{} could not be opened: {advice}", path.display())]
    Store { path: PathBuf, advice: &'static str, source: Source },
}
