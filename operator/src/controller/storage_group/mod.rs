//! The controller of StorageGroups: volumes, zones, certificates, the objects of each zone, rollouts, and the data of deleted tables.

pub mod archive;
pub mod drops;
pub mod expiry;
pub mod last_backups;
pub mod lost;
pub mod members;
pub mod peers;
pub mod rollout;
pub mod validate;
pub mod view;
pub mod volumes;
pub mod zones;

use super::{Refusal, certificates, guarded, retry, set_progress};
use crate::{
    build::{network_policy, pod_disruption_budget, service, service_account, stateful_set},
    context::{Context, GuardedGroup},
    error::{Error, Result, While, status_code},
};
use cairn_crds::{
    StorageGroup, StorageGroupStatus,
    condition::{self, Progress},
};
use expiry::Expiry;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::core::v1::Pod,
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
};
use kube::{
    ResourceExt,
    api::{DeleteParams, PostParams},
    runtime::{controller::Action, events::EventType},
};
use rollout::Step;
use std::{sync::Arc, time::Duration};
use validate::ValidatedGroup;
use view::View;

/// Whether a node refuses writes because its volume is nearly full.
const DISK_FULL: &str = "DiskFull";
/// How often a group that is as it should be is looked at, and one that is not.
const REFRESH: Duration = Duration::from_secs(10);
const WAIT: Duration = Duration::from_millis(500);
/// One that has been waiting for this long is looked at less often.
const LATE: SignedDuration = SignedDuration::from_mins(2);
const LATE_WAIT: Duration = Duration::from_secs(5);
/// The same for one that waits for what archives do for tables that are deleted.
const ARCHIVE_WAIT: Duration = Duration::from_secs(2);
const ZONES_WAIT: Duration = Duration::from_secs(30);
/// A report this old will do for what a group's status says.
const REPORT_AGE_MAX: SignedDuration = SignedDuration::from_millis(400);
/// A group that has been rolling for longer no longer keeps others from it.
const ROLL_TURN: SignedDuration = SignedDuration::from_mins(10);

pub async fn reconcile(object: Arc<GuardedGroup>, ctx: Arc<Context>) -> Result<Action> {
    guarded(&ctx, &object, |group| reconcile_group(group, &ctx)).await
}

#[expect(clippy::needless_pass_by_value, reason = "the controller calls it so")]
pub fn on_error(object: Arc<GuardedGroup>, error: &Error, _: Arc<Context>) -> Action {
    retry(error, "StorageGroup", &format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any()))
}

async fn reconcile_group(group: StorageGroup, ctx: &Context) -> Result<Action> {
    if group.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let view = view::dereference(ctx, &group).await?;
    let volumes_refused = volumes::grow(ctx, &group, &view.claims, &view.sets).await?;
    let found = zones::of_nodes(&view.nodes, &ctx.config.zone_label);
    let mut validated = match validate::validate(&group, &found)? {
        Ok(validated) => validated,
        Err(refusal) => {
            refuse(ctx, &group, &refusal).await?;
            return Ok(Action::requeue(ZONES_WAIT));
        }
    };
    if volumes_refused.is_some()
        && let Some(size) = view.sets.iter().find_map(volumes::set_size)
    {
        validated.spec.volume.size = size.to_owned();
    }
    let group = record_zones(ctx, group, &validated.zones).await?;
    certificates::ensure_group(ctx, &validated).await?;
    apply(ctx, &validated, &view).await?;
    settle(ctx, group, validated, &view, volumes_refused).await
}

