//! A table's end: its partitions go to its group's `status.pendingDrops`, and the Table goes at once. Waits for no node.

use super::indexes::ending;
use crate::{
    context::Context,
    controller::patch_finalizers,
    error::{Result, While},
};
use cairn_crds::{
    StorageGroup, TABLE_FINALIZER, Table,
    backup::DeletionPolicy,
    storage_group::{LastBackup, PendingDrop},
    table::{ImportStatus, Placement},
};
use cairn_model::arn::{BackupArn, TableArn, backup_id};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{
    ResourceExt,
    api::PostParams,
    runtime::{controller::Action, events::EventType},
};

/// An archive goes on with a load though nobody asks after it; it has ended by then.
const LOAD_AGE_MAX: SignedDuration = SignedDuration::from_hours(24);

/// Puts the finalizer on, before anything is placed.
pub async fn guard(ctx: &Context, table: Table) -> Result<Table> {
    if table.finalizers().iter().any(|finalizer| finalizer == TABLE_FINALIZER) {
        return Ok(table);
    }
    let mut finalizers = table.finalizers().to_vec();
    finalizers.push(TABLE_FINALIZER.to_owned());
    patch_finalizers(ctx, &table, &finalizers).await
}

/// Moves what is left to do to the group, and lets the table go.
pub async fn finalize(ctx: &Context, table: &Table) -> Result<Action> {
    if !table.finalizers().iter().any(|finalizer| finalizer == TABLE_FINALIZER) {
        return Ok(Action::await_change());
    }
    let namespace = table.namespace().unwrap_or_default();
    let api = ctx.api::<StorageGroup>(&namespace);
    match api.get_opt(&table.spec.storage_group).await.while_doing(|| "read the table's group".to_owned())? {
        Some(mut group) => {
            let backup = last_backup(table, group.spec.archive.is_some(), &ctx.config.region, ctx.now());
            if group.spec.archive.is_none() && deletes_archive(table) {
                let note = "spec.deletionPolicy is Delete, and its group has no archive: what an earlier one has of the table stays: delete it there";
                ctx.event(table, EventType::Warning, "ArchiveLeft", note).await;
            }
            let drops = drops(table, &group, backup.as_ref(), ctx.now());
            leave(ctx, &mut group, drops).await?;
        }
        None => {
            let note =
                "its group is gone: data on volumes that remain is not dropped: delete those PersistentVolumeClaims";
            ctx.event(table, EventType::Warning, "StorageGroupGone", note).await;
        }
    }
    let left: Vec<_> = table.finalizers().iter().filter(|finalizer| *finalizer != TABLE_FINALIZER).cloned().collect();
    match patch_finalizers(ctx, table, &left).await {
        Ok(_) => {
            ctx.metrics.recovery_is_off(&namespace, &table.name_any());
            tracing::info!(namespace, table = table.name_any(), "a table is deleted");
        }
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(error),
    }
    Ok(Action::await_change())
}

/// Leaves drops to the group, over the version that was read.
async fn leave(ctx: &Context, group: &mut StorageGroup, drops: Vec<PendingDrop>) -> Result<()> {
    let (namespace, name) = (group.namespace().unwrap_or_default(), group.name_any());
    let status = group.status.get_or_insert_default();
    let new: Vec<_> = drops
        .into_iter()
        .filter(|drop| !status.pending_drops.iter().any(|known| known.partition_id == drop.partition_id))
        .collect();
    if new.is_empty() {
        return Ok(());
    }
    status.pending_drops.extend(new);
    let replaced = ctx.api::<StorageGroup>(&namespace).replace_status(&name, &PostParams::default(), group).await;
    match replaced.map(drop).while_doing(|| format!("leave the table's data to the group {namespace}/{name}")) {
        Err(error) if error.is_not_found() => Ok(()),
        outcome => outcome,
    }
}

