//! Tables made of backups, and of other tables' past.

use crate::client::{NOW_MS, Service};
use cairn_api::{Catalog, backups::RestorableWindow};
use cairn_model::table::TableStatus;
use serde_json::{Value, json};

const USERS: &str = "arn:aws:dynamodb:east:game:table/users";
/// Of the first backup.
const BACKUP: &str = "arn:aws:dynamodb:east:game:table/users/backup/01700000000000-abcdef12";

/// A service with the table `users`, its backup, and recovery on for the ten seconds before now.
async fn users() -> Service {
    let service = Service::archived().await;
    service.create("users", &[("Id", "S"), ("Game", "N")]).await;
    service.ok("CreateBackup", json!({"TableName": "users", "BackupName": "nightly"})).await;
    let on = json!({"PointInTimeRecoveryEnabled": true});
    let request = json!({"TableName": "users", "PointInTimeRecoverySpecification": on});
    service.ok("UpdateContinuousBackups", request).await;
    set_window(&service, Some(RestorableWindow { earliest_ms: NOW_MS - 10_000, latest_ms: NOW_MS }));
    service
}

fn set_window(service: &Service, window: Option<RestorableWindow>) {
    *service.archive.window.lock().unwrap() = window;
}

/// A RestoreTableFromBackup of the backup into `restored`, with more or other parameters.
fn of_backup(more: Value) -> Value {
    with(json!({"TargetTableName": "restored", "BackupArn": BACKUP}), more)
}

/// A RestoreTableToPointInTime of `users` into `restored`, as late as possible, with more or other parameters.
fn of_past(more: Value) -> Value {
    let request = json!({"SourceTableName": "users", "TargetTableName": "restored", "UseLatestRestorableTime": true});
    with(request, more)
}

