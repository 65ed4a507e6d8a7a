//! Time To Live: on, off, and what is refused.

use crate::client::{NOW_MS, Service};
use cairn_api::Catalog;
use cairn_model::{
    node::TimeToLiveState,
    table::{TableStatus, TimeToLive},
};
use serde_json::{Value, json};

fn specification(attribute: &str, enabled: bool) -> Value {
    json!({"TableName": "users", "TimeToLiveSpecification": {"AttributeName": attribute, "Enabled": enabled}})
}

async fn described(service: &Service) -> Value {
    service.ok("DescribeTimeToLive", json!({"TableName": "users"})).await["TimeToLiveDescription"].clone()
}

fn settings(service: &Service) -> Option<TimeToLive> {
    service.catalog.table("game", "users").unwrap().definition.time_to_live.clone()
}

fn held(service: &Service, attribute_name: Option<&str>, is_changing: bool) {
    let attribute_name = attribute_name.map(str::to_owned);
    *service.partitions.time_to_live.lock().unwrap() = Some(TimeToLiveState { attribute_name, is_changing });
}

#[tokio::test]
async fn items_expire_by_the_attribute_that_was_named_until_that_is_turned_off() {
    let service = Service::with_users().await;
    assert_eq!(described(&service).await, json!({"TimeToLiveStatus": "DISABLED"}));
    let answer = service.ok("UpdateTimeToLive", specification("expires", true)).await;
    assert_eq!(answer, json!({"TimeToLiveSpecification": {"AttributeName": "expires", "Enabled": true}}));
    assert_eq!(settings(&service), Some(TimeToLive { attribute_name: "expires".into(), enabled_at_ms: NOW_MS }));
    assert_eq!(described(&service).await, json!({"TimeToLiveStatus": "ENABLED", "AttributeName": "expires"}));
    let answer = service.ok("UpdateTimeToLive", specification("expires", false)).await;
    assert_eq!(answer, json!({"TimeToLiveSpecification": {"AttributeName": "expires", "Enabled": false}}));
    assert_eq!(settings(&service), None);
    assert_eq!(described(&service).await, json!({"TimeToLiveStatus": "DISABLED"}));
}

#[tokio::test]
async fn a_table_is_named_by_its_arn_too() {
    let service = Service::with_users().await;
    let arn = "arn:aws:dynamodb:east:game:table/users";
    let mut request = specification("expires", true);
    request["TableName"] = arn.into();
    service.ok("UpdateTimeToLive", request).await;
    let answer = service.ok("DescribeTimeToLive", json!({"TableName": arn})).await;
    assert_eq!(answer["TimeToLiveDescription"]["TimeToLiveStatus"], "ENABLED");
}

#[tokio::test]
async fn what_is_already_so_can_not_be_asked_for() {
    let service = Service::with_users().await;
    let invalid =
        async |attribute, enabled| service.invalid("UpdateTimeToLive", specification(attribute, enabled)).await;
    assert_eq!(invalid("expires", false).await, "TimeToLive is already disabled");
    service.ok("UpdateTimeToLive", specification("expires", true)).await;
    assert_eq!(invalid("expires", true).await, "TimeToLive is already enabled");
    let other = "TimeToLive is active on a different AttributeName: current AttributeName is expires";
    assert_eq!(invalid("ends", true).await, other);
    assert_eq!(invalid("ends", false).await, other);
}

#[tokio::test]
async fn until_the_nodes_have_done_it_a_change_is_under_way_and_no_other_is_taken() {
    let service = Service::with_users().await;
    held(&service, None, false);
    service.ok("UpdateTimeToLive", specification("expires", true)).await;
    let enabling = json!({"TimeToLiveStatus": "ENABLING", "AttributeName": "expires"});
    assert_eq!(described(&service).await, enabling);
    held(&service, Some("expires"), true);
    assert_eq!(described(&service).await, enabling);
    let refusal = "Time to live has been modified multiple times within a fixed interval";
    assert_eq!(service.invalid("UpdateTimeToLive", specification("expires", false)).await, refusal);
    let already = service.invalid("UpdateTimeToLive", specification("expires", true)).await;
    assert_eq!(already, "TimeToLive is already enabled", "what is wrong with it comes first");
    held(&service, Some("expires"), false);
    assert_eq!(described(&service).await["TimeToLiveStatus"], "ENABLED");
    service.ok("UpdateTimeToLive", specification("expires", false)).await;
    assert_eq!(described(&service).await, json!({"TimeToLiveStatus": "DISABLING", "AttributeName": "expires"}));
    assert_eq!(service.invalid("UpdateTimeToLive", specification("expires", true)).await, refusal);
    held(&service, None, false);
    assert_eq!(described(&service).await["TimeToLiveStatus"], "DISABLED");
}

