//! Replicas in UpdateTable and DescribeTable.

use crate::client::Service;
use cairn_model::{region::ReplicaStatus, table::TableStatus};
use serde_json::{Value, json};

async fn users() -> Service {
    let service = Service::archived().await;
    service.create("users", &[("Id", "S"), ("Game", "N")]).await;
    service
}

fn update(updates: Value) -> Value {
    json!({"TableName": "users", "ReplicaUpdates": updates})
}

fn create(region: &str) -> Value {
    update(json!([{"Create": {"RegionName": region}}]))
}

fn delete(region: &str) -> Value {
    update(json!([{"Delete": {"RegionName": region}}]))
}

async fn described(service: &Service) -> Value {
    service.ok("DescribeTable", json!({"TableName": "users"})).await["Table"].clone()
}

#[tokio::test]
async fn a_region_that_is_added_is_a_replica_that_is_creating() {
    let service = users().await;
    let answer = service.ok("UpdateTable", create("west")).await["TableDescription"].clone();
    assert_eq!(answer["TableStatus"], "UPDATING");
    assert_eq!(answer["GlobalTableVersion"], "2019.11.21");
    let creating = json!([{"RegionName": "west", "ReplicaStatus": "CREATING"}]);
    assert_eq!(answer["Replicas"], creating);
    let table = described(&service).await;
    assert_eq!((&table["TableStatus"], &table["Replicas"]), (&json!("UPDATING"), &creating));
}

#[tokio::test]
async fn a_table_tells_how_it_stands_with_its_other_regions_and_not_of_its_own() {
    let service = users().await;
    service.ok("UpdateTable", create("west")).await;
    service.ok("UpdateTable", create("north")).await;
    service.regions.settle("users");
    service.regions.set("users", "north", ReplicaStatus::Creating, "40 of about 100 items are copied", 40);
    let table = described(&service).await;
    assert_eq!(table["TableStatus"], "ACTIVE");
    assert_eq!(
        table["Replicas"],
        json!([
            {
                "RegionName": "north", "ReplicaStatus": "CREATING", "ReplicaStatusPercentProgress": "40",
                "ReplicaStatusDescription": "40 of about 100 items are copied",
            },
            {"RegionName": "west", "ReplicaStatus": "ACTIVE"},
        ])
    );
    assert!(table.get("MultiRegionConsistency").is_none(), "DynamoDB tells it of strong ones alone");
}

#[tokio::test]
async fn a_table_whose_last_replica_is_gone_is_global_no_more() {
    let service = users().await;
    service.ok("UpdateTable", create("west")).await;
    service.regions.settle("users");
    let answer = service.ok("UpdateTable", delete("west")).await["TableDescription"].clone();
    assert_eq!(answer["Replicas"], json!([{"RegionName": "west", "ReplicaStatus": "DELETING"}]));
    let (name, text) = service.error("UpdateTable", delete("west")).await;
    assert_eq!(name, "ResourceInUseException");
    assert_eq!(text, "The resource which you are attempting to change is in use.");
    service.regions.settle("users");
    let table = described(&service).await;
    assert_eq!((table.get("Replicas"), table.get("GlobalTableVersion")), (None, None));
}

#[tokio::test]
async fn what_is_and_what_is_not_a_replica_is_said_in_dynamodbs_words() {
    let service = users().await;
    service.ok("UpdateTable", create("west")).await;
    let text = service.invalid("UpdateTable", create("west")).await;
    assert_eq!(
        text,
        "Failed to create a the new replica of table with name: ‘users’ because one or more replicas already existed as \
         tables."
    );
    let text = service.invalid("UpdateTable", delete("north")).await;
    assert_eq!(
        text,
        "Update global table operation failed because one or more replicas were not part of the global table. Please \
         retry the request without these replicas: [north]."
    );
    for own in [create("east"), delete("east")] {
        let text = service.invalid("UpdateTable", own).await;
        assert!(text.starts_with("Cannot add or delete the local region through ReplicaUpdates."), "{text}");
    }
}

#[tokio::test]
async fn a_call_changes_one_replica_and_nothing_else() {
    let service = users().await;
    for (updates, expected) in [
        (json!([{}]), "There are no actions specified in the Replica Update Action of the request."),
        (
            json!([{"Create": {"RegionName": "west"}, "Delete": {"RegionName": "west"}}]),
            "Update table operation with more than one type of replica actions not allowed.",
        ),
        (
            json!([{"Create": {"RegionName": "west"}}, {"Delete": {"RegionName": "north"}}]),
            "Update table operation with more than one type of replica actions not allowed.",
        ),
        (
            json!([{"Create": {"RegionName": "west"}}, {"Create": {"RegionName": "north"}}]),
            "Update table operation with more than one create or delete replica actions not allowed",
        ),
        (
            json!([{"Update": {"RegionName": "west"}}]),
            "There are no actions specified in the Replica Update Action of the request.",
        ),
    ] {
        assert_eq!(service.invalid("UpdateTable", update(updates)).await, expected);
    }
    let mut both = create("west");
    both["DeletionProtectionEnabled"] = json!(true);
    let text = service.invalid("UpdateTable", both).await;
    assert_eq!(
        text,
        "One or more parameter values were invalid: Requests that modify replicas or witnesses must not also modify other \
         fields"
    );
    assert!(described(&service).await.get("Replicas").is_none());
}

