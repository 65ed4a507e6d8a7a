//! What a write changes in a table's indexes: worked out by the proposer, of the item before and after. Pure.

use crate::{expirations, operation::IndexWrite};
use cairn_engine::{IndexChange, IndexEffect, global_index};
use cairn_model::{
    ServiceError,
    codec::{EncodedItem, StoredVersion},
    index::{GlobalIndex, IndexEntry, IndexProjection, ProjectionType},
    key::EncodedKey,
    size,
    table::TableDefinition,
};

/// For the entry, and for the client's bill.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct IndexEffects {
    pub(crate) changes: Vec<IndexChange>,
    /// Of the local indexes, in the order of their slots, and the global ones behind them.
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
        let places = (old.as_ref().map(|entry| &entry.key), new.as_ref().map(|entry| &entry.key));
        if is_untouched(&index.projection, places, (before, after))? {
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
    for index in &definition.global_indexes {
        let place = |item: Option<&EncodedItem>| match item {
            Some(item) => index.key_of(key, item),
            None => Ok(None),
        };
        let (old, new) = (place(before)?, place(after)?);
        let moved = matches!((&old, &new), (Some(old), Some(new)) if old != new);
        if is_untouched(&index.projection, (old.as_ref(), new.as_ref()), (before, after))? {
            continue;
        }
        let size = |item: Option<&EncodedItem>, place: &Option<EncodedKey>| match item.filter(|_| place.is_some()) {
            Some(item) => shown_bytes(definition, index, item),
            None => Ok(0),
        };
        let byte = global_index(index.slot);
        let (size_before, size_after) = (size(before, &old)?, size(after, &new)?);
        effects.writes.push(IndexWrite { slot: byte, size_before, size_after, moved });
        let change = |effect, key: EncodedKey| IndexChange { index: byte, effect, key: key.0, size_change: 0 };
        effects.changes.extend(old.filter(|_| moved || new.is_none()).map(|old| change(IndexEffect::Remove, old)));
        // Also where the place is the same: what lies there is another.
        effects.changes.extend(new.map(|new| change(IndexEffect::Put, new)));
    }
    Ok(effects)
}

fn shown_bytes(definition: &TableDefinition, index: &GlobalIndex, item: &EncodedItem) -> Result<u32, ServiceError> {
    Ok(match index.projection.projection_type {
        ProjectionType::All => item.size()?,
        _ => size::item_size(&index.project(&definition.key_schema, item.decode()?)) as u32,
    })
}

/// The item of a stored version; none of a tombstone.
pub(crate) fn item_of(version: Option<&StoredVersion>) -> Option<&EncodedItem> {
    version.filter(|version| !version.is_tombstone()).map(|version| &version.item)
}

/// Whether an item stays at its place in an index, which shows the same of it before and after; or it was and is not in it.
fn is_untouched<P: PartialEq>(
    projection: &IndexProjection,
    places: (Option<P>, Option<P>),
    items: (Option<&EncodedItem>, Option<&EncodedItem>),
) -> Result<bool, ServiceError> {
    match (places, items) {
        ((None, None), _) => Ok(true),
        ((Some(old), Some(new)), (Some(before), Some(after))) => {
            Ok(old == new && shows_the_same(projection, before, after)?)
        }
        _ => Ok(false),
    }
}

/// Whether an index shows of two items with one key in it the same.
fn shows_the_same(
    projection: &IndexProjection,
    before: &EncodedItem,
    after: &EncodedItem,
) -> Result<bool, ServiceError> {
    match projection.projection_type {
        ProjectionType::KeysOnly => Ok(true),
        ProjectionType::All => Ok(before == after),
        ProjectionType::Include => {
            for attribute in &projection.non_key_attributes {
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
