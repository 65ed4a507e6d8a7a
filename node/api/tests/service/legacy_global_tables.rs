//! Global tables by the operations of version 2017.11.29.

use crate::client::Service;
use serde_json::{Value, json};

async fn users() -> Service {
    let service = Service::archived().await;
    service.create("users", &[("Id", "S"), ("Game", "N")]).await;
    service
}

fn group(regions: &[&str]) -> Value {
    let regions: Vec<Value> = regions.iter().map(|region| json!({"RegionName": region})).collect();
    json!({"GlobalTableName": "users", "ReplicationGroup": regions})
}

fn name() -> Value {
    json!({"GlobalTableName": "users"})
}

fn update(updates: Value) -> Value {
    json!({"GlobalTableName": "users", "ReplicaUpdates": updates})
}

/// `users` in east and west, at rest.
async fn global_users() -> Service {
    let service = users().await;
    service.ok("CreateGlobalTable", group(&["east", "west"])).await;
    service.regions.settle("users");
    service
}

#[tokio::test]
async fn a_global_table_is_described_with_all_its_regions() {
    let service = users().await;
    let created = service.ok("CreateGlobalTable", group(&["west", "east", "north"])).await;
    let mut expected = json!({
        "ReplicationGroup": [
            {"RegionName": "east", "ReplicaStatus": "ACTIVE"},
            {"RegionName": "north", "ReplicaStatus": "CREATING"},
            {"RegionName": "west", "ReplicaStatus": "CREATING"},
        ],
        "GlobalTableArn": "arn:aws:dynamodb::game:global-table/users",
        "CreationDateTime": 1_700_000_000.0,
        "GlobalTableStatus": "CREATING",
        "GlobalTableName": "users",
    });
    assert_eq!(created["GlobalTableDescription"], expected);
    service.regions.settle("users");
    expected["GlobalTableStatus"] = json!("ACTIVE");
    expected["ReplicationGroup"][1]["ReplicaStatus"] = json!("ACTIVE");
    expected["ReplicationGroup"][2]["ReplicaStatus"] = json!("ACTIVE");
    assert_eq!(service.ok("DescribeGlobalTable", name()).await["GlobalTableDescription"], expected);
    let table = service.ok("DescribeTable", json!({"TableName": "users"})).await["Table"].clone();
    assert_eq!(table["Replicas"].as_array().unwrap().len(), 2, "the same replicas, this region aside");
}

#[tokio::test]
async fn a_group_has_this_region_and_another_each_once() {
    let service = users().await;
    for (regions, expected) in [
        (&["west"][..], "ReplicationGroup must have this region, east"),
        (&["east"], "ReplicationGroup must have a region besides this one"),
        (&[], "ReplicationGroup must have this region, east"),
        (&["east", "west", "west"], "ReplicationGroup has the region west twice"),
        (&["east", ""], "RegionName of a member of ReplicationGroup is missing"),
    ] {
        let text = service.invalid("CreateGlobalTable", group(regions)).await;
        assert_eq!(text, format!("One or more parameter values were invalid: {expected}"));
    }
    let text = service.invalid("CreateGlobalTable", json!({})).await;
    assert!(text.starts_with("2 validation errors detected: Value null at 'globalTableName'"), "{text}");
}

#[tokio::test]
async fn only_a_table_that_is_there_and_not_global_is_made_global() {
    let service = global_users().await;
    let (error, text) = service.error("CreateGlobalTable", group(&["east", "north"])).await;
    assert_eq!(error, "GlobalTableAlreadyExistsException");
    assert_eq!(text, "Global table with name: 'users' already exists with replicas in regions: 'east, west'.");
    let mut missing = group(&["east", "west"]);
    missing["GlobalTableName"] = json!("missing");
    let (error, text) = service.error("CreateGlobalTable", missing).await;
    assert_eq!(error, "TableNotFoundException");
    assert_eq!(text, "Table not found: Table: 'missing' not found in region: 'east'.");
}

#[tokio::test]
async fn regions_are_added_and_taken_out_in_one_call() {
    let service = global_users().await;
    let updates = json!([{"Create": {"RegionName": "north"}}, {"Delete": {"RegionName": "west"}}]);
    let answer = service.ok("UpdateGlobalTable", update(updates)).await["GlobalTableDescription"].clone();
    assert_eq!(answer["GlobalTableStatus"], "UPDATING");
    assert_eq!(
        answer["ReplicationGroup"],
        json!([
            {"RegionName": "east", "ReplicaStatus": "ACTIVE"},
            {"RegionName": "north", "ReplicaStatus": "CREATING"},
            {"RegionName": "west", "ReplicaStatus": "DELETING"},
        ])
    );
}

#[tokio::test]
async fn updates_that_do_not_fit_the_group_have_exceptions_of_their_own() {
    let service = global_users().await;
    for (updates, expected) in [
        (json!([{"Create": {"RegionName": "west"}}]), "ReplicaAlreadyExistsException"),
        (json!([{"Create": {"RegionName": "east"}}]), "ReplicaAlreadyExistsException"),
        (
            json!([{"Create": {"RegionName": "north"}}, {"Create": {"RegionName": "north"}}]),
            "ReplicaAlreadyExistsException",
        ),
        (json!([{"Delete": {"RegionName": "north"}}]), "ReplicaNotFoundException"),
        (json!([{"Delete": {"RegionName": "east"}}]), "ValidationException"),
        (json!([]), "ValidationException"),
        (json!([{}]), "ValidationException"),
    ] {
        assert_eq!(service.error("UpdateGlobalTable", update(updates.clone())).await.0, expected, "{updates}");
    }
    service.ok("UpdateGlobalTable", update(json!([{"Delete": {"RegionName": "west"}}]))).await;
    let again = update(json!([{"Delete": {"RegionName": "west"}}]));
    assert_eq!(service.error("UpdateGlobalTable", again).await.0, "ResourceInUseException");
}