/// Leaves drops to the group as the API server has it now. One that is gone has no nodes that could drop anything.
pub async fn leave_to(ctx: &Context, namespace: &str, group: &str, drops: Vec<PendingDrop>) -> Result<()> {
    let found = ctx.api::<StorageGroup>(namespace).get_opt(group).await;
    match found.while_doing(|| "read the table's group".to_owned())? {
        Some(mut group) => leave(ctx, &mut group, drops).await,
        None => Ok(()),
    }
}

fn deletes_archive(table: &Table) -> bool {
    table.spec.deletion_policy == Some(DeletionPolicy::Delete)
}

/// What the archive is told of the table's end: nothing of a table that was never made; else by its `deletionPolicy` that its
/// objects go, or to make a backup where point-in-time recovery is on.
fn last_backup(table: &Table, has_archive: bool, region: &str, now: Timestamp) -> Option<LastBackup> {
    table.status.as_ref()?.schema_version?;
    let delete_archive = deletes_archive(table);
    let is_told = if delete_archive { has_archive } else { table.definition().ok()?.continuous_backups.is_some() };
    if !is_told {
        return None;
    }
    let now_ms = u64::try_from(now.as_millisecond()).unwrap_or_default();
    let backup_id = backup_id(now_ms, uuid::Uuid::new_v4().as_fields().0);
    let (account, table_name) = (table.account(), table.table_name());
    let table_arn = TableArn { region, account: &account, table_name: &table_name };
    let backup_arn = BackupArn { table: table_arn, backup_id: &backup_id }.to_string();
    Some(LastBackup { backup_id, backup_arn, table_name, requested_at: Time(now), delete_archive })
}

/// Every partition of the table and of its indexes.
fn drops(table: &Table, group: &StorageGroup, last_backup: Option<&LastBackup>, now: Timestamp) -> Vec<PendingDrop> {
    let Some(status) = &table.status else { return Vec::new() };
    let Some(table_id) = &status.table_id else { return Vec::new() };
    let is_loading = status.restore.as_ref().is_some_and(|restore| restore.restore_in_progress)
        || status.import.as_ref().is_some_and(ImportStatus::is_in_progress);
    let loading_until = now.checked_add(LOAD_AGE_MAX).ok().filter(|_| is_loading).map(Time);
    let of_table = status.placements.iter().flatten().map(|placement| PendingDrop {
        last_backup: last_backup.cloned(),
        loading_until: loading_until.clone(),
        deleted_at: Some(Time(now)),
        ..drop_of(placement, table_id, group)
    });
    let of_indexes = status.global_secondary_indexes.iter().flat_map(|entry| ending::of(entry, group));
    of_table.chain(of_indexes).collect()
}

