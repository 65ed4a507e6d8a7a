//! Secondary indexes: what they are, which of an item's attributes they hold, and under which bytes an item lies in one.
//!
//! ```text
//! key in a local index = hash component component component
//!                        of the table's partition key; index sort key; table sort key (components as in key.rs)
//! ```
//!
//! key in a global index = hash component [component] component [component]
//!                        of the index's partition key (its hash first); index sort key; table's partition key; table's sort key
//!
//! A global index has partitions of its own, in which the items are what the index shows of the table's items.
//!
//! An entry of a local index has no value: what it projects is read off the item, in the same view of the store. So an item
//! that changes without its index key changes nothing in the index, and no entry can be older than its item.

use crate::{
    AttributeValue, Item, KeySchema, ServiceError,
    codec::{CodecError, EncodedItem},
    descriptor::Member,
    ids::{PartitionId, TableId},
    key::EncodedKey,
    limits::{PARTITION_KEY_BYTES_MAX, SORT_KEY_BYTES_MAX},
    size,
    table::{KeyAttribute, ProvisionedThroughput, ScalarType},
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Local indexes of a table (quotas, secondary indexes).
pub const LOCAL_INDEXES_MAX: usize = 5;
/// Global indexes of a table (quotas, secondary indexes).
pub const GLOBAL_INDEXES_MAX: usize = 20;

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
    fn projects(&self, keys: &[&KeySchema], attribute: &str) -> bool {
        let is_key = |schema: &&KeySchema| {
            attribute == schema.partition.name || schema.sort.as_ref().is_some_and(|sort| attribute == sort.name)
        };
        self.projection_type == ProjectionType::All
            || keys.iter().any(is_key)
            || self.non_key_attributes.contains(attribute)
    }
}

/// A local secondary index: the table's partition key with another sort key. It never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LocalIndex {
    pub index_name: String,
    /// Where its entries lie with the items: 1 to [`LOCAL_INDEXES_MAX`], by its place in the table's list.
    pub slot: u8,
    pub sort: KeyAttribute,
    pub projection: IndexProjection,
}

impl LocalIndex {
    /// The index's own key schema.
    pub fn key_schema(&self, table: &KeySchema) -> KeySchema {
        KeySchema { partition: table.partition.clone(), sort: Some(self.sort.clone()) }
    }

    /// Whether the attribute is in the index.
    pub fn projects(&self, table: &KeySchema, attribute: &str) -> bool {
        attribute == self.sort.name || self.projection.projects(&[table], attribute)
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

/// A global secondary index: items of the table under another key, in partitions of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GlobalIndex {
    pub index_name: String,
    /// Of this life of the index: one that is made again under its name has another. Its partitions are those of a table with
    /// this id.
    pub index_id: TableId,
    /// Which changes in the table's log are its: less than [`GLOBAL_INDEXES_MAX`].
    pub slot: u8,
    pub key_schema: KeySchema,
    pub projection: IndexProjection,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provisioned_throughput: Option<ProvisionedThroughput>,
    /// Where its partitions are, as far as that is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partitions: Vec<IndexPartition>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IndexPartition {
    pub partition_id: PartitionId,
    pub members: Vec<Member>,
}

/// What a partition of a global index is a partition of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IndexOf {
    pub table_id: TableId,
    pub index_name: String,
    /// The table's.
    pub key_schema: KeySchema,
}

impl GlobalIndex {
    /// Whether the attribute is in the index.
    pub fn projects(&self, table: &KeySchema, attribute: &str) -> bool {
        self.projection.projects(&[table, &self.key_schema], attribute)
    }

    /// What the index shows of an item.
    pub fn project(&self, table: &KeySchema, mut item: Item) -> Item {
        item.retain(|name, _| self.projects(table, name));
        item
    }

    /// Where an item lies in this index; none if it is not in it, for it lacks a key attribute, or has one that can't be a key.
    pub fn key_of(&self, key: &EncodedKey, item: &EncodedItem) -> Result<Option<EncodedKey>, ServiceError> {
        let mut values = Vec::with_capacity(2);
        for (attribute, bytes_max) in std::iter::once((&self.key_schema.partition, PARTITION_KEY_BYTES_MAX))
            .chain(self.key_schema.sort.iter().map(|sort| (sort, SORT_KEY_BYTES_MAX)))
        {
            let value = item.get(&attribute.name)?.filter(|value| attribute.scalar_type.is_type_of(value));
            let fits = |value: &AttributeValue| {
                let bytes = size::value_size(value);
                bytes > 0 && (attribute.scalar_type == ScalarType::N || bytes <= bytes_max)
            };
            let Some(value) = value.filter(fits) else { return Ok(None) };
            values.push(value);
        }
        key.in_global_index(&values).map(Some)
    }
}

/// An item as it lies in an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    pub key: Bytes,
    /// DynamoDB's size of what the index shows of the item.
    pub size_bytes: u32,
}

/// The item's own key, from its key in a global index with keys like these.
pub fn base_key_of_global(in_index: &EncodedKey, index: &KeySchema) -> Result<EncodedKey, CodecError> {
    in_index.out_of_global_index(1 + usize::from(index.sort.is_some()))
}

/// The item's own key, from its key in a local index.
pub fn base_key(in_index: &Bytes) -> Result<EncodedKey, CodecError> {
    EncodedKey::from_local_index(in_index)
}

#[cfg(test)]
mod tests;
