//! Global indexes of `cairn dev` as its users meet them: made with a table or later, read, kept through crashes, deleted, restored.
#![allow(unreachable_pub, clippy::unwrap_used, clippy::panic)]

mod support;

use serde_json::{Map, Value, json};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use support::{Caller, Dev};

fn by_group() -> Value {
    json!({
        "IndexName": "by-group",
        "KeySchema": [{"AttributeName": "Group", "KeyType": "HASH"}, {"AttributeName": "Score", "KeyType": "RANGE"}],
        "Projection": {"ProjectionType": "ALL"},
    })
}

fn attributes() -> Value {
    json!([
        {"AttributeName": "Id", "AttributeType": "S"},
        {"AttributeName": "Group", "AttributeType": "S"},
        {"AttributeName": "Score", "AttributeType": "N"},
    ])
}

async fn create_table(caller: &Caller) {
    let request = json!({
        "TableName": "users",
        "AttributeDefinitions": attributes(),
        "KeySchema": [{"AttributeName": "Id", "KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST",
        "GlobalSecondaryIndexes": [by_group()],
    });
    caller.ok("CreateTable", request).await;
}

async fn add_index(caller: &Caller) {
    let request = json!({
        "TableName": "users",
        "AttributeDefinitions": attributes(),
        "GlobalSecondaryIndexUpdates": [{"Create": by_group()}],
    });
    caller.ok("UpdateTable", request).await;
}

fn item(id: u64, score: u64) -> Value {
    json!({"Id": {"S": id.to_string()}, "Group": {"S": format!("g{}", id % 3)}, "Score": {"N": score.to_string()}})
}

async fn fill(caller: &Caller, count: u64) {
    for first in (0..count).step_by(25) {
        let puts: Vec<Value> =
            (first..count.min(first + 25)).map(|id| json!({"PutRequest": {"Item": item(id, 0)}})).collect();
        let answer = caller.ok("BatchWriteItem", json!({"RequestItems": {"users": puts}})).await;
        assert_eq!(answer["UnprocessedItems"], json!({}));
    }
}

/// All items, by their ids, of a table or of its index.
async fn scan(caller: &Caller, table: &str, index: Option<&str>) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    let mut start = Value::Null;
    loop {
        let mut request = Map::from_iter([("TableName".to_owned(), json!(table))]);
        request.extend(index.map(|index| ("IndexName".to_owned(), json!(index))));
        request.extend((!start.is_null()).then(|| ("ExclusiveStartKey".to_owned(), start.take())));
        let mut answer = caller.ok("Scan", Value::Object(request)).await;
        for item in answer["Items"].as_array().unwrap() {
            assert!(all.insert(item["Id"]["S"].as_str().unwrap().to_owned(), item.clone()).is_none(), "twice: {item}");
        }
        start = answer["LastEvaluatedKey"].take();
        if start.is_null() {
            return all;
        }
    }
}

async fn described(caller: &Caller, table: &str) -> Value {
    caller.ok("DescribeTable", json!({"TableName": table})).await["Table"].clone()
}

async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let waited = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waited).await.unwrap_or_else(|_| panic!("it is never so: {what}"));
}

async fn until_active(caller: &Caller) {
    let active = async || described(caller, "users").await["GlobalSecondaryIndexes"][0]["IndexStatus"] == "ACTIVE";
    until("the index is ACTIVE", active).await;
}

/// Until the index has just what the table has.
async fn until_same(caller: &Caller, table: &str) {
    let same = async || scan(caller, table, Some("by-group")).await == scan(caller, table, None).await;
    until("the index is as the table", same).await;
}

