//! A bucket that comes and goes, and keys that change.

use super::{Beside, eventually};
use crate::{
    archive::{past::path_of, service::BucketSettings, testing::ACCOUNT},
    environment,
};
use cairn_archive::{ArchiveConfig, Bucket, restore};
use cairn_model::{
    archive::{ArchiveOwner, ArchiveRefusal, RestoreTime},
    ids::TableId,
};
use std::{path::Path, sync::Arc, time::Duration};

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_not_there_is_told_of_by_its_setting_and_used_once_it_is() {
    // A file is where the bucket's folder should be.
    let occupy = |folder: &Path| std::fs::write(folder.join("bucket"), "").unwrap();
    let beside = Beside::start_with(|node| node.adopter(), occupy).await;
    let users = beside.node.create_table("users", 7).await;
    eventually(async || beside.report().await.unreachable.is_some_and(|why| why.contains("url:"))).await;
    let report = beside.report().await;
    assert_eq!(report.tables[0].table_id, TableId([7; 16]));
    let (reason, message) = beside.resolve_name("users", RestoreTime::Latest).await.unwrap_err();
    assert_eq!((reason, Some(message)), (ArchiveRefusal::Failed, report.unreachable));
    assert_eq!(beside.create_backup(users, "0001-a").await, Err(ArchiveRefusal::Failed));
    std::fs::remove_file(beside.folder.path().join("bucket")).unwrap();
    beside.shipped().await;
    assert_eq!(beside.report().await.unreachable, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_goes_away_is_told_of_until_it_is_back() {
    let beside = Beside::start().await;
    beside.reachable().await;
    let (bucket, away) = (beside.folder.path().join("bucket"), beside.folder.path().join("away"));
    std::fs::rename(&bucket, &away).unwrap();
    std::fs::write(&bucket, "").unwrap();
    eventually(async || beside.report().await.unreachable.is_some()).await;
    std::fs::remove_file(&bucket).unwrap();
    std::fs::rename(&away, &bucket).unwrap();
    beside.reachable().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_change_open_the_bucket_anew() {
    let beside = Beside::start().await;
    beside.reachable().await;
    let shipper = beside.reach.shipper().unwrap();
    let credentials = beside.folder.path().join("credentials");
    std::fs::create_dir(&credentials).unwrap();
    std::fs::write(credentials.join("accessKeyId"), "AKIA\n").unwrap();
    eventually(async || beside.reach.shipper().is_some_and(|other| !Arc::ptr_eq(&shipper, &other))).await;
}

#[tokio::test]
async fn credentials_that_are_missing_are_named_and_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let config = ArchiveConfig { url: "s3://backups".into(), ..ArchiveConfig::default() };
    let settings = BucketSettings { config, credentials_dir: Some(folder.path().to_owned()) };
    std::fs::write(folder.path().join("accessKeyId"), "AKIA").unwrap();
    std::fs::write(folder.path().join("secretAccessKey"), "\n").unwrap();
    let why = settings.open(&settings.read()).await.unwrap_err();
    assert!(why.starts_with("secret_access_key: ") && why.contains("secretAccessKey is not there"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_committed_last_is_shipped_when_it_stops() {
    let beside = Beside::start().await;
    let users = beside.node.create_table("users", 7).await;
    beside.shipped().await;
    beside.node.put(users, 1, 10).await;
    let written_ms = environment::wall_ms();
    // The clocks of a group may differ by a little: that far behind its own, a node closes.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    beside.stop.send(true).unwrap();
    beside.keeping.await.unwrap();
    let url = format!("file://{}/bucket", beside.folder.path().display());
    let config = ArchiveConfig { url, ..ArchiveConfig::default() };
    let bucket = Bucket::open(&config).await.unwrap();
    let own = ArchiveOwner { region: "east".into(), account: ACCOUNT.into() };
    let path = path_of(&own, TableId([7; 16]));
    let recovery = restore::recoverable(&bucket, &path).await.unwrap();
    assert!(recovery.latest_ms() > Some(written_ms), "{recovery:?}");
}
