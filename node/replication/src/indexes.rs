//! What a write changes in a table's indexes: worked out by the proposer, of the item before and after. Pure.

use crate::{expirations, operation::IndexWrite};
use cairn_engine::{IndexChange, IndexEffect};
use cairn_model::{
    ServiceError,
    codec::{EncodedItem, StoredVersion},
    index::{IndexEntry, LocalIndex, ProjectionType},
    key::EncodedKey,
    table::TableDefinition,
};

/// For the entry, and for the client's bill.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct IndexEffects {
    pub(crate) changes: Vec<IndexChange>,
    /// Of the local indexes, in the order of their slots.
    pub(crate) writes: Vec<IndexWrite>,
}

/// What becomes of an item's place in the indexes when `before` gives way to `after`; none: there was, or is, no item.
pub(crate) fn effects(
    definition: &TableDefinition,
    key: &EncodedKey,
    before: Option<&EncodedItem>,
    after: Option<&EncodedItem>,
) -> Result<IndexEffects, ServiceError> {
    let mut effects =
        IndexEffects { changes: expirations::changes(definition, key, before, after)?, writes: Vec::new() };
    for index in &definition.local_indexes {
        let entry = |item: Option<&EncodedItem>| match item {
            Some(item) => index.entry(&definition.key_schema, key, item),
            None => Ok(None),
        };
        let (old, new) = (entry(before)?, entry(after)?);
        let moved = matches!((&old, &new), (Some(old), Some(new)) if old.key != new.key);
        let untouched = match (&old, &new, before, after) {
            (None, None, ..) => true,
            (Some(_), Some(_), Some(before), Some(after)) => !moved && shows_the_same(index, before, after)?,
            _ => false,
        };
        if untouched {
            continue;
        }
        effects.writes.push(IndexWrite {
            slot: index.slot,
            size_before: old.as_ref().map_or(0, |entry| entry.size_bytes),
            size_after: new.as_ref().map_or(0, |entry| entry.size_bytes),
            moved,
        });
        let change = |effect, entry: IndexEntry, size_change| IndexChange {
            index: index.slot,
            effect,
            key: entry.key,
            size_change,
        };
        match (old, new) {
            (Some(old), Some(new)) if !moved => {
                let size_change = i64::from(new.size_bytes) - i64::from(old.size_bytes);
                if size_change != 0 {
                    effects.changes.push(change(IndexEffect::Resize, new, size_change));
                }
            }
            (old, new) => {
                let removed = old.map(|old| (-i64::from(old.size_bytes), old));
                effects.changes.extend(removed.map(|(size, old)| change(IndexEffect::Remove, old, size)));
                let put = new.map(|new| (i64::from(new.size_bytes), new));
                effects.changes.extend(put.map(|(size, new)| change(IndexEffect::Put, new, size)));
            }
        }
    }
    Ok(effects)
}

/// The item of a stored version; none of a tombstone.
pub(crate) fn item_of(version: Option<&StoredVersion>) -> Option<&EncodedItem> {
    version.filter(|version| !version.is_tombstone()).map(|version| &version.item)
}

/// Whether an index shows of two items with one key in it the same.
fn shows_the_same(index: &LocalIndex, before: &EncodedItem, after: &EncodedItem) -> Result<bool, ServiceError> {
    match index.projection.projection_type {
        ProjectionType::KeysOnly => Ok(true),
        ProjectionType::All => Ok(before == after),
        ProjectionType::Include => {
            for attribute in &index.projection.non_key_attributes {
                if before.get(attribute)? != after.get(attribute)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
    }
}

#[cfg(test)]
mod tests;
