//! The controller of Tables: placed once, made by one node, and from then on as the nodes report.

pub mod adoption;
pub mod archives;
pub mod auto_scaling;
pub mod bootstrap;
pub mod deletion;
pub mod import;
pub mod indexes;
pub mod observation;
pub mod placement;
pub mod placing;
pub mod recovery;
pub mod regions;
pub mod restore;
pub mod status;
pub mod streams;
pub mod table_class;
pub mod throughput;
pub mod time_to_live;
pub mod validate;
pub mod wanted;
pub mod warm;

#[cfg(test)]
pub(crate) mod fixture;

use super::{
    Refusal, guarded, retry, set_progress,
    storage_group::members::{self, ExpectedNode},
};
use crate::{
    build::default_group,
    context::{Context, GuardedTable},
    error::{Error, Result, While, status_code},
    node_client::Target,
};
use cairn_crds::{DEFAULT_STORAGE_GROUP, StorageGroup, Table, TableResourceStatus, condition::Progress};
use cairn_model::{
    arn::TableArn,
    ids::TableId,
    node::{NodeReport, Order, OrderOutcome, ReplicaReport},
    table::{TableDefinition, TableStatus},
};
use indexes::{Indexes, ending, identity};
use jiff::SignedDuration;
use kube::{
    ResourceExt,
    api::PostParams,
    runtime::{controller::Action, events::EventType},
};
use observation::{Answers, Observation};
use placing::{Placed, Wait};
use regions::Regions;
use status::Standing;
use std::{sync::Arc, time::Duration};
use validate::ValidatedTable;

/// How soon a table that is not ACTIVE yet is looked at again, and how old a report may be for it.
const MAKING: Duration = Duration::from_millis(150);
const MAKING_AGE_MAX: SignedDuration = SignedDuration::from_millis(50);
/// The same for one that is there while an index of it comes, changes or goes.
const FILLING: Duration = Duration::from_millis(500);
const FILLING_AGE_MAX: SignedDuration = SignedDuration::from_millis(400);
/// The same for one that is ACTIVE with a zone missing, and for one with nothing to do.
const MENDING: Duration = Duration::from_secs(2);
const MENDING_AGE_MAX: SignedDuration = SignedDuration::from_secs(1);
const REFRESH: Duration = Duration::from_secs(15);
const REFRESH_AGE_MAX: SignedDuration = SignedDuration::from_secs(10);
/// For a table that can't be made where it was to be.
const REMEDY: &str = "delete the Table and apply it again";
const GROUP_WAIT: Duration = Duration::from_secs(1);
const REFUSED_WAIT: Duration = Duration::from_secs(10);

pub async fn reconcile(object: Arc<GuardedTable>, ctx: Arc<Context>) -> Result<Action> {
    guarded(&ctx, &object, |table| reconcile_table(table, &ctx)).await
}

#[expect(clippy::needless_pass_by_value, reason = "the controller calls it so")]
pub fn on_error(object: Arc<GuardedTable>, error: &Error, _: Arc<Context>) -> Action {
    retry(error, "Table", &format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any()))
}

async fn reconcile_table(table: Table, ctx: &Context) -> Result<Action> {
    if table.metadata.deletion_timestamp.is_some() {
        return deletion::finalize(ctx, &table).await;
    }
    let namespace = table.namespace().unwrap_or_default();
    let validated = validate::validate(&table, &ctx.tables_in(&namespace));
    let is_placed = table.status.as_ref().is_some_and(|status| status.placements.is_some());
    let refusal = match validated {
        Ok(_) => None,
        // A table that serves goes on serving, whatever was written into its spec since.
        Err(refusal) if is_placed => Some(refusal),
        Err(refusal) => return stall(ctx, &table, &refusal).await,
    };
    let table = deletion::guard(ctx, table).await?;
    let Some(group) = group_of(ctx, &table).await? else {
        let message = format!("the StorageGroup {} is not there yet", table.spec.storage_group);
        return wait(ctx, &table, Wait { reason: "StorageGroupMissing", message, again: GROUP_WAIT }).await;
    };
    let nodes = members::recorded(&group, &ctx.config);
    if nodes.is_empty() {
        let message = format!("the StorageGroup {} has no zones yet", group.name_any());
        return wait(ctx, &table, Wait::for_the_group(message)).await;
    }
    let validated = ValidatedTable { account: table.account(), table_name: table.table_name(), table: table.clone() };
    let age_max = if is_active(&table) { REFRESH_AGE_MAX } else { MAKING_AGE_MAX };
    let answers = ask(ctx, &nodes, age_max).await;
    let table = if is_placed {
        table
    } else {
        match placing::place(ctx, &validated, &group, &nodes, &answers).await? {
            Placed::Written(table) => *table,
            Placed::Waits(for_what) => return wait(ctx, &table, for_what).await,
            Placed::Refused(refusal) => return stall(ctx, &table, &refusal).await,
        }
    };
    let validated = ValidatedTable { table, ..validated };
    settle(ctx, validated, refusal, &group, &nodes, answers).await
}

