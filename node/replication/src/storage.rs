//! One replica's log as the raft library reads it: the log on disk behind a cache of its newest entries.
//!
//! Everything read while a leader sends and while entries are applied comes from the cache, unless a follower is far
//! behind; what the library has us write is put here only once it is durable.

use crate::{
    log::{HardState, LogEntry, LogStore},
    log_sizes::LogSizes,
    raft_types,
};
use raft::{
    Error, GetEntriesContext, RaftState, Storage, StorageError,
    eraftpb::{self, ConfState, Snapshot},
};
use std::{collections::VecDeque, sync::Arc};

/// Bytes of applied entries that stay in the cache for followers that are a little behind.
const CACHE_BYTES_MAX: usize = 512 << 10;
/// What an entry takes besides its payload, roughly.
const ENTRY_OVERHEAD_BYTES: usize = 48;

/// The position of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) index: u64,
    pub(crate) term: u64,
}

#[derive(Debug)]
pub(crate) struct ReplicaLog<L> {
    log: Arc<L>,
    log_id: u64,
    /// Just before the first entry that is kept.
    start: Position,
    last_index: u64,
    hard_state: HardState,
    conf_state: ConfState,
    /// What a snapshot taken now would hold.
    applied: Position,
    cache: VecDeque<LogEntry>,
    cache_bytes: usize,
    sizes: LogSizes,
    last_index_at_tick: u64,
}

impl<L: LogStore> ReplicaLog<L> {
    pub(crate) fn new(
        log: Arc<L>,
        log_id: u64,
        start: Position,
        last_index: u64,
        hard_state: HardState,
        conf_state: ConfState,
        applied: Position,
    ) -> Self {
        Self {
            log,
            log_id,
            start,
            last_index,
            hard_state,
            conf_state,
            applied,
            cache: VecDeque::new(),
            cache_bytes: 0,
            sizes: LogSizes::default(),
            last_index_at_tick: 0,
        }
    }

    pub(crate) fn log_id(&self) -> u64 {
        self.log_id
    }

    pub(crate) fn hard_state(&self) -> HardState {
        self.hard_state
    }

    pub(crate) fn set_hard_state(&mut self, state: HardState) {
        self.hard_state = state;
    }

    pub(crate) fn set_conf_state(&mut self, state: ConfState) {
        self.conf_state = state;
    }

    pub(crate) fn entry_count(&self) -> u64 {
        self.last_index - self.start.index
    }

    pub(crate) fn start(&self) -> Position {
        self.start
    }

