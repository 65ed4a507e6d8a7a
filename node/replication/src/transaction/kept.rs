//! What a partition keeps of transactions, byte by byte.
//!
//! Keys, behind the storage id and the index (layout.rs of the engine), and values of format version 1. Numbers are big-endian,
//! `n*` is a byte string of that many bytes.
//!
//! ```text
//! key                          value
//! 0x01 transaction id (16)     a prepared transaction:
//!                                1 version, 8 time, 16 token, 16 parameters, participants, 2 count and that many keys
//! 0x02 encoded key             a lock:
//!                                1 version, 16 transaction id, 1 effect (1 put, 2 delete, 3 none), the item of a put
//! 0x03 transaction id          what became of one:
//!                                1 version, 8 time, 1 state (1 committed, 2 aborted), participants, 2 count and that many outcomes
//! 0x04 token (16)              the last transaction committed under it:
//!                                1 version, 8 time, 16 parameters, 16 transaction id
//! 0x05 time (8) transaction id when something was noted of it:
//!                                1 version, and its token (16) if there is a record of that
//! 0x06 time (8) transaction id instead of 0x05, until the primary of several partitions hears that all others have applied it:
//!                                1 version, 16 token, participants
//!
//! participants: 2 count, and for each 16 table id, key
//! key:          2 n, n*
//! outcome:      4 size before, 4 size after, 1 count of indexes, and for each 1 slot, 4 before, 4 after, 1 moved
//! ```
//!
//! Times are of the entries that wrote them, but for that of what was committed: it is when the primary decided it, which on the
//! primary is the same.

use super::{Idempotency, Participant, TransactionId};
use crate::operation::{IndexWrite, WriteOutcome};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use cairn_engine::{Kept, KeptWrite};
use cairn_model::{codec::EncodedItem, ids::TableId, key::EncodedKey, time::Timestamp};

