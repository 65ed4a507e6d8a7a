//! The body of an entry of a transaction: what one of its steps writes, and what is kept of it from then on.

use super::{EntryError, EntryWrite, decode_writes, encode_writes, length, take};
use crate::transaction::kept::{self, KeptError};
use bytes::{Buf, BufMut, Bytes};
use cairn_model::{ids::RequestId, time::Timestamp};

const CUT: EntryError = EntryError::Damaged("it ends within a step of a transaction");

/// One step of a transaction, or what is no longer kept of some.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct TransactionEntry {
    /// Who asked for it, and what is answered.
    pub(crate) outcome: Option<(RequestId, Bytes)>,
    pub(crate) kept: Vec<TransactionWrite>,
    /// Their request ids and outcomes mean nothing.
    pub(crate) writes: Vec<EntryWrite>,
}

/// What is kept under a key of `transaction::kept` from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TransactionWrite {
    pub(crate) key: Bytes,
    pub(crate) value: Option<Bytes>,
}

impl TransactionEntry {
    /// Whether it prepares a transaction.
    pub(crate) fn prepares(&self) -> bool {
        self.kept.iter().any(|write| write.value.is_some() && kept::is_of_prepared(&write.key))
    }

    /// When the transaction was decided that it commits, if it commits one.
    pub(crate) fn decided_at(&self) -> Result<Option<Timestamp>, KeptError> {
        for TransactionWrite { key, value } in &self.kept {
            let Some(value) = value else { continue };
            if let Some(time) = kept::decided_at(key, value)? {
                return Ok(Some(time));
            }
        }
        Ok(None)
    }

    pub(super) fn encoded_bytes(&self) -> usize {
        let kept = self.kept.iter().map(|write| 7 + write.key.len() + write.value.as_ref().map_or(0, Bytes::len));
        32 + self.outcome.as_ref().map_or(0, |(_, outcome)| outcome.len())
            + kept.sum::<usize>()
            + self.writes.iter().map(EntryWrite::encoded_bytes).sum::<usize>()
    }
}

pub(super) fn encode(out: &mut Vec<u8>, entry: &TransactionEntry) -> Result<(), EntryError> {
    match &entry.outcome {
        None => out.put_u8(0),
        Some((request_id, outcome)) => {
            out.put_u8(1);
            out.put_slice(&request_id.0);
            out.put_u32_le(length(outcome.len())?);
            out.put_slice(outcome);
        }
    }
    out.put_u32_le(length(entry.kept.len())?);
    for write in &entry.kept {
        let key_bytes = u16::try_from(write.key.len()).map_err(|_| EntryError::Damaged("a key is too long"))?;
        out.put_u16_le(key_bytes);
        out.put_slice(&write.key);
        match &write.value {
            None => out.put_u8(0),
            Some(value) => {
                out.put_u8(1);
                out.put_u32_le(length(value.len())?);
                out.put_slice(value);
            }
        }
    }
    encode_writes(out, &entry.writes)
}

pub(super) fn decode(mut body: Bytes) -> Result<TransactionEntry, EntryError> {
    let outcome = match body.try_get_u8().map_err(|_| CUT)? {
        0 => None,
        1 => {
            let mut request_id = [0; 16];
            body.try_copy_to_slice(&mut request_id).map_err(|_| CUT)?;
            Some((RequestId(request_id), get_bytes(&mut body)?))
        }
        _ => return Err(EntryError::Damaged("an outcome is of no known kind")),
    };
    let count = body.try_get_u32_le().map_err(|_| CUT)? as usize;
    let mut kept = Vec::with_capacity(count.min(body.len()));
    for _ in 0..count {
        let key_bytes = body.try_get_u16_le().map_err(|_| CUT)?;
        let key = take(&mut body, key_bytes.into()).ok_or(CUT)?;
        let value = match body.try_get_u8().map_err(|_| CUT)? {
            0 => None,
            1 => Some(get_bytes(&mut body)?),
            _ => return Err(EntryError::Damaged("what is kept is of no known kind")),
        };
        kept.push(TransactionWrite { key, value });
    }
    Ok(TransactionEntry { outcome, kept, writes: decode_writes(body)? })
}

fn get_bytes(body: &mut Bytes) -> Result<Bytes, EntryError> {
    let bytes = body.try_get_u32_le().map_err(|_| CUT)?;
    take(body, bytes as usize).ok_or(CUT)
}
