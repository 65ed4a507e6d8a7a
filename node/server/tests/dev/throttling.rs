//! `cairn dev --throttle`: tables are held to their throughput as DynamoDB holds them.

use crate::support::{Caller, Dev};
use serde_json::{Value, json};
use std::time::Duration;

const ARN: &str = "arn:aws:dynamodb:us-east-1:local:table/users";

struct Table {
    caller: Caller,
    _dev: Dev,
    _folder: tempfile::TempDir,
}

async fn table(arguments: &[&str], more: Value) -> Table {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start_with(folder.path(), arguments);
    let caller = Caller::new(&dev.endpoint);
    let mut request = json!({
        "TableName": "users",
        "AttributeDefinitions": [{"AttributeName": "Id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "Id", "KeyType": "HASH"}],
    });
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    caller.ok("CreateTable", request).await;
    Table { caller, _dev: dev, _folder: folder }
}

fn provisioned(units: u64) -> Value {
    json!({"ProvisionedThroughput": {"ReadCapacityUnits": units, "WriteCapacityUnits": units}})
}

fn put(id: usize) -> Value {
    json!({"TableName": "users", "Item": {"Id": {"S": id.to_string()}, "Text": {"S": "x".repeat(3_000)}}})
}

impl Table {
    /// Calls until the operation is throttled; gives how it was refused.
    async fn exhaust(&self, operation: &str, request: impl Fn(usize) -> Value) -> Value {
        for number in 0..200 {
            let (status, answer) = self.caller.call(operation, request(number)).await.unwrap();
            if status != 200 {
                return answer;
            }
        }
        panic!("it is never throttled");
    }
}

fn read(consistent: bool) -> Value {
    json!({"TableName": "users", "Key": {"Id": {"S": "0"}}, "ConsistentRead": consistent})
}

#[tokio::test]
async fn a_table_that_is_used_up_refuses_with_reasons_and_recovers() {
    let table = table(&["--throttle"], provisioned(1)).await;
    let refused = table.exhaust("PutItem", put).await;
    assert_eq!(refused["__type"], "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException");
    let reason = |reason: &str| json!([{"reason": reason, "resource": ARN}]);
    assert_eq!(refused["ThrottlingReasons"], reason("TableWriteProvisionedThroughputExceeded"));
    table.caller.ok("GetItem", read(true)).await;
    let refused = table.exhaust("GetItem", |_| read(true)).await;
    assert_eq!(refused["ThrottlingReasons"], reason("TableReadProvisionedThroughputExceeded"));
    // Each put took three units of one a second, and there were no more than a few at first.
    let recovered = async {
        while table.caller.call("PutItem", put(0)).await.unwrap().0 != 200 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), recovered).await.unwrap();
}

#[tokio::test]
async fn of_a_batch_what_is_throttled_comes_back_unprocessed() {
    let table = table(&["--throttle"], provisioned(2)).await;
    let puts: Vec<Value> = (0..25).map(|id| json!({"PutRequest": {"Item": {"Id": {"S": id.to_string()}}}})).collect();
    let answer = table.caller.ok("BatchWriteItem", json!({"RequestItems": {"users": puts}})).await;
    let left = answer["UnprocessedItems"]["users"].as_array().unwrap().len();
    assert!((1..25).contains(&left), "{left}");
}

#[tokio::test]
async fn a_maximum_of_an_on_demand_table_is_held_and_lifted() {
    let maxima = json!({"MaxReadRequestUnits": 1, "MaxWriteRequestUnits": 1});
    let more = json!({"BillingMode": "PAY_PER_REQUEST", "OnDemandThroughput": maxima});
    let table = table(&["--throttle"], more).await;
    let refused = table.exhaust("PutItem", put).await;
    assert!(refused["__type"].as_str().unwrap().ends_with("#ThrottlingException"), "{refused}");
    let reason = json!([{"reason": "TableWriteMaxOnDemandThroughputExceeded", "resource": ARN}]);
    assert_eq!(refused["throttlingReasons"], reason);
    let lifted = json!({"TableName": "users", "OnDemandThroughput": {"MaxWriteRequestUnits": -1}});
    table.caller.ok("UpdateTable", lifted).await;
    for id in 0..20 {
        table.caller.ok("PutItem", put(id)).await;
    }
    let described = table.caller.ok("DescribeTable", json!({"TableName": "users"})).await;
    assert_eq!(described["Table"]["OnDemandThroughput"], json!({"MaxReadRequestUnits": 1}));
    table.exhaust("GetItem", |_| read(false)).await;
}

/// A transaction of ten writes of 390 units, which cost twice that: 7,800 units in one go, however long it takes.
fn large() -> Value {
    let text = "x".repeat(390 * 1_024 - 100);
    let put =
        |id: usize| json!({"Put": {"TableName": "users", "Item": {"Id": {"S": id.to_string()}, "Text": {"S": text}}}});
    json!({"TransactItems": (0..10).map(put).collect::<Vec<_>>()})
}

#[tokio::test]
async fn a_table_on_demand_takes_4000_writes_at_once_and_more_when_it_is_warmed() {
    let table = table(&["--throttle"], json!({"BillingMode": "PAY_PER_REQUEST"})).await;
    table.caller.ok("TransactWriteItems", large()).await;
    let refused = table.exhaust("PutItem", put).await;
    assert!(refused["__type"].as_str().unwrap().ends_with("#ThrottlingException"), "{refused}");
    assert!(refused["message"].as_str().unwrap().starts_with("Throughput exceeds the current capacity of your table"));
    let reason = json!([{"reason": "TableWriteKeyRangeThroughputExceeded", "resource": ARN}]);
    assert_eq!(refused["throttlingReasons"], reason);
    table.caller.ok("GetItem", read(true)).await;
    let warm = json!({"TableName": "users", "WarmThroughput": {"WriteUnitsPerSecond": 1_000_000}});
    table.caller.ok("UpdateTable", warm).await;
    let recovered = async {
        while table.caller.call("PutItem", put(0)).await.unwrap().0 != 200 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), recovered).await.unwrap();
    table.caller.ok("TransactWriteItems", large()).await;
    table.caller.ok("PutItem", put(0)).await;
}

