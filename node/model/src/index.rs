//! Secondary indexes: what they are, which of an item's attributes they hold, and under which bytes an item lies in one.
//!
//! ```text
//! key in a local index = hash component component component
//!                        of the table's partition key; index sort key; table sort key (components as in key.rs)
//! ```
//!
//! An entry of a local index has no value: what it projects is read off the item, in the same view of the store. So an item
//! that changes without its index key changes nothing in the index, and no entry can be older than its item.

use crate::{
    Item, KeySchema, ServiceError,
    codec::{CodecError, EncodedItem},
    key::EncodedKey,
    size,
    table::KeyAttribute,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Local indexes of a table (quotas, secondary indexes).
pub const LOCAL_INDEXES_MAX: usize = 5;
/// Names in one list of `NonKeyAttributes`. The 100 that all of a table's indexes may have together are as many as its local
/// indexes can name.
pub const NON_KEY_ATTRIBUTES_MAX: usize = 20;

/// Which attributes an index holds besides the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ProjectionType {
    All,
    KeysOnly,
    Include,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IndexProjection {
    pub projection_type: ProjectionType,
    /// Of INCLUDE.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub non_key_attributes: BTreeSet<String>,
}

/// A local secondary index: the table's partition key with another sort key. It never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LocalIndex {
    pub index_name: String,
    /// Where its entries lie with the items: 1 to [`LOCAL_INDEXES_MAX`], as [`in_slots`] has it.
    pub slot: u8,
    pub sort: KeyAttribute,
    pub projection: IndexProjection,
}

impl LocalIndex {
    /// Whether they are the same but for their slots.
    pub fn is_like(&self, other: &Self) -> bool {
        self.index_name == other.index_name && self.sort == other.sort && self.projection == other.projection
    }

    /// The index's own key schema.
    pub fn key_schema(&self, table: &KeySchema) -> KeySchema {
        KeySchema { partition: table.partition.clone(), sort: Some(self.sort.clone()) }
    }

    /// Whether the attribute is in the index.
    pub fn projects(&self, table: &KeySchema, attribute: &str) -> bool {
        let is_key = || {
            attribute == self.sort.name
                || attribute == table.partition.name
                || table.sort.as_ref().is_some_and(|sort| attribute == sort.name)
        };
        self.projection.projection_type == ProjectionType::All
            || is_key()
            || self.projection.non_key_attributes.contains(attribute)
    }

    /// What the index shows of an item.
    pub fn project(&self, table: &KeySchema, mut item: Item) -> Item {
        item.retain(|name, _| self.projects(table, name));
        item
    }

    /// What an item is in this index; none if it is not in it, for it lacks the sort key.
    pub fn entry(
        &self,
        table: &KeySchema,
        key: &EncodedKey,
        item: &EncodedItem,
    ) -> Result<Option<IndexEntry>, ServiceError> {
        let Some(value) = item.get(&self.sort.name)?.filter(|value| self.sort.scalar_type.is_type_of(value)) else {
            return Ok(None);
        };
        let size_bytes = match self.projection.projection_type {
            ProjectionType::All => item.size()?,
            _ => size::item_size(&self.project(table, item.decode()?)) as u32,
        };
        Ok(Some(IndexEntry { key: key.in_local_index(&value)?, size_bytes }))
    }
}

/// A table's indexes with their slots: by the order of their names, so that all who make a definition of the same indexes make
/// the same one, in whatever order they are told them.
pub fn in_slots(mut indexes: Vec<LocalIndex>) -> Vec<LocalIndex> {
    let mut names: Vec<String> = indexes.iter().map(|index| index.index_name.clone()).collect();
    names.sort();
    for index in &mut indexes {
        let place = names.partition_point(|name| *name < index.index_name);
        index.slot = u8::try_from(place + 1).unwrap_or(u8::MAX);
    }
    indexes
}

/// Whether two tables have the same local indexes: by name, sort key and projection, in whatever order and slots.
pub fn are_same(one: &[LocalIndex], other: &[LocalIndex]) -> bool {
    one.len() == other.len() && first_without_equal(one, other).is_none()
}

