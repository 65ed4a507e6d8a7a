//! How a table stands with its other regions: what is declared, what the nodes hold and what they report, put together.

use crate::router::routes::KnownTable;
use cairn_api::global_tables::{GlobalTable as Described, Replica};
use cairn_crds::{GlobalTable, table::recovery::millis_of_time};
use cairn_model::{
    region::{RegionReport, RegionStanding, ReplicaStatus},
    table::GlobalReplicas,
};
use std::collections::BTreeSet;

/// `complete`: whether a resource that is not given is not there. `held`: the table as its nodes have it.
pub(super) fn describe(
    region: &str,
    table_creation_time_ms: u64,
    resource: Option<&GlobalTable>,
    complete: bool,
    held: Option<&KnownTable>,
) -> Option<Described> {
    let members = held.and_then(|held| held.definition.replicas.as_ref()).map(|replicas| others(replicas, region));
    let members = members.unwrap_or_default();
    // Until it is known what is declared, that is what the nodes have.
    let declared = if resource.is_none() && !complete { members.clone() } else { declared(resource, region) };
    let reports = held.map_or(&[][..], |held| &held.regions);
    let replicas: Vec<Replica> = declared
        .union(&members)
        .map(|name| {
            let standing = match (declared.contains(*name), members.contains(*name)) {
                (true, true) => standing(name, reports, resource),
                (true, false) => noted(name, resource).unwrap_or_else(not_taken_over),
                (false, _) => {
                    RegionStanding { status: ReplicaStatus::Deleting, description: None, percent_progress: None }
                }
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
    Some(Described {
        creation_time_ms: resource
            .and_then(|resource| resource.metadata.creation_timestamp.as_ref())
            .map_or(table_creation_time_ms, millis_of_time),
        changing: resource.is_some_and(is_unseen) || declared.is_empty(),
        replicas,
    })
}

fn others<'a>(replicas: &'a GlobalReplicas, region: &str) -> BTreeSet<&'a str> {
    replicas.members.iter().map(String::as_str).filter(|member| *member != region).collect()
}

/// The other regions that are to keep the table.
fn declared<'a>(resource: Option<&'a GlobalTable>, region: &str) -> BTreeSet<&'a str> {
    let stays = resource.filter(|resource| resource.metadata.deletion_timestamp.is_none());
    let replicas = stays.into_iter().flat_map(|resource| &resource.spec.replicas);
    replicas.map(|replica| replica.region_name.as_str()).filter(|name| *name != region).collect()
}

/// Whether the operator has not seen yet what is declared now.
fn is_unseen(resource: &GlobalTable) -> bool {
    let seen = resource.status.as_ref().and_then(|status| status.observed_generation);
    resource.metadata.deletion_timestamp.is_some() || resource.metadata.generation > seen
}

/// Of a member: what the leaders report; while none leads, what the operator noted.
fn standing(name: &str, reports: &[RegionReport], resource: Option<&GlobalTable>) -> RegionStanding {
    let mut of_region = reports.iter().filter(|report| report.region == name).peekable();
    if of_region.peek().is_none()
        && let Some(noted) = noted(name, resource)
    {
        return noted;
    }
    RegionStanding::of(of_region)
}

fn noted(name: &str, resource: Option<&GlobalTable>) -> Option<RegionStanding> {
    let replicas = &resource?.status.as_ref()?.replicas;
    let noted = replicas.iter().find(|replica| replica.region_name == name)?;
    Some(RegionStanding {
        status: ReplicaStatus::named(&noted.replica_status)?,
        description: noted.replica_status_description.clone(),
        percent_progress: noted.replica_status_percent_progress.as_ref().and_then(|percent| percent.parse().ok()),
    })
}

fn not_taken_over() -> RegionStanding {
    RegionStanding {
        status: ReplicaStatus::Creating,
        description: Some("The operator has not told the storage nodes of it yet".to_owned()),
        percent_progress: None,
    }
}
