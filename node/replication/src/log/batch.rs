//! What is written to many logs at once.

use super::{HardState, LogEntry};
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogBatch {
    writes: BTreeMap<u64, LogWrite>,
}

/// What a batch has for one log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogWrite {
    /// In the order of their indexes, without holes.
    pub entries: Vec<LogEntry>,
    pub hard_state: Option<HardState>,
}

impl LogBatch {
    /// Adds entries; they replace those at their indexes and behind, in this batch as in the log.
    pub fn append(&mut self, log_id: u64, entries: Vec<LogEntry>) {
        let Some(first) = entries.first().map(|entry| entry.index) else { return };
        let write = self.writes.entry(log_id).or_default();
        while write.entries.last().is_some_and(|last| last.index >= first) {
            write.entries.pop();
        }
        if write.entries.is_empty() {
            write.entries = entries;
        } else {
            write.entries.extend(entries);
        }
    }

    pub fn set_hard_state(&mut self, log_id: u64, state: HardState) {
        self.writes.entry(log_id).or_default().hard_state = Some(state);
    }

    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// By log id.
    pub fn writes(&self) -> &BTreeMap<u64, LogWrite> {
        &self.writes
    }

    pub(super) fn into_writes(self) -> BTreeMap<u64, LogWrite> {
        self.writes
    }
}
