//! What an entry changes in indexes: behind its body, in format version 2.

use super::{EntryError, length, take};
use bytes::{Buf, BufMut, Bytes};
use cairn_engine::{IndexChange, IndexEffect};

const CUT: EntryError = EntryError::Damaged("it ends within what it changes in indexes");
const CHANGE_BYTES_MIN: usize = 12;

pub(super) fn encoded_bytes(changes: &[IndexChange]) -> usize {
    changes.iter().map(|change| CHANGE_BYTES_MIN + change.key.len()).sum()
}

pub(super) fn encode(out: &mut Vec<u8>, changes: &[IndexChange]) -> Result<(), EntryError> {
    out.put_u32_le(length(changes.len())?);
    for change in changes {
        out.put_u8(change.index);
        out.put_u8(match change.effect {
            IndexEffect::Put => 1,
            IndexEffect::Remove => 2,
            IndexEffect::Resize => 3,
        });
        out.put_u16_le(u16::try_from(change.key.len()).map_err(|_| EntryError::Damaged("a key is too long"))?);
        out.put_slice(&change.key);
        out.put_i64_le(change.size_change);
    }
    Ok(())
}

pub(super) fn decode(body: &mut Bytes) -> Result<Vec<IndexChange>, EntryError> {
    let count = body.try_get_u32_le().map_err(|_| CUT)? as usize;
    if count > body.len() / CHANGE_BYTES_MIN {
        return Err(CUT);
    }
    let mut changes = Vec::with_capacity(count);
    for _ in 0..count {
        let index = body.try_get_u8().map_err(|_| CUT)?;
        if !cairn_engine::is_index(index) {
            return Err(EntryError::Damaged("it changes what is no index"));
        }
        let effect = match body.try_get_u8().map_err(|_| CUT)? {
            1 => IndexEffect::Put,
            2 => IndexEffect::Remove,
            3 => IndexEffect::Resize,
            _ => return Err(EntryError::Damaged("a change of an index is of no known kind")),
        };
        let key_bytes = body.try_get_u16_le().map_err(|_| CUT)?;
        let key = take(body, usize::from(key_bytes)).ok_or(CUT)?;
        changes.push(IndexChange { index, effect, key, size_change: body.try_get_i64_le().map_err(|_| CUT)? });
    }
    Ok(changes)
}
