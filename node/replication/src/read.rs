//! Gets and pages of ranges, evaluated on one replica's items: filter, projection, page and limit.

mod range;
mod stream;
mod transaction;

use crate::{
    operation::{GetOutcome, GetRequest, PartitionOutcome, PartitionRequest},
    transaction::kept::KeptError,
};
use cairn_engine::{Engine, EngineError, Store};
use cairn_expression::Projection;
use cairn_model::{
    KeySchema, ServiceError,
    codec::{CodecError, EncodedItem, StoredVersion},
    descriptor::KeyRange,
    ids::PartitionId,
    index::{IndexOf, LocalIndex},
    key::EncodedKey,
    stream::Streams,
};

/// Why a read has no answer; unless it is refused, the replica's data can't be trusted or understood.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("failed to read the items")]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Codec(#[from] CodecError),
    #[error("failed to read what is kept of transactions: {0}")]
    Transactions(String),
    #[error("failed to read: a write was asked for")]
    NotARead,
    /// It is the request that can't be, not the data.
    #[error(transparent)]
    Refused(#[from] ServiceError),
}

impl From<KeptError> for ReadError {
    fn from(error: KeptError) -> Self {
        Self::Transactions(error.to_string())
    }
}

/// Where a read looks.
#[derive(Clone, Copy, Debug)]
pub struct ReadPlace<'a> {
    pub storage_id: u64,
    pub schema: &'a KeySchema,
    /// Of the partition: what lies outside is another's.
    pub range: &'a KeyRange,
    pub partition: PartitionId,
    /// Those of the table; none: it never had any, as far as is known here.
    pub streams: Option<&'a Streams>,
    pub local_indexes: &'a [LocalIndex],
    /// Where the partition is one of a global index.
    pub index_of: Option<&'a IndexOf>,
}

/// Serves a Get, a Range or a page of a stream from what is applied.
pub fn read<S: Store>(
    engine: &Engine<S>,
    place: ReadPlace<'_>,
    request: &PartitionRequest,
) -> Result<PartitionOutcome, ReadError> {
    match request {
        PartitionRequest::Get(request) => get(engine, place, request).map(PartitionOutcome::Get),
        PartitionRequest::Range(request) => range::range(engine, place, request).map(PartitionOutcome::Range),
        PartitionRequest::Stream(request) => stream::read(engine, place, request).map(PartitionOutcome::Stream),
        PartitionRequest::TransactGet(request) => transaction::get(engine, place, request),
        PartitionRequest::Write(_) | PartitionRequest::Transact(_) | PartitionRequest::Feed(_) => {
            Err(ReadError::NotARead)
        }
    }
}

fn get<S: Store>(engine: &Engine<S>, place: ReadPlace<'_>, request: &GetRequest) -> Result<GetOutcome, ReadError> {
    let mut items = Vec::with_capacity(request.keys.len());
    for key in &request.keys {
        items.push(match engine.get(place.storage_id, key)? {
            None => None,
            Some(bytes) => Some(shown(StoredVersion::parse(bytes)?.item, request.projection.as_ref())?),
        });
    }
    Ok(GetOutcome { items })
}

/// An item, projected, and its whole size.
fn shown(item: EncodedItem, projection: Option<&Projection>) -> Result<(EncodedItem, u32), CodecError> {
    let size = item.size()?;
    let shown = match projection {
        None => item,
        Some(projection) => EncodedItem::encode(&projection.project(&item.decode()?)),
    };
    Ok((shown, size))
}

/// Whether a key belongs to the partition.
pub(crate) fn contains(range: &KeyRange, key: &EncodedKey) -> bool {
    key.0 >= range.start && (range.end.is_empty() || key.0 < range.end)
}