/// The first of some indexes that is not, as it is, among the others.
pub fn first_without_equal<'a>(indexes: &'a [LocalIndex], among: &[LocalIndex]) -> Option<&'a LocalIndex> {
    indexes.iter().find(|index| !among.iter().any(|other| index.is_like(other)))
}

/// Why a table can't have these local indexes: each needs a slot and a name of its own.
pub fn flaw(indexes: &[LocalIndex]) -> Option<String> {
    let mut slots = BTreeSet::new();
    let mut names = BTreeSet::new();
    indexes.iter().find_map(|index| {
        let name = &index.index_name;
        if !(1..=LOCAL_INDEXES_MAX).contains(&usize::from(index.slot)) || !slots.insert(index.slot) {
            return Some(format!("localIndexes: the slot {} of {name:?} is none of its own", index.slot));
        }
        (!names.insert(name)).then(|| format!("localIndexes: {name:?} is there twice"))
    })
}

/// An item as it lies in an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    pub key: Bytes,
    /// DynamoDB's size of what the index shows of the item.
    pub size_bytes: u32,
}

/// The item's own key, from its key in a local index.
pub fn base_key(in_index: &Bytes) -> Result<EncodedKey, CodecError> {
    EncodedKey::from_local_index(in_index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::ScalarType;

    fn key(name: &str) -> KeyAttribute {
        KeyAttribute { name: name.into(), scalar_type: ScalarType::S }
    }

    fn index(name: &str) -> LocalIndex {
        let projection = IndexProjection { projection_type: ProjectionType::All, non_key_attributes: BTreeSet::new() };
        LocalIndex { index_name: name.into(), slot: 0, sort: key("At"), projection }
    }

    fn slots(names: &[&str]) -> Vec<u8> {
        let indexes = in_slots(names.iter().map(|name| index(name)).collect());
        assert!(indexes.iter().map(|index| index.index_name.as_str()).eq(names.iter().copied()), "the order stays");
        indexes.iter().map(|index| index.slot).collect()
    }

    #[test]
    fn slots_follow_the_names_whatever_the_order() {
        assert_eq!(slots(&["by-rank", "by-age", "by-zone"]), [2, 1, 3]);
        assert_eq!(slots(&["by-zone", "by-rank", "by-age"]), [3, 2, 1]);
    }

    #[test]
    fn indexes_are_the_same_by_what_they_are_and_not_by_their_slots() {
        let one = in_slots(vec![index("by-age"), index("by-rank")]);
        let other = vec![LocalIndex { slot: 4, ..index("by-rank") }, LocalIndex { slot: 5, ..index("by-age") }];
        assert!(are_same(&one, &other));
        let projection = IndexProjection { projection_type: ProjectionType::KeysOnly, ..other[0].projection.clone() };
        for changed in [
            vec![],
            vec![index("by-age")],
            vec![index("by-age"), index("by-zone")],
            vec![index("by-age"), LocalIndex { sort: key("Other"), ..index("by-rank") }],
            vec![index("by-age"), LocalIndex { projection, ..index("by-rank") }],
        ] {
            assert!(!are_same(&one, &changed) && !are_same(&changed, &one), "{changed:?}");
        }
    }

    #[test]
    fn indexes_need_slots_and_names_of_their_own() {
        assert_eq!(flaw(&in_slots(vec![index("by-age"), index("by-rank")])), None);
        let shared = vec![LocalIndex { slot: 1, ..index("by-age") }, LocalIndex { slot: 1, ..index("by-rank") }];
        let twice = vec![LocalIndex { slot: 1, ..index("by-age") }, LocalIndex { slot: 2, ..index("by-age") }];
        for flawed in [vec![index("by-age")], vec![LocalIndex { slot: 6, ..index("by-age") }], shared, twice] {
            assert!(flaw(&flawed).is_some(), "{flawed:?}");
        }
    }
}
