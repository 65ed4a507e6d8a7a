//! `cairn dev` as its users meet it: what it refuses to start with, and that a folder comes back as it was left.
#![allow(unreachable_pub, clippy::unwrap_used, clippy::panic)]

mod support;
#[path = "dev/throttling.rs"]
mod throttling;

use serde_json::{Value, json};
use std::{path::Path, process::Command, time::Duration};
use support::{Caller, Dev};

/// Runs `cairn dev` where it must refuse to start, and gives back what it said.
fn refused(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_cairn")).arg("dev").args(arguments).output().unwrap();
    assert!(!output.status.success(), "it should not have started");
    String::from_utf8(output.stderr).unwrap()
}

fn refused_folder(folder: &Path) -> String {
    refused(&["--listen", "127.0.0.1:0", "--data", folder.to_str().unwrap()])
}

#[tokio::test]
async fn a_table_and_its_items_are_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut dev = Dev::start(folder.path());
    let caller = Caller::new(&dev.endpoint);
    caller.create_table("users").await;
    let item = json!({"Id": {"S": "ada"}, "Tags": {"SS": ["a", "b"]}, "Score": {"N": "12345678901234567890123456789012345678"}});
    caller.ok("PutItem", json!({"TableName": "users", "Item": item})).await;
    let described = caller.ok("DescribeTable", json!({"TableName": "users"})).await;
    dev.kill();

    let dev = Dev::start(folder.path());
    let caller = Caller::new(&dev.endpoint);
    let got = caller.ok("GetItem", json!({"TableName": "users", "Key": {"Id": {"S": "ada"}}})).await;
    assert_eq!(got["Item"], item);
    let again = caller.ok("DescribeTable", json!({"TableName": "users"})).await;
    for field in ["TableId", "TableArn", "KeySchema", "CreationDateTime", "BillingModeSummary"] {
        assert_eq!(again["Table"][field], described["Table"][field], "{field}");
    }
}

#[tokio::test]
async fn a_deleted_table_stays_deleted_and_its_name_can_be_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut dev = Dev::start(folder.path());
    let caller = Caller::new(&dev.endpoint);
    caller.create_table("users").await;
    caller.ok("PutItem", json!({"TableName": "users", "Item": {"Id": {"S": "ada"}}})).await;
    caller.ok("DeleteTable", json!({"TableName": "users"})).await;
    dev.kill();

    let dev = Dev::start(folder.path());
    let caller = Caller::new(&dev.endpoint);
    assert_eq!(caller.ok("ListTables", json!({})).await["TableNames"], json!([]));
    caller.create_table("users").await;
    let got =
        caller.ok("GetItem", json!({"TableName": "users", "Key": {"Id": {"S": "ada"}}, "ConsistentRead": true})).await;
    assert_eq!(got, json!({}));
}

#[tokio::test]
async fn a_description_counts_what_was_written_just_before() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start(folder.path());
    let caller = Caller::new(&dev.endpoint);
    caller.create_table("users").await;
    for count in 1..=10 {
        caller.ok("PutItem", json!({"TableName": "users", "Item": {"Id": {"S": count.to_string()}}})).await;
        let table = caller.ok("DescribeTable", json!({"TableName": "users"})).await["Table"].clone();
        assert_eq!(table["ItemCount"], count);
    }
}

#[tokio::test]
async fn a_table_has_its_local_indexes_after_a_restart_and_counts_what_is_in_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut dev = Dev::start(folder.path());
    let caller = Caller::new(&dev.endpoint);
    let attribute = |name: &str| json!({"AttributeName": name, "AttributeType": "S"});
    let index = |name: &str, sort: &str| {
        json!({
            "IndexName": name,
            "KeySchema": [{"AttributeName": "Id", "KeyType": "HASH"}, {"AttributeName": sort, "KeyType": "RANGE"}],
            "Projection": {"ProjectionType": "KEYS_ONLY"}
        })
    };
    let table = json!({
        "TableName": "games",
        "AttributeDefinitions": [attribute("Id"), attribute("Game"), attribute("Rank"), attribute("Age")],
        "KeySchema": [{"AttributeName": "Id", "KeyType": "HASH"}, {"AttributeName": "Game", "KeyType": "RANGE"}],
        "BillingMode": "PAY_PER_REQUEST",
        "LocalSecondaryIndexes": [index("by-rank", "Rank"), index("by-age", "Age")]
    });
    caller.ok("CreateTable", table).await;
    for item in [json!({"Rank": {"S": "a"}}), json!({"Rank": {"S": "b"}, "Age": {"S": "c"}}), json!({})] {
        let mut item = item;
        item["Id"] = json!({"S": "ada"});
        item["Game"] = json!({"S": item.to_string()});
        caller.ok("PutItem", json!({"TableName": "games", "Item": item})).await;
    }
    let described = caller.ok("DescribeTable", json!({"TableName": "games"})).await["Table"].clone();
    let told = |position: usize| {
        let index = &described["LocalSecondaryIndexes"][position];
        (index["IndexName"].clone(), index["ItemCount"].clone())
    };
    assert_eq!([told(0), told(1)], [(json!("by-rank"), json!(2)), (json!("by-age"), json!(1))]);
    dev.kill();

    let dev = Dev::start(folder.path());
    let caller = Caller::new(&dev.endpoint);
    let again = caller.ok("DescribeTable", json!({"TableName": "games"})).await["Table"].clone();
    assert_eq!(again["LocalSecondaryIndexes"], described["LocalSecondaryIndexes"]);
}

