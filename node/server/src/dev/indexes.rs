//! The global indexes of `cairn dev`: each has a partition beside its table's. What the tables' definitions say of them is what there
//! is to be; whatever else is there is made so, also after a crash.

use super::tables::ZONE;
use cairn_api::{GlobalIndexUpdate, IndexView, TableView, errors};
use cairn_model::{
    ServiceError, TableDefinition,
    descriptor::{KeyRange, Member, MemberRole, PartitionDescriptor},
    ids::{NodeId, PartitionId, ReplicaId, TableId},
    index::{GLOBAL_INDEXES_MAX, GlobalIndex, IndexPartition},
    node::{Order, ReplicaReport},
    table::TableStatus,
};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// Says in the definition where those of its indexes will be that are nowhere yet.
pub(super) fn locate(definition: &mut TableDefinition, node_id: NodeId) {
    for index in definition.global_indexes.iter_mut().filter(|index| index.partitions.is_empty()) {
        let partition_id = PartitionId(uuid::Uuid::new_v4().into_bytes());
        index.partitions = vec![IndexPartition { partition_id, members: vec![first_member(node_id)] }];
    }
}

pub(super) fn first_member(node_id: NodeId) -> Member {
    Member { replica_id: ReplicaId(1), node_id, zone: ZONE.to_owned(), address: String::new(), role: MemberRole::Voter }
}

/// What to order so that the partitions of indexes are as their tables' definitions say: of each at most one thing.
pub(super) fn due(replicas: &[ReplicaReport]) -> Vec<Order> {
    let (hidden, tables): (Vec<_>, Vec<_>) = replicas.iter().partition(|report| report.definition.index_of.is_some());
    let there: HashMap<TableId, &ReplicaReport> =
        hidden.iter().map(|report| (report.definition.table_id, *report)).collect();
    let mut wanted = HashSet::new();
    let mut orders = Vec::new();
    for table in &tables {
        for index in &table.definition.global_indexes {
            wanted.insert(index.index_id);
            let definition = table.definition.of_index(index);
            match there.get(&index.index_id) {
                None => orders.extend(make(index, definition)),
                Some(report) => orders.extend(follow(report, definition)),
            }
        }
    }
    let unwanted = hidden.iter().filter(|report| !wanted.contains(&report.definition.table_id));
    orders.extend(unwanted.map(|report| Order::DropPartition {
        partition_id: report.descriptor.partition_id,
        table_id: report.definition.table_id,
        deleted_at_ms: None,
    }));
    orders
}

fn make(index: &GlobalIndex, definition: TableDefinition) -> Option<Order> {
    let IndexPartition { partition_id, members } = index.partitions.first()?.clone();
    let descriptor = PartitionDescriptor::first(partition_id, index.index_id, KeyRange::default(), members);
    Some(Order::Bootstrap { descriptor, definition })
}

/// A version at a time.
fn follow(report: &ReplicaReport, mut definition: TableDefinition) -> Option<Order> {
    let present = report.definition.schema_version;
    if present >= definition.schema_version {
        return None;
    }
    definition.schema_version = present + 1;
    Some(Order::UpdateDefinition { partition_id: report.descriptor.partition_id, definition })
}

/// What a table shows of its indexes; `hidden`: the partitions of its indexes and of what were its indexes. `made_empty`: there
/// was nothing in the table when they were made.
pub(super) fn views(
    definition: &TableDefinition,
    table_arn: &str,
    hidden: &[&ReplicaReport],
    made_empty: &HashSet<TableId>,
) -> Vec<IndexView> {
    let of_index = |index: &GlobalIndex| {
        let report = hidden.iter().find(|report| report.definition.table_id == index.index_id);
        let is_filled = report.is_some_and(|report| is_filled(report)) || made_empty.contains(&index.index_id);
        let status = if report.is_some() && is_filled { TableStatus::Active } else { TableStatus::Creating };
        view(definition.of_index(index), table_arn, status, report.copied())
    };
    let stays = |id: TableId| definition.global_indexes.iter().any(|index| index.index_id == id);
    let going = hidden.iter().filter(|report| !stays(report.definition.table_id));
    let going = going.map(|report| view(report.definition.clone(), table_arn, TableStatus::Deleting, Some(report)));
    definition.global_indexes.iter().map(of_index).chain(going).collect()
}

/// All that its table had before it is in it: a table has one partition.
pub(super) fn is_filled(report: &ReplicaReport) -> bool {
    report.fed_by.iter().any(|fed| fed.complete)
}

fn view(
    definition: TableDefinition,
    table_arn: &str,
    status: TableStatus,
    report: Option<&ReplicaReport>,
) -> IndexView {
    let name = definition.index_of.as_ref().map_or("", |of| of.index_name.as_str());
    let arn = format!("{table_arn}/index/{name}");
    let table = TableView {
        arn,
        status,
        is_warming: false,
        item_count: report.map_or(0, |report| report.item_count),
        size_bytes: report.map_or(0, |report| report.size_bytes),
        definition,
        global_indexes: Vec::new(),
    };
    IndexView { table: Arc::new(table), backfilling: status == TableStatus::Creating && report.is_some() }
}

/// The table, and with it its indexes, is on its way in or out.
pub(super) fn passing(table: &mut TableView, status: TableStatus) {
    table.status = status;
    for index in &mut table.global_indexes {
        Arc::make_mut(&mut index.table).status = status;
        index.backfilling = false;
    }
}

/// Whether these changes still fit the table: it may have changed since that was looked at.
pub(super) fn check(table: &TableView, updates: &[GlobalIndexUpdate]) -> Result<(), ServiceError> {
    let name = &table.definition.table_name;
    let status = |index_name: &str| {
        let named = table.global_indexes.iter().find(|index| index.name() == index_name);
        named.map(|index| index.table.status)
    };
    let changing = |index: &IndexView| matches!(index.table.status, TableStatus::Creating | TableStatus::Deleting);
    for update in updates {
        match update {
            GlobalIndexUpdate::Create(new) if status(&new.index_name).is_some() => return Err(errors::index_exists()),
            GlobalIndexUpdate::Create(_) if table.global_indexes.iter().any(changing) => {
                return Err(errors::one_index_at_a_time());
            }
            GlobalIndexUpdate::Create(_) if table.definition.global_indexes.len() >= GLOBAL_INDEXES_MAX => {
                return Err(errors::too_many_global_indexes());
            }
            GlobalIndexUpdate::Create(_) => {}
            GlobalIndexUpdate::Update { index_name, .. } | GlobalIndexUpdate::Delete { index_name } => {
                match status(index_name) {
                    None => return Err(errors::index_not_found(index_name, name)),
                    Some(TableStatus::Deleting) => return Err(errors::table_in_use(name)),
                    Some(_) => {}
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "indexes/tests.rs"]
mod tests;
