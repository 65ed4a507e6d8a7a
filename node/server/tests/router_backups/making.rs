//! CreateBackup and DescribeBackup.

use crate::{archive::Manner, setting::Setting};
use cairn_server::router::writes::ApiWrites;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_being_created_until_the_operator_has_made_it() {
    let setting = Setting::with_users().await;
    let arn = setting.asked_for().await;
    let resource = setting.api_server.one("backups");
    assert_eq!(resource["spec"], json!({"tableName": "users", "backupName": "nightly", "deletionPolicy": "Delete"}));
    assert!(resource["metadata"]["name"].as_str().unwrap().starts_with("users-nightly-"), "{resource}");
    assert_eq!(resource["metadata"]["managedFields"][0]["manager"], "cairn-api");

    let request = json!({"BackupArn": arn});
    let described = setting.caller.ok("DescribeBackup", request.clone()).await["BackupDescription"].clone();
    assert_eq!(described["BackupDetails"]["BackupStatus"], "CREATING");
    assert_eq!(described["BackupDetails"]["BackupName"], "nightly");
    assert_eq!(described["SourceTableDetails"]["ItemCount"], 3);

    setting.operate();
    let described = setting.caller.ok("DescribeBackup", request).await["BackupDescription"].clone();
    assert_eq!(described["BackupDetails"]["BackupStatus"], "AVAILABLE");
    assert_eq!(described["BackupDetails"]["BackupSizeBytes"], 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_backup_is_available_when_the_call_returns() {
    let setting = Setting::with_users().await;
    setting.start_operator();
    let request = json!({"TableName": "users", "BackupName": "nightly"});
    let details = setting.caller.ok("CreateBackup", request).await["BackupDetails"].clone();
    assert_eq!((&details["BackupStatus"], &details["BackupSizeBytes"]), (&json!("AVAILABLE"), &json!(7)));
    let described = setting.caller.ok("DescribeBackup", json!({"BackupArn": details["BackupArn"]})).await;
    assert_eq!(described["BackupDescription"]["BackupDetails"], details);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_whose_resource_may_be_made_or_not_is_asked_for_once() {
    let setting = Setting::with_users().await;
    setting.api_server.lose_the_next_answer();
    let (status, name, _) = setting.error("CreateBackup", json!({"TableName": "users", "BackupName": "nightly"})).await;
    assert_eq!((status, &*name), (500, "InternalServerError"));
    setting.api_server.one("backups");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_backups_of_one_name_are_two() {
    let setting = Setting::with_users().await;
    setting.start_operator();
    let request = json!({"TableName": "users", "BackupName": "nightly"});
    let first = setting.caller.ok("CreateBackup", request.clone()).await;
    let second = setting.caller.ok("CreateBackup", request).await;
    assert_ne!(first["BackupDetails"]["BackupArn"], second["BackupDetails"]["BackupArn"]);
    assert_eq!(setting.api_server.all("backups").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_the_account_does_not_have_is_not_found() {
    let setting = Setting::with_users().await;
    let there = setting.backup("default", "nightly", 1);
    for arn in [there.replace("abcdef12", "00000000"), there.replace("table/users", "table/others")] {
        for operation in ["DescribeBackup", "DeleteBackup"] {
            let (_, name, text) = setting.error(operation, json!({"BackupArn": arn})).await;
            assert_eq!((name.as_str(), text), ("BackupNotFoundException", format!("Backup not found: {arn}")));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_whose_table_is_not_there_is_no_backup_that_is_being_created() {
    let setting = Setting::with_users().await;
    let arn = setting.asked_for().await;
    let resource = setting.api_server.one("backups")["metadata"]["name"].as_str().unwrap().to_owned();
    setting.api_server.set_status("backups", &resource, json!({"tableId": "an earlier table's"}));
    assert_eq!(setting.refused("DescribeBackup", json!({"BackupArn": arn})).await, "BackupNotFoundException");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_a_group_without_an_archive_says_how_it_gets_one() {
    let setting = Setting::of(&[("default", &[Manner::Answers]), ("bare", &[])], ApiWrites::Own).await;
    setting.table("users", json!({"storageGroup": "bare"}), json!({}));
    let (_, name, text) = setting.error("CreateBackup", json!({"TableName": "users", "BackupName": "nightly"})).await;
    assert_eq!(name, "ContinuousBackupsUnavailableException");
    assert!(text.contains("spec.archive") && text.contains("StorageGroup"), "{text}");
    assert!(setting.api_server.all("backups").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_api_writes_nothing_backups_are_only_read() {
    let setting = Setting::of(&[("default", &[Manner::Answers])], ApiWrites::None).await;
    setting.table("users", json!({}), json!({}));
    let arn = setting.backup("default", "nightly", 1);
    for (operation, request) in [
        ("CreateBackup", json!({"TableName": "users", "BackupName": "nightly"})),
        ("DeleteBackup", json!({"BackupArn": arn})),
        ("RestoreTableFromBackup", json!({"BackupArn": arn, "TargetTableName": "copy"})),
    ] {
        assert_eq!(setting.refused(operation, request).await, "AccessDeniedException", "{operation}");
    }
    setting.caller.ok("DescribeBackup", json!({"BackupArn": arn})).await;
    assert!(setting.api_server.all("backups").is_empty());
}
