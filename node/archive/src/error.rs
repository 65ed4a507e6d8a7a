//! What can go wrong with the archive: each error names the object or the setting it is about.

use crate::{config, source::SourceError, window::Window};
use cairn_model::{ids::PartitionId, time::Timestamp};

type Cause = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// A setting of [`crate::ArchiveConfig`], by its name, does not fit or does not work.
    #[error("failed to open the archive: {field}: {reason}")]
    Config { field: &'static str, reason: String, source: Option<Cause> },
    #[error("failed to {action} {object}")]
    Store { action: &'static str, object: String, source: object_store::Error },
    #[error("failed to {action} {object} within {seconds} s")]
    TimedOut { action: &'static str, object: String, seconds: u64 },
    #[error("{object} is not in the archive")]
    NotFound { object: String },
    /// Something else wrote this object first.
    #[error("{object} is in the archive already")]
    Exists { object: String },
    #[error("{object} is damaged: {reason}")]
    Damaged { object: String, reason: String },
    #[error("{object} has format version {found}, but this program reads versions up to {known}: start a newer one")]
    NewerFormat { object: String, found: u64, known: u64 },
    /// The time asked for is outside of what can be restored; `nearest` is the nearest time that can be.
    #[error("the table cannot be restored to {} ms: {reason}{}", at.millis(), nearest_time(*nearest))]
    NotRestorable { at: Timestamp, reason: String, windows: Vec<Window>, nearest: Option<Timestamp> },
    /// An object that the restore needs is damaged or missing; no time between the window's bounds can be restored.
    #[error(
        "{object} is damaged or missing, which times from {} to {} ms need{}",
        window.earliest.millis(), window.latest.millis(), nearest_time(*nearest)
    )]
    Hole { object: String, window: Window, nearest: Option<Timestamp>, source: Box<ArchiveError> },
    /// The partition's log is not the one that was archived.
    #[error(
        "the archive holds entry {index} of partition {partition_id}, but {reason}: its history is another one; restore what the archive holds, or archive the table under another cluster name"
    )]
    Diverged { partition_id: PartitionId, index: u64, reason: String },
    /// What is past its time cannot be told from what is not.
    #[error(
        "nothing is deleted from the archive while this node and the store disagree about the time: its clock says {now_ms} ms since 1970, the store's {store_ms} ms"
    )]
    Clock { now_ms: u64, store_ms: u64 },
    #[error("failed to read from the partition")]
    Source(#[from] SourceError),
    #[error("failed to write what was restored")]
    Sink(#[source] Cause),
    #[error("failed to finish the work on {object}: its thread ended early")]
    Interrupted { object: String },
}

impl ArchiveError {
    /// The error and what it was caused by, in one line.
    pub fn text(&self) -> String {
        config::chain(self)
    }
}

fn nearest_time(nearest: Option<Timestamp>) -> String {
    nearest.map(|time| format!("; the nearest time that can be restored is {} ms", time.millis())).unwrap_or_default()
}
