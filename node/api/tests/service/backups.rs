//! The operations on backups.

use crate::client::Service;
use cairn_api::backups::{BackupState, BackupType};
use cairn_model::table::TableStatus;
use serde_json::{Value, json};

const UNKNOWN: &str = "arn:aws:dynamodb:east:game:table/users/backup/01600000000000-00000000";

async fn users() -> Service {
    let service = Service::archived().await;
    service.create("users", &[("Id", "S"), ("Game", "N")]).await;
    service
}

/// The ARN of a new backup.
async fn back_up(service: &Service, table: &str, name: &str) -> String {
    let answer = service.ok("CreateBackup", json!({"TableName": table, "BackupName": name})).await;
    answer["BackupDetails"]["BackupArn"].as_str().unwrap().to_owned()
}

/// The names of the backups that a ListBackups with these parameters gives.
async fn listed(service: &Service, request: Value) -> Vec<String> {
    let answer = service.ok("ListBackups", request).await;
    let summaries = answer["BackupSummaries"].as_array().unwrap();
    summaries.iter().map(|summary| summary["BackupName"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_backup_is_described_as_it_was_created_and_with_its_table() {
    let service = users().await;
    let answer = service.ok("CreateBackup", json!({"TableName": "users", "BackupName": "nightly"})).await;
    let arn = "arn:aws:dynamodb:east:game:table/users/backup/01700000000000-abcdef12";
    let mut details = json!({
        "BackupArn": arn,
        "BackupName": "nightly",
        "BackupSizeBytes": 7,
        "BackupStatus": "CREATING",
        "BackupType": "USER",
        "BackupCreationDateTime": 1_700_000_000.0
    });
    assert_eq!(answer, json!({"BackupDetails": details}));
    details["BackupStatus"] = json!("AVAILABLE");
    let described = service.ok("DescribeBackup", json!({"BackupArn": arn})).await;
    assert_eq!(
        described,
        json!({"BackupDescription": {
            "BackupDetails": details,
            "SourceTableDetails": {
                "TableName": "users",
                "TableId": "00000000-0000-0000-0000-000000000000",
                "TableArn": "arn:aws:dynamodb:east:game:table/users",
                "TableSizeBytes": 9,
                "KeySchema": [
                    {"AttributeName": "Id", "KeyType": "HASH"}, {"AttributeName": "Game", "KeyType": "RANGE"}
                ],
                "TableCreationDateTime": 1_700_000_000.123,
                "ProvisionedThroughput": {"ReadCapacityUnits": 0, "WriteCapacityUnits": 0},
                "ItemCount": 3,
                "BillingMode": "PAY_PER_REQUEST"
            },
            "SourceTableFeatureDetails": {}
        }})
    );
}

#[tokio::test]
async fn a_table_is_backed_up_by_its_arn_as_well_as_by_its_name() {
    let service = users().await;
    back_up(&service, "arn:aws:dynamodb:east:game:table/users", "nightly").await;
    let request = json!({"TableName": "arn:aws:dynamodb:east:game:table/users"});
    assert_eq!(listed(&service, request).await, ["nightly"]);
}

#[tokio::test]
async fn an_arn_of_another_region_or_account_names_no_table_here() {
    let service = users().await;
    let request = |arn: &str| json!({"TableName": arn, "BackupName": "nightly"});
    let text = service.invalid("CreateBackup", request("arn:aws:dynamodb:west:game:table/users")).await;
    assert_eq!(text, "1 validation error detected: Invalid AWS region in 'arn:aws:dynamodb:west:game:table/users'");
    let denied = service.error("CreateBackup", request("arn:aws:dynamodb:east:shop:table/users")).await;
    assert_eq!(denied, ("AccessDeniedException".into(), "Access is denied".into()));
    let text = service.invalid("CreateBackup", request("arn:aws:dynamodb:east:game:table/users/index/i")).await;
    assert!(text.contains("at 'tableName' failed to satisfy constraint: Valid ARN format is 'arn:"), "{text}");
}

#[tokio::test]
async fn only_a_table_that_is_there_is_backed_up() {
    let service = users().await;
    let request = json!({"TableName": "users", "BackupName": "nightly"});
    let expected = ("TableNotFoundException".to_owned(), "Table not found: users".to_owned());
    for status in [TableStatus::Creating, TableStatus::Deleting] {
        service.catalog.set_status("users", status);
        assert_eq!(service.error("CreateBackup", request.clone()).await, expected);
    }
    service.catalog.set_status("users", TableStatus::Updating);
    service.ok("CreateBackup", request).await;
    let (name, _) = service.error("CreateBackup", json!({"TableName": "others", "BackupName": "nightly"})).await;
    assert_eq!(name, "TableNotFoundException");
}

#[tokio::test]
async fn a_table_whose_backups_are_kept_nowhere_says_what_it_needs() {
    let service = Service::archived().await;
    service.create("uncovered", &[("Id", "S")]).await;
    let request = json!({"TableName": "uncovered", "BackupName": "nightly"});
    let (name, text) = service.error("CreateBackup", request).await;
    assert_eq!(name, "ContinuousBackupsUnavailableException");
    assert!(text.starts_with("Backups have not yet been enabled for this table."), "{text}");
    assert!(text.contains("--archive") && text.contains("spec.archive"), "{text}");
}

#[tokio::test]
async fn without_an_archive_there_are_no_backups_and_the_operations_say_so() {
    let service = Service::with_users().await;
    assert_eq!(service.ok("ListBackups", json!({})).await, json!({"BackupSummaries": []}));
    for (operation, request) in [
        ("CreateBackup", json!({"TableName": "users", "BackupName": "nightly"})),
        ("DescribeBackup", json!({"BackupArn": UNKNOWN})),
        ("DeleteBackup", json!({"BackupArn": UNKNOWN})),
    ] {
        let (name, _) = service.error(operation, request).await;
        assert_eq!(name, "ContinuousBackupsUnavailableException", "{operation}");
    }
}

#[tokio::test]
async fn backups_are_listed_in_pages() {
    let service = users().await;
    for name in ["one", "two", "three"] {
        back_up(&service, "users", name).await;
    }
    let answer = service.ok("ListBackups", json!({"Limit": 2})).await;
    let last = answer["LastEvaluatedBackupArn"].as_str().unwrap();
    assert_eq!(last, "arn:aws:dynamodb:east:game:table/users/backup/01700000001000-abcdef12");
    assert_eq!(
        answer["BackupSummaries"][0],
        json!({
            "TableName": "users",
            "TableId": "00000000-0000-0000-0000-000000000000",
            "TableArn": "arn:aws:dynamodb:east:game:table/users",
            "BackupArn": "arn:aws:dynamodb:east:game:table/users/backup/01700000000000-abcdef12",
            "BackupName": "one",
            "BackupSizeBytes": 7,
            "BackupStatus": "AVAILABLE",
            "BackupType": "USER",
            "BackupCreationDateTime": 1_700_000_000.0
        })
    );
    let rest = service.ok("ListBackups", json!({"Limit": 2, "ExclusiveStartBackupArn": last})).await;
    assert_eq!(rest["BackupSummaries"][0]["BackupName"], "three");
    assert!(rest.get("LastEvaluatedBackupArn").is_none());
}

#[tokio::test]
async fn a_page_of_exactly_all_backups_is_the_last() {
    let service = users().await;
    back_up(&service, "users", "one").await;
    assert!(service.ok("ListBackups", json!({"Limit": 1})).await.get("LastEvaluatedBackupArn").is_none());
}

#[tokio::test]
async fn backups_are_listed_by_table_and_by_time() {
    let service = users().await;
    service.create("scores", &[("Id", "S")]).await;
    back_up(&service, "users", "one").await;
    back_up(&service, "scores", "two").await;
    back_up(&service, "users", "three").await;
    assert_eq!(listed(&service, json!({"TableName": "users"})).await, ["one", "three"]);
    assert_eq!(listed(&service, json!({"TableName": "nobodys"})).await, Vec::<String>::new());
    // From the lower bound, to before the upper one.
    let request = json!({"TimeRangeLowerBound": 1_700_000_001, "TimeRangeUpperBound": 1_700_000_002});
    assert_eq!(listed(&service, request).await, ["two"]);
    let request = json!({"TimeRangeLowerBound": 1_700_000_001.001});
    assert_eq!(listed(&service, request).await, ["three"]);
}

#[tokio::test]
async fn backups_of_the_system_are_listed_where_they_are_asked_for() {
    let service = users().await;
    back_up(&service, "users", "mine").await;
    let table = cairn_api::Catalog::table(service.catalog.as_ref(), "game", "users").unwrap();
    service.archive.add(&table, "users$DeletedTableBackup", BackupType::System);
    assert_eq!(listed(&service, json!({})).await, ["mine"]);
    assert_eq!(listed(&service, json!({"BackupType": "USER"})).await, ["mine"]);
    assert_eq!(listed(&service, json!({"BackupType": "SYSTEM"})).await, ["users$DeletedTableBackup"]);
    assert_eq!(listed(&service, json!({"BackupType": "ALL"})).await, ["mine", "users$DeletedTableBackup"]);
    assert_eq!(listed(&service, json!({"BackupType": "AWS_BACKUP"})).await, Vec::<String>::new());
    let answer = service.ok("ListBackups", json!({"BackupType": "SYSTEM"})).await;
    assert_eq!(answer["BackupSummaries"][0]["BackupExpiryDateTime"], 1_703_024_001.0);
}

#[tokio::test]
async fn a_deleted_backup_is_gone() {
    let service = users().await;
    let arn = back_up(&service, "users", "nightly").await;
    let request = json!({"BackupArn": arn});
    let answer = service.ok("DeleteBackup", request.clone()).await;
    assert_eq!(answer["BackupDescription"]["BackupDetails"]["BackupStatus"], "DELETED");
    assert_eq!(answer["BackupDescription"]["SourceTableDetails"]["TableName"], "users");
    let expected = ("BackupNotFoundException".to_owned(), format!("Backup not found: {arn}"));
    assert_eq!(service.error("DescribeBackup", request.clone()).await, expected);
    assert_eq!(service.error("DeleteBackup", request).await, expected);
}

#[tokio::test]
async fn a_backup_that_is_being_made_is_not_deleted() {
    let service = users().await;
    let arn = back_up(&service, "users", "nightly").await;
    service.archive.set_status(&arn, BackupState::Creating);
    assert_eq!(service.error("DeleteBackup", json!({"BackupArn": arn})).await.0, "BackupInUseException");
}

#[tokio::test]
async fn what_a_deleted_table_left_is_not_deleted_by_hand() {
    let service = users().await;
    let table = cairn_api::Catalog::table(service.catalog.as_ref(), "game", "users").unwrap();
    let arn = service.archive.add(&table, "users$DeletedTableBackup", BackupType::System).arn;
    let text = service.invalid("DeleteBackup", json!({"BackupArn": arn})).await;
    assert_eq!(
        text,
        format!(
            "Invalid Request: User is not allowed to delete the system backup with arn {arn}. It will automatically \
             expire on 2023-12-19T22:13:20Z"
        )
    );
}

#[tokio::test]
async fn a_backup_of_another_account_or_region_is_not_shown() {
    let service = users().await;
    let request = |arn: &str| json!({"BackupArn": arn});
    let other = UNKNOWN.replace("game", "shop");
    assert_eq!(service.error("DescribeBackup", request(&other)).await.0, "AccessDeniedException");
    let other = UNKNOWN.replace("east", "west");
    assert_eq!(service.error("DescribeBackup", request(&other)).await.0, "BackupNotFoundException");
    let text = service.invalid("ListBackups", json!({"ExclusiveStartBackupArn": other})).await;
    assert_eq!(text, "Invalid Request: The supplied ExclusiveStartBackupArn does not match the region");
}

#[tokio::test]
async fn requests_that_do_not_fit_are_refused_in_dynamodbs_words() {
    let service = users().await;
    let table_arn = "arn:aws:dynamodb:east:game:table/users";
    for (operation, request, expected) in [
        (
            "CreateBackup",
            json!({"BackupName": "nightly"}),
            "The parameter 'TableName' is required but was not present in the request",
        ),
        (
            "CreateBackup",
            json!({"TableName": "u", "BackupName": "nightly"}),
            "TableName must be at least 3 characters long and at most 255 characters long",
        ),
        (
            "CreateBackup",
            json!({"TableName": "us ers", "BackupName": ""}),
            "3 validation errors detected: Value 'us ers' at 'tableName' failed to satisfy constraint: Member must \
             satisfy regular expression pattern: [a-zA-Z0-9_.-]+; Value '' at 'backupName' failed to satisfy \
             constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+; Value '' at 'backupName' \
             failed to satisfy constraint: Member must have length greater than or equal to 3",
        ),
        (
            "CreateBackup",
            json!({"TableName": "users"}),
            "1 validation error detected: Value null at 'backupName' failed to satisfy constraint: Member must not \
             be null",
        ),
        (
            "DescribeBackup",
            json!({}),
            "1 validation error detected: Value null at 'backupArn' failed to satisfy constraint: Member must not be \
             null",
        ),
        (
            "DeleteBackup",
            json!({"BackupArn": "arn"}),
            "1 validation error detected: Value 'arn' at 'backupArn' failed to satisfy constraint: Member must have \
             length greater than or equal to 37",
        ),
        ("DescribeBackup", json!({"BackupArn": table_arn}), "Invalid Backup ARN"),
        (
            "ListBackups",
            json!({"Limit": 101, "BackupType": "user"}),
            "2 validation errors detected: Value '101' at 'limit' failed to satisfy constraint: Member must have \
             value less than or equal to 100; Value 'user' at 'backupType' failed to satisfy constraint: Member must \
             satisfy enum value set: [USER, SYSTEM, AWS_BACKUP, ALL]",
        ),
        (
            "ListBackups",
            json!({"Limit": 0}),
            "1 validation error detected: Value '0' at 'limit' failed to satisfy constraint: Member must have value \
             greater than or equal to 1",
        ),
        (
            "ListBackups",
            json!({"TimeRangeLowerBound": 2, "TimeRangeUpperBound": 1}),
            "One or more parameter values were invalid: Time range lower bound must be less than or equal to upper \
             bound",
        ),
    ] {
        assert_eq!(service.invalid(operation, request).await, expected);
    }
}
