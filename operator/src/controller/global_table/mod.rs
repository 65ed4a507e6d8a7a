//! The controller of GlobalTables: tells how the regions stand with each other. What nodes are ordered comes with the Table
//! (`controller::table::regions`), whose definition has the regions.

pub mod bundle;
pub mod claims;
pub mod known;
pub mod membership;
pub mod numbers;
pub mod standing;
pub mod status;

#[cfg(test)]
pub(crate) mod fixture;

use super::{
    Refusal, guarded, retry, set_progress,
    storage_group::{expiry, members},
    table::{
        observation::{Answers, Observation},
        regions::Regions,
    },
};
use crate::{
    context::{Context, GuardedGlobalTable},
    error::{Error, Result, While},
};
use cairn_crds::{
    GlobalTable, GlobalTableReplicaStatus, GlobalTableResourceStatus, Table,
    condition::{self, Progress},
};
use cairn_model::{ids::TableId, region::RegionReport, table::GlobalReplicas};
use claims::Claim;
use jiff::SignedDuration;
use k8s_openapi::{api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::Time};
use kube::{
    ResourceExt,
    api::PostParams,
    runtime::{controller::Action, events::EventType},
};
use membership::Membership;
use standing::{Standing, Trouble};
use std::{sync::Arc, time::Duration};

/// How soon one is looked at again that is as it is to be, and how old a report may be for it.
const REFRESH: Duration = Duration::from_secs(15);
const REFRESH_AGE_MAX: SignedDuration = SignedDuration::from_secs(10);
/// The same while something changes.
const MOVING: Duration = Duration::from_secs(3);
const MOVING_AGE_MAX: SignedDuration = SignedDuration::from_millis(1_500);
const SYNC_WAIT: Duration = Duration::from_millis(200);
const REFUSED_WAIT: Duration = Duration::from_secs(10);

pub async fn reconcile(object: Arc<GuardedGlobalTable>, ctx: Arc<Context>) -> Result<Action> {
    guarded(&ctx, &object, |global| reconcile_global_table(global, &ctx)).await
}

#[expect(clippy::needless_pass_by_value, reason = "the controller calls it so")]
pub fn on_error(object: Arc<GuardedGlobalTable>, error: &Error, _: Arc<Context>) -> Action {
    retry(error, "GlobalTable", &format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any()))
}

async fn reconcile_global_table(global: GlobalTable, ctx: &Context) -> Result<Action> {
    if global.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    if !ctx.known.is_synced() {
        return Ok(Action::requeue(SYNC_WAIT));
    }
    let (namespace, table_name) = (global.account(), global.table_name());
    let Some(table) = table_of(ctx, &global).await? else {
        let message = format!(
            "there is no Table {table_name} in the namespace {namespace}: apply one, or make a GlobalTable with another spec.tableName"
        );
        return refuse(ctx, &global, &Refusal::new("TableMissing", message)).await;
    };
    let refusal = match ctx.known.claim(&table) {
        Claim::By(holder) if holder.name_any() == global.name_any() => None,
        Claim::By(holder) => Some(holder.name_any()),
        Claim::Unreadable(holder) => Some(holder),
        // The claim is not in the cache yet.
        Claim::Nobody => return Ok(Action::requeue(SYNC_WAIT)),
    };
    if let Some(holder) = refusal {
        let message = format!(
            "the table {table_name} has the GlobalTable {holder} already: delete one of them, and list all regions in the other"
        );
        return refuse(ctx, &global, &Refusal::new("NameTaken", message)).await;
    }
    tell(ctx, &global, &table).await
}

/// The table that the resource names; asked for where it is not known, for a status that is cleared forgets what was.
async fn table_of(ctx: &Context, global: &GlobalTable) -> Result<Option<Table>> {
    let (namespace, table_name) = (global.account(), global.table_name());
    let find = |tables: Vec<Table>| {
        let stays = |table: &Table| table.metadata.deletion_timestamp.is_none() && table.table_name() == table_name;
        // Of several that claim the name, the one that has data.
        let has_data = |table: &Table| table.status.as_ref().is_some_and(|status| status.table_id.is_some());
        tables.into_iter().filter(stays).max_by_key(has_data)
    };
    if let Some(table) = find(ctx.tables_in(&namespace)) {
        return Ok(Some(table));
    }
    let listed = expiry::tables_in(ctx, &namespace).await?;
    Ok(find(listed.into_iter().filter_map(|table| table.0.ok()).collect()))
}

