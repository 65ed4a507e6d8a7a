//! A partition's data made from what was archived of another: a snapshot of it, and the log behind that.
//!
//! The log is applied by the rules that every replica applies it by, so what was void then is void here; of what requests
//! came to, nothing is kept. All of it blocks.
//!
//! A time that is restored to cuts entries by their times, and transactions over several tables by when they were decided, which
//! is before the entry that commits one here: of what lies behind the cut such entries count all the same
//! ([`crate::transaction`] says why that gives the items of that time).

mod filling;
mod indexes;
mod loaded;

pub use filling::Filling;
pub use loaded::{Loaded, LoadedVersion};

use crate::{
    apply::ReplicatedState,
    entry::{Effect, Entry, EntryBody, EntryError, EntryWrite},
    log::LogEntry,
    place::LogPlace,
};
use bytes::Bytes;
use cairn_engine::{Applied, ApplyBatch, Engine, EngineError, ItemWrite, Pressure, SnapshotWriter, Store};
use cairn_model::{
    codec::{CodecError, StoredVersion},
    descriptor::{KeyRange, PartitionDescriptor},
    table::TableDefinition,
    time::Timestamp,
};
use std::{sync::Arc, time::Duration};

/// Bytes of entries that become one batch.
const BATCH_BYTES: usize = 4 << 20;
/// For how long one batch waits while the store can't keep up with the node's other work, and how often it looks.
const PRESSURE_WAIT_MAX: Duration = Duration::from_secs(30);
const PRESSURE_PAUSE: Duration = Duration::from_millis(20);

#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error("failed to load what is restored")]
    Engine(#[from] EngineError),
    #[error("failed to read entry {index} of what is restored: {reason}")]
    Entry { index: u64, reason: String },
    #[error("failed to restore: {0}")]
    OutOfTurn(String),
}

/// When an entry of the log was stamped; none for one that is not.
pub fn entry_time(entry: &LogEntry) -> Option<Timestamp> {
    Entry::time_of(&entry.payload)
}

/// Whether an entry may prepare a transaction that is decided later elsewhere.
pub fn prepares(entry: &LogEntry) -> bool {
    if !Entry::is_of_transaction(&entry.payload) {
        return false;
    }
    match Entry::decode(entry.payload.clone()).map(|entry| entry.body) {
        Ok(EntryBody::Transaction(step)) => step.prepares(),
        _ => true,
    }
}

/// When what an entry writes came to be: of a transaction when it was decided.
fn effective_time(entry: &LogEntry) -> Result<Option<Timestamp>, EntryError> {
    if !Entry::is_of_transaction(&entry.payload) {
        return Ok(entry_time(entry));
    }
    let Entry { header, body, .. } = Entry::decode(entry.payload.clone())?;
    Ok(Some(decided_at(&body)?.unwrap_or(header.entry_time)))
}

/// When the transaction was decided that this commits, if it does.
fn decided_at(body: &EntryBody) -> Result<Option<Timestamp>, EntryError> {
    let EntryBody::Transaction(step) = body else { return Ok(None) };
    step.decided_at().map_err(|_| EntryError::Damaged("what is kept of a transaction can't be read"))
}

/// Data on its way in. Dropped before its end, what it loaded is reclaimed.
pub struct Restoration<S: Store> {
    engine: Arc<Engine<S>>,
    /// Present until it is given on.
    writer: Option<SnapshotWriter>,
    /// Once the snapshot is complete.
    state: Option<ReplicatedState>,
    /// Once an entry came that is behind the time restored to: how far the log was read.
    behind: Option<LogPlace>,
    batch: ApplyBatch,
    batch_bytes: usize,
    /// What entries after this time delete is kept, and then nothing of it can be given on.
    deletions_after: Option<Timestamp>,
}

/// Data that is complete, to become a partition's with [`crate::Host::adopt`].
#[derive(Debug)]
pub struct Restored {
    pub(crate) writer: SnapshotWriter,
    pub(crate) applied: Applied,
    range: KeyRange,
}

impl Restored {
    /// Of the partition that it is all of.
    pub fn range(&self) -> &KeyRange {
        &self.range
    }
}

