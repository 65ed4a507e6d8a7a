//! An index's end: out of the table's definition first, then its data from every node, and then out of the status.

use crate::{
    controller::table::{deletion, observation::Observation},
    error::Result,
};
use cairn_crds::{StorageGroup, TableResourceStatus, storage_group::PendingDrop, table::GlobalSecondaryIndexStatus};

/// Takes the indexes that no leader of the table feeds any more out of the status; gives what is left to do for their data,
/// which has to be written down before the status is.
pub fn take_gone(
    status: &mut TableResourceStatus,
    table: &Observation<'_>,
    group: &StorageGroup,
) -> Result<Vec<PendingDrop>> {
    let mut drops = Vec::new();
    let mut left = Vec::new();
    for entry in std::mem::take(&mut status.global_secondary_indexes) {
        let id = entry.id()?;
        let is_fed =
            table.leaders().any(|(_, leader)| leader.definition.global_indexes.iter().any(|i| i.index_id == id));
        if entry.is_deleting() && table.is_led() && !is_fed {
            drops.extend(of(&entry, group));
        } else {
            left.push(entry);
        }
    }
    status.global_secondary_indexes = left;
    Ok(drops)
}

/// Every partition of the index, on every node of the group. Nothing of it is in an archive.
pub fn of(entry: &GlobalSecondaryIndexStatus, group: &StorageGroup) -> Vec<PendingDrop> {
    let placements = entry.placements.iter();
    placements.map(|placement| deletion::drop_of(placement, &entry.index_id, group)).collect()
}
