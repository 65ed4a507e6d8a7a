//! The outcomes of recent requests, kept so that a retry under the same id gets the first answer.
//!
//! ```text
//! outcomes of one entry (version 1; numbers big-endian), under the position of the first of them
//! 0   1  version: 1
//! 1   8  entry time
//! 9   4  how many there are, and for each
//!        16  request id
//!        4   n, n bytes of the outcome itself, as replication encodes it
//! ```
//!
//! Positions are given in the order of the log. The outcomes of an entry go together, oldest first, as soon as those kept
//! are more, or larger, or older (by entry time) than the limits. What was once too old, too many or too much stays so with
//! every later entry, so what is kept depends only on the last entry applied and not on how entries were batched: replicas
//! agree. (Entry times rise strictly along a log, so outcomes of one time are those of one entry.)
//!
//! Which request is where is known in memory, read from the store when first asked for: nearly every request is a new
//! one, and finding that in the store is dear.

use crate::{
    Changes, EngineError, Outcome, Store, StoreSnapshot, layout,
    record::{OutcomeWindow, versioned},
};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use cairn_model::{ids::RequestId, time::Timestamp};
use std::{
    collections::{HashMap, VecDeque},
    ops::Bound,
};

/// Outcomes kept for a partition: at 25,000 writes a second those of the last ten seconds, which is how long a router
/// goes on trying. The limits are part of the replicated state: change them only with a format version.
pub const OUTCOME_COUNT_MAX: u64 = 262_144;
/// Bytes of outcomes kept for a partition.
pub const OUTCOME_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// Age, by entry time, up to which an outcome is kept for a partition.
pub const OUTCOME_AGE_MS_MAX: u64 = 5 * 60 * 1000;

const VERSION: u8 = 1;
const HEADER_BYTES: usize = 13;
const OUTCOME_BYTES_MIN: usize = 20;

/// The stored outcomes of one entry.
#[derive(Clone, Debug)]
struct EntryOutcomes {
    entry_time: Timestamp,
    count: u32,
    stored: Bytes,
}

impl EntryOutcomes {
    /// Of one entry: not empty, and with one entry time.
    fn encode(outcomes: &[Outcome]) -> Self {
        let entry_time = outcomes.first().map_or(Timestamp(0), |outcome| outcome.entry_time);
        let bytes: usize = outcomes.iter().map(|outcome| OUTCOME_BYTES_MIN + outcome.value.len()).sum();
        let mut stored = BytesMut::with_capacity(HEADER_BYTES + bytes);
        stored.put_u8(VERSION);
        stored.put_u64(entry_time.0);
        stored.put_u32(outcomes.len() as u32);
        for outcome in outcomes {
            stored.put_slice(&outcome.request_id.0);
            stored.put_u32(outcome.value.len() as u32);
            stored.put_slice(&outcome.value);
        }
        Self { entry_time, count: outcomes.len() as u32, stored: stored.freeze() }
    }

    fn decode(stored: Bytes) -> Result<Self, EngineError> {
        let mut header = versioned("outcomes", &stored, VERSION)?;
        if stored.len() < HEADER_BYTES {
            return Err(damaged(format!("they have {} bytes", stored.len())));
        }
        let entry_time = Timestamp(header.get_u64());
        let count = header.get_u32();
        if count == 0 {
            return Err(damaged("an entry has none".into()));
        }
        Ok(Self { entry_time, count, stored })
    }

    fn read<S: Store>(store: &S, storage_id: u64, position: u64) -> Result<Self, EngineError> {
        let stored = store.get(&layout::outcomes(storage_id, position))?;
        Self::decode(stored.ok_or_else(|| damaged(format!("those at position {position} are missing")))?)
    }

    fn bytes(&self) -> u64 {
        self.stored.len() as u64
    }

    fn each(&self, mut take: impl FnMut(RequestId, Bytes)) -> Result<(), EngineError> {
        let mut rest = self.stored.slice(HEADER_BYTES..);
        for _ in 0..self.count {
            if rest.len() < OUTCOME_BYTES_MIN {
                return Err(damaged("they end too early".into()));
            }
            let mut request_id = [0; 16];
            rest.copy_to_slice(&mut request_id);
            let length = rest.get_u32() as usize;
            if rest.len() < length {
                return Err(damaged("one ends too early".into()));
            }
            take(RequestId(request_id), rest.split_to(length));
        }
        if rest.is_empty() { Ok(()) } else { Err(damaged("bytes are left behind their end".into())) }
    }
}

fn damaged(reason: String) -> EngineError {
    EngineError::Damaged { what: "outcomes", reason }
}

/// Where the outcomes of a replica are, for one that was asked lately.
#[derive(Debug, Default)]
pub(crate) struct OutcomeIndex {
    positions: Option<HashMap<RequestId, u64>>,
    /// Those of the oldest entry, once they were looked at.
    oldest: Option<EntryOutcomes>,
    /// Calls of [`Self::rest`] since it was last asked.
    unasked: u32,
}

