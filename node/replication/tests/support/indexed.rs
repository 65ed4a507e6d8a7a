//! What the indexes of a replica should be, worked out anew of its items.

use bytes::Bytes;
use cairn_engine::{Engine, IndexTotals, Kept, Store};
use cairn_model::{codec::StoredVersion, key::EncodedKey, table::TableDefinition, ttl};
use std::{collections::BTreeMap, ops::Bound};

/// How the local indexes of a replica, their totals, the sizes of its item collections and its index of expirations differ from
/// what its items come to, if they do.
pub fn flaw<S: Store>(engine: &Engine<S>, storage_id: u64, definition: &TableDefinition) -> Option<String> {
    let mut collections: BTreeMap<Bytes, u64> = BTreeMap::new();
    let mut expirations = Vec::new();
    let mut expected: Vec<(Vec<Bytes>, IndexTotals)> = vec![Default::default(); definition.local_indexes.len()];
    for pair in engine.scan(storage_id, Bound::Unbounded, Bound::Unbounded, true) {
        let (key, stored) = pair.unwrap();
        let item = StoredVersion::parse(stored).unwrap().item;
        let mut bytes = u64::from(item.size().unwrap());
        for (index, (keys, totals)) in definition.local_indexes.iter().zip(&mut expected) {
            if let Some(entry) = index.entry(&definition.key_schema, &key, &item).unwrap() {
                bytes += u64::from(entry.size_bytes);
                totals.entry_count += 1;
                totals.size_bytes += u64::from(entry.size_bytes);
                keys.push(entry.key);
            }
        }
        let expires_by = definition.time_to_live.as_ref().map(|on| on.attribute_name.as_str());
        if let Some(expiry) = expires_by.and_then(|name| ttl::expiry_of(&item, name).unwrap()) {
            expirations.push(Bytes::from([&expiry.to_be_bytes()[..], &key.0].concat()));
        }
        let partition = key.0.slice(..EncodedKey::partition_bytes(&key.0).unwrap());
        *collections.entry(partition).or_default() += bytes;
    }
    let totals = engine.index_totals(storage_id).unwrap();
    for (index, (mut keys, expected)) in definition.local_indexes.iter().zip(expected) {
        keys.sort();
        let found = engine.scan_index(storage_id, index.slot, (Bound::Unbounded, Bound::Unbounded), true);
        let found: Vec<Bytes> = found.map(|entry| entry.unwrap().0).collect();
        let counted = totals[usize::from(index.slot) - 1];
        if found != keys || counted != expected {
            let name = &index.index_name;
            return Some(format!("index {name} has {found:x?}, {counted:?}; its items say {keys:x?}, {expected:?}"));
        }
    }
    expirations.sort();
    let found = engine.expirations(storage_id, Bound::Unbounded, Bound::Unbounded);
    let found: Vec<Bytes> = found.map(Result::unwrap).collect();
    let is_made = engine.kept(storage_id, &Kept::Expirations).unwrap().is_none();
    if is_made && found != expirations {
        return Some(format!("the index of expirations has {found:x?}; the items say {expirations:x?}"));
    }
    for (partition, bytes) in collections.into_iter().filter(|_| !definition.local_indexes.is_empty()) {
        let counted = engine.collection_bytes(storage_id, &EncodedKey(partition.clone())).unwrap();
        if counted != bytes {
            return Some(format!("the item collection {partition:x?} counts {counted} bytes, its items are {bytes}"));
        }
    }
    None
}
