//! What Cairn puts into an entry of the log: effects, never expressions, and what they were evaluated under.
//!
//! Format version 1, or 2 of an entry that changes indexes or has records in a stream; integers are little-endian, `n*` is a byte string of that many bytes.
//!
//! ```text
//! offset  size
//!      0     1  format version: 1 or 2
//!      1     1  kind: 1 writes, 2 descriptor, 3 definition, 4 writes of other regions, 5 upkeep, 6 expirations,
//!               7 a transaction's step, 10 what a table's log changed in this index, 11 items shown again
//!      2     8  term         ┐
//!     10     8  epoch        │ under which it was evaluated
//!     18     8  schema       │
//!     26     8  sequence     ┘ of the proposer, from 1 in each term
//!     34     8  entry time
//!     42        body; in version 2: its length (4), the body, changes of indexes, changes for the stream
//!
//! body of kind 1: count (4), and for each write, in the order of evaluation
//!           16  request id
//!            2  n, n* key
//!            1  effect: 1 put, 2 delete, 3 none, 4 delete of an expired item: nobody asked for it, and no outcome is kept
//!            8  version time
//!            8  change of the partition's size in bytes, signed
//!            1  change of the partition's item count, signed
//!            4  n, n* stored version: of a put; else n is 0
//!            4  n, n* outcome: what the client is answered
//! body of kind 2: the new descriptor, of kind 3: the new definition; in JSON, fields of which are only ever added
//! body of kind 4:
//!            4  n, n* what is known of other regions from now on (global::state)
//!            4  groups, and for each
//!               1  1: it is one entry of a region's log; 0: it was copied, and the next four are not there
//!               2  n, n* region
//!               8  since when its table is global there
//!              16  partition of that region
//!               8  entry time there
//!               4  writes, and for each
//!                  2  n, n* key
//!                  1  effect: 1 put, 2 delete, 3 none, 4 set aside
//!                  8  change of the partition's size in bytes, signed
//!                  1  change of the partition's item count, signed
//!                  4  n, n* stored version; of a deletion, without an item
//! body of kind 5:
//!            4  n, n* what is known of other regions from now on; n is 0: what was known before
//!            4  tombstones that go, and for each
//!               2  n, n* key
//!            4  versions that were set aside and are taken up, and for each a write as in kind 4
//! body of kind 6:
//!            4  n, n* how far the index of expirations is made from now on (expirations); n is 0: it is made
//! body of kind 7:
//!            1  1: it is asked for, and the next two are there; else 0
//!           16  request id
//!            4  n, n* outcome: what its router is answered
//!            4  what is kept of transactions, and for each
//!               2  n, n* key (transaction::kept)
//!               1  1: its value follows; 0: it goes
//!               4  n, n* value
//!               writes as in kind 1, of which the request ids and outcomes mean nothing
//! body of kind 10:
//!           16  partition whose log it is
//!            4  n, n* how much of it is in this index then (feed::Fed)
//!            4  writes, and for each a write as in kind 4
//! body of kind 11:
//!           16  table id of the index that is filled
//!            4  n, n* how far it is filled then (feed::filling)
//!            4  items, and for each
//!               2  n, n* key
//!               4  n, n* stored version
//! changes of indexes: count (4), and for each, in the order of evaluation
//!            1  index: the byte its keys lie under (engine: layout.rs)
//!            1  effect: 1 put, 2 remove, 3 resize
//!            2  n, n* the item's key in the index
//!            8  change of the index's size in bytes, signed
//! changes for the stream: count (4); while the table has one, for each effect that puts or deletes, in the order of the body
//!            1  0 the item stays as it was, 1 it changes, 2 it changes, and it was the service's doing
//!            4  but for 0: n, n* the item as it was, where the stream shows it; n is 0 where it does not, or there was none
//! ```
//!
//! The entry a leader's term begins with has no payload. An entry whose format is not known here stops the replica:
//! guessing would let it diverge.

mod feed;
mod global;
mod indexes;
mod streams;
mod transaction;

pub(crate) use feed::{FedWrites, ShownItems};
pub(crate) use global::{RemoteEffect, RemoteGroup, RemoteWrite, RemoteWrites, Upkeep};
pub(crate) use transaction::{TransactionEntry, TransactionWrite};

use crate::stream::StreamChange;
use bytes::{Buf, BufMut, Bytes};
use cairn_engine::IndexChange;
use cairn_model::{
    descriptor::PartitionDescriptor, ids::RequestId, key::EncodedKey, table::TableDefinition, time::Timestamp,
};
use serde::{Serialize, de::DeserializeOwned};

