//! BatchGetItem and BatchWriteItem.

use crate::client::Service;
use cairn_model::{ErrorKind, ServiceError};
use cairn_replication::operation::PartitionRequest;
use serde_json::{Value, json};

fn key(game: usize) -> Value {
    json!({"Id": {"S": "a"}, "Game": {"N": game.to_string()}})
}

fn put(game: usize) -> Value {
    json!({"PutRequest": {"Item": key(game)}})
}

#[tokio::test]
async fn a_batch_writes_and_a_batch_gets_across_tables() {
    let service = Service::with_users().await;
    service.create("other", &[("Id", "B")]).await;
    let request = json!({
        "RequestItems": {
            "users": [put(1), put(2), {"DeleteRequest": {"Key": key(3)}}],
            "other": [{"PutRequest": {"Item": {"Id": {"B": "AA=="}}}}]
        },
        "ReturnConsumedCapacity": "TOTAL"
    });
    let answer = service.ok("BatchWriteItem", request).await;
    assert_eq!(
        answer,
        json!({
            "UnprocessedItems": {},
            "ConsumedCapacity": [
                {"TableName": "other", "CapacityUnits": 1.0}, {"TableName": "users", "CapacityUnits": 3.0}
            ]
        })
    );
    let request = json!({
        "RequestItems": {
            "users": {"Keys": [key(1), key(2), key(9)], "ConsistentRead": true},
            "other": {"Keys": [{"Id": {"B": "AA=="}}], "AttributesToGet": ["Id"]}
        },
        "ReturnConsumedCapacity": "INDEXES"
    });
    let answer = service.ok("BatchGetItem", request).await;
    assert_eq!(answer["Responses"], json!({"users": [key(1), key(2)], "other": [{"Id": {"B": "AA=="}}]}));
    assert_eq!(answer["UnprocessedKeys"], json!({}));
    assert_eq!(answer["ConsumedCapacity"][1]["Table"]["CapacityUnits"], 3.0);
}

#[tokio::test]
async fn what_exceeds_sixteen_megabytes_comes_back_unprocessed() {
    let service = Service::with_users().await;
    for game in 0..50 {
        let mut item = key(game);
        item["V"] = json!({"S": "x".repeat(400_000)});
        service.put(item).await;
    }
    let keys: Vec<_> = (0..50).map(key).collect();
    let request = json!({"RequestItems": {"users": {"Keys": keys, "ProjectionExpression": "Game"}}});
    let answer = service.ok("BatchGetItem", request).await;
    let processed = answer["Responses"]["users"].as_array().unwrap().len();
    let left = &answer["UnprocessedKeys"]["users"];
    assert_eq!(processed, 41);
    assert_eq!(left["Keys"].as_array().unwrap().len(), 9);
    assert_eq!(left["ProjectionExpression"], "Game");
}

#[tokio::test]
async fn what_met_an_overloaded_partition_comes_back_unprocessed() {
    let service = Service::with_users().await;
    let mut calls = 0;
    service.partitions.refuse(move |request| {
        calls += 1;
        let write = matches!(request, PartitionRequest::Write(_));
        (write && calls == 2).then(|| ServiceError::new(ErrorKind::ThrottlingException, "Rate exceeded"))
    });
    let request = json!({"RequestItems": {"users": [put(1), put(2), put(3)]}});
    let answer = service.ok("BatchWriteItem", request).await;
    assert_eq!(answer["UnprocessedItems"], json!({"users": [put(2)]}));
}

#[tokio::test]
async fn a_batch_of_which_nothing_was_done_is_refused() {
    let service = Service::with_users().await;
    service.partitions.refuse(|_| Some(ServiceError::new(ErrorKind::ThrottlingException, "Rate exceeded")));
    let (name, _) = service.error("BatchWriteItem", json!({"RequestItems": {"users": [put(1)]}})).await;
    assert_eq!(name, "ThrottlingException");
    let (name, _) = service.error("BatchGetItem", json!({"RequestItems": {"users": {"Keys": [key(1)]}}})).await;
    assert_eq!(name, "ThrottlingException");
}

#[tokio::test]
async fn each_write_of_a_batch_has_its_own_request_id() {
    let service = Service::with_users().await;
    let body = json!({"RequestItems": {"users": [put(1), put(2)]}}).to_string();
    for _ in 0..2 {
        service.call_with("BatchWriteItem", body.clone().into(), &[("amz-sdk-invocation-id", "one")]).await;
    }
    let ids = service.partitions.request_ids.lock().unwrap();
    assert_ne!(ids[0], ids[1]);
    assert_eq!(ids[..2], ids[2..]);
}

