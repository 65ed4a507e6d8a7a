//! Deleting what has expired.

use super::{Step, StepLimits};
use crate::{
    entry::{Effect, EntryBody, EntryWrite},
    expirations, indexes,
    proposer::{Propose, Proposer, ProposerError, Round, Undecided},
    stream::StreamChange,
};
use bytes::Bytes;
use cairn_engine::{IndexChange, Store};
use cairn_model::{
    codec::{EncodedItem, StoredVersion},
    ids::RequestId,
    key::EncodedKey,
    table::TimeToLive,
    ttl,
};
use std::ops::Bound;

impl Proposer {
    /// Deletes what has expired.
    pub(super) fn reap<S: Store>(
        &mut self,
        round: &mut Round<'_, S>,
        by: &TimeToLive,
        limits: StepLimits,
        propose: Propose<'_>,
    ) -> Result<(), ProposerError> {
        let mut step = Step::default();
        let mut looked_at = 0;
        let [lower, upper] = expirations::bounds(&ttl::due(round.wall_ms));
        let from = self.expiry.from.clone();
        let lower = Bound::Included((&from[..]).max(&lower[..]));
        let mut next = Bytes::copy_from_slice(&upper);
        for in_index in round.engine.expirations(round.storage_id, lower, Bound::Excluded(&upper)) {
            let in_index = in_index?;
            looked_at += 1;
            if !self.reap_one(round, by, &in_index, &mut step)? {
                step.left.get_or_insert(in_index.clone());
            }
            if looked_at >= limits.count || step.bytes >= limits.bytes {
                next = in_index;
                break;
            }
        }
        self.expiry.from = step.left.take().unwrap_or(next);
        if looked_at == 0 {
            self.expiry.idle_boot_ms = Some(round.boot_ms);
        }
        if step.is_empty() {
            return Ok(());
        }
        let keys = step.writes.iter().map(|write| write.key.clone()).collect();
        self.last_time = self.last_time.next(round.wall_ms);
        self.propose_expiry(round, (EntryBody::Writes(step.writes), step.beside), keys, propose)
    }

    /// Deletes the item that has a place, or removes a place that no item has; false where it has to be looked at again.
    fn reap_one<S: Store>(
        &mut self,
        round: &Round<'_, S>,
        by: &TimeToLive,
        in_index: &Bytes,
        step: &mut Step,
    ) -> Result<bool, ProposerError> {
        let Some((expiry, key)) = expirations::parse_index_key(in_index) else {
            step.beside.index_changes.push(expirations::removal(in_index.clone()));
            return Ok(true);
        };
        // The write under way changes the index too: what it leaves there is looked at then. So may a transaction.
        if self.overlay.get(&key).is_some() || self.transactions.has_locked(&key) {
            return Ok(false);
        }
        let version = match self.current(round, &key) {
            Ok(version) => version.filter(|version| !version.is_tombstone()),
            Err(Undecided::Fatal(error)) => return Err(error),
            // What can't be read here is damage of this disk: it stays.
            Err(Undecided::Refused(_)) => return Ok(true),
        };
        let current = version.as_ref().map(|version| ttl::expiry_of(&version.item, &by.attribute_name)).transpose();
        let Ok(current) = current else { return Ok(true) };
        let Some(version) = version.filter(|_| current.flatten() == Some(expiry)) else {
            step.beside.index_changes.push(expirations::removal(in_index.clone()));
            return Ok(true);
        };
        step.bytes += key.0.len() + version.item.0.len();
        let Some((size, changes)) = deletion(round, &key, &version.item) else { return Ok(true) };
        self.last_time = self.last_time.max(version.version_time).next(round.wall_ms);
        let version_time = self.last_time;
        let tombstone = || StoredVersion::tombstone(version_time, Bytes::new()).encode();
        self.overlay.put(key.clone(), round.replicas().map(|_| tombstone()), round.next_index);
        step.beside.index_changes.extend(changes);
        let stream = round.definition.current_stream();
        step.beside.stream_changes.extend(StreamChange::of(stream, Some(&version.item), None, true));
        step.writes.push(EntryWrite {
            request_id: RequestId([0; 16]),
            key,
            effect: Effect::Expire,
            version_time,
            size_change: -i64::from(size),
            count_change: -1,
            outcome: Bytes::new(),
        });
        Ok(true)
    }
}

/// The size of an item that goes, and what that changes in indexes; none where it can't be read.
fn deletion<S>(round: &Round<'_, S>, key: &EncodedKey, item: &EncodedItem) -> Option<(u32, Vec<IndexChange>)> {
    let effects = indexes::effects(round.definition, key, Some(item), None).ok()?;
    Some((item.size().ok()?, effects.changes))
}
