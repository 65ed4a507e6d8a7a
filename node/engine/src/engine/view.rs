//! A replica at one applied index: its items, and what it knows of transactions.

use super::{Engine, Kept, KeptIter, deletions::Deletions};
use crate::{EngineError, Store, StoreSnapshot, layout};
use bytes::Bytes;
use cairn_model::key::EncodedKey;
use std::fmt;

/// Drop it within seconds: it holds a snapshot of the store.
pub struct View<S: Store> {
    storage_id: u64,
    snapshot: S::Snapshot,
    deletions: Deletions,
}

impl<S: Store> Engine<S> {
    /// The replica as it is applied now.
    pub fn view(&self, storage_id: u64) -> Result<View<S>, EngineError> {
        let (_, live) = self.live_storage(storage_id)?;
        // Nothing is applied meanwhile.
        let live = live.lock();
        Ok(View { storage_id, snapshot: self.store.snapshot(), deletions: live.deletions.clone() })
    }

    /// What is known of transactions, in the order of its keys from one on to before another, all as of now. Drop it within
    /// seconds.
    pub fn transactions(&self, storage_id: u64, from: &[u8], to: &[u8]) -> KeptIter {
        let (lower, upper) = layout::transactions(storage_id, from, to);
        KeptIter(self.store.snapshot().range(lower, upper, true))
    }
}

impl<S: Store> View<S> {
    /// The item's stored version.
    pub fn get(&self, key: &EncodedKey) -> Result<Option<Bytes>, EngineError> {
        Ok(self.snapshot.get(&layout::item(self.storage_id, &key.0))?)
    }

    pub fn kept(&self, what: &Kept) -> Result<Option<Bytes>, EngineError> {
        Ok(self.snapshot.get(&layout::kept(self.storage_id, what))?)
    }

    /// Of two views of one partition, on whatever replicas, that say the same of a key, no deletion of it lies between.
    pub fn last_deletion(&self, key: &EncodedKey) -> u64 {
        self.deletions.last(key)
    }
}

impl<S: Store> fmt::Debug for View<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").field("storage_id", &self.storage_id).finish_non_exhaustive()
    }
}