#[tokio::test]
async fn batches_that_do_not_fit_are_refused_in_dynamodbs_words() {
    let service = Service::with_users().await;
    let gets = |keys: Vec<Value>| json!({"RequestItems": {"users": {"Keys": keys}}});
    let writes = |writes: Vec<Value>| json!({"RequestItems": {"users": writes}});
    let duplicates = "Provided list of item keys contains duplicates";
    for (operation, request, expected) in [
        (
            "BatchGetItem",
            json!({"RequestItems": {}}),
            "1 validation error detected: Value at 'RequestItems' failed to satisfy constraint: Member must have \
             length greater than or equal to 1",
        ),
        (
            "BatchGetItem",
            gets((0..101).map(key).collect()),
            "1 validation error detected: Value at 'RequestItems.users.member.Keys' failed to satisfy constraint: \
             Member must have length less than or equal to 100",
        ),
        ("BatchGetItem", gets(vec![key(1), key(1)]), duplicates),
        ("BatchWriteItem", writes(vec![put(1), json!({"DeleteRequest": {"Key": key(1)}})]), duplicates),
        ("BatchWriteItem", json!({"RequestItems": {}}), "The requestItems parameter is required for BatchWriteItem"),
        (
            "BatchWriteItem",
            writes(Vec::new()),
            "1 validation error detected: Value '{users=[]}' at 'requestItems' failed to satisfy constraint: Map value \
             must satisfy constraint: [Member must have length less than or equal to 25, Member must have length greater \
             than or equal to 1]",
        ),
        (
            "BatchWriteItem",
            writes((0..26).map(put).collect()),
            "1 validation error detected: Value at 'RequestItems.users.member' failed to satisfy constraint: Member must \
             have length less than or equal to 25",
        ),
        (
            "BatchWriteItem",
            writes(vec![json!({})]),
            "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported \
             datatypes",
        ),
        (
            "BatchWriteItem",
            writes(vec![json!({"PutRequest": {"Item": {"Id": {"S": "a"}}}})]),
            "The provided key element does not match the schema",
        ),
    ] {
        assert_eq!(service.invalid(operation, request).await, expected);
    }
}

#[tokio::test]
async fn a_batch_with_a_name_that_is_none_is_shown_as_it_was_asked_for() {
    let service = Service::with_users().await;
    let request = json!({
        "RequestItems": {"bad!name": {"Keys": [{"Id": {"S": "a"}}]}}, "ReturnConsumedCapacity": "SOME"
    });
    assert_eq!(
        service.invalid("BatchGetItem", request).await,
        "2 validation errors detected: Value '{\"bad!name\":{\"Keys\":[{\"Id\":{\"S\":\"a\"}}]}}' at 'requestItems' failed \
         to satisfy constraint: Map keys must satisfy constraint: [Member must have length less than or equal to 255, \
         Member must have length greater than or equal to 3, Member must satisfy regular expression pattern: \
         [a-zA-Z0-9_.-]+]; Value 'SOME' at 'returnConsumedCapacity' failed to satisfy constraint: Member must satisfy \
         enum value set: [INDEXES, TOTAL, NONE]"
    );
}

#[tokio::test]
async fn a_batch_of_writes_tells_of_values_in_dynamodbs_older_words() {
    let service = Service::with_users().await;
    let repeated = "One or more parameter values were invalid: Input collection [b, a, b] contains duplicates.";
    for (value, expected) in [
        (json!({"N": ""}), "The parameter cannot be converted to a numeric value"),
        (
            json!({"N": "1e2147483647"}),
            "Number underflow. Attempting to store a number with magnitude smaller than supported range",
        ),
        (json!({"SS": ["b", "a", "b"]}), repeated),
        (json!({"NS": ["2", "1", "2"]}), "Input collection contains duplicates"),
    ] {
        for write in [json!({"PutRequest": {"Item": {"Id": value}}}), json!({"DeleteRequest": {"Key": {"Id": value}}})]
        {
            let request = json!({"RequestItems": {"users": [write]}});
            assert_eq!(service.invalid("BatchWriteItem", request).await, expected, "{value}");
        }
    }
}

#[tokio::test]
async fn the_requests_of_a_batch_are_counted_over_all_tables_too() {
    let service = Service::with_users().await;
    let two = |one: Value, other: Value| json!({"RequestItems": {"users": one, "another": other}});
    let keys = |count| json!({"Keys": (0..count).map(key).collect::<Vec<_>>()});
    let puts = |count| Value::from((0..count).map(put).collect::<Vec<_>>());
    assert_eq!(
        service.invalid("BatchGetItem", two(keys(100), keys(1))).await,
        "Too many items requested for the BatchGetItem call"
    );
    assert_eq!(
        service.invalid("BatchWriteItem", two(puts(25), puts(1))).await,
        "Too many items requested for the BatchWriteItem call"
    );
}