/// Everything that follows once a table is placed: what is ordered of the nodes, and what is said of what they answer.
async fn settle(
    ctx: &Context,
    mut validated: ValidatedTable,
    refusal: Option<Refusal>,
    group: &StorageGroup,
    nodes: &[ExpectedNode],
    mut reports: Vec<Option<Arc<NodeReport>>>,
) -> Result<Action> {
    let mut status = validated.table.status.clone().unwrap_or_default();
    let table_id = status.table_id.as_ref().and_then(|id| id.parse().ok());
    let table_id: TableId = table_id.ok_or(Error::Incomplete { field: "status.tableId" })?;
    let region = &ctx.config.region;
    let regions = Regions::of(ctx, &validated.table).await;
    if indexes::status::are_changing(&status) {
        // What is written down then comes back at once: it must find nothing new, or it would go round and round.
        reports = ask(ctx, nodes, if is_active(&validated.table) { FILLING_AGE_MAX } else { MAKING_AGE_MAX }).await;
    }
    // What was heard of an ACTIVE table may be old; before anything is ordered of it, or it is called ill, it is asked again.
    if is_active(&validated.table)
        && !is_well(ctx, &validated, &regions, refusal.as_ref(), table_id, Answers { nodes, reports: &reports })?
    {
        reports = ask(ctx, nodes, MENDING_AGE_MAX).await;
    }
    let answers = Answers { nodes, reports: &reports };
    let observation = Observation::of(table_id, answers);
    let held = observation.definition();
    if let Some(held) = held {
        identity::recall(&mut status, held, answers);
        validated.table = write_status(ctx, &validated.table, status.clone()).await?;
    }
    let refusal = match (refusal, held) {
        (None, Some(held)) => {
            let indexes = Indexes::of(&status, answers)?;
            let wanted = wanted::definition(&validated, &regions, region, &indexes, Some(held))?.ok();
            let refused = wanted.and_then(|wanted| wanted::unchangeable(&wanted, held));
            refused
                .map_or_else(|| indexes::unchangeable(&validated.table.spec, &status), |refusal| Ok(Some(refusal)))?
        }
        (refusal, _) => refusal,
    };
    let mut scaling = None;
    let mut unplaced = None;
    if refusal.is_none() {
        let mut stamped = status;
        let mut given_up = Vec::new();
        if let Some(held) = held {
            given_up = identity::give_up(&mut stamped, answers)?;
            unplaced = identity::stamp(&mut stamped, &validated.table.spec, group, answers)?.err();
            throughput::note(&mut stamped, held, ctx.now());
            table_class::note(&mut stamped, held, ctx.now());
        }
        let (spec, indexes) = (&validated.table.spec, Indexes::of(&stamped, answers)?);
        scaling = Some(auto_scaling::stamp(&mut stamped, spec, &observation, &indexes, answers, ctx.now())?);
        let is_asked = validated.table.spec.recovery_period_days()?.is_some();
        let held_on = held.and_then(|held| held.continuous_backups);
        recovery::stamp(&mut stamped, is_asked, group.spec.archive.is_some(), held_on, ctx.now());
        let expires_by = validated.table.spec.time_to_live_attribute()?;
        time_to_live::stamp(&mut stamped, expires_by, held.and_then(|held| held.time_to_live.as_ref()), ctx.now());
        let streams_held = held.and_then(|held| held.stream.as_ref());
        streams::stamp(&mut stamped, &validated.table, streams_held, None, ctx.now())?;
        let is_held = |leader: &ReplicaReport| leader.definition.replicas.is_some();
        let holds = !observation.is_led() || observation.leaders().any(|(_, leader)| is_held(leader));
        let is_to_hold = regions.membership(region, held.and_then(|held| held.replicas.as_ref()));
        regions.stamp(&mut stamped, holds, is_to_hold.as_ref().filter(|_| observation.is_led()), ctx.now());
        let told = validated.table.status.as_ref().map(|before| auto_scaling::told(before, &stamped));
        validated.table = write_status(ctx, &validated.table, stamped).await?;
        for told in told.into_iter().flatten() {
            ctx.event(&validated.table, EventType::Normal, "AutoScaled", told).await;
        }
        for index in given_up {
            let note = format!("storage nodes chosen for the index {index} are gone: it is made anew on others");
            ctx.event(&validated.table, EventType::Warning, "IndexMadeAnew", note).await;
        }
    }
    let table = &validated.table;
    let before = table.status.clone().unwrap_or_default();
    let indexes = Indexes::of(&before, answers)?;
    let mut wanted = wanted::definition(&validated, &regions, region, &indexes, held)?;
    let mut waits = None;
    if let (Ok(wanted), Some(held)) = (&mut wanted, held) {
        waits = wanted::hold_back(&before, held, wanted, ctx.now());
    }
    let standing = match refusal {
        Some(_) => Standing::Current,
        None => Standing::of(wanted.as_ref().ok(), held),
    };
    let everything = indexes.with_table(&observation);
    let mut progress = unplaced.map(|message| Progress::reconciling("IndexWaits", message));
    let mut loading = None;
    let mut importing = None;
    let mut orders = everything.repairs(answers);
    let wanted_indexes = wanted.as_ref().ok().filter(|_| refusal.is_none()).cloned();
    if refusal.is_none() {
        let wanted = wanted?;
        // A table is made alone; its regions come with the first change of its definition.
        let first = TableDefinition { replicas: None, ..wanted.clone() };
        let due = indexes.orders(&before, &wanted, held, answers)?;
        orders.extend(due.orders);
        progress = due.waits.map(|message| Progress::reconciling("NodesSilent", message)).or(progress);
        let (placements, was_led) = (before.placements.as_deref().unwrap_or_default(), before.schema_version.is_some());
        match bootstrap::missing(placements, was_led, table_id, REMEDY, &observation, answers)? {
            Ok(missing) => {
                match &before.restore {
                    Some(restore) => loading = restore::load(ctx, restore, group, missing, &first).await?,
                    None if table.spec.import_from.is_some() => {
                        let made = match observation.is_led() {
                            true if indexes::status::are_made(&before) => import::Made::Whole,
                            true => import::Made::Led,
                            false => import::Made::No,
                        };
                        importing = import::proceed(ctx, table, group, missing, &first, made, nodes).await?;
                    }
                    None => orders.extend(missing.into_iter().map(|(target, descriptor)| {
                        (target, Order::Bootstrap { descriptor, definition: first.clone() })
                    })),
                }
            }
            Err(message) if bootstrap::are_in_vain(placements, was_led, table_id, &observation, answers)? => {
                progress = Some(Progress::stalled("NodeLost", message));
            }
            Err(message) => progress = Some(Progress::reconciling("NodesSilent", message)),
        }
        let told = held.map_or_else(|| wanted.clone(), |held| indexes.made(&wanted, held));
        orders.extend(wanted::updates(&told, &regions, region, &observation));
    }
    let failures = give(ctx, &orders).await;

    let mut status = before.clone();
    status::name(&mut status, &validated, &ctx.config.region);
    let (account, table_name) = (&validated.account, &validated.table_name);
    streams::observe(&mut status, TableArn { region, account, table_name }, ctx.now())?;
    let generation = table.metadata.generation;
    let arn = TableArn { region, account, table_name };
    indexes::status::observe(&mut status, &indexes, &observation, wanted_indexes.as_ref(), arn, ctx.now())?;
    let standing = match indexes::status::are_allocated(&status, &indexes, &observation)? {
        true => standing,
        false => Standing::Changing,
    };
    let zones_ready = everything.zones_ready(answers);
    let state = status::State {
        zones_ready,
        standing,
        are_indexes_made: indexes::status::are_made(&status),
        are_nodes_heard: answers.are_all_heard(),
    };
    let observed = status::observe(&mut status, &observation, state, generation, ctx.now());
    let drops = ending::take_gone(&mut status, &observation, group)?;
    if !drops.is_empty() {
        deletion::leave_to(ctx, account, &group.name_any(), drops).await?;
    }
    if let Some(loading) = &loading {
        progress = Some(loading.progress.clone());
        status::note_loading(&mut status, loading);
    }
    if let Some(importing) = &importing {
        progress.clone_from(&importing.progress);
        status.import = Some(importing.status.clone());
    }
    if let Some(scaling) = &scaling {
        auto_scaling::note(&mut status, scaling, generation, ctx.now());
    }
    warm::note(&mut status, &table.spec, generation, ctx.now());
    regions.note(&mut status, held.and_then(|held| held.replicas.as_ref()), generation, ctx.now());
    let mut progress = progress.unwrap_or(observed);
    if matches!(progress.reason(), "Ready" | "Updating" | "IndexesCreating")
        && let Some(name) = indexes::status::leaderless(&status, &indexes)
    {
        progress = Progress::reconciling("LeaderMissing", indexes::status::told_leaderless(name));
    }
    if let (Some(failure), Progress::Reconciling { .. }) = (failures.first(), &progress) {
        progress = Progress::reconciling(progress.reason(), failure.clone());
    }
    let only_waits = progress == Progress::Ready && waits.is_some();
    if let Some(waits) = waits.filter(|_| only_waits) {
        progress = waits;
    }
    if let Some(refusal) = refusal {
        progress = refusal.progress();
    }
    status.observed_generation = generation;
    let leader = observation.leaders().next().map(|(target, _)| target);
    let is_starting = recovery::observe(ctx, table, group, leader, table_id, &mut status).await;
    let are_changing = indexes::status::are_changing(&status);
    set_progress(ctx, table, &mut status.conditions, &progress, generation).await;
    let table = write_status(ctx, table, status).await?;
    let is_mending = !orders.is_empty()
        || zones_ready.0 < zones_ready.1
        || (progress != Progress::Ready && !only_waits)
        || is_starting
        || regions.is_leaving();
    let again = loading.map(|loading| loading.again).or(importing.map(|importing| importing.again));
    Ok(Action::requeue(match (again, is_active(&table), is_mending) {
        (Some(again), ..) => again,
        (None, is_active, _) if are_changing && (is_active || observation.is_led()) => FILLING,
        (None, false, _) => MAKING,
        (None, true, _) if standing == Standing::ChangingBeside => MAKING,
        (None, true, true) => MENDING,
        (None, true, false) => REFRESH,
    }))
}