#[tokio::test]
async fn an_index_made_with_its_table_is_read_and_is_there_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let mut dev = Dev::start(folder.path());
    let caller = Caller::new(&dev.endpoint);
    create_table(&caller).await;
    let table = described(&caller, "users").await;
    assert_eq!(
        (&table["TableStatus"], &table["GlobalSecondaryIndexes"][0]["IndexStatus"]),
        (&json!("ACTIVE"), &json!("ACTIVE"))
    );
    fill(&caller, 30).await;
    until_same(&caller, "users").await;
    let query = json!({
        "TableName": "users", "IndexName": "by-group", "KeyConditionExpression": "#g = :g",
        "ExpressionAttributeNames": {"#g": "Group"}, "ExpressionAttributeValues": {":g": {"S": "g1"}},
    });
    assert_eq!(caller.ok("Query", query.clone()).await["Count"], 10);
    let table = described(&caller, "users").await;
    assert_eq!(table["GlobalSecondaryIndexes"][0]["ItemCount"], 30);
    dev.kill();

    let dev = Dev::start(folder.path());
    let caller = Caller::new(&dev.endpoint);
    let table = described(&caller, "users").await;
    assert_eq!(table["GlobalSecondaryIndexes"][0]["IndexStatus"], "ACTIVE", "what was ACTIVE is never anything else");
    assert_eq!(caller.ok("ListTables", json!({})).await["TableNames"], json!(["users"]));
    caller.ok("PutItem", json!({"TableName": "users", "Item": item(1_000, 5)})).await;
    caller.ok("DeleteItem", json!({"TableName": "users", "Key": {"Id": {"S": "1"}}})).await;
    until_same(&caller, "users").await;
    assert_eq!(caller.ok("Query", query).await["Count"], 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_added_while_writes_go_on_has_every_item_when_it_is_active() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start(folder.path());
    let caller = Caller::new(&dev.endpoint);
    caller.create_table("users").await;
    fill(&caller, 1_200).await;
    let ended = Arc::new(AtomicBool::new(false));
    let (writer, writes_end) = (caller.clone(), ended.clone());
    let writes = tokio::spawn(async move {
        let mut score = 0;
        while !writes_end.load(Ordering::Relaxed) {
            score += 1;
            let id = score * 7 % 1_300;
            match score % 4 {
                0 => drop(
                    writer.ok("DeleteItem", json!({"TableName": "users", "Key": {"Id": {"S": id.to_string()}}})).await,
                ),
                _ => drop(writer.ok("PutItem", json!({"TableName": "users", "Item": item(id, score)})).await),
            }
        }
        score
    });
    add_index(&caller).await;
    until_active(&caller).await;
    ended.store(true, Ordering::Relaxed);
    println!("{} writes went on meanwhile", writes.await.unwrap());
    until_same(&caller, "users").await;
    let delete = json!({"TableName": "users", "GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": "by-group"}}]});
    let deleting = caller.ok("UpdateTable", delete).await;
    assert_eq!(deleting["TableDescription"]["GlobalSecondaryIndexes"][0]["IndexStatus"], "DELETING");
    let gone = async || described(&caller, "users").await.get("GlobalSecondaryIndexes").is_none();
    until("the index is gone", gone).await;
    caller.ok("DeleteTable", json!({"TableName": "users"})).await;
    assert_eq!(caller.ok("ListTables", json!({})).await["TableNames"], json!([]));
}

#[tokio::test]
async fn an_index_whose_making_is_cut_short_again_and_again_is_made_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let mut dev = Dev::start(folder.path());
    let mut caller = Caller::new(&dev.endpoint);
    caller.create_table("users").await;
    fill(&caller, 2_500).await;
    add_index(&caller).await;
    for pause_ms in [0, 30, 150, 400] {
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        dev.kill();
        dev = Dev::start(folder.path());
        caller = Caller::new(&dev.endpoint);
        caller.ok("PutItem", json!({"TableName": "users", "Item": item(pause_ms, pause_ms)})).await;
    }
    until_active(&caller).await;
    until_same(&caller, "users").await;
    assert_eq!(scan(&caller, "users", Some("by-group")).await.len(), 2_500);
}

#[tokio::test]
async fn what_expires_leaves_the_index_and_what_a_transaction_writes_comes_into_it() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start_with(folder.path(), &["--ttl-interval-ms", "50"]);
    let caller = Caller::new(&dev.endpoint);
    create_table(&caller).await;
    fill(&caller, 30).await;
    let put = |id: u64| json!({"Put": {"TableName": "users", "Item": item(id, 9)}});
    let moved = json!({
        "TableName": "users", "Key": {"Id": {"S": "1"}}, "UpdateExpression": "SET #g = :g",
        "ExpressionAttributeNames": {"#g": "Group"}, "ExpressionAttributeValues": {":g": {"S": "g2"}},
    });
    let mut emptied = moved.clone();
    emptied["ExpressionAttributeValues"][":g"]["S"] = json!("");
    let (status, answer) =
        caller.call("TransactWriteItems", json!({"TransactItems": [{"Update": emptied}]})).await.unwrap();
    let text = answer["message"].as_str().unwrap();
    assert!(
        text.ends_with("The AttributeValue for a key attribute cannot contain an empty string value."),
        "{status} {text}"
    );
    let deleted = json!({"TableName": "users", "Key": {"Id": {"S": "2"}}});
    let actions = json!([put(100), put(101), {"Update": moved}, {"Delete": deleted}]);
    caller.ok("TransactWriteItems", json!({"TransactItems": actions})).await;
    until_same(&caller, "users").await;
    assert_eq!(scan(&caller, "users", Some("by-group")).await.len(), 31);

    // Of the file system's clock: an hour ago.
    let made = std::fs::metadata(folder.path()).unwrap().modified().unwrap();
    let long_ago = made.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() - 3_600;
    for id in 0..10 {
        caller.ok("PutItem", json!({"TableName": "users", "Item": item(id, long_ago)})).await;
    }
    let on = json!({"TableName": "users", "TimeToLiveSpecification": {"AttributeName": "Score", "Enabled": true}});
    caller.ok("UpdateTimeToLive", on).await;
    let left = async || scan(&caller, "users", Some("by-group")).await.len() == 22;
    until("what has expired is out of the index", left).await;
    assert_eq!(scan(&caller, "users", Some("by-group")).await, scan(&caller, "users", None).await);
}

