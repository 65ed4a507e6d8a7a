//! The index of expirations, as far as the engine knows it: keys without values, in their order.

use super::{Engine, KeptIter};
use crate::{EngineError, Store, StoreSnapshot, layout};
use bytes::Bytes;
use std::ops::Bound;

impl<S: Store> Engine<S> {
    /// The keys of the index of expirations between two bounds, from the earliest on, all as of now.
    ///
    /// The iterator holds a snapshot of the store: drop it within seconds.
    pub fn expirations(
        &self,
        storage_id: u64,
        lower: Bound<&[u8]>,
        upper: Bound<&[u8]>,
    ) -> impl Iterator<Item = Result<Bytes, EngineError>> + use<S> {
        let (lower, upper) = layout::within(storage_id, layout::EXPIRATIONS, lower, upper);
        KeptIter(self.store.snapshot().range(lower, upper, true)).map(|pair| pair.map(|(key, _)| key))
    }
}