/// Whether nothing is to be done or said but counts.
fn is_well(
    ctx: &Context,
    validated: &ValidatedTable,
    regions: &Regions,
    refusal: Option<&Refusal>,
    table_id: TableId,
    answers: Answers<'_>,
) -> Result<bool> {
    let observation = Observation::of(table_id, answers);
    let status = validated.table.status.clone().unwrap_or_default();
    let indexes = Indexes::of(&status, answers)?;
    let everything = indexes.with_table(&observation);
    let (ready, zones) = everything.zones_ready(answers);
    let is_current = match observation.definition() {
        Some(held) => {
            let wanted = wanted::definition(validated, regions, &ctx.config.region, &indexes, Some(held))?;
            wanted.is_ok_and(|mut wanted| {
                wanted::hold_back(&status, held, &mut wanted, ctx.now());
                wanted == *held
            })
        }
        None => false,
    };
    Ok(everything.is_led() && ready == zones && (is_current || refusal.is_some()))
}

/// Gives the orders; answers with what went wrong. Every order is given again until the nodes report that it is done.
async fn give(ctx: &Context, orders: &[(Target, Order)]) -> Vec<String> {
    let mut failures = Vec::new();
    for (target, order) in orders {
        match ctx.reports.order(target, order).await {
            Ok(OrderOutcome::Done) => tracing::info!(node = target.address, order = name_of(order), "an order is done"),
            Ok(OrderOutcome::InProgress { message }) => {
                tracing::debug!(node = target.address, order = name_of(order), message, "an order is under way");
            }
            Ok(outcome) => {
                tracing::warn!(node = target.address, order = name_of(order), ?outcome, "an order is not done");
                failures.push(format!("{} is not done by {}: {outcome:?}", name_of(order), target.address));
            }
            Err(error) => {
                let error = crate::error::chain(&error);
                tracing::warn!(node = target.address, order = name_of(order), error, "failed to give an order");
                failures.push(format!("{} did not reach {}: {error}", name_of(order), target.address));
            }
        }
    }
    failures
}

