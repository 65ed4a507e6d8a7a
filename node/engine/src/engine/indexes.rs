//! Indexes beside the items: keys that lead to items, what each index amounts to, and the sizes of item collections.
//!
//! ```text
//! index totals (version 1, 81 bytes; all numbers big-endian)
//! 0   1  version: 1
//! 1   16 for each local index from slot 1 on: 8 entries, 8 bytes as DynamoDB counts them
//!
//! size of an item collection (version 1, 9 bytes): of a table with local indexes, under its partition key
//! 0   1  version: 1
//! 1   8  bytes of its items and of what the indexes show of them
//! ```

use super::Engine;
use crate::{Changes, EngineError, SnapshotWriter, Store, StoreRange, StoreSnapshot, layout, record::versioned};
use bytes::{Buf, BufMut, Bytes};
use cairn_model::{index::LOCAL_INDEXES_MAX, key::EncodedKey};
use std::{collections::BTreeMap, fmt, ops::Bound};

const TOTALS_VERSION: u8 = 1;
const COLLECTION_VERSION: u8 = 1;

/// What a write does to one index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexChange {
    /// The index: where its keys lie (layout.rs).
    pub index: u8,
    pub effect: IndexEffect,
    /// The item's key in the index.
    pub key: Bytes,
    /// Of what the index shows, in DynamoDB's bytes.
    pub size_change: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexEffect {
    Put,
    Remove,
    /// The key stays; what the index shows of the item has another size.
    Resize,
}

/// What a run of entries does to indexes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexBatch {
    /// In their order; of several for one key the last counts.
    pub changes: Vec<IndexChange>,
    /// Of a table with local indexes: what items have grown by, under their keys.
    pub growth: Vec<(EncodedKey, i64)>,
}

/// What an index amounts to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndexTotals {
    pub entry_count: u64,
    pub size_bytes: u64,
}

/// Of the local indexes, by slot less one.
pub type LocalTotals = [IndexTotals; LOCAL_INDEXES_MAX];

impl IndexBatch {
    /// Adds all of it to `changes`. The totals and sizes are those of before plus the change: whoever else applies to this
    /// storage id waits meanwhile.
    pub(super) fn plan<S: Store>(&self, store: &S, storage_id: u64, changes: &mut Changes) -> Result<(), EngineError> {
        let mut totals: Option<LocalTotals> = None;
        let mut collections: BTreeMap<&[u8], i64> = BTreeMap::new();
        let collection_of = |key: &[u8]| EncodedKey::partition_bytes(key).map_err(damaged);
        for change in &self.changes {
            let key = layout::index_key(storage_id, change.index, &change.key);
            match change.effect {
                IndexEffect::Put => changes.put(key, Bytes::new()),
                IndexEffect::Remove => changes.delete(key),
                IndexEffect::Resize => {}
            }
            if let Some(slot) = layout::local_slot(change.index) {
                let totals = match &mut totals {
                    Some(totals) => totals,
                    none => none.insert(read_totals(store.get(&layout::index_totals(storage_id))?)?),
                };
                let total = &mut totals[slot];
                total.size_bytes = total.size_bytes.saturating_add_signed(change.size_change);
                total.entry_count = match change.effect {
                    IndexEffect::Put => total.entry_count.saturating_add(1),
                    IndexEffect::Remove => total.entry_count.saturating_sub(1),
                    IndexEffect::Resize => total.entry_count,
                };
                *collections.entry(&change.key[..collection_of(&change.key)?]).or_default() += change.size_change;
            }
        }
        if let Some(totals) = totals {
            changes.put(layout::index_totals(storage_id), encode_totals(&totals));
        }
        for (key, growth) in &self.growth {
            *collections.entry(&key.0[..collection_of(&key.0)?]).or_default() += growth;
        }
        for (collection, growth) in collections.into_iter().filter(|(_, growth)| *growth != 0) {
            let key = layout::collection(storage_id, collection);
            let before = read_collection(store.get(&key)?)?;
            match before.saturating_add_signed(growth) {
                0 => changes.delete(key),
                bytes => changes.put(key, encode_collection(bytes)),
            }
        }
        Ok(())
    }
}

impl<S: Store> Engine<S> {
    /// The items of a local index between two bounds of its keys, in the order of the index or against it, all as of now.
    ///
    /// The iterator holds a snapshot of the store: drop it within seconds.
    pub fn scan_index(
        &self,
        storage_id: u64,
        index: u8,
        bounds: (Bound<&[u8]>, Bound<&[u8]>),
        forward: bool,
    ) -> IndexIter<S::Snapshot> {
        let snapshot = self.store.snapshot();
        let (lower, upper) = layout::within(storage_id, index, bounds.0, bounds.1);
        IndexIter { keys: snapshot.range(lower, upper, forward), storage_id, snapshot }
    }

