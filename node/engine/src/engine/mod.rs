//! The engine: a store, and what is known of the replicas in it.

mod apply;
mod deletions;
mod expirations;
mod global;
mod indexes;
mod kept_iter;
mod loading;
mod read;
mod replicas;
mod retired;
mod streams;
mod view;

pub use apply::{ApplyBatch, ItemWrite, Kept, KeptWrite, Outcome, StreamWrite};
pub use global::GlobalPoint;
pub use indexes::{IndexBatch, IndexChange, IndexEffect, IndexIter, IndexTotals, LocalTotals};
pub use kept_iter::KeptIter;
pub use read::ScanIter;
pub use streams::StreamIter;
pub use view::View;

use crate::{
    EngineError, LogMark, Marker, MarkerEntry, Pressure, Store, StoreSnapshot, layout,
    outcome::OutcomeIndex,
    record::{self, AppliedState, Counters, RetiredReplica, StoredRecord},
    store::Changes,
};
use bytes::Bytes;
use cairn_model::ids::{PartitionId, ReplicaId};
use deletions::Deletions;
use parking_lot::{Mutex, RwLock};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    ops::Bound,
    sync::Arc,
};

/// Calls of [`Engine::rest`] for which a replica keeps what it knows of its outcomes though it is not asked.
const RESTS_UNASKED_MAX: u32 = 12;

/// One storage node's data. Shared in an [`Arc`]; calls on different replicas do not wait for each other except in the store.
pub struct Engine<S> {
    store: S,
    directory: RwLock<Directory>,
    /// Held by whoever changes records, counters or the list of the dead. Taken before the directory's lock, which is taken
    /// before a replica's and given back at once by all but those who change it.
    node: Mutex<NodeState>,
    /// Held while persisting, with the marker as last written.
    marker: Mutex<Marker>,
}

/// What the node holds, by partition and by storage id.
#[derive(Default)]
struct Directory {
    records: BTreeMap<PartitionId, (StoredRecord, Arc<Mutex<Live>>)>,
    by_storage: HashMap<u64, (PartitionId, Arc<Mutex<Live>>)>,
    /// Nothing of these is in the other two.
    retired: BTreeMap<PartitionId, RetiredReplica>,
}

/// A replica's applied state, as long as the replica is not dropped.
struct Live {
    state: AppliedState,
    outcomes: OutcomeIndex,
    /// The key of the last stream record that was trimmed since the start: without it, each step would wade through the
    /// tombstones of those before it.
    trimmed: Option<Bytes>,
    deletions: Deletions,
    dropped: bool,
}

struct NodeState {
    counters: Counters,
    /// Storage ids whose data is still to be reclaimed, and the last key reclaimed since the start: without it, each step
    /// would wade through the tombstones of those before it.
    dead: BTreeMap<u64, Option<Bytes>>,
}

/// Ids of this node that were never given away before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ids {
    pub storage_id: u64,
    pub log_id: u64,
}

impl<S: Store> Engine<S> {
    /// Reads what the store holds, compares it with the marker, and gives up snapshots that did not load to their end.
    ///
    /// A replica that has applied less than the marker says was durable is marked damaged; of a record that the marker
    /// has and the store lost, the replica id is never used again.
    pub fn open(store: S) -> Result<Self, EngineError> {
        let marker = match store.read_marker()? {
            Some(bytes) => Marker::decode(&bytes)?,
            None => Marker::default(),
        };
        let snapshot = store.snapshot();
        let counters = match snapshot.get(&layout::counters())? {
            Some(bytes) => Counters::decode(&bytes)?,
            None => Counters::default(),
        };
        let mut directory = Directory::default();
        let (lower, upper) = layout::records();
        for pair in snapshot.range(lower, upper, true) {
            let stored = StoredRecord::decode(&pair?.1)?;
            let state = snapshot.get(&layout::applied(stored.storage_id))?.ok_or_else(|| EngineError::Damaged {
                what: "applied state",
                reason: format!("partition {} has none", stored.partition_id),
            })?;
            directory.insert(stored, AppliedState::decode(&state)?);
        }
        let mut changes = Changes::default();
        if let Some(reason) = store.damage() {
            for (record, _) in directory.records.values_mut() {
                damage(record, format!("items: {reason}"), &mut changes)?;
            }
        }
        let mut dead: BTreeSet<u64> = storage_ids(&snapshot, layout::all_dead())?;
        for storage_id in storage_ids(&snapshot, layout::all_loading())? {
            changes.delete(layout::loading(storage_id));
            changes.put(layout::dead(storage_id), Vec::new());
            dead.insert(storage_id);
        }
        retired::open(&snapshot, &mut directory, store.damage(), &mut changes, &mut dead)?;
        for entry in &marker.entries {
            compare_with_marker(&snapshot, &mut directory, entry, &mut changes)?;
        }
        drop(snapshot);
        if !changes.is_empty() {
            store.commit(changes)?;
            store.persist()?;
        }
        Ok(Self {
            store,
            directory: RwLock::new(directory),
            node: Mutex::new(NodeState { counters, dead: dead.into_iter().map(|id| (id, None)).collect() }),
            marker: Mutex::new(marker),
        })
    }

