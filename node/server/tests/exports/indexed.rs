//! A table with all that a table can have, out into files while transactions write it, and back in.

use super::{World, moment, seconds};
use crate::support::indexed::{
    ATTRIBUTES, Items, PAIRS, assert_pairs_whole, attributes, by_key, definition, expected, global_indexes, index,
    item, keys, queried, scanned, write_pairs,
};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

async fn world() -> World {
    let world = World::of(definition()).await;
    world.caller.create_table("orders").await;
    let expires = json!({"AttributeName": "Ends", "Enabled": true});
    world.caller.ok("UpdateTimeToLive", json!({"TableName": "users", "TimeToLiveSpecification": expires})).await;
    world
}

fn exported(world: &World, export: &Value) -> Items {
    by_key(world.lines(export).into_iter().map(|mut line| line["Item"].take()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_exported_with_its_items_alone_and_transactions_whole_while_they_write_it() {
    let world = world().await;
    for n in 0..30 {
        let put = json!({"TableName": "users", "Item": item("single", n, n)});
        world.caller.ok("PutItem", put).await;
    }
    let ended = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn(write_pairs(world.caller.clone(), ended.clone()));
    let mut begun = Vec::new();
    for _ in 0..6 {
        let then = moment().await;
        begun.push(world.begin(json!({"ExportTime": seconds(then)})).await);
    }
    ended.store(true, Ordering::Relaxed);
    assert!(writer.await.unwrap() > PAIRS, "the test needs more transactions");
    let last = world.export(json!({})).await;
    for arn in begun {
        let export = world.end(&arn).await;
        let items = exported(&world, &export);
        assert_pairs_whole(&items);
        assert_eq!(items.keys().filter(|(id, _)| id == "single").count(), 30);
    }

    let items = exported(&world, &last);
    assert_eq!(items, by_key(scanned(&world.caller, "users", None).await));
    assert_pairs_whole(&items);
    let table = world.caller.ok("DescribeTable", json!({"TableName": "users"})).await["Table"].clone();
    assert_eq!((&last["ItemCount"], &last["BilledSizeBytes"]), (&table["ItemCount"], &table["TableSizeBytes"]));
}

/// Of the three that have no place in an index, each for a reason of its own, nothing is imported.
#[tokio::test(flavor = "multi_thread")]
async fn an_export_becomes_a_table_whose_indexes_have_what_its_items_say() {
    let world = world().await;
    for n in 0..60 {
        let put = json!({"TableName": "users", "Item": item(&format!("item-{}", n % 9), n, n)});
        world.caller.ok("PutItem", put).await;
    }
    for (id, odd) in [("odd-type", json!({"S": "1"})), ("even", json!({"B": "AA=="})), ("odd-length", json!({"B": ""}))]
    {
        let mut item = item(id, 0, 1);
        item["Odd"] = odd;
        item["Far"] = json!({"S": "x"});
        world.caller.ok("PutItem", json!({"TableName": "users", "Item": item})).await;
    }
    let mut long = item("too-long", 0, 1);
    long["Far"] = json!({"S": "x".repeat(1_025)});
    world.caller.ok("PutItem", json!({"TableName": "users", "Item": long})).await;
    let export = world.export(json!({})).await;
    let mut items = exported(&world, &export);
    let bytes: usize = world.texts(&export).iter().map(|line| line.len() + 1).sum();
    assert_eq!(items.len(), 64);

    let units = json!({"ReadCapacityUnits": 5, "WriteCapacityUnits": 6});
    let mut indexes = global_indexes().to_vec();
    indexes.push(index("by-odd", &["Odd", "Far"], "ALL"));
    let provisioned = indexes.iter().cloned().map(|mut index| {
        index["ProvisionedThroughput"] = units.clone();
        index
    });
    let import = world
        .import(json!({
            "S3BucketSource": {
                "S3Bucket": "exports",
                "S3KeyPrefix": export["ExportManifest"].as_str().unwrap().replace("manifest-summary.json", "data/"),
            },
            "InputFormat": "DYNAMODB_JSON",
            "InputCompressionType": "GZIP",
            "TableCreationParameters": {
                "TableName": "again",
                "AttributeDefinitions": attributes(&[&ATTRIBUTES[..], &[("Odd", "B"), ("Far", "S")]].concat()),
                "KeySchema": keys(&["Id", "At"]),
                "BillingMode": "PROVISIONED",
                "ProvisionedThroughput": units,
                "GlobalSecondaryIndexes": provisioned.collect::<Vec<_>>(),
            },
        }))
        .await;
    assert_eq!(
        (&import["ImportStatus"], &import["FailureCode"]),
        (&json!("FAILED"), &json!("ItemValidationError")),
        "{import}"
    );
    let counts = ["ProcessedItemCount", "ImportedItemCount", "ErrorCount", "ProcessedSizeBytes"];
    assert_eq!(counts.map(|count| import[count].as_u64().unwrap()), [64, 61, 3, bytes as u64]);
    for refused in ["odd-type", "odd-length", "too-long"] {
        assert!(items.remove(&(refused.to_owned(), "0".to_owned())).is_some());
    }

    let table = world.caller.ok("DescribeTable", json!({"TableName": "again"})).await["Table"].clone();
    assert_eq!((&table["TableStatus"], &table["ItemCount"]), (&json!("ACTIVE"), &json!(61)));
    assert!(table.get("StreamSpecification").is_none() && table.get("LocalSecondaryIndexes").is_none(), "{table}");
    assert_eq!(by_key(scanned(&world.caller, "again", None).await), items);
    for index in &indexes {
        let expected = expected(index, &items);
        let name = index["IndexName"].as_str().unwrap();
        assert_eq!(by_key(scanned(&world.caller, "again", Some(name)).await), expected, "{name}");
        assert_eq!(queried(&world.caller, "again", index, &items).await, expected, "{name}");
        let described = table["GlobalSecondaryIndexes"].as_array().unwrap().iter();
        let described = described.clone().find(|described| described["IndexName"] == name).unwrap();
        assert_eq!(
            (
                &described["IndexStatus"],
                &described["ItemCount"],
                &described["ProvisionedThroughput"]["WriteCapacityUnits"]
            ),
            (&json!("ACTIVE"), &json!(expected.len()), &json!(6)),
            "{name}"
        );
        assert_eq!(described["IndexSizeBytes"].as_u64().unwrap() > 0, !expected.is_empty(), "{name}");
    }
    // What is written from now on comes into the indexes as ever.
    let changed = item("item-1", 1, 35);
    world.caller.ok("PutItem", json!({"TableName": "again", "Item": changed})).await;
    items.insert(("item-1".to_owned(), "1".to_owned()), changed);
    let by_flag = &indexes[2];
    for _ in 0..200 {
        if by_key(scanned(&world.caller, "again", Some("by-flag")).await) == expected(by_flag, &items) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the index of an imported table does not follow it");
}
