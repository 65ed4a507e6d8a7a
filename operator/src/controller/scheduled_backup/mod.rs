//! The controller of ScheduledBackups: makes Backups by the clock, and deletes the oldest of them.
//!
//! A Backup's name is made of the time it is due: it can't be made twice, whoever tries. It has no owner: backups outlive the
//! schedule that made them, and one of the same name takes them over by their label.

pub mod plan;
pub mod retention;
pub mod schedule;

use super::{backup::delete, guarded, retry, set_progress};
use crate::{
    context::{Context, GuardedScheduledBackup},
    error::{Error, Result, While, status_code},
};
use cairn_crds::{
    Backup, BackupSpec, SCHEDULED_BY_LABEL, ScheduledBackup, ScheduledBackupStatus,
    backup::DeletionPolicy,
    bounded_name,
    condition::{self, Progress},
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{
    ResourceExt,
    api::{ListParams, PostParams},
    runtime::{controller::Action, events::EventType},
};
use schedule::Schedule;
use std::{sync::Arc, time::Duration};

/// The longest name of a Backup, and what is behind the schedule's: `-YYYYMMDDHHMM`.
const NAME_LENGTH_MAX: usize = 253;
const TIME_LENGTH: usize = 13;
/// The longest wait for the next time: clocks are set, and machines sleep.
const WAIT_MAX: SignedDuration = SignedDuration::from_mins(5);
/// The reason while a time passes without a backup because the one before is not finished.
const UNFINISHED: &str = "BackupUnfinished";

pub async fn reconcile(object: Arc<GuardedScheduledBackup>, ctx: Arc<Context>) -> Result<Action> {
    guarded(&ctx, &object, |scheduled| reconcile_schedule(scheduled, &ctx)).await
}

#[expect(clippy::needless_pass_by_value, reason = "the controller calls it so")]
pub fn on_error(object: Arc<GuardedScheduledBackup>, error: &Error, _: Arc<Context>) -> Action {
    retry(error, "ScheduledBackup", &format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any()))
}

async fn reconcile_schedule(scheduled: ScheduledBackup, ctx: &Context) -> Result<Action> {
    if scheduled.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let now = ctx.now();
    let spec = &scheduled.spec;
    let mut status = scheduled.status.clone().unwrap_or_default();
    let planned = Schedule::parse(&spec.schedule, spec.time_zone.as_deref())
        .and_then(|schedule| plan::plan(&scheduled, &schedule, now));
    let plan = match planned {
        Ok(plan) => plan,
        Err(refusal) => {
            status.next_schedule_time = None;
            write(ctx, &scheduled, status, &refusal.progress()).await?;
            return Ok(Action::await_change());
        }
    };
    let namespace = scheduled.namespace().unwrap_or_default();
    // What is made or deleted is decided upon what the API server has now: an old view would make one too many, cost one, or
    // miss the change that this is about.
    let backups = list(ctx, &scheduled).await?;
    let keep = usize::try_from(spec.keep).unwrap_or(1);
    for backup in retention::superfluous(&backups, keep, now) {
        delete(ctx, backup).await?;
        tracing::info!(namespace, backup = backup.name_any(), "a backup beyond spec.keep is deleted");
    }
    if spec.suspend {
        status.next_schedule_time = None;
        write(ctx, &scheduled, status, &Progress::Ready).await?;
        return Ok(Action::await_change());
    }
    // Made by an operator that did not come to write it down, it holds up none but the next.
    let is_made = |due| backups.iter().any(|backup| backup.name_any() == name_of(&scheduled, due));
    let is_done = plan.due.is_some_and(is_made);
    let holding_up = retention::holding_up(&backups, now).filter(|_| !is_done);
    if let (Some(due), None) = (plan.due, holding_up) {
        if is_done || make(ctx, &scheduled, due).await? {
            status.last_backup_name = Some(name_of(&scheduled, due));
        }
        status.last_schedule_time = Some(Time(due));
    }
    let was_held_up = status.conditions.iter().any(|c| c.type_ == condition::READY && c.reason == UNFINISHED);
    let progress = match holding_up.filter(|_| plan.due.is_some() || was_held_up) {
        Some(other) => Progress::reconciling(
            UNFINISHED,
            format!(
                "the Backup {} is not finished (its conditions say why): until it is, or is deleted, no other is made",
                other.name_any()
            ),
        ),
        None => Progress::Ready,
    };
    status.next_schedule_time = Some(Time(plan.next));
    write(ctx, &scheduled, status, &progress).await?;
    let wait = plan.next.duration_since(now).clamp(SignedDuration::ZERO, WAIT_MAX);
    Ok(Action::requeue(Duration::try_from(wait).unwrap_or_default()))
}

