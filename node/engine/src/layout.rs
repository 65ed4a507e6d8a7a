//! The keys of the one keyspace that holds everything, byte by byte.
//!
//! ```text
//! offset  size  what
//! 0       8     storage id, big-endian; 0 is the node's own records
//! 8       1     index
//! 9       …     the rest of the key
//!
//! storage id  index       rest                          value
//! 0           0x01        -                             counters          (record.rs)
//! 0           0x02        partition id, 16 bytes        replica record    (record.rs)
//! 0           0x03        partition id, 16 bytes        tombstone         (record.rs)
//! 0           0x04        storage id, 8 bytes           empty: a dead storage id, whose data is still to be reclaimed
//! 0           0x05        storage id, 8 bytes           empty: a snapshot is loading under this storage id
//! 0           0x06        partition id, 16 bytes        retired replica   (record.rs)
//! ≥ 1         0x00        encoded key                   an item           (cairn_model::codec::StoredVersion)
//! ≥ 1         0x01..0x05  key in the local index      empty                     (cairn_model::index)
//! -           0x20..0x33  changes of global indexes in entries: nothing lies under them
//! ≥ 1         0x06..0x7F  others are reserved for indexes
//! ≥ 1         0x80        encoded key                   a tombstone of a global table (StoredVersion without an item)
//! ≥ 1         0x81        version time, 8 bytes BE;     a version set aside until its time comes (StoredVersion)
//!                         region's length, 1 byte;
//!                         region; encoded key
//! ≥ 1         0x82        -                             what other regions have (replication: global::state)
//! ≥ 1         0x83        expiry, 8 bytes BE;           empty: when an item expires (replication: expirations)
//!                         encoded key
//! ≥ 1         0x84        -                             how far the index 0x83 is made, while it is not (replication: expirations)
//! ≥ 1         0x85        stream, 8 bytes BE; entry     a stream's record (replication: stream)
//!                         time, 8 bytes BE; ordinal,
//!                         4 bytes BE
//! ≥ 1         0x87        what it is and of what        what is known of transactions (replication: transaction::kept)
//! ≥ 1         0x88        partition key, encoded      size of the item collection          (engine/indexes.rs)
//! ≥ 1         0x89        -                             totals of the local indexes          (engine/indexes.rs)
//! ≥ 1         0x8A        partition id, 16 bytes        how much of that partition's log is in this index (replication: feed)
//! ≥ 1         0x8B        table id of a global index,   how far it is filled with what was there before it (replication:
//!                         16 bytes                      feed::filling)
//! ≥ 1         0x86..0xEF  others are reserved
//! ≥ 1         0xF0        position, 8 bytes BE          an entry's outcomes (outcome.rs)
//! ≥ 1         0xFF        -                             applied state     (record.rs)
//! ```
//!
//! One keyspace, not one for each kind: a fjall keyspace flushes on its own, so after its recovery has cut a damaged
//! journal, two keyspaces can hold different prefixes of the same commits (an applied index ahead of its items). One
//! keyspace always holds one prefix.

use crate::engine::Kept;
use bytes::{BufMut, Bytes, BytesMut};
use cairn_model::{
    ids::PartitionId,
    index::{GLOBAL_INDEXES_MAX, LOCAL_INDEXES_MAX},
    stream::SequenceNumber,
    time::Timestamp,
};
use std::ops::Bound;

const NODE: u64 = 0;
const COUNTERS: u8 = 0x01;
const RECORD: u8 = 0x02;
const TOMBSTONE: u8 = 0x03;
const DEAD: u8 = 0x04;
const LOADING: u8 = 0x05;
const RETIRED: u8 = 0x06;