    /// What the replica's local indexes amount to, as last applied.
    pub fn index_totals(&self, storage_id: u64) -> Result<LocalTotals, EngineError> {
        read_totals(self.store.get(&layout::index_totals(storage_id))?)
    }

    /// The size of the item collection that this key belongs to, as last applied.
    pub fn collection_bytes(&self, storage_id: u64, key: &EncodedKey) -> Result<u64, EngineError> {
        let collection = &key.0[..EncodedKey::partition_bytes(&key.0).map_err(damaged)?];
        read_collection(self.store.get(&layout::collection(storage_id, collection))?)
    }

    /// Indexes of what is loaded. The load is complete, and nothing else writes to it.
    pub fn load_indexes(&self, writer: &SnapshotWriter, batch: &IndexBatch) -> Result<(), EngineError> {
        let mut changes = Changes::default();
        batch.plan(&self.store, writer.storage_id, &mut changes)?;
        Ok(self.store.commit(changes)?)
    }
}

/// The items of an index: the key in the index, the item's own key, its stored version.
pub struct IndexIter<N> {
    keys: StoreRange,
    storage_id: u64,
    snapshot: N,
}

impl<N: StoreSnapshot> Iterator for IndexIter<N> {
    type Item = Result<(Bytes, EncodedKey, Bytes), EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        let pair = self.keys.next()?;
        Some(pair.map_err(EngineError::from).and_then(|(stored, _)| {
            let in_index = stored.slice(layout::HEADER_BYTES..);
            let key = cairn_model::index::base_key(&in_index).map_err(damaged)?;
            let missing = || EngineError::Damaged { what: "index", reason: "it has a key without an item".into() };
            let version = self.snapshot.get(&layout::item(self.storage_id, &key.0))?.ok_or_else(missing)?;
            Ok((in_index, key, version))
        }))
    }
}

impl<N> fmt::Debug for IndexIter<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IndexIter")
    }
}

fn damaged(error: cairn_model::codec::CodecError) -> EngineError {
    EngineError::Damaged { what: "index", reason: error.to_string() }
}

fn encode_totals(totals: &LocalTotals) -> Bytes {
    let mut bytes = Vec::with_capacity(1 + 16 * totals.len());
    bytes.put_u8(TOTALS_VERSION);
    for total in totals {
        bytes.put_u64(total.entry_count);
        bytes.put_u64(total.size_bytes);
    }
    bytes.into()
}

fn read_totals(stored: Option<Bytes>) -> Result<LocalTotals, EngineError> {
    const WHAT: &str = "index totals";
    let mut totals = LocalTotals::default();
    let Some(stored) = stored else { return Ok(totals) };
    let mut rest = versioned(WHAT, &stored, TOTALS_VERSION)?;
    if rest.len() != 16 * totals.len() {
        return Err(EngineError::Damaged { what: WHAT, reason: format!("they have {} bytes", stored.len()) });
    }
    for total in &mut totals {
        *total = IndexTotals { entry_count: rest.get_u64(), size_bytes: rest.get_u64() };
    }
    Ok(totals)
}

fn encode_collection(bytes: u64) -> Bytes {
    let mut value = Vec::with_capacity(9);
    value.put_u8(COLLECTION_VERSION);
    value.put_u64(bytes);
    value.into()
}

fn read_collection(stored: Option<Bytes>) -> Result<u64, EngineError> {
    const WHAT: &str = "size of an item collection";
    let Some(stored) = stored else { return Ok(0) };
    let rest = versioned(WHAT, &stored, COLLECTION_VERSION)?;
    let bytes = rest
        .try_into()
        .map_err(|_| EngineError::Damaged { what: WHAT, reason: format!("it has {} bytes", stored.len()) })?;
    Ok(u64::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_and_sizes_of_collections_of_version_1_stay_readable() {
        let mut totals = LocalTotals::default();
        totals[1] = IndexTotals { entry_count: 3, size_bytes: 0x0102 };
        let mut golden = vec![1];
        golden.extend_from_slice(&[0; 16]);
        golden.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 1, 2]);
        golden.extend_from_slice(&[0; 48]);
        assert_eq!(encode_totals(&totals), golden);
        assert_eq!(read_totals(Some(golden.clone().into())).unwrap(), totals);
        assert!(read_totals(Some(golden[..80].to_vec().into())).is_err());
        assert!(matches!(read_totals(Some(vec![2].into())), Err(EngineError::NewerFormat { .. })));
        let collection = [1, 0, 0, 0, 0, 0, 0, 1, 2];
        assert_eq!(encode_collection(0x0102), collection.as_slice());
        assert_eq!(read_collection(Some(Bytes::copy_from_slice(&collection))).unwrap(), 0x0102);
        assert!(read_collection(Some(Bytes::from_static(&[1, 0]))).is_err());
    }
}