/// Everything that follows once the group's objects are as they should be.
async fn settle(
    ctx: &Context,
    group: StorageGroup,
    mut validated: ValidatedGroup,
    view: &View,
    volumes_refused: Option<Refusal>,
) -> Result<Action> {
    let before = group.status.clone().unwrap_or_default();
    let expected = members::expected(&group, &validated.zones, &ctx.config);
    for node in &expected {
        let pod = view.pods.iter().find(|pod| pod.name_any() == node.pod_name);
        ctx.reports.locate(&node.target, pod.and_then(members::ip));
    }
    let targets: Vec<_> = expected.iter().map(|node| node.target.clone()).collect();
    let asked_at = ctx.now();
    let (answers, archives) =
        tokio::join!(ctx.reports.of(&targets, REPORT_AGE_MAX), archive::ask(ctx, &group, &expected, &view.pods),);
    let tables = expiry::tables_in(ctx, &validated.namespace).await?;
    let mut status = before.clone();
    status.nodes = members::statuses(&expected, &answers, &view.pods, &before.nodes);
    let ready = status.nodes.iter().filter(|node| node.ready).count();
    status.nodes_ready = Some(format!("{ready}/{}", status.nodes.len()));
    let (taken_back, due) = drops::part(before.pending_drops.clone(), &tables);
    for drop in taken_back {
        let note = format!("the data of the table {} is kept: a Table has that id again", drop.table_id);
        ctx.event(&group, EventType::Warning, "DropTakenBack", note).await;
    }
    status.pending_drops = drops::order(&due, &expected, &answers, &ctx.reports, ctx.now()).await;
    last_backups::make(ctx, &group, &mut status, &expected, &answers).await;
    let is_named = expiry::is_named(&group, &tables);
    expiry::note(&mut status, is_named, ctx.now());

    let lost = lost::replace(ctx, &validated.namespace, &expected, &answers, &status.nodes, view).await?;
    let mut progress = match lost {
        Some(lost) => {
            let message = format!("{} is replaced with its volume: the node {} is gone", lost.pod_name, lost.gone_node);
            ctx.event(&group, EventType::Warning, "VolumeLost", message.as_str()).await;
            Progress::reconciling("VolumeLost", message)
        }
        None => roll(ctx, &validated, rollout::next(&expected, &status.nodes, &view.sets, &view.pods)).await?,
    };
    if progress == Progress::Ready
        && let Some(message) = members::silence(&expected, &answers)
    {
        progress = Progress::reconciling("NodesSilent", message);
    }
    if let Some(refusal) = volumes_refused {
        progress = refusal.progress();
    }
    status.observed_generation = group.metadata.generation;
    set_progress(ctx, &group, &mut status.conditions, &progress, group.metadata.generation).await;
    let (is_full, reason, message) = members::fullness(&expected, &answers);
    let now = Time(ctx.now());
    condition::set(&mut status.conditions, DISK_FULL, is_full, reason, &message, group.metadata.generation, &now);
    let were_archives_asked = archives.is_some();
    archive::observe(ctx, &group, &mut status.conditions, archives, &expected, &answers).await;
    let waits_left = status.pending_drops.iter().any(|drop| drop.last_backup.is_some());
    let drops_left = status.pending_drops.iter().any(|d| d.last_backup.is_none() && d.loading_until.is_none());
    let group = write_status(ctx, group, status).await?;
    if were_archives_asked {
        ctx.group_archives.written(&group, asked_at);
    }

    let retention = SignedDuration::from_secs(i64::from(ctx.config.empty_group_retention_seconds));
    if !is_named && expiry::judge(&group, &answers, retention, ctx.now()) == Expiry::Over {
        validated.removes_claims = true;
        apply_sets(ctx, &validated, view).await?;
        if !expiry::is_named(&group, &expiry::tables_in(ctx, &validated.namespace).await?) {
            expiry::remove(ctx, &group).await?;
            return Ok(Action::await_change());
        }
    }
    let is_settled = progress == Progress::Ready && !drops_left;
    let conditions = group.status.map(|status| status.conditions).unwrap_or_default();
    Ok(Action::requeue(match (is_settled, waits_left) {
        (false, _) if is_late(&conditions, ctx.now()) => LATE_WAIT,
        (false, _) => WAIT,
        (true, true) => ARCHIVE_WAIT,
        (true, false) => REFRESH,
    }))
}

/// Whether the group has not been as it should be for so long that it may take its time: its pods are watched meanwhile.
fn is_late(conditions: &[Condition], now: Timestamp) -> bool {
    let ready = conditions.iter().find(|condition| condition.type_ == condition::READY);
    ready.is_some_and(|ready| ready.status == "False" && now.duration_since(ready.last_transition_time.0) > LATE)
}