const BASE_TABLE: u8 = 0x00;
const TOMBSTONES: u8 = 0x80;
const SET_ASIDE: u8 = 0x81;
const REGIONS: u8 = 0x82;
/// The index of expirations.
pub const EXPIRATIONS: u8 = 0x83;
const EXPIRATIONS_MADE: u8 = 0x84;
const STREAMS: u8 = 0x85;
const TRANSACTIONS: u8 = 0x87;
const COLLECTIONS: u8 = 0x88;
const INDEX_TOTALS: u8 = 0x89;
/// The first of the local indexes.
const LOCAL_INDEX: u8 = 0x01;
const LAST_LOCAL_INDEX: u8 = LOCAL_INDEX + LOCAL_INDEXES_MAX as u8 - 1;
/// The first of the global ones.
const GLOBAL_INDEX: u8 = 0x20;
const FED: u8 = 0x8A;
const FILLED: u8 = 0x8B;
const OUTCOMES: u8 = 0xF0;
const APPLIED: u8 = 0xFF;

/// Bytes before the rest of a key.
pub(crate) const HEADER_BYTES: usize = 9;

fn key(storage_id: u64, index: u8, rest: &[u8]) -> Bytes {
    let mut key = BytesMut::with_capacity(HEADER_BYTES + rest.len());
    key.put_u64(storage_id);
    key.put_u8(index);
    key.put_slice(rest);
    key.freeze()
}

pub(crate) fn counters() -> Bytes {
    key(NODE, COUNTERS, &[])
}

pub(crate) fn record(partition_id: PartitionId) -> Bytes {
    key(NODE, RECORD, &partition_id.0)
}

pub(crate) fn records() -> (Bound<Bytes>, Bound<Bytes>) {
    whole_index(NODE, RECORD)
}

pub(crate) fn tombstone(partition_id: PartitionId) -> Bytes {
    key(NODE, TOMBSTONE, &partition_id.0)
}

pub(crate) fn dead(storage_id: u64) -> Bytes {
    key(NODE, DEAD, &storage_id.to_be_bytes())
}

pub(crate) fn all_dead() -> (Bound<Bytes>, Bound<Bytes>) {
    whole_index(NODE, DEAD)
}

pub(crate) fn loading(storage_id: u64) -> Bytes {
    key(NODE, LOADING, &storage_id.to_be_bytes())
}

pub(crate) fn all_loading() -> (Bound<Bytes>, Bound<Bytes>) {
    whole_index(NODE, LOADING)
}

pub(crate) fn retired(partition_id: PartitionId) -> Bytes {
    key(NODE, RETIRED, &partition_id.0)
}

pub(crate) fn all_retired() -> (Bound<Bytes>, Bound<Bytes>) {
    whole_index(NODE, RETIRED)
}

pub(crate) fn item(storage_id: u64, encoded_key: &[u8]) -> Bytes {
    key(storage_id, BASE_TABLE, encoded_key)
}

pub(crate) fn kept(storage_id: u64, kept: &Kept) -> Bytes {
    match kept {
        Kept::Tombstone(encoded_key) => key(storage_id, TOMBSTONES, &encoded_key.0),
        Kept::SetAside(rest) => key(storage_id, SET_ASIDE, rest),
        Kept::Regions => key(storage_id, REGIONS, &[]),
        Kept::Fed(source) => key(storage_id, FED, &source.0),
        Kept::Filled(index) => key(storage_id, FILLED, &index.0),
        Kept::Expirations => key(storage_id, EXPIRATIONS_MADE, &[]),
        Kept::Transaction(rest) => key(storage_id, TRANSACTIONS, rest),
    }
}

/// How much an index has of each partition of its table.
pub(crate) fn all_fed(storage_id: u64) -> (Bound<Bytes>, Bound<Bytes>) {
    whole_index(storage_id, FED)
}

/// The tombstones behind an encoded key.
pub(crate) fn tombstones(storage_id: u64, after: Option<&[u8]>) -> (Bound<Bytes>, Bound<Bytes>) {
    behind(storage_id, TOMBSTONES, after)
}

/// What is set aside, behind one of its keys.
pub(crate) fn set_aside(storage_id: u64, after: Option<&[u8]>) -> (Bound<Bytes>, Bound<Bytes>) {
    behind(storage_id, SET_ASIDE, after)
}

/// What is known of transactions, from one of its keys on to before another.
pub(crate) fn transactions(storage_id: u64, from: &[u8], to: &[u8]) -> (Bound<Bytes>, Bound<Bytes>) {
    (Bound::Included(key(storage_id, TRANSACTIONS, from)), Bound::Excluded(key(storage_id, TRANSACTIONS, to)))
}

