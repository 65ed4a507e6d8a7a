//! The last backups of deleted tables that had point-in-time recovery: made before their data is dropped.
//!
//! A drop whose backup is in the bucket loses its `lastBackup`, and only when that is written down is anything dropped: an operator
//! that ends in between asks for the same backup again.

use super::members::ExpectedNode;
use crate::{context::Context, node_client::Target};
use cairn_crds::{
    DROP_WITHOUT_BACKUP_ANNOTATION, StorageGroup, StorageGroupStatus, condition,
    storage_group::{LastBackup, PendingDrop},
};
use cairn_model::{
    archive::{ArchiveAnswer, ArchiveCall, BackupOrder, BackupState, BackupType},
    arn::BackupArn,
    node::{NodeReport, ReplicaReport, ReplicaState},
};
use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{ResourceExt, runtime::events::EventType};
use std::{sync::Arc, time::Duration};

/// Whether the data of a deleted table is kept because its last backup can't be made.
const LAST_BACKUP_PENDING: &str = "LastBackupPending";
/// For how long nobody is told that a backup is not there yet.
const PATIENCE: SignedDuration = SignedDuration::from_hours(1);
/// How soon one is asked after again, and one of which people are told: each time may be written down.
const PAUSE: SignedDuration = SignedDuration::from_millis(1_900);
const LATE_PAUSE: SignedDuration = SignedDuration::from_secs(30);
/// How many are made at once, and how long an archive may take to say how far one is.
const AT_ONCE_MAX: usize = 8;
const CALL_PATIENCE: Duration = Duration::from_secs(5);
/// Of those that can't be made, how many a condition tells of.
const TOLD_MAX: usize = 5;
const WHY_BYTES_MAX: usize = 300;
const DAY_MS: u64 = 24 * 3_600 * 1_000;
const KEPT_DAYS: u64 = 35;

/// Has the backups made that are due. `status` is the group's; what is done of it is noted there.
pub async fn make(
    ctx: &Context,
    group: &StorageGroup,
    status: &mut StorageGroupStatus,
    nodes: &[ExpectedNode],
    answers: &[Option<Arc<NodeReport>>],
) {
    for drop in status.pending_drops.iter_mut().filter(|drop| drop.last_backup.is_some()) {
        if is_given_up(group, drop) {
            let note = format!("the data of the deleted table {} is dropped without a last backup", drop.table_id);
            ctx.event(group, EventType::Warning, "LastBackupGivenUp", note).await;
            drop.last_backup = None;
        }
    }
    let mut waiting: Vec<_> = status.pending_drops.iter_mut().filter(|drop| drop.last_backup.is_some()).collect();
    if !waiting.is_empty() {
        // Some that can't be made must not stand before others for ever.
        let turn = usize::try_from(ctx.now().as_second()).unwrap_or_default() % waiting.len();
        waiting.rotate_left(turn);
    }
    if group.spec.archive.is_some() {
        let makings = waiting.into_iter().take(AT_ONCE_MAX).map(|drop| async move {
            if make_in_its_time(ctx, drop, nodes, answers).await {
                drop.last_backup = None;
            }
        });
        join_all(makings).await;
    }
    let why = |drop: &PendingDrop| Some((drop.table_id.clone(), ctx.archives.last_backups.get(&drop.partition_id)?));
    let stuck: Vec<_> = status.pending_drops.iter().filter_map(why).collect();
    tell(ctx, group, status, &stuck).await;
}

fn is_given_up(group: &StorageGroup, drop: &PendingDrop) -> bool {
    let given_up = group.annotations().get(DROP_WITHOUT_BACKUP_ANNOTATION);
    given_up.is_some_and(|ids| ids.split(',').any(|id| id.trim() == drop.table_id))
}