    /// Makes everything applied so far durable, then writes down how far that is, beside how far the logs are known to be
    /// durable (`logs`, by log id; a log not named keeps no mark).
    pub fn persist(&self, logs: &BTreeMap<u64, LogMark>) -> Result<(), EngineError> {
        let mut last = self.marker.lock();
        let entries = self
            .live()
            .into_iter()
            .map(|(record, live)| MarkerEntry {
                log_id: record.log_id,
                partition_id: record.partition_id,
                replica_id: record.replica_id,
                applied_index: live.lock().state.applied.index,
                log: logs.get(&record.log_id).copied().unwrap_or_default(),
            })
            .collect();
        self.store.persist()?;
        let marker = Marker { entries };
        if marker != *last {
            self.store.write_marker(&marker.encode())?;
            *last = marker;
        }
        Ok(())
    }

    /// How far each log was known to be durable when the marker was last written, by log id.
    pub fn log_marks(&self) -> BTreeMap<u64, LogMark> {
        self.marker.lock().entries.iter().map(|entry| (entry.log_id, entry.log)).collect()
    }

    /// The applied index that was durable for each log id when the marker was last written: logs may be cut below these.
    pub fn persisted_indexes(&self) -> BTreeMap<u64, u64> {
        self.marker.lock().entries.iter().map(|entry| (entry.log_id, entry.applied_index)).collect()
    }

    /// Whether new writes should be refused for a while, before the store makes them wait.
    pub fn pressure(&self) -> Pressure {
        self.store.pressure()
    }

    pub fn store(&self) -> &S {
        &self.store
    }

    /// Takes back data under dead storage ids, but for what is kept of retired replicas: at most `keys_max` keys in this step. True if
    /// more is left.
    pub fn reclaim(&self, keys_max: usize) -> Result<bool, EngineError> {
        let Some((storage_id, after)) = self.node.lock().dead.first_key_value().map(|(id, after)| (*id, after.clone()))
        else {
            return Ok(false);
        };
        let keys_max = keys_max.max(1);
        let ranges = match self.retired_under(storage_id).is_some() {
            true => layout::all_but_streams(storage_id).to_vec(),
            false => vec![layout::storage(storage_id)],
        };
        let mut changes = Changes::default();
        let mut last = None;
        let mut keys = 0;
        let snapshot = self.store.snapshot();
        let behind = |(lower, upper): (Bound<Bytes>, Bound<Bytes>)| match (&after, lower) {
            (Some(after), Bound::Included(lower)) if *after >= lower => (Bound::Excluded(after.clone()), upper),
            (_, lower) => (lower, upper),
        };
        let ranges = ranges.into_iter().map(behind);
        for pair in ranges.flat_map(|(lower, upper)| snapshot.range(lower, upper, true)).take(keys_max) {
            let (key, _) = pair?;
            last = Some(key.clone());
            changes.delete(key);
            keys += 1;
        }
        let finished = keys < keys_max;
        if finished {
            changes.delete(layout::dead(storage_id));
        }
        self.store.commit(changes)?;
        let mut node = self.node.lock();
        if finished {
            node.dead.remove(&storage_id);
        } else if let Some(after) = node.dead.get_mut(&storage_id) {
            *after = last;
        }
        Ok(!node.dead.is_empty())
    }

