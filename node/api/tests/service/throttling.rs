//! Throughput that is exceeded, and the maxima of on-demand tables.

use crate::client::Service;
use cairn_model::throttling::{CapacityKind, LimitType, TableLimit};
use cairn_replication::operation::PartitionRequest;
use serde_json::{Value, json};

const ARN: &str = "arn:aws:dynamodb:east:game:table/users";

fn capacity_of(request: &PartitionRequest) -> CapacityKind {
    match request {
        PartitionRequest::Write(_) => CapacityKind::Write,
        _ => CapacityKind::Read,
    }
}

/// A service whose tables have nothing left.
async fn exhausted() -> Service {
    let service = Service::with_users().await;
    service.partitions.refuse(|request| {
        Some(TableLimit { capacity: capacity_of(request), limit: LimitType::Provisioned }.exceeded(ARN))
    });
    service
}

fn key() -> Value {
    json!({"Id": {"S": "a"}, "Game": {"N": "1"}})
}

#[tokio::test]
async fn every_operation_says_which_limit_it_met() {
    let service = exhausted().await;
    let batch = |request: Value| json!({"RequestItems": {"users": request}});
    for (operation, request, reason) in [
        ("GetItem", json!({"TableName": "users", "Key": key()}), "TableReadProvisionedThroughputExceeded"),
        ("Scan", json!({"TableName": "users"}), "TableReadProvisionedThroughputExceeded"),
        ("BatchGetItem", batch(json!({"Keys": [key()]})), "TableReadProvisionedThroughputExceeded"),
        ("PutItem", json!({"TableName": "users", "Item": key()}), "TableWriteProvisionedThroughputExceeded"),
        ("DeleteItem", json!({"TableName": "users", "Key": key()}), "TableWriteProvisionedThroughputExceeded"),
        ("BatchWriteItem", batch(json!([{"PutRequest": {"Item": key()}}])), "TableWriteProvisionedThroughputExceeded"),
    ] {
        let answer = service.call(operation, request.to_string()).await;
        assert_eq!(answer.status.as_u16(), 400, "{operation}");
        let told = answer.json();
        assert_eq!(told["ThrottlingReasons"], json!([{"reason": reason, "resource": ARN}]), "{operation}");
        let text = told["message"].as_str().unwrap();
        assert!(text.starts_with("The level of configured provisioned throughput for the table was exceeded."));
    }
}

#[tokio::test]
async fn parts_of_batches_are_counted_and_so_are_requests() {
    let service = Service::with_users().await;
    let mut calls = 0;
    service.partitions.refuse(move |request| {
        calls += 1;
        let met = TableLimit { capacity: capacity_of(request), limit: LimitType::Provisioned };
        (calls != 2).then(|| met.exceeded(ARN))
    });
    let put = |game: u64| json!({"PutRequest": {"Item": {"Id": {"S": "a"}, "Game": {"N": game.to_string()}}}});
    let answer = service.ok("BatchWriteItem", json!({"RequestItems": {"users": [put(1), put(2), put(3)]}})).await;
    assert_eq!(answer["UnprocessedItems"], json!({"users": [put(1), put(3)]}));
    assert_eq!(service.of_users("cairn_write_throttle_events_total"), Some(2.0));
    assert_eq!(service.of_operation("cairn_throttled_requests_total", "BatchWriteItem"), None);
    service.error("GetItem", json!({"TableName": "users", "Key": key()})).await;
    assert_eq!(service.of_users("cairn_read_throttle_events_total"), Some(1.0));
    assert_eq!(service.of_operation("cairn_throttled_requests_total", "GetItem"), Some(1.0));
}

fn table(more: Value) -> Value {
    let mut request = json!({
        "TableName": "scores",
        "AttributeDefinitions": [{"AttributeName": "Id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "Id", "KeyType": "HASH"}],
    });
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

fn on_demand(maxima: Value) -> Value {
    json!({"BillingMode": "PAY_PER_REQUEST", "OnDemandThroughput": maxima})
}

fn provisioned(more: Value) -> Value {
    let mut request = json!({"ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 6}});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

#[tokio::test]
async fn maxima_are_set_changed_one_by_one_and_removed() {
    let service = Service::start().await;
    service.ok("CreateTable", table(on_demand(json!({"MaxReadRequestUnits": 10, "MaxWriteRequestUnits": 20})))).await;
    let maxima = async || {
        let table = service.ok("DescribeTable", json!({"TableName": "scores"})).await["Table"].clone();
        table.get("OnDemandThroughput").cloned()
    };
    let update = async |maxima: Value| {
        service.ok("UpdateTable", json!({"TableName": "scores", "OnDemandThroughput": maxima})).await;
    };
    assert_eq!(maxima().await, Some(json!({"MaxReadRequestUnits": 10, "MaxWriteRequestUnits": 20})));
    update(json!({"MaxReadRequestUnits": 30})).await;
    assert_eq!(maxima().await, Some(json!({"MaxReadRequestUnits": 30, "MaxWriteRequestUnits": 20})));
    update(json!({"MaxReadRequestUnits": -1})).await;
    assert_eq!(maxima().await, Some(json!({"MaxWriteRequestUnits": 20})));
    update(json!({"MaxWriteRequestUnits": -1})).await;
    assert_eq!(maxima().await, None);
    update(json!({"MaxWriteRequestUnits": 7})).await;
    let provisioned = provisioned(json!({"TableName": "scores", "BillingMode": "PROVISIONED"}));
    service.ok("UpdateTable", provisioned).await;
    assert_eq!(maxima().await, None, "they are of on-demand tables");
}

#[tokio::test]
async fn no_maxima_are_none() {
    let service = Service::start().await;
    service.ok("CreateTable", table(provisioned(json!({"OnDemandThroughput": {}})))).await;
    let text = service.invalid("UpdateTable", json!({"TableName": "scores", "OnDemandThroughput": {}})).await;
    assert!(text.starts_with("At least one of ProvisionedThroughput"), "{text}");
}

#[tokio::test]
async fn maxima_that_can_not_be_are_refused_in_dynamodbs_words() {
    let service = Service::start().await;
    let range = |member: &str| {
        format!(
            "One or more parameter values were invalid: Requested {member} for OnDemandThroughput for table is outside of valid range"
        )
    };
    for wrong in [0, -1, -2] {
        let request = table(on_demand(json!({"MaxWriteRequestUnits": wrong})));
        assert_eq!(service.invalid("CreateTable", request).await, range("MaxWriteRequestUnits"));
    }
    let both = json!({"OnDemandThroughput": {"MaxReadRequestUnits": 0, "MaxWriteRequestUnits": 1}});
    assert_eq!(
        service.invalid("CreateTable", table(provisioned(both.clone()))).await,
        "One or more parameter values were invalid: MaxReadRequestUnits for OnDemandThroughput cannot be specified \
         when table BillingMode is PROVISIONED."
    );
    service.ok("CreateTable", table(provisioned(json!({})))).await;
    let update = |more: Value| {
        let mut request = json!({"TableName": "scores"});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        request
    };
    assert_eq!(
        service.invalid("UpdateTable", update(both.clone())).await,
        "One or more parameter values were invalid: MaxReadRequestUnits for OnDemandThroughput cannot be specified \
         when the table BillingMode is PROVISIONED"
    );
    let switched = update(on_demand(json!({"MaxReadRequestUnits": 0})));
    assert_eq!(service.invalid("UpdateTable", switched).await, range("MaxReadRequestUnits"));
}
