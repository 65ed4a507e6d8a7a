//! A backup's end. With `deletionPolicy: Delete` it goes from the bucket first; but no resource waits for a bucket, nor for pods:
//! where that fails, an event says that the objects stay there.

use super::{
    archives::{self, unexpected},
    delete,
    source::Source,
    write_status,
};
use crate::{
    context::{Context, GuardedTable},
    controller::{patch_finalizers, storage_group::expiry},
    error::{Result, chain},
};
use cairn_crds::{BACKUP_FINALIZER, Backup, StorageGroup, condition, table::RestoreStatus};
use cairn_model::archive::{ArchiveAnswer, ArchiveCall, ArchiveRefusal, BackupState};
use jiff::SignedDuration;
use k8s_openapi::{api::core::v1::Namespace, apimachinery::pkg::apis::meta::v1::Time};
use kube::{
    Api, ResourceExt,
    runtime::{controller::Action, events::EventType},
};
use std::time::Duration;
use tokio::time::timeout;

/// Since when a deletion fails, and since when it waits for whoever uses the backup.
const FAILING: &str = "DeletionFailing";
const WAITING: &str = "DeletionWaiting";
/// For how long each is put up with. With the wait between them, a failing deletion is tried three times, within half a minute.
const FAILING_MAX: SignedDuration = SignedDuration::from_secs(15);
const WAITING_MAX: SignedDuration = SignedDuration::from_mins(10);
const AGAIN: Duration = Duration::from_secs(10);
const ATTEMPT_MAX: Duration = Duration::from_secs(8);

/// What an attempt to delete the backup came to.
enum Attempt {
    Gone,
    InUse(String),
    Failed(String),
}

/// Puts the finalizer on while it has something to do, and takes it off while it has not.
pub async fn guard(ctx: &Context, backup: Backup, wanted: bool) -> Result<Backup> {
    if wanted == is_guarded(&backup) {
        return Ok(backup);
    }
    let mut finalizers = others(&backup);
    if wanted {
        finalizers.push(BACKUP_FINALIZER.to_owned());
    }
    patch_finalizers(ctx, &backup, &finalizers).await
}

/// Deletes a resource whose backup has gone by itself, or is about to: the bucket is swept without us.
pub async fn expire(ctx: &Context, backup: &Backup) -> Result<Action> {
    ctx.event(backup, EventType::Normal, "Expired", "its time is over: spec.retainDays, from when it was made").await;
    delete(ctx, backup).await?;
    tracing::info!(namespace = backup.namespace(), backup = backup.name_any(), "a backup has expired");
    Ok(Action::await_change())
}

/// Sees to the bucket, and lets the resource go.
pub async fn finalize(ctx: &Context, backup: &Backup) -> Result<Action> {
    if !is_guarded(backup) {
        return Ok(Action::await_change());
    }
    let Some(backup_id) = left_in_bucket(ctx, backup) else { return release(ctx, backup, None).await };
    let namespace = backup.namespace().unwrap_or_default();
    if is_ending(ctx, &namespace).await {
        return release(ctx, backup, Some("the namespace is being deleted")).await;
    }
    let Some(group) = archives::group_of(ctx, backup).await? else {
        return release(ctx, backup, Some("its StorageGroup is gone, or has no archive any more")).await;
    };
    let late = |_| Attempt::Failed(format!("the archive did not answer within {} s", ATTEMPT_MAX.as_secs()));
    let attempt =
        match restoring(&expiry::tables_in(ctx, &namespace).await?, &namespace, &backup_id, &ctx.config.region) {
            Some(table) => Attempt::InUse(format!("the table {table} is being restored from it")),
            None => timeout(ATTEMPT_MAX, attempt(ctx, backup, &group, &backup_id)).await.unwrap_or_else(late),
        };
    let (type_, reason, message, max) = match attempt {
        Attempt::Gone => return release(ctx, backup, None).await,
        Attempt::InUse(message) => (WAITING, "BackupInUse", message, WAITING_MAX),
        Attempt::Failed(message) => (FAILING, "DeletionFailed", message, FAILING_MAX),
    };
    let mut status = backup.status.clone().unwrap_or_default();
    let now = Time(ctx.now());
    let generation = backup.metadata.generation;
    if !condition::is_true(&status.conditions, type_) {
        ctx.event(backup, EventType::Warning, reason, message.as_str()).await;
    }
    condition::set(&mut status.conditions, type_, true, reason, &message, generation, &now);
    let since = status.conditions.iter().find(|c| c.type_ == type_).map_or(now.0, |c| c.last_transition_time.0);
    if now.0.duration_since(since) >= max {
        return release(ctx, backup, Some(&message)).await;
    }
    write_status(ctx, backup, status).await?;
    Ok(Action::requeue(AGAIN))
}

/// The backup's id, if there may be anything in the bucket that is to go. One whose time is over is left to the bucket's own clock:
/// that of an operator may be wrong.
fn left_in_bucket(ctx: &Context, backup: &Backup) -> Option<String> {
    let source = Source::of(backup).ok()?;
    let status = backup.status.as_ref()?;
    let is_there = status.backup_arn.is_some()
        && status.backup_status != Some(BackupState::Deleted)
        && super::expiry(backup).is_none_or(|expiry| ctx.now() < expiry);
    let is_left = is_there && source.is_deleted_with(backup, &ctx.config.region);
    source.backup_id(backup).filter(|_| is_left)
}

