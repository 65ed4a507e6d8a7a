//! A table's part in filling its new global indexes: its items are shown again in the log, a page an entry, each as every earlier
//! write leaves it.

use super::{Beside, Propose, Proposer, ProposerError, Round, Undecided};
use crate::{
    entry::{EntryBody, ShownItems},
    feed::{Filled, Progress},
    indexes,
};
use bytes::Bytes;
use cairn_engine::{IndexChange, IndexEffect, Kept, Store, global_index};
use cairn_model::{ids::TableId, index::GlobalIndex, key::EncodedKey};
use std::ops::Bound;

/// Entries that an index takes before it is written down that the log need not be kept for it up to there.
const FED_STEP: u64 = 128;
/// Items of a page, and their bytes.
const ITEMS_MAX: usize = 512;
const BYTES_MAX: usize = 256 << 10;

impl Proposer {
    /// It may be time to show items again, or to write down how much of the log an index has.
    pub(crate) fn keep_showing(&mut self) {
        self.showing_due = true;
    }

    /// As long as it is held no more items are shown: an index is behind.
    pub(crate) fn hold_showing(&mut self, is_held: bool) {
        self.showing_due |= self.showing_held && !is_held;
        self.showing_held = is_held;
    }

    /// Up to which entry the index was last said to have all of them.
    pub(crate) fn fed(&self, index: TableId) -> Option<u64> {
        self.feeds.told.get(&index).copied()
    }

    /// An index has all entries up to this one.
    pub(crate) fn note_fed(&mut self, index: TableId, upto: u64) {
        let told = self.feeds.told.entry(index).or_default();
        *told = upto.max(*told);
    }

    /// The next page, for the first index that is not filled yet; none while one is under way.
    pub(super) fn show<S: Store>(
        &mut self,
        round: &mut Round<'_, S>,
        propose: Propose<'_>,
    ) -> Result<(), ProposerError> {
        if !std::mem::take(&mut self.showing_due) || self.in_flight.iter().any(|entry| entry.shows) {
            return Ok(());
        }
        let mut unfilled = None;
        for index in &round.definition.global_indexes {
            let kept = round.engine.kept(round.storage_id, &Kept::Filled(index.index_id))?;
            let filled = Filled::of(kept.as_ref())?;
            let told = self.fed(index.index_id).unwrap_or_default();
            // First of all, and of those that are not filled either: until then the log is kept.
            if let Some(filled) = filled.clone().filter(|filled| told >= filled.fed + FED_STEP) {
                let filled = Filled { fed: told, ..filled };
                return self.propose_shown(round, index, &filled, (Vec::new(), Vec::new()), propose);
            }
            // One that was not begun needs none of the log yet.
            let is_held = self.showing_held && filled.is_some();
            if unfilled.is_none() && !is_held && !filled.as_ref().is_some_and(Filled::is_done) {
                unfilled = Some((index, filled));
            }
        }
        match unfilled {
            Some((index, filled)) => self.show_page(round, index, filled, propose),
            None => Ok(()),
        }
    }

    fn show_page<S: Store>(
        &mut self,
        round: &mut Round<'_, S>,
        index: &GlobalIndex,
        filled: Option<Filled>,
        propose: Propose<'_>,
    ) -> Result<(), ProposerError> {
        let after = match &filled {
            Some(Filled { progress: Progress::Behind(key), .. }) => Some(key.clone()),
            _ => None,
        };
        let lower = after.as_ref().map_or(Bound::Unbounded, |key| Bound::Excluded(&key.0[..]));
        let (mut items, mut index_changes) = (Vec::new(), Vec::new());
        let (mut looked_at, mut bytes, mut last): (usize, usize, Option<EncodedKey>) = (0, 0, None);
        let mut is_end = true;
        for pair in round.engine.scan(round.storage_id, lower, Bound::Unbounded, true) {
            if looked_at >= ITEMS_MAX || bytes >= BYTES_MAX {
                is_end = false;
                break;
            }
            let (key, stored) = pair?;
            looked_at += 1;
            bytes += key.0.len() + stored.len();
            last = Some(key.clone());
            // As of every write under way: what it changes in the index since the scan is before this entry in the log.
            let current = match self.current(round, &key) {
                Ok(current) => current,
                Err(Undecided::Fatal(error)) => return Err(error),
                // Damage of this disk: the next leader may be able to read it.
                Err(Undecided::Refused(error)) => {
                    let index = &index.index_name;
                    tracing::error!(index, error = error.message, "failed to read an item that a new index is to have");
                    return Ok(());
                }
            };
            let Some(version) = current.filter(|version| !version.is_tombstone()) else { continue };
            let Ok(place) = index.key_of(&key, indexes::item_of(Some(&version)).unwrap_or(&version.item)) else {
                return Ok(());
            };
            if let Some(place) = place {
                let byte = global_index(index.slot);
                index_changes.push(IndexChange { index: byte, effect: IndexEffect::Put, key: place.0, size_change: 0 });
                items.push((key, version.encode()));
            }
        }
        // What is under way is not in the scan: it comes from the log.
        let start = filled.as_ref().map_or(round.place, |filled| filled.start);
        let progress = match last.filter(|_| !is_end) {
            Some(last) => Progress::Behind(last),
            None => Progress::Done(round.next_index),
        };
        let told = self.fed(index.index_id).unwrap_or_default();
        let fed = filled.map_or(start.index, |filled| filled.fed).max(told);
        self.propose_shown(round, index, &Filled { start, progress, fed }, (items, index_changes), propose)
    }

    fn propose_shown<S>(
        &mut self,
        round: &mut Round<'_, S>,
        index: &GlobalIndex,
        filled: &Filled,
        (items, index_changes): (Vec<(EncodedKey, Bytes)>, Vec<IndexChange>),
        propose: Propose<'_>,
    ) -> Result<(), ProposerError> {
        let body = EntryBody::Shown(ShownItems { index: index.index_id, filled: filled.encode()?, items });
        self.last_time = self.last_time.next(round.wall_ms);
        let beside = Beside { index_changes, ..Beside::default() };
        match self.propose(round, body, beside, propose)? {
            Some(entry) => entry.shows = true,
            None => self.discard(std::iter::empty()),
        }
        Ok(())
    }
}
