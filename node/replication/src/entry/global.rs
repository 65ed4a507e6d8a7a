//! The bodies of entries of global tables: what other regions wrote, and the upkeep of what is kept beside the items.

use super::{EntryError, length, take};
use crate::global::{Lineage, Origin};
use bytes::{Buf, BufMut, Bytes};
use cairn_model::{ids::PartitionId, key::EncodedKey, time::Timestamp};

const CUT: EntryError = EntryError::Damaged("it ends within what is of other regions");
const WRITE_BYTES_MIN: usize = 16;

/// What was taken in of a batch of another region.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RemoteWrites {
    /// What is known of other regions from now on: a [`crate::global::GlobalState`].
    pub(crate) state: Bytes,
    pub(crate) groups: Vec<RemoteGroup>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RemoteGroup {
    pub(crate) origin: Option<Origin>,
    pub(crate) writes: Vec<RemoteWrite>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RemoteWrite {
    pub(crate) key: EncodedKey,
    pub(crate) effect: RemoteEffect,
    pub(crate) size_change: i64,
    pub(crate) count_change: i8,
    /// A stored version; of a deletion, without an item.
    pub(crate) version: Bytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RemoteEffect {
    Put,
    Delete,
    SetAside,
    /// What was set aside has lost meanwhile.
    Nothing,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Upkeep {
    /// What is known of other regions from now on; none: what was known before.
    pub(crate) state: Option<Bytes>,
    pub(crate) tombstones_removed: Vec<EncodedKey>,
    /// Versions that were set aside, and are so no more.
    pub(crate) taken_up: Vec<RemoteWrite>,
}

impl RemoteWrite {
    pub(crate) fn encoded_bytes(&self) -> usize {
        WRITE_BYTES_MIN + self.key.0.len() + self.version.len()
    }
}

pub(super) fn encode_remote(out: &mut Vec<u8>, remote: &RemoteWrites) -> Result<(), EntryError> {
    put_bytes(out, &remote.state)?;
    out.put_u32_le(length(remote.groups.len())?);
    for group in &remote.groups {
        match &group.origin {
            None => out.put_u8(0),
            Some(origin) => {
                out.put_u8(1);
                put_short(out, origin.lineage.region.as_bytes())?;
                out.put_u64_le(origin.lineage.since.0);
                out.put_slice(&origin.lineage.partition.0);
                out.put_u64_le(origin.time.0);
            }
        }
        put_writes(out, &group.writes)?;
    }
    Ok(())
}

pub(super) fn decode_remote(mut body: Bytes) -> Result<RemoteWrites, EntryError> {
    let state = get_bytes(&mut body)?;
    let count = body.try_get_u32_le().map_err(|_| CUT)? as usize;
    let mut groups = Vec::with_capacity(count.min(body.len()));
    for _ in 0..count {
        let origin = match body.try_get_u8().map_err(|_| CUT)? {
            0 => None,
            1 => {
                let region = String::from_utf8(get_short(&mut body)?.to_vec())
                    .map_err(|_| EntryError::Damaged("a region is not UTF-8"))?;
                let since = Timestamp(body.try_get_u64_le().map_err(|_| CUT)?);
                let mut partition = [0; 16];
                body.try_copy_to_slice(&mut partition).map_err(|_| CUT)?;
                let time = Timestamp(body.try_get_u64_le().map_err(|_| CUT)?);
                Some(Origin { lineage: Lineage { region, since, partition: PartitionId(partition) }, time })
            }
            _ => return Err(EntryError::Damaged("a group is of no known kind")),
        };
        groups.push(RemoteGroup { origin, writes: get_writes(&mut body)? });
    }
    end(&body)?;
    Ok(RemoteWrites { state, groups })
}

pub(super) fn encode_upkeep(out: &mut Vec<u8>, upkeep: &Upkeep) -> Result<(), EntryError> {
    put_bytes(out, upkeep.state.as_deref().unwrap_or_default())?;
    out.put_u32_le(length(upkeep.tombstones_removed.len())?);
    upkeep.tombstones_removed.iter().try_for_each(|key| put_short(out, &key.0))?;
    put_writes(out, &upkeep.taken_up)
}

pub(super) fn decode_upkeep(mut body: Bytes) -> Result<Upkeep, EntryError> {
    let state = get_bytes(&mut body)?;
    let count = body.try_get_u32_le().map_err(|_| CUT)? as usize;
    let mut tombstones_removed = Vec::with_capacity(count.min(body.len()));
    for _ in 0..count {
        tombstones_removed.push(EncodedKey(get_short(&mut body)?));
    }
    let taken_up = get_writes(&mut body)?;
    end(&body)?;
    Ok(Upkeep { state: (!state.is_empty()).then_some(state), tombstones_removed, taken_up })
}

fn put_writes(out: &mut Vec<u8>, writes: &[RemoteWrite]) -> Result<(), EntryError> {
    out.put_u32_le(length(writes.len())?);
    for write in writes {
        put_short(out, &write.key.0)?;
        out.put_u8(match write.effect {
            RemoteEffect::Put => 1,
            RemoteEffect::Delete => 2,
            RemoteEffect::Nothing => 3,
            RemoteEffect::SetAside => 4,
        });
        out.put_i64_le(write.size_change);
        out.put_i8(write.count_change);
        put_bytes(out, &write.version)?;
    }
    Ok(())
}

fn get_writes(body: &mut Bytes) -> Result<Vec<RemoteWrite>, EntryError> {
    let count = body.try_get_u32_le().map_err(|_| CUT)? as usize;
    if count > body.len() / WRITE_BYTES_MIN {
        return Err(CUT);
    }
    let mut writes = Vec::with_capacity(count);
    for _ in 0..count {
        let key = EncodedKey(get_short(body)?);
        let effect = match body.try_get_u8().map_err(|_| CUT)? {
            1 => RemoteEffect::Put,
            2 => RemoteEffect::Delete,
            3 => RemoteEffect::Nothing,
            4 => RemoteEffect::SetAside,
            _ => return Err(EntryError::Damaged("an effect is of no known kind")),
        };
        let size_change = body.try_get_i64_le().map_err(|_| CUT)?;
        let count_change = body.try_get_i8().map_err(|_| CUT)?;
        writes.push(RemoteWrite { key, effect, size_change, count_change, version: get_bytes(body)? });
    }
    Ok(writes)
}

fn put_short(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), EntryError> {
    out.put_u16_le(u16::try_from(bytes.len()).map_err(|_| EntryError::Damaged("a key is too long"))?);
    out.put_slice(bytes);
    Ok(())
}

fn get_short(body: &mut Bytes) -> Result<Bytes, EntryError> {
    let bytes = body.try_get_u16_le().map_err(|_| CUT)?;
    take(body, usize::from(bytes)).ok_or(CUT)
}

pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), EntryError> {
    out.put_u32_le(length(bytes.len())?);
    out.put_slice(bytes);
    Ok(())
}

pub(super) fn get_bytes(body: &mut Bytes) -> Result<Bytes, EntryError> {
    let bytes = body.try_get_u32_le().map_err(|_| CUT)?;
    take(body, bytes as usize).ok_or(CUT)
}

pub(super) fn end(body: &Bytes) -> Result<(), EntryError> {
    if body.is_empty() { Ok(()) } else { Err(EntryError::Damaged("bytes are left behind its end")) }
}
