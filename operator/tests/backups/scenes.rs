//! Backups, from being asked for to their end.

use crate::{
    scene::{Scene, create, report, wait_reason},
    support::{World, api_server::ApiServer, wait},
};
use cairn_crds::Backup;
use cairn_model::{
    archive::{ArchiveCall, ArchiveRefusal, BackupState, BackupType},
    node::ReplicaState,
};
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, ResourceExt, api::DeleteParams};
use serde_json::json;

const DAY: i64 = 86_400;

pub(crate) async fn a_backup_is_made_by_the_archive_beside_the_leader_and_tells_how_far_it_is(server: &ApiServer) {
    let scene = Scene::new(server, "making").await;
    scene.bucket().bytes_done = Some(259);
    let spec = json!({"tableName": "users", "backupName": "Weekly", "retainDays": 7, "deletionPolicy": "Retain"});
    let created = scene.create("weekly", spec).await;
    let status = scene.wait_status("weekly", |status| status.progress.as_deref() == Some("37%")).await;
    let arn = format!("arn:aws:dynamodb:east:making:table/users/backup/{}", created.backup_id().unwrap());
    assert_eq!((status.backup_status, status.backup_arn), (Some(BackupState::Creating), Some(arn.clone())));
    assert_eq!((status.backup_size_bytes, status.item_count), (None, None));

    scene.bucket().bytes_done = None;
    scene.wait_reason("weekly", "Ready").await;
    let status = scene.wait_status("weekly", |status| status.backup_status == Some(BackupState::Available)).await;
    assert_eq!((status.backup_size_bytes, status.item_count, status.table_size_bytes), (Some(350), Some(7), Some(700)));
    assert_eq!((status.progress, status.storage_group.as_deref()), (None, Some("default")));
    let made = created.creation_timestamp().unwrap().0;
    assert_eq!(status.backup_creation_date_time.unwrap().0, made);
    assert_eq!(status.backup_expiry_date_time.unwrap().0.duration_since(made).as_secs(), 7 * DAY);

    let leader = scene.world.fleet.with(|nodes| {
        let leads = |state: &ReplicaState| *state == ReplicaState::Leader;
        nodes.iter().find(|(_, node)| node.replicas.iter().any(|replica| leads(&replica.state))).unwrap().0.clone()
    });
    let bucket = scene.bucket();
    let beside = leader.replace(":7400", ":7401");
    assert!(bucket.calls.iter().all(|(address, _)| *address == beside), "{:?}", bucket.calls);
    let Some((_, ArchiveCall::CreateBackup { backup, .. })) = bucket.calls.first() else { panic!() };
    assert_eq!((backup.name.as_str(), backup.backup_type, &backup.arn), ("Weekly", BackupType::User, &arn));
}

pub(crate) async fn a_backup_without_a_table_or_an_archive_says_what_to_do(server: &ApiServer) {
    let world = World::new(server, "without").await;
    create(&world, "nightly", json!({"tableName": "users", "deletionPolicy": "Retain"})).await;
    assert!(wait_reason(&world, "nightly", "TableMissing").await.contains("users"));
    world.create_table("users", "").await;
    let message = wait_reason(&world, "nightly", "ArchiveMissing").await;
    assert!(message.contains("StorageGroup default") && message.contains("spec.archive"), "{message}");
    assert!(world.api::<Backup>().get("nightly").await.unwrap().status.unwrap().backup_arn.is_none());
}

pub(crate) async fn a_leader_that_moves_is_found_anew(server: &ApiServer) {
    let scene = Scene::new(server, "moving").await;
    scene.bucket().refusal = Some(ArchiveRefusal::NotLeader);
    scene.create("nightly", json!({"tableName": "users"})).await;
    scene.wait_reason("nightly", "LeaderMoved").await;
    let leader = scene.world.fleet.with(|nodes| {
        let mut replicas: Vec<_> =
            nodes.iter_mut().map(|(address, node)| (address.clone(), &mut node.replicas[0])).collect();
        let (_, first) = replicas.iter_mut().find(|(_, replica)| replica.state == ReplicaState::Leader).unwrap();
        first.state = ReplicaState::Follower;
        let first = first.replica_id;
        let (address, second) = replicas.iter_mut().find(|(_, replica)| replica.replica_id != first).unwrap();
        second.state = ReplicaState::Leader;
        second.term += 1;
        address.clone()
    });
    scene.bucket().refusal = None;
    scene.wait_reason("nightly", "Ready").await;
    assert_eq!(scene.bucket().calls.last().unwrap().0, leader.replace(":7400", ":7401"));
}