fn with(mut request: Value, more: Value) -> Value {
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

#[tokio::test]
async fn a_backup_becomes_a_table_that_says_where_it_came_from() {
    let service = users().await;
    let answer = service.ok("RestoreTableFromBackup", of_backup(json!({}))).await;
    let table = &answer["TableDescription"];
    let summary = json!({
        "SourceBackupArn": BACKUP, "SourceTableArn": USERS, "RestoreDateTime": 1_700_000_000.0,
        "RestoreInProgress": true
    });
    assert_eq!((&table["TableStatus"], &table["RestoreSummary"]), (&json!("CREATING"), &summary));
    assert_eq!(table["KeySchema"][1], json!({"AttributeName": "Game", "KeyType": "RANGE"}));
    assert_eq!(table["BillingModeSummary"]["BillingMode"], "PAY_PER_REQUEST");
    service.catalog.set_status("restored", TableStatus::Active);
    let table = service.ok("DescribeTable", json!({"TableName": "restored"})).await["Table"].clone();
    assert_eq!(table["RestoreSummary"]["RestoreInProgress"], false);
}

#[tokio::test]
async fn a_table_is_restored_as_late_as_possible() {
    let service = users().await;
    let answer = service.ok("RestoreTableToPointInTime", of_past(json!({}))).await;
    let summary = json!({"SourceTableArn": USERS, "RestoreDateTime": 1_700_000_000.0, "RestoreInProgress": true});
    assert_eq!(answer["TableDescription"]["RestoreSummary"], summary);
}

#[tokio::test]
async fn a_table_is_restored_to_a_moment() {
    let service = users().await;
    let request = json!({"UseLatestRestorableTime": false, "RestoreDateTime": 1_699_999_995.25});
    let answer = service.ok("RestoreTableToPointInTime", of_past(request)).await;
    assert_eq!(answer["TableDescription"]["RestoreSummary"]["RestoreDateTime"], 1_699_999_995.25);
}

#[tokio::test]
async fn the_source_is_named_by_its_arn_as_well() {
    let service = users().await;
    let request = |arn: &str| of_past(json!({"SourceTableName": null, "SourceTableArn": arn}));
    let text = service.invalid("RestoreTableToPointInTime", request("users")).await;
    assert_eq!(text, "One or more parameter values were invalid: ARNs must start with 'arn:': users");
    let text = service.invalid("RestoreTableToPointInTime", request("arn:aws:s3:::users")).await;
    assert_eq!(text, "sourceTableArn is not a valid ARN");
    let text = service.invalid("RestoreTableToPointInTime", request(&USERS.replace("game", "shop"))).await;
    assert!(text.starts_with("This action is only supported by accounts"), "{text}");
    let (name, _) = service.error("RestoreTableToPointInTime", request(&USERS.replace("east", "west"))).await;
    assert_eq!(name, "TableNotFoundException");
    service.ok("RestoreTableToPointInTime", request(USERS)).await;
}

#[tokio::test]
async fn a_restored_table_can_be_billed_otherwise_than_its_source() {
    let service = users().await;
    let units = json!({"ReadCapacityUnits": 5, "WriteCapacityUnits": 6});
    let provisioned = json!({"BillingModeOverride": "PROVISIONED", "ProvisionedThroughputOverride": units});
    let answer = service.ok("RestoreTableFromBackup", of_backup(provisioned)).await;
    let table = &answer["TableDescription"];
    assert_eq!(table["ProvisionedThroughput"]["WriteCapacityUnits"], 6);
    assert!(table.get("BillingModeSummary").is_none());
}

#[tokio::test]
async fn a_restored_table_on_demand_has_the_maxima_of_its_source_or_those_it_is_given() {
    let service = users().await;
    let maxima = json!({"MaxReadRequestUnits": 50, "MaxWriteRequestUnits": 60});
    service.ok("UpdateTable", json!({"TableName": "users", "OnDemandThroughput": maxima})).await;
    let inherited = service.ok("RestoreTableToPointInTime", of_past(json!({}))).await;
    assert_eq!(inherited["TableDescription"]["OnDemandThroughput"], maxima);
    let given = json!({"MaxReadRequestUnits": 5});
    let request = |target: &str| json!({"TargetTableName": target, "OnDemandThroughputOverride": given});
    for (operation, request) in [
        ("RestoreTableFromBackup", of_backup(request("from-backup"))),
        ("RestoreTableToPointInTime", of_past(request("from-past"))),
    ] {
        let restored = service.ok(operation, request).await;
        assert_eq!(restored["TableDescription"]["OnDemandThroughput"], given, "{operation}");
    }
}

#[tokio::test]
async fn a_restored_table_has_its_sources_throughput_and_none_of_its_protections() {
    let service = users().await;
    for change in [
        json!({
            "BillingMode": "PROVISIONED",
            "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 6}
        }),
        json!({"DeletionProtectionEnabled": true}),
        json!({"TableClass": "STANDARD_INFREQUENT_ACCESS"}),
        json!({"WarmThroughput": {"ReadUnitsPerSecond": 20_000}}),
    ] {
        service.ok("UpdateTable", with(json!({"TableName": "users"}), change)).await;
    }
    let answer = service.ok("RestoreTableToPointInTime", of_past(json!({}))).await;
    let table = &answer["TableDescription"];
    assert_eq!(table["ProvisionedThroughput"]["ReadCapacityUnits"], 5);
    assert_eq!(table["DeletionProtectionEnabled"], false);
    assert!(table.get("TableClassSummary").is_none());
    assert_eq!(table["WarmThroughput"]["ReadUnitsPerSecond"], 5);
    assert_eq!(service.catalog.table("game", "restored").unwrap().definition.continuous_backups, None);
}

#[tokio::test]
async fn overrides_that_do_not_go_with_the_source_are_refused() {
    let service = users().await;
    let units = json!({"ReadCapacityUnits": 5, "WriteCapacityUnits": 6});
    for (overrides, expected) in [
        (
            json!({"ProvisionedThroughputOverride": units}),
            "Invalid Request: Cannot override ProvisionedThroughput unless BillingMode is PROVISIONED",
        ),
        (
            json!({"BillingModeOverride": "PROVISIONED"}),
            "Invalid Request: Must override ProvisionedThroughput if BillingMode is overridden to PROVISIONED",
        ),
        (
            json!({
                "BillingModeOverride": "PROVISIONED", "ProvisionedThroughputOverride": units,
                "OnDemandThroughputOverride": {"MaxWriteRequestUnits": 5},
            }),
            "Invalid Request: Cannot override MaxWriteRequestUnits for OnDemandThroughput unless BillingModeOverride is \
             PAY_PER_REQUEST",
        ),
        (
            json!({"OnDemandThroughputOverride": {"MaxReadRequestUnits": 0}}),
            "One or more parameter values were invalid: Requested MaxReadRequestUnits for OnDemandThroughput for table is \
             outside of valid range",
        ),
    ] {
        assert_eq!(service.invalid("RestoreTableFromBackup", of_backup(overrides.clone())).await, expected);
        assert_eq!(service.invalid("RestoreTableToPointInTime", of_past(overrides)).await, expected);
    }
}

#[tokio::test]
async fn overrides_of_what_is_not_there_yet_are_refused_by_name() {
    let service = users().await;
    for (name, value) in [("SSESpecificationOverride", json!({"Enabled": true}))] {
        for (operation, request) in [
            ("RestoreTableFromBackup", of_backup(json!({name: value}))),
            ("RestoreTableToPointInTime", of_past(json!({name: value}))),
        ] {
            let text = service.invalid(operation, request).await;
            assert!(text.contains(name) && text.contains("not supported"), "{text}");
        }
    }
    let none = json!({"GlobalSecondaryIndexOverride": [], "SSESpecificationOverride": {"Enabled": false}});
    service.ok("RestoreTableFromBackup", of_backup(none)).await;
}

#[tokio::test]
async fn a_table_is_not_restored_over_another() {
    let service = users().await;
    let over = json!({"TargetTableName": "users"});
    let exists = ("TableAlreadyExistsException".to_owned(), "Table already exists: users".to_owned());
    assert_eq!(service.error("RestoreTableFromBackup", of_backup(over.clone())).await, exists);
    assert_eq!(service.error("RestoreTableToPointInTime", of_past(over)).await, exists);
    service.ok("RestoreTableFromBackup", of_backup(json!({}))).await;
    let text = format!("Table: restored is already being restored from backup: {BACKUP}");
    let busy = ("TableInUseException".to_owned(), text);
    assert_eq!(service.error("RestoreTableFromBackup", of_backup(json!({}))).await, busy);
    assert_eq!(service.error("RestoreTableToPointInTime", of_past(json!({}))).await, busy);
}

#[tokio::test]
async fn a_backup_that_is_not_there_restores_nothing() {
    let service = users().await;
    let unknown = BACKUP.replace("01700000000000", "01600000000000");
    let (name, text) = service.error("RestoreTableFromBackup", of_backup(json!({"BackupArn": unknown}))).await;
    assert_eq!((name.as_str(), text), ("BackupNotFoundException", format!("Backup not found: {unknown}")));
}

#[tokio::test]
async fn a_time_outside_the_window_is_refused_with_the_window() {
    let service = users().await;
    for seconds in [json!(1_699_999_989), json!(1_700_000_000.001), json!(0)] {
        let time = json!({"UseLatestRestorableTime": null, "RestoreDateTime": seconds});
        let (name, text) = service.error("RestoreTableToPointInTime", of_past(time)).await;
        assert_eq!(name, "InvalidRestoreTimeException");
        let window = "must be within EarliestRestorableDateTime '2023-11-14T22:13:10Z' and LatestRestorableDateTime \
                      '2023-11-14T22:13:20Z'";
        assert!(text.starts_with("RestoreDateTime '") && text.ends_with(window), "{text}");
    }
    for seconds in [json!(1_699_999_990), json!(1_700_000_000)] {
        let target = format!("at-{seconds}");
        let time = json!({"UseLatestRestorableTime": null, "RestoreDateTime": seconds, "TargetTableName": target});
        service.ok("RestoreTableToPointInTime", of_past(time)).await;
    }
}

#[tokio::test]
async fn a_table_without_recovery_has_no_past() {
    let service = users().await;
    service.create("scores", &[("Id", "S")]).await;
    let expected = (
        "PointInTimeRecoveryUnavailableException".to_owned(),
        "Point in time recovery is not enabled for table 'scores'".to_owned(),
    );
    // Said before anything is said of the new table's name.
    let request = of_past(json!({"SourceTableName": "scores", "TargetTableName": "users"}));
    assert_eq!(service.error("RestoreTableToPointInTime", request).await, expected);
}

#[tokio::test]
async fn a_table_whose_recovery_was_turned_on_a_moment_ago_has_no_past_yet() {
    let service = users().await;
    set_window(&service, None);
    let (name, text) = service.error("RestoreTableToPointInTime", of_past(json!({}))).await;
    assert_eq!(name, "PointInTimeRecoveryUnavailableException");
    assert!(text.ends_with("Please retry later"), "{text}");
}

#[tokio::test]
async fn a_deleted_table_is_restored_where_the_archive_knows_it() {
    let service = users().await;
    let definition = service.catalog.table("game", "users").unwrap().definition.clone();
    service.ok("DeleteTable", json!({"TableName": "users"})).await;
    let expected = ("TableNotFoundException".to_owned(), "Table not found: users".to_owned());
    assert_eq!(service.error("RestoreTableToPointInTime", of_past(json!({}))).await, expected);
    service.archive.deleted.lock().unwrap().insert("users".to_owned(), definition);
    service.ok("RestoreTableToPointInTime", of_past(json!({"TargetTableName": "users"}))).await;
}

#[tokio::test]
async fn a_wrong_time_is_said_before_a_name_that_is_taken() {
    let service = users().await;
    let request = of_past(json!({"TargetTableName": "users", "UseLatestRestorableTime": null, "RestoreDateTime": 5}));
    assert_eq!(service.error("RestoreTableToPointInTime", request).await.0, "InvalidRestoreTimeException");
}

#[tokio::test]
async fn without_an_archive_nothing_is_restored() {
    let service = Service::with_users().await;
    for (operation, request) in
        [("RestoreTableFromBackup", of_backup(json!({}))), ("RestoreTableToPointInTime", of_past(json!({})))]
    {
        let (name, _) = service.error(operation, request).await;
        assert_eq!(name, "ContinuousBackupsUnavailableException", "{operation}");
    }
}

#[tokio::test]
async fn requests_that_do_not_fit_are_refused_in_dynamodbs_words() {
    let service = users().await;
    for (operation, request, expected) in [
        (
            "RestoreTableFromBackup",
            of_backup(json!({"TargetTableName": "x"})),
            "TableName must be at least 3 characters long and at most 255 characters long",
        ),
        (
            "RestoreTableFromBackup",
            of_backup(json!({"TargetTableName": "bad name", "BackupArn": null, "BillingModeOverride": ""})),
            "3 validation errors detected: Value 'bad name' at 'targetTableName' failed to satisfy constraint: Member \
             must satisfy regular expression pattern: [a-zA-Z0-9_.-]+; Value '' at 'billingModeOverride' failed to \
             satisfy constraint: Member must satisfy enum value set: [PROVISIONED, PAY_PER_REQUEST]; Value null at \
             'backupArn' failed to satisfy constraint: Member must not be null",
        ),
        (
            "RestoreTableFromBackup",
            of_backup(json!({"ProvisionedThroughputOverride": {}})),
            "2 validation errors detected: Value null at 'provisionedThroughputOverride.writeCapacityUnits' failed to \
             satisfy constraint: Member must not be null; Value null at \
             'provisionedThroughputOverride.readCapacityUnits' failed to satisfy constraint: Member must not be null",
        ),
        ("RestoreTableFromBackup", of_backup(json!({"BackupArn": USERS})), "Invalid Backup ARN"),
        (
            "RestoreTableToPointInTime",
            of_past(json!({"SourceTableArn": USERS})),
            "Invalid Request: Must provide exactly one of: sourceTableArn, sourceTableName",
        ),
        (
            "RestoreTableToPointInTime",
            of_past(json!({"SourceTableName": null})),
            "The parameter 'TableName' is required but was not present in the request",
        ),
        (
            "RestoreTableToPointInTime",
            of_past(json!({"UseLatestRestorableTime": false})),
            "Invalid Request: Either one of RestoreDateTime or UseLatestRestorableTime must be specified, but not both",
        ),
        (
            "RestoreTableToPointInTime",
            of_past(json!({"RestoreDateTime": 1_700_000_000})),
            "Invalid Request: Both RestoreDateTime and UseLatestRestorableTime cannot be set for point-in-time \
             restore request. Please specify either RestoreDateTime time or UseLatestRestorableTime",
        ),
    ] {
        assert_eq!(service.invalid(operation, request).await, expected);
    }
}

#[tokio::test]
async fn a_time_that_is_no_number_is_refused() {
    let service = users().await;
    let (name, text) =
        service.error("RestoreTableToPointInTime", of_past(json!({"RestoreDateTime": "yesterday"}))).await;
    assert_eq!((name.as_str(), text.as_str()), ("SerializationException", "STRING_VALUE cannot be converted to Date"));
}