#[tokio::test]
async fn settings_that_do_not_fit_are_refused_in_dynamodbs_words() {
    let service = Service::with_users().await;
    let null = "1 validation error detected: Value null at";
    let must = "failed to satisfy constraint: Member must";
    for (request, expected) in [
        (json!({"TableName": "users"}), format!("{null} 'timeToLiveSpecification' {must} not be null")),
        (
            json!({"TableName": "users", "TimeToLiveSpecification": {"AttributeName": "expires"}}),
            format!("{null} 'timeToLiveSpecification.enabled' {must} not be null"),
        ),
        (
            json!({"TableName": "users", "TimeToLiveSpecification": {"Enabled": true}}),
            format!("{null} 'timeToLiveSpecification.attributeName' {must} not be null"),
        ),
        (
            specification("", true),
            format!(
                "1 validation error detected: Value '' at 'timeToLiveSpecification.attributeName' {must} have length \
                 greater than or equal to 1"
            ),
        ),
        (
            specification(&"x".repeat(256), true),
            format!(
                "1 validation error detected: Value '{}' at 'timeToLiveSpecification.attributeName' {must} have length \
                 less than or equal to 255",
                "x".repeat(256)
            ),
        ),
    ] {
        assert_eq!(service.invalid("UpdateTimeToLive", request).await, expected);
    }
    service.ok("UpdateTimeToLive", specification(&"x".repeat(255), true)).await;
}

#[tokio::test]
async fn what_is_not_there_yet_or_no_more_is_not_described() {
    let service = Service::with_users().await;
    for (status, name) in [(TableStatus::Creating, "CREATING"), (TableStatus::Deleting, "DELETING")] {
        service.catalog.set_status("users", status);
        assert_eq!(
            service.invalid("DescribeTimeToLive", json!({"TableName": "users"})).await,
            format!("Cannot describe time to live while table is in {name} state: Current table state is {name}")
        );
    }
    service.catalog.set_status("users", TableStatus::Updating);
    assert_eq!(described(&service).await, json!({"TimeToLiveStatus": "DISABLED"}));
}

#[tokio::test]
async fn a_table_that_is_not_there_or_not_yet_is_not_changed() {
    let service = Service::with_users().await;
    service.catalog.set_status("users", TableStatus::Creating);
    let (name, text) = service.error("UpdateTimeToLive", specification("expires", true)).await;
    assert_eq!(name, "ResourceInUseException");
    assert_eq!(text, "Attempt to change a resource which is still in use: Table users is being created");
    let missing = json!({"TableName": "missing", "TimeToLiveSpecification": {"AttributeName": "a", "Enabled": true}});
    let expected =
        ("ResourceNotFoundException".to_owned(), "Requested resource not found: Table: missing not found".to_owned());
    assert_eq!(service.error("UpdateTimeToLive", missing).await, expected);
    assert_eq!(service.error("DescribeTimeToLive", json!({"TableName": "missing"})).await, expected);
}

#[tokio::test]
async fn a_backup_tells_it_and_what_is_restored_from_it_has_none() {
    let service = Service::archived().await;
    service.create("users", &[("Id", "S")]).await;
    service.ok("UpdateTimeToLive", specification("expires", true)).await;
    let backup = service.ok("CreateBackup", json!({"TableName": "users", "BackupName": "nightly"})).await;
    let arn = &backup["BackupDetails"]["BackupArn"];
    let described = service.ok("DescribeBackup", json!({"BackupArn": arn})).await;
    assert_eq!(
        described["BackupDescription"]["SourceTableFeatureDetails"],
        json!({"TimeToLiveDescription": {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires"}})
    );
    service.ok("RestoreTableFromBackup", json!({"TargetTableName": "restored", "BackupArn": arn})).await;
    service.catalog.set_status("restored", TableStatus::Active);
    let answer = service.ok("DescribeTimeToLive", json!({"TableName": "restored"})).await;
    assert_eq!(answer["TimeToLiveDescription"], json!({"TimeToLiveStatus": "DISABLED"}));
}
