//! What changes in a table otherwise than by one write to one item, in an incremental export.

use super::{World, image, moment, now_ms, seconds};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};

/// The records of a span, by the items' ids, without what is the same in all.
async fn changes(world: &World, from: u64, to: u64) -> BTreeMap<String, Value> {
    let specification = json!({"ExportFromTime": seconds(from), "ExportToTime": seconds(to)});
    let more = json!({"ExportType": "INCREMENTAL_EXPORT", "IncrementalExportSpecification": specification});
    let export = world.export(more).await;
    let mut changes = BTreeMap::new();
    for mut line in world.lines(&export) {
        let record = line.as_object_mut().unwrap();
        let micros = record.remove("Metadata").unwrap()["WriteTimestampMicros"]["N"].as_str().unwrap().parse().unwrap();
        assert!((from * 1_000..to * 1_000).contains(&micros), "{record:?}");
        let id = record.remove("Keys").unwrap()["Id"]["S"].as_str().unwrap().to_owned();
        assert!(changes.insert(id, line).is_none(), "a key is there twice");
    }
    changes
}

fn put(table: &str, id: &str, value: &str) -> Value {
    json!({"Put": {"TableName": table, "Item": image(id, value)}})
}

async fn transact(world: &World, actions: &[Value]) {
    world.caller.ok("TransactWriteItems", json!({"TransactItems": actions})).await;
}

/// "An incremental export has one record a key", whatever wrote it (developer guide, DynamoDB table export output format).
#[tokio::test(flavor = "multi_thread")]
async fn what_transactions_write_is_in_an_incremental_export_once_and_what_they_did_not_is_not() {
    let world = World::new().await;
    world.caller.create_table("orders").await;
    for id in ["one", "twice", "deleted", "refused", "checked"] {
        world.put(id, "1").await;
    }
    let from = moment().await;
    let deleted = json!({"Delete": {"TableName": "users", "Key": {"Id": {"S": "deleted"}}}});
    let check = |condition: &str| {
        let key = json!({"Id": {"S": "checked"}});
        json!({"ConditionCheck": {"TableName": "users", "Key": key, "ConditionExpression": condition}})
    };
    let is_there = check("attribute_exists(Id)");
    transact(&world, &[put("orders", "a", "1"), put("users", "one", "2"), put("users", "twice", "2"), is_there]).await;
    transact(&world, &[put("users", "new", "1"), put("users", "twice", "3"), deleted]).await;
    for conditions in
        [("attribute_exists(V)", "attribute_exists(Nothing)"), ("attribute_exists(Nothing)", "attribute_exists(V)")]
    {
        let mut order = put("orders", "a", "2");
        order["Put"]["ConditionExpression"] = json!(conditions.1);
        let actions = [order, put("users", "refused", "2"), check(conditions.0)];
        let (status, answer) =
            world.caller.call("TransactWriteItems", json!({"TransactItems": actions})).await.unwrap();
        assert_eq!(status, 400);
        assert!(answer["__type"].as_str().unwrap().ends_with("TransactionCanceledException"), "{answer}");
    }
    let to = moment().await;
    transact(&world, &[put("users", "one", "3"), put("users", "later", "1"), put("orders", "a", "3")]).await;
    let end = moment().await;

    let expected = BTreeMap::from([
        ("one".to_owned(), json!({"NewImage": image("one", "2"), "OldImage": image("one", "1")})),
        ("twice".to_owned(), json!({"NewImage": image("twice", "3"), "OldImage": image("twice", "1")})),
        ("deleted".to_owned(), json!({"OldImage": image("deleted", "1")})),
        ("new".to_owned(), json!({"NewImage": image("new", "1")})),
    ]);
    assert_eq!(changes(&world, from, to).await, expected);
    let expected = BTreeMap::from([
        ("one".to_owned(), json!({"NewImage": image("one", "3"), "OldImage": image("one", "2")})),
        ("later".to_owned(), json!({"NewImage": image("later", "1")})),
    ]);
    assert_eq!(changes(&world, to, end).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_expires_is_in_an_incremental_export_as_what_is_deleted() {
    let world = World::new().await;
    let expires = json!({"AttributeName": "Ends", "Enabled": true});
    world.caller.ok("UpdateTimeToLive", json!({"TableName": "users", "TimeToLiveSpecification": expires})).await;
    let ending = |id: &str, at_seconds: u64| {
        let mut item = image(id, "1");
        item["Ends"] = json!({"N": at_seconds.to_string()});
        item
    };
    let put = async |item: Value| drop(world.caller.ok("PutItem", json!({"TableName": "users", "Item": item})).await);
    let there = async |id: &str| {
        let get = json!({"TableName": "users", "Key": {"Id": {"S": id}}, "ConsistentRead": true});
        world.caller.ok("GetItem", get).await.get("Item").is_some()
    };
    let gone = async |id: &str| {
        for _ in 0..400 {
            if !there(id).await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("{id} does not expire");
    };
    let soon = now_ms() / 1_000 + 8;
    for item in [ending("expires", soon), image("shortened", "1"), image("stays", "1"), image("again", "1")] {
        put(item).await;
    }
    let from = moment().await;
    let long_ago = now_ms() / 1_000 - 60;
    for id in ["shortened", "again", "passing"] {
        put(ending(id, long_ago)).await;
        gone(id).await;
    }
    put(image("again", "2")).await;
    assert!(there("expires").await, "the test needs more time until it expires");
    let between = moment().await;
    gone("expires").await;
    let to = moment().await;

    let expected = BTreeMap::from([
        ("shortened".to_owned(), json!({"OldImage": image("shortened", "1")})),
        ("again".to_owned(), json!({"NewImage": image("again", "2"), "OldImage": image("again", "1")})),
    ]);
    assert_eq!(changes(&world, from, between).await, expected);
    let expected = BTreeMap::from([("expires".to_owned(), json!({"OldImage": ending("expires", soon)}))]);
    assert_eq!(changes(&world, between, to).await, expected);
}