/// Tells how all regions stand, by what the leaders of the table's partitions report.
async fn tell(ctx: &Context, global: &GlobalTable, table: &Table) -> Result<Action> {
    let before = status_for(global, table);
    let table_status = table.status.clone().unwrap_or_default();
    let table_id: Option<TableId> = table_status.table_id.as_ref().and_then(|id| id.parse().ok());
    let group = ctx.group(&table.account(), &table.spec.storage_group);
    let nodes = group.map(|group| members::recorded(&group, &ctx.config)).unwrap_or_default();
    let targets: Vec<_> = nodes.iter().map(|node| node.target.clone()).collect();
    let is_settled = condition::is_true(&before.conditions, condition::READY) && !numbers::is_behind(&before);
    let reports = ctx.reports.of(&targets, if is_settled { REFRESH_AGE_MAX } else { MOVING_AGE_MAX }).await;
    let observation =
        table_id.map(|id| Observation::of(id, Answers { nodes: &nodes, reports: &reports })).unwrap_or_default();
    let held = observation.definition().and_then(|definition| definition.replicas.as_ref());
    let regions = Regions::of(ctx, table).await;
    let Some(mut membership) = regions.membership(&ctx.config.region, held) else {
        // The claim has just changed; or this cluster's id can't be read, and nothing is known of members before it can.
        if let Some(why) = regions.unknown() {
            let unknown = Progress::reconciling("ClusterIdUnknown", why);
            say(ctx, global, before, &unknown).await?;
        }
        return Ok(Action::requeue(MOVING));
    };
    if let Err(error) = look_for_unlabelled(ctx, global, &mut membership).await {
        tracing::warn!(error = %crate::error::chain(&error), "failed to find out why a peer bundle is missing");
    }

    let mut others = Vec::new();
    if let Some(flaw) = membership.flaws.get(&ctx.config.region) {
        others.push(Trouble { reason: flaw.reason, message: flaw.message.clone(), is_passing: false });
    }
    if !membership.unlisted.is_empty() {
        let unlisted = membership.unlisted.join(", ");
        let message = format!(
            "spec.replicas: the nodes hold {unlisted} too, of a time that this cluster does not remember: list what is to stay; \
             to take one out, list it first and then take it out"
        );
        others.push(Trouble { reason: "SpecOutdated", message, is_passing: false });
    }
    if ctx.config.peer_endpoint().is_none() {
        let message = "no other cluster can reach this one: install the chart with peers.enabled and peers.endpoint";
        others.push(Trouble { reason: "PeersDisabled", message: message.to_owned(), is_passing: false });
    }
    if !observation.is_led() {
        let message =
            "the table has no leader that could tell how its regions are: the conditions of the Table say what to do";
        let message = message.to_owned();
        others.push(Trouble { reason: "LeaderMissing", message, is_passing: true });
    } else if held != Some(&membership.replicas) {
        let message = "the nodes do not have the table's regions yet as they are listed".to_owned();
        others.push(Trouble { reason: "Updating", message, is_passing: true });
    }
    let standings = standings(global, &ctx.config.region, &before, &membership, held, &observation);
    let progress = status::progress(&others, &standings);

    let generation = global.metadata.generation;
    let mut status = before.clone();
    status.table_id = table_status.table_id;
    status::fill(&mut status, &standings, generation, ctx.now());
    let reason_before = before.conditions.iter().find(|c| c.type_ == condition::READY).map(|c| c.reason.clone());
    condition::set_progress(&mut status.conditions, &progress, generation, &Time(ctx.now()));
    // Regions have events of their own.
    if let Some(other) = others.iter().min_by_key(|trouble| trouble.is_passing)
        && reason_before.as_deref() != Some(progress.reason())
        && progress.reason() == other.reason
    {
        let type_ = if other.is_passing { EventType::Normal } else { EventType::Warning };
        ctx.event(global, type_, other.reason, other.message.as_str()).await;
    }
    for news in status::news(&before.replicas, &standings) {
        ctx.event(global, news.type_, &news.reason, news.note).await;
    }
    let do_clocks_agree = condition::is_true(&status.conditions, status::CLOCKS_AGREE);
    ctx.metrics.global_table_is(&global.account(), &global.name_any(), progress == Progress::Ready, do_clocks_agree);
    let is_settled = progress == Progress::Ready && !numbers::is_behind(&status);
    write_status(ctx, global, status).await?;
    Ok(Action::requeue(if is_settled { REFRESH } else { MOVING }))
}

