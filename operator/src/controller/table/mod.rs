//! The controller of Tables: placed once, made by one node, and from then on as the nodes report.

pub mod adoption;
pub mod bootstrap;
pub mod deletion;
pub mod observation;
pub mod placement;
pub mod status;
pub mod validate;

#[cfg(test)]
pub(crate) mod fixture;

use super::{
    Refusal, guarded, retry, set_progress,
    storage_group::{
        expiry,
        members::{self, ExpectedNode},
    },
};
use crate::{
    build::default_group,
    context::{Context, GuardedTable},
    error::{Error, Result, While, status_code},
    node_client::Target,
};
use cairn_crds::{
    DEFAULT_STORAGE_GROUP, StorageGroup, Table, TableResourceStatus, condition::Progress, table::definition::Birth,
};
use cairn_model::{
    ids::{PartitionId, TableId},
    node::{NodeReport, Order, OrderOutcome},
    table::{TableDefinition, TableStatus},
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{
    ResourceExt,
    api::{ListParams, PostParams},
    runtime::controller::Action,
};
use observation::{Answers, Observation};
use std::{sync::Arc, time::Duration};
use uuid::Uuid;
use validate::ValidatedTable;

/// How soon a table that is not ACTIVE yet is looked at again, and how old a report may be for it.
const MAKING: Duration = Duration::from_millis(150);
const MAKING_AGE_MAX: SignedDuration = SignedDuration::from_millis(50);
/// The same for one that is ACTIVE with a zone missing, and for one with nothing to do.
const MENDING: Duration = Duration::from_secs(2);
const MENDING_AGE_MAX: SignedDuration = SignedDuration::from_secs(1);
const REFRESH: Duration = Duration::from_secs(15);
const REFRESH_AGE_MAX: SignedDuration = SignedDuration::from_secs(10);
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
        return wait(ctx, &table, "StorageGroupMissing", message).await;
    };
    let nodes = members::recorded(&group, &ctx.config);
    if nodes.is_empty() {
        let message = format!("the StorageGroup {} has no zones yet", group.name_any());
        return wait(ctx, &table, "StorageGroupStarting", message).await;
    }
    let validated = ValidatedTable { account: table.account(), table_name: table.table_name(), table: table.clone() };
    let age_max = if is_active(&table) { REFRESH_AGE_MAX } else { MAKING_AGE_MAX };
    let answers = ask(ctx, &nodes, age_max).await;
    let table = if is_placed {
        table
    } else {
        match place(ctx, &validated, &group, &nodes, &answers).await? {
            Placed::Written(table) => *table,
            Placed::Waits(message) => return wait(ctx, &table, "StorageGroupStarting", message).await,
            Placed::Refused(refusal) => return stall(ctx, &table, &refusal).await,
        }
    };
    let validated = ValidatedTable { table, ..validated };
    settle(ctx, validated, refusal, &nodes, answers).await
}

/// Everything that follows once a table is placed: what is ordered of the nodes, and what is said of what they answer.
async fn settle(
    ctx: &Context,
    validated: ValidatedTable,
    refusal: Option<Refusal>,
    nodes: &[ExpectedNode],
    mut reports: Vec<Option<Arc<NodeReport>>>,
) -> Result<Action> {
    let table = &validated.table;
    let before = table.status.clone().unwrap_or_default();
    let table_id = before.table_id.as_ref().and_then(|id| id.parse().ok());
    let table_id: TableId = table_id.ok_or(Error::Incomplete { field: "status.tableId" })?;
    // What was heard of an ACTIVE table may be old; before anything is ordered of it, or it is called ill, it is asked again.
    if is_active(table) && !is_well(&validated, refusal.as_ref(), table_id, Answers { nodes, reports: &reports }) {
        reports = ask(ctx, nodes, MENDING_AGE_MAX).await;
    }
    let answers = Answers { nodes, reports: &reports };
    let observation = Observation::of(table_id, answers);
    let held = observation.definition();
    let birth = held.map_or_else(|| first_birth(&before, table_id), adoption::birth);
    let mut progress = None;
    let mut orders = observation.repairs(answers);
    if refusal.is_none() {
        let wanted = validated.definition(birth)?;
        match bootstrap::orders(
            table,
            table_id,
            &wanted,
            before.placements.as_deref().unwrap_or_default(),
            &observation,
            answers,
        )? {
            Ok(bootstraps) => orders.extend(bootstraps),
            Err(message) => progress = Some(Progress::reconciling("NodesSilent", message)),
        }
        orders.extend(updates(&wanted, &observation));
    }
    let is_current = refusal.is_some() || held.is_some_and(|held| validated.definition(birth).as_ref() == Ok(held));
    let failures = give(ctx, &orders).await;

    let mut status = before.clone();
    status::name(&mut status, &validated, &ctx.config.region);
    let generation = table.metadata.generation;
    let observed = status::observe(&mut status, &observation, answers, is_current, generation, ctx.now());
    let mut progress = progress.unwrap_or(observed);
    if let (Some(failure), true) = (failures.first(), progress != Progress::Ready) {
        progress = Progress::reconciling(progress.reason(), failure.clone());
    }
    if let Some(refusal) = refusal {
        progress = refusal.progress();
    }
    status.observed_generation = generation;
    let zones_ready = observation.zones_ready(answers);
    set_progress(ctx, table, &mut status.conditions, &progress, generation).await;
    let table = write_status(ctx, table, status).await?;
    let is_mending = !orders.is_empty() || zones_ready.0 < zones_ready.1 || progress != Progress::Ready;
    Ok(Action::requeue(match (is_active(&table), is_mending) {
        (false, _) => MAKING,
        (true, true) => MENDING,
        (true, false) => REFRESH,
    }))
}

