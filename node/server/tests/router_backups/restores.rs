//! RestoreTableFromBackup and RestoreTableToPointInTime.

use crate::{
    archive::{Manner, past},
    setting::Setting,
    support::api_server::active_table,
};
use cairn_model::{
    ids::TableId,
    index::{IndexProjection, LocalIndex, ProjectionType, in_slots},
    table::{KeyAttribute, ScalarType},
};
use cairn_server::router::writes::ApiWrites;
use serde_json::{Value, json};

const EARLIEST_MS: u64 = 1_767_225_600_000;
const LATEST_MS: u64 = 1_767_229_200_456;

fn from_backup(arn: &str) -> Value {
    json!({"BackupArn": arn, "TargetTableName": "copy"})
}

fn to_time(more: Value) -> Value {
    let mut request = json!({"SourceTableName": "users", "TargetTableName": "copy"});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

fn latest() -> Value {
    to_time(json!({"UseLatestRestorableTime": true}))
}

/// `users` has recovery on, and all of an hour is in the bucket.
async fn recoverable() -> (Setting, TableId) {
    let setting = Setting::new(&[Manner::Answers]).await;
    let spec = json!({"continuousBackups": {"pointInTimeRecoveryEnabled": true}});
    let status = json!({"continuousBackups": {"enabledAt": "2026-01-01T00:00:00Z"}});
    let table_id = setting.table("users", spec, status);
    setting.bucket("default").lock().pasts.push(past(table_id, "users", &[(EARLIEST_MS, LATEST_MS)]));
    (setting, table_id)
}

fn spec(setting: &Setting) -> Value {
    setting.api_server.get("tables", "copy").unwrap()["spec"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_made_of_a_backup_as_it_was_with_what_is_to_be_otherwise() {
    let setting = Setting::with_users().await;
    let arn = setting.backup("default", "nightly", 1);
    let mut request = from_backup(&arn);
    request["BillingModeOverride"] = json!("PROVISIONED");
    request["ProvisionedThroughputOverride"] = json!({"ReadCapacityUnits": 5, "WriteCapacityUnits": 6});
    let table = setting.caller.ok("RestoreTableFromBackup", request).await["TableDescription"].clone();
    assert_eq!(table["TableStatus"], "CREATING");
    let summary = json!({
        "SourceBackupArn": arn, "SourceTableArn": "arn:aws:dynamodb:east:game:table/users",
        "RestoreDateTime": 1_767_225_601.0, "RestoreInProgress": true,
    });
    assert_eq!(table["RestoreSummary"], summary);
    assert_eq!(
        spec(&setting),
        json!({
            "tableName": "copy", "storageGroup": "default", "restoreFrom": {"backupArn": arn},
            "attributeDefinitions": [{"attributeName": "Id", "attributeType": "S"}],
            "keySchema": [{"attributeName": "Id", "keyType": "HASH"}],
            "billingMode": "PROVISIONED", "provisionedThroughput": {"readCapacityUnits": 5, "writeCapacityUnits": 6},
        })
    );
    let described = setting.caller.ok("DescribeTable", json!({"TableName": "copy"})).await["Table"].clone();
    assert_eq!((&described["TableStatus"], &described["RestoreSummary"]), (&json!("CREATING"), &summary));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_into_a_name_that_is_taken_at_the_same_time_is_refused() {
    let (setting, _) = recoverable().await;
    let arn = setting.backup("default", "nightly", 1);
    for (operation, body) in [("RestoreTableFromBackup", from_backup(&arn)), ("RestoreTableToPointInTime", latest())] {
        setting.api_server.overtake(|server| {
            server.put("tables", "copy", active_table(TableId([8; 16]), json!({}), json!({})), "cairn-api");
        });
        assert_eq!(setting.refused(operation, body).await, "TableAlreadyExistsException", "{operation}");
        assert_eq!(spec(&setting)["restoreFrom"], Value::Null, "{operation}");
        setting.api_server.remove("tables", "copy");
        setting.watch();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn local_indexes_come_back_with_a_table_but_for_those_left_out() {
    let setting = Setting::with_users().await;
    let arn = setting.backup("default", "nightly", 1);
    let key = |name: &str| KeyAttribute { name: name.into(), scalar_type: ScalarType::N };
    let index = |name: &str| LocalIndex {
        index_name: name.into(),
        slot: 0,
        sort: key("Rank"),
        projection: IndexProjection { projection_type: ProjectionType::All, non_key_attributes: [].into() },
    };
    for backup in setting.bucket("default").lock().backups.values_mut() {
        backup.order.definition.key_schema.sort = Some(key("At"));
        backup.order.definition.local_indexes = in_slots(vec![index("by-age"), index("by-rank")]);
    }
    let declared = |name: &str| {
        let spec = setting.api_server.get("tables", name).unwrap()["spec"].clone();
        let indexes = spec["localSecondaryIndexes"].as_array().cloned().unwrap_or_default();
        let names: Vec<String> = indexes.iter().map(|index| index["indexName"].as_str().unwrap().into()).collect();
        (names, spec["attributeDefinitions"].as_array().unwrap().len())
    };
    setting.caller.ok("RestoreTableFromBackup", from_backup(&arn)).await;
    assert_eq!(declared("copy"), (vec!["by-age".to_owned(), "by-rank".to_owned()], 3));
    let chosen = json!({
        "IndexName": "by-rank", "Projection": {"ProjectionType": "ALL"},
        "KeySchema": [{"AttributeName": "Id", "KeyType": "HASH"}, {"AttributeName": "Rank", "KeyType": "RANGE"}],
    });
    for (name, chosen, kept) in
        [("some", json!([chosen]), (vec!["by-rank".to_owned()], 3)), ("none", json!([]), (vec![], 2))]
    {
        let request = json!({"BackupArn": arn, "TargetTableName": name, "LocalSecondaryIndexOverride": chosen});
        setting.caller.ok("RestoreTableFromBackup", request).await;
        assert_eq!(declared(name), kept);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_is_not_whole_or_not_there_is_not_restored() {
    let setting = Setting::with_users().await;
    let arn = setting.asked_for().await;
    assert_eq!(setting.refused("RestoreTableFromBackup", from_backup(&arn)).await, "BackupInUseException");
    let unknown = setting.backup("default", "nightly", 1).replace("abcdef12", "00000000");
    assert_eq!(setting.refused("RestoreTableFromBackup", from_backup(&unknown)).await, "BackupNotFoundException");
    assert_eq!(setting.api_server.get("tables", "copy"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_taken_is_not_restored_to() {
    let (setting, _) = recoverable().await;
    let arn = setting.backup("default", "nightly", 1);
    for (status, error) in [("ACTIVE", "TableAlreadyExistsException"), ("CREATING", "TableInUseException")] {
        setting.table("copy", json!({}), json!({"tableStatus": status}));
        assert_eq!(setting.refused("RestoreTableFromBackup", from_backup(&arn)).await, error);
        assert_eq!(setting.refused("RestoreTableToPointInTime", latest()).await, error);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_only_the_api_server_knows_to_be_taken_is_not_restored_to() {
    let setting = Setting::with_users().await;
    let arn = setting.backup("default", "nightly", 1);
    let told = setting.api_server.one("tables");
    setting.api_server.put("tables", "copy", json!({"metadata": {}, "kind": "Table", "apiVersion": "cairn.dev/v1alpha1", "spec": told["spec"], "status": told["status"]}), "argocd");
    assert_eq!(setting.refused("RestoreTableFromBackup", from_backup(&arn)).await, "TableAlreadyExistsException");
    assert_eq!(setting.api_server.get("tables", "copy").unwrap()["spec"], told["spec"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_made_of_another_at_a_millisecond() {
    let (setting, table_id) = recoverable().await;
    let request = to_time(json!({"RestoreDateTime": (EARLIEST_MS + 123) as f64 / 1_000.0}));
    let table = setting.caller.ok("RestoreTableToPointInTime", request).await["TableDescription"].clone();
    assert_eq!(table["RestoreSummary"]["RestoreDateTime"], json!((EARLIEST_MS + 123) as f64 / 1_000.0));
    assert_eq!(table["RestoreSummary"]["RestoreInProgress"], true);
    let from = json!({"tableId": table_id.to_string(), "at": "2026-01-01T00:00:00.123Z"});
    assert_eq!(spec(&setting)["restoreFrom"], from);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_latest_time_is_written_down_as_the_time_it_was() {
    let (setting, table_id) = recoverable().await;
    setting.caller.ok("RestoreTableToPointInTime", latest()).await;
    let from = json!({"tableId": table_id.to_string(), "at": "2026-01-01T01:00:00.456Z"});
    assert_eq!(spec(&setting)["restoreFrom"], from);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_table_is_restored_by_its_name() {
    let setting = Setting::new(&[Manner::Answers]).await;
    let gone = TableId([3; 16]);
    setting.bucket("default").lock().pasts.push(past(gone, "users", &[(EARLIEST_MS, LATEST_MS)]));
    let table = setting.caller.ok("RestoreTableToPointInTime", latest()).await["TableDescription"].clone();
    assert_eq!(table["RestoreSummary"]["SourceTableArn"], "arn:aws:dynamodb:east:game:table/users");
    assert_eq!(spec(&setting)["restoreFrom"]["tableId"], gone.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_outside_the_window_is_refused_with_the_window() {
    let (setting, _) = recoverable().await;
    let gone = past(TableId([3; 16]), "gone", &[(EARLIEST_MS, LATEST_MS)]);
    setting.bucket("default").lock().pasts.push(gone);
    for source in ["users", "gone"] {
        let mut request = to_time(json!({"RestoreDateTime": 1_767_240_000}));
        request["SourceTableName"] = json!(source);
        let (_, name, text) = setting.error("RestoreTableToPointInTime", request).await;
        assert_eq!(name, "InvalidRestoreTimeException", "{source}");
        assert!(text.contains("2026-01-01T01:00:00.456Z"), "{text}");
    }
    assert_eq!(setting.api_server.get("tables", "copy"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_that_is_missing_from_the_middle_is_refused() {
    let (setting, table_id) = recoverable().await;
    let windows = [(EARLIEST_MS, EARLIEST_MS + 10_000), (EARLIEST_MS + 60_000, LATEST_MS)];
    setting.bucket("default").lock().pasts = vec![past(table_id, "users", &windows)];
    let request = to_time(json!({"RestoreDateTime": EARLIEST_MS / 1_000 + 30}));
    assert_eq!(setting.refused("RestoreTableToPointInTime", request).await, "InvalidRestoreTimeException");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_nobody_knows_is_not_found() {
    let setting = Setting::new(&[Manner::Answers]).await;
    assert_eq!(setting.refused("RestoreTableToPointInTime", latest()).await, "TableNotFoundException");
    setting.table("users", json!({}), json!({}));
    assert_eq!(setting.refused("RestoreTableToPointInTime", latest()).await, "PointInTimeRecoveryUnavailableException");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_another_groups_bucket_has_is_restored_in_that_group() {
    let answers = &[Manner::Answers][..];
    let setting = Setting::of(&[("default", answers), ("analytics", answers)], ApiWrites::Own).await;
    let arn = setting.backup("analytics", "nightly", 1);
    setting.caller.ok("RestoreTableFromBackup", from_backup(&arn)).await;
    assert_eq!(spec(&setting)["storageGroup"], "analytics");
}
