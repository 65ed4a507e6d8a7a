//! What comes back with a table: its indexes, and transactions whole; and what does not.

use super::{Folders, active, now_ms, recovery, restorable, restore, seconds};
use crate::support::Caller;
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};

const TABLES: [&str; 2] = ["users", "orders"];
const ITEMS: [&str; 2] = ["a", "b"];

/// The number of the transaction that wrote each item.
async fn written(caller: &Caller, table: &str) -> Vec<Option<u64>> {
    let mut written = Vec::new();
    for id in ITEMS {
        let get = json!({"TableName": table, "Key": {"Id": {"S": id}}, "ConsistentRead": true});
        let answer = caller.ok("GetItem", get).await;
        written.push(answer["Item"]["N"]["N"].as_str().map(|n| n.parse().unwrap()));
    }
    written
}

#[tokio::test]
async fn tables_restored_as_of_one_time_have_the_same_of_all_transactions_over_them() {
    let folders = Folders::new();
    let (_dev, caller) = folders.start("data");
    for table in TABLES {
        caller.create_table(table).await;
        recovery(&caller, table, true).await;
        restorable(&caller, table, now_ms()).await;
    }
    // When each was begun, and acknowledged.
    let mut transactions = Vec::new();
    for n in 0..60 {
        let put =
            |table, id| json!({"Put": {"TableName": table, "Item": {"Id": {"S": id}, "N": {"N": n.to_string()}}}});
        let puts: Vec<Value> = TABLES.iter().flat_map(|table| ITEMS.map(|id| put(table, id))).collect();
        let begun = now_ms();
        caller.ok("TransactWriteItems", json!({"TransactItems": puts})).await;
        transactions.push((begun, now_ms()));
    }
    let last = transactions.last().unwrap().1;
    for table in TABLES {
        restorable(&caller, table, last + 1).await;
    }
    for at_ms in [10, 20, 30, 40, 50].map(|n: usize| transactions[n].0.midpoint(transactions[n].1)) {
        let surely = transactions.iter().filter(|(_, end)| *end < at_ms).count() as u64;
        let perhaps = transactions.iter().filter(|(begun, _)| *begun <= at_ms).count() as u64;
        let mut found = Vec::new();
        for table in TABLES {
            let target = format!("{table}-{at_ms}");
            restore(&caller, table, &target, Some(at_ms)).await;
            found.extend(written(&caller, &target).await);
            assert!(found.iter().all(|n| *n == found[0]), "half of a transaction is there at {at_ms}: {found:?}");
            let count = found[0].map_or(0, |n| n + 1);
            assert!((surely..=perhaps).contains(&count), "{table} has {count} at {at_ms}: {surely} to {perhaps}");
            // What was prepared then locks nothing now.
            caller.ok("PutItem", json!({"TableName": target, "Item": {"Id": {"S": "a"}}})).await;
        }
    }
}

fn keys(hash: &str, range: &str) -> Value {
    json!([{"AttributeName": hash, "KeyType": "HASH"}, {"AttributeName": range, "KeyType": "RANGE"}])
}

fn index(name: &str, hash: &str, range: &str) -> Value {
    json!({"IndexName": name, "KeySchema": keys(hash, range), "Projection": {"ProjectionType": "ALL"}})
}

fn units(units: u64) -> Value {
    json!({"ReadCapacityUnits": units, "WriteCapacityUnits": units})
}

fn with(mut object: Value, more: Value) -> Value {
    object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    object
}

fn attributes() -> Value {
    let attribute = |name: &str, of_type: &str| json!({"AttributeName": name, "AttributeType": of_type});
    json!([attribute("Id", "S"), attribute("At", "N"), attribute("Rank", "N"), attribute("Team", "S")])
}