#[tokio::test]
async fn what_is_not_global_is_not_found() {
    let service = users().await;
    let updates = json!([{"Create": {"RegionName": "west"}}]);
    for (operation, request) in [
        ("DescribeGlobalTable", name()),
        ("DescribeGlobalTableSettings", name()),
        ("UpdateGlobalTableSettings", name()),
        ("UpdateGlobalTable", update(updates)),
    ] {
        let (error, text) = service.error(operation, request).await;
        assert_eq!(error, "GlobalTableNotFoundException", "{operation}");
        assert_eq!(text, "Global table not found: Global table with name: 'users' does not exist.");
    }
    assert_eq!(service.ok("ListGlobalTables", json!({})).await, json!({"GlobalTables": []}));
}

#[tokio::test]
async fn global_tables_are_listed_page_by_page_and_by_region() {
    let service = Service::archived().await;
    for (table, region) in [("alpha", "west"), ("bravo", "north"), ("charlie", "west"), ("delta", "")] {
        service.create(table, &[("Id", "S")]).await;
        if !region.is_empty() {
            let group = json!([{"RegionName": "east"}, {"RegionName": region}]);
            service.ok("CreateGlobalTable", json!({"GlobalTableName": table, "ReplicationGroup": group})).await;
        }
    }
    let listed = |request: Value| async {
        let answer = service.ok("ListGlobalTables", request).await;
        let names: Vec<Value> =
            answer["GlobalTables"].as_array().unwrap().iter().map(|t| t["GlobalTableName"].clone()).collect();
        (Value::from(names), answer["LastEvaluatedGlobalTableName"].clone())
    };
    assert_eq!(listed(json!({})).await, (json!(["alpha", "bravo", "charlie"]), Value::Null));
    assert_eq!(listed(json!({"Limit": 2})).await, (json!(["alpha", "bravo"]), json!("bravo")));
    let rest = json!({"Limit": 2, "ExclusiveStartGlobalTableName": "bravo"});
    assert_eq!(listed(rest).await, (json!(["charlie"]), Value::Null));
    assert_eq!(listed(json!({"RegionName": "west"})).await, (json!(["alpha", "charlie"]), Value::Null));
    assert_eq!(listed(json!({"RegionName": "south"})).await, (json!([]), Value::Null));
    let first = service.ok("ListGlobalTables", json!({"Limit": 1})).await["GlobalTables"][0].clone();
    assert_eq!(
        first,
        json!({"GlobalTableName": "alpha", "ReplicationGroup": [{"RegionName": "east"}, {"RegionName": "west"}]})
    );
    assert!(service.invalid("ListGlobalTables", json!({"Limit": 0})).await.contains("'limit'"));
}

#[tokio::test]
async fn the_settings_of_this_region_are_told_and_those_of_others_are_theirs() {
    let service = global_users().await;
    let answer = service.ok("DescribeGlobalTableSettings", name()).await;
    assert_eq!(
        answer,
        json!({
            "GlobalTableName": "users",
            "ReplicaSettings": [
                {
                    "RegionName": "east", "ReplicaStatus": "ACTIVE",
                    "ReplicaBillingModeSummary": {"BillingMode": "PAY_PER_REQUEST"},
                    "ReplicaProvisionedReadCapacityUnits": 0, "ReplicaProvisionedWriteCapacityUnits": 0,
                },
                {"RegionName": "west", "ReplicaStatus": "ACTIVE"},
            ],
        })
    );
    assert_eq!(service.ok("UpdateGlobalTableSettings", name()).await, answer);
    for (setting, value) in [
        ("GlobalTableBillingMode", json!("PROVISIONED")),
        ("GlobalTableProvisionedWriteCapacityUnits", json!(5)),
        ("ReplicaSettingsUpdate", json!([{"RegionName": "west", "ReplicaProvisionedReadCapacityUnits": 5}])),
    ] {
        let text =
            service.invalid("UpdateGlobalTableSettings", json!({"GlobalTableName": "users", setting: value})).await;
        assert!(text.contains(setting) && text.contains("Change them with UpdateTable"), "{text}");
    }
    let stranger = json!({"GlobalTableName": "users", "ReplicaSettingsUpdate": [{"RegionName": "north"}]});
    assert_eq!(service.error("UpdateGlobalTableSettings", stranger).await.0, "ReplicaNotFoundException");
}

#[tokio::test]
async fn where_there_is_no_other_region_no_global_table_is_made() {
    let service = Service::with_users().await;
    let text = service.invalid("CreateGlobalTable", group(&["east", "west"])).await;
    assert!(text.starts_with("There is no other region here"), "{text}");
    assert_eq!(service.error("DescribeGlobalTable", name()).await.0, "GlobalTableNotFoundException");
    assert_eq!(service.ok("ListGlobalTables", json!({})).await, json!({"GlobalTables": []}));
}
