//! What the items of a table in memory are in its indexes. Those of a global one lie with it like a table's.

use crate::partitions::Rows;
use bytes::Bytes;
use cairn_model::{
    TableDefinition,
    codec::EncodedItem,
    index::{GlobalIndex, IndexEntry, LocalIndex},
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
    let of_global = |index: &GlobalIndex| {
        let (before, after) = (row(table, index, key, before), row(table, index, key, after));
        let size = |row: &Option<(EncodedKey, EncodedItem)>| row.as_ref().map_or(0, |(_, item)| item.size().unwrap());
        (before != after).then(|| IndexWrite {
            slot: cairn_engine::global_index(index.slot),
            size_before: size(&before),
            size_after: size(&after),
            moved: matches!((&before, &after), (Some((old, _)), Some((new, _))) if old != new),
        })
    };
    let local = table.local_indexes.iter().filter_map(of);
    local.chain(table.global_indexes.iter().filter_map(of_global)).collect()
}

/// What a global index has of an item.
fn row(
    table: &TableDefinition,
    index: &GlobalIndex,
    key: &EncodedKey,
    item: Option<&EncodedItem>,
) -> Option<(EncodedKey, EncodedItem)> {
    let key = index.key_of(key, item?).unwrap()?;
    Some((key, EncodedItem::encode(&index.project(&table.key_schema, item?.decode().unwrap()))))
}

/// Has the table's global indexes follow a write.
pub(crate) fn feed(
    rows: &mut Rows,
    table: &TableDefinition,
    key: &EncodedKey,
    before: Option<&EncodedItem>,
    after: Option<&EncodedItem>,
) {
    for index in &table.global_indexes {
        let id = index.index_id.0;
        if let Some((old, _)) = row(table, index, key, before) {
            rows.remove(&(id, old.0));
        }
        if let Some((new, item)) = row(table, index, key, after) {
            rows.insert((id, new.0), item);
        }
    }
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
