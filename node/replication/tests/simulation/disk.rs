//! A node's disks: those in memory, which lose in a crash what was not synced, behind a fuse that kills the process.

use crate::fuse::Fuse;
use bytes::Bytes;
use cairn_engine::{Changes, Ingestion, LogMark, MemoryStore, Pressure, Store, StoreError};
use cairn_replication::log::{HardState, LogBatch, LogEntry, LogError, LogState, LogStore, MemoryLog};
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
pub struct FaultyStore {
    pub inner: MemoryStore,
    pub fuse: Fuse,
    /// Says that it synced, and does not.
    pub lies: bool,
}

impl Store for FaultyStore {
    type Snapshot = <MemoryStore as Store>::Snapshot;

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.inner.get(key)
    }

    fn snapshot(&self) -> Self::Snapshot {
        self.inner.snapshot()
    }

    fn commit(&self, changes: Changes) -> Result<(), StoreError> {
        self.fuse.apply().map_err(|killed| StoreError::Write { action: "commit", source: killed.into() })?;
        self.inner.commit(changes)
    }

    fn persist(&self) -> Result<(), StoreError> {
        if self.lies { Ok(()) } else { self.inner.persist() }
    }

    fn ingest(&self) -> Result<Box<dyn Ingestion>, StoreError> {
        self.inner.ingest()
    }

    fn read_marker(&self) -> Result<Option<Bytes>, StoreError> {
        self.inner.read_marker()
    }

    fn write_marker(&self, marker: &[u8]) -> Result<(), StoreError> {
        if self.lies { Ok(()) } else { self.inner.write_marker(marker) }
    }

    fn pressure(&self) -> Pressure {
        self.inner.pressure()
    }
}

#[derive(Clone, Debug)]
pub struct FaultyLog {
    pub inner: MemoryLog,
    pub fuse: Fuse,
    /// Says that it synced, and does not.
    pub lies: bool,
}

impl LogStore for FaultyLog {
    fn state(&self, log_id: u64) -> Result<LogState, LogError> {
        self.inner.state(log_id)
    }

    fn start(&self, log_id: u64, index: u64, term: u64, hard_state: HardState) -> Result<(), LogError> {
        self.inner.start(log_id, index, term, hard_state)
    }

    fn write(&self, batch: LogBatch, sync: bool) -> Result<(), LogError> {
        let killed = |error: crate::fuse::Killed| LogError::Write { action: "write", source: error.into() };
        self.fuse.write().map_err(killed)?;
        self.inner.write(batch, false)?;
        self.fuse.sync().map_err(killed)?;
        if sync && !self.lies {
            self.inner.sync();
        }
        Ok(())
    }

    fn entries(&self, log_id: u64, low: u64, high: u64, bytes_max: u64) -> Result<Vec<LogEntry>, LogError> {
        self.inner.entries(log_id, low, high, bytes_max)
    }

    fn term(&self, log_id: u64, index: u64) -> Result<Option<u64>, LogError> {
        self.inner.term(log_id, index)
    }

    fn compact(&self, log_id: u64, to: u64) -> Result<(), LogError> {
        self.inner.compact(log_id, to)
    }

    fn purge(&self) -> Result<(), LogError> {
        self.inner.purge()
    }

    fn remove(&self, log_id: u64) -> Result<(), LogError> {
        self.inner.remove(log_id)
    }

    fn opened_bytes(&self) -> u64 {
        self.inner.opened_bytes()
    }

    fn marks(&self) -> BTreeMap<u64, LogMark> {
        self.inner.marks()
    }
}
