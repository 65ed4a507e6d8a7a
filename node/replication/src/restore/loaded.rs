//! Data of a past that is only read, as exports do: it becomes nobody's and is reclaimed when it is dropped.

use super::{Restoration, RestoreError, given_on};
use bytes::{Buf, BufMut, Bytes};
use cairn_engine::{EngineError, Store};
use cairn_model::{codec::StoredVersion, key::EncodedKey, table::TableDefinition, time::Timestamp};
use std::sync::Arc;

/// Where a load keeps deletions, this is stored in the item's place: a byte that no stored version begins with, then the
/// time. It never leaves the load.
const DELETED: u8 = 0;

/// What a load has under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadedVersion {
    Item(StoredVersion),
    /// It was deleted then, after the time from which on deletions are kept.
    Deleted(Timestamp),
}

/// All of it blocks.
#[derive(Debug)]
pub struct Loaded<S: Store>(Restoration<S>);

impl<S: Store> Loaded<S> {
    pub(super) fn new(restoration: Restoration<S>) -> Self {
        Self(restoration)
    }

    /// The archived table, as of the last entry.
    pub fn definition(&self) -> Option<&Arc<TableDefinition>> {
        self.0.state.as_ref().map(|state| &state.definition)
    }

    /// Of the items, in DynamoDB's bytes.
    pub fn size_bytes(&self) -> u64 {
        self.0.state.as_ref().map_or(0, |state| state.applied.size_bytes)
    }

    /// About `bytes` bytes of what comes behind this key, in the order of keys; nothing at the end.
    pub fn page(
        &self,
        after: Option<&EncodedKey>,
        bytes: usize,
    ) -> Result<Vec<(EncodedKey, LoadedVersion)>, RestoreError> {
        let writer = self.0.writer.as_ref().ok_or_else(given_on)?;
        let (mut page, mut read) = (Vec::new(), 0);
        for pair in self.0.engine.loaded(writer, after) {
            let (key, value) = pair?;
            read += key.0.len() + value.len();
            page.push((key, decode(value)?));
            if read >= bytes {
                break;
            }
        }
        Ok(page)
    }

    pub fn get(&self, key: &EncodedKey) -> Result<Option<LoadedVersion>, RestoreError> {
        let writer = self.0.writer.as_ref().ok_or_else(given_on)?;
        self.0.engine.loaded_item(writer, key)?.map(decode).transpose()
    }
}

pub(super) fn deleted(at: Timestamp) -> Bytes {
    let mut value = Vec::with_capacity(9);
    value.put_u8(DELETED);
    value.put_u64_le(at.0);
    value.into()
}

pub(super) fn is_deleted(value: &[u8]) -> bool {
    value.first() == Some(&DELETED)
}

fn decode(mut value: Bytes) -> Result<LoadedVersion, RestoreError> {
    let damaged = |reason: String| RestoreError::Engine(EngineError::Snapshot { reason });
    if is_deleted(&value) {
        value.advance(1);
        let at = value.try_get_u64_le().map_err(|_| damaged("a deletion has no time".into()))?;
        return Ok(LoadedVersion::Deleted(Timestamp(at)));
    }
    StoredVersion::parse(value).map(LoadedVersion::Item).map_err(|error| damaged(error.to_string()))
}