pub(crate) async fn a_backup_that_fails_says_why_and_is_tried_again(server: &ApiServer) {
    let scene = Scene::new(server, "failing").await;
    scene.bucket().refusal = Some(ArchiveRefusal::Failed);
    scene.create("nightly", json!({"tableName": "users"})).await;
    assert!(scene.wait_reason("nightly", "BackupFailed").await.contains("out of order"));
    scene.bucket().refusal = None;
    scene.wait_reason("nightly", "Ready").await;
}

pub(crate) async fn a_backup_is_adopted_from_the_bucket(server: &ApiServer) {
    let scene = Scene::new(server, "adopting").await;
    let arn = "arn:aws:dynamodb:west:shop:table/Orders/backup/01700000000000-abcdef12";
    scene.create("orders", json!({"fromArchive": {"backupArn": arn}})).await;
    assert!(scene.wait_reason("orders", "BackupMissing").await.contains(arn));
    let elsewhere = scene.made("nightly", "Retain").await;
    let mut order = scene.bucket().backups[&elsewhere.backup_id().unwrap()].order.clone();
    order.definition.table_name = "Orders".into();
    order.arn = arn.into();
    scene.bucket().backups.insert("01700000000000-abcdef12".into(), report(order));
    scene.pass::<Backup>("orders", 0).await;
    scene.wait_reason("orders", "Ready").await;
    let status = scene.wait_status("orders", |status| status.backup_status == Some(BackupState::Available)).await;
    assert_eq!((status.backup_arn.as_deref(), status.table_name.as_deref()), (Some(arn), Some("Orders")));
    let bucket = scene.bucket();
    let owners = bucket.calls.iter().filter_map(|(_, call)| match call {
        ArchiveCall::DescribeBackup { owner, .. } => owner.clone(),
        _ => None,
    });
    let owners: Vec<_> = owners.collect();
    assert!(!owners.is_empty() && owners.iter().all(|owner| owner.region == "west" && owner.account == "shop"));
}

pub(crate) async fn a_backup_of_another_account_is_never_deleted(server: &ApiServer) {
    let scene = Scene::new(server, "foreign").await;
    let arn = "arn:aws:dynamodb:east:shop:table/Orders/backup/01700000000000-abcdef12";
    scene.create("orders", json!({"fromArchive": {"backupArn": arn}, "deletionPolicy": "Delete"})).await;
    assert!(scene.wait_reason("orders", "ForeignBackup").await.contains("spec.deletionPolicy"));
    scene.delete("orders").await;
    scene.wait_gone("orders").await;
    assert_eq!(scene.bucket().deletions(), 0);
}

pub(crate) async fn a_retained_backup_stays_in_the_bucket(server: &ApiServer) {
    let scene = Scene::new(server, "retain").await;
    let backup = scene.made("nightly", "Retain").await;
    scene.delete("nightly").await;
    scene.wait_gone("nightly").await;
    assert!(scene.bucket().backups.contains_key(&backup.backup_id().unwrap()));
    assert_eq!(scene.bucket().deletions(), 0);
}

pub(crate) async fn a_deleted_backup_goes_from_the_bucket(server: &ApiServer) {
    let scene = Scene::new(server, "remove").await;
    scene.made("nightly", "Delete").await;
    scene.bucket().refusal = Some(ArchiveRefusal::InUse);
    scene.delete("nightly").await;
    assert!(scene.wait_event("BackupInUse").await.contains("out of order"));
    scene.pass::<Backup>("nightly", 60).await;
    assert!(scene.world.api::<Backup>().get_opt("nightly").await.unwrap().is_some(), "a restore still reads it");
    scene.bucket().refusal = None;
    scene.pass::<Backup>("nightly", 1).await;
    scene.wait_gone("nightly").await;
    assert!(scene.bucket().backups.is_empty());
}

pub(crate) async fn no_resource_waits_for_a_bucket(server: &ApiServer) {
    let scene = Scene::new(server, "silent").await;
    let backup = scene.made("nightly", "Delete").await;
    scene.bucket().refusal = Some(ArchiveRefusal::Failed);
    scene.delete("nightly").await;
    scene.wait_event("DeletionFailed").await;
    scene.pass::<Backup>("nightly", 30).await;
    scene.wait_gone("nightly").await;
    let note = scene.wait_event("ObjectsStay").await;
    assert!(note.contains(&backup.status.unwrap().backup_arn.unwrap()), "{note}");
}

