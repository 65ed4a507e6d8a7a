//! A backup of a table, from the first word in its status until it is in the bucket: asked again and again of the archive beside
//! the leader, which says how far it is.

use super::{
    archives::{self, Found},
    await_look, say, stall, status, wait, write_status,
};
use crate::{
    context::Context,
    controller::table::observation::{Answers, Observation},
    error::{Error, Result, While},
};
use cairn_crds::{Backup, StorageGroup, Table, condition::Progress};
use cairn_model::{
    archive::{ArchiveAnswer, ArchiveCall, ArchiveRefusal, BackupReport, BackupState},
    ids::TableId,
    table::TableStatus,
};
use jiff::SignedDuration;
use kube::{ResourceExt, api::ListParams, runtime::controller::Action};
use std::time::Duration;

/// The reason while there is no table.
const MISSING: &str = "TableMissing";
const MAKING: Duration = Duration::from_secs(1);
const FAILED_WAIT: Duration = Duration::from_secs(10);
const STALLED_WAIT: Duration = Duration::from_secs(5);
const GONE_WAIT: Duration = Duration::from_secs(60);
/// A leader that moved is found anew with a report younger than the wait for it.
const REPORT_AGE_MAX: SignedDuration = SignedDuration::from_millis(500);

/// Takes the next step.
pub async fn advance(ctx: &Context, backup: Backup, table_name: &str) -> Result<Action> {
    let namespace = backup.namespace().unwrap_or_default();
    let begun_of = backup.status.as_ref().and_then(|status| status.table_id.clone());
    let Some(table) = table_of(ctx, &backup, table_name, begun_of.as_deref()).await? else {
        return without_table(ctx, &backup, table_name).await;
    };
    let group_name = &table.spec.storage_group;
    let Some(group) = archives::group(ctx, &namespace, group_name).await? else {
        let message = format!("the StorageGroup {group_name} of the table is not there: apply it");
        return wait(ctx, &backup, "StorageGroupMissing", message, STALLED_WAIT).await;
    };
    if let Err(refusal) = archives::require(&group) {
        return stall(ctx, &backup, &refusal.progress(), STALLED_WAIT).await;
    }
    let backup = if begun_of.is_some() {
        backup
    } else if table.status.as_ref().is_some_and(|status| status.table_status == Some(TableStatus::Active)) {
        write_status(ctx, &backup, status::begin(&backup, &table, &ctx.config.region)?).await?
    } else {
        let message = format!("the table {table_name} is not ACTIVE yet: its conditions say why");
        return wait(ctx, &backup, "TableNotActive", message, MAKING).await;
    };
    ask_leader(ctx, &backup, &group).await
}

/// The table to make a backup of. Before it is said to be missing the API server is asked: tables may not have been listed yet.
async fn table_of(ctx: &Context, backup: &Backup, name: &str, begun_of: Option<&str>) -> Result<Option<Table>> {
    let namespace = backup.namespace().unwrap_or_default();
    let known = choose(ctx.tables_in(&namespace), name, begun_of);
    let conditions = backup.status.iter().flat_map(|status| &status.conditions);
    if known.is_some() || conditions.into_iter().any(|condition| condition.reason == MISSING) {
        return Ok(known);
    }
    let tables = ctx.api::<Table>(&namespace).list(&ListParams::default()).await;
    let tables = tables.while_doing(|| format!("list the tables of {namespace}"))?;
    Ok(choose(tables.items, name, begun_of))
}

/// The table of this name: of several that claim it, the one that has it; for a backup that was begun, the one it is of.
fn choose(tables: Vec<Table>, table_name: &str, begun_of: Option<&str>) -> Option<Table> {
    let id = |table: &Table| table.status.as_ref().and_then(|status| status.table_id.clone());
    tables
        .into_iter()
        .filter(|table| table.table_name() == table_name && table.metadata.deletion_timestamp.is_none())
        .filter(|table| begun_of.is_none() || id(table).as_deref() == begun_of)
        .max_by_key(|table| id(table).is_some())
}