/// A partition on every node of the group: a replica may have moved since the partition was placed.
pub fn drop_of(placement: &Placement, table_id: &str, group: &StorageGroup) -> PendingDrop {
    let nodes = group.status.iter().flat_map(|status| &status.nodes).filter_map(|node| node.node_id.clone());
    let members = placement.members.iter().map(|member| member.node_id.clone());
    let mut nodes: Vec<_> = nodes.chain(members).collect();
    nodes.sort();
    nodes.dedup();
    PendingDrop {
        partition_id: placement.partition_id.clone(),
        table_id: table_id.to_owned(),
        nodes,
        last_backup: None,
        loading_until: None,
        deleted_at: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::table::{adoption, fixture};
    use cairn_crds::{
        StorageGroupStatus, TableResourceStatus,
        storage_group::StorageNodeStatus,
        table::{ContinuousBackups, GlobalSecondaryIndexStatus},
    };
    use cairn_model::ids::NodeId;
    use serde_json::json;
    use std::sync::Arc;

    #[test]
    fn every_node_of_the_group_is_told_to_drop_a_deleted_tables_data() {
        let answers: Vec<_> = fixture::reports_of_one_table(3).into_iter().map(Some).collect::<Vec<Option<Arc<_>>>>();
        let held = adoption::held("game", "users", &answers, &[]).remove(0);
        let mut table = fixture::table("users");
        table.status = Some(TableResourceStatus {
            table_id: Some(fixture::table_id().to_string()),
            placements: Some(adoption::placements(&held)),
            ..TableResourceStatus::default()
        });
        let mut group = StorageGroup::new("default", crate::build::fixture::spec());
        group.status = Some(StorageGroupStatus {
            nodes: vec![StorageNodeStatus {
                node_id: Some(NodeId([9; 16]).to_string()),
                zone: "zone-a".into(),
                address: "elsewhere:7400".into(),
                ready: true,
            }],
            ..StorageGroupStatus::default()
        });
        let drops = drops(&table, &group, None, Timestamp::UNIX_EPOCH);
        assert_eq!(drops.len(), 1);
        assert_eq!(drops[0].nodes, [1, 2, 3, 9].map(|id| NodeId([id; 16]).to_string()));
        assert_eq!(drops[0].deleted_at, Some(Time(Timestamp::UNIX_EPOCH)), "its streams are kept for a while");
    }

    #[test]
    fn the_data_of_indexes_goes_with_their_table() {
        let answers: Vec<_> = fixture::reports_of_one_table(3).into_iter().map(Some).collect::<Vec<Option<Arc<_>>>>();
        let placements = adoption::placements(&adoption::held("game", "users", &answers, &[])[0]);
        let index = GlobalSecondaryIndexStatus::new(&fixture::global_index("by-team", 0), placements);
        let mut table = fixture::table("users");
        table.status = Some(TableResourceStatus {
            table_id: Some(fixture::table_id().to_string()),
            global_secondary_indexes: vec![index],
            ..TableResourceStatus::default()
        });
        let group = StorageGroup::new("default", crate::build::fixture::spec());
        let drops = drops(&table, &group, None, Timestamp::UNIX_EPOCH);
        assert_eq!((drops.len(), drops[0].table_id.clone()), (1, fixture::index_id().to_string()));
        assert_eq!(drops[0].deleted_at, None, "an index has no streams");
    }

    #[test]
    fn a_table_that_was_never_placed_leaves_nothing() {
        let group = StorageGroup::new("default", crate::build::fixture::spec());
        assert!(drops(&fixture::table("users"), &group, None, Timestamp::UNIX_EPOCH).is_empty());
    }

    #[test]
    fn a_table_leaves_a_backup_if_it_was_made_and_its_recovery_is_on() {
        let now = Timestamp::from_millisecond(1_550_000_000_000).unwrap();
        let mut table = fixture::table("users");
        table.spec.continuous_backups = Some(ContinuousBackups::of_period(Some(7)));
        let status = json!({
            "tableId": fixture::table_id(), "creationDateTime": "2019-01-01T00:00:00Z",
            "continuousBackups": {"enabledAt": "2019-01-01T00:00:00Z"},
        });
        table.status = Some(serde_json::from_value(status).unwrap());
        assert_eq!(last_backup(&table, true, "east", now), None, "it was never made");
        table.status.as_mut().unwrap().schema_version = Some(1);
        let backup = last_backup(&table, true, "east", now).unwrap();
        assert!(backup.backup_id.starts_with("01550000000000-"), "{backup:?}");
        let arn = BackupArn::parse(&backup.backup_arn).unwrap();
        assert_eq!((arn.table.account, arn.table.table_name, arn.backup_id), ("game", "users", &*backup.backup_id));
        table.spec.continuous_backups = None;
        assert_eq!(last_backup(&table, true, "east", now), None, "its recovery is off");
    }

    #[test]
    fn a_table_whose_policy_says_so_leaves_nothing_in_the_bucket() {
        let mut table = fixture::table("users");
        table.spec.deletion_policy = Some(DeletionPolicy::Delete);
        table.status = Some(TableResourceStatus { schema_version: Some(1), ..TableResourceStatus::default() });
        assert!(last_backup(&table, true, "east", Timestamp::UNIX_EPOCH).unwrap().delete_archive);
        assert_eq!(last_backup(&table, false, "east", Timestamp::UNIX_EPOCH), None, "there is no archive");
    }
}
