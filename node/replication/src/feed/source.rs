//! The table's side: batches made of its committed log. All of it blocks.

use super::{FEED_WRITES_MAX, Fed, FeedBatch, FeedChanges, FeedWrite, Filled, Progress};
use crate::{
    entry::{Effect, Entry, EntryBody, EntryError, EntryWrite, RemoteEffect},
    log::{LogError, LogStore},
    wire::WireError,
};
use bytes::Bytes;
use cairn_engine::{Engine, EngineError, GlobalPoint, IndexEffect, Kept, Store, global_index};
use cairn_model::{
    ServiceError,
    codec::{CodecError, EncodedItem, StoredVersion},
    ids::{PartitionId, TableId},
    index::{GlobalIndex, ProjectionType, base_key_of_global},
    key::EncodedKey,
};
use std::collections::{HashMap, HashSet};

#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    #[error("the node holds no replica of the partition")]
    UnknownPartition,
    #[error("the table has no such index any more")]
    UnknownIndex,
    #[error("the partition's leader has yet to begin to fill the index: try again")]
    NotBegun,
    #[error("this replica has applied entry {applied} of those up to {needed}: ask the leader")]
    Behind { applied: u64, needed: u64 },
    #[error(
        "the log here begins behind entry {0}, where the index is: where no replica has more, delete the index and add it again"
    )]
    Gone(u64),
    #[error("failed to read the log")]
    Log(#[from] LogError),
    #[error("failed to read what is kept of the index")]
    Engine(#[from] EngineError),
    #[error("failed to read an entry of the log: {0}")]
    Entry(String),
    #[error("failed to read what is kept of the index")]
    Kept(#[from] WireError),
    #[error(transparent)]
    Codec(#[from] CodecError),
    #[error("failed to tell where an item is in the index: {0}")]
    Item(ServiceError),
}

impl From<EntryError> for FeedError {
    fn from(error: EntryError) -> Self {
        Self::Entry(error.to_string())
    }
}

/// One replica of a table with a global index, as of now.
pub struct Source<'a> {
    log: &'a dyn LogStore,
    point: GlobalPoint,
    index: GlobalIndex,
    filled: Filled,
}

impl<'a> Source<'a> {
    pub fn of<S: Store>(
        engine: &Engine<S>,
        log: &'a dyn LogStore,
        partition: PartitionId,
        index: TableId,
    ) -> Result<Self, FeedError> {
        let replica = engine.replica(partition).ok_or(FeedError::UnknownPartition)?;
        let point = engine.global_point(replica.storage_id)?;
        let indexes = &point.replica.definition.global_indexes;
        let index = indexes.iter().find(|known| known.index_id == index).cloned().ok_or(FeedError::UnknownIndex)?;
        let kept = engine.kept(replica.storage_id, &Kept::Filled(index.index_id))?;
        let filled = Filled::of(kept.as_ref())?.ok_or(FeedError::NotBegun)?;
        Ok(Self { log, point, index, filled })
    }

    /// How much of what was there before the index was shown to it, from 0 to 1.
    pub(crate) fn filled(&self) -> f64 {
        self.filled.share()
    }

    /// The next batch for the index, of about `bytes_max` bytes: none if it has all that is applied here.
    pub fn batch(&self, fed: &Fed, bytes_max: usize) -> Result<Option<FeedBatch>, FeedError> {
        let replica = &self.point.replica;
        let place = fed.place.unwrap_or(self.filled.start);
        let applied = replica.applied.index;
        if place.index > applied {
            return Err(FeedError::Behind { applied, needed: place.index });
        }
        if self.log.state(replica.log_id)?.start.index > place.index {
            return Err(FeedError::Gone(place.index));
        }
        if place.index == applied {
            return Ok(None);
        }
        let entries = self.log.entries(replica.log_id, place.index + 1, applied + 1, bytes_max as u64)?;
        let (mut through, mut writes) = (place, Vec::new());
        for entry in &entries {
            if let Some(entry) = through.pass(entry)? {
                self.gather(entry, &mut writes)?;
            }
            if writes.len() >= FEED_WRITES_MAX {
                break;
            }
        }
        let complete = fed.complete || matches!(self.filled.progress, Progress::Done(at) if at <= through.index);
        Ok(Some(FeedBatch {
            source: replica.partition_id,
            index: self.index.index_id,
            changes: Some(FeedChanges { after: fed.place, through, complete, writes }),
        }))
    }

    /// What a valid entry changes in the index.
    fn gather(&self, entry: Entry, writes: &mut Vec<FeedWrite>) -> Result<(), FeedError> {
        let byte = global_index(self.index.slot);
        let changes: Vec<_> = entry.index_changes.into_iter().filter(|change| change.index == byte).collect();
        if changes.is_empty() {
            return Ok(());
        }
        let versions = versions(entry.body);
        // Of several changes of one place the last counts; the others would only make a batch large.
        let mut places = HashSet::new();
        for change in changes.into_iter().rev() {
            let key = EncodedKey(change.key);
            if !places.insert(key.clone()) {
                continue;
            }
            let version = match change.effect {
                IndexEffect::Remove => None,
                IndexEffect::Put | IndexEffect::Resize => {
                    let base_key = base_key_of_global(&key, &self.index.key_schema)?;
                    // Of several writes of an item in one entry only the last is there to be seen, and where it is not in this
                    // place of the index any more, its removal comes behind.
                    let version = versions.get(&base_key);
                    let missing = CodecError::Damaged("an entry puts into an index what it does not put");
                    Some(self.shown(version.ok_or(missing)?)?)
                }
            };
            writes.push(FeedWrite { key, version });
        }
        Ok(())
    }

    /// What the index shows of an item.
    fn shown(&self, version: &Bytes) -> Result<Bytes, FeedError> {
        if self.index.projection.projection_type == ProjectionType::All {
            return Ok(version.clone());
        }
        let mut version = StoredVersion::parse(version.clone())?;
        let item = self.index.project(&self.point.replica.definition.key_schema, version.item.decode()?);
        version.item = EncodedItem::encode(&item);
        Ok(version.encode())
    }
}

/// The last version that an entry puts under each key.
fn versions(body: EntryBody) -> HashMap<EncodedKey, Bytes> {
    let remote = |(key, effect, version)| (effect == RemoteEffect::Put).then_some((key, version));
    match body {
        EntryBody::Writes(writes) => put(writes),
        EntryBody::Transaction(entry) => put(entry.writes),
        EntryBody::Remote(writes) => {
            let writes = writes.groups.into_iter().flat_map(|group| group.writes);
            writes.filter_map(|write| remote((write.key, write.effect, write.version))).collect()
        }
        EntryBody::Upkeep(upkeep) => {
            upkeep.taken_up.into_iter().filter_map(|write| remote((write.key, write.effect, write.version))).collect()
        }
        EntryBody::Shown(shown) => shown.items.into_iter().collect(),
        EntryBody::Descriptor(_) | EntryBody::Definition(_) | EntryBody::Expirations(_) | EntryBody::Fed(_) => {
            HashMap::new()
        }
    }
}

fn put(writes: Vec<EntryWrite>) -> HashMap<EncodedKey, Bytes> {
    let put = |write: EntryWrite| match write.effect {
        Effect::Put(version) => Some((write.key, version)),
        Effect::Delete | Effect::Expire | Effect::Nothing => None,
    };
    writes.into_iter().filter_map(put).collect()
}

impl std::fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source")
            .field("index", &self.index.index_name)
            .field("filled", &self.filled)
            .finish_non_exhaustive()
    }
}
