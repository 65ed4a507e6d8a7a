//! A backup that lies in a bucket: adopted from there, and looked for from time to time. That an archive is silent changes nothing.

use super::{
    archives::{self, Found},
    await_look, making, say,
    source::Source,
    stall, wait,
};
use crate::{context::Context, error::Result};
use cairn_crds::{Backup, DEFAULT_STORAGE_GROUP, condition::Progress};
use cairn_model::{archive::BackupState, arn::BackupArn};
use kube::{ResourceExt, runtime::controller::Action};
use std::time::Duration;

const GROUP_WAIT: Duration = Duration::from_secs(5);
const SILENT_WAIT: Duration = Duration::from_secs(10);
const MISSING_WAIT: Duration = Duration::from_secs(60);
const GONE: &str = "the backup is not in the bucket any more: delete this resource, or set spec.archive of its StorageGroup to the bucket that has it";

/// Finds the backup that an ARN names in the bucket of the group.
pub async fn adopt(ctx: &Context, backup: &Backup, source: Source<'_>, arn: BackupArn<'_>) -> Result<Action> {
    let namespace = backup.namespace().unwrap_or_default();
    let name = backup.spec.storage_group.clone().unwrap_or_else(|| DEFAULT_STORAGE_GROUP.to_owned());
    let Some(group) = archives::group(ctx, &namespace, &name).await? else {
        let message = format!(
            "the StorageGroup {name}, whose bucket is to have the backup, is not there: apply it, or name another in spec.storageGroup"
        );
        return wait(ctx, backup, "StorageGroupMissing", message, GROUP_WAIT).await;
    };
    if let Err(refusal) = archives::require(&group) {
        return stall(ctx, backup, &refusal.progress(), GROUP_WAIT).await;
    }
    match archives::describe(ctx, &group, source.owner(), arn.backup_id).await {
        Found::Available(report) => {
            let mut adopted = backup.clone();
            let status = adopted.status.get_or_insert_default();
            status.backup_arn = Some(arn.to_string());
            status.storage_group = Some(name);
            making::finish(ctx, &adopted, &report).await
        }
        Found::Missing => {
            let message = format!(
                "the bucket of the StorageGroup {name} has no backup {arn}, or not all of it: correct spec.fromArchive, or name another group"
            );
            stall(ctx, backup, &Progress::stalled("BackupMissing", message), MISSING_WAIT).await
        }
        Found::Unknown(message) => wait(ctx, backup, "ArchiveSilent", message, SILENT_WAIT).await,
    }
}

/// Looks whether a backup is still in its bucket, when its time has come. One that was missed may come back: its group may have
/// named another bucket for a while.
pub async fn look(ctx: &Context, backup: &Backup, source: Source<'_>) -> Result<Action> {
    let (uid, now) = (backup.uid().unwrap_or_default(), ctx.now());
    let mut status = backup.status.clone().unwrap_or_default();
    let mut is_missed = false;
    if ctx.presence.wait(&uid, now).is_zero() {
        match find(ctx, backup, source).await? {
            Found::Available(report) => return making::finish(ctx, backup, &report).await,
            Found::Unknown(why) => {
                tracing::debug!(backup = backup.name_any(), why, "nobody can say whether a backup is still there");
                ctx.presence.unknown(&uid, now);
            }
            Found::Missing => {
                is_missed = true;
                if ctx.presence.was_missed(&uid) {
                    status.backup_status = Some(BackupState::Deleted);
                }
            }
        }
    }
    let progress = match status.backup_status {
        Some(BackupState::Deleted) => Progress::stalled("BackupGone", GONE),
        _ => Progress::Ready,
    };
    let backup = say(ctx, backup, status, &progress).await?;
    // Only what was written counts: where another write got ahead, it is looked for again at once.
    if is_missed {
        ctx.presence.missed(&uid, now);
    }
    Ok(await_look(ctx, &backup))
}

async fn find(ctx: &Context, backup: &Backup, source: Source<'_>) -> Result<Found> {
    match (archives::group_of(ctx, backup).await?, source.backup_id(backup)) {
        (Some(group), Some(backup_id)) => Ok(archives::describe(ctx, &group, source.owner(), &backup_id).await),
        _ => Ok(Found::Unknown("its StorageGroup is gone, or has no archive any more".to_owned())),
    }
}