async fn apply(ctx: &Context, group: &ValidatedGroup, view: &View) -> Result<()> {
    ctx.apply(&service_account::build(group, &ctx.config)).await?;
    ctx.apply(&service::build(group, &ctx.config)).await?;
    ctx.apply(&pod_disruption_budget::build(group, &ctx.config)).await?;
    let peer_ports = peers::ports(ctx, group).await;
    ctx.apply(&network_policy::build(group, &peer_ports, &ctx.config)).await?;
    apply_sets(ctx, group, view).await
}

/// A set on its way out, to be re-created with larger volumes, is left alone until it is gone.
async fn apply_sets(ctx: &Context, group: &ValidatedGroup, view: &View) -> Result<()> {
    for zone in &group.zones {
        let set = stateful_set::build(group, zone, &ctx.config);
        let present = view.sets.iter().find(|present| present.metadata.name == set.metadata.name);
        let is_recreated = present.is_some_and(|present| {
            let sizes = volumes::set_size(&set).zip(volumes::set_size(present));
            present.metadata.deletion_timestamp.is_some()
                || sizes.is_some_and(|(wanted, present)| volumes::is_larger(wanted, present))
        });
        if !is_recreated {
            ctx.apply(&set).await?;
        }
    }
    Ok(())
}

/// Takes the next step of a rollout, if it is this group's turn.
async fn roll(ctx: &Context, group: &ValidatedGroup, step: Step) -> Result<Progress> {
    let key = format!("{}/{}", group.namespace, group.name);
    match step {
        Step::Done => {
            ctx.rolling.finish(&key);
            Ok(Progress::Ready)
        }
        Step::Wait(message) => Ok(Progress::reconciling("NodesNotReady", message)),
        Step::Replace(pod) => {
            if !ctx.rolling.take(&key, ctx.now(), ROLL_TURN) {
                return Ok(Progress::reconciling("RolloutWaits", "another group is being rolled out"));
            }
            match ctx.api::<Pod>(&group.namespace).delete(&pod, &DeleteParams::default()).await {
                Ok(_) => tracing::info!(pod, "a pod is replaced by one of the newest revision"),
                Err(error) if status_code(&error) == Some(404) => {}
                Err(error) => return Err(error).while_doing(|| format!("replace the pod {pod}")),
            }
            Ok(Progress::reconciling("RollingOut", format!("{pod} is replaced by one of the newest revision")))
        }
    }
}

/// The zones are written down before anything is made in them.
async fn record_zones(ctx: &Context, group: StorageGroup, zones: &[String]) -> Result<StorageGroup> {
    let mut status = group.status.clone().unwrap_or_default();
    if status.zones == zones {
        return Ok(group);
    }
    status.zones = zones.to_vec();
    write_status(ctx, group, status).await
}

async fn refuse(ctx: &Context, group: &StorageGroup, refusal: &Refusal) -> Result<()> {
    let mut status = group.status.clone().unwrap_or_default();
    status.observed_generation = group.metadata.generation;
    set_progress(ctx, group, &mut status.conditions, &refusal.progress(), group.metadata.generation).await;
    write_status(ctx, group.clone(), status).await.map(drop)
}

/// Writes the status if it is another, over the version that was read.
async fn write_status(ctx: &Context, mut group: StorageGroup, status: StorageGroupStatus) -> Result<StorageGroup> {
    if group.status.as_ref() == Some(&status) {
        return Ok(group);
    }
    group.status = Some(status);
    let (namespace, name) = (group.namespace().unwrap_or_default(), group.name_any());
    let replaced = ctx.api::<StorageGroup>(&namespace).replace_status(&name, &PostParams::default(), &group).await;
    let replaced = replaced.while_doing(|| format!("write the status of the group {namespace}/{name}"))?;
    ctx.fleet_changed.notify_one();
    Ok(replaced)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_is_not_well_for_long_is_looked_at_less_often() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut conditions = Vec::new();
        condition::set_progress(&mut conditions, &Progress::reconciling("NodesNotReady", ""), None, &Time(at(0)));
        assert!(!is_late(&conditions, at(120)) && is_late(&conditions, at(121)));
        condition::set_progress(&mut conditions, &Progress::Ready, None, &Time(at(130)));
        assert!(!is_late(&conditions, at(1_000)) && !is_late(&[], at(1_000)));
    }
}
