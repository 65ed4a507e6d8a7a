//! Whatever a client sends, it is not answered with a server's error, and it is answered.

use crate::client::Service;
use hyper::StatusCode;
use proptest::{
    collection::{hash_map, vec},
    prelude::*,
    sample::select,
};
use serde_json::{Value, json};
use std::time::Duration;

const OPERATIONS: &[&str] = &[
    "GetItem",
    "PutItem",
    "UpdateItem",
    "DeleteItem",
    "Query",
    "Scan",
    "BatchGetItem",
    "BatchWriteItem",
    "CreateTable",
    "DescribeTable",
    "ListTables",
    "DeleteTable",
    "UpdateTable",
    "DescribeEndpoints",
    "DescribeLimits",
];

/// Names that mean something somewhere, so that the fuzz gets further than the first check.
const NAMES: &[&str] = &[
    "TableName",
    "Key",
    "Item",
    "Keys",
    "RequestItems",
    "PutRequest",
    "DeleteRequest",
    "AttributesToGet",
    "Limit",
    "ExclusiveStartKey",
    "KeyConditionExpression",
    "FilterExpression",
    "ProjectionExpression",
    "UpdateExpression",
    "ConditionExpression",
    "ExpressionAttributeNames",
    "ExpressionAttributeValues",
    "Expected",
    "AttributeUpdates",
    "KeyConditions",
    "QueryFilter",
    "ScanFilter",
    "ConditionalOperator",
    "ComparisonOperator",
    "AttributeValueList",
    "Value",
    "Action",
    "Exists",
    "Segment",
    "TotalSegments",
    "Select",
    "ConsistentRead",
    "ScanIndexForward",
    "ReturnValues",
    "ReturnConsumedCapacity",
    "AttributeDefinitions",
    "KeySchema",
    "AttributeName",
    "AttributeType",
    "KeyType",
    "BillingMode",
    "ProvisionedThroughput",
    "ReadCapacityUnits",
    "TableClass",
    "StreamSpecification",
    "ExclusiveStartTableName",
    "users",
    "Id",
    "Game",
    "S",
    "N",
    "B",
    "M",
    "L",
    "SS",
    "NS",
    "BS",
    "BOOL",
    "NULL",
    "#n",
    ":v",
    "V",
];

const TEXTS: &[&str] = &[
    "users",
    "a",
    "1",
    "-1e400",
    "AA==",
    "Id",
    "Game",
    "EQ",
    "BETWEEN",
    "ADD",
    "AND",
    "COUNT",
    "ALL_OLD",
    "HASH",
    "",
    "Id = :v",
    "#n = :v AND Game > :v",
    "SET V = :v REMOVE #n",
    "ADD V :v",
    "attribute_exists(#n)",
    "((((",
    "V[9].x",
    "size(V) IN (:v, :v)",
    "NOT contains(V, :v)",
    "\u{0}\u{10FFFF}",
];

fn name() -> impl Strategy<Value = String> {
    prop_oneof![9 => select(NAMES).prop_map(str::to_owned), 1 => any::<String>()]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        select(TEXTS).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 48, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            hash_map(name(), inner, 0..6).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// A request that would be good, for every operation on items.
fn base() -> Value {
    let key = json!({"Id": {"S": "a"}, "Game": {"N": "1"}});
    json!({
        "TableName": "users", "Key": key, "Item": key, "KeyConditionExpression": "Id = :v",
        "ExpressionAttributeValues": {":v": {"S": "a"}}, "RequestItems": {"users": {"Keys": [key]}}
    })
}

fn request() -> impl Strategy<Value = Value> {
    (any::<bool>(), hash_map(name(), value(), 0..6)).prop_map(|(good, members)| {
        let mut request = if good { base() } else { json!({}) };
        request.as_object_mut().unwrap().extend(members);
        request
    })
}

#[test]
fn random_requests_get_an_answer_that_is_not_a_servers_error() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let service = runtime.block_on(Service::with_users());
    // Else the first good DeleteTable would leave nothing to find.
    let protect = json!({"TableName": "users", "DeletionProtectionEnabled": true});
    runtime.block_on(service.ok("UpdateTable", protect));
    proptest!(ProptestConfig::with_cases(1_500), |(operation in select(OPERATIONS), request in request())| {
        let call = service.call(operation, request.to_string());
        let answer = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(10), call).await });
        let answer = answer.expect("no answer within 10 s");
        prop_assert!(
            matches!(answer.status, StatusCode::OK | StatusCode::BAD_REQUEST),
            "{} {}: {:?}", operation, request, answer
        );
    });
}

#[test]
fn random_bytes_get_an_answer_that_is_not_a_servers_error() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let service = runtime.block_on(Service::with_users());
    proptest!(ProptestConfig::with_cases(300), |(operation in select(OPERATIONS), body in vec(any::<u8>(), 0..200))| {
        let answer = runtime.block_on(service.call(operation, body));
        prop_assert!(matches!(answer.status, StatusCode::OK | StatusCode::BAD_REQUEST));
    });
}
