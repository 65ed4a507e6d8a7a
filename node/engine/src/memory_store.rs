//! A store in memory whose crashes lose what was not persisted: for the simulation and for tests.

use crate::{Changes, Ingestion, Pairs, Pressure, Store, StoreError, StoreRange, StoreSnapshot};
use bytes::Bytes;
use parking_lot::Mutex;
use std::{collections::BTreeMap, ops::Bound, sync::Arc};

type Map = BTreeMap<Bytes, Bytes>;

/// Shared by its clones, so that one can crash what another's engine uses.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    map: Arc<Map>,
    /// For each commit since the last persist, what its keys held before.
    undo: Vec<Vec<(Bytes, Option<Bytes>)>>,
    marker: Option<Bytes>,
}

impl MemoryStore {
    /// Loses every commit since the last persist.
    pub fn crash(&self) {
        self.crash_keeping(0);
    }

    /// Loses the commits since the last persist but for the first `commits` of them, as a crash may that catches
    /// the disk in the middle of its work. What is left is durable.
    pub fn crash_keeping(&self, commits: usize) {
        let state = &mut *self.0.lock();
        let map = Arc::make_mut(&mut state.map);
        for before in state.undo.drain(..).skip(commits).collect::<Vec<_>>().into_iter().rev() {
            for (key, value) in before.into_iter().rev() {
                match value {
                    Some(value) => map.insert(key, value),
                    None => map.remove(&key),
                };
            }
        }
    }

    /// How many commits a crash may lose now.
    pub fn commits_at_risk(&self) -> usize {
        self.0.lock().undo.len()
    }
}

impl Store for MemoryStore {
    type Snapshot = MemorySnapshot;

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.0.lock().map.get(key).cloned())
    }

    fn snapshot(&self) -> MemorySnapshot {
        MemorySnapshot(self.0.lock().map.clone())
    }

    fn commit(&self, changes: Changes) -> Result<(), StoreError> {
        let state = &mut *self.0.lock();
        let map = Arc::make_mut(&mut state.map);
        let mut before = Vec::with_capacity(changes.writes.len());
        for (key, value) in changes.writes {
            let old = match value {
                Some(value) => map.insert(key.clone(), value),
                None => map.remove(&key),
            };
            before.push((key, old));
        }
        state.undo.push(before);
        Ok(())
    }

    fn persist(&self) -> Result<(), StoreError> {
        self.0.lock().undo.clear();
        Ok(())
    }

    fn ingest(&self) -> Result<Box<dyn Ingestion>, StoreError> {
        Ok(Box::new(MemoryIngestion { store: self.clone(), changes: Changes::default() }))
    }

    fn read_marker(&self) -> Result<Option<Bytes>, StoreError> {
        Ok(self.0.lock().marker.clone())
    }

    fn write_marker(&self, marker: &[u8]) -> Result<(), StoreError> {
        self.0.lock().marker = Some(Bytes::copy_from_slice(marker));
        Ok(())
    }

    fn pressure(&self) -> Pressure {
        Pressure::Low
    }
}

struct MemoryIngestion {
    store: MemoryStore,
    changes: Changes,
}

impl Ingestion for MemoryIngestion {
    fn write(&mut self, pairs: Pairs) -> Result<(), StoreError> {
        pairs.into_iter().for_each(|(key, value)| self.changes.put(key, value));
        Ok(())
    }

    /// As on disk, all that was committed before is durable too then.
    fn finish(self: Box<Self>) -> Result<(), StoreError> {
        self.store.commit(self.changes)?;
        self.store.persist()
    }
}

#[derive(Clone, Debug)]
pub struct MemorySnapshot(Arc<Map>);

impl StoreSnapshot for MemorySnapshot {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.0.get(key).cloned())
    }

    fn range(&self, lower: Bound<Bytes>, upper: Bound<Bytes>, forward: bool) -> StoreRange {
        Box::new(MemoryRange { map: self.0.clone(), lower, upper, forward })
    }
}

struct MemoryRange {
    map: Arc<Map>,
    lower: Bound<Bytes>,
    upper: Bound<Bytes>,
    forward: bool,
}

impl Iterator for MemoryRange {
    type Item = Result<(Bytes, Bytes), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if !crate::layout::is_range(&self.lower, &self.upper) {
            return None;
        }
        let mut range = self.map.range((self.lower.clone(), self.upper.clone()));
        let (key, value) = if self.forward { range.next() } else { range.next_back() }?;
        let found = (key.clone(), value.clone());
        if self.forward {
            self.lower = Bound::Excluded(found.0.clone());
        } else {
            self.upper = Bound::Excluded(found.0.clone());
        }
        Some(Ok(found))
    }
}
