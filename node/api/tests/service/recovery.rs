//! Point-in-time recovery: on, off, and the times it reaches.

use crate::client::{NOW_MS, Service};
use cairn_api::{Catalog, backups::RestorableWindow};
use cairn_model::table::{ContinuousBackups, TableStatus};
use serde_json::{Value, json};

async fn users() -> Service {
    let service = Service::archived().await;
    service.create("users", &[("Id", "S"), ("Game", "N")]).await;
    service
}

fn specification(specification: Value) -> Value {
    json!({"TableName": "users", "PointInTimeRecoverySpecification": specification})
}

async fn turn(service: &Service, on: bool) -> Value {
    service.ok("UpdateContinuousBackups", specification(json!({"PointInTimeRecoveryEnabled": on}))).await
}

async fn described(service: &Service) -> Value {
    let answer = service.ok("DescribeContinuousBackups", json!({"TableName": "users"})).await;
    answer["ContinuousBackupsDescription"].clone()
}

fn settings(service: &Service) -> Option<ContinuousBackups> {
    service.catalog.table("game", "users").unwrap().definition.continuous_backups
}

fn version(service: &Service) -> u64 {
    service.catalog.table("game", "users").unwrap().definition.schema_version
}

#[tokio::test]
async fn recovery_is_off_until_it_is_turned_on() {
    let service = users().await;
    let off = json!({
        "ContinuousBackupsStatus": "ENABLED", "PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "DISABLED"}
    });
    assert_eq!(described(&service).await, off);
    let on = json!({
        "ContinuousBackupsStatus": "ENABLED",
        "PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "ENABLED", "RecoveryPeriodInDays": 35}
    });
    assert_eq!(turn(&service, true).await, json!({"ContinuousBackupsDescription": on}));
    assert_eq!(described(&service).await, on);
    assert_eq!(turn(&service, false).await, json!({"ContinuousBackupsDescription": off}));
    assert_eq!(settings(&service), None);
}

#[tokio::test]
async fn the_times_that_can_be_restored_are_shown_from_the_first_whole_second() {
    let service = users().await;
    turn(&service, true).await;
    let window = |earliest_ms, latest_ms| Some(RestorableWindow { earliest_ms, latest_ms });
    *service.archive.window.lock().unwrap() = window(1_700_000_000_001, 1_700_000_009_876);
    let shown = described(&service).await["PointInTimeRecoveryDescription"].clone();
    assert_eq!(shown["EarliestRestorableDateTime"], 1_700_000_001.0);
    assert_eq!(shown["LatestRestorableDateTime"], 1_700_000_009.876);
    // No second is whole in it.
    *service.archive.window.lock().unwrap() = window(1_700_000_000_001, 1_700_000_000_999);
    let shown = described(&service).await["PointInTimeRecoveryDescription"].clone();
    assert!(shown.get("EarliestRestorableDateTime").is_none() && shown.get("LatestRestorableDateTime").is_none());
}

#[tokio::test]
async fn another_period_leaves_recovery_on_since_when_it_was() {
    let service = users().await;
    turn(&service, true).await;
    assert_eq!(settings(&service), Some(ContinuousBackups { recovery_period_days: 35, enabled_at_ms: NOW_MS }));
    let mut definition = service.catalog.table("game", "users").unwrap().definition.clone();
    let update = cairn_api::TableUpdate {
        recovery: Some(cairn_api::RecoveryUpdate::On { period_days: 7 }),
        ..Default::default()
    };
    update.apply(&mut definition, NOW_MS + 5, || unreachable!("no index is made"));
    let expected = ContinuousBackups { recovery_period_days: 7, enabled_at_ms: NOW_MS };
    assert_eq!(definition.continuous_backups, Some(expected));
    let week = json!({"PointInTimeRecoveryEnabled": true, "RecoveryPeriodInDays": 7});
    let answer = service.ok("UpdateContinuousBackups", specification(week)).await;
    let shown = &answer["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"];
    assert_eq!(shown["RecoveryPeriodInDays"], 7);
    assert_eq!(settings(&service), Some(expected));
}

#[tokio::test]
async fn a_period_that_was_given_once_is_not_remembered() {
    let service = users().await;
    let week = json!({"PointInTimeRecoveryEnabled": true, "RecoveryPeriodInDays": 7});
    service.ok("UpdateContinuousBackups", specification(week)).await;
    turn(&service, false).await;
    turn(&service, true).await;
    assert_eq!(settings(&service).unwrap().recovery_period_days, 35);
}

#[tokio::test]
async fn asking_for_what_is_already_so_changes_nothing() {
    let service = users().await;
    let before = version(&service);
    turn(&service, false).await;
    assert_eq!(version(&service), before);
    turn(&service, true).await;
    turn(&service, true).await;
    assert_eq!(version(&service), before + 1);
}

#[tokio::test]
async fn without_an_archive_recovery_is_not_turned_on() {
    let service = Service::with_users().await;
    let off = json!({
        "ContinuousBackupsStatus": "DISABLED",
        "PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "DISABLED"}
    });
    assert_eq!(described(&service).await, off);
    let request = specification(json!({"PointInTimeRecoveryEnabled": true}));
    let (name, text) = service.error("UpdateContinuousBackups", request).await;
    assert_eq!(name, "ContinuousBackupsUnavailableException");
    assert!(text.contains("--archive"), "{text}");
    assert_eq!(turn(&service, false).await["ContinuousBackupsDescription"], off);
}

#[tokio::test]
async fn a_table_that_is_not_there_yet_has_no_recovery() {
    let service = users().await;
    service.catalog.set_status("users", TableStatus::Creating);
    let expected = ("TableNotFoundException".to_owned(), "Table not found: users".to_owned());
    assert_eq!(service.error("DescribeContinuousBackups", json!({"TableName": "users"})).await, expected);
    let request = specification(json!({"PointInTimeRecoveryEnabled": true}));
    assert_eq!(service.error("UpdateContinuousBackups", request).await, expected);
}

#[tokio::test]
async fn settings_that_do_not_fit_are_refused_in_dynamodbs_words() {
    let service = users().await;
    for (request, expected) in [
        (
            json!({"TableName": "users"}),
            "1 validation error detected: Value null at 'pointInTimeRecoverySpecification' failed to satisfy \
             constraint: Member must not be null",
        ),
        (
            specification(json!({})),
            "1 validation error detected: Value null at \
             'pointInTimeRecoverySpecification.pointInTimeRecoveryEnabled' failed to satisfy constraint: Member must \
             not be null",
        ),
        (
            specification(json!({"PointInTimeRecoveryEnabled": true, "RecoveryPeriodInDays": 36})),
            "1 validation error detected: Value '36' at 'pointInTimeRecoverySpecification.recoveryPeriodInDays' failed \
             to satisfy constraint: Member must have value less than or equal to 35",
        ),
        (
            specification(json!({"PointInTimeRecoveryEnabled": false, "RecoveryPeriodInDays": 0})),
            "1 validation error detected: Value '0' at 'pointInTimeRecoverySpecification.recoveryPeriodInDays' failed \
             to satisfy constraint: Member must have value greater than or equal to 1",
        ),
        (
            specification(json!({"PointInTimeRecoveryEnabled": false, "RecoveryPeriodInDays": 35})),
            "Invalid Request: Cannot specify RecoveryPeriodInDays when disabling point-in-time recovery.",
        ),
    ] {
        assert_eq!(service.invalid("UpdateContinuousBackups", request).await, expected);
    }
}
