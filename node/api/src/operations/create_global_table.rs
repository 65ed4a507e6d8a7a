//! CreateGlobalTable: adds all the other regions of the group at once to a table that has none.

use super::{
    Call,
    global_table_description::{self, required_name},
};
use crate::{
    errors,
    global_tables::ReplicaUpdate,
    input::{self, Input, shape::Shape},
    validation::constraints::Constraints,
};
use cairn_model::ServiceError;
use serde::Deserialize;
use std::collections::BTreeSet;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CreateGlobalTableInput {
    global_table_name: Option<String>,
    replication_group: Option<Vec<Region>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Region {
    region_name: Option<String>,
}

const REGION: Shape = Shape::Struct("Replica", &[("RegionName", Shape::Text)]);

impl Input for CreateGlobalTableInput {
    const FIELDS: &'static [(&'static str, Shape)] =
        &[("GlobalTableName", Shape::Text), ("ReplicationGroup", Shape::List(&REGION))];
}

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let input: CreateGlobalTableInput = input::parse(call.body)?;
    let mut constraints = Constraints::default();
    let name = required_name(input.global_table_name, &mut constraints);
    constraints.required("replicationGroup", input.replication_group.is_some());
    constraints.finish()?;
    let create = other_regions(call, input.replication_group.unwrap_or_default())?;
    errors::check_replica_count(create.len())?;
    let global_tables = call.global_tables.ok_or_else(errors::no_other_regions)?;
    let table = call.open_table(&name).map_err(|_| errors::replicated_table_not_found(&name, call.region))?;
    if let Some(global) = call.global_table(&table) {
        let group = global_table_description::group(call, &table, &global);
        let regions: Vec<&str> = group.iter().map(|replica| replica.region.as_str()).collect();
        return Err(errors::global_table_exists(&name, &regions));
    }
    global_tables.update_replicas(&table, ReplicaUpdate { create, ..ReplicaUpdate::default() }).await?;
    let global = call.global_table(&table).ok_or_else(errors::internal)?;
    Ok(global_table_description::answer(call, &table, &global))
}

/// The group without this region, which must be in it.
fn other_regions(call: &Call<'_>, group: Vec<Region>) -> Result<BTreeSet<String>, ServiceError> {
    let invalid = |what: String| ServiceError::validation(format!("One or more parameter values were invalid: {what}"));
    let mut regions = BTreeSet::new();
    for region in group {
        let name = region.region_name.filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| invalid("RegionName of a member of ReplicationGroup is missing".to_owned()))?;
        if regions.contains(&name) {
            return Err(invalid(format!("ReplicationGroup has the region {name} twice")));
        }
        regions.insert(name);
    }
    if !regions.remove(call.region) {
        return Err(invalid(format!("ReplicationGroup must have this region, {}", call.region)));
    }
    if regions.is_empty() {
        return Err(invalid("ReplicationGroup must have a region besides this one".to_owned()));
    }
    Ok(regions)
}
