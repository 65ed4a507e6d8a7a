//! ARNs in the place of tables' names.

use crate::client::Service;
use cairn_api::errors;
use cairn_replication::operation::PartitionRequest;
use serde_json::{Value, json};

const ARN: &str = "arn:aws:dynamodb:east:game:table/users";

fn key(id: &str) -> Value {
    json!({"Id": {"S": id}, "Game": {"N": "1"}})
}

/// Each operation on items, of the table that is named so.
fn requests(table: &str) -> Vec<(&'static str, Value)> {
    let values = json!({":id": {"S": "a"}});
    vec![
        ("PutItem", json!({"TableName": table, "Item": key("a")})),
        (
            "UpdateItem",
            json!({
                "TableName": table, "Key": key("a"), "UpdateExpression": "SET Score = :id",
                "ExpressionAttributeValues": values,
            }),
        ),
        ("GetItem", json!({"TableName": table, "Key": key("a")})),
        (
            "Query",
            json!({
                "TableName": table, "KeyConditionExpression": "Id = :id", "ExpressionAttributeValues": values,
            }),
        ),
        ("Scan", json!({"TableName": table})),
        ("DeleteItem", json!({"TableName": table, "Key": key("a")})),
    ]
}

fn batches(table: &str) -> [(&'static str, Value); 2] {
    [
        ("BatchWriteItem", json!({"RequestItems": {table: [{"PutRequest": {"Item": key("b")}}]}})),
        ("BatchGetItem", json!({"RequestItems": {table: {"Keys": [key("b")]}}})),
    ]
}

fn reported(mut request: Value) -> Value {
    request["ReturnConsumedCapacity"] = json!("TOTAL");
    request
}

#[tokio::test]
async fn items_are_reached_by_the_tables_arn_and_capacity_is_told_of_by_it() {
    let service = Service::with_users().await;
    for named in [ARN, "users"] {
        for (operation, request) in requests(named) {
            let answer = service.ok(operation, reported(request)).await;
            assert_eq!(answer["ConsumedCapacity"]["TableName"], named, "{operation}");
        }
        for (operation, request) in batches(named) {
            let answer = service.ok(operation, reported(request)).await;
            assert_eq!(answer["ConsumedCapacity"][0]["TableName"], named, "{operation}");
            if operation == "BatchGetItem" {
                assert_eq!(answer["Responses"], json!({named: [key("b")]}));
            }
        }
    }
}

#[tokio::test]
async fn what_a_batch_leaves_comes_back_under_the_arn_it_was_asked_under() {
    let service = Service::with_users().await;
    let mut writes = 0;
    service.partitions.refuse(move |request| {
        writes += usize::from(matches!(request, PartitionRequest::Write(_)));
        (writes == 1).then(errors::overloaded)
    });
    let other = json!({"Id": {"S": "c"}, "Game": {"N": "1"}});
    let write = json!({"RequestItems": {ARN: [{"PutRequest": {"Item": key("b")}}, {"PutRequest": {"Item": other}}]}});
    let answer = service.ok("BatchWriteItem", write).await;
    assert_eq!(answer["UnprocessedItems"], json!({ARN: [{"PutRequest": {"Item": key("b")}}]}));
}

#[tokio::test]
async fn a_key_is_not_in_a_batch_twice_though_its_table_goes_by_two_names() {
    let service = Service::with_users().await;
    let put = json!([{"PutRequest": {"Item": key("a")}}]);
    let get = json!({"Keys": [key("a")]});
    for (operation, request) in [
        ("BatchWriteItem", json!({"RequestItems": {ARN: put, "users": put}})),
        ("BatchGetItem", json!({"RequestItems": {ARN: get, "users": get}})),
    ] {
        let text = service.invalid(operation, request).await;
        assert_eq!(text, "Provided list of item keys contains duplicates");
    }
}

#[tokio::test]
async fn tables_are_made_described_changed_and_deleted_by_their_arns_and_told_of_by_their_names() {
    let service = Service::start().await;
    let create = json!({
        "TableName": ARN, "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "Id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "Id", "KeyType": "HASH"}],
    });
    let update = json!({"TableName": ARN, "TableClass": "STANDARD_INFREQUENT_ACCESS"});
    for (operation, request, field) in [
        ("CreateTable", create, "TableDescription"),
        ("DescribeTable", json!({"TableName": ARN}), "Table"),
        ("UpdateTable", update, "TableDescription"),
        ("DeleteTable", json!({"TableName": ARN}), "TableDescription"),
    ] {
        let table = &service.ok(operation, request).await[field];
        assert_eq!((&table["TableName"], &table["TableArn"]), (&json!("users"), &json!(ARN)), "{operation}");
    }
    assert_eq!(
        service.error("DescribeTable", json!({"TableName": ARN})).await,
        ("ResourceNotFoundException".into(), "Requested resource not found: Table: users not found".into())
    );
}

#[tokio::test]
async fn an_arn_that_is_no_tables_or_not_of_here_is_refused_wherever_it_stands() {
    let service = Service::with_users().await;
    let format = |arn: &str| format!("Value '{arn}' at 'tableName' failed to satisfy constraint: Valid ARN format is");
    let long = format!("{ARN}{}", "s".repeat(1_024));
    for (arn, expected) in [
        ("arn:aws:dynamodb:west:game:table/users", "Invalid AWS region in 'arn:aws:dynamodb:west:game:table/users'"),
        (
            "arn:aws-cn:dynamodb:east:game:table/users",
            "Invalid AWS partition in 'arn:aws-cn:dynamodb:east:game:table/users'",
        ),
        (
            "arn:aws:dynamodb:east:game:stream/users",
            "Invalid resource type in 'arn:aws:dynamodb:east:game:stream/users'",
        ),
        ("arn:aws:dynamodb", &format("arn:aws:dynamodb")),
        ("arn:aws:s3:east:game:table/users", &format("arn:aws:s3:east:game:table/users")),
        (
            "arn:aws:dynamodb:east:game:table/users/index/by-score",
            &format("arn:aws:dynamodb:east:game:table/users/index/by-score"),
        ),
        ("arn:aws:dynamodb:east:game:table/us", &format("arn:aws:dynamodb:east:game:table/us")),
        (&long, "Member must have length less than or equal to 1024"),
    ] {
        let tables = ["DescribeTable", "UpdateTable", "DeleteTable", "CreateTable", "DescribeContinuousBackups"]
            .map(|operation| (operation, json!({"TableName": arn})));
        for (operation, request) in requests(arn).into_iter().chain(batches(arn)).chain(tables) {
            let text = service.invalid(operation, request).await;
            assert!(
                text.starts_with("1 validation error detected: ") && text.contains(expected),
                "{operation}: {text}"
            );
        }
    }
    let elsewhere = "arn:aws:dynamodb:east:shop:table/users";
    for (operation, request) in requests(elsewhere).into_iter().chain(batches(elsewhere)) {
        let denied = service.error(operation, request).await;
        assert_eq!(denied, ("AccessDeniedException".into(), "Access is denied".into()), "{operation}");
    }
}
