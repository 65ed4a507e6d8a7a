//! Global indexes of a table: what the API declares of them in its `Table` resource, and what it shows of what the operator notes.

use crate::{setting::Setting, support::api_server::active_table};
use cairn_model::ids::TableId;
use cairn_server::router::writes::ApiWrites;
use serde_json::{Value, json};

fn index(name: &str, key: &str) -> Value {
    json!({
        "IndexName": name, "Projection": {"ProjectionType": "ALL"},
        "KeySchema": [{"AttributeName": key, "KeyType": "HASH"}],
    })
}

fn attribute(name: &str) -> Value {
    json!({"AttributeName": name, "AttributeType": "S"})
}

/// A table's spec as it is stored.
fn declared(setting: &Setting, name: &str) -> Value {
    setting.api_server.get("tables", name).unwrap()["spec"].clone()
}

fn declared_index(name: &str, key: &str) -> Value {
    json!({
        "indexName": name, "keySchema": [{"attributeName": key, "keyType": "HASH"}],
        "projection": {"projectionType": "ALL"},
    })
}

/// What the operator notes of an index.
fn noted(name: &str, key: &str, id: u8, status: &str) -> Value {
    json!({
        "indexName": name, "indexId": TableId([id; 16]).to_string(), "slot": id, "indexStatus": status,
        "itemCount": 5, "indexSizeBytes": 50, "placements": [],
        "keySchema": [{"attributeName": key, "keyType": "HASH"}],
        "attributeDefinitions": [{"attributeName": key, "attributeType": "S"}],
        "projection": {"projectionType": "ALL"},
    })
}

/// The table `users` with an index by team that is so, managed by whom.
async fn with_index(writes: ApiWrites, status: Value, manager: &str) -> Setting {
    let setting = Setting::new(writes).await;
    let spec = json!({
        "attributeDefinitions": [
            {"attributeName": "Id", "attributeType": "S"}, {"attributeName": "Team", "attributeType": "S"},
        ],
        "globalSecondaryIndexes": [declared_index("by-team", "Team")],
    });
    let table = active_table(TableId([7; 16]), spec, json!({"globalSecondaryIndexes": status}));
    setting.api_server.remove("tables", "users");
    setting.api_server.put("tables", "users", table, manager);
    setting.watch();
    setting
}

async fn described(setting: &Setting) -> Vec<(String, String)> {
    states(&setting.described().await)
}

/// The names and the statuses of the indexes.
fn states(table: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let indexes = table["GlobalSecondaryIndexes"].as_array().cloned().unwrap_or_default();
    indexes.iter().map(|index| (text(&index["IndexName"]), text(&index["IndexStatus"]))).collect()
}