impl<S: Store> Restoration<S> {
    pub fn begin(engine: Arc<Engine<S>>) -> Result<Self, RestoreError> {
        let writer = Some(engine.begin_load()?);
        let batch = ApplyBatch::default();
        Ok(Self { engine, writer, state: None, behind: None, batch, batch_bytes: 0, deletions_after: None })
    }

    /// Keeps what entries after this time delete, as [`LoadedVersion::Deleted`]; what is loaded can only be read then.
    pub fn keep_deletions(&mut self, after: Timestamp) {
        self.deletions_after = Some(after);
    }

    /// The next chunk of the snapshot.
    pub fn chunk(&mut self, chunk: &Bytes) -> Result<(), RestoreError> {
        let_others_go_first(&self.engine);
        let writer = self.writer.as_mut().ok_or_else(given_on)?;
        self.engine.load_items(writer, chunk)?;
        if let Some(record) = writer.is_complete().then(|| writer.record()).flatten() {
            self.state = Some(ReplicatedState {
                descriptor: Arc::new(record.descriptor),
                definition: Arc::new(record.definition),
                applied: record.applied,
                fed: Arc::default(),
            });
        }
        Ok(())
    }

    /// The next entry of the log; those that the snapshot has already are passed over.
    pub fn entry(&mut self, entry: &LogEntry) -> Result<(), RestoreError> {
        let state =
            self.state.as_mut().ok_or_else(|| RestoreError::OutOfTurn("the snapshot is not complete".into()))?;
        if entry.index <= state.applied.index {
            return Ok(());
        }
        if entry.index != state.applied.index + 1 {
            let due = state.applied.index + 1;
            return Err(RestoreError::OutOfTurn(format!("entry {} came where {due} was due", entry.index)));
        }
        if self.behind.is_some() {
            return Err(RestoreError::OutOfTurn(format!("entry {} came behind the end", entry.index)));
        }
        let before = self.batch.items.len();
        state.apply(entry, &mut self.batch).map_err(of_entry(entry))?;
        if let Some(after) = self.deletions_after
            && let Some(time) = effective_time(entry).map_err(of_entry(entry))?.filter(|time| *time > after)
        {
            let deleted = self.batch.items[before..].iter_mut().filter(|write| write.value.is_none());
            deleted.for_each(|write| write.value = Some(loaded::deleted(time)));
        }
        self.batch.outcomes.clear();
        self.batch_bytes += entry.payload.len();
        if self.batch_bytes >= BATCH_BYTES { self.write() } else { Ok(()) }
    }

    /// The next entry, where it or one before it is stamped after the time restored to: all there is to it is whether it commits
    /// a transaction that was decided by `at`.
    pub fn entry_behind(&mut self, entry: &LogEntry, at: Timestamp) -> Result<(), RestoreError> {
        let state =
            self.state.as_ref().ok_or_else(|| RestoreError::OutOfTurn("the snapshot is not complete".into()))?;
        let place = self.behind.get_or_insert_with(|| state.place());
        if entry.index <= place.index {
            return Ok(());
        }
        if entry.index != place.index + 1 {
            let due = place.index + 1;
            return Err(RestoreError::OutOfTurn(format!("entry {} came where {due} was due", entry.index)));
        }
        let Some(Entry { header, body, .. }) = place.pass(entry).map_err(of_entry(entry))? else { return Ok(()) };
        match (decided_at(&body).map_err(of_entry(entry))?, body) {
            (Some(decided_at), EntryBody::Transaction(step)) if decided_at <= at => {
                self.commit_behind(step.writes, decided_at, header.entry_time)
            }
            _ => Ok(()),
        }
    }