#[tokio::test]
async fn how_often_the_throughput_went_down_is_known_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut dev = Dev::start(folder.path());
    let caller = Caller::new(&dev.endpoint);
    caller.create_table("users").await;
    let update = |read: u64| {
        let units = json!({"ReadCapacityUnits": read, "WriteCapacityUnits": 5});
        json!({"TableName": "users", "BillingMode": "PROVISIONED", "ProvisionedThroughput": units})
    };
    for read in [10, 9, 8] {
        caller.ok("UpdateTable", update(read)).await;
    }
    let described = caller.ok("DescribeTable", json!({"TableName": "users"})).await["Table"].clone();
    let throughput = &described["ProvisionedThroughput"];
    assert_eq!(throughput["NumberOfDecreasesToday"], 2);
    assert!(throughput["LastDecreaseDateTime"].is_f64() && throughput.get("LastIncreaseDateTime").is_none());
    dev.kill();

    let dev = Dev::start(folder.path());
    let caller = Caller::new(&dev.endpoint);
    let again = async || {
        let table = caller.ok("DescribeTable", json!({"TableName": "users"})).await;
        table["Table"]["ProvisionedThroughput"].clone()
    };
    // The last changes of the definition are in the log, which is applied in the moment after a start.
    for _ in 0..100 {
        if again().await == *throughput {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(again().await, *throughput);
}

#[tokio::test]
async fn tags_are_there_after_a_restart_and_go_with_their_table() {
    let folder = tempfile::tempdir().unwrap();
    let arn = json!({"ResourceArn": "arn:aws:dynamodb:us-east-1:local:table/users"});
    let with = |field: &str, value: Value| json!({"ResourceArn": arn["ResourceArn"], field: value});
    let tag = |key: &str| json!({"Key": key, "Value": "x"});
    let mut dev = Dev::start(folder.path());
    let caller = Caller::new(&dev.endpoint);
    let made = json!({
        "TableName": "users", "BillingMode": "PAY_PER_REQUEST", "Tags": [tag("made")],
        "AttributeDefinitions": [{"AttributeName": "Id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "Id", "KeyType": "HASH"}],
    });
    caller.ok("CreateTable", made).await;
    caller.ok("TagResource", with("Tags", json!([tag("put"), tag("gone")]))).await;
    caller.ok("UntagResource", with("TagKeys", json!(["gone"]))).await;
    dev.kill();

    let mut dev = Dev::start(folder.path());
    let caller = Caller::new(&dev.endpoint);
    let listed = caller.ok("ListTagsOfResource", arn.clone()).await;
    assert_eq!(listed, json!({"Tags": [tag("made"), tag("put")]}));
    caller.ok("DeleteTable", json!({"TableName": "users"})).await;
    caller.create_table("users").await;
    assert_eq!(caller.ok("ListTagsOfResource", arn.clone()).await, json!({"Tags": []}));
    dev.kill();
    assert_eq!(std::fs::read_dir(folder.path().join("tables")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_folder_that_another_process_uses_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _dev = Dev::start(folder.path());
    let said = refused_folder(folder.path());
    assert!(said.contains(folder.path().to_str().unwrap()), "{said}");
    assert!(said.contains("in use"), "{said}");
}

#[tokio::test]
async fn a_corrupt_folder_is_refused_by_name_and_left_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    drop(Dev::start(folder.path()));
    let file = folder.path().join("cairn.json");
    std::fs::write(&file, b"not what it was").unwrap();
    let said = refused_folder(folder.path());
    assert!(said.contains("cairn.json"), "{said}");
    assert_eq!(std::fs::read(&file).unwrap(), b"not what it was");
}

#[test]
fn an_open_port_without_credentials_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let said = refused(&["--listen", "0.0.0.0:0", "--data", folder.path().to_str().unwrap()]);
    assert!(said.contains("--credentials"), "{said}");
}
