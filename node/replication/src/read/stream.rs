//! One page of a stream's records.

use super::{ReadError, ReadPlace};
use crate::{
    operation::{ShardBounds, StreamOutcome, StreamRequest},
    stream,
};
use cairn_engine::{Engine, EngineError, Store};
use cairn_model::{stream::SequenceNumber, time::Timestamp};

pub(super) fn read<S: Store>(
    engine: &Engine<S>,
    place: ReadPlace<'_>,
    request: &StreamRequest,
) -> Result<StreamOutcome, ReadError> {
    // Looked at before the records: everything up to here is among them.
    let latest = SequenceNumber::last_of(engine.entry_time(place.storage_id).unwrap_or_default());
    let horizon = SequenceNumber { time: request.horizon, ordinal: 0 };
    let begin = request.after.unwrap_or_else(|| horizon.before());
    let mut outcome = StreamOutcome {
        partition: place.partition,
        records: Vec::new(),
        last: begin,
        latest,
        trimmed: false,
        bounds: None,
        ended: false,
    };
    let mut bytes = 0;
    let mut is_full = request.limit == 0;
    let mut records = engine.stream_records(place.storage_id, request.stream, Some(begin));
    while !is_full {
        let Some(found) = records.next() else { break };
        let (number, record) = found?;
        if number < horizon {
            outcome.trimmed = true;
            return Ok(outcome);
        }
        let record = stream::shown(number, record, place.schema)?;
        bytes += u64::from(record.size()?);
        if !outcome.records.is_empty() && bytes > u64::from(request.page_bytes) {
            is_full = true;
        } else {
            outcome.last = number;
            outcome.records.push(record);
            is_full = outcome.records.len() >= request.limit as usize;
        }
    }
    drop(records);
    let takes_more = !place.streams.is_some_and(|streams| streams.has_ended(request.stream));
    if request.limit == 0 {
        outcome.bounds = Some(bounds(engine, place.storage_id, request.stream, takes_more)?);
    }
    if !is_full {
        outcome.last = outcome.last.max(latest);
        outcome.ended = !takes_more;
    }
    Ok(outcome)
}

fn bounds<S: Store>(
    engine: &Engine<S>,
    storage_id: u64,
    stream: u64,
    takes_more: bool,
) -> Result<ShardBounds, EngineError> {
    let oldest = engine.stream_records(storage_id, stream, None).next().transpose()?.map(|(number, _)| number);
    // Whose clock said when the stream was enabled may have been ahead of the one that stamps.
    let enabled = SequenceNumber { time: Timestamp::from_millis(stream), ordinal: 0 };
    let first = oldest.map_or(enabled, |oldest| oldest.min(enabled));
    let last = match takes_more {
        true => None,
        false => Some(engine.last_stream_number(storage_id, stream)?.map_or(first, |last| last.max(first))),
    };
    Ok(ShardBounds { first, last })
}