fn name_of(order: &Order) -> &'static str {
    match order {
        Order::Bootstrap { .. } => "Bootstrap",
        Order::UpdateDefinition { .. } => "UpdateDefinition",
        Order::ReplaceReplica { .. } => "ReplaceReplica",
        Order::DropPartition { .. } => "DropPartition",
    }
}

/// The table's group; the group `default` is made for a namespace's first table.
async fn group_of(ctx: &Context, table: &Table) -> Result<Option<StorageGroup>> {
    let namespace = table.namespace().unwrap_or_default();
    let name = &table.spec.storage_group;
    let known = ctx.group(&namespace, name).filter(|group| group.metadata.deletion_timestamp.is_none());
    if known.is_some() || name != DEFAULT_STORAGE_GROUP {
        return Ok(known);
    }
    let group = default_group::build(&namespace, &ctx.group_defaults);
    match ctx.api::<StorageGroup>(&namespace).create(&PostParams::default(), &group).await {
        Ok(group) => {
            tracing::info!(namespace, "the namespace gets its storage group");
            Ok(Some(group))
        }
        Err(error) if status_code(&error) == Some(409) => Ok(None),
        Err(error) => Err(error).while_doing(|| format!("make the group {namespace}/{name}")),
    }
}

async fn ask(ctx: &Context, nodes: &[ExpectedNode], age_max: SignedDuration) -> Vec<Option<Arc<NodeReport>>> {
    let targets: Vec<_> = nodes.iter().map(|node| node.target.clone()).collect();
    ctx.reports.of(&targets, age_max).await
}

