//! Local indexes of a table that the API makes: in its `Table` resource, as a manifest would have them.

use crate::setting::Setting;
use cairn_server::router::writes::ApiWrites;
use serde_json::{Value, json};

fn index(name: &str, sort: &str, projection: Value) -> Value {
    json!({
        "IndexName": name,
        "KeySchema": [{"AttributeName": "Id", "KeyType": "HASH"}, {"AttributeName": sort, "KeyType": "RANGE"}],
        "Projection": projection
    })
}

fn games() -> Value {
    let attribute = |name: &str| json!({"AttributeName": name, "AttributeType": "S"});
    let included = json!({"ProjectionType": "INCLUDE", "NonKeyAttributes": ["Team"]});
    json!({
        "TableName": "games",
        "AttributeDefinitions": [attribute("Id"), attribute("Game"), attribute("Rank")],
        "KeySchema": [{"AttributeName": "Id", "KeyType": "HASH"}, {"AttributeName": "Game", "KeyType": "RANGE"}],
        "BillingMode": "PAY_PER_REQUEST",
        "LocalSecondaryIndexes": [
            index("by-rank", "Rank", included), index("all", "Rank", json!({"ProjectionType": "ALL"}))
        ]
    })
}

/// A table's spec as it is stored.
fn declared(setting: &Setting) -> Value {
    setting.api_server.get("tables", "games").unwrap()["spec"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_declares_local_indexes_as_a_manifest_would() {
    let setting = Setting::new(ApiWrites::Own).await;
    let created = setting.caller.ok("CreateTable", games()).await["TableDescription"].clone();
    let keys = json!([{"attributeName": "Id", "keyType": "HASH"}, {"attributeName": "Rank", "keyType": "RANGE"}]);
    let spec = declared(&setting);
    assert_eq!(
        spec["localSecondaryIndexes"],
        json!([
            {
                "indexName": "by-rank", "keySchema": keys,
                "projection": {"projectionType": "INCLUDE", "nonKeyAttributes": ["Team"]}
            },
            {"indexName": "all", "keySchema": keys, "projection": {"projectionType": "ALL"}}
        ])
    );
    let defined: Vec<&Value> =
        spec["attributeDefinitions"].as_array().unwrap().iter().map(|defined| &defined["attributeName"]).collect();
    assert_eq!(defined, ["Id", "Game", "Rank"], "each once");
    let described = |table: &Value| {
        let index = &table["LocalSecondaryIndexes"][0];
        (index["IndexName"].clone(), index["Projection"]["NonKeyAttributes"].clone(), index["IndexArn"].clone())
    };
    let arn = json!("arn:aws:dynamodb:east:game:table/games/index/by-rank");
    assert_eq!(described(&created), (json!("by-rank"), json!(["Team"]), arn));
    setting.watch();
    let table = setting.caller.ok("DescribeTable", json!({"TableName": "games"})).await["Table"].clone();
    assert_eq!(described(&table), described(&created));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_change_leaves_the_local_indexes_as_they_were_declared() {
    let setting = Setting::new(ApiWrites::Own).await;
    setting.caller.ok("CreateTable", games()).await;
    let mut table = setting.api_server.get("tables", "games").unwrap();
    table["status"] = json!({
        "tableId": "33333333-3333-4333-8333-333333333333", "creationDateTime": "2026-01-01T00:00:00Z",
        "tableStatus": "ACTIVE", "schemaVersion": 1,
    });
    setting.api_server.put("tables", "games", table, "cairn-api");
    setting.watch();
    let before = declared(&setting);
    let update = json!({"TableName": "games", "DeletionProtectionEnabled": true});
    setting.caller.ok("UpdateTable", update).await;
    let after = declared(&setting);
    assert_eq!(after["deletionProtectionEnabled"], true);
    assert_eq!(after["localSecondaryIndexes"], before["localSecondaryIndexes"]);
}
