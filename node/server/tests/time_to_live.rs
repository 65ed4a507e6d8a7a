//! Time To Live in `cairn dev`: items that have expired go by themselves, and no others do.
#![allow(unreachable_pub, clippy::unwrap_used, clippy::panic)]

mod support;

use serde_json::{Value, json};
use std::{
    net::TcpListener,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use support::{Caller, Dev};

const OFTEN: &[&str] = &["--ttl-interval-ms", "50"];

#[allow(clippy::disallowed_methods)] // the service reads the same clock
fn seconds_from_now(seconds: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    now.saturating_add_signed(seconds).to_string()
}

async fn put(caller: &Caller, id: &str, expires: Value) {
    caller.ok("PutItem", json!({"TableName": "users", "Item": {"Id": {"S": id}, "Expires": expires}})).await;
}

async fn ids(caller: &Caller) -> Vec<String> {
    let answer = caller.ok("Scan", json!({"TableName": "users", "ConsistentRead": true})).await;
    let mut ids: Vec<String> =
        answer["Items"].as_array().unwrap().iter().map(|item| item["Id"]["S"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

async fn turn(caller: &Caller, enabled: bool) {
    let specification = json!({"AttributeName": "Expires", "Enabled": enabled});
    let request = json!({"TableName": "users", "TimeToLiveSpecification": specification});
    assert_eq!(caller.ok("UpdateTimeToLive", request).await["TimeToLiveSpecification"], specification);
}

async fn wait_status(caller: &Caller, status: &str) {
    wait(&format!("the status {status}"), async || {
        let answer = caller.ok("DescribeTimeToLive", json!({"TableName": "users"})).await;
        answer["TimeToLiveDescription"]["TimeToLiveStatus"] == status
    })
    .await;
}

async fn wait(what: &str, is_so: impl AsyncFn() -> bool) {
    for _ in 0..400 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("waited in vain for {what}");
}

#[tokio::test]
async fn what_expires_goes_and_what_was_given_more_time_stays() {
    let folder = tempfile::tempdir().unwrap();
    let mut dev = Dev::start_with(folder.path(), OFTEN);
    let caller = Caller::new(&dev.endpoint);
    caller.create_table("users").await;
    put(&caller, "before", json!({"N": seconds_from_now(-10)})).await;
    put(&caller, "text", json!({"S": seconds_from_now(-10)})).await;
    put(&caller, "ancient", json!({"N": "1000"})).await;
    put(&caller, "later", json!({"N": seconds_from_now(3_600)})).await;
    turn(&caller, true).await;
    wait_status(&caller, "ENABLED").await;
    put(&caller, "soon", json!({"N": seconds_from_now(2)})).await;
    put(&caller, "extended", json!({"N": seconds_from_now(2)})).await;
    let more_time = json!({
        "TableName": "users", "Key": {"Id": {"S": "extended"}}, "UpdateExpression": "SET Expires = :later",
        "ExpressionAttributeValues": {":later": {"N": seconds_from_now(3_600)}},
    });
    caller.ok("UpdateItem", more_time).await;
    let left = ["ancient", "extended", "later", "text"];
    wait("what has expired to go", async || ids(&caller).await == left).await;
    assert_eq!(caller.ok("DescribeTable", json!({"TableName": "users"})).await["Table"]["ItemCount"], 4);

    dev.kill();
    let dev = Dev::start_with(folder.path(), OFTEN);
    let caller = Caller::new(&dev.endpoint);
    wait_status(&caller, "ENABLED").await;
    put(&caller, "after", json!({"N": seconds_from_now(-10)})).await;
    wait("it to go on after a restart", async || ids(&caller).await == left).await;
}

#[tokio::test]
async fn once_it_is_off_nothing_expires() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start_with(folder.path(), OFTEN);
    let caller = Caller::new(&dev.endpoint);
    caller.create_table("users").await;
    turn(&caller, true).await;
    wait_status(&caller, "ENABLED").await;
    put(&caller, "a", json!({"N": seconds_from_now(1)})).await;
    turn(&caller, false).await;
    wait_status(&caller, "DISABLED").await;
    tokio::time::sleep(Duration::from_millis(2_300)).await;
    assert_eq!(ids(&caller).await, ["a"]);
    turn(&caller, true).await;
    wait("what has expired meanwhile to go", async || ids(&caller).await.is_empty()).await;
}

#[tokio::test]
async fn deletions_are_counted_by_table() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let admin = free.local_addr().unwrap().to_string();
    drop(free);
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start_with(folder.path(), &["--ttl-interval-ms", "50", "--admin", &admin]);
    let caller = Caller::new(&dev.endpoint);
    caller.create_table("users").await;
    turn(&caller, true).await;
    for number in 0..3 {
        put(&caller, &number.to_string(), json!({"N": seconds_from_now(-10)})).await;
    }
    wait("what has expired to go", async || ids(&caller).await.is_empty()).await;
    let metrics = support::admin_page(&admin, "/metrics").await;
    let counted = r#"cairn_time_to_live_deleted_items_total{account="local",table="users"} 3"#;
    assert!(metrics.contains(counted), "{metrics}");
}