const VERSION: u8 = 1;
const PREPARED: u8 = 1;
const LOCK: u8 = 2;
const RECORD: u8 = 3;
const TOKEN: u8 = 4;
const NOTED: u8 = 5;
const UNFINISHED: u8 = 6;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what is kept of a transaction is damaged, or of a newer format: {0}")]
pub(crate) struct KeptError(&'static str);

const CUT: KeptError = KeptError("it ends too early");

impl KeptError {
    pub(crate) const MISSING_LOCK: Self = Self("a prepared transaction's lock is missing");
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prepared {
    /// When, by the leader's clock: its entries may be stamped far ahead, where another region's clock is.
    pub(crate) time: Timestamp,
    pub(crate) idempotency: Idempotency,
    pub(crate) participants: Vec<Participant>,
    /// In the order of the actions.
    pub(crate) keys: Vec<EncodedKey>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lock {
    pub(crate) transaction: TransactionId,
    pub(crate) effect: LockEffect,
}

/// What a prepared transaction does to an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LockEffect {
    Put(EncodedItem),
    Delete,
    Nothing,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Record {
    /// When it was decided, by the primary where it is committed.
    pub(crate) time: Timestamp,
    pub(crate) is_committed: bool,
    pub(crate) participants: Vec<Participant>,
    pub(crate) outcomes: Vec<WriteOutcome>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TokenRecord {
    pub(crate) time: Timestamp,
    pub(crate) parameters: [u8; 16],
    pub(crate) transaction: TransactionId,
}

/// A transaction that the primary committed, and of whose other participants it is not known that all have applied it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unfinished {
    pub(crate) token: [u8; 16],
    pub(crate) participants: Vec<Participant>,
}

fn key_of(kind: u8, rest: &[u8]) -> Bytes {
    let mut key = BytesMut::with_capacity(1 + rest.len());
    key.put_u8(kind);
    key.put_slice(rest);
    key.freeze()
}

pub(crate) fn prepared(id: TransactionId) -> Bytes {
    key_of(PREPARED, &id.0)
}

pub(crate) fn lock(key: &EncodedKey) -> Bytes {
    key_of(LOCK, &key.0)
}

pub(crate) fn record(id: TransactionId) -> Bytes {
    key_of(RECORD, &id.0)
}

pub(crate) fn token(token: &[u8; 16]) -> Bytes {
    key_of(TOKEN, token)
}

pub(crate) fn noted(time: Timestamp, id: TransactionId) -> Bytes {
    timed(NOTED, time, id)
}

pub(crate) fn unfinished(time: Timestamp, id: TransactionId) -> Bytes {
    timed(UNFINISHED, time, id)
}

/// Read by [`of_timed`].
fn timed(kind: u8, time: Timestamp, id: TransactionId) -> Bytes {
    key_of(kind, &[&time.0.to_be_bytes()[..], &id.0].concat())
}

/// From the first prepared transaction to behind the last.
pub(crate) const ALL_PREPARED: (&[u8], &[u8]) = (&[PREPARED], &[PREPARED + 1]);
/// From the first that was noted to behind the last.
pub(crate) const ALL_NOTED: (&[u8], &[u8]) = (&[NOTED], &[NOTED + 1]);
/// From the first that is not finished to behind the last.
pub(crate) const ALL_UNFINISHED: (&[u8], &[u8]) = (&[UNFINISHED], &[UNFINISHED + 1]);

/// The transaction that a key of [`ALL_PREPARED`] is of.
pub(crate) fn id_of_prepared(key: &[u8]) -> Result<TransactionId, KeptError> {
    Ok(TransactionId(key.get(1..).and_then(|id| id.try_into().ok()).ok_or(CUT)?))
}

/// Whether a key is of a prepared transaction.
pub(crate) fn is_of_prepared(key: &[u8]) -> bool {
    key.first() == Some(&PREPARED)
}

/// When a transaction was decided, of what is kept from the entry on that commits it.
pub(crate) fn decided_at(key: &[u8], value: &Bytes) -> Result<Option<Timestamp>, KeptError> {
    if key.first() != Some(&RECORD) {
        return Ok(None);
    }
    let record = Record::decode(value.clone())?;
    Ok(record.is_committed.then_some(record.time))
}

/// What a key of [`ALL_NOTED`] or [`ALL_UNFINISHED`] is of.
pub(crate) fn of_timed(mut key: &[u8]) -> Result<(Timestamp, TransactionId), KeptError> {
    key.try_get_u8().map_err(|_| CUT)?;
    let time = Timestamp(key.try_get_u64().map_err(|_| CUT)?);
    Ok((time, TransactionId(key.try_into().map_err(|_| CUT)?)))
}

pub(crate) fn write(key: Bytes, value: Option<Bytes>) -> KeptWrite {
    KeptWrite { what: Kept::Transaction(key), value }
}

impl Prepared {
    pub(crate) fn encode(&self) -> Result<Bytes, KeptError> {
        let mut out = begin(self.time);
        out.put_slice(&self.idempotency.token);
        out.put_slice(&self.idempotency.parameters);
        put_participants(&mut out, &self.participants)?;
        out.put_u16(count(self.keys.len())?);
        self.keys.iter().try_for_each(|key| put_key(&mut out, key))?;
        Ok(out.freeze())
    }

    pub(crate) fn decode(value: Bytes) -> Result<Self, KeptError> {
        let mut value = versioned(value)?;
        let time = get_time(&mut value)?;
        let idempotency = Idempotency { token: get_sixteen(&mut value)?, parameters: get_sixteen(&mut value)? };
        let participants = get_participants(&mut value)?;
        let keys = get_counted(&mut value, get_key)?;
        ended(&value)?;
        Ok(Self { time, idempotency, participants, keys })
    }
}

impl Lock {
    pub(crate) fn encode(&self) -> Bytes {
        let item = if let LockEffect::Put(item) = &self.effect { &item.0[..] } else { &[] };
        let mut out = BytesMut::with_capacity(18 + item.len());
        out.put_u8(VERSION);
        out.put_slice(&self.transaction.0);
        out.put_u8(match &self.effect {
            LockEffect::Put(_) => 1,
            LockEffect::Delete => 2,
            LockEffect::Nothing => 3,
        });
        out.put_slice(item);
        out.freeze()
    }

    pub(crate) fn decode(value: Bytes) -> Result<Self, KeptError> {
        let mut value = versioned(value)?;
        let transaction = TransactionId(get_sixteen(&mut value)?);
        let effect = match value.try_get_u8().map_err(|_| CUT)? {
            1 => LockEffect::Put(EncodedItem(value)),
            2 => LockEffect::Delete,
            3 => LockEffect::Nothing,
            _ => return Err(KeptError("an effect is of no known kind")),
        };
        Ok(Self { transaction, effect })
    }
}

impl Record {
    pub(crate) fn encode(&self) -> Result<Bytes, KeptError> {
        let mut out = begin(self.time);
        out.put_u8(if self.is_committed { 1 } else { 2 });
        put_participants(&mut out, &self.participants)?;
        out.put_u16(count(self.outcomes.len())?);
        for outcome in &self.outcomes {
            out.put_u32(outcome.size_before);
            out.put_u32(outcome.size_after);
            out.put_u8(u8::try_from(outcome.indexes.len()).map_err(|_| KeptError("there are too many indexes"))?);
            for index in &outcome.indexes {
                out.put_u8(index.slot);
                out.put_u32(index.size_before);
                out.put_u32(index.size_after);
                out.put_u8(u8::from(index.moved));
            }
        }
        Ok(out.freeze())
    }

    pub(crate) fn decode(value: Bytes) -> Result<Self, KeptError> {
        let mut value = versioned(value)?;
        let time = get_time(&mut value)?;
        let is_committed = match value.try_get_u8().map_err(|_| CUT)? {
            1 => true,
            2 => false,
            _ => return Err(KeptError("a state is of no known kind")),
        };
        let participants = get_participants(&mut value)?;
        let outcomes = get_counted(&mut value, get_outcome)?;
        ended(&value)?;
        Ok(Self { time, is_committed, participants, outcomes })
    }
}

impl TokenRecord {
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = begin(self.time);
        out.put_slice(&self.parameters);
        out.put_slice(&self.transaction.0);
        out.freeze()
    }

    pub(crate) fn decode(value: Bytes) -> Result<Self, KeptError> {
        let mut value = versioned(value)?;
        let time = get_time(&mut value)?;
        let parameters = get_sixteen(&mut value)?;
        let transaction = TransactionId(get_sixteen(&mut value)?);
        ended(&value)?;
        Ok(Self { time, parameters, transaction })
    }
}

impl Unfinished {
    pub(crate) fn encode(&self) -> Result<Bytes, KeptError> {
        let mut out = BytesMut::with_capacity(256);
        out.put_u8(VERSION);
        out.put_slice(&self.token);
        put_participants(&mut out, &self.participants)?;
        Ok(out.freeze())
    }

    pub(crate) fn decode(value: Bytes) -> Result<Self, KeptError> {
        let mut value = versioned(value)?;
        let token = get_sixteen(&mut value)?;
        let participants = get_participants(&mut value)?;
        ended(&value)?;
        Ok(Self { token, participants })
    }
}

pub(crate) fn encode_noted(token: Option<&[u8; 16]>) -> Bytes {
    key_of(VERSION, token.map_or(&[][..], |token| token))
}

pub(crate) fn decode_noted(value: Bytes) -> Result<Option<[u8; 16]>, KeptError> {
    let value = versioned(value)?;
    if value.is_empty() { Ok(None) } else { value[..].try_into().map(Some).map_err(|_| CUT) }
}

fn begin(time: Timestamp) -> BytesMut {
    let mut out = BytesMut::with_capacity(256);
    out.put_u8(VERSION);
    out.put_u64(time.0);
    out
}

fn count(count: usize) -> Result<u16, KeptError> {
    u16::try_from(count).map_err(|_| KeptError("there is too much of it"))
}

fn put_key(out: &mut BytesMut, key: &EncodedKey) -> Result<(), KeptError> {
    out.put_u16(count(key.0.len())?);
    out.put_slice(&key.0);
    Ok(())
}

fn put_participants(out: &mut BytesMut, participants: &[Participant]) -> Result<(), KeptError> {
    out.put_u16(count(participants.len())?);
    participants.iter().try_for_each(|participant| {
        out.put_slice(&participant.table_id.0);
        put_key(out, &participant.key)
    })
}

fn versioned(mut value: Bytes) -> Result<Bytes, KeptError> {
    match value.try_get_u8() {
        Ok(VERSION) => Ok(value),
        Ok(_) => Err(KeptError("its format version is not known")),
        Err(_) => Err(CUT),
    }
}

fn ended(value: &Bytes) -> Result<(), KeptError> {
    if value.is_empty() { Ok(()) } else { Err(KeptError("bytes are left behind its end")) }
}

fn get_time(value: &mut Bytes) -> Result<Timestamp, KeptError> {
    Ok(Timestamp(value.try_get_u64().map_err(|_| CUT)?))
}

fn get_sixteen(value: &mut Bytes) -> Result<[u8; 16], KeptError> {
    let mut bytes = [0; 16];
    value.try_copy_to_slice(&mut bytes).map_err(|_| CUT)?;
    Ok(bytes)
}

fn get_key(value: &mut Bytes) -> Result<EncodedKey, KeptError> {
    let length = usize::from(value.try_get_u16().map_err(|_| CUT)?);
    if length > value.len() {
        return Err(CUT);
    }
    Ok(EncodedKey(value.split_to(length)))
}

fn get_participants(value: &mut Bytes) -> Result<Vec<Participant>, KeptError> {
    get_counted(value, |value| Ok(Participant { table_id: TableId(get_sixteen(value)?), key: get_key(value)? }))
}

fn get_outcome(value: &mut Bytes) -> Result<WriteOutcome, KeptError> {
    let size_before = value.try_get_u32().map_err(|_| CUT)?;
    let size_after = value.try_get_u32().map_err(|_| CUT)?;
    let index_count = value.try_get_u8().map_err(|_| CUT)?;
    let mut indexes = Vec::with_capacity(index_count.into());
    for _ in 0..index_count {
        indexes.push(IndexWrite {
            slot: value.try_get_u8().map_err(|_| CUT)?,
            size_before: value.try_get_u32().map_err(|_| CUT)?,
            size_after: value.try_get_u32().map_err(|_| CUT)?,
            moved: value.try_get_u8().map_err(|_| CUT)? == 1,
        });
    }
    Ok(WriteOutcome { attributes: None, size_before, size_after, indexes, collection_bytes: None })
}

fn get_counted<T>(value: &mut Bytes, get: impl Fn(&mut Bytes) -> Result<T, KeptError>) -> Result<Vec<T>, KeptError> {
    let count = value.try_get_u16().map_err(|_| CUT)?;
    (0..count).map(|_| get(value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn participants() -> Vec<Participant> {
        let of = |table, id| Participant { table_id: TableId([table; 16]), key: testing::key(id) };
        vec![of(1, "a"), of(2, "b")]
    }

    #[test]
    fn what_is_kept_is_read_as_it_was_written_and_never_when_it_is_cut() {
        let prepared = Prepared {
            time: Timestamp(7),
            idempotency: Idempotency { token: [1; 16], parameters: [2; 16] },
            participants: participants(),
            keys: vec![testing::key("a"), testing::key("b")],
        };
        let indexes = vec![IndexWrite { slot: 2, size_before: 3, size_after: 4, moved: true }];
        let record = Record {
            time: Timestamp(8),
            is_committed: true,
            participants: participants(),
            outcomes: vec![WriteOutcome {
                attributes: None,
                size_before: 1,
                size_after: 2,
                indexes,
                collection_bytes: None,
            }],
        };
        let token = TokenRecord { time: Timestamp(9), parameters: [3; 16], transaction: TransactionId([4; 16]) };
        let bytes = prepared.encode().unwrap();
        assert!((0..bytes.len()).all(|end| Prepared::decode(bytes.slice(..end)).is_err()));
        assert_eq!(Prepared::decode(bytes), Ok(prepared));
        let bytes = record.encode().unwrap();
        assert!((0..bytes.len()).all(|end| Record::decode(bytes.slice(..end)).is_err()));
        assert_eq!(Record::decode(bytes), Ok(record));
        assert_eq!(TokenRecord::decode(token.encode()), Ok(token));
        for effect in [LockEffect::Put(EncodedItem::encode(&testing::item("a", 1))), LockEffect::Delete] {
            let lock = Lock { transaction: TransactionId([5; 16]), effect };
            assert_eq!(Lock::decode(lock.encode()), Ok(lock));
        }
        let unfinished = Unfinished { token: [7; 16], participants: participants() };
        let bytes = unfinished.encode().unwrap();
        assert!((0..bytes.len()).all(|end| Unfinished::decode(bytes.slice(..end)).is_err()));
        assert_eq!(Unfinished::decode(bytes), Ok(unfinished));
        assert_eq!(decode_noted(encode_noted(Some(&[6; 16]))), Ok(Some([6; 16])));
        assert_eq!(decode_noted(encode_noted(None)), Ok(None));
    }

    #[test]
    fn what_was_noted_lies_in_the_order_of_its_times() {
        let keys = [1, 2, 256].map(|time| noted(Timestamp(time), TransactionId([9; 16])));
        assert!(keys.is_sorted());
        assert!(&keys[0][..] > ALL_NOTED.0 && &keys[2][..] < ALL_NOTED.1);
        assert_eq!(of_timed(&keys[2]), Ok((Timestamp(256), TransactionId([9; 16]))));
    }

    /// The bytes of format version 1.
    #[test]
    fn records_of_version_1_stay_readable() {
        let token = TokenRecord { time: Timestamp(9), parameters: [3; 16], transaction: TransactionId([4; 16]) };
        let golden = [&[1, 0, 0, 0, 0, 0, 0, 0, 9][..], &[3; 16], &[4; 16]].concat();
        assert_eq!(token.encode(), golden);
        let participants = vec![Participant { table_id: TableId([1; 16]), key: EncodedKey(Bytes::from_static(b"k")) }];
        let record = Record { time: Timestamp(8), is_committed: false, participants, outcomes: Vec::new() };
        let golden = [&[1, 0, 0, 0, 0, 0, 0, 0, 8, 2, 0, 1][..], &[1; 16], b"\x00\x01k\x00\x00"].concat();
        assert_eq!(record.encode().unwrap(), golden);
        let unfinished = Unfinished { token: [3; 16], participants: record.participants };
        let golden = [&[1][..], &[3; 16], &[0, 1], &[1; 16], b"\x00\x01k"].concat();
        assert_eq!(unfinished.encode().unwrap(), golden);
    }
}