    /// Gives back memory of replicas that are not asked: to be called every few seconds.
    pub fn rest(&self) {
        for (_, live) in self.live() {
            live.lock().outcomes.rest(RESTS_UNASKED_MAX);
        }
    }

    fn live(&self) -> Vec<(StoredRecord, Arc<Mutex<Live>>)> {
        self.directory.read().records.values().cloned().collect()
    }

    fn live_storage(&self, storage_id: u64) -> Result<(PartitionId, Arc<Mutex<Live>>), EngineError> {
        self.directory.read().by_storage.get(&storage_id).cloned().ok_or(EngineError::UnknownStorage { storage_id })
    }
}

impl Directory {
    fn insert(&mut self, record: StoredRecord, state: AppliedState) {
        let (deletions, outcomes) = (Deletions::until(state.applied.index), OutcomeIndex::default());
        let live = Arc::new(Mutex::new(Live { state, outcomes, deletions, trimmed: None, dropped: false }));
        self.by_storage.insert(record.storage_id, (record.partition_id, live.clone()));
        self.records.insert(record.partition_id, (record, live));
    }

    fn remove(&mut self, partition_id: PartitionId) {
        if let Some((record, live)) = self.records.remove(&partition_id) {
            self.by_storage.remove(&record.storage_id);
            live.lock().dropped = true;
        }
    }
}

fn storage_ids(
    snapshot: &impl StoreSnapshot,
    range: (Bound<Bytes>, Bound<Bytes>),
) -> Result<BTreeSet<u64>, EngineError> {
    let mut ids = BTreeSet::new();
    for pair in snapshot.range(range.0, range.1, true) {
        let (key, _) = pair?;
        let id: [u8; 8] = key[layout::HEADER_BYTES..].try_into().map_err(|_| EngineError::Damaged {
            what: "list of storage ids",
            reason: "a key has the wrong length".into(),
        })?;
        ids.insert(u64::from_be_bytes(id));
    }
    Ok(ids)
}

/// Writes down that a replica is damaged; the first reason stays.
fn damage(record: &mut StoredRecord, reason: String, changes: &mut Changes) -> Result<(), EngineError> {
    if record.damaged.is_none() {
        tracing::error!(partition_id = %record.partition_id, reason, "a replica is damaged");
        record.damaged = Some(reason);
        changes.put(layout::record(record.partition_id), record.encode()?);
    }
    Ok(())
}

fn compare_with_marker(
    snapshot: &impl StoreSnapshot,
    directory: &mut Directory,
    entry: &MarkerEntry,
    changes: &mut Changes,
) -> Result<(), EngineError> {
    match directory.records.get_mut(&entry.partition_id) {
        Some((record, live)) if record.log_id == entry.log_id => {
            let applied = live.lock().state.applied.index;
            if applied < entry.applied_index {
                let reason = format!(
                    "items: the data went back to entry {applied}, though entry {} was durable: the disk lost writes",
                    entry.applied_index
                );
                damage(record, reason, changes)?;
            }
        }
        Some((record, _)) if record.replica_id >= entry.replica_id => {}
        _ => {
            let tombstone = layout::tombstone(entry.partition_id);
            let buried = match snapshot.get(&tombstone)? {
                Some(bytes) => record::decode_tombstone(&bytes)?,
                None => ReplicaId(0),
            };
            if buried < entry.replica_id {
                tracing::error!(
                    partition_id = %entry.partition_id,
                    replica_id = entry.replica_id.0,
                    "the replica's record is lost: the disk lost writes; the replica must be replaced"
                );
                changes.put(tombstone, record::encode_tombstone(entry.replica_id));
            }
        }
    }
    Ok(())
}

impl<S> fmt::Debug for Engine<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("replicas", &self.directory.read().records.len()).finish_non_exhaustive()
    }
}