#[tokio::test]
async fn an_imported_table_has_its_indexes_filled_when_it_is_active() {
    let folder = tempfile::tempdir().unwrap();
    let archive = tempfile::tempdir().unwrap();
    let source = archive.path().join("buckets/source");
    std::fs::create_dir_all(&source).unwrap();
    let lines = (0..700).map(|id| format!("{}\n", json!({"Item": item(id, id)})));
    std::fs::write(source.join("items.json"), lines.collect::<String>()).unwrap();
    let dev = Dev::start_with(folder.path(), &["--archive", &format!("file://{}", archive.path().display())]);
    let caller = Caller::new(&dev.endpoint);
    let request = json!({
        "S3BucketSource": {"S3Bucket": "source"},
        "InputFormat": "DYNAMODB_JSON",
        "TableCreationParameters": {
            "TableName": "users",
            "AttributeDefinitions": attributes(),
            "KeySchema": [{"AttributeName": "Id", "KeyType": "HASH"}],
            "BillingMode": "PAY_PER_REQUEST",
            "GlobalSecondaryIndexes": [by_group()],
        },
    });
    let begun = caller.ok("ImportTable", request).await["ImportTableDescription"].clone();
    let completed = async || {
        let import = caller.ok("DescribeImport", json!({"ImportArn": begun["ImportArn"]})).await;
        import["ImportTableDescription"]["ImportStatus"] == "COMPLETED"
    };
    until("the table is imported", completed).await;
    until("the table is ACTIVE", async || described(&caller, "users").await["TableStatus"] == "ACTIVE").await;
    let imported = scan(&caller, "users", Some("by-group")).await;
    assert_eq!(imported.len(), 700);
    assert_eq!(imported, scan(&caller, "users", None).await);
}

#[tokio::test]
async fn a_restored_table_has_its_indexes_filled_when_it_is_active() {
    let folder = tempfile::tempdir().unwrap();
    let archive = tempfile::tempdir().unwrap();
    let url = format!("file://{}", archive.path().display());
    let dev = Dev::start_with(folder.path(), &["--archive", &url]);
    let caller = Caller::new(&dev.endpoint);
    create_table(&caller).await;
    fill(&caller, 700).await;
    let backup = caller.ok("CreateBackup", json!({"TableName": "users", "BackupName": "all"})).await;
    let arn = backup["BackupDetails"]["BackupArn"].clone();
    let available = async || {
        let backup = caller.ok("DescribeBackup", json!({"BackupArn": arn})).await;
        backup["BackupDescription"]["BackupDetails"]["BackupStatus"] == "AVAILABLE"
    };
    until("the backup is there", available).await;
    caller.ok("DeleteItem", json!({"TableName": "users", "Key": {"Id": {"S": "1"}}})).await;
    caller.ok("RestoreTableFromBackup", json!({"TargetTableName": "again", "BackupArn": arn})).await;
    let active = async || described(&caller, "again").await["TableStatus"] == "ACTIVE";
    until("the table is restored", active).await;
    assert_eq!(described(&caller, "again").await["GlobalSecondaryIndexes"][0]["IndexStatus"], "ACTIVE");
    let restored = scan(&caller, "again", Some("by-group")).await;
    assert_eq!(restored.len(), 700);
    assert_eq!(restored, scan(&caller, "again", None).await);
    until_same(&caller, "users").await;
    assert_eq!(caller.ok("ListTables", json!({})).await["TableNames"], json!(["again", "users"]));
}
