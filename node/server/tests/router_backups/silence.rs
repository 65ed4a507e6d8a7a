//! Archives that don't answer.

use crate::{archive::Manner, setting::Setting};
use cairn_server::router::writes::ApiWrites;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn where_one_archive_is_silent_or_cut_off_from_the_bucket_another_answers() {
    let setting = Setting::new(&[Manner::Silent, Manner::Cut, Manner::Answers]).await;
    let arn = setting.backup("default", "nightly", 1);
    for _ in 0..3 {
        setting.caller.ok("DescribeBackup", json!({"BackupArn": arn})).await;
    }
    let asked: Vec<usize> = setting.archives.iter().map(|archive| archive.calls.lock().len()).collect();
    assert_eq!(asked, [1, 1, 3], "those that gave no answer are tried last from then on");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_archive_answers_the_call_ends_as_an_internal_error() {
    let silent = Setting::new(&[Manner::Silent; 4]).await;
    let cut = Setting::new(&[Manner::Cut; 2]).await;
    for setting in [silent, cut] {
        let arn = setting.backup("default", "nightly", 1);
        let (status, name, _) = setting.error("DescribeBackup", json!({"BackupArn": arn})).await;
        assert_eq!((status, name.as_str()), (500, "InternalServerError"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_one_group_can_not_be_asked_nothing_is_said_not_to_be_there() {
    let groups: &[(&str, &[Manner])] = &[("default", &[Manner::Answers]), ("analytics", &[Manner::Cut])];
    let setting = Setting::of(groups, ApiWrites::Own).await;
    let there = setting.backup("default", "nightly", 1);
    setting.caller.ok("DescribeBackup", json!({"BackupArn": there})).await;
    let elsewhere = json!({"BackupArn": there.replace("abcdef12", "00000000")});
    assert_eq!(setting.error("DescribeBackup", elsewhere).await.0, 500);
    assert_eq!(setting.error("ListBackups", json!({})).await.0, 500);
    let absent = json!({"SourceTableName": "lost", "TargetTableName": "copy", "UseLatestRestorableTime": true});
    assert_eq!(setting.error("RestoreTableToPointInTime", absent).await.0, 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_an_archive_made_without_saying_so_is_one() {
    let setting = Setting::new(&[Manner::SilentDeletions, Manner::Answers]).await;
    let arn = setting.backup("default", "nightly", 1);
    let deleted = setting.caller.ok("DeleteBackup", json!({"BackupArn": arn})).await;
    assert_eq!(deleted["BackupDescription"]["BackupDetails"]["BackupStatus"], "DELETED");
    assert!(setting.bucket("default").lock().backups.is_empty());
}