fn behind(storage_id: u64, index: u8, after: Option<&[u8]>) -> (Bound<Bytes>, Bound<Bytes>) {
    let (lower, upper) = whole_index(storage_id, index);
    (after.map_or(lower, |after| Bound::Excluded(key(storage_id, index, after))), upper)
}

const STREAM_REST_BYTES: usize = 20;

/// A stream's record; streams are told apart by when they were enabled, so that their records lie in the order of their times.
pub(crate) fn stream_record(storage_id: u64, stream: u64, number: SequenceNumber) -> Bytes {
    let mut rest = [0; STREAM_REST_BYTES];
    rest[..8].copy_from_slice(&stream.to_be_bytes());
    rest[8..16].copy_from_slice(&number.time.0.to_be_bytes());
    rest[16..].copy_from_slice(&number.ordinal.to_be_bytes());
    key(storage_id, STREAMS, &rest)
}

/// The records of a stream behind a number.
pub(crate) fn stream_records(
    storage_id: u64,
    stream: u64,
    after: Option<SequenceNumber>,
) -> (Bound<Bytes>, Bound<Bytes>) {
    let first = || Bound::Included(stream_record(storage_id, stream, SequenceNumber::default()));
    let lower = after.map_or_else(first, |after| Bound::Excluded(stream_record(storage_id, stream, after)));
    let last = SequenceNumber::last_of(Timestamp(u64::MAX));
    (lower, Bound::Included(stream_record(storage_id, stream, last)))
}

/// The records of all streams, the oldest first.
pub(crate) fn all_stream_records(storage_id: u64) -> (Bound<Bytes>, Bound<Bytes>) {
    whole_index(storage_id, STREAMS)
}

/// The number of a record under this key; none for a key that is no record's.
pub(crate) fn stream_number(key: &[u8]) -> Option<SequenceNumber> {
    let rest: &[u8; STREAM_REST_BYTES] = key.get(HEADER_BYTES..)?.try_into().ok()?;
    let (_, rest) = rest.split_first_chunk::<8>()?;
    let (time, ordinal) = rest.split_first_chunk::<8>()?;
    let ordinal: &[u8; 4] = ordinal.try_into().ok()?;
    Some(SequenceNumber { time: Timestamp(u64::from_be_bytes(*time)), ordinal: u32::from_be_bytes(*ordinal) })
}

/// Bounds of encoded keys as bounds of stored ones.
pub(crate) fn items(storage_id: u64, lower: Bound<&[u8]>, upper: Bound<&[u8]>) -> (Bound<Bytes>, Bound<Bytes>) {
    within(storage_id, BASE_TABLE, lower, upper)
}

/// Bounds of keys in an index as bounds of stored ones.
pub(crate) fn within(
    storage_id: u64,
    index: u8,
    lower: Bound<&[u8]>,
    upper: Bound<&[u8]>,
) -> (Bound<Bytes>, Bound<Bytes>) {
    let whole = whole_index(storage_id, index);
    let stored = |bound: Bound<&[u8]>, unbounded| match bound {
        Bound::Unbounded => unbounded,
        bound => bound.map(|bound| key(storage_id, index, bound)),
    };
    (stored(lower, whole.0), stored(upper, whole.1))
}

pub(crate) fn index_key(storage_id: u64, index: u8, in_index: &[u8]) -> Bytes {
    key(storage_id, index, in_index)
}

/// Which local index keys with this byte are of, from 0; none if of no local one.
pub(crate) fn local_slot(index: u8) -> Option<usize> {
    (LOCAL_INDEX..=LAST_LOCAL_INDEX).contains(&index).then(|| usize::from(index - LOCAL_INDEX))
}

/// Whether entries may change keys with this byte as keys of an index.
pub fn is_index(index: u8) -> bool {
    local_slot(index).is_some() || index == EXPIRATIONS || is_global_index(index)
}

/// The byte by which entries tell changes of the global index with this slot.
pub fn global_index(slot: u8) -> u8 {
    GLOBAL_INDEX + slot
}

