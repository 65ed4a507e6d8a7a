//! A table's global indexes. Each is a hidden table: it gets an id, a slot and placements once, written down before any node is
//! asked; the table's own leaders fill it; and its data goes when no leader feeds it any more.

pub mod ending;
pub mod identity;
pub mod status;

#[cfg(test)]
mod tests;

use super::{
    bootstrap,
    observation::{Answers, Observation},
};
use crate::{controller::Refusal, error::Result, node_client::Target};
use cairn_crds::{
    TableResourceStatus, TableSpec,
    table::{GlobalSecondaryIndexStatus, definition::DefinitionError},
};
use cairn_model::{
    descriptor::{Member, MemberRole},
    ids::TableId,
    index::{GlobalIndex, IndexPartition},
    node::Order,
    table::TableDefinition,
};
use std::collections::BTreeMap;

/// For an index that can't be made where it was to be.
const REMEDY: &str = "take the index out of the spec, and add it again once it is gone from the status";

/// What is to be done for the indexes.
#[derive(Clone, Debug, Default)]
pub struct Due {
    pub orders: Vec<(Target, Order)>,
    /// Why an index can't be made yet.
    pub waits: Option<String>,
}

/// What the nodes say of the indexes that a status names.
#[derive(Clone, Debug, Default)]
pub struct Indexes<'a>(BTreeMap<TableId, Observation<'a>>);

impl<'a> Indexes<'a> {
    pub fn of(status: &TableResourceStatus, answers: Answers<'a>) -> Result<Self> {
        let ids = status.global_secondary_indexes.iter().map(GlobalSecondaryIndexStatus::id);
        let observed = ids.map(|id| id.map(|id| (id, Observation::of(id, answers))));
        Ok(Self(observed.collect::<Result<_, DefinitionError>>()?))
    }

    pub fn get(&self, index: TableId) -> Option<&Observation<'a>> {
        self.0.get(&index)
    }

    /// The table's partitions and those of its indexes: all have to stand in each zone.
    pub fn with_table(&self, table: &Observation<'a>) -> Observation<'a> {
        let indexes = self.0.values().flat_map(|index| index.partitions.clone());
        Observation { partitions: table.partitions.clone().into_iter().chain(indexes).collect() }
    }

    /// The definition with its indexes where they are now; where that is not known, where the nodes have them, or where they are
    /// made.
    pub fn locate(&self, mut definition: TableDefinition, held: Option<&TableDefinition>) -> TableDefinition {
        for index in &mut definition.global_indexes {
            let of_held = held.and_then(|held| index_of(held, index.index_id)).map(|held| held.partitions.clone());
            let observed = self.get(index.index_id).filter(|observed| observed.is_led()).map(partitions);
            if let Some(partitions) = observed.or(of_held).filter(|partitions| !partitions.is_empty()) {
                index.partitions = partitions;
            }
        }
        definition
    }

    /// What is wanted without the indexes that nobody leads yet and whose table was not told of them: it would keep its log for an
    /// index that may never be.
    pub fn made(&self, wanted: &TableDefinition, held: &TableDefinition) -> TableDefinition {
        let is_made = |index: &GlobalIndex| {
            index_of(held, index.index_id).is_some() || self.get(index.index_id).is_some_and(Observation::is_led)
        };
        let mut wanted = wanted.clone();
        wanted.global_indexes.retain(is_made);
        wanted
    }

    /// The orders that make the indexes of what is wanted, and that bring them to what the table's leaders hold of them.
    pub fn orders(
        &self,
        status: &TableResourceStatus,
        wanted: &TableDefinition,
        held: Option<&TableDefinition>,
        answers: Answers<'_>,
    ) -> Result<Due> {
        let Due { mut orders, mut waits } = Due::default();
        for index in &wanted.global_indexes {
            let id = index.index_id;
            let (Some(observed), Some(entry)) = (self.get(id), entry_of(status, id)) else { continue };
            let was_led = entry.schema_version.is_some();
            match bootstrap::missing(&entry.placements, was_led, id, REMEDY, observed, answers)? {
                Ok(missing) => orders.extend(missing.into_iter().map(|(target, descriptor)| {
                    (target, Order::Bootstrap { descriptor, definition: wanted.of_index(index) })
                })),
                Err(message) => waits = Some(format!("the index {}: {message}", index.index_name)),
            }
            if let Some((held, index)) = held.and_then(|held| Some((held, index_of(held, id)?))) {
                orders.extend(updates(&held.of_index(index), observed));
            }
        }
        Ok(Due { orders, waits })
    }
}

/// Version by version, until the index has that of its table.
fn updates(definition: &TableDefinition, observed: &Observation<'_>) -> Vec<(Target, Order)> {
    let behind = observed.leaders().filter(|(_, leader)| leader.definition.schema_version < definition.schema_version);
    behind
        .map(|(target, leader)| {
            let schema_version = leader.definition.schema_version + 1;
            let definition = TableDefinition { schema_version, ..definition.clone() };
            (target.clone(), Order::UpdateDefinition { partition_id: leader.descriptor.partition_id, definition })
        })
        .collect()
}

fn partitions(observed: &Observation<'_>) -> Vec<IndexPartition> {
    let partitions = observed.partitions.iter().map(|(&partition_id, partition)| {
        let voters = partition.descriptor.members.iter().filter(|member| member.role == MemberRole::Voter);
        IndexPartition { partition_id, members: voters.cloned().collect::<Vec<Member>>() }
    });
    partitions.collect()
}

/// The definition's index of this id.
pub fn index_of(definition: &TableDefinition, id: TableId) -> Option<&GlobalIndex> {
    definition.global_indexes.iter().find(|index| index.index_id == id)
}

fn entry_of(status: &TableResourceStatus, id: TableId) -> Option<&GlobalSecondaryIndexStatus> {
    status.global_secondary_indexes.iter().find(|entry| entry.id() == Ok(id))
}

/// Whether two definitions say the same but for where indexes lie, which changes while a table is as it should be.
pub fn are_same_elsewhere(one: &TableDefinition, other: &TableDefinition) -> bool {
    let [one, other] = [one, other].map(|definition| {
        let mut definition = definition.clone();
        definition.global_indexes.iter_mut().for_each(|index| index.partitions.clear());
        definition
    });
    one == other
}

/// An index that is asked for otherwise than it was made.
pub fn unchangeable(spec: &TableSpec, status: &TableResourceStatus) -> Result<Option<Refusal>> {
    let asked = spec.global_indexes()?;
    for entry in status.global_secondary_indexes.iter().filter(|entry| !entry.is_deleting()) {
        let Some(asked) = asked.iter().find(|asked| asked.index_name == entry.index_name) else { continue };
        let made = entry.index()?;
        let field = if asked.key_schema != made.key_schema {
            "keySchema, or the type of one of its attributes,"
        } else if asked.projection != made.projection {
            "projection"
        } else {
            continue;
        };
        let name = &entry.index_name;
        return Ok(Some(Refusal::new(
            "Unchangeable",
            format!(
                "spec.globalSecondaryIndexes[indexName={name}]: {field} is not what the index was made with and never changes: \
                 put it back as it was, or remove the index and add it again once it is gone from the status"
            ),
        )));
    }
    Ok(None)
}