/// Makes the Backup that is due; false where the name is someone else's. That it is there already is as good.
async fn make(ctx: &Context, scheduled: &ScheduledBackup, due: Timestamp) -> Result<bool> {
    let backup = build(scheduled, due);
    let (namespace, name) = (scheduled.namespace().unwrap_or_default(), backup.name_any());
    let api = ctx.api::<Backup>(&namespace);
    match api.create(&PostParams::default(), &backup).await {
        Ok(_) => tracing::info!(namespace, backup = name, "a backup is made by its schedule"),
        Err(error) if status_code(&error) == Some(409) => {
            let other = api.get_opt(&name).await.while_doing(|| format!("read the backup {namespace}/{name}"))?;
            if other
                .is_some_and(|other| other.labels().get(SCHEDULED_BY_LABEL) != backup.labels().get(SCHEDULED_BY_LABEL))
            {
                let note = format!(
                    "the Backup {name} is not of this schedule: this time passes without one; delete or rename that one"
                );
                ctx.event(scheduled, EventType::Warning, "NameTaken", note).await;
                return Ok(false);
            }
        }
        Err(error) => return Err(error).while_doing(|| format!("make the backup {namespace}/{name}")),
    }
    Ok(true)
}

/// The name of the Backup that is due then.
fn name_of(scheduled: &ScheduledBackup, due: Timestamp) -> String {
    let base = bounded_name(&scheduled.name_any(), NAME_LENGTH_MAX - TIME_LENGTH);
    format!("{base}-{}", due.strftime("%Y%m%d%H%M"))
}

fn build(scheduled: &ScheduledBackup, due: Timestamp) -> Backup {
    let spec = BackupSpec {
        table_name: Some(scheduled.spec.table_name.clone()),
        backup_name: None,
        retain_days: scheduled.spec.retain_days,
        deletion_policy: DeletionPolicy::Delete,
        from_archive: None,
        storage_group: None,
    };
    let mut backup = Backup::new(&name_of(scheduled, due), spec);
    backup.metadata.namespace = scheduled.namespace();
    backup.metadata.labels = Some([(SCHEDULED_BY_LABEL.to_owned(), scheduled.label_value())].into());
    backup
}

async fn list(ctx: &Context, scheduled: &ScheduledBackup) -> Result<Vec<Backup>> {
    let namespace = scheduled.namespace().unwrap_or_default();
    let of_schedule = ListParams::default().labels(&format!("{SCHEDULED_BY_LABEL}={}", scheduled.label_value()));
    let backups = ctx.api::<Backup>(&namespace).list(&of_schedule).await;
    Ok(backups.while_doing(|| format!("list the backups of {namespace}"))?.items)
}

/// Writes the status, if it is another.
async fn write(
    ctx: &Context,
    scheduled: &ScheduledBackup,
    mut status: ScheduledBackupStatus,
    progress: &Progress,
) -> Result<()> {
    let generation = scheduled.metadata.generation;
    status.observed_generation = generation;
    set_progress(ctx, scheduled, &mut status.conditions, progress, generation).await;
    if scheduled.status.as_ref() == Some(&status) {
        return Ok(());
    }
    let mut scheduled = scheduled.clone();
    scheduled.status = Some(status);
    let (namespace, name) = (scheduled.namespace().unwrap_or_default(), scheduled.name_any());
    let replaced =
        ctx.api::<ScheduledBackup>(&namespace).replace_status(&name, &PostParams::default(), &scheduled).await;
    replaced.while_doing(|| format!("write the status of the scheduled backup {namespace}/{name}")).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(name: &str) -> Backup {
        let spec = serde_json::from_str(r#"{"tableName": "users", "schedule": "@daily", "keep": 7, "retainDays": 30}"#);
        build(&ScheduledBackup::new(name, spec.unwrap()), "2026-11-21T03:00:00Z".parse().unwrap())
    }

    #[test]
    fn a_backup_is_named_by_the_time_it_is_due() {
        let backup = built("nightly");
        assert_eq!(backup.name_any(), "nightly-202611210300");
        assert_eq!(backup.labels()[SCHEDULED_BY_LABEL], "nightly");
        assert_eq!((backup.spec.retain_days, backup.spec.deletion_policy), (Some(30), DeletionPolicy::Delete));
        assert!(backup.metadata.owner_references.is_none());
    }

    #[test]
    fn a_long_name_leaves_room_for_the_time_and_fits_a_label() {
        let backup = built(&"x".repeat(253));
        assert_eq!(backup.name_any().len(), 253);
        assert!(backup.name_any().ends_with("-202611210300"));
        assert_eq!(backup.labels()[SCHEDULED_BY_LABEL].len(), 63);
    }
}
