//! `ReplicaUpdates` of UpdateTable: one region that is to keep the table too, or no longer, a call.

use super::{Call, table_description};
use crate::{
    TableView, errors,
    global_tables::ReplicaUpdate,
    input::shape::Shape,
    validation::{
        constraints::Constraints,
        unsupported::{Unsupported, refuse},
    },
};
use cairn_model::{ServiceError, region::ReplicaStatus, table::TableStatus};
use serde::Deserialize;
use std::collections::BTreeSet;

/// `ReplicationGroupUpdate`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GroupUpdate {
    create: Option<Member>,
    update: Option<Member>,
    delete: Option<Member>,
    disassociate: Option<Unsupported>,
}

/// The actions' members: those of `Create` and `Update` are the same, that of `Delete` has the region alone.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Member {
    region_name: Option<String>,
    #[serde(rename = "KMSMasterKeyId")]
    kms_master_key_id: Option<Unsupported>,
    provisioned_throughput_override: Option<Unsupported>,
    on_demand_throughput_override: Option<Unsupported>,
    global_secondary_indexes: Option<Unsupported>,
    table_class_override: Option<Unsupported>,
}

const GROUP_UPDATE: Shape = Shape::Struct(
    "ReplicationGroupUpdate",
    &[
        ("Create", Shape::Struct("CreateReplicationGroupMemberAction", &[("RegionName", Shape::Text)])),
        ("Update", Shape::Struct("UpdateReplicationGroupMemberAction", &[("RegionName", Shape::Text)])),
        ("Delete", Shape::Struct("DeleteReplicationGroupMemberAction", &[("RegionName", Shape::Text)])),
    ],
);
pub(super) const GROUP_UPDATES: Shape = Shape::List(&GROUP_UPDATE);

/// What one of the updates asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Create,
    Update,
    Delete,
}

impl GroupUpdate {
    fn actions(&self) -> impl Iterator<Item = (Action, &'static str, &Member)> {
        let actions = [
            (Action::Create, "create", &self.create),
            (Action::Update, "update", &self.update),
            (Action::Delete, "delete", &self.delete),
        ];
        actions.into_iter().filter_map(|(action, name, member)| Some((action, name, member.as_ref()?)))
    }
}

impl Member {
    fn refuse_unsupported(&self) -> Result<(), ServiceError> {
        refuse([
            ("KMSMasterKeyId", &self.kms_master_key_id),
            ("ProvisionedThroughputOverride", &self.provisioned_throughput_override),
            ("OnDemandThroughputOverride", &self.on_demand_throughput_override),
            ("GlobalSecondaryIndexes", &self.global_secondary_indexes),
            ("TableClassOverride", &self.table_class_override),
        ])
    }
}

pub(super) fn constrain(updates: Option<&[GroupUpdate]>, consistency: Option<&str>, constraints: &mut Constraints) {
    if updates.is_some_and(<[_]>::is_empty) {
        constraints.value("[]", "replicaUpdates", "Member must have length greater than or equal to 1");
    }
    for (position, update) in updates.unwrap_or_default().iter().enumerate() {
        for (_, action, member) in update.actions() {
            let path = format!("replicaUpdates.{}.member.{action}.regionName", position + 1);
            constraints.required(&path, member.region_name.is_some());
        }
    }
    constraints.one_of("multiRegionConsistency", consistency, &["EVENTUAL", "STRONG"]);
}

/// Changes the replicas of a table, after [`constrain`] found nothing.
pub(super) async fn run(
    call: &Call<'_>,
    name: &str,
    updates: &[GroupUpdate],
    consistency: Option<&str>,
) -> Result<Vec<u8>, ServiceError> {
    let (action, region) = single(call, updates, consistency)?;
    let global_tables = call.global_tables.ok_or_else(errors::no_other_regions)?;
    let table = call.any_table(name)?;
    match table.status {
        TableStatus::Creating => return Err(errors::table_being_created(name)),
        TableStatus::Updating => return Err(errors::table_in_use(name)),
        TableStatus::Deleting => return Err(errors::table_being_deleted(name)),
        TableStatus::Active => {}
    }
    let present = call.global_table(&table);
    if present.is_some() && consistency.is_some() {
        return Err(ServiceError::validation(
            "MultiRegionConsistency parameter is unsupported on existing global table",
        ));
    }
    let replica = present.as_ref().and_then(|global| global.replica(region));
    let regions = BTreeSet::from([region.to_owned()]);
    let update = match (action, replica) {
        (Action::Create, None) => {
            errors::check_replica_count(present.as_ref().map_or(0, |global| global.replicas.len()) + 1)?;
            ReplicaUpdate { create: regions, ..ReplicaUpdate::default() }
        }
        // DynamoDB's words, its slip included.
        (Action::Create, Some(_)) => {
            return Err(ServiceError::validation(format!(
                "Failed to create a the new replica of table with name: ‘{name}’ because one or more replicas already \
                 existed as tables."
            )));
        }
        (_, None) => {
            return Err(ServiceError::validation(format!(
                "Update global table operation failed because one or more replicas were not part of the global table. \
                 Please retry the request without these replicas: [{region}]."
            )));
        }
        (_, Some(replica)) if replica.status == ReplicaStatus::Deleting => return Err(errors::global_table_in_use()),
        (_, Some(_)) => ReplicaUpdate { delete: regions, ..ReplicaUpdate::default() },
    };
    global_tables.update_replicas(&table, update).await?;
    let updating = TableView { status: TableStatus::Updating, ..(*table).clone() };
    Ok(table_description::answer(call, "TableDescription", &updating, &call.index_counts(&updating).await))
}

/// The one region that is created or deleted.
fn single<'a>(
    call: &Call<'_>,
    updates: &'a [GroupUpdate],
    consistency: Option<&str>,
) -> Result<(Action, &'a str), ServiceError> {
    refuse(updates.iter().map(|update| ("Disassociate", &update.disassociate)))?;
    let nothing =
        || ServiceError::validation("There are no actions specified in the Replica Update Action of the request.");
    let all: Vec<(Action, &Member)> =
        updates.iter().flat_map(GroupUpdate::actions).map(|(action, _, member)| (action, member)).collect();
    if updates.iter().any(|update| update.actions().next().is_none()) {
        return Err(nothing());
    }
    let (action, member) = match all.as_slice() {
        [] => return Err(nothing()),
        [single] => *single,
        [first, others @ ..] if others.iter().any(|other| other.0 != first.0) => {
            return Err(ServiceError::validation(
                "Update table operation with more than one type of replica actions not allowed.",
            ));
        }
        _ => {
            return Err(ServiceError::validation(
                "Update table operation with more than one create or delete replica actions not allowed",
            ));
        }
    };
    member.refuse_unsupported()?;
    if action == Action::Update {
        // All that it could have changed was refused.
        return Err(nothing());
    }
    match consistency {
        Some("STRONG") => {
            return Err(ServiceError::validation(
                "One or more parameter values were invalid: MultiRegionConsistency STRONG is not supported by this \
                 version of Cairn: leave it out, or say EVENTUAL",
            ));
        }
        Some(_) if action != Action::Create => {
            return Err(ServiceError::validation(
                "Only Replica Create actions are supported when MultiRegionConsistency parameter is provided.",
            ));
        }
        _ => {}
    }
    let region = member.region_name.as_deref().unwrap_or_default();
    if region == call.region {
        return Err(errors::local_region());
    }
    Ok((action, region))
}