fn is_active(table: &Table) -> bool {
    table.status.as_ref().is_some_and(|status| status.table_status == Some(TableStatus::Active))
}

async fn wait(ctx: &Context, table: &Table, wait: Wait) -> Result<Action> {
    say(ctx, table, &Progress::reconciling(wait.reason, wait.message)).await?;
    Ok(Action::requeue(wait.again))
}

async fn stall(ctx: &Context, table: &Table, refusal: &Refusal) -> Result<Action> {
    say(ctx, table, &refusal.progress()).await?;
    Ok(Action::requeue(REFUSED_WAIT))
}

async fn say(ctx: &Context, table: &Table, progress: &Progress) -> Result<()> {
    let mut status = table.status.clone().unwrap_or_default();
    if !matches!(progress, Progress::Stalled { .. }) {
        status.table_status.get_or_insert(TableStatus::Creating);
    }
    status.observed_generation = table.metadata.generation;
    set_progress(ctx, table, &mut status.conditions, progress, table.metadata.generation).await;
    write_status(ctx, table, status).await.map(drop)
}

/// Writes the status if it is another, over the version that was read.
async fn write_status(ctx: &Context, table: &Table, status: TableResourceStatus) -> Result<Table> {
    let mut table = table.clone();
    if table.status.as_ref() == Some(&status) {
        return Ok(table);
    }
    table.status = Some(status);
    let (namespace, name) = (table.namespace().unwrap_or_default(), table.name_any());
    let replaced = ctx.api::<Table>(&namespace).replace_status(&name, &PostParams::default(), &table).await;
    replaced.while_doing(|| format!("write the status of the table {namespace}/{name}"))
}