async fn ask_leader(ctx: &Context, backup: &Backup, group: &StorageGroup) -> Result<Action> {
    let table_id = backup.status.as_ref().and_then(|status| status.table_id.as_ref());
    let table_id: Option<TableId> = table_id.and_then(|id| id.parse().ok());
    let table_id = table_id.ok_or(Error::Incomplete { field: "status.tableId" })?;
    let (nodes, reports) = archives::heard(ctx, group, REPORT_AGE_MAX).await;
    let observation = Observation::of(table_id, Answers { nodes: &nodes, reports: &reports });
    if observation.partitions.len() > 1 {
        let message = "the table has several partitions, which this version of Cairn can't back up: upgrade it";
        return stall(ctx, backup, &Progress::stalled("TooManyPartitions", message), FAILED_WAIT).await;
    }
    let Some((target, leader)) = observation.leaders().next() else {
        let message = "the table's partition has no leader: the conditions of the Table say what to do".to_owned();
        return wait(ctx, backup, "LeaderMissing", message, MAKING).await;
    };
    let order = status::order(backup, &leader.definition)?;
    let backup_id = order.backup_id.clone();
    let call = ArchiveCall::CreateBackup { partition_id: leader.descriptor.partition_id, backup: order };
    match archives::one(ctx, target, &call).await {
        Ok(ArchiveAnswer::Backup(report)) if report.order.backup_id == backup_id => match report.state {
            BackupState::Available => finish(ctx, backup, &report).await,
            BackupState::Creating => go_on(ctx, backup, &report, leader.size_bytes).await,
            BackupState::Deleted => {
                let message = "the backup was deleted from the bucket while it was being made: delete this resource, and make another";
                let message = message.to_owned();
                wait(ctx, backup, "BackupFailed", message, FAILED_WAIT).await
            }
        },
        Ok(ArchiveAnswer::Refused { reason: ArchiveRefusal::NotLeader, message }) => {
            wait(ctx, backup, "LeaderMoved", message, MAKING).await
        }
        Ok(ArchiveAnswer::Refused { reason: ArchiveRefusal::Invalid | ArchiveRefusal::NotRestorable, message }) => {
            stall(ctx, backup, &Progress::stalled("BackupRefused", message), FAILED_WAIT).await
        }
        Ok(ArchiveAnswer::Refused { message, .. }) => wait(ctx, backup, "BackupFailed", message, FAILED_WAIT).await,
        Ok(other) => wait(ctx, backup, "BackupFailed", archives::unexpected(&other), FAILED_WAIT).await,
        Err(message) => wait(ctx, backup, "ArchiveSilent", message, MAKING).await,
    }
}

async fn go_on(ctx: &Context, backup: &Backup, report: &BackupReport, size_bytes: u64) -> Result<Action> {
    let mut status = backup.status.clone().unwrap_or_default();
    let percent = status::percent(report.bytes_done, size_bytes);
    let progress = Progress::reconciling("Creating", format!("{percent} of the table is on its way to the bucket"));
    status.progress = Some(percent);
    say(ctx, backup, status, &progress).await?;
    Ok(Action::requeue(MAKING))
}

/// The backup is in the bucket, whole.
pub async fn finish(ctx: &Context, backup: &Backup, report: &BackupReport) -> Result<Action> {
    let mut status = backup.status.clone().unwrap_or_default();
    status::fill(&mut status, report);
    let backup = say(ctx, backup, status, &Progress::Ready).await?;
    ctx.presence.found(&backup.uid().unwrap_or_default(), ctx.now());
    Ok(await_look(ctx, &backup))
}

/// Without its table a backup can't be begun; one that was may be in the bucket.
async fn without_table(ctx: &Context, backup: &Backup, table_name: &str) -> Result<Action> {
    let namespace = backup.namespace().unwrap_or_default();
    let mut again = STALLED_WAIT;
    if let (Some(group), Some(backup_id)) = (archives::group_of(ctx, backup).await?, backup.backup_id()) {
        match archives::describe(ctx, &group, None, &backup_id).await {
            Found::Available(report) => return finish(ctx, backup, &report).await,
            Found::Unknown(message) => return wait(ctx, backup, "ArchiveSilent", message, FAILED_WAIT).await,
            // The table of its id does not come back.
            Found::Missing => again = GONE_WAIT,
        }
    }
    let message = format!(
        "there is no table {table_name} in the namespace {namespace} to make a backup of: apply it, or delete this Backup"
    );
    stall(ctx, backup, &Progress::stalled(MISSING, message), again).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::table::fixture;
    use cairn_crds::TableResourceStatus;

    fn table(name: &str, id: Option<&str>) -> Table {
        let mut table = fixture::table(name);
        table.spec.table_name = Some("Users".into());
        let table_id = id.map(str::to_owned);
        table.status = Some(TableResourceStatus { table_id, ..TableResourceStatus::default() });
        table
    }

    #[test]
    fn a_backup_is_of_the_table_that_has_the_name() {
        let chosen = choose(vec![table("late", None), table("first", Some("1"))], "Users", None).unwrap();
        assert_eq!(chosen.name_any(), "first");
        assert!(choose(vec![table("first", Some("1"))], "users", None).is_none());
    }

    #[test]
    fn a_backup_that_was_begun_never_goes_over_to_a_new_table_of_the_name() {
        assert!(choose(vec![table("users", Some("2"))], "Users", Some("1")).is_none());
        assert!(choose(vec![table("users", Some("1"))], "Users", Some("1")).is_some());
    }
}
