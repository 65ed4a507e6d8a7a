//! Exports of some of a table's items, and of some of their attributes.

use super::{World, moment, seconds};
use serde_json::{Value, json};
use std::collections::BTreeMap;

async fn put(world: &World, id: &str, at: u64, points: u64) {
    let item = json!({
        "Id": {"S": id}, "At": {"N": at.to_string()}, "Points": {"N": points.to_string()}, "Rest": {"M": {"a": {"S": "x"}}}
    });
    world.caller.ok("PutItem", json!({"TableName": "users", "Item": item})).await;
}

async fn world() -> World {
    let attribute = |name: &str, of_type: &str| json!({"AttributeName": name, "AttributeType": of_type});
    World::of(json!({
        "AttributeDefinitions": [attribute("Id", "S"), attribute("At", "N")],
        "KeySchema": [{"AttributeName": "Id", "KeyType": "HASH"}, {"AttributeName": "At", "KeyType": "RANGE"}],
        "BillingMode": "PAY_PER_REQUEST",
    }))
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_export_has_the_items_that_its_filter_admits_and_shows_what_it_projects() {
    let world = world().await;
    for n in 0..20 {
        put(&world, ["a", "b"][n as usize % 2], n, n % 5).await;
    }
    let by_key = json!({
        "KeyConditionExpression": "Id = :id AND #at BETWEEN :low AND :high", "FilterExpression": "Points <> :points",
        "ProjectionExpression": "#at, Rest.a", "ExpressionAttributeNames": {"#at": "At"},
        "ExpressionAttributeValues":
            {":id": {"S": "a"}, ":low": {"N": "4"}, ":high": {"N": "12"}, ":points": {"N": "3"}},
    });
    let by_points = json!({
        "FilterExpression": "Points = :points AND #at < :at", "ExpressionAttributeNames": {"#at": "At"},
        "ExpressionAttributeValues": {":points": {"N": "3"}, ":at": {"N": "10"}},
    });
    let first = world.begin(json!({"FilterSpecification": by_key})).await;
    let second = world.begin(json!({"FilterSpecification": by_points})).await;
    let export = world.end(&first).await;
    assert_eq!((&export["FilterSpecification"], &export["ItemCount"]), (&by_key, &json!(4)), "{export}");
    let shown = |at: u64| json!({"Item": {"At": {"N": at.to_string()}, "Rest": {"M": {"a": {"S": "x"}}}}});
    assert_eq!(world.lines(&export), [4, 6, 10, 12].map(shown));
    let export = world.end(&second).await;
    let mut found: Vec<Value> = world.lines(&export).iter().map(|line| line["Item"]["At"]["N"].clone()).collect();
    found.sort_by_key(Value::to_string);
    assert_eq!(found, ["3", "8"]);
}

/// "For an incremental export, DynamoDB evaluates the filter against the latest image of each changed item. For a deleted item,
/// DynamoDB evaluates the filter against the old image" (developer guide, Filtering a table export).
#[tokio::test(flavor = "multi_thread")]
async fn an_incremental_export_is_filtered_by_what_its_items_are_or_were_last() {
    let world = world().await;
    for (id, points) in [("leaves", 1), ("comes", 2), ("stays", 1), ("deleted", 1), ("unseen", 2)] {
        put(&world, id, 0, points).await;
    }
    let from = moment().await;
    for (id, points) in [("leaves", 2), ("comes", 1), ("new", 1), ("other", 2)] {
        put(&world, id, 0, points).await;
    }
    for id in ["deleted", "unseen"] {
        let key = json!({"Id": {"S": id}, "At": {"N": "0"}});
        world.caller.ok("DeleteItem", json!({"TableName": "users", "Key": key})).await;
    }
    let to = moment().await;
    let export = world
        .export(json!({
            "ExportType": "INCREMENTAL_EXPORT",
            "IncrementalExportSpecification": {"ExportFromTime": seconds(from), "ExportToTime": seconds(to)},
            "FilterSpecification": {
                "FilterExpression": "#r = :one", "ProjectionExpression": "#r", "ExpressionAttributeNames": {"#r": "Points"},
                "ExpressionAttributeValues": {":one": {"N": "1"}},
            },
        }))
        .await;
    let record = |mut line: Value| {
        line.as_object_mut().unwrap().remove("Metadata");
        let keys = line.as_object_mut().unwrap().remove("Keys").unwrap();
        assert_eq!(keys["At"], json!({"N": "0"}));
        (keys["Id"]["S"].as_str().unwrap().to_owned(), line)
    };
    let records: BTreeMap<String, Value> = world.lines(&export).into_iter().map(record).collect();
    let image = |points: u64| json!({"Points": {"N": points.to_string()}});
    let expected = BTreeMap::from([
        ("comes".to_owned(), json!({"NewImage": image(1), "OldImage": image(2)})),
        ("new".to_owned(), json!({"NewImage": image(1)})),
        ("deleted".to_owned(), json!({"OldImage": image(1)})),
    ]);
    assert_eq!(records, expected);
}