#[tokio::test]
async fn without_the_flag_nothing_is_throttled() {
    let table = table(&[], provisioned(1)).await;
    for id in 0..20 {
        table.caller.ok("PutItem", put(id)).await;
    }
}

#[tokio::test]
async fn a_table_waits_for_its_index_and_an_index_has_reads_of_its_own() {
    let mut more = provisioned(100);
    let throughput = json!({"ReadCapacityUnits": 1, "WriteCapacityUnits": 1});
    more["AttributeDefinitions"] =
        json!(["Id", "Text"].map(|name| json!({"AttributeName": name, "AttributeType": "S"})));
    more["GlobalSecondaryIndexes"] = json!([{
        "IndexName": "by-text",
        "KeySchema": [{"AttributeName": "Text", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
        "ProvisionedThroughput": throughput,
    }]);
    let table = table(&["--throttle"], more).await;
    let put = |id: usize| json!({"TableName": "users", "Item": {"Id": {"S": id.to_string()}, "Text": {"S": "x".repeat(2_000)}}});
    let refused = table.exhaust("PutItem", put).await;
    assert_eq!(refused["__type"], "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException");
    let reason = |reason: &str| json!([{"reason": reason, "resource": format!("{ARN}/index/by-text")}]);
    assert_eq!(refused["ThrottlingReasons"], reason("IndexWriteProvisionedThroughputExceeded"));
    table.caller.ok("GetItem", read(true)).await;
    let query = |_| {
        json!({
            "TableName": "users", "IndexName": "by-text", "KeyConditionExpression": "#t = :t",
            "ExpressionAttributeNames": {"#t": "Text"}, "ExpressionAttributeValues": {":t": {"S": "x".repeat(2_000)}},
        })
    };
    let refused = table.exhaust("Query", query).await;
    assert_eq!(refused["ThrottlingReasons"], reason("IndexReadProvisionedThroughputExceeded"));
    table.caller.ok("GetItem", read(true)).await;
}

#[tokio::test]
async fn nothing_is_scaled_and_whoever_asks_for_it_is_told_so() {
    let table = table(&["--throttle"], provisioned(5)).await;
    let users = json!({"TableName": "users"});
    let described = table.caller.ok("DescribeTableReplicaAutoScaling", users.clone()).await;
    let settings = &described["TableAutoScalingDescription"]["Replicas"][0];
    assert_eq!(settings["ReplicaProvisionedWriteCapacityAutoScalingSettings"], json!({"AutoScalingDisabled": true}));
    let mut update = users;
    update["ProvisionedWriteCapacityAutoScalingUpdate"] = json!({"MinimumUnits": 5, "MaximumUnits": 10});
    let (status, answer) = table.caller.call("UpdateTableReplicaAutoScaling", update).await.unwrap();
    assert_eq!(status, 400);
    let text = answer["message"].as_str().unwrap();
    assert!(text.contains("Auto scaling is not available here"), "{text}");
}