const VERSION: u8 = 2;
/// Of an entry that changes no index, and whose table has no stream.
const BODY_ALONE: u8 = 1;
const TRANSACTION: u8 = 7;
const HEADER_BYTES: usize = 42;
const WRITE_BYTES_MIN: usize = 44;

/// What an entry was evaluated under; if any of it differs where it is applied, the entry is void.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EntryHeader {
    pub(crate) term: u64,
    pub(crate) epoch: u64,
    pub(crate) schema_version: u64,
    pub(crate) sequence: u64,
    pub(crate) entry_time: Timestamp,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) header: EntryHeader,
    pub(crate) body: EntryBody,
    /// In the order of evaluation.
    pub(crate) index_changes: Vec<IndexChange>,
    /// While the table has a stream, of each effect that puts or deletes, in the order of the body.
    pub(crate) stream_changes: Vec<StreamChange>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum EntryBody {
    Writes(Vec<EntryWrite>),
    Descriptor(PartitionDescriptor),
    Definition(Box<TableDefinition>),
    Remote(RemoteWrites),
    Upkeep(Upkeep),
    /// How far the index of expirations is made from now on; none: it is.
    Expirations(Option<Bytes>),
    Transaction(TransactionEntry),
    Fed(FedWrites),
    Shown(ShownItems),
}

/// What one write does to its item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Puts this stored version.
    Put(Bytes),
    Delete,
    /// Deletes an expired item. Nobody asked for it: of what it comes to, nothing is kept.
    Expire,
    /// Only the outcome is kept: a failed condition must stay failed, whenever an attempt that was long under way arrives.
    Nothing,
}

impl Effect {
    pub(crate) fn version(&self) -> &[u8] {
        match self {
            Self::Put(version) => version,
            Self::Delete | Self::Expire | Self::Nothing => &[],
        }
    }
}

/// The effect of one write, and what its client is answered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EntryWrite {
    pub(crate) request_id: RequestId,
    pub(crate) key: EncodedKey,
    pub(crate) effect: Effect,
    pub(crate) version_time: Timestamp,
    pub(crate) size_change: i64,
    pub(crate) count_change: i8,
    pub(crate) outcome: Bytes,
}

