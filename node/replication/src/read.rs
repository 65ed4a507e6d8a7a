//! Gets and pages of ranges, evaluated on one replica's items: filter, projection, page and limit.

mod range;

use crate::operation::{GetOutcome, GetRequest, PartitionOutcome, PartitionRequest};
use cairn_engine::{Engine, EngineError, Store};
use cairn_model::{
    KeySchema, ServiceError,
    codec::{CodecError, EncodedItem, StoredVersion},
    descriptor::KeyRange,
    index::LocalIndex,
    key::EncodedKey,
};

/// Why a read has no answer; unless it is refused, the replica's data can't be trusted or understood.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("failed to read the items")]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Codec(#[from] CodecError),
    #[error("failed to read: a write was asked for")]
    NotARead,
    /// It is the request that can't be, not the data.
    #[error(transparent)]
    Refused(#[from] ServiceError),
}

/// Where a read looks.
#[derive(Clone, Copy, Debug)]
pub struct ReadPlace<'a> {
    pub storage_id: u64,
    pub schema: &'a KeySchema,
    /// Of the partition: what lies outside is another's.
    pub range: &'a KeyRange,
    pub local_indexes: &'a [LocalIndex],
}

/// Serves a Get or a Range from the items as they are applied.
pub fn read<S: Store>(
    engine: &Engine<S>,
    place: ReadPlace<'_>,
    request: &PartitionRequest,
) -> Result<PartitionOutcome, ReadError> {
    match request {
        PartitionRequest::Get(request) => get(engine, place, request).map(PartitionOutcome::Get),
        PartitionRequest::Range(request) => range::range(engine, place, request).map(PartitionOutcome::Range),
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

/// Whether a key belongs to the partition.
pub(crate) fn contains(range: &KeyRange, key: &EncodedKey) -> bool {
    key.0 >= range.start && (range.end.is_empty() || key.0 < range.end)
}
