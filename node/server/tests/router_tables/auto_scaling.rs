//! Auto-scaling: what the API writes of it into the `Table` resource, and whose it leaves alone.

use crate::{setting::Setting, support::api_server::active_table};
use cairn_model::ids::TableId;
use cairn_server::router::writes::ApiWrites;
use serde_json::{Value, json};

const UPDATE: &str = "UpdateTableReplicaAutoScaling";

/// The provisioned table `users` with an index `by-team`, managed by whom; `scaling`: its spec's `autoScaling`.
async fn provisioned(writes: ApiWrites, manager: &str, scaling: Option<Value>) -> Setting {
    let setting = Setting::new(writes).await;
    let units = json!({"readCapacityUnits": 5, "writeCapacityUnits": 5});
    let mut index = json!({
        "indexName": "by-team", "keySchema": [{"attributeName": "Team", "keyType": "HASH"}],
        "projection": {"projectionType": "ALL"},
    });
    let mut status = index.clone();
    status.as_object_mut().unwrap().extend(
        json!({
            "indexId": TableId([8; 16]).to_string(), "slot": 0, "indexStatus": "ACTIVE", "placements": [],
            "attributeDefinitions": [{"attributeName": "Team", "attributeType": "S"}],
            "autoScaling": {"units": {"readCapacityUnits": 5, "writeCapacityUnits": 40}, "beganWith": units},
        })
        .as_object()
        .unwrap()
        .clone(),
    );
    index["provisionedThroughput"] = units.clone();
    let mut spec = json!({
        "attributeDefinitions": [
            {"attributeName": "Id", "attributeType": "S"}, {"attributeName": "Team", "attributeType": "S"},
        ],
        "billingMode": "PROVISIONED", "provisionedThroughput": units, "globalSecondaryIndexes": [index],
    });
    if let Some(scaling) = scaling {
        spec["autoScaling"] = scaling;
    }
    let table = active_table(TableId([7; 16]), spec, json!({"globalSecondaryIndexes": [status]}));
    setting.api_server.remove("tables", "users");
    setting.api_server.put("tables", "users", table, manager);
    setting.watch();
    setting
}

fn spec(setting: &Setting) -> Value {
    setting.api_server.get("tables", "users").unwrap()["spec"].clone()
}

fn write(settings: Value) -> Value {
    json!({"TableName": "users", "ProvisionedWriteCapacityAutoScalingUpdate": settings})
}

fn bounds() -> Value {
    json!({"MinimumUnits": 5, "MaximumUnits": 10})
}

