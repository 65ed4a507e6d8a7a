//! The bodies of entries of global indexes: what a table's log changed in one, and a table's items shown again to fill one.

use super::{
    EntryError, RemoteWrite,
    global::{end, get_bytes, get_short, get_writes, put_bytes, put_short, put_writes},
    length,
};
use bytes::{Buf, BufMut, Bytes};
use cairn_model::{
    ids::{PartitionId, TableId},
    key::EncodedKey,
};

const CUT: EntryError = EntryError::Damaged("it ends within what is of a global index");

/// What is taken in of a table's log, in a partition of one of its indexes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FedWrites {
    pub(crate) source: PartitionId,
    /// A [`crate::feed::Fed`].
    pub(crate) fed: Bytes,
    pub(crate) writes: Vec<RemoteWrite>,
}

/// Items of a table as they are, for an index that is to have what was there before it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ShownItems {
    pub(crate) index: TableId,
    /// A [`crate::feed::Filled`].
    pub(crate) filled: Bytes,
    /// Stored versions.
    pub(crate) items: Vec<(EncodedKey, Bytes)>,
}

impl ShownItems {
    pub(super) fn encoded_bytes(&self) -> usize {
        64 + self.filled.len() + self.items.iter().map(|(key, version)| 6 + key.0.len() + version.len()).sum::<usize>()
    }
}

pub(super) fn encode_fed(out: &mut Vec<u8>, fed: &FedWrites) -> Result<(), EntryError> {
    out.put_slice(&fed.source.0);
    put_bytes(out, &fed.fed)?;
    put_writes(out, &fed.writes)
}

pub(super) fn decode_fed(mut body: Bytes) -> Result<FedWrites, EntryError> {
    let source = PartitionId(id(&mut body)?);
    let fed = get_bytes(&mut body)?;
    let writes = get_writes(&mut body)?;
    end(&body)?;
    Ok(FedWrites { source, fed, writes })
}

pub(super) fn encode_shown(out: &mut Vec<u8>, shown: &ShownItems) -> Result<(), EntryError> {
    out.put_slice(&shown.index.0);
    put_bytes(out, &shown.filled)?;
    out.put_u32_le(length(shown.items.len())?);
    for (key, version) in &shown.items {
        put_short(out, &key.0)?;
        put_bytes(out, version)?;
    }
    Ok(())
}

pub(super) fn decode_shown(mut body: Bytes) -> Result<ShownItems, EntryError> {
    let index = TableId(id(&mut body)?);
    let filled = get_bytes(&mut body)?;
    let count = body.try_get_u32_le().map_err(|_| CUT)? as usize;
    let mut items = Vec::with_capacity(count.min(body.len()));
    for _ in 0..count {
        items.push((EncodedKey(get_short(&mut body)?), get_bytes(&mut body)?));
    }
    end(&body)?;
    Ok(ShownItems { index, filled, items })
}

fn id(body: &mut Bytes) -> Result<[u8; 16], EntryError> {
    let mut id = [0; 16];
    body.try_copy_to_slice(&mut id).map_err(|_| CUT)?;
    Ok(id)
}
