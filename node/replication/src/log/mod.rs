//! The Raft logs of all of a node's replicas: entries and hard states by log id, many groups with one write and one fsync.
//!
//! [`EngineLog`] keeps them on disk, [`MemoryLog`] in memory for the simulation. Which log belongs to which replica is in
//! the engine's records; what the entries mean is the core's business.

mod batch;
mod block_cache;
mod encoding;
mod engine_log;
mod error;
mod file_scan;
mod folder;
mod memory_log;
mod recovery;
mod synced_rewrites;
mod terms;

pub use batch::{LogBatch, LogWrite};
pub use engine_log::{EngineLog, Opened};
pub use error::LogError;
pub use memory_log::{MemoryLog, WriteFailure};
pub use recovery::{OnDamage, SetAside, TornTail};

use bytes::Bytes;
use cairn_engine::LogMark;
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogEntry {
    pub index: u64,
    pub term: u64,
    /// 0 is a normal entry, 1 a change of the configuration.
    pub kind: u8,
    pub payload: Bytes,
}

impl LogEntry {
    /// As it counts where a limit in bytes applies.
    fn bytes(&self) -> u64 {
        (encoding::ENTRY_HEADER_BYTES + self.payload.len()) as u64
    }
}

/// What Raft (figure 2 of its paper, "persistent state") must remember of a group besides its entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HardState {
    pub term: u64,
    pub vote: u64,
    pub commit: u64,
}

/// The entry just before the first one that a log keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogStart {
    pub index: u64,
    pub term: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogState {
    pub start: LogStart,
    /// The start's index if the log keeps no entry.
    pub last_index: u64,
    pub hard_state: HardState,
}

/// The logs of one node, by log id. A log id is used for one log only, ever.
pub trait LogStore: Send + Sync + 'static {
    /// Fails, not fatally, for a log that was never started or is damaged: its replica must not vote.
    fn state(&self, log_id: u64) -> Result<LogState, LogError>;

    /// Creates a log that begins after the entry at (`index`, `term`), durably. What an earlier, unfinished attempt left
    /// under this id goes.
    fn start(&self, log_id: u64, index: u64, term: u64, hard_state: HardState) -> Result<(), LogError>;

    /// Writes what is in the batch, all or nothing even in a crash; with `sync`, it and everything written before is
    /// durable on return. Entries replace what the log holds at their indexes and behind.
    fn write(&self, batch: LogBatch, sync: bool) -> Result<(), LogError>;

    /// The entries from `low` to before `high`, as many as fit in `bytes_max`, but at least one.
    fn entries(&self, log_id: u64, low: u64, high: u64, bytes_max: u64) -> Result<Vec<LogEntry>, LogError>;

    /// The term of the entry at `index`, which may be the start; none outside of the log.
    fn term(&self, log_id: u64, index: u64) -> Result<Option<u64>, LogError>;

    /// Moves the start up to the entry at `to`; those up to it are gone. A crash may undo it.
    fn compact(&self, log_id: u64, to: u64) -> Result<(), LogError>;

    /// Gives disk space back that no log needs.
    fn purge(&self) -> Result<(), LogError>;

    /// Ends a log. A crash may undo it; there need not be such a log.
    fn remove(&self, log_id: u64) -> Result<(), LogError>;

    /// Bytes that all logs had when they were opened, roughly.
    fn opened_bytes(&self) -> u64;

    /// How far each log is known to be durable.
    fn marks(&self) -> BTreeMap<u64, LogMark>;
}

/// Checks that what is written continues the log that `state` tells of, so that it has no hole, nothing that was cut
/// returns, and a hard state older than an entry can only be a lost one.
fn check_append(log_id: u64, state: &LogState, write: &LogWrite) -> Result<(), LogError> {
    let LogWrite { entries, hard_state } = write;
    let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return Ok(()) };
    let term = hard_state.unwrap_or(state.hard_state).term;
    if last.term > term {
        return Err(LogError::Refused {
            log_id,
            reason: format!("entry {} is of term {}, the hard state of term {term}", last.index, last.term),
        });
    }
    let (start, last_index) = (state.start.index, state.last_index);
    if first.index <= start || first.index > last_index + 1 {
        return Err(LogError::Refused {
            log_id,
            reason: format!("entry {} does not continue what it holds, {start} to {last_index}", first.index),
        });
    }
    if let Some(pair) = entries.windows(2).find(|pair| pair[1].index != pair[0].index + 1) {
        let (index, next) = (pair[0].index, pair[1].index);
        return Err(LogError::Refused { log_id, reason: format!("entry {next} was to follow entry {index}") });
    }
    Ok(())
}

fn check_range(log_id: u64, state: &LogState, low: u64, high: u64) -> Result<(), LogError> {
    if low <= state.start.index || high > state.last_index + 1 || low > high {
        return Err(LogError::OutOfRange { log_id, low, high, start: state.start.index, last_index: state.last_index });
    }
    Ok(())
}
