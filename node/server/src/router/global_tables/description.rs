//! How a table stands with its other regions: what is declared, what the nodes hold and what they report, put together.

use crate::router::routes::KnownTable;
use cairn_api::global_tables::{GlobalTable as Described, Replica};
use cairn_crds::{GlobalTable, GlobalTableReplicaStatus, table::recovery::millis_of_time};
use cairn_model::{
    TableDefinition,
    region::{RegionReport, RegionStanding, ReplicaStatus},
    table::GlobalReplicas,
};
use std::{collections::BTreeSet, sync::Arc};

/// Who says which other regions a table is to have.
pub(super) enum Declared {
    By(Arc<GlobalTable>),
    /// The resource that did is gone: it is to have none.
    NoMore,
    /// As far as is known it never had a resource, or it is not known yet: what the nodes hold stays.
    Unknown,
}

/// `held`: the table as its nodes have it.
pub(super) fn describe(
    region: &str,
    table: &TableDefinition,
    declared: &Declared,
    held: Option<&KnownTable>,
) -> Option<Described> {
    let members = held.and_then(|held| held.definition.replicas.as_ref()).map(|replicas| others(replicas, region));
    let members = members.unwrap_or_default();
    let (resource, wanted) = match declared {
        Declared::By(resource) => (Some(&**resource), listed(resource, region)),
        Declared::NoMore => (None, BTreeSet::new()),
        Declared::Unknown => (None, members.clone()),
    };
    let reports = held.map_or(&[][..], |held| &held.regions);
    let replicas: Vec<Replica> = wanted
        .union(&members)
        .map(|name| {
            let noted = resource.and_then(|resource| noted(name, resource, table));
            let of_region = reports.iter().filter(|report| report.region == **name);
            let standing = match (wanted.contains(name), members.contains(name)) {
                (true, true) => reported(noted, of_region.collect()),
                (true, false) => noted.map_or_else(not_taken_over, standing),
                (false, _) => bare(ReplicaStatus::Deleting),
            };
            Replica {
                region: (*name).to_owned(),
                status: standing.status,
                description: standing.description,
                percent_progress: standing.percent_progress,
            }
        })
        .collect();
    if replicas.is_empty() {
        return None;
    }
    let created = resource.and_then(|resource| resource.metadata.creation_timestamp.as_ref());
    Some(Described {
        creation_time_ms: created.map_or(table.creation_time_ms, millis_of_time),
        changing: resource.is_some_and(is_unseen) || matches!(declared, Declared::NoMore),
        replicas,
    })
}

fn others<'a>(replicas: &'a GlobalReplicas, region: &str) -> BTreeSet<&'a str> {
    replicas.members.iter().map(String::as_str).filter(|member| *member != region).collect()
}

fn listed<'a>(resource: &'a GlobalTable, region: &str) -> BTreeSet<&'a str> {
    resource.spec.replicas.iter().map(|replica| replica.region_name.as_str()).filter(|name| *name != region).collect()
}

/// Whether the operator has not seen yet what is declared now.
fn is_unseen(resource: &GlobalTable) -> bool {
    resource.metadata.generation > resource.status.as_ref().and_then(|status| status.observed_generation)
}

/// What the operator noted of a region of this very table.
fn noted<'a>(name: &str, resource: &'a GlobalTable, table: &TableDefinition) -> Option<&'a GlobalTableReplicaStatus> {
    let status = resource.status.as_ref()?;
    let is_of_table = status.table_id.as_ref().is_none_or(|id| *id == table.table_id.to_string());
    status.replicas.iter().find(|replica| replica.region_name == name).filter(|_| is_of_table)
}

/// Of a member: what the leaders report; while none leads, what the operator noted.
fn reported(noted: Option<&GlobalTableReplicaStatus>, reports: Vec<&RegionReport>) -> RegionStanding {
    match noted {
        Some(noted) if reports.is_empty() => standing(noted),
        noted => RegionStanding::of(noted.and_then(|noted| ReplicaStatus::named(&noted.replica_status)), reports),
    }
}

/// As the operator noted it.
fn standing(noted: &GlobalTableReplicaStatus) -> RegionStanding {
    RegionStanding {
        status: ReplicaStatus::named(&noted.replica_status).unwrap_or(ReplicaStatus::Creating),
        description: noted.replica_status_description.clone(),
        percent_progress: noted.replica_status_percent_progress.as_ref().and_then(|percent| percent.parse().ok()),
    }
}

fn not_taken_over() -> RegionStanding {
    let description = "Joining: the nodes do not have it in the table's definition yet".to_owned();
    RegionStanding { description: Some(description), ..bare(ReplicaStatus::Creating) }
}

fn bare(status: ReplicaStatus) -> RegionStanding {
    RegionStanding { status, description: None, percent_progress: None }
}