impl EntryWrite {
    pub(crate) fn encoded_bytes(&self) -> usize {
        WRITE_BYTES_MIN + self.key.0.len() + self.effect.version().len() + self.outcome.len()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EntryError {
    #[error("failed to read an entry: its format version is {0}, and this program knows none above {VERSION}")]
    UnknownVersion(u8),
    #[error("failed to read an entry: its kind {0} is not known")]
    UnknownKind(u8),
    #[error("failed to read an entry: it is damaged: {0}")]
    Damaged(&'static str),
    #[error("failed to read or write the descriptor or definition in an entry: {0}")]
    Json(String),
}

impl Entry {
    pub(crate) fn encode(&self) -> Result<Vec<u8>, EntryError> {
        let body_bytes = match &self.body {
            EntryBody::Writes(writes) => 4 + writes.iter().map(EntryWrite::encoded_bytes).sum::<usize>(),
            EntryBody::Descriptor(_) | EntryBody::Definition(_) => 512,
            EntryBody::Remote(remote) => {
                let writes = remote.groups.iter().flat_map(|group| &group.writes);
                64 + remote.state.len() + writes.map(RemoteWrite::encoded_bytes).sum::<usize>()
            }
            EntryBody::Expirations(making) => 4 + making.as_ref().map_or(0, Bytes::len),
            EntryBody::Fed(fed) => {
                64 + fed.fed.len() + fed.writes.iter().map(RemoteWrite::encoded_bytes).sum::<usize>()
            }
            EntryBody::Shown(shown) => shown.encoded_bytes(),
            EntryBody::Upkeep(upkeep) => 64 + upkeep.taken_up.iter().map(RemoteWrite::encoded_bytes).sum::<usize>(),
            EntryBody::Transaction(entry) => entry.encoded_bytes(),
        };
        let beside_bytes = indexes::encoded_bytes(&self.index_changes) + streams::encoded_bytes(&self.stream_changes);
        let mut out = Vec::with_capacity(HEADER_BYTES + body_bytes + 12 + beside_bytes);
        let has_body_alone = self.index_changes.is_empty() && self.stream_changes.is_empty();
        let version = if has_body_alone { BODY_ALONE } else { VERSION };
        out.put_u8(version);
        out.put_u8(match &self.body {
            EntryBody::Writes(_) => 1,
            EntryBody::Descriptor(_) => 2,
            EntryBody::Definition(_) => 3,
            EntryBody::Remote(_) => 4,
            EntryBody::Upkeep(_) => 5,
            EntryBody::Expirations(_) => 6,
            EntryBody::Transaction(_) => TRANSACTION,
            EntryBody::Fed(_) => 10,
            EntryBody::Shown(_) => 11,
        });
        out.put_u64_le(self.header.term);
        out.put_u64_le(self.header.epoch);
        out.put_u64_le(self.header.schema_version);
        out.put_u64_le(self.header.sequence);
        out.put_u64_le(self.header.entry_time.0);
        let begin = out.len();
        if version == VERSION {
            out.put_u32_le(0);
        }
        match &self.body {
            EntryBody::Writes(writes) => encode_writes(&mut out, writes)?,
            EntryBody::Descriptor(descriptor) => out.extend_from_slice(&json(descriptor)?),
            EntryBody::Definition(definition) => out.extend_from_slice(&json(&**definition)?),
            EntryBody::Remote(remote) => global::encode_remote(&mut out, remote)?,
            EntryBody::Upkeep(upkeep) => global::encode_upkeep(&mut out, upkeep)?,
            EntryBody::Expirations(making) => global::put_bytes(&mut out, making.as_deref().unwrap_or_default())?,
            EntryBody::Transaction(entry) => transaction::encode(&mut out, entry)?,
            EntryBody::Fed(fed) => feed::encode_fed(&mut out, fed)?,
            EntryBody::Shown(shown) => feed::encode_shown(&mut out, shown)?,
        }
        if version == VERSION {
            let body_bytes = length(out.len() - begin - 4)?;
            out[begin..begin + 4].copy_from_slice(&body_bytes.to_le_bytes());
            indexes::encode(&mut out, &self.index_changes)?;
            streams::encode(&mut out, &self.stream_changes)?;
        }
        Ok(out)
    }

    /// The entry time, read off the header; none of an entry without one.
    pub(crate) fn time_of(payload: &[u8]) -> Option<Timestamp> {
        let time = payload
            .first()
            .filter(|version| (BODY_ALONE..=VERSION).contains(*version))
            .and_then(|_| payload.get(34..42))?;
        Some(Timestamp(u64::from_le_bytes(time.try_into().ok()?)))
    }

    /// Whether it is a step of a transaction, read off the header.
    pub(crate) fn is_of_transaction(payload: &[u8]) -> bool {
        payload.get(1) == Some(&TRANSACTION)
    }

    /// Slices into `payload`; nothing is copied of a write.
    pub(crate) fn decode(mut payload: Bytes) -> Result<Self, EntryError> {
        let version = *payload.first().ok_or(EntryError::Damaged("it is empty"))?;
        if !(BODY_ALONE..=VERSION).contains(&version) {
            return Err(EntryError::UnknownVersion(version));
        }
        if payload.len() < HEADER_BYTES {
            return Err(EntryError::Damaged("it ends within its header"));
        }
        payload.advance(1);
        let kind = payload.get_u8();
        let header = EntryHeader {
            term: payload.get_u64_le(),
            epoch: payload.get_u64_le(),
            schema_version: payload.get_u64_le(),
            sequence: payload.get_u64_le(),
            entry_time: Timestamp(payload.get_u64_le()),
        };
        let (index_changes, stream_changes) = match version {
            BODY_ALONE => (Vec::new(), Vec::new()),
            _ => {
                const CUT: EntryError = EntryError::Damaged("it ends within its body");
                let body_bytes = payload.try_get_u32_le().map_err(|_| CUT)?;
                let body = take(&mut payload, body_bytes as usize).ok_or(CUT)?;
                let mut beside = std::mem::replace(&mut payload, body);
                let changes = (indexes::decode(&mut beside)?, streams::decode(&mut beside)?);
                if !beside.is_empty() {
                    return Err(EntryError::Damaged("bytes are left behind its end"));
                }
                changes
            }
        };
        let body = match kind {
            1 => EntryBody::Writes(decode_writes(payload)?),
            2 => EntryBody::Descriptor(from_json(&payload)?),
            3 => EntryBody::Definition(Box::new(from_json(&payload)?)),
            4 => EntryBody::Remote(global::decode_remote(payload)?),
            5 => EntryBody::Upkeep(global::decode_upkeep(payload)?),
            6 => EntryBody::Expirations(decode_expirations(payload)?),
            TRANSACTION => EntryBody::Transaction(transaction::decode(payload)?),
            10 => EntryBody::Fed(feed::decode_fed(payload)?),
            11 => EntryBody::Shown(feed::decode_shown(payload)?),
            other => return Err(EntryError::UnknownKind(other)),
        };
        Ok(Self { header, body, index_changes, stream_changes })
    }
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, EntryError> {
    serde_json::to_vec(value).map_err(|error| EntryError::Json(error.to_string()))
}

fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, EntryError> {
    serde_json::from_slice(bytes).map_err(|error| EntryError::Json(error.to_string()))
}

fn length(length: usize) -> Result<u32, EntryError> {
    u32::try_from(length).map_err(|_| EntryError::Damaged("a length does not fit its field"))
}

fn encode_writes(out: &mut Vec<u8>, writes: &[EntryWrite]) -> Result<(), EntryError> {
    out.put_u32_le(length(writes.len())?);
    writes.iter().try_for_each(|write| encode_write(out, write))
}

fn encode_write(out: &mut Vec<u8>, write: &EntryWrite) -> Result<(), EntryError> {
    let key_bytes = u16::try_from(write.key.0.len()).map_err(|_| EntryError::Damaged("a key is too long"))?;
    out.put_slice(&write.request_id.0);
    out.put_u16_le(key_bytes);
    out.put_slice(&write.key.0);
    out.put_u8(match write.effect {
        Effect::Put(_) => 1,
        Effect::Delete => 2,
        Effect::Nothing => 3,
        Effect::Expire => 4,
    });
    out.put_u64_le(write.version_time.0);
    out.put_i64_le(write.size_change);
    out.put_i8(write.count_change);
    let version = write.effect.version();
    out.put_u32_le(length(version.len())?);
    out.put_slice(version);
    out.put_u32_le(length(write.outcome.len())?);
    out.put_slice(&write.outcome);
    Ok(())
}

fn decode_writes(mut body: Bytes) -> Result<Vec<EntryWrite>, EntryError> {
    const CUT: EntryError = EntryError::Damaged("it ends within a write");
    let count = body.try_get_u32_le().map_err(|_| CUT)? as usize;
    if count > body.len() / WRITE_BYTES_MIN {
        return Err(CUT);
    }
    let mut writes = Vec::with_capacity(count);
    for _ in 0..count {
        let mut request_id = [0; 16];
        body.try_copy_to_slice(&mut request_id).map_err(|_| CUT)?;
        let key_bytes = body.try_get_u16_le().map_err(|_| CUT)?;
        let key = EncodedKey(take(&mut body, usize::from(key_bytes)).ok_or(CUT)?);
        let effect = body.try_get_u8().map_err(|_| CUT)?;
        let version_time = Timestamp(body.try_get_u64_le().map_err(|_| CUT)?);
        let size_change = body.try_get_i64_le().map_err(|_| CUT)?;
        let count_change = body.try_get_i8().map_err(|_| CUT)?;
        let version_bytes = body.try_get_u32_le().map_err(|_| CUT)?;
        let version = take(&mut body, version_bytes as usize).ok_or(CUT)?;
        let outcome_bytes = body.try_get_u32_le().map_err(|_| CUT)?;
        let outcome = take(&mut body, outcome_bytes as usize).ok_or(CUT)?;
        let effect = match effect {
            1 => Effect::Put(version),
            2 => Effect::Delete,
            3 => Effect::Nothing,
            4 => Effect::Expire,
            _ => return Err(EntryError::Damaged("an effect is of no known kind")),
        };
        writes.push(EntryWrite {
            request_id: RequestId(request_id),
            key,
            effect,
            version_time,
            size_change,
            count_change,
            outcome,
        });
    }
    if body.is_empty() { Ok(writes) } else { Err(EntryError::Damaged("bytes are left behind its end")) }
}

fn decode_expirations(mut body: Bytes) -> Result<Option<Bytes>, EntryError> {
    let making = global::get_bytes(&mut body)?;
    global::end(&body)?;
    Ok((!making.is_empty()).then_some(making))
}

fn take(body: &mut Bytes, length: usize) -> Option<Bytes> {
    (length <= body.len()).then(|| body.split_to(length))
}

#[cfg(test)]
mod tests;