/// A table that is being made of the backup: the archive that is asked need not be the one that loads it.
fn restoring(tables: &[GuardedTable], account: &str, backup_id: &str, region: &str) -> Option<String> {
    let tables = tables.iter().filter_map(|table| table.0.as_ref().ok());
    let mut there = tables.filter(|table| table.metadata.deletion_timestamp.is_none());
    let is_of = |from: &RestoreStatus| {
        from.restore_in_progress
            && from.backup_id.as_deref() == Some(backup_id)
            && (from.region.as_str(), from.account.as_str()) == (region, account)
    };
    let restored =
        there.find(|table| table.status.as_ref().and_then(|status| status.restore.as_ref()).is_some_and(is_of));
    restored.map(ResourceExt::name_any)
}

/// One that is being made is known only to the archive that makes it: all are asked that may.
async fn attempt(ctx: &Context, backup: &Backup, group: &StorageGroup, backup_id: &str) -> Attempt {
    let call = ArchiveCall::DeleteBackup { backup_id: backup_id.to_owned() };
    let status = backup.status.clone().unwrap_or_default();
    let table_id = status.table_id.and_then(|id| id.parse().ok());
    let makers = match table_id.filter(|_| status.backup_status == Some(BackupState::Creating)) {
        Some(table_id) => archives::holders(ctx, group, table_id).await,
        None => Vec::new(),
    };
    if makers.is_empty() {
        return judge(archives::any(ctx, group, &call).await);
    }
    let asked = makers.iter().map(|target| archives::one(ctx, target, &call));
    let mut outcome = Attempt::Gone;
    for answer in futures::future::join_all(asked).await {
        match (judge(answer), &outcome) {
            (Attempt::Gone, _) | (Attempt::Failed(_), Attempt::InUse(_)) => {}
            (other, _) => outcome = other,
        }
    }
    outcome
}

fn judge(answer: Result<ArchiveAnswer, String>) -> Attempt {
    match answer {
        Ok(ArchiveAnswer::Done) => Attempt::Gone,
        Ok(ArchiveAnswer::Backup(report)) if report.state == BackupState::Deleted => Attempt::Gone,
        Ok(ArchiveAnswer::Refused { reason: ArchiveRefusal::NotFound, .. }) => Attempt::Gone,
        Ok(ArchiveAnswer::Refused { reason: ArchiveRefusal::InUse, message }) => Attempt::InUse(message),
        Ok(ArchiveAnswer::Refused { message, .. }) | Err(message) => Attempt::Failed(message),
        Ok(other) => Attempt::Failed(unexpected(&other)),
    }
}

/// Nothing is kept waiting because that can't be asked.
async fn is_ending(ctx: &Context, namespace: &str) -> bool {
    let namespaces: Api<Namespace> = Api::all(ctx.client.clone());
    match namespaces.get_opt(namespace).await {
        Ok(found) => found.is_none_or(|namespace| namespace.metadata.deletion_timestamp.is_some()),
        Err(error) => {
            tracing::warn!(namespace, error = %chain(&error), "failed to read a namespace");
            false
        }
    }
}

/// Takes the finalizer off; `left` says why objects stay in the bucket, if they do.
async fn release(ctx: &Context, backup: &Backup, left: Option<&str>) -> Result<Action> {
    if let Some(why) = left {
        let arn = backup.status.as_ref().and_then(|status| status.backup_arn.clone()).unwrap_or_default();
        let note = format!(
            "the objects of {arn} stay in the bucket: {why}; to be rid of them, adopt the backup (spec.fromArchive, deletionPolicy: Delete) \
             and delete that Backup"
        );
        tracing::warn!(backup = backup.name_any(), note, "a backup is not deleted from its bucket");
        ctx.event(backup, EventType::Warning, "ObjectsStay", note).await;
    }
    match patch_finalizers(ctx, backup, &others(backup)).await {
        Ok(_) => Ok(Action::await_change()),
        Err(error) if error.is_not_found() => Ok(Action::await_change()),
        Err(error) => Err(error),
    }
}

fn is_guarded(backup: &Backup) -> bool {
    backup.finalizers().iter().any(|finalizer| finalizer == BACKUP_FINALIZER)
}

fn others(backup: &Backup) -> Vec<String> {
    backup.finalizers().iter().filter(|finalizer| *finalizer != BACKUP_FINALIZER).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::table::fixture;
    use cairn_crds::TableResourceStatus;
    use k8s_openapi::jiff::Timestamp;
    use kube::core::DeserializeGuard;

    const ID: &str = "01550000000000-abcdef12";

    #[test]
    fn a_backup_is_in_use_while_a_table_is_restored_from_it() {
        let mut table = fixture::table("users");
        let restore = serde_json::json!({
            "sourceTableArn": "arn:aws:dynamodb:east:game:table/old", "restoreDateTime": Timestamp::UNIX_EPOCH.to_string(),
            "region": "east", "account": "game", "backupId": ID, "restoreInProgress": true,
        });
        let restore: RestoreStatus = serde_json::from_value(restore).unwrap();
        let mut found = |restore: RestoreStatus, account: &str, id: &str| {
            table.status = Some(TableResourceStatus { restore: Some(restore), ..TableResourceStatus::default() });
            restoring(&[DeserializeGuard(Ok(table.clone()))], account, id, "east")
        };
        assert_eq!(found(restore.clone(), "game", ID).as_deref(), Some("users"));
        assert_eq!(found(restore.clone(), "game", "01550000000000-00000000"), None);
        assert_eq!(found(restore.clone(), "shop", ID), None, "it is another account's");
        assert_eq!(found(RestoreStatus { restore_in_progress: false, ..restore }, "game", ID), None);
    }
}