    /// What a transaction writes, on the items as of the time restored to: what lies between may have changed their sizes.
    fn commit_behind(
        &mut self,
        writes: Vec<EntryWrite>,
        decided_at: Timestamp,
        entry_time: Timestamp,
    ) -> Result<(), RestoreError> {
        self.write()?;
        let (Some(writer), Some(state)) = (&self.writer, &mut self.state) else { return Err(given_on()) };
        let kept = self.deletions_after.filter(|after| decided_at > *after).map(|_| loaded::deleted(decided_at));
        let applied = &mut state.applied;
        // Whoever goes on stamps above all that is there.
        applied.entry_time = applied.entry_time.max(entry_time);
        for EntryWrite { key, effect, .. } in writes {
            let value = match effect {
                Effect::Put(version) => Some(version),
                Effect::Delete | Effect::Expire => None,
                Effect::Nothing => continue,
            };
            let before = self.engine.loaded_item(writer, &key)?.filter(|value| !loaded::is_deleted(value));
            for (version, is_added) in [(before, false), (value.clone(), true)] {
                let Some(version) = version else { continue };
                let size = StoredVersion::parse(version).and_then(|version| version.item.size()).map_err(damaged)?;
                let (count, size) = if is_added { (1, i64::from(size)) } else { (-1, -i64::from(size)) };
                applied.item_count = applied.item_count.saturating_add_signed(count);
                applied.size_bytes = applied.size_bytes.saturating_add_signed(size);
            }
            self.batch.items.push(ItemWrite { key, value: value.or_else(|| kept.clone()) });
        }
        self.write()
    }

    /// The archived partition and table, as of the last entry so far; none before the snapshot is complete.
    pub fn archived(&self) -> Option<(&PartitionDescriptor, &TableDefinition)> {
        self.state.as_ref().map(|state| (&*state.descriptor, &*state.definition))
    }

    /// The end: what is loaded is complete.
    pub fn finish(mut self) -> Result<Restored, RestoreError> {
        self.write()?;
        // Here it holds up nobody: what is left to sync when the data is adopted is little.
        self.engine.store().persist().map_err(EngineError::from)?;
        if self.deletions_after.is_some() {
            return Err(RestoreError::OutOfTurn("what keeps deletions can only be read".into()));
        }
        let state = self.state.take().ok_or_else(|| RestoreError::OutOfTurn("the snapshot is not complete".into()))?;
        let writer = self.writer.take().ok_or_else(given_on)?;
        Ok(Restored { writer, applied: state.applied, range: state.descriptor.range.clone() })
    }

    /// The end, where what is loaded is only read.
    pub fn read(mut self) -> Result<Loaded<S>, RestoreError> {
        self.write()?;
        match self.state {
            Some(_) => Ok(Loaded::new(self)),
            None => Err(RestoreError::OutOfTurn("the snapshot is not complete".into())),
        }
    }

    fn write(&mut self) -> Result<(), RestoreError> {
        let_others_go_first(&self.engine);
        let writer = self.writer.as_ref().ok_or_else(given_on)?;
        let items = std::mem::take(&mut self.batch).items;
        self.batch_bytes = 0;
        Ok(self.engine.load_writes(writer, items)?)
    }
}

fn of_entry(entry: &LogEntry) -> impl Fn(EntryError) -> RestoreError {
    let index = entry.index;
    move |error| RestoreError::Entry { index, reason: error.to_string() }
}

fn damaged(error: CodecError) -> RestoreError {
    RestoreError::Engine(EngineError::Snapshot { reason: error.to_string() })
}

/// Data that is loaded can wait; what the node's tables take in can't.
fn let_others_go_first<S: Store>(engine: &Engine<S>) {
    let mut waited = Duration::ZERO;
    while waited < PRESSURE_WAIT_MAX && engine.pressure() == Pressure::High {
        std::thread::sleep(PRESSURE_PAUSE);
        waited += PRESSURE_PAUSE;
    }
}

fn given_on() -> RestoreError {
    RestoreError::OutOfTurn("it has ended".into())
}

impl<S: Store> Drop for Restoration<S> {
    fn drop(&mut self) {
        if let Some(writer) = self.writer.take()
            && let Err(error) = self.engine.abandon(writer)
        {
            tracing::error!(error = &error as &dyn std::error::Error, "failed to give up what was restored");
        }
    }
}

impl<S: Store> std::fmt::Debug for Restoration<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Restoration")
            .field("applied", &self.state.as_ref().map(|state| state.applied))
            .finish_non_exhaustive()
    }
}
