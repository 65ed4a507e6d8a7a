//! What an entry says of its changes for the table's stream: behind its body, in format version 2.

use super::{EntryError, length, take};
use crate::stream::StreamChange;
use bytes::{Buf, BufMut, Bytes};

const CUT: EntryError = EntryError::Damaged("it ends within what it says for the stream");

pub(super) fn encoded_bytes(changes: &[StreamChange]) -> usize {
    changes.iter().map(StreamChange::encoded_bytes).sum()
}

pub(super) fn encode(out: &mut Vec<u8>, changes: &[StreamChange]) -> Result<(), EntryError> {
    out.put_u32_le(length(changes.len())?);
    for change in changes {
        match change {
            StreamChange::Nothing => out.put_u8(0),
            StreamChange::Item { by_service, old_image } => {
                out.put_u8(1 + u8::from(*by_service));
                out.put_u32_le(length(old_image.len())?);
                out.put_slice(old_image);
            }
        }
    }
    Ok(())
}

pub(super) fn decode(body: &mut Bytes) -> Result<Vec<StreamChange>, EntryError> {
    let count = body.try_get_u32_le().map_err(|_| CUT)? as usize;
    if count > body.len() {
        return Err(CUT);
    }
    let mut changes = Vec::with_capacity(count);
    for _ in 0..count {
        let kind = body.try_get_u8().map_err(|_| CUT)?;
        changes.push(match kind {
            0 => StreamChange::Nothing,
            1 | 2 => {
                let image_bytes = body.try_get_u32_le().map_err(|_| CUT)?;
                let old_image = take(body, image_bytes as usize).ok_or(CUT)?;
                StreamChange::Item { by_service: kind == 2, old_image }
            }
            _ => return Err(EntryError::Damaged("a change for the stream is of no known kind")),
        });
    }
    Ok(changes)
}
