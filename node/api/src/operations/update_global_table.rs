//! UpdateGlobalTable: adds regions to a global table and takes some out, in one call.

use super::{
    Call,
    global_table_description::{self, required_name},
};
use crate::{
    errors,
    global_tables::{GlobalTable, ReplicaUpdate},
    input::{self, Input, shape::Shape},
    validation::constraints::Constraints,
};
use cairn_model::{ServiceError, region::ReplicaStatus, table::TableStatus};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateGlobalTableInput {
    global_table_name: Option<String>,
    replica_updates: Option<Vec<Update>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Update {
    create: Option<Region>,
    delete: Option<Region>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Region {
    region_name: Option<String>,
}

const UPDATE: Shape = Shape::Struct(
    "ReplicaUpdate",
    &[
        ("Create", Shape::Struct("CreateReplicaAction", &[("RegionName", Shape::Text)])),
        ("Delete", Shape::Struct("DeleteReplicaAction", &[("RegionName", Shape::Text)])),
    ],
);

impl Input for UpdateGlobalTableInput {
    const FIELDS: &'static [(&'static str, Shape)] =
        &[("GlobalTableName", Shape::Text), ("ReplicaUpdates", Shape::List(&UPDATE))];
}

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let input: UpdateGlobalTableInput = input::parse(call.body)?;
    let mut constraints = Constraints::default();
    let name = required_name(input.global_table_name, &mut constraints);
    let updates = input.replica_updates.as_deref();
    constraints.required("replicaUpdates", updates.is_some());
    for (position, update) in updates.unwrap_or_default().iter().enumerate() {
        for (action, region) in [("create", &update.create), ("delete", &update.delete)] {
            let path = format!("replicaUpdates.{}.member.{action}.regionName", position + 1);
            constraints.required(&path, region.as_ref().is_none_or(|region| region.region_name.is_some()));
        }
    }
    constraints.finish()?;
    let (table, global) = global_table_description::find(call, &name)?;
    let update = read(call, &name, &global, updates.unwrap_or_default())?;
    match table.status {
        TableStatus::Creating => return Err(errors::table_being_created(&name)),
        TableStatus::Updating => return Err(errors::table_in_use(&name)),
        TableStatus::Deleting => return Err(errors::table_being_deleted(&name)),
        TableStatus::Active => {}
    }
    let global_tables = call.global_tables.ok_or_else(errors::no_other_regions)?;
    global_tables.update_replicas(&table, update).await?;
    // Where the last of them was never taken over, nothing of it is left.
    let after = call.global_table(&table).unwrap_or(GlobalTable { replicas: Vec::new(), ..global });
    Ok(global_table_description::answer(call, &table, &after))
}

/// The updates, against what the table has.
fn read(call: &Call<'_>, name: &str, global: &GlobalTable, updates: &[Update]) -> Result<ReplicaUpdate, ServiceError> {
    let mut read = ReplicaUpdate::default();
    let of = |region: &Option<Region>| region.as_ref().and_then(|region| region.region_name.clone());
    for update in updates {
        if let Some(region) = of(&update.create)
            && (region == call.region || global.replica(&region).is_some() || !read.create.insert(region.clone()))
        {
            return Err(errors::replica_exists(name, &region));
        }
        if let Some(region) = of(&update.delete) {
            if region == call.region {
                return Err(errors::local_region());
            }
            match global.replica(&region).map(|replica| replica.status) {
                Some(ReplicaStatus::Deleting) => return Err(errors::global_table_in_use()),
                Some(_) if read.delete.insert(region.clone()) => {}
                _ => return Err(errors::replica_not_found(name, &region)),
            }
        }
    }
    if read == ReplicaUpdate::default() {
        // DynamoDB says no more either.
        return Err(ServiceError::validation("One or more parameter values were invalid"));
    }
    errors::check_replica_count(global.replicas.len() + read.create.len() - read.delete.len())?;
    Ok(read)
}
