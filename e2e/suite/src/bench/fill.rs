//! The benchmarks' tables and what is in them.

use super::{PATIENCE, servers::Server};
use crate::client::{Dynamo, now};
use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use std::time::Duration;

const BATCH: usize = 25;
const WRITERS: usize = 16;

pub(super) fn key(number: usize) -> Value {
    json!({"Id": {"S": format!("item-{number:08}")}})
}

pub(super) fn item(number: usize) -> Value {
    let mut item = json!({"Name": {"S": "Ada Lovelace"}, "Score": {"N": "1815.1210"},
        "Tags": {"SS": ["analytical", "engine"]}, "Payload": {"S": "x".repeat(200)}});
    item["Id"] = key(number)["Id"].take();
    item
}

/// A table with the partition key `Id` of type S, and the sort key of type N if one is named; ACTIVE when this returns.
pub(super) async fn create_table(server: &Server, name: &str, sort_key: Option<&str>) -> Result<()> {
    let mut attributes = vec![json!({"AttributeName": "Id", "AttributeType": "S"})];
    let mut keys = vec![json!({"AttributeName": "Id", "KeyType": "HASH"})];
    if let Some(name) = sort_key {
        attributes.push(json!({"AttributeName": name, "AttributeType": "N"}));
        keys.push(json!({"AttributeName": name, "KeyType": "RANGE"}));
    }
    let table = json!({"TableName": name, "BillingMode": "PAY_PER_REQUEST", "AttributeDefinitions": attributes,
        "KeySchema": keys});
    server.client().insist("CreateTable", &table, PATIENCE).await?.ok()?;
    wait_active(server, name).await
}

/// Whether there is a table of that name with so many items: one from an earlier time.
pub(super) async fn is_filled(server: &Server, table: &str, items: usize) -> Result<bool> {
    let tables = server.client().insist("ListTables", &json!({}), PATIENCE).await?.ok()?;
    if !tables["TableNames"].as_array().is_some_and(|names| names.iter().any(|name| name == table)) {
        return Ok(false);
    }
    wait_active(server, table).await?;
    let description = server.client().call("DescribeTable", &json!({"TableName": table})).await?.ok()?;
    let count = &description["Table"]["ItemCount"];
    ensure!(*count == items, "{table} was not filled to its end ({count} items): give an empty folder");
    Ok(true)
}

pub(super) async fn wait_active(server: &Server, table: &str) -> Result<()> {
    let client = server.client();
    let deadline = now() + PATIENCE;
    loop {
        let answer = client.call("DescribeTable", &json!({"TableName": table})).await?.ok()?;
        if answer["Table"]["TableStatus"] == "ACTIVE" {
            return Ok(());
        }
        ensure!(now() < deadline, "{table} is not ACTIVE: {answer}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A BatchWriteItem of these.
pub(super) fn batch(table: &str, items: impl Iterator<Item = Value>) -> Value {
    let puts: Vec<Value> = items.map(|item| json!({"PutRequest": {"Item": item}})).collect();
    json!({"RequestItems": {table: puts}})
}

/// Writes them all, in no order; gives the longest that a batch took until all of it was written.
pub(super) async fn fill(server: &Server, table: &str, items: impl Iterator<Item = Value>) -> Result<Duration> {
    let client = server.client();
    stream::iter(items)
        .chunks(BATCH)
        .map(|items| write(client.clone(), batch(table, items.into_iter())))
        .buffer_unordered(WRITERS)
        .try_fold(Duration::ZERO, |longest, took| async move { Ok(longest.max(took)) })
        .await
        .with_context(|| format!("failed to fill {table} of {}", server.name))
}

async fn write(client: Dynamo, mut batch: Value) -> Result<Duration> {
    let start = now();
    let deadline = start + PATIENCE;
    loop {
        let left = client.insist("BatchWriteItem", &batch, PATIENCE).await?.ok()?["UnprocessedItems"].take();
        if left.as_object().is_none_or(|left| left.is_empty()) {
            return Ok(start.elapsed());
        }
        ensure!(now() < deadline, "some items are unprocessed again and again");
        batch["RequestItems"] = left;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
