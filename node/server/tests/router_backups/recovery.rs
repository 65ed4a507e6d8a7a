//! UpdateContinuousBackups and DescribeContinuousBackups.

use crate::{archive::past, setting::Setting};
use serde_json::{Value, json};

fn update(enabled: bool) -> Value {
    json!({"TableName": "users", "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": enabled}})
}

fn recovery(answer: &Value) -> &Value {
    &answer["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
}

#[tokio::test(flavor = "multi_thread")]
async fn recovery_is_enabled_at_once_and_its_window_is_told_when_it_is_known() {
    let setting = Setting::with_users().await;
    let answer = setting.caller.ok("UpdateContinuousBackups", update(true)).await;
    let enabled = json!({"PointInTimeRecoveryStatus": "ENABLED", "RecoveryPeriodInDays": 35});
    assert_eq!(recovery(&answer), &enabled);
    let resource = setting.api_server.one("tables");
    assert_eq!(
        resource["spec"]["continuousBackups"],
        json!({"pointInTimeRecoveryEnabled": true, "recoveryPeriodInDays": 35})
    );
    let describe = || setting.caller.ok("DescribeContinuousBackups", json!({"TableName": "users"}));
    setting.watch();
    assert_eq!(recovery(&describe().await), &enabled, "the operator has not noted it yet");
    assert!(setting.archives.iter().all(|archive| archive.calls.lock().is_empty()));

    let mut status = resource["status"].clone();
    status["continuousBackups"] = json!({"enabledAt": "2026-01-01T00:00:00Z"});
    let table_id = status["tableId"].as_str().unwrap().parse().unwrap();
    setting.api_server.set_status("tables", "users", status);
    setting.watch();
    assert_eq!(recovery(&describe().await), &enabled, "the bucket has nothing of it yet");

    let windows = [(1_767_225_600_500, 1_767_225_700_000), (1_767_225_800_000, 1_767_225_900_250)];
    setting.bucket("default").lock().pasts.push(past(table_id, "users", &windows));
    let answer = describe().await;
    assert_eq!(recovery(&answer)["EarliestRestorableDateTime"], json!(1_767_225_601.0));
    assert_eq!(recovery(&answer)["LatestRestorableDateTime"], json!(1_767_225_900.25));
}

#[tokio::test(flavor = "multi_thread")]
async fn recovery_is_turned_off_again() {
    let setting = Setting::with_users().await;
    setting.caller.ok("UpdateContinuousBackups", update(true)).await;
    let answer = setting.caller.ok("UpdateContinuousBackups", update(false)).await;
    assert_eq!(recovery(&answer), &json!({"PointInTimeRecoveryStatus": "DISABLED"}));
    let spec = setting.api_server.one("tables")["spec"]["continuousBackups"].clone();
    assert_eq!(spec, json!({"pointInTimeRecoveryEnabled": false}));
}