/// The slot of the global index that this byte tells changes of; none if it is another's.
pub fn global_slot(index: u8) -> Option<u8> {
    index.checked_sub(GLOBAL_INDEX).filter(|slot| usize::from(*slot) < GLOBAL_INDEXES_MAX)
}

/// What entries change in a global index is not kept here: its own partitions read it off the log.
pub(crate) fn is_global_index(index: u8) -> bool {
    global_slot(index).is_some()
}

pub(crate) fn index_totals(storage_id: u64) -> Bytes {
    key(storage_id, INDEX_TOTALS, &[])
}

pub(crate) fn collection(storage_id: u64, partition: &[u8]) -> Bytes {
    key(storage_id, COLLECTIONS, partition)
}

pub(crate) fn outcomes(storage_id: u64, position: u64) -> Bytes {
    key(storage_id, OUTCOMES, &position.to_be_bytes())
}

pub(crate) fn applied(storage_id: u64) -> Bytes {
    key(storage_id, APPLIED, &[])
}

/// Everything under a storage id.
pub(crate) fn storage(storage_id: u64) -> (Bound<Bytes>, Bound<Bytes>) {
    (Bound::Included(key(storage_id, 0, &[])), Bound::Excluded(key(storage_id + 1, 0, &[])))
}

/// Everything under a storage id but the records of streams.
pub(crate) fn all_but_streams(storage_id: u64) -> [(Bound<Bytes>, Bound<Bytes>); 2] {
    let (lower, upper) = storage(storage_id);
    [
        (lower, Bound::Excluded(key(storage_id, STREAMS, &[]))),
        (Bound::Included(key(storage_id, STREAMS + 1, &[])), upper),
    ]
}

/// Everything under a storage id but its applied state: what a snapshot carries.
pub(crate) fn replicated(storage_id: u64) -> (Bound<Bytes>, Bound<Bytes>) {
    (Bound::Included(key(storage_id, 0, &[])), Bound::Excluded(applied(storage_id)))
}

/// A key of another node's storage id, from its index onwards, under this storage id.
pub(crate) fn transplanted(storage_id: u64, from_index: &[u8]) -> Bytes {
    let mut key = BytesMut::with_capacity(8 + from_index.len());
    key.put_u64(storage_id);
    key.put_slice(from_index);
    key.freeze()
}

/// Whether a key, from its index onwards, is an item's.
pub(crate) fn is_item(from_index: &[u8]) -> bool {
    from_index.first() == Some(&BASE_TABLE)
}

/// Whether a key, from its index onwards, may come with a snapshot.
pub(crate) fn is_replicated(from_index: &[u8]) -> bool {
    match from_index {
        [BASE_TABLE | TOMBSTONES | SET_ASIDE | TRANSACTIONS | COLLECTIONS, rest @ ..] => !rest.is_empty(),
        [index, rest @ ..] if local_slot(*index).is_some() || *index == EXPIRATIONS => !rest.is_empty(),
        [FED | FILLED, rest @ ..] => rest.len() == 16,
        [REGIONS | EXPIRATIONS_MADE | INDEX_TOTALS, rest @ ..] => rest.is_empty(),
        [STREAMS, rest @ ..] => rest.len() == STREAM_REST_BYTES,
        [OUTCOMES, rest @ ..] => rest.len() == 8,
        _ => false,
    }
}

fn whole_index(storage_id: u64, index: u8) -> (Bound<Bytes>, Bound<Bytes>) {
    (Bound::Included(key(storage_id, index, &[])), Bound::Excluded(key(storage_id, index + 1, &[])))
}

/// False for bounds between which nothing can lie, at which ordered maps would panic.
pub(crate) fn is_range(lower: &Bound<Bytes>, upper: &Bound<Bytes>) -> bool {
    match (lower, upper) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => true,
        (Bound::Included(lower), Bound::Included(upper)) => lower <= upper,
        (Bound::Excluded(lower), Bound::Excluded(upper)) => lower < upper,
        (Bound::Included(lower), Bound::Excluded(upper)) | (Bound::Excluded(lower), Bound::Included(upper)) => {
            lower <= upper
        }
    }
}