/// Whether the backup is made. Why one is not is kept for a while, and not asked for again before that.
async fn make_in_its_time(
    ctx: &Context,
    drop: &PendingDrop,
    nodes: &[ExpectedNode],
    answers: &[Option<Arc<NodeReport>>],
) -> bool {
    if ctx.archives.last_backups.get(&drop.partition_id).is_some() {
        return false;
    }
    let Err(why) = make_one(ctx, drop, nodes, answers).await else { return true };
    tracing::debug!(table_id = drop.table_id, why, "a deleted table's last backup is not made yet");
    let is_told = drop.last_backup.as_ref().is_some_and(|backup| is_late(backup, ctx.now()));
    let pause = if is_told { LATE_PAUSE } else { PAUSE };
    ctx.archives.last_backups.put(drop.partition_id.clone(), why, pause);
    false
}

fn is_late(backup: &LastBackup, now: Timestamp) -> bool {
    now.duration_since(backup.requested_at.0) > PATIENCE
}

/// Ok once the backup is in the bucket, if one is to be, and the archive knows that the table is deleted; before, why it is not.
async fn make_one(
    ctx: &Context,
    drop: &PendingDrop,
    nodes: &[ExpectedNode],
    answers: &[Option<Arc<NodeReport>>],
) -> Result<(), String> {
    let Some(backup) = &drop.last_backup else { return Ok(()) };
    let Some((node, leader)) = leader_of(drop, nodes, answers) else {
        if is_nowhere(drop, answers) {
            tracing::warn!(table = backup.table_name, "no node has the data of a deleted table: it leaves no backup");
            return Ok(());
        }
        return Err("no node leads it".to_owned());
    };
    if !backup.delete_archive {
        let order = order_of(backup, leader).ok_or_else(|| format!("{} is no ARN of a backup", backup.backup_arn))?;
        let call = ArchiveCall::CreateBackup { partition_id: leader.descriptor.partition_id, backup: order };
        match ask(ctx, &node.target, &call).await? {
            ArchiveAnswer::Backup(made) if made.state == BackupState::Available => {
                tracing::info!(
                    table = backup.table_name,
                    arn = backup.backup_arn,
                    "a deleted table left its last backup"
                );
            }
            ArchiveAnswer::Backup(_) => return Err("it is being made".to_owned()),
            other => return Err(unexpected(&other)),
        }
    }
    let call = ArchiveCall::MarkDeleted {
        table_id: leader.descriptor.table_id,
        deleted_at_ms: u64::try_from(backup.requested_at.0.as_millisecond()).unwrap_or_default(),
        with_archive: backup.delete_archive,
    };
    match ask(ctx, &node.target, &call).await? {
        ArchiveAnswer::Done => Ok(()),
        other => Err(unexpected(&other)),
    }
}

async fn ask(ctx: &Context, beside: &Target, call: &ArchiveCall) -> Result<ArchiveAnswer, String> {
    let silent = |why: String| format!("the archive beside {} does not answer: {why}", beside.address);
    match tokio::time::timeout(CALL_PATIENCE, ctx.reports.archive(beside, call)).await {
        Ok(Ok(ArchiveAnswer::Refused { message, .. })) => Err(message),
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(silent(crate::error::chain(&error))),
        Err(_) => Err(silent(format!("not within {} s", CALL_PATIENCE.as_secs()))),
    }
}

fn unexpected(answer: &ArchiveAnswer) -> String {
    format!("the archive answered {answer:?}")
}

fn leader_of<'a>(
    drop: &PendingDrop,
    nodes: &'a [ExpectedNode],
    answers: &'a [Option<Arc<NodeReport>>],
) -> Option<(&'a ExpectedNode, &'a ReplicaReport)> {
    let answering = nodes.iter().zip(answers).filter_map(|(node, report)| Some((node, report.as_ref()?)));
    let replicas = answering.flat_map(|(node, report)| report.replicas.iter().map(move |replica| (node, replica)));
    replicas
        .filter(|(_, replica)| replica.state == ReplicaState::Leader && is_of(replica, drop))
        .max_by_key(|(_, replica)| replica.term)
}

fn is_of(replica: &ReplicaReport, drop: &PendingDrop) -> bool {
    replica.descriptor.partition_id.to_string() == drop.partition_id
        && replica.descriptor.table_id.to_string() == drop.table_id
}

