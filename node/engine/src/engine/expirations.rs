//! The index of expirations, as far as the engine knows it: keys without values, in their order.

use super::Engine;
use crate::{EngineError, Store, StoreRange, StoreSnapshot, layout};
use bytes::Bytes;
use std::{fmt, ops::Bound};

impl<S: Store> Engine<S> {
    /// The keys of the index of expirations between two bounds, from the earliest on, all as of now.
    ///
    /// The iterator holds a snapshot of the store: drop it within seconds.
    pub fn expirations(&self, storage_id: u64, lower: Bound<&[u8]>, upper: Bound<&[u8]>) -> ExpirationIter {
        let (lower, upper) = layout::within(storage_id, layout::EXPIRATIONS, lower, upper);
        ExpirationIter(self.store.snapshot().range(lower, upper, true))
    }
}

pub struct ExpirationIter(StoreRange);

impl Iterator for ExpirationIter {
    type Item = Result<Bytes, EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        let pair = self.0.next()?;
        Some(pair.map(|(key, _)| key.slice(layout::HEADER_BYTES..)).map_err(EngineError::from))
    }
}

impl fmt::Debug for ExpirationIter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExpirationIter")
    }
}
