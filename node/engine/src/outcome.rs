//! The outcomes of recent requests, kept so that a retry under the same id gets the first answer.
//!
//! ```text
//! outcome (version 1)
//! 0   1  version: 1
//! 1   8  its position, big-endian
//! 9   …  the outcome itself, as replication encodes it
//!
//! outcome's place (version 1, 33 bytes)
//! 0   1  version: 1
//! 1   16 request id
//! 17  8  entry time, big-endian
//! 25  8  bytes it counts, big-endian
//! ```
//!
//! Positions are given in the order of the log. The oldest outcomes go first, as soon as those kept are more, or larger,
//! or older (by entry time) than the limits. A position that was once too old, too many or too much stays so with every
//! later entry, so what is kept depends only on the last entry applied and not on how entries were batched: replicas agree.

use crate::{
    Changes, EngineError, Outcome, Store, layout,
    record::{OutcomeWindow, versioned},
};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use cairn_model::{ids::RequestId, time::Timestamp};
use std::collections::HashMap;

/// Outcomes kept for a partition. The limits are part of the replicated state: change them only with a format version.
pub const OUTCOME_COUNT_MAX: u64 = 32_768;
/// Bytes of outcomes kept for a partition.
pub const OUTCOME_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Age, by entry time, up to which an outcome is kept for a partition.
pub const OUTCOME_AGE_MS_MAX: u64 = 5 * 60 * 1000;

const OUTCOME_VERSION: u8 = 1;
const PLACE_VERSION: u8 = 1;
const PLACE_BYTES: usize = 33;
const OUTCOME_HEADER_BYTES: usize = 9;

/// Where an outcome stands in the order in which outcomes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    request_id: RequestId,
    entry_time: Timestamp,
    bytes: u64,
}

impl Place {
    fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(PLACE_BYTES);
        bytes.put_u8(PLACE_VERSION);
        bytes.put_slice(&self.request_id.0);
        bytes.put_u64(self.entry_time.0);
        bytes.put_u64(self.bytes);
        bytes.freeze()
    }

    fn decode(bytes: &[u8]) -> Result<Self, EngineError> {
        let mut rest = versioned("outcome's place", bytes, PLACE_VERSION)?;
        if bytes.len() != PLACE_BYTES {
            return Err(EngineError::Damaged {
                what: "outcome's place",
                reason: format!("it has {} bytes", bytes.len()),
            });
        }
        let mut request_id = [0; 16];
        rest.copy_to_slice(&mut request_id);
        Ok(Self { request_id: RequestId(request_id), entry_time: Timestamp(rest.get_u64()), bytes: rest.get_u64() })
    }
}

fn encode(position: u64, value: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(OUTCOME_HEADER_BYTES + value.len());
    bytes.put_u8(OUTCOME_VERSION);
    bytes.put_u64(position);
    bytes.put_slice(value);
    bytes.freeze()
}

fn decode(stored: &Bytes) -> Result<(u64, Bytes), EngineError> {
    let mut rest = versioned("outcome", stored, OUTCOME_VERSION)?;
    if rest.len() < 8 {
        return Err(EngineError::Damaged { what: "outcome", reason: format!("it has {} bytes", stored.len()) });
    }
    Ok((rest.get_u64(), stored.slice(OUTCOME_HEADER_BYTES..)))
}

pub(crate) fn get<S: Store>(store: &S, storage_id: u64, request_id: &RequestId) -> Result<Option<Bytes>, EngineError> {
    match store.get(&layout::outcome(storage_id, request_id))? {
        Some(stored) => Ok(Some(decode(&stored)?.1)),
        None => Ok(None),
    }
}

/// Adds outcomes to a batch and takes out those that the limits no longer allow at `now`; gives the new window.
pub(crate) fn apply<S: Store>(
    store: &S,
    storage_id: u64,
    mut window: OutcomeWindow,
    outcomes: &[Outcome],
    now: Timestamp,
    changes: &mut Changes,
) -> Result<OutcomeWindow, EngineError> {
    let before = window;
    let mut added: Vec<Place> = Vec::with_capacity(outcomes.len());
    for outcome in outcomes {
        let place = Place {
            request_id: outcome.request_id,
            entry_time: outcome.entry_time,
            bytes: (OUTCOME_HEADER_BYTES + outcome.value.len() + PLACE_BYTES) as u64,
        };
        changes.put(layout::outcome(storage_id, &outcome.request_id), encode(window.next, &outcome.value));
        changes.put(layout::outcome_place(storage_id, window.next), place.encode());
        window.next += 1;
        window.bytes += place.bytes;
        added.push(place);
    }
    let mut renewed: Option<HashMap<RequestId, u64>> = None;
    while window.first < window.next {
        let position = window.first;
        let oldest = match position.checked_sub(before.next) {
            Some(at) => added[at as usize],
            None => {
                let stored = store.get(&layout::outcome_place(storage_id, position))?.ok_or_else(|| {
                    EngineError::Damaged { what: "outcome's place", reason: format!("position {position} is missing") }
                })?;
                Place::decode(&stored)?
            }
        };
        let too_old = now.millis().saturating_sub(oldest.entry_time.millis()) > OUTCOME_AGE_MS_MAX;
        if !too_old && window.next - window.first <= OUTCOME_COUNT_MAX && window.bytes <= OUTCOME_BYTES_MAX {
            break;
        }
        changes.delete(layout::outcome_place(storage_id, position));
        let last_positions = renewed.get_or_insert_with(|| {
            added.iter().zip(before.next..).map(|(place, position)| (place.request_id, position)).collect()
        });
        let last_position = match last_positions.get(&oldest.request_id) {
            Some(position) => Some(*position),
            None => match store.get(&layout::outcome(storage_id, &oldest.request_id))? {
                Some(stored) => Some(decode(&stored)?.0),
                None => None,
            },
        };
        if last_position == Some(position) {
            changes.delete(layout::outcome(storage_id, &oldest.request_id));
        }
        window.bytes = window.bytes.saturating_sub(oldest.bytes);
        window.first += 1;
    }
    Ok(window)
}
