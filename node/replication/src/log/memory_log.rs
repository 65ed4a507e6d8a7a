//! Logs in memory whose crashes lose what was not synced: for the simulation and for tests.

use super::{HardState, LogBatch, LogEntry, LogError, LogStart, LogState, LogStore, check_append, check_range};
use cairn_engine::LogMark;
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

/// Shared by its clones, so that one can crash what another's core uses.
#[derive(Clone, Debug, Default)]
pub struct MemoryLog(Arc<Mutex<State>>);

/// Where the next write fails, as it does under a process that is killed there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteFailure {
    /// Nothing of it is written.
    BeforeWrite,
    /// It is written and not synced: a crash may lose it.
    BeforeSync,
}

#[derive(Debug, Default)]
struct State {
    logs: Logs,
    durable: Logs,
    /// What was done since the last sync, in order.
    at_risk: Vec<Change>,
    failure: Option<WriteFailure>,
}

type Logs = BTreeMap<u64, Log>;

#[derive(Clone, Debug, Default)]
struct Log {
    start: LogStart,
    hard_state: HardState,
    entries: VecDeque<LogEntry>,
    replaced: u64,
}

#[derive(Debug)]
enum Change {
    Start { log_id: u64, log: Log },
    Write(LogBatch),
    Compact { log_id: u64, start: LogStart },
    Remove { log_id: u64 },
}

impl MemoryLog {
    /// Loses everything since the last sync.
    pub fn crash(&self) {
        self.crash_keeping(0);
    }

    /// Loses what was written since the last sync but for the first `writes` of it, as a crash may that catches the disk
    /// in the middle of its work. What is left is durable.
    pub fn crash_keeping(&self, writes: usize) {
        let state = &mut *self.0.lock();
        for change in state.at_risk.drain(..).take(writes) {
            change.apply(&mut state.durable);
        }
        state.logs = state.durable.clone();
        state.failure = None;
    }

    /// How many writes a crash may lose now.
    pub fn writes_at_risk(&self) -> usize {
        self.0.lock().at_risk.len()
    }

    /// Makes everything written so far durable.
    pub fn sync(&self) {
        self.0.lock().sync();
    }

    /// The next write fails: with it, a leader can be killed between replicating and its own flush.
    pub fn fail_next_write(&self, failure: WriteFailure) {
        self.0.lock().failure = Some(failure);
    }
}

impl LogStore for MemoryLog {
    fn state(&self, log_id: u64) -> Result<LogState, LogError> {
        Ok(self.0.lock().log(log_id)?.state())
    }

    fn start(&self, log_id: u64, index: u64, term: u64, hard_state: HardState) -> Result<(), LogError> {
        let state = &mut *self.0.lock();
        let log = Log { start: LogStart { index, term }, hard_state, ..Log::default() };
        state.change(Change::Start { log_id, log });
        state.sync();
        Ok(())
    }

    fn write(&self, batch: LogBatch, sync: bool) -> Result<(), LogError> {
        let state = &mut *self.0.lock();
        for (log_id, write) in batch.writes() {
            check_append(*log_id, &state.log(*log_id)?.state(), write)?;
        }
        let failure = state.failure.take();
        if failure != Some(WriteFailure::BeforeWrite) {
            state.change(Change::Write(batch));
        }
        if failure.is_some() {
            return Err(LogError::Write { action: "write", source: "it was told to fail".into() });
        }
        if sync {
            state.sync();
        }
        Ok(())
    }

    fn entries(&self, log_id: u64, low: u64, high: u64, bytes_max: u64) -> Result<Vec<LogEntry>, LogError> {
        let state = self.0.lock();
        let log = state.log(log_id)?;
        check_range(log_id, &log.state(), low, high)?;
        let mut bytes = 0;
        let mut entries = Vec::new();
        for entry in (low..high).filter_map(|index| log.entry(index)) {
            bytes += entry.bytes();
            if !entries.is_empty() && bytes > bytes_max {
                break;
            }
            entries.push(entry.clone());
        }
        Ok(entries)
    }

    fn term(&self, log_id: u64, index: u64) -> Result<Option<u64>, LogError> {
        Ok(self.0.lock().log(log_id)?.term(index))
    }

    fn compact(&self, log_id: u64, to: u64) -> Result<(), LogError> {
        let state = &mut *self.0.lock();
        let log = state.log(log_id)?;
        if to <= log.start.index {
            return Ok(());
        }
        check_range(log_id, &log.state(), to, to + 1)?;
        if let Some(term) = log.term(to) {
            state.change(Change::Compact { log_id, start: LogStart { index: to, term } });
        }
        Ok(())
    }

    fn purge(&self) -> Result<(), LogError> {
        Ok(())
    }

    fn remove(&self, log_id: u64) -> Result<(), LogError> {
        self.0.lock().change(Change::Remove { log_id });
        Ok(())
    }

    /// As of now, which is as of its opening where that is when it is asked.
    fn opened_bytes(&self) -> u64 {
        self.0.lock().logs.values().flat_map(|log| &log.entries).map(LogEntry::bytes).sum()
    }

    fn marks(&self) -> BTreeMap<u64, LogMark> {
        let mark = |log: &Log| LogMark { written: log.state().last_index + log.replaced, term: log.hard_state.term };
        self.0.lock().durable.iter().map(|(log_id, log)| (*log_id, mark(log))).collect()
    }
}

impl State {
    fn log(&self, log_id: u64) -> Result<&Log, LogError> {
        self.logs.get(&log_id).ok_or(LogError::Missing { log_id })
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.logs);
        self.at_risk.push(change);
    }

    fn sync(&mut self) {
        for change in self.at_risk.drain(..) {
            change.apply(&mut self.durable);
        }
    }
}

impl Change {
    fn apply(&self, logs: &mut Logs) {
        match self {
            Self::Start { log_id, log } => {
                logs.insert(*log_id, log.clone());
            }
            Self::Write(batch) => {
                for (log_id, write) in batch.writes() {
                    if let Some(log) = logs.get_mut(log_id) {
                        log.append(&write.entries);
                        log.hard_state = write.hard_state.unwrap_or(log.hard_state);
                    }
                }
            }
            Self::Compact { log_id, start } => {
                if let Some(log) = logs.get_mut(log_id) {
                    log.entries.retain(|entry| entry.index > start.index);
                    log.start = *start;
                }
            }
            Self::Remove { log_id } => {
                logs.remove(log_id);
            }
        }
    }
}

impl Log {
    fn state(&self) -> LogState {
        let last_index = self.entries.back().map_or(self.start.index, |last| last.index);
        LogState { start: self.start, last_index, hard_state: self.hard_state }
    }

    fn entry(&self, index: u64) -> Option<&LogEntry> {
        self.entries.get(usize::try_from(index.checked_sub(self.start.index + 1)?).ok()?)
    }

    fn term(&self, index: u64) -> Option<u64> {
        if index == self.start.index {
            return Some(self.start.term);
        }
        self.entry(index).map(|entry| entry.term)
    }

    fn append(&mut self, entries: &[LogEntry]) {
        let Some(first) = entries.first() else { return };
        while self.entries.back().is_some_and(|last| last.index >= first.index) {
            self.entries.pop_back();
            self.replaced += 1;
        }
        self.entries.extend(entries.iter().cloned());
    }
}

#[cfg(test)]
mod tests;
