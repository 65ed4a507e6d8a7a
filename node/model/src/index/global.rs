//! Global secondary indexes: items of a table under another key, in partitions of their own.

use super::IndexProjection;
use crate::{
    AttributeValue, Item, KeySchema, ServiceError,
    codec::{CodecError, EncodedItem},
    descriptor::Member,
    ids::{PartitionId, TableId},
    key::EncodedKey,
    limits::{PARTITION_KEY_BYTES_MAX, SORT_KEY_BYTES_MAX},
    size,
    table::{KeyAttribute, OnDemandThroughput, ProvisionedThroughput, ScalarType, TableDefinition},
};
use serde::{Deserialize, Serialize};

/// Global indexes of a table (quotas, secondary indexes).
pub const GLOBAL_INDEXES_MAX: usize = 20;

/// A global index that is to be made: checked, without the identity that the catalog gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewGlobalIndex {
    pub index_name: String,
    pub key_schema: KeySchema,
    pub projection: IndexProjection,
    /// Present if and only if its table's billing mode is PROVISIONED.
    pub provisioned_throughput: Option<ProvisionedThroughput>,
    /// Only where that is PAY_PER_REQUEST.
    pub on_demand_throughput: Option<OnDemandThroughput>,
}

impl NewGlobalIndex {
    /// With what the catalog gives it: an id that no table and no other index has, and a [`free_slot`]. Where its partitions
    /// are is not known yet.
    pub fn into_index(self, index_id: TableId, slot: u8) -> GlobalIndex {
        GlobalIndex {
            index_name: self.index_name,
            index_id,
            slot,
            key_schema: self.key_schema,
            projection: self.projection,
            provisioned_throughput: self.provisioned_throughput,
            on_demand_throughput: self.on_demand_throughput,
            partitions: Vec::new(),
        }
    }
}

/// The first slot that no index has; none: a table has as many as it may have. That of an index that is gone may be taken at
/// once, for an index reads nothing of its table's log that was written before it.
pub fn free_slot(indexes: &[GlobalIndex]) -> Option<u8> {
    (0..GLOBAL_INDEXES_MAX as u8).find(|slot| !indexes.iter().any(|index| index.slot == *slot))
}

impl TableDefinition {
    /// What the partitions of one of the table's global indexes are given as the definition of their table: under the index's
    /// id, with its keys, and with the version of this one.
    pub fn of_index(&self, index: &GlobalIndex) -> Self {
        let id = index.index_id;
        Self {
            schema_version: self.schema_version,
            billing_mode: self.billing_mode,
            provisioned_throughput: index.provisioned_throughput,
            on_demand_throughput: index.on_demand_throughput,
            creation_time_ms: self.creation_time_ms,
            index_of: Some(IndexOf {
                table_id: self.table_id,
                index_name: index.index_name.clone(),
                key_schema: self.key_schema.clone(),
            }),
            ..Self::new(self.account.clone(), self.table_name.clone(), id, index.key_schema.clone())
        }
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_demand_throughput: Option<OnDemandThroughput>,
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

    /// Where an item lies in the index, by its key attributes in the table and in the index, and no others
    /// (`ExclusiveStartKey`).
    pub fn key_of_attributes(&self, table: &KeySchema, key_attributes: &Item) -> Result<EncodedKey, ServiceError> {
        let mismatch = || ServiceError::validation("The provided key element does not match the schema");
        let is_of = |schema: &KeySchema, name: &str| schema.attributes().any(|attribute| attribute.name == name);
        if key_attributes.keys().any(|name| !is_of(table, name) && !is_of(&self.key_schema, name)) {
            return Err(mismatch());
        }
        let value = |attribute: &KeyAttribute| {
            let value = key_attributes.get(&attribute.name).filter(|value| attribute.scalar_type.is_type_of(value));
            value.cloned().ok_or_else(mismatch)
        };
        let partition = &self.key_schema.partition;
        let mut values = vec![value(partition)?];
        EncodedKey::check_partition(partition, &values[0])?;
        if let Some(sort) = &self.key_schema.sort {
            let value = value(sort)?;
            EncodedKey::check_sort(sort, &value)?;
            values.push(value);
        }
        let own = key_attributes.iter().filter(|(name, _)| is_of(table, name));
        let own: Item = own.map(|(name, value)| (name.clone(), value.clone())).collect();
        EncodedKey::from_key(table, &own)?.in_global_index(&values)
    }
}

/// The item's own key, from its key in a global index with keys like these.
pub fn base_key_of_global(in_index: &EncodedKey, index: &KeySchema) -> Result<EncodedKey, CodecError> {
    in_index.out_of_global_index(1 + usize::from(index.sort.is_some()))
}
