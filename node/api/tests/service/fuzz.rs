//! Whatever a client sends, it is not answered with a server's error, and it is answered.

use crate::client::{NOW_MS, Service};
use cairn_api::backups::RestorableWindow;
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
    "ExecuteStatement",
    "BatchExecuteStatement",
    "CreateTable",
    "DescribeTable",
    "ListTables",
    "UpdateTable",
    "DescribeEndpoints",
    "DescribeLimits",
    "CreateBackup",
    "ListBackups",
    "DescribeBackup",
    "UpdateContinuousBackups",
    "UpdateTimeToLive",
    "DescribeTimeToLive",
    "DescribeContinuousBackups",
    "RestoreTableFromBackup",
    "RestoreTableToPointInTime",
    "ExportTableToPointInTime",
    "DescribeExport",
    "ListExports",
    "DeleteBackup",
    "CreateGlobalTable",
    "DescribeGlobalTable",
    "ListGlobalTables",
    "UpdateGlobalTable",
    "DescribeGlobalTableSettings",
    "UpdateGlobalTableSettings",
    "ImportTable",
    "DescribeImport",
    "ListImports",
    "DeleteTable",
];

const TABLE_ARN: &str = "arn:aws:dynamodb:east:game:table/users";
/// Of the first backup of the table.
const BACKUP_ARN: &str = "arn:aws:dynamodb:east:game:table/users/backup/01700000000000-abcdef12";
/// Of the first export of it.
const EXPORT_ARN: &str = "arn:aws:dynamodb:east:game:table/users/export/01700000000000-abcdef12";
const NEXT_TOKEN: &str = "YXJuOmF3czpkeW5hbW9kYjplYXN0OmdhbWU6dGFibGUvdXNlcnMvZXhwb3J0LzAxNzAwMDAwMDAwMDAwLWFiY2RlZjEy";

/// Of the first import.
const IMPORT_ARN: &str = "arn:aws:dynamodb:east:game:table/imported/import/01700000000000-abcdef12";

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
    "BackupName",
    "BackupArn",
    "SourceTableArn",
    "SourceTableName",
    "TargetTableName",
    "RestoreDateTime",
    "UseLatestRestorableTime",
    "PointInTimeRecoverySpecification",
    "RecoveryPeriodInDays",
    "S3BucketSource",
    "S3KeyPrefix",
    "InputFormat",
    "InputFormatOptions",
    "HeaderList",
    "TableCreationParameters",
    "ImportArn",
    "GlobalTableName",
    "ReplicationGroup",
    "ReplicaUpdates",
    "RegionName",
    "Create",
    "Delete",
    "NextToken",
    "Statement",
    "Statements",
    "Parameters",
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
    TABLE_ARN,
    BACKUP_ARN,
    IMPORT_ARN,
    "CSV",
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
    "SELECT * FROM users WHERE Id IN [?, 'b'] ORDER BY Id DESC",
    "SELECT V[0].x FROM \"users\" WHERE contains(V, ?)",
    "INSERT INTO users VALUE {'Id': ?, 'Game': 1, 'V': <<1>>}",
    "UPDATE users SET V = ? REMOVE W WHERE Id = 'a' AND Game = 1",
    "DELETE FROM users WHERE Id = ? AND Game = ? AND V IS MISSING",
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

