//! DeleteBackup.

use crate::setting::Setting;
use serde_json::{Value, json};

/// A whole backup with its resource: its ARN, the request that deletes it and the resource's name.
async fn backup(setting: &Setting) -> (String, Value, String) {
    let arn = setting.asked_for().await;
    setting.operate();
    let name = setting.api_server.one("backups")["metadata"]["name"].as_str().unwrap().to_owned();
    (arn.clone(), json!({"BackupArn": arn}), name)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_backup_is_gone_from_the_bucket_and_so_is_its_resource() {
    let setting = Setting::with_users().await;
    let (_, request, _) = backup(&setting).await;
    let deleted = setting.caller.ok("DeleteBackup", request.clone()).await["BackupDescription"].clone();
    assert_eq!(deleted["BackupDetails"]["BackupStatus"], "DELETED");
    assert!(setting.bucket("default").lock().backups.is_empty());
    assert!(setting.api_server.all("backups").is_empty());
    assert_eq!(setting.refused("DescribeBackup", request).await, "BackupNotFoundException");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_without_a_resource_can_be_deleted_too() {
    let setting = Setting::with_users().await;
    let arn = setting.backup("default", "nightly", 1);
    setting.caller.ok("DeleteBackup", json!({"BackupArn": arn})).await;
    assert!(setting.bucket("default").lock().backups.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_is_being_made_is_not_deleted() {
    let setting = Setting::with_users().await;
    let arn = setting.asked_for().await;
    let (_, name, text) = setting.error("DeleteBackup", json!({"BackupArn": arn})).await;
    assert_eq!((name.as_str(), text), ("BackupInUseException", format!("Backup is being created: {arn}")));
    assert_eq!(setting.api_server.all("backups").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_a_table_is_being_made_of_is_not_deleted() {
    let setting = Setting::with_users().await;
    let (arn, request, resource) = backup(&setting).await;
    let restore = |in_progress: bool| {
        json!({
            "tableStatus": "CREATING",
            "restore": {
                "sourceBackupArn": arn, "sourceTableArn": "arn:aws:dynamodb:east:game:table/users",
                "restoreDateTime": "2026-01-01T00:00:00Z", "region": "east", "account": "game",
                "restoreInProgress": in_progress,
            },
        })
    };
    for (spec, status) in [
        (json!({"restoreFrom": {"backupArn": arn}}), json!({"tableStatus": "CREATING"})),
        (json!({"restoreFrom": {"backup": resource}}), json!({"tableStatus": null})),
        (json!({"restoreFrom": {"backupArn": arn}}), restore(true)),
    ] {
        setting.table("copy", spec, status);
        assert_eq!(setting.refused("DeleteBackup", request.clone()).await, "BackupInUseException");
    }
    setting.table("copy", json!({"restoreFrom": {"backupArn": arn}}), restore(false));
    setting.caller.ok("DeleteBackup", request).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_an_archive_reads_is_not_deleted() {
    let setting = Setting::with_users().await;
    let (arn, request, _) = backup(&setting).await;
    setting.bucket("default").lock().in_use.insert(arn.rsplit('/').next().unwrap().to_owned());
    assert_eq!(setting.refused("DeleteBackup", request).await, "BackupInUseException");
    assert_eq!(setting.api_server.all("backups").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_whose_resource_somebody_else_manages_is_left_to_them() {
    let setting = Setting::with_users().await;
    let arn = setting.backup("default", "nightly", 1);
    let resource = json!({
        "apiVersion": "cairn.dev/v1alpha1", "kind": "Backup", "metadata": {},
        "spec": {"tableName": "users"}, "status": {"backupStatus": "AVAILABLE", "backupArn": arn},
    });
    setting.api_server.put("backups", "nightly", resource, "argocd");
    let (_, name, text) = setting.error("DeleteBackup", json!({"BackupArn": arn})).await;
    assert_eq!(name, "AccessDeniedException");
    assert!(text.contains("argocd"), "{text}");
    assert_eq!(setting.bucket("default").lock().backups.len(), 1);
}
