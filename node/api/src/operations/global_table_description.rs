//! `ReplicaDescription`, and the `GlobalTableDescription` of version 2017.11.29, in whose operations the same global tables
//! are seen under other names.

use super::Call;
use crate::{
    TableView, errors,
    global_tables::{GlobalTable, Replica},
    input::{Input, shape::Shape},
    output::{Object, write_list},
    validation::constraints::Constraints,
};
use cairn_model::{ServiceError, region::ReplicaStatus, table::TableStatus};
use serde::Deserialize;
use std::sync::Arc;

/// The input of the operations that take a global table's name and nothing else.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GlobalTableNameInput {
    pub(super) global_table_name: Option<String>,
}

impl Input for GlobalTableNameInput {
    const FIELDS: &'static [(&'static str, Shape)] = &[("GlobalTableName", Shape::Text)];
}

/// The name, for [`Constraints::finish`] to report what is wrong with it.
pub(super) fn required_name(name: Option<String>, constraints: &mut Constraints) -> String {
    constraints.required("globalTableName", name.is_some());
    if let Some(name) = &name {
        constraints.name_in_full("globalTableName", name);
    }
    name.unwrap_or_default()
}

/// The table and its other regions.
pub(super) fn find(call: &Call<'_>, name: &str) -> Result<(Arc<TableView>, GlobalTable), ServiceError> {
    let table = call.catalog.table(call.account, name);
    table
        .and_then(|table| Some((table.clone(), call.global_table(&table)?)))
        .ok_or_else(|| errors::global_table_not_found(name))
}

/// Every region that keeps the table, this one too, in ascending order of their names.
pub(super) fn group(call: &Call<'_>, table: &TableView, global: &GlobalTable) -> Vec<Replica> {
    let mut group: Vec<Replica> = global.replicas.iter().cloned().chain([own(call, table)]).collect();
    group.sort_by(|one, other| one.region.cmp(&other.region));
    group
}

/// This region.
pub(super) fn own(call: &Call<'_>, table: &TableView) -> Replica {
    let status = match table.status {
        TableStatus::Creating => ReplicaStatus::Creating,
        TableStatus::Deleting => ReplicaStatus::Deleting,
        TableStatus::Active | TableStatus::Updating => ReplicaStatus::Active,
    };
    Replica { region: call.region.to_owned(), status, description: None, percent_progress: None }
}

/// A list of `ReplicaDescription`.
pub(super) fn write_replicas(name: &str, replicas: &[Replica], object: &mut Object<'_>) {
    object.list(name, replicas, |replica, out| {
        let mut description = Object::begin(out);
        description.text("RegionName", &replica.region);
        description.text("ReplicaStatus", replica.status.as_str());
        if let Some(text) = &replica.description {
            description.text("ReplicaStatusDescription", text);
        }
        if let Some(percent) = replica.percent_progress {
            description.text("ReplicaStatusPercentProgress", &percent.to_string());
        }
        description.end();
    });
}

/// The names of regions, as ListGlobalTables has them.
pub(super) fn write_regions(replicas: &[Replica], out: &mut Vec<u8>) {
    write_list(out, replicas, |replica, out| {
        let mut region = Object::begin(out);
        region.text("RegionName", &replica.region);
        region.end();
    });
}

/// Writes the answer of an operation that returns nothing but a global table's description.
pub(super) fn answer(call: &Call<'_>, table: &TableView, global: &GlobalTable) -> Vec<u8> {
    let name = &table.definition.table_name;
    let mut out = Vec::with_capacity(512);
    let mut answer = Object::begin(&mut out);
    let mut description = answer.object("GlobalTableDescription");
    write_replicas("ReplicationGroup", &group(call, table, global), &mut description);
    description.text("GlobalTableArn", &format!("arn:aws:dynamodb::{}:global-table/{name}", call.account));
    description.timestamp("CreationDateTime", global.creation_time_ms);
    description.text("GlobalTableStatus", status(global));
    description.text("GlobalTableName", name);
    description.end();
    answer.end();
    out
}

fn status(global: &GlobalTable) -> &'static str {
    let all = |status: ReplicaStatus| global.replicas.iter().all(|replica| replica.status == status);
    let some = |status: ReplicaStatus| global.replicas.iter().any(|replica| replica.status == status);
    if all(ReplicaStatus::Deleting) {
        "DELETING"
    } else if all(ReplicaStatus::Creating) {
        "CREATING"
    } else if global.changing || some(ReplicaStatus::Creating) || some(ReplicaStatus::Deleting) {
        "UPDATING"
    } else {
        "ACTIVE"
    }
}