    /// These entries are durable; they replace what was at their indexes and after.
    pub(crate) fn appended(&mut self, entries: Vec<LogEntry>) {
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return };
        let (first, last) = (first.index, last.index);
        while self.cache.back().is_some_and(|entry| entry.index >= first) {
            if let Some(entry) = self.cache.pop_back() {
                self.cache_bytes -= entry_bytes(&entry);
            }
        }
        if self.cache.back().is_some_and(|entry| entry.index + 1 != first) {
            self.cache.clear();
            self.cache_bytes = 0;
        }
        let bytes = entries.iter().map(entry_bytes).sum::<usize>();
        self.sizes.appended(last, bytes as u64);
        self.cache_bytes += bytes;
        self.cache.extend(entries);
        self.last_index = last;
    }

    /// Everything up to here is applied; what is over the limit leaves the cache.
    pub(crate) fn applied(&mut self, applied: Position) {
        self.applied = applied;
        self.trim_cache(CACHE_BYTES_MAX);
    }

    /// A tick of time has passed: the cache of a log that stands still is given back, for there are hundreds of them.
    pub(crate) fn tick(&mut self) {
        if std::mem::replace(&mut self.last_index_at_tick, self.last_index) == self.last_index && self.cache_bytes > 0 {
            self.trim_cache(0);
            self.cache.shrink_to_fit();
        }
    }

    fn trim_cache(&mut self, bytes_max: usize) {
        let applied = self.applied;
        while self.cache_bytes > bytes_max && self.cache.front().is_some_and(|entry| entry.index <= applied.index) {
            if let Some(entry) = self.cache.pop_front() {
                self.cache_bytes -= entry_bytes(&entry);
            }
        }
    }

    /// The log goes on under another id, from a snapshot on.
    pub(crate) fn restart(&mut self, log_id: u64, start: Position, conf_state: ConfState) {
        self.log_id = log_id;
        self.start = start;
        self.last_index = start.index;
        self.applied = start;
        self.conf_state = conf_state;
        self.cache.clear();
        self.cache_bytes = 0;
        self.sizes = LogSizes::default();
    }

    /// So large is the log that was found at the start.
    pub(crate) fn found_with(&mut self, bytes: u64) {
        self.sizes = LogSizes::of(self.start.index, self.last_index, bytes);
    }

    /// An index behind which the log has no more than about `bytes_max`; 0 if all of it is within that.
    pub(crate) fn index_within(&self, bytes_max: u64) -> u64 {
        self.sizes.index_within(bytes_max)
    }

    /// Bytes of the entries behind `index`, roughly.
    pub(crate) fn bytes_behind(&self, index: u64) -> u64 {
        self.sizes.bytes_behind(index, self.start.index, self.last_index)
    }

    /// The log was cut up to and including `index`.
    pub(crate) fn compacted(&mut self, start: Position) {
        self.start = start;
        self.sizes.compacted(start.index);
        while self.cache.front().is_some_and(|entry| entry.index <= start.index) {
            if let Some(entry) = self.cache.pop_front() {
                self.cache_bytes -= entry_bytes(&entry);
            }
        }
    }

    fn cached(&self, index: u64) -> Option<&LogEntry> {
        let first = self.cache.front()?.index;
        self.cache.get(usize::try_from(index.checked_sub(first)?).ok()?)
    }

    pub(crate) fn term_of(&self, index: u64) -> raft::Result<u64> {
        if index == self.start.index {
            return Ok(self.start.term);
        }
        if index < self.start.index {
            return Err(Error::Store(StorageError::Compacted));
        }
        if index > self.last_index {
            return Err(Error::Store(StorageError::Unavailable));
        }
        if let Some(entry) = self.cached(index) {
            return Ok(entry.term);
        }
        match self.log.term(self.log_id, index) {
            Ok(Some(term)) => Ok(term),
            Ok(None) => Err(Error::Store(StorageError::Unavailable)),
            Err(error) => Err(Error::Store(StorageError::Other(Box::new(error)))),
        }
    }
}

fn entry_bytes(entry: &LogEntry) -> usize {
    ENTRY_OVERHEAD_BYTES + entry.payload.len()
}

impl<L: LogStore> Storage for ReplicaLog<L> {
    fn initial_state(&self) -> raft::Result<RaftState> {
        Ok(RaftState::new(raft_types::hard_state_to_raft(&self.hard_state), self.conf_state.clone()))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _context: GetEntriesContext,
    ) -> raft::Result<Vec<eraftpb::Entry>> {
        if low <= self.start.index {
            return Err(Error::Store(StorageError::Compacted));
        }
        if high > self.last_index + 1 {
            return Err(Error::Store(StorageError::Unavailable));
        }
        let bytes_max = max_size.into().unwrap_or(u64::MAX);
        if self.cache.front().is_none_or(|first| first.index > low) {
            let entries = self
                .log
                .entries(self.log_id, low, high, bytes_max)
                .map_err(|error| Error::Store(StorageError::Other(Box::new(error))))?;
            return Ok(entries.into_iter().map(raft_types::entry_to_raft).collect());
        }
        let mut bytes = 0;
        let mut entries = Vec::new();
        for index in low..high {
            let entry = self.cached(index).ok_or(Error::Store(StorageError::Unavailable))?;
            bytes += entry_bytes(entry) as u64;
            if !entries.is_empty() && bytes > bytes_max {
                break;
            }
            entries.push(raft_types::entry_to_raft(entry.clone()));
        }
        Ok(entries)
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        self.term_of(index)
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.start.index + 1)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.last_index)
    }

    /// Only what the library needs to know of it; its data goes in chunks, beside the library.
    fn snapshot(&self, request_index: u64, _to: u64) -> raft::Result<Snapshot> {
        if self.applied.index < request_index || self.applied.index == 0 {
            return Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable));
        }
        Ok(snapshot_of(self.applied, self.conf_state.clone()))
    }
}

pub(crate) fn snapshot_of(position: Position, conf_state: ConfState) -> Snapshot {
    let mut snapshot = Snapshot::default();
    let metadata = snapshot.mut_metadata();
    metadata.index = position.index;
    metadata.term = position.term;
    metadata.set_conf_state(conf_state);
    snapshot
}
