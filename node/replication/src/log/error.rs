//! What can go wrong in a log, and which of it must end the process.

use std::path::PathBuf;

type Source = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A write or an fsync failed.
    #[error("failed to {action} the log (the process must end: what is on disk is no longer known)")]
    Write { action: &'static str, source: Source },
    /// One log can't be read; others may be sound.
    #[error("failed to read log {log_id}: the replica must be replaced")]
    Read { log_id: u64, source: Source },
    #[error("log {log_id} is missing: the disk lost it; the replica must be replaced")]
    Missing { log_id: u64 },
    #[error("log {log_id} is damaged ({reason}): the replica must be replaced")]
    Damaged { log_id: u64, reason: String },
    /// What was to be written does not fit what the log holds.
    #[error("log {log_id} refuses a write: {reason}")]
    Refused { log_id: u64, reason: String },
    #[error(
        "entries {low} to before {high} are not all in log {log_id}, which holds those after {start} up to {last_index}"
    )]
    OutOfRange { log_id: u64, low: u64, high: u64, start: u64, last_index: u64 },
    #[error("failed to {action} {}", path.display())]
    Io { action: &'static str, path: PathBuf, source: std::io::Error },
    #[error("failed to open the log in {}: look at the cause; nothing was deleted", path.display())]
    Open { path: PathBuf, source: Source },
    #[error("{} is in use by another process: stop that one, or use another data folder", path.display())]
    InUse { path: PathBuf },
    #[error(
        "{} has format version {found}, but this program reads versions up to {known}: start a newer version of cairn on this folder",
        path.display()
    )]
    NewerFormat { path: PathBuf, found: u64, known: u64 },
    #[error("{} is not a log of cairn (it holds {found}): move what is there away, or use another data folder", path.display())]
    NotOurs { path: PathBuf, found: String },
    #[error(
        "{} is damaged ({reason}): move the folder it lies in away, and the node's replicas will be replaced",
        path.display()
    )]
    DamagedFolder { path: PathBuf, reason: String },
}

impl LogError {
    /// True when the process must end rather than go on: it no longer knows what is on disk.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Write { .. } | Self::Refused { .. })
    }

    pub(super) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}