/// What was said of this very table; of another under the same name nothing counts any more.
fn status_for(global: &GlobalTable, table: &Table) -> GlobalTableResourceStatus {
    let mut status = global.status.clone().unwrap_or_default();
    let table_id = table.status.as_ref().and_then(|status| status.table_id.as_ref());
    if status.table_id.is_some() && status.table_id.as_ref() != table_id {
        status::clear(&mut status);
    }
    status
}

/// How each region stands that is listed and could take part, in the order of the spec.
fn standings(
    global: &GlobalTable,
    own_region: &str,
    before: &GlobalTableResourceStatus,
    membership: &Membership,
    held: Option<&GlobalReplicas>,
    observation: &Observation<'_>,
) -> Vec<Standing> {
    let listed = global.spec.replicas.iter().map(|replica| replica.region_name.as_str());
    listed
        .filter(|region| *region != own_region)
        .map(|region| {
            let report = |reports: &'_ [RegionReport]| reports.iter().position(|report| report.region == region);
            let reports: Vec<_> = observation
                .leaders()
                .map(|(_, leader)| report(&leader.regions).and_then(|at| leader.regions.get(at)))
                .collect();
            let is_of_region = |status: &&GlobalTableReplicaStatus| status.region_name == region;
            let is_member = held.is_some_and(|held| held.members.contains(region));
            standing::tell(standing::Seen {
                region,
                before: before.replicas.iter().find(is_of_region),
                flaw: membership.flaws.get(region),
                // Without a leader nobody says that it is none.
                is_member: is_member || !observation.is_led(),
                reports: &reports,
            })
        })
        .collect()
}

/// A ConfigMap that is there and only lacks the label is told as such.
async fn look_for_unlabelled(ctx: &Context, global: &GlobalTable, membership: &mut Membership) -> Result<()> {
    let namespace = global.account();
    for replica in &global.spec.replicas {
        let Some(flaw) = membership.flaws.get_mut(&replica.region_name).filter(|flaw| flaw.reason == "PeerMissing")
        else {
            continue;
        };
        let name = replica.peer_name();
        let found = ctx.api::<ConfigMap>(&namespace).get_metadata_opt(name).await;
        if found.while_doing(|| format!("look for the ConfigMap {namespace}/{name}"))?.is_some() {
            let is_kept = membership.replicas.members.contains(&replica.region_name);
            let unlabelled = bundle::missing(&namespace, replica, true);
            *flaw = if is_kept { unlabelled.and(membership::KEPT) } else { unlabelled };
        }
    }
    Ok(())
}

/// Says why the resource stands for no regions.
async fn refuse(ctx: &Context, global: &GlobalTable, refusal: &Refusal) -> Result<Action> {
    let mut status = global.status.clone().unwrap_or_default();
    status::clear(&mut status);
    say(ctx, global, status, &refusal.progress()).await?;
    Ok(Action::requeue(REFUSED_WAIT))
}

/// Writes the status with why nothing can be told of regions.
async fn say(
    ctx: &Context,
    global: &GlobalTable,
    mut status: GlobalTableResourceStatus,
    progress: &Progress,
) -> Result<()> {
    set_progress(ctx, global, &mut status.conditions, progress, global.metadata.generation).await;
    ctx.metrics.global_table_is(&global.account(), &global.name_any(), false, true);
    write_status(ctx, global, status).await
}

/// Writes the status if it says something new, over the version that was read.
async fn write_status(ctx: &Context, global: &GlobalTable, mut status: GlobalTableResourceStatus) -> Result<()> {
    status.table_name = Some(global.table_name());
    status.observed_generation = global.metadata.generation;
    let mut global = global.clone();
    if global.status.as_ref().is_some_and(|before| !numbers::is_news(before, &status)) {
        return Ok(());
    }
    global.status = Some(status);
    let (namespace, name) = (global.account(), global.name_any());
    let replaced = ctx.api::<GlobalTable>(&namespace).replace_status(&name, &PostParams::default(), &global).await;
    replaced.while_doing(|| format!("write the status of the GlobalTable {namespace}/{name}")).map(drop)
}