/// Whether nothing is to be done or said but counts.
fn is_well(validated: &ValidatedTable, refusal: Option<&Refusal>, table_id: TableId, answers: Answers<'_>) -> bool {
    let observation = Observation::of(table_id, answers);
    let (ready, zones) = observation.zones_ready(answers);
    let definition = observation.definition();
    let is_current = definition.is_some_and(|held| validated.definition(adoption::birth(held)).as_ref() == Ok(held));
    observation.is_led() && ready == zones && (is_current || refusal.is_some())
}

/// The orders that bring the leaders' definitions to what is wanted.
fn updates(wanted: &TableDefinition, observation: &Observation<'_>) -> Vec<(Target, Order)> {
    observation
        .leaders()
        .filter_map(|(target, leader)| {
            let mut definition = wanted.clone();
            definition.schema_version = leader.definition.schema_version;
            if definition == leader.definition || definition.key_schema != leader.definition.key_schema {
                return None;
            }
            definition.schema_version += 1;
            let partition_id = leader.descriptor.partition_id;
            Some((target.clone(), Order::UpdateDefinition { partition_id, definition }))
        })
        .collect()
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

/// What became of placing a table.
enum Placed {
    Written(Box<Table>),
    Waits(String),
    Refused(Refusal),
}

/// Writes down, once and over the version that was read, where the table's partitions lie; before any node is ordered anything.
async fn place(
    ctx: &Context,
    validated: &ValidatedTable,
    group: &StorageGroup,
    nodes: &[ExpectedNode],
    answers: &[Option<Arc<NodeReport>>],
) -> Result<Placed> {
    let known = group.status.clone().unwrap_or_default();
    if !placement::a_zone_has_answered(&known.zones, nodes, answers) {
        return Ok(Placed::Waits(format!("waiting for the storage nodes of {}", group.name_any())));
    }
    let _alone = ctx.placing.lock().await;
    let in_namespace = ctx.api::<Table>(&validated.account).list(&ListParams::default()).await;
    let in_namespace = in_namespace.while_doing(|| format!("list the tables of {}", validated.account))?;
    if let Err(refusal) = validate::validate(&validated.table, &in_namespace.items) {
        return Ok(Placed::Refused(refusal));
    }
    let group = expiry::break_fence(ctx, &validated.account, &group.name_any()).await?;
    if group.metadata.deletion_timestamp.is_some() {
        return Ok(Placed::Waits("the StorageGroup is being deleted".to_owned()));
    }
    let drops = group.status.map(|status| status.pending_drops).unwrap_or_default();
    let held = adoption::held(&validated.account, &validated.table_name, answers, &drops);
    let adopted = match adoption::decide(validated, held) {
        Ok(adopted) => adopted,
        Err(refusal) => return Ok(Placed::Refused(refusal)),
    };
    let mut status = validated.table.status.clone().unwrap_or_default();
    status::name(&mut status, validated, &ctx.config.region);
    status.table_status = Some(TableStatus::Creating);
    if let Some(adopted) = adopted {
        let birth = adoption::birth(&adopted.definition);
        tracing::info!(table = validated.table_name, table_id = %birth.table_id, "a table's data is taken over");
        status.table_id = Some(birth.table_id.to_string());
        status.schema_version = i64::try_from(birth.schema_version).ok();
        status.creation_date_time = created(birth.creation_time_ms);
        status.placements = Some(adoption::placements(&adopted));
    } else {
        let (table_id, partition_id) = (TableId(Uuid::new_v4().into_bytes()), PartitionId(Uuid::new_v4().into_bytes()));
        match placement::choose(&known.zones, nodes, answers, &known.nodes, table_id, partition_id) {
            Ok(placement) => status.placements = Some(vec![placement]),
            Err(message) => return Ok(Placed::Waits(message)),
        }
        status.table_id = Some(table_id.to_string());
        status.creation_date_time = validated.table.creation_timestamp();
    }
    let table = write_status(ctx, &validated.table, status).await?;
    Ok(Placed::Written(Box::new(table)))
}

fn created(millis: u64) -> Option<Time> {
    Timestamp::from_millisecond(i64::try_from(millis).ok()?).ok().map(Time)
}

/// The birth of a table that no node has made yet.
fn first_birth(status: &TableResourceStatus, table_id: TableId) -> Birth {
    let created = status.creation_date_time.as_ref().map_or(0, |time| time.0.as_millisecond());
    Birth { table_id, schema_version: 1, creation_time_ms: u64::try_from(created).unwrap_or_default() }
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

async fn wait(ctx: &Context, table: &Table, reason: &str, message: String) -> Result<Action> {
    say(ctx, table, &Progress::reconciling(reason, message)).await?;
    Ok(Action::requeue(if reason == "StorageGroupMissing" { GROUP_WAIT } else { MAKING }))
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
