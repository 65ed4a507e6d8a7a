//! What the items of a table in memory are in its local indexes.

use bytes::Bytes;
use cairn_model::{
    TableDefinition,
    codec::EncodedItem,
    index::{IndexEntry, LocalIndex},
    key::EncodedKey,
};
use cairn_replication::operation::IndexWrite;

pub(crate) fn entry(
    table: &TableDefinition,
    index: &LocalIndex,
    key: &EncodedKey,
    item: &EncodedItem,
) -> Option<IndexEntry> {
    index.entry(&table.key_schema, key, item).unwrap()
}

/// What an index shows of an item.
pub(crate) fn shown(table: &TableDefinition, index: &LocalIndex, item: &EncodedItem) -> EncodedItem {
    EncodedItem::encode(&index.project(&table.key_schema, item.decode().unwrap()))
}

/// What a write changed in the table's indexes.
pub(crate) fn writes(
    table: &TableDefinition,
    key: &EncodedKey,
    before: Option<&EncodedItem>,
    after: Option<&EncodedItem>,
) -> Vec<IndexWrite> {
    let of = |index: &LocalIndex| {
        let in_index = |item: Option<&EncodedItem>| {
            item.and_then(|item| Some((entry(table, index, key, item)?, shown(table, index, item))))
        };
        let (before, after) = (in_index(before), in_index(after));
        if before == after {
            return None;
        }
        let place = |found: &Option<(IndexEntry, EncodedItem)>| found.as_ref().map(|(entry, _)| entry.key.clone());
        let size = |found: &Option<(IndexEntry, EncodedItem)>| found.as_ref().map_or(0, |(entry, _)| entry.size_bytes);
        Some(IndexWrite {
            slot: index.slot,
            size_before: size(&before),
            size_after: size(&after),
            moved: before.is_some() && after.is_some() && place(&before) != place(&after),
        })
    };
    table.local_indexes.iter().filter_map(of).collect()
}

/// The size of the collection that the key is of.
pub(crate) fn collection_bytes<'r>(
    table: &TableDefinition,
    key: &EncodedKey,
    rows: impl Iterator<Item = (&'r Bytes, &'r EncodedItem)>,
) -> Option<u64> {
    if table.local_indexes.is_empty() {
        return None;
    }
    let prefix = &key.0[..EncodedKey::partition_bytes(&key.0).unwrap()];
    let of_collection = rows.filter(|(key, _)| key.starts_with(prefix));
    Some(
        of_collection
            .map(|(key, item)| {
                let key = EncodedKey(key.clone());
                let shown = table.local_indexes.iter().filter_map(|index| entry(table, index, &key, item));
                u64::from(item.size().unwrap()) + shown.map(|entry| u64::from(entry.size_bytes)).sum::<u64>()
            })
            .sum(),
    )
}