impl OutcomeIndex {
    /// What a request came to, if that is still kept.
    pub(crate) fn get<S: Store>(
        &mut self,
        store: &S,
        storage_id: u64,
        window: OutcomeWindow,
        request_id: &RequestId,
    ) -> Result<Option<Bytes>, EngineError> {
        self.unasked = 0;
        let positions = match &mut self.positions {
            Some(positions) => positions,
            none => none.insert(read_positions(store, storage_id, window)?),
        };
        let Some(position) = positions.get(request_id) else { return Ok(None) };
        let mut found = None;
        EntryOutcomes::read(store, storage_id, *position)?.each(|id, value| {
            if id == *request_id {
                found = Some(value);
            }
        })?;
        Ok(found)
    }

    /// Gives the memory back if nothing was asked in the last `times_max` calls.
    pub(crate) fn rest(&mut self, times_max: u32) {
        self.unasked = self.unasked.saturating_add(1);
        if self.unasked > times_max {
            self.positions = None;
        }
    }
}

fn read_positions<S: Store>(
    store: &S,
    storage_id: u64,
    window: OutcomeWindow,
) -> Result<HashMap<RequestId, u64>, EngineError> {
    let mut positions = HashMap::new();
    let mut position = window.first;
    let lower = Bound::Included(layout::outcomes(storage_id, window.first));
    let upper = Bound::Excluded(layout::outcomes(storage_id, window.next));
    for pair in store.snapshot().range(lower, upper, true) {
        let (key, stored) = pair?;
        if key != layout::outcomes(storage_id, position) {
            return Err(damaged(format!("those at position {position} are missing")));
        }
        let outcomes = EntryOutcomes::decode(stored)?;
        outcomes.each(|request_id, _| {
            positions.insert(request_id, position);
        })?;
        position += u64::from(outcomes.count);
    }
    if position == window.next { Ok(positions) } else { Err(damaged(format!("they end at position {position}"))) }
}

/// A change of what is kept, to be made to the index once it is committed.
#[derive(Debug)]
pub(crate) struct OutcomeChanges {
    pub(crate) window: OutcomeWindow,
    added: VecDeque<(u64, EntryOutcomes)>,
    gone: Vec<(u64, EntryOutcomes)>,
    oldest: Option<EntryOutcomes>,
}

impl OutcomeChanges {
    /// Adds outcomes to a batch and takes out those that the limits no longer allow at `now`.
    pub(crate) fn plan<S: Store>(
        store: &S,
        storage_id: u64,
        index: &OutcomeIndex,
        mut window: OutcomeWindow,
        outcomes: &[Outcome],
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<Self, EngineError> {
        let mut added = VecDeque::new();
        for of_entry in outcomes.chunk_by(|one, next| one.entry_time == next.entry_time) {
            let of_entry = EntryOutcomes::encode(of_entry);
            changes.put(layout::outcomes(storage_id, window.next), of_entry.stored.clone());
            added.push_back((window.next, of_entry.clone()));
            window.next += u64::from(of_entry.count);
            window.bytes += of_entry.bytes();
        }
        let mut gone = Vec::new();
        let mut oldest = index.oldest.clone();
        while window.first < window.next {
            let first = match (oldest.take(), added.front()) {
                (Some(oldest), _) => oldest,
                (None, Some((position, first))) if *position == window.first => first.clone(),
                _ => EntryOutcomes::read(store, storage_id, window.first)?,
            };
            let too_old = now.millis().saturating_sub(first.entry_time.millis()) > OUTCOME_AGE_MS_MAX;
            if !too_old && window.next - window.first <= OUTCOME_COUNT_MAX && window.bytes <= OUTCOME_BYTES_MAX {
                oldest = Some(first);
                break;
            }
            changes.delete(layout::outcomes(storage_id, window.first));
            let position = window.first;
            window.first += u64::from(first.count);
            window.bytes = window.bytes.saturating_sub(first.bytes());
            if added.front().is_some_and(|(added, _)| *added == position) {
                added.pop_front();
            } else {
                gone.push((position, first));
            }
        }
        Ok(Self { window, added, gone, oldest })
    }

    /// Makes the index that of what is committed now.
    pub(crate) fn finish(self, index: &mut OutcomeIndex) -> Result<(), EngineError> {
        index.oldest = self.oldest;
        let Some(positions) = &mut index.positions else { return Ok(()) };
        for (position, outcomes) in self.added {
            outcomes.each(|request_id, _| {
                positions.insert(request_id, position);
            })?;
        }
        for (position, outcomes) in self.gone {
            outcomes.each(|request_id, _| {
                // One that came again is somewhere else by now.
                if positions.get(&request_id) == Some(&position) {
                    positions.remove(&request_id);
                }
            })?;
        }
        Ok(())
    }
}
