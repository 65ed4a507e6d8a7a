//! What a request that was evaluated does to one item, and what an entry says of that.

use super::{Proposer, Round, internal};
use crate::{
    entry::{Effect, EntryWrite},
    evaluate::Change,
    indexes::{self, IndexEffects},
    operation::WriteOutcome,
    stream::StreamChange,
};
use bytes::Bytes;
use cairn_engine::{IndexChange, Store};
use cairn_model::{
    ErrorKind, ServiceError, codec::StoredVersion, ids::RequestId, key::EncodedKey, limits::ITEM_COLLECTION_BYTES_MAX,
    time::Timestamp,
};

/// What is to be done to one item.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) key: EncodedKey,
    pub(super) version_time: Timestamp,
    pub(super) change: Change,
    pub(super) held_item: bool,
    /// Before and after.
    pub(super) sizes: (u32, u32),
}

/// What an entry says of its effects behind its body.
#[derive(Debug, Default)]
pub(super) struct Beside {
    pub(super) index_changes: Vec<IndexChange>,
    pub(super) stream_changes: Vec<StreamChange>,
}

impl Beside {
    pub(super) fn extend(&mut self, other: Self) {
        self.index_changes.extend(other.index_changes);
        self.stream_changes.extend(other.stream_changes);
    }
}

impl Proposer {
    /// Takes a write into the overlay; gives what it is in an entry.
    pub(super) fn take_in<S>(
        &mut self,
        round: &Round<'_, S>,
        request_id: RequestId,
        taken: Taken,
        outcome: Bytes,
    ) -> EntryWrite {
        let Taken { key, version_time, change, held_item, sizes: (before, after) } = taken;
        let (effect, holds_item) = match change {
            Change::Put(item) => {
                (Effect::Put(StoredVersion { version_time, origin: Bytes::new(), item }.encode()), true)
            }
            Change::Delete => (Effect::Delete, false),
            Change::Nothing => (Effect::Nothing, held_item),
        };
        match &effect {
            Effect::Put(version) => self.overlay.put(key.clone(), Some(version.clone()), round.next_index),
            Effect::Delete => {
                let tombstone = || StoredVersion::tombstone(version_time, Bytes::new()).encode();
                self.overlay.put(key.clone(), round.replicas().map(|_| tombstone()), round.next_index);
            }
            Effect::Nothing | Effect::Expire => {}
        }
        let size_change = if effect == Effect::Nothing { 0 } else { i64::from(after) - i64::from(before) };
        let count_change = i8::from(holds_item) - i8::from(held_item);
        EntryWrite { request_id, key, effect, version_time, size_change, count_change, outcome }
    }
}

/// What was evaluated, with what it changes in indexes.
pub(super) fn with_indexes<S: Store>(
    round: &Round<'_, S>,
    key: &EncodedKey,
    current: Option<&StoredVersion>,
    (change, mut outcome): (Change, WriteOutcome),
    is_decided: bool,
) -> Result<(Change, Vec<IndexChange>, WriteOutcome), ServiceError> {
    let before = indexes::item_of(current);
    let after = match &change {
        Change::Put(item) => Some(item),
        Change::Delete => None,
        Change::Nothing => before,
    };
    let IndexEffects { changes, writes } = indexes::effects(round.definition, key, before, after)?;
    if !round.definition.local_indexes.is_empty() {
        let of_item = match change {
            Change::Nothing => 0,
            Change::Put(_) | Change::Delete => i64::from(outcome.size_after) - i64::from(outcome.size_before),
        };
        let growth = of_item + changes.iter().map(|change| change.size_change).sum::<i64>();
        // Of what is applied: what is under way comes to little beside the limit.
        let before = round.engine.collection_bytes(round.storage_id, key).map_err(|error| internal(&error))?;
        let is_over = before.saturating_add_signed(growth) > ITEM_COLLECTION_BYTES_MAX;
        if growth > 0 && is_over && !is_decided {
            return Err(ServiceError::new(
                ErrorKind::ItemCollectionSizeLimitExceededException,
                "Item collection size limit of 10 GB exceeded.",
            ));
        }
        outcome.collection_bytes = Some(before.saturating_add_signed(growth));
    }
    outcome.indexes = writes;
    Ok((change, changes, outcome))
}

/// What a change of an item is in the table's stream, if it has one.
pub(super) fn stream_change<S>(
    round: &Round<'_, S>,
    current: Option<&StoredVersion>,
    change: &Change,
) -> Option<StreamChange> {
    let after = match change {
        Change::Put(item) => Some(item),
        Change::Delete => None,
        Change::Nothing => return None,
    };
    StreamChange::of(round.definition.current_stream(), indexes::item_of(current), after, false)
}