/// A request that is good, with about every parameter the operation has.
fn good(operation: &str) -> Value {
    let key = json!({"Id": {"S": "a"}, "Game": {"N": "1"}});
    let item = json!({
        "Id": {"S": "a"}, "Game": {"N": "1"}, "V": {"L": [{"M": {"x": {"NS": ["1", "2"]}}}, {"B": "AA=="}]},
        "W": {"BOOL": true}
    });
    let names = json!({"#n": "V"});
    let values = json!({":v": {"N": "5"}, ":w": {"SS": ["a", "b"]}});
    match operation {
        "GetItem" => json!({
            "TableName": "users", "Key": key, "ConsistentRead": true, "ProjectionExpression": "#n[0].x, W",
            "ExpressionAttributeNames": names, "ReturnConsumedCapacity": "TOTAL"
        }),
        "PutItem" => json!({
            "TableName": "users", "Item": item, "ConditionExpression": "#n <> :v OR W IN (:v, :w)",
            "ExpressionAttributeNames": names, "ExpressionAttributeValues": values, "ReturnValues": "ALL_OLD"
        }),
        "UpdateItem" => json!({
            "TableName": "users", "Key": key, "UpdateExpression": "SET X = if_not_exists(X, :v) + :v ADD Z :w REMOVE #n",
            "ConditionExpression": "attribute_not_exists(Absent) OR size(#n) > :v", "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values, "ReturnValues": "UPDATED_NEW"
        }),
        "DeleteItem" => json!({
            "TableName": "users", "Key": key, "ReturnValues": "ALL_OLD", "ConditionalOperator": "OR",
            "Expected": {
                "V": {"ComparisonOperator": "BETWEEN", "AttributeValueList": [{"N": "1"}, {"N": "2"}]},
                "Absent": {"Exists": false}
            }
        }),
        "Query" => json!({
            "TableName": "users", "KeyConditionExpression": "Id = :i AND Game BETWEEN :v AND :w", "Limit": 3,
            "FilterExpression": "contains(#n, :v)", "ExpressionAttributeNames": names, "ScanIndexForward": false,
            "ExpressionAttributeValues": {":i": {"S": "a"}, ":v": {"N": "0"}, ":w": {"N": "9"}},
            "ExclusiveStartKey": key
        }),
        "Scan" => json!({
            "TableName": "users", "TotalSegments": 1, "Segment": 0, "ExclusiveStartKey": key, "Limit": 5,
            "ScanFilter": {"V": {"ComparisonOperator": "CONTAINS", "AttributeValueList": [{"N": "1"}]}},
            "AttributesToGet": ["Id", "V"]
        }),
        "BatchGetItem" => json!({
            "RequestItems": {"users": {"Keys": [key], "ProjectionExpression": "#n", "ExpressionAttributeNames": names}},
            "ReturnConsumedCapacity": "INDEXES"
        }),
        "BatchWriteItem" => json!({
            "RequestItems": {"users": [
                {"PutRequest": {"Item": item}}, {"DeleteRequest": {"Key": {"Id": {"S": "b"}, "Game": {"N": "2"}}}}
            ]}
        }),
        "ExecuteStatement" => json!({
            "Statement": "SELECT Id, V[0].x FROM \"users\" WHERE Id IN ['a', ?] AND Game > 0 AND V IS NOT MISSING",
            "Parameters": [{"S": "b"}], "ConsistentRead": true, "Limit": 5, "ReturnConsumedCapacity": "TOTAL"
        }),
        "BatchExecuteStatement" => json!({
            "Statements": [
                {
                    "Statement": "UPDATE users SET X = ? WHERE Id = 'a' AND Game = 1", "Parameters": [{"N": "1"}],
                    "ReturnValuesOnConditionCheckFailure": "ALL_OLD"
                },
                {"Statement": "INSERT INTO users VALUE {'Id': 'b', 'Game': 2}"}
            ],
            "ReturnConsumedCapacity": "INDEXES"
        }),
        "CreateTable" => json!({
            "TableName": "more", "AttributeDefinitions": [{"AttributeName": "Id", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "Id", "KeyType": "HASH"}],
            "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}, "TableClass": "STANDARD"
        }),
        "UpdateTable" => json!({
            "TableName": "users", "BillingMode": "PROVISIONED",
            "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}
        }),
        "ListTables" => json!({"Limit": 5, "ExclusiveStartTableName": "abc"}),
        "CreateBackup" => json!({"TableName": TABLE_ARN, "BackupName": "nightly"}),
        "ListBackups" => json!({
            "TableName": "users", "Limit": 5, "TimeRangeLowerBound": 1.5, "TimeRangeUpperBound": 1_800_000_000,
            "ExclusiveStartBackupArn": BACKUP_ARN, "BackupType": "ALL"
        }),
        "DescribeBackup" | "DeleteBackup" => json!({"BackupArn": BACKUP_ARN}),
        "UpdateContinuousBackups" => json!({
            "TableName": "users",
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": true, "RecoveryPeriodInDays": 7}
        }),
        "UpdateTimeToLive" => json!({
            "TableName": "users", "TimeToLiveSpecification": {"AttributeName": "expires", "Enabled": true}
        }),
        "RestoreTableFromBackup" => json!({
            "TargetTableName": "from-backup", "BackupArn": BACKUP_ARN, "BillingModeOverride": "PROVISIONED",
            "ProvisionedThroughputOverride": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}
        }),
        "RestoreTableToPointInTime" => json!({
            "TargetTableName": "from-the-past", "SourceTableName": "users", "RestoreDateTime": 1_699_999_999.5
        }),
        "ExportTableToPointInTime" => json!({
            "TableArn": TABLE_ARN, "S3Bucket": "exports", "S3Prefix": "a/b", "ClientToken": "once",
            "ExportFormat": "DYNAMODB_JSON", "ExportType": "INCREMENTAL_EXPORT", "IncrementalExportSpecification": {
                "ExportFromTime": 1_699_990_000.5, "ExportToTime": 1_699_999_000, "ExportViewType": "NEW_IMAGE"
            }
        }),
        "DescribeExport" => json!({"ExportArn": EXPORT_ARN}),
        "ListExports" => json!({"TableArn": TABLE_ARN, "MaxResults": 1, "NextToken": NEXT_TOKEN}),
        "ImportTable" => json!({
            "ClientToken": "token", "InputFormat": "CSV", "InputCompressionType": "GZIP",
            "S3BucketSource": {"S3Bucket": "source", "S3KeyPrefix": "some/", "S3BucketOwner": "123456789012"},
            "InputFormatOptions": {"Csv": {"Delimiter": ";", "HeaderList": ["Id", "V"]}},
            "TableCreationParameters": {
                "TableName": "imported", "AttributeDefinitions": [{"AttributeName": "Id", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "Id", "KeyType": "HASH"}], "BillingMode": "PAY_PER_REQUEST"
            }
        }),
        "CreateGlobalTable" => json!({
            "GlobalTableName": "users", "ReplicationGroup": [{"RegionName": "east"}, {"RegionName": "west"}]
        }),
        "DescribeGlobalTable" | "DescribeGlobalTableSettings" | "UpdateGlobalTableSettings" => {
            json!({"GlobalTableName": "users"})
        }
        "ListGlobalTables" => json!({"RegionName": "west", "Limit": 5, "ExclusiveStartGlobalTableName": "abc"}),
        "UpdateGlobalTable" => json!({
            "GlobalTableName": "users", "ReplicaUpdates": [{"Create": {"RegionName": "north"}}]
        }),
        "DescribeImport" => json!({"ImportArn": IMPORT_ARN}),
        "ListImports" => json!({"TableArn": TABLE_ARN, "PageSize": 5}),
        _ => json!({"TableName": "users"}),
    }
}

