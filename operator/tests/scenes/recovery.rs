//! Tables with point-in-time recovery, tables made of another's past or of a backup, and what deleted tables leave.

use crate::{
    merge,
    support::{
        World,
        api_server::ApiServer,
        bucket::{Bucket, RESTORED_ITEMS},
        wait,
    },
};
use cairn_crds::{ADOPT_ANNOTATION, Backup, DROP_WITHOUT_BACKUP_ANNOTATION, StorageGroup, Table, TableResourceStatus};
use cairn_model::{
    archive::{ArchiveRefusal, BackupType},
    ids::TableId,
    table::{KeyAttribute, KeySchema, ScalarType, TableDefinition},
};
use k8s_openapi::api::events::v1::Event;
use kube::{
    Api,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::json;
use std::time::Duration;

const DEFAULTS: &str = "{volume: {size: 1Gi}, archive: {url: 's3://tables'}}";
const RECOVERY: &str = ", continuousBackups: {pointInTimeRecoveryEnabled: true, recoveryPeriodInDays: 7}";
const FROM_OLD: &str = ", restoreFrom: {table: old, latest: true}";

pub(crate) async fn play(server: &ApiServer) {
    recovery_is_turned_on_and_off(server).await;
    recovery_waits_for_an_archive(server).await;
    a_table_is_restored_and_says_how_far_it_is(server).await;
    a_restore_that_can_not_be_leaves_nothing_behind(server).await;
    what_is_loaded_for_a_deleted_table_goes(server).await;
    a_backup_is_restored_by_its_resource(server).await;
    a_deleted_table_leaves_a_backup_before_its_data_goes(server).await;
    a_table_whose_policy_says_so_leaves_nothing_in_the_bucket(server).await;
    a_table_that_can_not_delete_what_it_leaves_says_so(server).await;
    a_last_backup_that_can_not_be_made_is_given_up_by_a_person(server).await;
    a_restored_table_is_adopted_and_never_restored_again(server).await;
}

async fn world(server: &ApiServer, namespace: &str) -> (World, Bucket) {
    let world = World::with_defaults(server, namespace, DEFAULTS, &[]).await;
    let bucket = Bucket::default();
    bucket.serve(&world.fleet);
    (world, bucket)
}

/// The table `old` as the bucket has it.
fn old(account: &str, key_type: ScalarType) -> TableDefinition {
    TableDefinition {
        schema_version: 4,
        ..TableDefinition::new(
            account,
            "old",
            TableId([9; 16]),
            KeySchema { partition: KeyAttribute { name: "Id".into(), scalar_type: key_type }, sort: None },
        )
    }
}

async fn status(world: &World, table: &str) -> TableResourceStatus {
    world.table(table).await.status.unwrap_or_default()
}

/// Waits until the table's condition ContinuousBackups has the reason; answers with its status and message.
async fn wait_recovery(world: &World, table: &str, reason: &str) -> (String, String) {
    wait(&format!("ContinuousBackups to be {reason}"), || async {
        let conditions = status(world, table).await.conditions;
        let found = conditions.into_iter().find(|c| c.type_ == "ContinuousBackups" && c.reason == reason);
        found.map(|condition| (condition.status, condition.message))
    })
    .await
}

/// What the nodes keep of the one table they hold.
fn held(world: &World) -> Option<TableDefinition> {
    world.fleet.with(|nodes| nodes.values().find_map(|node| node.replicas.first().map(|r| r.definition.clone())))
}

fn replicas_held(world: &World) -> usize {
    world.fleet.with(|nodes| nodes.values().map(|node| node.replicas.len()).sum())
}

async fn recovery_is_turned_on_and_off(server: &ApiServer) {
    let (world, _bucket) = world(server, "recovery").await;
    world.create_table("users", RECOVERY).await;
    world.wait_active("users").await;
    let (is_true, _) = wait_recovery(&world, "users", "Shipping").await;
    assert_eq!(is_true, "True");
    let table = world.table("users").await;
    let on = table.status.as_ref().unwrap().continuous_backups.clone().unwrap();
    assert!(on.latest_restorable_date_time.is_some() && on.windows.is_empty(), "{on:?}");
    assert_eq!(held(&world).unwrap(), table.definition().unwrap(), "routers and nodes know the same");
    assert_eq!(held(&world).unwrap().continuous_backups.unwrap().recovery_period_days, 7);

    let off = json!({"spec": {"continuousBackups": {"pointInTimeRecoveryEnabled": false}}});
    merge(&world.api::<Table>(), "users", off).await;
    wait("recovery to be off", || async {
        let status = status(&world, "users").await;
        let is_off = status.continuous_backups.is_none() && held(&world).unwrap().continuous_backups.is_none();
        (is_off && status.conditions.iter().all(|c| c.type_ != "ContinuousBackups")).then_some(())
    })
    .await;
}

async fn recovery_waits_for_an_archive(server: &ApiServer) {
    let world = World::new(server, "no-archive").await;
    Bucket::default().serve(&world.fleet);
    world.create_table("users", RECOVERY).await;
    world.wait_reason("users", "Ready").await;
    let (is_true, message) = wait_recovery(&world, "users", "ArchiveMissing").await;
    assert_eq!(is_true, "False");
    assert!(message.contains("no-archive/default") && message.contains("spec.archive"), "{message}");
    assert_eq!(held(&world).unwrap().continuous_backups, None);
    merge(&world.api::<StorageGroup>(), "default", json!({"spec": {"archive": {"url": "s3://tables"}}})).await;
    wait_recovery(&world, "users", "Shipping").await;
    assert!(held(&world).unwrap().continuous_backups.is_some());
}

async fn a_table_is_restored_and_says_how_far_it_is(server: &ApiServer) {
    let (world, bucket) = world(server, "restore").await;
    bucket.with(|contents| contents.source = Some(Ok(old("restore", ScalarType::S))));
    world.create_table("users", FROM_OLD).await;
    let message = world.wait_reason("users", "Restoring").await;
    assert_eq!(message, "37% of 100 bytes are loaded");
    let restoring = wait("the progress", || async {
        let status = status(&world, "users").await;
        status.restore.as_ref()?.progress.is_some().then_some(status)
    })
    .await;
    let restore = restoring.restore.unwrap();
    assert_eq!((restore.progress.as_deref(), restore.restore_in_progress), (Some("37%"), true));
    assert_eq!(replicas_held(&world), 0, "nothing is made empty");

    bucket.with(|contents| contents.failure = Some("the disk is full".into()));
    assert_eq!(world.wait_reason("users", "RestoreFailed").await, "the disk is full");
    let loads = bucket.with(|contents| {
        contents.failure = None;
        contents.finishes = true;
        contents.loads
    });
    assert!(loads < 30, "a load is asked after about once a second: {loads}");
    let table = world.wait_active("users").await;
    let done = table.status.clone().unwrap();
    assert_eq!(done.item_count, i64::try_from(RESTORED_ITEMS).ok());
    let restore = done.restore.unwrap();
    assert_eq!((restore.progress, restore.restore_in_progress), (None, false));
    let held = held(&world).unwrap();
    assert_eq!(held, table.definition().unwrap());
    let from = held.restored_from.unwrap();
    assert_eq!(from.source_table_arn.as_deref(), Some("arn:aws:dynamodb:east:restore:table/old"));
    assert_eq!(from.restore_time_ms, 1_763_719_200_123);
}

async fn a_restore_that_can_not_be_leaves_nothing_behind(server: &ApiServer) {
    let (world, bucket) = world(server, "refused").await;
    let tables = world.api::<Table>();
    let without_archive =
        "{apiVersion: cairn.dev/v1alpha1, kind: StorageGroup, metadata: {name: bare}, spec: {volume: {size: 1Gi}}}";
    let groups = world.api::<StorageGroup>();
    groups.create(&PostParams::default(), &serde_yaml_ng::from_str(without_archive).unwrap()).await.unwrap();
    for (source, group, reason, told) in [
        (None, "default", "RestoreSourceMissing", "no such table"),
        (Some(Err(ArchiveRefusal::NotRestorable)), "default", "NotRestorable", "10:00 to 10:05"),
        (Some(Err(ArchiveRefusal::Failed)), "default", "ArchiveFailed", "10:00 to 10:05"),
        (Some(Ok(old("refused", ScalarType::N))), "default", "RestoreMismatch", "spec.attributeDefinitions"),
        (Some(Ok(old("refused", ScalarType::S))), "bare", "ArchiveMissing", "refused/bare"),
    ] {
        bucket.with(|contents| contents.source = source);
        world.create_table("users", &format!("{FROM_OLD}, storageGroup: {group}")).await;
        let message = world.wait_reason("users", reason).await;
        assert!(message.contains(told), "{message}");
        let status = status(&world, "users").await;
        assert!(status.placements.is_none() && status.restore.is_none() && status.table_id.is_none(), "{status:?}");
        tables.delete("users", &DeleteParams::default()).await.unwrap();
        wait("the table to go", || async { tables.get_opt("users").await.unwrap().is_none().then_some(()) }).await;
    }
    bucket.with(|contents| contents.finishes = true);
    world.create_table("users", FROM_OLD).await;
    world.wait_active("users").await;
}

async fn what_is_loaded_for_a_deleted_table_goes(server: &ApiServer) {
    let (world, bucket) = world(server, "too-late").await;
    bucket.with(|contents| contents.source = Some(Ok(old("too-late", ScalarType::S))));
    world.create_table("users", FROM_OLD).await;
    world.wait_reason("users", "Restoring").await;
    let tables = world.api::<Table>();
    tables.delete("users", &DeleteParams::default()).await.unwrap();
    wait("the table to go", || async { tables.get_opt("users").await.unwrap().is_none().then_some(()) }).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    bucket.finish(&world.fleet);
    wait("the data to be dropped", || async { (replicas_held(&world) == 0).then_some(()) }).await;
}

async fn a_backup_is_restored_by_its_resource(server: &ApiServer) {
    let (world, bucket) = world(server, "by-name").await;
    bucket.with(|contents| {
        contents.source = Some(Ok(old("by-name", ScalarType::S)));
        contents.finishes = true;
    });
    world.create_table("users", ", restoreFrom: {backup: nightly}").await;
    assert!(world.wait_reason("users", "RestoreSourceMissing").await.contains("by-name/nightly"));
    let backup = "{apiVersion: cairn.dev/v1alpha1, kind: Backup, metadata: {name: nightly}, spec: {tableName: old}}";
    let backups = world.api::<Backup>();
    backups.create(&PostParams::default(), &serde_yaml_ng::from_str(backup).unwrap()).await.unwrap();
    world.wait_reason("users", "BackupNotAvailable").await;
    let arn = "arn:aws:dynamodb:east:by-name:table/old/backup/01550000000000-abcdef12";
    let made = json!({"status": {"backupStatus": "AVAILABLE", "backupArn": arn}});
    backups.patch_status("nightly", &PatchParams::default(), &Patch::Merge(&made)).await.unwrap();
    world.wait_active("users").await;
}

async fn a_deleted_table_leaves_a_backup_before_its_data_goes(server: &ApiServer) {
    let (world, bucket) = world(server, "leaves").await;
    world.create_table("users", RECOVERY).await;
    let id = world.wait_active("users").await.status.unwrap().table_id.unwrap();
    bucket.with(|contents| contents.failure = Some("the bucket is full".into()));
    let tables = world.api::<Table>();
    tables.delete("users", &DeleteParams::default()).await.unwrap();
    wait("the table to go", || async { tables.get_opt("users").await.unwrap().is_none().then_some(()) }).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(replicas_held(&world), 3, "the data waits for its backup");
    bucket.with(|contents| contents.failure = None);
    wait("the data to be dropped", || async {
        let left = world.group("default").await.status.unwrap().pending_drops;
        (left.is_empty() && replicas_held(&world) == 0).then_some(())
    })
    .await;
    bucket.with(|contents| {
        let order = contents.backups.values().next().unwrap();
        assert_eq!((order.name.as_str(), order.backup_type), ("users$DeletedTableBackup", BackupType::System));
        assert_eq!((contents.backups.len(), order.definition.table_id.to_string()), (1, id.clone()));
        assert_eq!(contents.deleted, [(order.definition.table_id, false)]);
    });
}

async fn a_table_whose_policy_says_so_leaves_nothing_in_the_bucket(server: &ApiServer) {
    let (world, bucket) = world(server, "leaves-nothing").await;
    world.create_table("users", &format!("{RECOVERY}, deletionPolicy: Delete")).await;
    let id = world.wait_active("users").await.status.unwrap().table_id.unwrap();
    world.api::<Table>().delete("users", &DeleteParams::default()).await.unwrap();
    wait("the data to be dropped", || async { (replicas_held(&world) == 0).then_some(()) }).await;
    bucket.with(|contents| {
        assert!(contents.backups.is_empty());
        assert_eq!(contents.deleted, [(id.parse().unwrap(), true)]);
    });
}

async fn a_table_that_can_not_delete_what_it_leaves_says_so(server: &ApiServer) {
    let (world, _bucket) = world(server, "left-behind").await;
    world.create_table("users", &format!("{RECOVERY}, deletionPolicy: Delete")).await;
    world.wait_active("users").await;
    merge(&world.api::<StorageGroup>(), "default", json!({"spec": {"archive": null}})).await;
    world.api::<Table>().delete("users", &DeleteParams::default()).await.unwrap();
    let events: Api<Event> = Api::namespaced(server.client.clone(), "left-behind");
    wait("the event", || async {
        let listed = events.list(&ListParams::default()).await.unwrap();
        listed.into_iter().any(|event| event.reason.as_deref() == Some("ArchiveLeft")).then_some(())
    })
    .await;
}

async fn a_last_backup_that_can_not_be_made_is_given_up_by_a_person(server: &ApiServer) {
    let (world, bucket) = world(server, "given-up").await;
    world.create_table("users", RECOVERY).await;
    let id = world.wait_active("users").await.status.unwrap().table_id.unwrap();
    let groups = world.api::<StorageGroup>();
    merge(&groups, "default", json!({"spec": {"archive": null}})).await;
    wait_recovery(&world, "users", "ArchiveMissing").await;
    world.api::<Table>().delete("users", &DeleteParams::default()).await.unwrap();
    let message = wait("the group to tell of the backup", || async {
        let conditions = world.group("default").await.status.unwrap().conditions;
        let pending = conditions.into_iter().find(|c| c.type_ == "LastBackupPending" && c.status == "True");
        pending.map(|condition| condition.message)
    })
    .await;
    assert!(message.contains(&format!("{DROP_WITHOUT_BACKUP_ANNOTATION}={id}")), "{message}");
    assert_eq!(replicas_held(&world), 3);
    merge(&groups, "default", json!({"metadata": {"annotations": {DROP_WITHOUT_BACKUP_ANNOTATION: id}}})).await;
    wait("the data to be dropped", || async { (replicas_held(&world) == 0).then_some(()) }).await;
    assert!(bucket.with(|contents| contents.backups.is_empty()));
}

async fn a_restored_table_is_adopted_and_never_restored_again(server: &ApiServer) {
    let (world, bucket) = world(server, "again").await;
    bucket.with(|contents| {
        contents.source = Some(Ok(old("again", ScalarType::S)));
        contents.finishes = true;
    });
    let both = format!("{FROM_OLD}{RECOVERY}");
    world.create_table("users", &both).await;
    let id = world.wait_active("users").await.status.unwrap().table_id.unwrap();
    let before = held(&world).unwrap();
    assert!(before.restored_from.is_some() && before.continuous_backups.is_some(), "{before:?}");
    // As after an emptied etcd, in which the manifest is applied again: the Table is new, and the nodes are as they were.
    let fleet = world.fleet.clone();
    drop(world);
    let tables: Api<Table> = Api::namespaced(server.client.clone(), "again");
    merge(&tables, "users", json!({"metadata": {"finalizers": null}})).await;
    tables.delete("users", &DeleteParams::default()).await.unwrap();
    let loads = bucket.with(|contents| contents.loads);
    let world = World::resume(server, "again", fleet);
    world.create_table("users", &both).await;
    assert!(world.wait_reason("users", "AdoptionRequired").await.contains(&id));
    merge(&tables, "users", json!({"metadata": {"annotations": {ADOPT_ANNOTATION: id}}})).await;
    let table = world.wait_active("users").await;
    let status = table.status.clone().unwrap();
    assert_eq!((status.table_id, status.item_count), (Some(id), i64::try_from(RESTORED_ITEMS).ok()));
    assert!(!status.restore.unwrap().restore_in_progress);
    assert_eq!(bucket.with(|contents| contents.loads), loads, "nothing is loaded again");
    assert_eq!((&held(&world).unwrap(), &table.definition().unwrap()), (&before, &before), "all is as it was");
}