/// Whether every node answered, and none has the partition.
fn is_nowhere(drop: &PendingDrop, answers: &[Option<Arc<NodeReport>>]) -> bool {
    !answers.is_empty()
        && answers.iter().all(|report| {
            report.as_ref().is_some_and(|report| !report.replicas.iter().any(|replica| is_of(replica, drop)))
        })
}

/// The same each time it is asked for.
fn order_of(backup: &LastBackup, leader: &ReplicaReport) -> Option<BackupOrder> {
    let creation_time_ms = backup.backup_id.split_once('-')?.0.parse().ok()?;
    Some(BackupOrder {
        backup_id: backup.backup_id.clone(),
        arn: backup.backup_arn.clone(),
        name: format!("{}$DeletedTableBackup", backup.table_name),
        backup_type: BackupType::System,
        table_arn: BackupArn::parse(&backup.backup_arn)?.table.to_string(),
        definition: leader.definition.clone(),
        creation_time_ms,
        expiry_time_ms: Some(creation_time_ms + KEPT_DAYS * DAY_MS),
    })
}

/// Says which tables' data is kept for want of a backup, and how to give the backup up.
async fn tell(ctx: &Context, group: &StorageGroup, status: &mut StorageGroupStatus, stuck: &[(String, String)]) {
    let is_told = |c: &&k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition| c.type_ == LAST_BACKUP_PENDING;
    let before = status.conditions.iter().find(is_told).map(|condition| condition.status.clone());
    let message = pending(group, &status.pending_drops, stuck, ctx.now());
    if message.is_none() && before.is_none() {
        return;
    }
    let (is_pending, reason) = match (&message, &group.spec.archive) {
        (None, _) => (false, "Made"),
        (Some(_), None) => (true, "ArchiveMissing"),
        (Some(_), Some(_)) => (true, "ArchiveFailed"),
    };
    let message = message.unwrap_or_default();
    if is_pending && before.as_deref() != Some("True") {
        ctx.event(group, EventType::Warning, LAST_BACKUP_PENDING, message.as_str()).await;
    }
    let now = Time(ctx.now());
    let generation = group.metadata.generation;
    condition::set(&mut status.conditions, LAST_BACKUP_PENDING, is_pending, reason, &message, generation, &now);
}

