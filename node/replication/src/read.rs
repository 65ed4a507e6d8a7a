//! Gets and pages of ranges, evaluated on one replica's items: filter, projection, page and limit.

mod stream;

use crate::operation::{GetOutcome, GetRequest, PartitionOutcome, PartitionRequest, RangeOutcome, RangeRequest};
use bytes::Bytes;
use cairn_engine::{Engine, EngineError, Store};
use cairn_model::{
    KeySchema,
    codec::{CodecError, EncodedItem, StoredVersion},
    descriptor::KeyRange,
    ids::PartitionId,
    key::EncodedKey,
};
use std::ops::Bound;

/// Why a read has no answer; either way the replica's data can't be trusted or understood.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("failed to read the items")]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Codec(#[from] CodecError),
    #[error("failed to read: a write was asked for")]
    NotARead,
}

/// Where a read looks.
#[derive(Clone, Copy, Debug)]
pub struct ReadPlace<'a> {
    pub storage_id: u64,
    pub schema: &'a KeySchema,
    /// Of the partition: what lies outside is another's.
    pub range: &'a KeyRange,
    pub partition: PartitionId,
    /// The stream that takes the table's changes, by when it was enabled.
    pub stream: Option<u64>,
}

/// Serves a Get, a Range or a page of a stream from what is applied.
pub fn read<S: Store>(
    engine: &Engine<S>,
    place: ReadPlace<'_>,
    request: &PartitionRequest,
) -> Result<PartitionOutcome, ReadError> {
    match request {
        PartitionRequest::Get(request) => get(engine, place, request).map(PartitionOutcome::Get),
        PartitionRequest::Range(request) => range(engine, place, request).map(PartitionOutcome::Range),
        PartitionRequest::Stream(request) => stream::read(engine, place, request).map(PartitionOutcome::Stream),
        PartitionRequest::Write(_) => Err(ReadError::NotARead),
    }
}

fn get<S: Store>(engine: &Engine<S>, place: ReadPlace<'_>, request: &GetRequest) -> Result<GetOutcome, ReadError> {
    let mut items = Vec::with_capacity(request.keys.len());
    for key in &request.keys {
        items.push(match engine.get(place.storage_id, key)? {
            None => None,
            Some(bytes) => {
                let item = StoredVersion::parse(bytes)?.item;
                let size = item.size()?;
                let shown = match &request.projection {
                    None => item,
                    Some(projection) => EncodedItem::encode(&projection.project(&item.decode()?)),
                };
                Some((shown, size))
            }
        });
    }
    Ok(GetOutcome { items })
}

fn range<S: Store>(
    engine: &Engine<S>,
    place: ReadPlace<'_>,
    request: &RangeRequest,
) -> Result<RangeOutcome, ReadError> {
    let lower = higher_lower(&request.lower, &place.range.start);
    let upper = lower_upper(&request.upper, &place.range.end);
    let mut outcome = RangeOutcome {
        items: Vec::new(),
        count: 0,
        scanned_count: 0,
        bytes_read: 0,
        fetched_units: 0,
        last_evaluated_key: None,
    };
    for found in engine.scan(place.storage_id, lower, upper, request.forward) {
        let (key, bytes) = found?;
        let item = StoredVersion::parse(bytes)?.item;
        outcome.scanned_count += 1;
        outcome.bytes_read += u64::from(item.size()?);
        let decoded = match (&request.filter, &request.projection) {
            (None, None) => None,
            _ => Some(item.decode()?),
        };
        if request.filter.as_ref().is_none_or(|filter| filter.evaluate(decoded.as_ref())) {
            outcome.count += 1;
            if !request.count_only {
                outcome.items.push(match (&request.projection, &decoded) {
                    (Some(projection), Some(decoded)) => EncodedItem::encode(&projection.project(decoded)),
                    _ => item,
                });
            }
        }
        // DynamoDB does not look ahead either: a page that ends with the last item still names it.
        if request.limit.is_some_and(|limit| outcome.scanned_count >= limit)
            || outcome.bytes_read >= u64::from(request.page_bytes)
        {
            outcome.last_evaluated_key = Some(key.decode(place.schema)?);
            break;
        }
    }
    Ok(outcome)
}

fn higher_lower<'a>(asked: &'a Bound<Bytes>, start: &'a Bytes) -> Bound<&'a [u8]> {
    match asked {
        Bound::Included(bound) if bound >= start => Bound::Included(bound),
        Bound::Excluded(bound) if bound >= start => Bound::Excluded(bound),
        _ => Bound::Included(start),
    }
}

fn lower_upper<'a>(asked: &'a Bound<Bytes>, end: &'a Bytes) -> Bound<&'a [u8]> {
    match asked {
        Bound::Included(bound) if end.is_empty() || bound < end => Bound::Included(bound),
        Bound::Excluded(bound) if end.is_empty() || bound <= end => Bound::Excluded(bound),
        Bound::Unbounded if end.is_empty() => Bound::Unbounded,
        _ => Bound::Excluded(end),
    }
}

/// Whether a key belongs to the partition.
pub(crate) fn contains(range: &KeyRange, key: &EncodedKey) -> bool {
    key.0 >= range.start && (range.end.is_empty() || key.0 < range.end)
}
