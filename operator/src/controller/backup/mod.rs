//! The controller of Backups: ordered of the archive beside a table's leader, or found in the bucket; kept until their time is over.

pub mod archives;
pub mod deletion;
pub mod making;
pub mod presence;
pub mod source;
pub mod standing;
pub mod status;

#[cfg(test)]
pub(crate) mod fixture;

use super::{guarded, retry, set_progress};
use crate::{
    context::{Context, GuardedBackup},
    error::{Error, Result, While, status_code},
};
use cairn_crds::{Backup, BackupResourceStatus, condition::Progress};
use cairn_model::archive::BackupState;
use jiff::{SignedDuration, Timestamp};
use kube::{
    ResourceExt,
    api::{DeleteParams, PostParams, Preconditions},
    runtime::controller::Action,
};
use source::Source;
use std::{sync::Arc, time::Duration};

/// Between two looks, so that what is due is not asked in a circle.
const LOOK_MIN: SignedDuration = SignedDuration::from_secs(1);
/// The longest wait for an expiry: clocks are set, and machines sleep.
const EXPIRY_WAIT_MAX: SignedDuration = SignedDuration::from_mins(10);

pub async fn reconcile(object: Arc<GuardedBackup>, ctx: Arc<Context>) -> Result<Action> {
    guarded(&ctx, &object, |backup| reconcile_backup(backup, &ctx)).await
}

#[expect(clippy::needless_pass_by_value, reason = "the controller calls it so")]
pub fn on_error(object: Arc<GuardedBackup>, error: &Error, _: Arc<Context>) -> Action {
    retry(error, "Backup", &format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any()))
}

async fn reconcile_backup(backup: Backup, ctx: &Context) -> Result<Action> {
    if backup.metadata.deletion_timestamp.is_some() {
        return deletion::finalize(ctx, &backup).await;
    }
    let is_deleted_with = Source::of(&backup).is_ok_and(|source| source.is_deleted_with(&backup, &ctx.config.region));
    let backup = deletion::guard(ctx, backup, is_deleted_with).await?;
    if expiry(&backup).is_some_and(|expiry| expiry <= ctx.now()) {
        return deletion::expire(ctx, &backup).await;
    }
    let source = match Source::of(&backup)
        .and_then(|source| source.check_policy(&backup, &ctx.config.region).map(|()| source))
    {
        Ok(source) => source,
        Err(refusal) => {
            say(ctx, &backup, backup.status.clone().unwrap_or_default(), &refusal.progress()).await?;
            return Ok(await_look(ctx, &backup));
        }
    };
    match (state(&backup), source) {
        (Some(BackupState::Available | BackupState::Deleted), _) => standing::look(ctx, &backup, source).await,
        (_, Source::Table(table_name)) => making::advance(ctx, backup.clone(), table_name).await,
        (_, Source::Archive(arn)) => standing::adopt(ctx, &backup, source, arn).await,
    }
}

fn state(backup: &Backup) -> Option<BackupState> {
    backup.status.as_ref().and_then(|status| status.backup_status)
}

fn expiry(backup: &Backup) -> Option<Timestamp> {
    backup.status.as_ref().and_then(|status| status.backup_expiry_date_time.as_ref()).map(|time| time.0)
}

/// Until a backup that was made or found is looked for again, or any is over.
fn await_look(ctx: &Context, backup: &Backup) -> Action {
    let now = ctx.now();
    let was_there = matches!(state(backup), Some(BackupState::Available | BackupState::Deleted));
    let look = was_there.then(|| ctx.presence.wait(&backup.uid().unwrap_or_default(), now));
    let end = expiry(backup).map(|expiry| expiry.duration_since(now).min(EXPIRY_WAIT_MAX));
    match look.into_iter().chain(end).min() {
        Some(wait) => Action::requeue(Duration::try_from(wait.max(LOOK_MIN)).unwrap_or_default()),
        None => Action::await_change(),
    }
}

async fn wait(ctx: &Context, backup: &Backup, reason: &str, message: String, again: Duration) -> Result<Action> {
    let status = backup.status.clone().unwrap_or_default();
    say(ctx, backup, status, &Progress::reconciling(reason, message)).await?;
    Ok(Action::requeue(again))
}

async fn stall(ctx: &Context, backup: &Backup, progress: &Progress, again: Duration) -> Result<Action> {
    say(ctx, backup, backup.status.clone().unwrap_or_default(), progress).await?;
    Ok(Action::requeue(again))
}

/// Writes the status with how far the backup is in its conditions.
async fn say(ctx: &Context, backup: &Backup, mut status: BackupResourceStatus, progress: &Progress) -> Result<Backup> {
    let generation = backup.metadata.generation;
    status.observed_generation = generation;
    set_progress(ctx, backup, &mut status.conditions, progress, generation).await;
    write_status(ctx, backup, status).await
}

/// Writes the status if it is another, over the version that was read.
async fn write_status(ctx: &Context, backup: &Backup, status: BackupResourceStatus) -> Result<Backup> {
    let mut backup = backup.clone();
    if backup.status.as_ref() == Some(&status) {
        return Ok(backup);
    }
    backup.status = Some(status);
    let (namespace, name) = (backup.namespace().unwrap_or_default(), backup.name_any());
    let replaced = ctx.api::<Backup>(&namespace).replace_status(&name, &PostParams::default(), &backup).await;
    replaced.while_doing(|| format!("write the status of the backup {namespace}/{name}"))
}

/// Deletes this resource, and no other of its name.
pub async fn delete(ctx: &Context, backup: &Backup) -> Result<()> {
    let (namespace, name) = (backup.namespace().unwrap_or_default(), backup.name_any());
    let preconditions = Some(Preconditions { resource_version: None, uid: backup.uid() });
    let params = DeleteParams { preconditions, ..DeleteParams::background() };
    match ctx.api::<Backup>(&namespace).delete(&name, &params).await {
        Ok(_) => Ok(()),
        Err(error) if status_code(&error) == Some(404) => Ok(()),
        Err(error) => Err(error).while_doing(|| format!("delete the backup {namespace}/{name}")),
    }
}
