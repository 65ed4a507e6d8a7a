//! The one time that an index is given its id, its slot and its placements, and that it loses its place in the table for good.

use crate::{
    controller::table::{
        indexes::entry_of,
        observation::{Answers, Observation},
        placement,
    },
    error::Result,
};
use cairn_crds::{
    StorageGroup, TableResourceStatus, TableSpec,
    table::{GlobalSecondaryIndexStatus, Placement},
};
use cairn_model::{
    descriptor::{KeyRange, PartitionDescriptor},
    ids::{PartitionId, TableId},
    index::{GlobalIndex, free_slot},
    table::{TableDefinition, TableStatus},
};
use uuid::Uuid;

/// Notes in `status` which indexes the table has once its spec is followed. The text says what a new one waits for.
pub fn stamp(
    status: &mut TableResourceStatus,
    spec: &TableSpec,
    group: &StorageGroup,
    answers: Answers<'_>,
) -> Result<std::result::Result<(), String>> {
    let asked = spec.global_indexes()?;
    let entries = &mut status.global_secondary_indexes;
    for entry in entries.iter_mut().filter(|entry| !asked.iter().any(|asked| asked.index_name == entry.index_name)) {
        entry.index_status = TableStatus::Deleting;
        entry.backfilling = None;
    }
    for asked in asked {
        // One that is on its way out does not come back: it has missed what was written since.
        if entries.iter().any(|entry| entry.index_name == asked.index_name && !entry.is_deleting()) {
            continue;
        }
        let given =
            entries.iter().map(GlobalSecondaryIndexStatus::index).collect::<std::result::Result<Vec<_>, _>>()?;
        let Some(slot) = free_slot(&given) else {
            let name = &asked.index_name;
            return Ok(Err(format!("the index {name} is made when one that is being deleted is gone")));
        };
        let index = GlobalIndex { index_id: TableId(Uuid::new_v4().into_bytes()), slot, ..asked };
        match place(&index, group, answers) {
            Ok(placement) => entries.push(GlobalSecondaryIndexStatus::new(&index, vec![placement])),
            Err(message) => return Ok(Err(format!("the index {}: {message}", index.index_name))),
        }
    }
    Ok(Ok(()))
}

fn place(index: &GlobalIndex, group: &StorageGroup, answers: Answers<'_>) -> std::result::Result<Placement, String> {
    let known = group.status.clone().unwrap_or_default();
    let partition_id = PartitionId(Uuid::new_v4().into_bytes());
    placement::choose(&known.zones, answers.nodes, answers.reports, &known.nodes, index.index_id, partition_id)
}

/// Notes the indexes that nodes hold and nobody wrote down, or not any more: a restored etcd, data that is taken over.
pub fn recall(status: &mut TableResourceStatus, held: &TableDefinition, answers: Answers<'_>) {
    for index in &held.global_indexes {
        if entry_of(status, index.index_id).is_some() {
            continue;
        }
        let observed = Observation::of(index.index_id, answers);
        let was_made = !observed.partitions.is_empty();
        let mut descriptors: Vec<_> = observed.partitions.values().map(|found| found.descriptor.clone()).collect();
        if !was_made {
            descriptors = index.partitions.iter().map(|partition| first_descriptor(index, partition)).collect();
        }
        let placements = descriptors
            .iter()
            .filter_map(|descriptor| Some(Placement::from_descriptor(descriptor, descriptor.members.first()?.node_id)));
        let mut entry = GlobalSecondaryIndexStatus::new(index, placements.collect());
        entry.schema_version = i64::try_from(held.schema_version).ok().filter(|_| was_made);
        let has_successor = status.global_secondary_indexes.iter().any(|other| other.index_name == entry.index_name);
        if has_successor {
            entry.index_status = TableStatus::Deleting;
        }
        tracing::info!(index = entry.index_name, index_id = entry.index_id, "an index that the nodes hold is noted");
        status.global_secondary_indexes.push(entry);
    }
}

fn first_descriptor(index: &GlobalIndex, partition: &cairn_model::index::IndexPartition) -> PartitionDescriptor {
    PartitionDescriptor {
        partition_id: partition.partition_id,
        table_id: index.index_id,
        range: KeyRange::default(),
        epoch: 1,
        next_replica_id: partition.members.iter().map(|member| member.replica_id.0 + 1).max().unwrap_or(1),
        members: partition.members.clone(),
        parents: Vec::new(),
    }
}
