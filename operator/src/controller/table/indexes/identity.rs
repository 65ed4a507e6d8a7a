//! An index's id, slot and placements, given once, and the place in its table, lost for good: because the spec has it no more, because
//! it can't begin where it was to, or because the nodes know better than the status.

use crate::{
    controller::table::{
        bootstrap,
        indexes::{entry_of, index_of},
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
    index::{GlobalIndex, IndexPartition, free_slot},
    table::{TableDefinition, TableStatus},
};
use kube::ResourceExt;
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
        let_go(entry);
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
            Err(message) => {
                let (name, group) = (&index.index_name, group.name_any());
                return Ok(Err(format!("the index {name}: {message}: look at the StorageGroup {group}")));
            }
        }
    }
    Ok(Ok(()))
}

fn place(index: &GlobalIndex, group: &StorageGroup, answers: Answers<'_>) -> std::result::Result<Placement, String> {
    let known = group.status.clone().unwrap_or_default();
    let partition_id = PartitionId(Uuid::new_v4().into_bytes());
    placement::choose(&known.zones, answers.nodes, answers.reports, &known.nodes, index.index_id, partition_id)
}

/// Gives up the indexes that nobody has led and that can't begin any more where they were to; names them. [`stamp`] gives each that
/// the spec still has another id and another place.
///
/// Nothing is lost with one: it is a copy, and not even that yet. Like any that is deleted it is out of its table's definition before
/// what nodes may hold of it is dropped.
pub fn give_up(status: &mut TableResourceStatus, answers: Answers<'_>) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in status.global_secondary_indexes.iter_mut().filter(|entry| !entry.is_deleting()) {
        let (id, was_led) = (entry.id()?, entry.schema_version.is_some());
        if bootstrap::are_in_vain(&entry.placements, was_led, id, &Observation::of(id, answers), answers)? {
            tracing::warn!(index = entry.index_name, index_id = entry.index_id, "an index can't begin where it was to");
            let_go(entry);
            names.push(entry.index_name.clone());
        }
    }
    Ok(names)
}

fn let_go(entry: &mut GlobalSecondaryIndexStatus) {
    entry.index_status = TableStatus::Deleting;
    entry.backfilling = None;
}

/// Brings a status that may be older than what the nodes hold (a restored etcd, a manifest applied with its status, data that is taken
/// over) to what the table's definition says: an index that it had and has no more does not come back, for it has missed what was
/// written since; and those that it has are noted.
pub fn recall(status: &mut TableResourceStatus, held: &TableDefinition, answers: Answers<'_>) {
    let known_version = status.schema_version.and_then(|version| u64::try_from(version).ok());
    // A leader that does not know yet that it was voted out tells of an older one than the status.
    if known_version.is_none_or(|known| known <= held.schema_version) {
        let is_noted = |index: &GlobalIndex| entry_of(status, index.index_id).is_some();
        let unnoted: Vec<_> = held.global_indexes.iter().filter(|index| !is_noted(index)).collect();
        for entry in status.global_secondary_indexes.iter_mut().filter(|entry| !entry.is_deleting()) {
            let is_there = entry.id().is_ok_and(|id| index_of(held, id).is_some());
            let is_another = || unnoted.iter().any(|index| index.index_name == entry.index_name);
            if !is_there && (was_fed(entry) || is_another()) {
                let (index, index_id) = (&entry.index_name, &entry.index_id);
                tracing::warn!(
                    index,
                    index_id,
                    "an index that the table's definition does not have any more does not come back"
                );
                let_go(entry);
            }
        }
    }
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
        let mut others = status.global_secondary_indexes.iter().filter(|other| !other.is_deleting());
        if others.any(|other| other.index_name == entry.index_name) {
            let_go(&mut entry);
        }
        tracing::info!(index = entry.index_name, index_id = entry.index_id, "an index that the nodes hold is noted");
        status.global_secondary_indexes.push(entry);
    }
}

/// Whether the table's definition had the index when the status was written.
fn was_fed(entry: &GlobalSecondaryIndexStatus) -> bool {
    entry.backfilling == Some(true) || matches!(entry.index_status, TableStatus::Active | TableStatus::Updating)
}

fn first_descriptor(index: &GlobalIndex, partition: &IndexPartition) -> PartitionDescriptor {
    let IndexPartition { partition_id, members } = partition.clone();
    PartitionDescriptor::first(partition_id, index.index_id, KeyRange::default(), members)
}
