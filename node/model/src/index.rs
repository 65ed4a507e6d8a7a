//! Secondary indexes: what they are, which of an item's attributes they hold, and under which bytes an item lies in one.
//!
//! ```text
//! key in a local index = hash component component component
//!                        of the table's partition key; index sort key; table sort key (components as in key.rs)
//! ```
//!
//! key in a global index = hash component… [component…] component [component]
//!                        of the index's partition key (its hash first); index sort key; table's partition key; table's sort key
//!
//! Of a global index's partition key and sort key there are as many components as attributes, in their order: the hash is that of
//! all components of the partition key, one behind the other. No component is the beginning of another, so that each attribute
//! sorts by its own type, and what follows sorts within what is before it.
//!
//! A global index has partitions of its own, in which the items are what the index shows of the table's items.
//!
//! An entry of a local index has no value: what it projects is read off the item, in the same view of the store. So an item
//! that changes without its index key changes nothing in the index, and no entry can be older than its item.

mod global;
mod together;

pub use global::{
    GLOBAL_INDEXES_MAX, GlobalIndex, IndexOf, IndexPartition, NewGlobalIndex, base_key_of_global, free_slot,
};
pub use together::{are_same, first_without_equal, flaw, in_slots};

use crate::{
    AttributeValue, Item, KeySchema, ServiceError,
    codec::{CodecError, EncodedItem},
    key::EncodedKey,
    keys::Keys,
    size,
    table::KeyAttribute,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Local indexes of a table (quotas, secondary indexes).
pub const LOCAL_INDEXES_MAX: usize = 5;
/// Names in one list of `NonKeyAttributes`.
pub const NON_KEY_ATTRIBUTES_MAX: usize = 20;
/// Names in all of them of a table's indexes, local and global; one that two of them name counts twice.
pub const NON_KEY_ATTRIBUTES_OF_TABLE_MAX: usize = 100;

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

impl IndexProjection {
    /// Whether an attribute is in an index with this projection, of the keys of which these are.
    fn projects(&self, keys: [Keys<'_>; 2], attribute: &str) -> bool {
        self.projection_type == ProjectionType::All
            || keys.iter().any(|keys| keys.has(attribute))
            || self.non_key_attributes.contains(attribute)
    }
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

    /// The index's own keys.
    pub fn keys<'k>(&'k self, table: &'k KeySchema) -> Keys<'k> {
        Keys { partition: std::slice::from_ref(&table.partition), sort: std::slice::from_ref(&self.sort) }
    }

    /// Whether the attribute is in the index.
    pub fn projects(&self, table: &KeySchema, attribute: &str) -> bool {
        self.projection.projects([table.keys(), self.keys(table)], attribute)
    }

    /// What the index shows of an item.
    pub fn project(&self, table: &KeySchema, mut item: Item) -> Item {
        item.retain(|name, _| self.projects(table, name));
        item
    }

    /// Where an item lies in the index, by its key attributes in the table and in the index, and no others
    /// (`ExclusiveStartKey`).
    pub fn key_of(&self, table: &KeySchema, key_attributes: &Item) -> Result<Bytes, ServiceError> {
        let mismatch = || ServiceError::validation("The provided key element does not match the schema");
        let of_table = |name: &str| table.keys().has(name);
        let sort = key_attributes.get(&self.sort.name).ok_or_else(mismatch)?;
        if !self.sort.scalar_type.is_type_of(sort)
            || key_attributes.keys().any(|name| !of_table(name) && *name != self.sort.name)
        {
            return Err(mismatch());
        }
        let own: Item = key_attributes.iter().filter(|(name, _)| of_table(name)).map(owned).collect();
        let key = EncodedKey::from_key(table, &own)?;
        EncodedKey::check_sort(&self.sort, sort)?;
        key.in_local_index(sort)
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

/// An item as it lies in an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    pub key: Bytes,
    /// DynamoDB's size of what the index shows of the item.
    pub size_bytes: u32,
}

fn owned((name, value): (&String, &AttributeValue)) -> (String, AttributeValue) {
    (name.clone(), value.clone())
}

/// The item's own key, from its key in a local index.
pub fn base_key(in_index: &Bytes) -> Result<EncodedKey, CodecError> {
    EncodedKey::from_local_index(in_index)
}

#[cfg(test)]
mod tests;