/// What a table or one of its indexes has, by the items' ids.
async fn scanned(caller: &Caller, table: &str, index: Option<&str>) -> BTreeMap<String, Value> {
    let mut scan = json!({"TableName": table});
    if let Some(index) = index {
        scan["IndexName"] = json!(index);
    }
    let items = caller.ok("Scan", scan).await["Items"].take();
    let items = items.as_array().unwrap().iter();
    items.map(|item| (item["Id"]["S"].as_str().unwrap().to_owned(), item.clone())).collect()
}

fn names(table: &Value, indexes: &str) -> Vec<String> {
    let indexes = table[indexes].as_array().into_iter().flatten();
    indexes.map(|index| index["IndexName"].as_str().unwrap().to_owned()).collect()
}

/// Until the table has just these, ACTIVE.
async fn update_indexes(caller: &Caller, update: Value, left: &[&str]) {
    let mut request = json!({"TableName": "users", "GlobalSecondaryIndexUpdates": [update]});
    if !left.is_empty() {
        request["AttributeDefinitions"] = attributes();
    }
    caller.ok("UpdateTable", request).await;
    for _ in 0..400 {
        let table = active(caller, "users").await;
        let mut indexes = table["GlobalSecondaryIndexes"].as_array().into_iter().flatten();
        if indexes.all(|index| index["IndexStatus"] == "ACTIVE") && names(&table, "GlobalSecondaryIndexes") == left {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the indexes are never as they should be");
}

async fn write(caller: &Caller, ids: std::ops::Range<u64>, team: &str) {
    for id in ids {
        let number = |number: u64| json!({"N": number.to_string()});
        let item =
            json!({"Id": {"S": format!("item-{id}")}, "At": number(0), "Rank": number(id % 3), "Team": {"S": team}});
        caller.ok("PutItem", json!({"TableName": "users", "Item": item})).await;
    }
}

/// "All these settings come from the current settings of the source table at the time of restore" (developer guide,
/// point-in-time recovery); "indexes may be left out, not added; … streams, TTL and recovery settings don't come along".
#[tokio::test]
async fn the_indexes_that_a_table_has_come_back_with_the_items_of_a_time() {
    let folders = Folders::new();
    let (_dev, caller) = folders.start("data");
    let request = json!({
        "TableName": "users", "AttributeDefinitions": attributes(), "KeySchema": keys("Id", "At"),
        "ProvisionedThroughput": units(50),
        "LocalSecondaryIndexes": [index("by-rank", "Id", "Rank")],
        "GlobalSecondaryIndexes": [with(index("gone", "Team", "Rank"), json!({"ProvisionedThroughput": units(5)}))],
        "StreamSpecification": {"StreamEnabled": true, "StreamViewType": "KEYS_ONLY"},
    });
    caller.ok("CreateTable", request).await;
    active(&caller, "users").await;
    let expires = json!({"AttributeName": "Ends", "Enabled": true});
    caller.ok("UpdateTimeToLive", json!({"TableName": "users", "TimeToLiveSpecification": expires})).await;
    recovery(&caller, "users", true).await;
    restorable(&caller, "users", now_ms()).await;
    write(&caller, 0..20, "one").await;
    let then = scanned(&caller, "users", None).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let at_ms = now_ms();
    tokio::time::sleep(Duration::from_millis(20)).await;
    write(&caller, 10..30, "other").await;
    update_indexes(&caller, json!({"Delete": {"IndexName": "gone"}}), &[]).await;
    let added = with(index("by-team", "Team", "Rank"), json!({"ProvisionedThroughput": units(7)}));
    update_indexes(&caller, json!({"Create": added}), &["by-team"]).await;
    restorable(&caller, "users", at_ms).await;

    let table = restore(&caller, "users", "again", Some(at_ms)).await;
    assert_eq!(names(&table, "LocalSecondaryIndexes"), ["by-rank"]);
    assert_eq!(names(&table, "GlobalSecondaryIndexes"), ["by-team"]);
    assert_eq!(table["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"]["ReadCapacityUnits"], 7);
    assert_eq!(table["ProvisionedThroughput"]["ReadCapacityUnits"], 50);
    for index in [None, Some("by-rank"), Some("by-team")] {
        assert_eq!(scanned(&caller, "again", index).await, then, "{index:?}");
    }
    assert!(table.get("StreamSpecification").is_none());
    let expiry = caller.ok("DescribeTimeToLive", json!({"TableName": "again"})).await;
    assert_eq!(expiry["TimeToLiveDescription"], json!({"TimeToLiveStatus": "DISABLED"}));

    let otherwise = json!({
        "SourceTableName": "users", "TargetTableName": "otherwise", "RestoreDateTime": seconds(at_ms),
        "BillingModeOverride": "PAY_PER_REQUEST", "LocalSecondaryIndexOverride": [],
        "GlobalSecondaryIndexOverride": [index("teams", "Team", "Rank")],
    });
    caller.ok("RestoreTableToPointInTime", otherwise).await;
    let table = active(&caller, "otherwise").await;
    assert_eq!(names(&table, "LocalSecondaryIndexes"), [""; 0]);
    assert_eq!(names(&table, "GlobalSecondaryIndexes"), ["teams"]);
    assert_eq!(table["BillingModeSummary"]["BillingMode"], "PAY_PER_REQUEST");
    assert_eq!(scanned(&caller, "otherwise", Some("teams")).await, then);
}

/// On demand, with what an index and a restore can be told of.
fn on_demand() -> Value {
    json!({
        "TableName": "users", "AttributeDefinitions": attributes(), "KeySchema": keys("Id", "At"),
        "BillingMode": "PAY_PER_REQUEST", "OnDemandThroughput": {"MaxReadRequestUnits": 40, "MaxWriteRequestUnits": 50},
        "LocalSecondaryIndexes": [index("by-rank", "Id", "Rank")],
        "GlobalSecondaryIndexes": [index("by-team", "Team", "Rank"), index("ranks", "Rank", "At")],
    })
}

/// "GlobalSecondaryIndexOverride: … The indexes provided should match existing secondary indexes. You can choose to exclude some
/// or all of the indexes at the time of restore" (reference, RestoreTableFromBackup and RestoreTableToPointInTime).
#[tokio::test]
async fn a_restored_table_is_what_its_overrides_say_and_stays_so() {
    let folders = Folders::new();
    let (mut dev, caller) = folders.start("data");
    caller.ok("CreateTable", on_demand()).await;
    recovery(&caller, "users", true).await;
    restorable(&caller, "users", now_ms()).await;
    write(&caller, 0..20, "one").await;
    let then = scanned(&caller, "users", None).await;
    let made = caller.ok("CreateBackup", json!({"TableName": "users", "BackupName": "all"})).await;
    let arn = made["BackupDetails"]["BackupArn"].clone();
    restorable(&caller, "users", now_ms()).await;
    let provisioned = json!({
        "BillingModeOverride": "PROVISIONED", "ProvisionedThroughputOverride": units(9),
        "GlobalSecondaryIndexOverride": [with(index("teams", "Team", "Rank"), json!({"ProvisionedThroughput": units(3)}))],
        "LocalSecondaryIndexOverride": [],
    });
    let maxima = json!({"MaxWriteRequestUnits": 60});
    let of_index = with(index("ranks", "Rank", "At"), json!({"OnDemandThroughput": {"MaxReadRequestUnits": 5}}));
    let limited = json!({"OnDemandThroughputOverride": maxima, "GlobalSecondaryIndexOverride": [of_index]});
    let past = json!({"SourceTableName": "users", "UseLatestRestorableTime": true});
    for (name, overrides) in [("provisioned", &provisioned), ("limited", &limited)] {
        for (operation, source) in
            [("RestoreTableFromBackup", &json!({"BackupArn": arn})), ("RestoreTableToPointInTime", &past)]
        {
            let target = json!({"TargetTableName": format!("{name}-{operation}")});
            caller.ok(operation, with(with(source.clone(), target), overrides.clone())).await;
        }
    }
    for operation in ["RestoreTableFromBackup", "RestoreTableToPointInTime"] {
        active(&caller, &format!("provisioned-{operation}")).await;
        active(&caller, &format!("limited-{operation}")).await;
    }
    dev.kill();
    let (_dev, caller) = folders.start("data");
    for operation in ["RestoreTableFromBackup", "RestoreTableToPointInTime"] {
        let name = format!("provisioned-{operation}");
        let table = active(&caller, &name).await;
        assert_eq!(names(&table, "LocalSecondaryIndexes"), [""; 0]);
        assert_eq!(names(&table, "GlobalSecondaryIndexes"), ["teams"]);
        assert_eq!(table["ProvisionedThroughput"]["WriteCapacityUnits"], 9);
        assert_eq!(table["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"]["ReadCapacityUnits"], 3);
        assert!(table.get("BillingModeSummary").is_none() && table.get("OnDemandThroughput").is_none(), "{table}");
        assert_eq!(table["AttributeDefinitions"].as_array().unwrap().len(), 4);
        assert_eq!(scanned(&caller, &name, Some("teams")).await, then);

        let name = format!("limited-{operation}");
        let table = active(&caller, &name).await;
        assert_eq!(names(&table, "LocalSecondaryIndexes"), ["by-rank"]);
        assert_eq!(names(&table, "GlobalSecondaryIndexes"), ["ranks"]);
        assert_eq!(table["OnDemandThroughput"], maxima);
        assert_eq!(table["GlobalSecondaryIndexes"][0]["OnDemandThroughput"], json!({"MaxReadRequestUnits": 5}));
        assert_eq!(table["AttributeDefinitions"].as_array().unwrap().len(), 3);
        for index in ["by-rank", "ranks"] {
            assert_eq!(scanned(&caller, &name, Some(index)).await, then, "{index}");
        }
    }
}

#[tokio::test]
async fn an_item_that_has_no_place_in_an_index_comes_back_without_one() {
    let folders = Folders::new();
    let (_dev, caller) = folders.start("data");
    let request = json!({
        "TableName": "users", "AttributeDefinitions": [attributes()[0], attributes()[1], attributes()[2]],
        "KeySchema": keys("Id", "At"), "BillingMode": "PAY_PER_REQUEST",
        "LocalSecondaryIndexes": [index("by-rank", "Id", "Rank")],
    });
    caller.ok("CreateTable", request).await;
    recovery(&caller, "users", true).await;
    restorable(&caller, "users", now_ms()).await;
    write(&caller, 0..5, "one").await;
    let odd = json!({"Id": {"S": "odd"}, "At": {"N": "0"}, "Rank": {"N": "1"}, "Team": {"N": "1"}});
    caller.ok("PutItem", json!({"TableName": "users", "Item": odd})).await;
    update_indexes(&caller, json!({"Create": index("by-team", "Team", "Rank")}), &["by-team"]).await;
    let made = caller.ok("CreateBackup", json!({"TableName": "users", "BackupName": "all"})).await;
    let backup = json!({"BackupArn": made["BackupDetails"]["BackupArn"], "TargetTableName": "from-backup"});
    caller.ok("RestoreTableFromBackup", backup).await;
    restorable(&caller, "users", now_ms()).await;
    restore(&caller, "users", "from-past", None).await;
    let all = scanned(&caller, "users", None).await;
    for name in ["from-backup", "from-past"] {
        active(&caller, name).await;
        assert_eq!(scanned(&caller, name, None).await, all, "{name}");
        assert_eq!(scanned(&caller, name, Some("by-rank")).await, all, "{name}");
        let in_index = scanned(&caller, name, Some("by-team")).await;
        assert_eq!((in_index.len(), in_index.contains_key("odd")), (5, false), "{name}");
    }
}