/// Replaces the value at `place`, counting from the outside in.
fn replace(request: &mut Value, place: &mut usize, with: &Value) {
    if *place == 0 {
        *request = with.clone();
    }
    *place = place.wrapping_sub(1);
    match request {
        Value::Object(members) => members.values_mut().for_each(|value| replace(value, place, with)),
        Value::Array(values) => values.iter_mut().for_each(|value| replace(value, place, with)),
        _ => {}
    }
}

fn request() -> impl Strategy<Value = (&'static str, Value)> {
    let members = hash_map(name(), value(), 0..2);
    (select(OPERATIONS), vec((1..40_usize, value()), 0..3), members).prop_map(|(operation, changes, members)| {
        let mut request = good(operation);
        for (mut place, with) in changes {
            replace(&mut request, &mut place, &with);
        }
        if let Value::Object(request) = &mut request {
            request.extend(members);
        }
        (operation, request)
    })
}

/// A service with the table `users` and an archive to restore it from.
pub(crate) async fn archived_users() -> Service {
    let service = Service::archived().await;
    service.create("users", &[("Id", "S"), ("Game", "N")]).await;
    *service.archive.window.lock().unwrap() =
        Some(RestorableWindow { earliest_ms: NOW_MS - 10_000, latest_ms: NOW_MS });
    service
}

#[tokio::test]
async fn the_requests_that_the_random_ones_are_made_from_are_good() {
    let service = archived_users().await;
    service.put(json!({"Id": {"S": "a"}, "Game": {"N": "1"}})).await;
    for operation in OPERATIONS {
        service.ok(operation, good(operation)).await;
    }
}

#[test]
fn random_requests_get_an_answer_that_is_not_a_servers_error() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let service = runtime.block_on(archived_users());
    // Else the first good DeleteTable would leave nothing to find.
    let protect = json!({"TableName": "users", "DeletionProtectionEnabled": true});
    runtime.block_on(service.ok("UpdateTable", protect));
    proptest!(ProptestConfig::with_cases(4_000), |((operation, request) in request())| {
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
    let service = runtime.block_on(archived_users());
    proptest!(ProptestConfig::with_cases(300), |(operation in select(OPERATIONS), body in vec(any::<u8>(), 0..200))| {
        let answer = runtime.block_on(service.call(operation, body));
        prop_assert!(matches!(answer.status, StatusCode::OK | StatusCode::BAD_REQUEST));
    });
}
