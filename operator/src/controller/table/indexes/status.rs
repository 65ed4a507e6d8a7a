//! What a Table's status says of its global indexes.

use super::{Indexes, REMEDY, index_of};
use crate::{
    controller::table::{observation::Observation, throughput},
    error::Result,
};
use cairn_crds::{TableResourceStatus, table::GlobalSecondaryIndexStatus};
use cairn_model::{
    arn::TableArn,
    index::GlobalIndex,
    node::ReplicaReport,
    table::{TableDefinition, TableStatus},
};
use jiff::Timestamp;

/// Fills in what the nodes say. `wanted`: the definition that the table is to have, where that is known.
pub fn observe(
    status: &mut TableResourceStatus,
    indexes: &Indexes<'_>,
    table: &Observation<'_>,
    wanted: Option<&TableDefinition>,
    arn: TableArn<'_>,
    now: Timestamp,
) -> Result<()> {
    let held = table.definition();
    for entry in &mut status.global_secondary_indexes {
        let id = entry.id()?;
        entry.index_arn = Some(format!("{arn}/index/{}", entry.index_name));
        let Some(observed) = indexes.get(id).filter(|observed| observed.is_led()) else { continue };
        let held = held.and_then(|held| index_of(held, id));
        let version = observed.definition().map(|definition| definition.schema_version);
        entry.schema_version = version.and_then(|version| i64::try_from(version).ok());
        entry.item_count = i64::try_from(observed.item_count()).ok();
        entry.index_size_bytes = i64::try_from(observed.size_bytes()).ok();
        if let Some(held) = held {
            throughput::note_units(&mut entry.throughput, held.provisioned_throughput, now);
        }
        let wanted = wanted.and_then(|wanted| index_of(wanted, id));
        (entry.index_status, entry.backfilling) = match entry.index_status {
            TableStatus::Deleting => (TableStatus::Deleting, None),
            TableStatus::Creating if held.is_some() && is_complete(table, observed) => (TableStatus::Active, None),
            TableStatus::Creating => (TableStatus::Creating, held.map(|_| true)),
            _ if wanted.is_some_and(|wanted| observed.leaders().any(|(_, leader)| !has_units(leader, wanted))) => {
                (TableStatus::Updating, None)
            }
            _ => (TableStatus::Active, None),
        };
    }
    let entries = &status.global_secondary_indexes;
    let ready = entries.iter().filter(|entry| is_ready(entry)).count();
    status.indexes_ready = (!entries.is_empty()).then(|| format!("{ready}/{}", entries.len()));
    Ok(())
}

/// Whether every partition of the index has all that was in every partition of the table before it.
fn is_complete(table: &Observation<'_>, index: &Observation<'_>) -> bool {
    let has = |leader: &ReplicaReport, partition| {
        leader.fed_by.iter().any(|fed| fed.partition_id == partition && fed.complete)
    };
    table.is_led()
        && table.partitions.keys().all(|&partition| index.leaders().all(|(_, leader)| has(leader, partition)))
}

/// All else of its throughput changes while the index is ACTIVE.
fn has_units(leader: &ReplicaReport, wanted: &GlobalIndex) -> bool {
    leader.definition.provisioned_throughput == wanted.provisioned_throughput
}

fn is_ready(entry: &GlobalSecondaryIndexStatus) -> bool {
    matches!(entry.index_status, TableStatus::Active | TableStatus::Updating)
}

/// Whether all indexes that the table is to have serve.
pub fn are_made(status: &TableResourceStatus) -> bool {
    status.global_secondary_indexes.iter().all(|entry| entry.is_deleting() || is_ready(entry))
}

/// Whether each index that the table is to have is made and fed, and none has to go: what is left is to fill them.
pub fn are_allocated(status: &TableResourceStatus, indexes: &Indexes<'_>, table: &Observation<'_>) -> Result<bool> {
    for entry in &status.global_secondary_indexes {
        let id = entry.id()?;
        let is_led = indexes.get(id).is_some_and(Observation::is_led);
        let is_fed = table.definition().is_some_and(|held| index_of(held, id).is_some());
        if is_fed == entry.is_deleting() || (entry.index_status == TableStatus::Creating && !is_led) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether an index is on its way in or out, or changes.
pub fn are_changing(status: &TableResourceStatus) -> bool {
    status.global_secondary_indexes.iter().any(|entry| entry.index_status != TableStatus::Active)
}

/// An index that had a leader once and has none.
pub fn leaderless<'s>(status: &'s TableResourceStatus, indexes: &Indexes<'_>) -> Option<&'s str> {
    let is_led = |entry: &GlobalSecondaryIndexStatus| {
        entry.id().is_ok_and(|id| indexes.get(id).is_some_and(Observation::is_led))
    };
    let were_led = status.global_secondary_indexes.iter().filter(|entry| entry.schema_version.is_some());
    were_led.into_iter().find(|entry| !entry.is_deleting() && !is_led(entry)).map(|entry| entry.index_name.as_str())
}

/// What is to be done about an index that had a leader once and has none.
pub fn told_leaderless(name: &str) -> String {
    format!(
        "a partition of the index {name} has no leader: it goes on when most of its storage nodes are up (kubectl get pods); where \
         their volumes are lost, {REMEDY}"
    )
}