#[tokio::test]
async fn malformed_replica_updates_are_constraints() {
    let service = users().await;
    let text = service.invalid("UpdateTable", update(json!([]))).await;
    assert!(text.contains("'[]' at 'replicaUpdates' failed to satisfy constraint: Member must have length"), "{text}");
    let mut request = update(json!([{"Create": {}}]));
    request["MultiRegionConsistency"] = json!("SOME");
    let text = service.invalid("UpdateTable", request).await;
    assert!(text.starts_with("2 validation errors detected: "), "{text}");
    assert!(text.contains("at 'replicaUpdates.1.member.create.regionName'"), "{text}");
    assert!(text.contains("at 'multiRegionConsistency'"), "{text}");
    let (name, text) = service.error("UpdateTable", update(json!([{"Create": {"RegionName": 1}}]))).await;
    assert_eq!(
        (name.as_str(), text.as_str()),
        ("SerializationException", "NUMBER_VALUE cannot be converted to String")
    );
}

#[tokio::test]
async fn settings_of_a_replica_are_refused_by_name() {
    let service = users().await;
    for (parameter, value) in [
        ("KMSMasterKeyId", json!("alias/key")),
        ("ProvisionedThroughputOverride", json!({"ReadCapacityUnits": 5})),
        ("OnDemandThroughputOverride", json!({"MaxReadRequestUnits": 5})),
        ("GlobalSecondaryIndexes", json!([{"IndexName": "by-score"}])),
        ("TableClassOverride", json!("STANDARD")),
    ] {
        for action in ["Create", "Update"] {
            let request = update(json!([{action: {"RegionName": "west", parameter: value}}]));
            let text = service.invalid("UpdateTable", request).await;
            assert!(text.contains(parameter) && text.contains("not supported"), "{text}");
        }
    }
    let disassociate = json!({"RegionName": "east", "DisassociationMode": "WAIT_FOR_REPLICATION"});
    let text = service.invalid("UpdateTable", update(json!([{"Disassociate": disassociate}]))).await;
    assert!(text.contains("Disassociate is not supported"), "{text}");
    let mut witness = create("west");
    witness["GlobalTableWitnessUpdates"] = json!([{"Create": {"RegionName": "north"}}]);
    let text = service.invalid("UpdateTable", witness).await;
    assert!(text.contains("GlobalTableWitnessUpdates is not supported"), "{text}");
}

#[tokio::test]
async fn consistency_is_eventual_and_said_with_the_first_replica_alone() {
    let service = users().await;
    let with = |mut request: Value, consistency: &str| {
        request["MultiRegionConsistency"] = json!(consistency);
        request
    };
    let text = service.invalid("UpdateTable", with(create("west"), "STRONG")).await;
    assert!(text.contains("MultiRegionConsistency STRONG is not supported"), "{text}");
    let text = service.invalid("UpdateTable", with(delete("west"), "EVENTUAL")).await;
    assert!(text.starts_with("Only Replica Create actions are supported"), "{text}");
    service.ok("UpdateTable", with(create("west"), "EVENTUAL")).await;
    let text = service.invalid("UpdateTable", with(create("north"), "EVENTUAL")).await;
    assert_eq!(text, "MultiRegionConsistency parameter is unsupported on existing global table");
    let alone = json!({"TableName": "users", "MultiRegionConsistency": "EVENTUAL"});
    assert!(service.invalid("UpdateTable", alone).await.starts_with("At least one of ProvisionedThroughput"));
}

#[tokio::test]
async fn a_table_has_sixteen_regions_at_most() {
    let service = users().await;
    for region in 1..16 {
        service.ok("UpdateTable", create(&format!("region-{region}"))).await;
    }
    let (name, text) = service.error("UpdateTable", create("one-more")).await;
    assert_eq!(name, "LimitExceededException");
    assert!(text.contains("16 regions"), "{text}");
}

#[tokio::test]
async fn only_a_table_that_is_there_and_at_rest_gets_replicas() {
    let service = users().await;
    let mut missing = create("west");
    missing["TableName"] = json!("missing");
    assert_eq!(service.error("UpdateTable", missing).await.0, "ResourceNotFoundException");
    for status in [TableStatus::Creating, TableStatus::Updating, TableStatus::Deleting] {
        service.catalog.set_status("users", status);
        assert_eq!(service.error("UpdateTable", create("west")).await.0, "ResourceInUseException");
    }
}

#[tokio::test]
async fn where_there_is_no_other_region_it_is_said_so() {
    let service = Service::with_users().await;
    let text = service.invalid("UpdateTable", create("west")).await;
    assert!(text.starts_with("There is no other region here"), "{text}");
}