/// As a spec has those bounds.
fn declared() -> Value {
    json!({"minUnits": 5, "maxUnits": 10, "targetUtilizationPercent": 70})
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_declares_auto_scaling_as_a_manifest_would() {
    let setting = provisioned(ApiWrites::Own, "cairn-api", None).await;
    let mut request = write(bounds());
    request["GlobalSecondaryIndexUpdates"] =
        json!([{"IndexName": "by-team", "ProvisionedWriteCapacityAutoScalingUpdate": bounds()}]);
    let answer = setting.caller.ok(UPDATE, request).await;
    let stored = spec(&setting);
    assert_eq!(stored["autoScaling"], json!({"write": declared()}));
    assert_eq!(stored["globalSecondaryIndexes"][0]["autoScaling"], json!({"write": declared()}));
    let described = setting.caller.ok("DescribeTableReplicaAutoScaling", json!({"TableName": "users"})).await;
    assert_eq!(described, answer);
    let settings = &described["TableAutoScalingDescription"]["Replicas"][0];
    assert_eq!(settings["ReplicaProvisionedWriteCapacityAutoScalingSettings"]["MaximumUnits"], 10);
    let index = &setting.described().await["GlobalSecondaryIndexes"][0];
    assert_eq!(index["ProvisionedThroughput"]["WriteCapacityUnits"], 40, "what the index was scaled to");

    setting.caller.ok(UPDATE, write(json!({"AutoScalingDisabled": true}))).await;
    let stored = spec(&setting);
    assert!(stored.get("autoScaling").is_none() && stored["globalSecondaryIndexes"][0]["autoScaling"].is_object());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_was_overtaken_is_made_anew() {
    let setting = provisioned(ApiWrites::Own, "cairn-api", None).await;
    setting.api_server.conflict(1);
    setting.caller.ok(UPDATE, write(bounds())).await;
    assert_eq!(spec(&setting)["autoScaling"], json!({"write": declared()}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manual_change_of_an_indexs_throughput_is_where_its_auto_scaling_begins_anew() {
    let setting = provisioned(ApiWrites::Own, "cairn-api", None).await;
    let of_index = json!([{"IndexName": "by-team", "ProvisionedWriteCapacityAutoScalingUpdate": bounds()}]);
    setting.caller.ok(UPDATE, json!({"TableName": "users", "GlobalSecondaryIndexUpdates": of_index})).await;
    let units = json!({"ReadCapacityUnits": 5, "WriteCapacityUnits": 60});
    let update = json!([{"Update": {"IndexName": "by-team", "ProvisionedThroughput": units}}]);
    setting.caller.ok("UpdateTable", json!({"TableName": "users", "GlobalSecondaryIndexUpdates": update})).await;
    let index = spec(&setting)["globalSecondaryIndexes"][0].clone();
    assert_eq!(
        (&index["provisionedThroughput"]["writeCapacityUnits"], &index["autoScaling"]["write"]),
        (&json!(60), &declared())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn units_that_are_declared_already_are_set_where_an_index_was_scaled_to_others() {
    let setting = provisioned(ApiWrites::Own, "cairn-api", None).await;
    let of_index = json!([{"IndexName": "by-team", "ProvisionedWriteCapacityAutoScalingUpdate": bounds()}]);
    setting.caller.ok(UPDATE, json!({"TableName": "users", "GlobalSecondaryIndexUpdates": of_index})).await;
    let update = |write: u64| {
        let units = json!({"ReadCapacityUnits": 5, "WriteCapacityUnits": write});
        let update = json!([{"Update": {"IndexName": "by-team", "ProvisionedThroughput": units}}]);
        json!({"TableName": "users", "GlobalSecondaryIndexUpdates": update})
    };
    let (name, text) = setting.error("UpdateTable", update(40)).await;
    assert_eq!((name.as_str(), text.contains("will not change")), ("ValidationException", true), "{text}");
    setting.caller.ok("UpdateTable", update(5)).await;
    let index = spec(&setting)["globalSecondaryIndexes"][0].clone();
    assert_eq!(index["provisionedThroughput"], json!({"readCapacityUnits": 5, "writeCapacityUnits": 5}));
    assert_eq!(index["autoScaling"], json!({"write": declared(), "restarts": 1}));
    setting.caller.ok(UPDATE, json!({"TableName": "users", "GlobalSecondaryIndexUpdates": of_index})).await;
    assert_eq!(spec(&setting)["globalSecondaryIndexes"][0]["autoScaling"]["restarts"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_manager_declares_is_changed_there() {
    let scaling = Some(json!({"write": declared()}));
    let setting = provisioned(ApiWrites::Own, "kubectl", scaling.clone()).await;
    let (name, text) = setting.error(UPDATE, write(json!({"MaximumUnits": 20}))).await;
    assert_eq!((name.as_str(), text.contains("kubectl")), ("AccessDeniedException", true), "{text}");
    let setting = provisioned(ApiWrites::All, "kubectl", scaling).await;
    let (name, text) = setting.error(UPDATE, write(json!({"AutoScalingDisabled": true}))).await;
    assert_eq!((name.as_str(), text.contains("managed by kubectl")), ("AccessDeniedException", true), "{text}");
    assert_eq!(spec(&setting)["autoScaling"], json!({"write": declared()}));
}