pub(crate) async fn no_namespace_waits_for_a_bucket(server: &ApiServer) {
    let scene = Scene::new(server, "ending").await;
    scene.made("nightly", "Delete").await;
    let namespaces: Api<Namespace> = Api::all(server.client.clone());
    namespaces.delete("ending", &DeleteParams::default()).await.unwrap();
    scene.delete("nightly").await;
    scene.wait_gone("nightly").await;
    assert_eq!(scene.bucket().deletions(), 0);
}

pub(crate) async fn a_backup_goes_when_its_time_is_over(server: &ApiServer) {
    let scene = Scene::new(server, "expiring").await;
    scene.create("nightly", json!({"tableName": "users", "retainDays": 2})).await;
    scene.wait_reason("nightly", "Ready").await;
    scene.pass::<Backup>("nightly", DAY).await;
    let versions = scene.world.api::<Backup>();
    assert!(versions.get("nightly").await.unwrap().metadata.deletion_timestamp.is_none());
    scene.pass::<Backup>("nightly", DAY).await;
    scene.wait_gone("nightly").await;
    let bucket = scene.bucket();
    assert_eq!((bucket.deletions(), bucket.backups.len()), (0, 1));
}

pub(crate) async fn a_backup_whose_time_is_over_is_left_to_the_buckets_clock(server: &ApiServer) {
    let scene = Scene::new(server, "overdue").await;
    scene.create("nightly", json!({"tableName": "users", "retainDays": 2, "deletionPolicy": "Delete"})).await;
    scene.wait_reason("nightly", "Ready").await;
    scene.pass::<Backup>("nightly", 2 * DAY).await;
    scene.wait_gone("nightly").await;
    let bucket = scene.bucket();
    assert_eq!((bucket.deletions(), bucket.backups.len()), (0, 1), "the operator's clock may be wrong");
}

pub(crate) async fn a_backup_that_is_found_again_is_available_again(server: &ApiServer) {
    let scene = Scene::new(server, "returning").await;
    scene.made("nightly", "Retain").await;
    let there = std::mem::take(&mut scene.bucket().backups);
    scene.pass::<Backup>("nightly", 601).await;
    wait("the first look", || async { (scene.bucket().calls.len() > 1).then_some(()) }).await;
    assert!(scene.found_gone("nightly").await.contains("spec.archive"));
    scene.bucket().backups = there;
    scene.pass::<Backup>("nightly", 601).await;
    scene.wait_status("nightly", |status| status.backup_status == Some(BackupState::Available)).await;
    scene.wait_reason("nightly", "Ready").await;
}

pub(crate) async fn a_backup_is_gone_only_when_the_bucket_says_so_twice(server: &ApiServer) {
    let scene = Scene::new(server, "vanishing").await;
    scene.made("nightly", "Retain").await;
    let asked = || scene.bucket().calls.len();
    let look = |seconds: i64| {
        let before = asked();
        let scene = &scene;
        async move {
            scene.pass::<Backup>("nightly", seconds).await;
            wait("the backup to be looked for", || async { (scene.bucket().calls.len() > before).then_some(()) }).await;
        }
    };
    scene.bucket().refusal = Some(ArchiveRefusal::Failed);
    look(601).await;
    scene.bucket().refusal = None;
    let lost = std::mem::take(&mut scene.bucket().backups);
    look(601).await;
    scene.bucket().backups = lost;
    look(61).await;
    scene.wait_reason("nightly", "Ready").await;
    scene.bucket().backups.clear();
    look(601).await;
    assert!(scene.found_gone("nightly").await.contains("delete this resource"));
    let status = scene.wait_status("nightly", |status| status.backup_status == Some(BackupState::Deleted)).await;
    assert!(status.backup_arn.is_some());
}

pub(crate) async fn a_finding_that_another_write_got_ahead_of_is_made_again_at_once(server: &ApiServer) {
    let scene = Scene::new(server, "overtaken").await;
    scene.made("nightly", "Retain").await;
    scene.bucket().backups.clear();
    scene.pass::<Backup>("nightly", 601).await;
    wait("the first look", || async { (scene.bucket().calls.len() > 1).then_some(()) }).await;
    scene.bucket().meanwhile = Some((scene.world.api::<Backup>(), "nightly"));
    scene.found_gone("nightly").await;
    assert!(scene.bucket().meanwhile.is_none());
}