fn state(name: &str, status: &str) -> (String, String) {
    (name.to_owned(), status.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_declares_global_indexes_as_a_manifest_would() {
    let setting = Setting::new(ApiWrites::Own).await;
    let mut keys_only = index("by-rank", "Rank");
    keys_only["Projection"] = json!({"ProjectionType": "KEYS_ONLY"});
    let request = json!({
        "TableName": "games", "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [attribute("Id"), attribute("Team"), attribute("Rank")],
        "KeySchema": [{"AttributeName": "Id", "KeyType": "HASH"}],
        "GlobalSecondaryIndexes": [index("by-team", "Team"), keys_only],
    });
    let created = setting.caller.ok("CreateTable", request).await["TableDescription"].clone();
    assert_eq!(states(&created), [state("by-team", "CREATING"), state("by-rank", "CREATING")]);
    assert_eq!(created["GlobalSecondaryIndexes"][1]["Projection"]["ProjectionType"], "KEYS_ONLY");
    let spec = declared(&setting, "games");
    assert_eq!(spec["globalSecondaryIndexes"][0], declared_index("by-team", "Team"));
    assert_eq!(spec["attributeDefinitions"].as_array().unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_is_shown_as_the_operator_notes_it() {
    let mut filling = noted("by-team", "Team", 1, "CREATING");
    filling["backfilling"] = json!(true);
    let setting = with_index(ApiWrites::Own, json!([filling]), "cairn-api").await;
    let index = setting.described().await["GlobalSecondaryIndexes"][0].clone();
    assert_eq!((&index["IndexStatus"], &index["Backfilling"]), (&json!("CREATING"), &json!(true)));
    assert_eq!((&index["ItemCount"], &index["IndexSizeBytes"]), (&json!(5), &json!(50)));
    assert_eq!(index["IndexArn"], "arn:aws:dynamodb:east:game:table/users/index/by-team");
    let both = json!([noted("by-age", "Age", 2, "DELETING"), noted("by-team", "Team", 1, "ACTIVE")]);
    let setting = with_index(ApiWrites::Own, both, "cairn-api").await;
    assert_eq!(described(&setting).await, [state("by-team", "ACTIVE"), state("by-age", "DELETING")]);
    assert_eq!(setting.caller.ok("ListTables", json!({})).await["TableNames"], json!(["users"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_adds_and_removes_an_index_with_the_attributes_of_its_keys() {
    let setting = with_index(ApiWrites::Own, json!([noted("by-team", "Team", 1, "ACTIVE")]), "cairn-api").await;
    let create = json!({
        "TableName": "users", "AttributeDefinitions": [attribute("Id"), attribute("Team"), attribute("Rank")],
        "GlobalSecondaryIndexUpdates": [{"Create": index("by-rank", "Rank")}],
    });
    let updated = setting.caller.ok("UpdateTable", create).await["TableDescription"].clone();
    assert_eq!(states(&updated), [state("by-team", "ACTIVE"), state("by-rank", "CREATING")]);
    assert_eq!(updated["GlobalSecondaryIndexes"][1]["Projection"]["ProjectionType"], "ALL");
    let indexes = declared(&setting, "users")["globalSecondaryIndexes"].clone();
    assert_eq!(indexes, json!([declared_index("by-team", "Team"), declared_index("by-rank", "Rank")]));

    let setting = with_index(ApiWrites::Own, json!([noted("by-team", "Team", 1, "ACTIVE")]), "cairn-api").await;
    let delete = json!({"TableName": "users", "GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": "by-team"}}]});
    let updated = setting.caller.ok("UpdateTable", delete).await["TableDescription"].clone();
    assert_eq!(states(&updated), [state("by-team", "DELETING")]);
    // It is told of as it was until it is gone.
    assert_eq!(updated["GlobalSecondaryIndexes"][0]["Projection"]["ProjectionType"], "ALL");
    assert_eq!(updated["AttributeDefinitions"], json!([attribute("Id"), attribute("Team")]));
    let spec = declared(&setting, "users");
    assert_eq!(spec.get("globalSecondaryIndexes"), None);
    assert_eq!(spec["attributeDefinitions"], json!([{"attributeName": "Id", "attributeType": "S"}]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_of_a_manifest_is_removed_there() {
    let active = || json!([noted("by-team", "Team", 1, "ACTIVE")]);
    let delete = json!({"TableName": "users", "GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": "by-team"}}]});
    let setting = with_index(ApiWrites::All, active(), "argocd").await;
    let (name, text) = setting.error("UpdateTable", delete).await;
    assert_eq!(name, "AccessDeniedException");
    assert!(text.contains("by-team") && text.contains("argocd"), "{text}");

    // Another change leaves it to whom it belongs.
    let update = json!({"TableName": "users", "DeletionProtectionEnabled": true});
    setting.caller.ok("UpdateTable", update).await;
    assert_eq!(declared(&setting, "users")["globalSecondaryIndexes"], json!([declared_index("by-team", "Team")]));
    let table = setting.api_server.get("tables", "users").unwrap();
    let entries = table["metadata"]["managedFields"].as_array().unwrap();
    let own = entries.iter().find(|entry| entry["manager"] == "cairn-api").unwrap();
    assert_eq!(own["fieldsV1"]["f:spec"].get("f:globalSecondaryIndexes"), None, "{own}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_throughput_of_an_index_has_a_history_of_its_own() {
    let units = json!({"readCapacityUnits": 10, "writeCapacityUnits": 10});
    let mut entry = noted("by-team", "Team", 1, "ACTIVE");
    entry["throughput"] = json!({
        "provisionedThroughput": units, "lastDecreaseDateTime": "2026-01-01T00:00:02Z", "numberOfDecreases": 1,
    });
    let setting = with_index(ApiWrites::Own, json!([entry]), "cairn-api").await;
    let mut table = setting.api_server.get("tables", "users").unwrap();
    table["spec"]["billingMode"] = json!("PROVISIONED");
    table["spec"]["provisionedThroughput"] = units.clone();
    table["spec"]["globalSecondaryIndexes"][0]["provisionedThroughput"] = units;
    setting.api_server.put("tables", "users", table, "cairn-api");
    setting.watch();
    let described = setting.described().await;
    let throughput = &described["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"];
    assert_eq!(throughput["LastDecreaseDateTime"], 1_767_225_602.0);
    assert_eq!(described["ProvisionedThroughput"].get("LastDecreaseDateTime"), None);
    let units = json!({"ReadCapacityUnits": 20, "WriteCapacityUnits": 10});
    let update = json!({"Update": {"IndexName": "by-team", "ProvisionedThroughput": units}});
    let update = json!({"TableName": "users", "GlobalSecondaryIndexUpdates": [update]});
    let updated = setting.caller.ok("UpdateTable", update).await["TableDescription"].clone();
    assert_eq!(states(&updated), [state("by-team", "UPDATING")]);
    let declared = declared(&setting, "users");
    assert_eq!(declared["globalSecondaryIndexes"][0]["provisionedThroughput"]["readCapacityUnits"], 20);
}
