//! Reads: one item, a range of items, an outcome.

use super::Engine;
use crate::{EngineError, Store, StoreRange, StoreSnapshot, layout};
use bytes::Bytes;
use cairn_model::{ids::RequestId, key::EncodedKey};
use std::{fmt, ops::Bound};

impl<S: Store> Engine<S> {
    /// The item's stored version (a [`cairn_model::codec::StoredVersion`]), as last applied.
    pub fn get(&self, storage_id: u64, key: &EncodedKey) -> Result<Option<Bytes>, EngineError> {
        Ok(self.store.get(&layout::item(storage_id, &key.0))?)
    }

    /// The stored versions between two bounds, in key order or against it, all as of now.
    ///
    /// The iterator holds a snapshot of the store: drop it within seconds.
    pub fn scan(&self, storage_id: u64, lower: Bound<&[u8]>, upper: Bound<&[u8]>, forward: bool) -> ScanIter {
        let (lower, upper) = layout::items(storage_id, lower, upper);
        ScanIter(self.store.snapshot().range(lower, upper, forward))
    }

    /// What a recent request came to.
    pub fn outcome(&self, storage_id: u64, request_id: &RequestId) -> Result<Option<Bytes>, EngineError> {
        let Ok((_, live)) = self.live_storage(storage_id) else { return Ok(None) };
        let mut live = live.lock();
        let window = live.state.outcomes;
        live.outcomes.get(&self.store, storage_id, window, request_id)
    }
}

pub struct ScanIter(StoreRange);

impl ScanIter {
    pub(super) fn new(range: StoreRange) -> Self {
        Self(range)
    }
}

impl Iterator for ScanIter {
    type Item = Result<(EncodedKey, Bytes), EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        let pair = self.0.next()?;
        Some(pair.map(|(key, value)| (EncodedKey(key.slice(layout::HEADER_BYTES..)), value)).map_err(EngineError::from))
    }
}

impl fmt::Debug for ScanIter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScanIter")
    }
}