/// The condition's message, where there is something to tell.
fn pending(group: &StorageGroup, drops: &[PendingDrop], stuck: &[(String, String)], now: Timestamp) -> Option<String> {
    let has_archive = group.spec.archive.is_some();
    let waiting: Vec<_> = drops
        .iter()
        .filter_map(|drop| Some((drop, drop.last_backup.as_ref()?)))
        .filter(|(_, backup)| !has_archive || is_late(backup, now))
        .collect();
    if waiting.is_empty() {
        return None;
    }
    let why = |drop: &PendingDrop| match stuck.iter().find(|(table_id, _)| *table_id == drop.table_id) {
        _ if !has_archive => ": the group has no archive any more; set its spec.archive".to_owned(),
        Some((_, why)) => format!(": {}", condition::bounded(why, WHY_BYTES_MAX)),
        None => String::new(),
    };
    let mut told: Vec<_> = waiting
        .iter()
        .take(TOLD_MAX)
        .map(|(drop, backup)| format!("{} (id {}){}", backup.table_name, drop.table_id, why(drop)))
        .collect();
    if waiting.len() > TOLD_MAX {
        told.push(format!("and {} more", waiting.len() - TOLD_MAX));
    }
    let ids: Vec<_> = waiting.iter().take(TOLD_MAX).map(|(drop, _)| drop.table_id.as_str()).collect();
    Some(format!(
        "the data of deleted tables is kept until their last backups are made, or, with deletionPolicy Delete, until the archive knows of their end; to give them up: kubectl -n {} annotate --overwrite storagegroups.cairn.dev {} {DROP_WITHOUT_BACKUP_ANNOTATION}={}; they are {}",
        group.namespace().unwrap_or_default(),
        group.name_any(),
        ids.join(","),
        told.join("; "),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{build, controller::table::fixture};
    use cairn_model::ids::{PartitionId, TableId};

    const ID: &str = "01550000000000-abcdef12";

    fn group(has_archive: bool) -> StorageGroup {
        let mut group = StorageGroup::new("default", build::fixture::spec());
        group.metadata.namespace = Some("game".into());
        group.spec.archive = has_archive.then(|| serde_json::from_str(r#"{"url": "s3://tables"}"#).unwrap());
        group
    }

    fn drop_at(second: i64) -> PendingDrop {
        PendingDrop {
            partition_id: PartitionId([5; 16]).to_string(),
            table_id: fixture::table_id().to_string(),
            nodes: Vec::new(),
            last_backup: Some(LastBackup {
                backup_id: ID.into(),
                backup_arn: format!("arn:aws:dynamodb:east:game:table/users/backup/{ID}"),
                table_name: "users".into(),
                requested_at: Time(Timestamp::from_second(second).unwrap()),
                delete_archive: false,
            }),
            loading_until: None,
            deleted_at: None,
        }
    }

    fn answers() -> Vec<Option<Arc<NodeReport>>> {
        fixture::reports_of_one_table(3).into_iter().map(Some).collect()
    }

    #[test]
    fn the_backup_is_what_deleted_tables_leave_in_dynamodb() {
        let (nodes, answers, drop) = (fixture::nodes(), answers(), drop_at(0));
        let (node, leader) = leader_of(&drop, &nodes, &answers).unwrap();
        assert_eq!(node.zone, "zone-a");
        let order = order_of(drop.last_backup.as_ref().unwrap(), leader).unwrap();
        assert_eq!((order.name.as_str(), order.backup_type), ("users$DeletedTableBackup", BackupType::System));
        assert_eq!(order.table_arn, "arn:aws:dynamodb:east:game:table/users");
        assert_eq!(order.creation_time_ms, 1_550_000_000_000);
        assert_eq!(order.expiry_time_ms, Some(1_550_000_000_000 + 35 * DAY_MS));
    }

    #[test]
    fn data_that_no_node_has_leaves_no_backup() {
        let other = PendingDrop { table_id: TableId([1; 16]).to_string(), ..drop_at(0) };
        assert!(is_nowhere(&other, &answers()) && !is_nowhere(&drop_at(0), &answers()));
        let mut silent = answers();
        silent[2] = None;
        assert!(!is_nowhere(&other, &silent), "the one that does not answer may have it");
    }

    #[test]
    fn nobody_is_told_within_the_first_hour() {
        let now = |second| Timestamp::from_second(second).unwrap();
        let stuck = [(fixture::table_id().to_string(), "no such bucket".to_owned())];
        assert_eq!(pending(&group(true), &[drop_at(0)], &stuck, now(3_600)), None);
        let message = pending(&group(true), &[drop_at(0)], &stuck, now(3_601)).unwrap();
        assert!(message.contains("users (id 07070707") && message.contains("no such bucket"), "{message}");
        let way_out = format!("storagegroups.cairn.dev default cairn.dev/drop-without-backup={}", fixture::table_id());
        assert!(message.contains(&way_out), "{message}");
    }

    #[test]
    fn however_much_an_archive_says_the_way_out_is_told_first() {
        let stuck = [(fixture::table_id().to_string(), "x".repeat(100_000))];
        let message = pending(&group(true), &[drop_at(0)], &stuck, Timestamp::from_second(3_601).unwrap()).unwrap();
        assert!(message.len() < 1_000, "{}", message.len());
        assert!(message.find("kubectl").unwrap() < message.find("xxx").unwrap(), "{message}");
    }

    #[test]
    fn a_group_without_an_archive_is_told_of_at_once() {
        let message = pending(&group(false), &[drop_at(0)], &[], Timestamp::UNIX_EPOCH).unwrap();
        assert!(message.contains("spec.archive"), "{message}");
    }

    #[test]
    fn a_person_gives_a_backup_up_by_the_tables_id() {
        let mut group = group(true);
        assert!(!is_given_up(&group, &drop_at(0)));
        let ids = format!("other, {}", fixture::table_id());
        group.annotations_mut().insert(DROP_WITHOUT_BACKUP_ANNOTATION.to_owned(), ids);
        assert!(is_given_up(&group, &drop_at(0)));
    }
}
