//! Global secondary indexes: items of a table under another key, in partitions of their own.

use super::IndexProjection;
use crate::{
    AttributeValue, Item, KeySchema, ServiceError,
    codec::{CodecError, EncodedItem},
    descriptor::Member,
    ids::{PartitionId, TableId},
    key::EncodedKey,
    keys::{IndexKeySchema, Keys},
    limits::{PARTITION_KEY_BYTES_MAX, SORT_KEY_BYTES_MAX},
    size,
    table::{
        self, KeyAttribute, OnDemandThroughput, ProvisionedThroughput, ScalarType, TableDefinition, WarmThroughput,
    },
};
use serde::{Deserialize, Serialize};

/// Global indexes of a table (quotas, secondary indexes).
pub const GLOBAL_INDEXES_MAX: usize = 20;

/// A global index that is to be made: checked, without the identity that the catalog gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewGlobalIndex {
    pub index_name: String,
    pub key_schema: IndexKeySchema,
    pub projection: IndexProjection,
    /// Present if and only if its table's billing mode is PROVISIONED.
    pub provisioned_throughput: Option<ProvisionedThroughput>,
    /// Only where that is PAY_PER_REQUEST.
    pub on_demand_throughput: Option<OnDemandThroughput>,
    /// As [`TableDefinition::warm_throughput`].
    pub warm_throughput: Option<WarmThroughput>,
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
            warm_throughput: self.warm_throughput,
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
            warm_throughput: index.warm_throughput,
            creation_time_ms: self.creation_time_ms,
            index_of: Some(IndexOf {
                table_id: self.table_id,
                index_name: index.index_name.clone(),
                key_schema: self.key_schema.clone(),
                several_keys: index.key_schema.keys().are_several().then(|| index.key_schema.clone()),
            }),
            ..Self::new(self.account.clone(), self.table_name.clone(), id, index.key_schema.first())
        }
    }

    /// The keys under which its items lie: the table's, or the index's where these are partitions of one.
    pub fn keys(&self) -> Keys<'_> {
        self.index_of.as_ref().map_or_else(|| self.key_schema.keys(), |of| of.keys(&self.key_schema))
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
    pub key_schema: IndexKeySchema,
    pub projection: IndexProjection,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provisioned_throughput: Option<ProvisionedThroughput>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_demand_throughput: Option<OnDemandThroughput>,
    /// As [`TableDefinition::warm_throughput`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_throughput: Option<WarmThroughput>,
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
    /// The index's, where they are more than the one or two that the definition's own `key_schema` has: the first of each kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub several_keys: Option<IndexKeySchema>,
}

impl IndexOf {
    /// The index's keys; `own` is the `key_schema` of the definition that has this.
    pub fn keys<'k>(&'k self, own: &'k KeySchema) -> Keys<'k> {
        self.several_keys.as_ref().map_or_else(|| own.keys(), IndexKeySchema::keys)
    }
}

impl GlobalIndex {
    /// What the index takes at once.
    pub fn warm(&self) -> WarmThroughput {
        table::warm(self.warm_throughput, self.provisioned_throughput)
    }

    /// Whether the attribute is in the index.
    pub fn projects(&self, table: &KeySchema, attribute: &str) -> bool {
        self.projection.projects([table.keys(), self.key_schema.keys()], attribute)
    }

    /// What the index shows of an item.
    pub fn project(&self, table: &KeySchema, mut item: Item) -> Item {
        item.retain(|name, _| self.projects(table, name));
        item
    }

    /// Where an item lies in this index; none if it is not in it, for it lacks a key attribute, or has one that can't be a key.
    pub fn key_of(&self, key: &EncodedKey, item: &EncodedItem) -> Result<Option<EncodedKey>, ServiceError> {
        let Keys { partition, sort } = self.key_schema.keys();
        let Some(partition) = values_of(partition, item, PARTITION_KEY_BYTES_MAX)? else { return Ok(None) };
        let Some(sort) = values_of(sort, item, SORT_KEY_BYTES_MAX)? else { return Ok(None) };
        key.in_global_index(&partition, &sort).map(Some)
    }

    /// Where an item lies in the index, by its key attributes in the table and in the index, and no others
    /// (`ExclusiveStartKey`).
    pub fn key_of_attributes(&self, table: &KeySchema, key_attributes: &Item) -> Result<EncodedKey, ServiceError> {
        let mismatch = || ServiceError::validation("The provided key element does not match the schema");
        let keys = self.key_schema.keys();
        if key_attributes.keys().any(|name| !table.keys().has(name) && !keys.has(name)) {
            return Err(mismatch());
        }
        let value = |attribute: &KeyAttribute| {
            let value = key_attributes.get(&attribute.name).filter(|value| attribute.scalar_type.is_type_of(value));
            value.cloned().ok_or_else(mismatch)
        };
        let partition = keys.partition.iter().map(|attribute| {
            let value = value(attribute)?;
            EncodedKey::check_partition(attribute, &value).map(|()| value)
        });
        let partition = partition.collect::<Result<Vec<_>, ServiceError>>()?;
        let sort = keys.sort.iter().map(|attribute| {
            let value = value(attribute)?;
            EncodedKey::check_sort(attribute, &value).map(|()| value)
        });
        let sort = sort.collect::<Result<Vec<_>, ServiceError>>()?;
        let own = key_attributes.iter().filter(|(name, _)| table.keys().has(name));
        let own: Item = own.map(|(name, value)| (name.clone(), value.clone())).collect();
        EncodedKey::from_key(table, &own)?.in_global_index(&partition, &sort)
    }
}

/// The item's values of key attributes; none if it lacks one, or has one that can't be of a key, for itself, in so many bytes.
fn values_of(
    attributes: &[KeyAttribute],
    item: &EncodedItem,
    bytes_max: usize,
) -> Result<Option<Vec<AttributeValue>>, CodecError> {
    let mut values = Vec::with_capacity(attributes.len());
    for KeyAttribute { name, scalar_type } in attributes {
        let fits = |value: &AttributeValue| {
            let bytes = size::value_size(value);
            scalar_type.is_type_of(value) && bytes > 0 && (*scalar_type == ScalarType::N || bytes <= bytes_max)
        };
        let Some(value) = item.get(name)?.filter(fits) else { return Ok(None) };
        values.push(value);
    }
    Ok(Some(values))
}

/// The item's own key, from its key in a global index with keys like these.
pub fn base_key_of_global(in_index: &EncodedKey, index: &IndexKeySchema) -> Result<EncodedKey, CodecError> {
    in_index.out_of_global_index(index.keys().count())
}
