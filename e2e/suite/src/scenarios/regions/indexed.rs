//! A table with indexes of both kinds, a stream and items that expire has a second region: an index is added in one while both
//! write, and in the end each region's indexes and stream say just what its items say.

use super::{NO_SECOND, PATIENCE, both, global_table};
use crate::{
    client::{Dynamo, now},
    harness::{NAMESPACE, Verdict, World},
    kube,
    region::Region,
    scenarios::tables,
};
use anyhow::{Result, ensure};
use serde_json::json;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{task::JoinSet, time::sleep};

const NAME: &str = "worldwide-indexed";
const WRITERS: u64 = 8;
/// Of each writer, the same in both regions.
const KEYS: u64 = 60;
/// Of every so many writes of a writer, one deletes, and one puts what has expired already.
const DELETE_EVERY: u64 = 7;
const EXPIRE_EVERY: u64 = 11;
const PAUSE: Duration = Duration::from_millis(20);
const BEFORE: Duration = Duration::from_secs(4);
const AFTER: Duration = Duration::from_secs(2);
const SAY: &str = include_str!("indexed_region.py");

/// With the index of both regions, and another one where it is given; `more` are further lines of its spec.
fn manifest(added: bool, more: &str) -> String {
    let attribute = |name: &str, of_type: &str| format!("{{attributeName: {name}, attributeType: '{of_type}'}}");
    let mut attributes =
        vec![attribute("Id", "S"), attribute("At", "N"), attribute("Team", "S"), attribute("Rank", "N")];
    let mut indexes = vec![
        "{indexName: by-team, keySchema: [{attributeName: Team, keyType: HASH}, {attributeName: Rank, keyType: RANGE}], projection: {projectionType: ALL}}",
    ];
    if added {
        attributes.push(attribute("Region", "S"));
        indexes.push("{indexName: by-region, keySchema: [{attributeName: Region, keyType: HASH}], projection: {projectionType: KEYS_ONLY}}");
    }
    format!(
        "apiVersion: cairn.dev/v1alpha1
kind: Table
metadata: {{name: {NAME}, namespace: {NAMESPACE}}}
spec:
  attributeDefinitions: [{}]
  keySchema: [{{attributeName: Id, keyType: HASH}}, {{attributeName: At, keyType: RANGE}}]
  billingMode: PAY_PER_REQUEST
  globalSecondaryIndexes: [{}]
  localSecondaryIndexes: [{{indexName: by-rank, keySchema: [{{attributeName: Id, keyType: HASH}}, {{attributeName: Rank, keyType: RANGE}}], projection: {{projectionType: ALL}}}}]
  streamSpecification: {{streamEnabled: true, streamViewType: NEW_AND_OLD_IMAGES}}
{more}",
        attributes.join(", "),
        indexes.join(", ")
    )
}

/// Puts and deletes until it is stopped; gives how often.
async fn write(client: Dynamo, region: &'static str, writer: u64, stop: Arc<AtomicBool>) -> Result<u64> {
    let ended = (crate::history::clock().as_second() - 3_600).to_string();
    for number in 0_u64.. {
        if stop.load(Ordering::Relaxed) {
            return Ok(number);
        }
        let id = format!("item-{writer}-{}", number % KEYS);
        let key = json!({"Id": {"S": id}, "At": {"N": "0"}});
        if number % DELETE_EVERY == DELETE_EVERY - 1 {
            client.insist("DeleteItem", &json!({"TableName": NAME, "Key": key}), PATIENCE).await?.ok()?;
        } else {
            let mut item = key;
            item["Region"] = json!({"S": region});
            item["Rank"] = json!({"N": (number % 5).to_string()});
            if !number.is_multiple_of(4) {
                item["Team"] = json!({"S": format!("team-{}", number % 3)});
            }
            if number % EXPIRE_EVERY == EXPIRE_EVERY - 1 {
                item["ends"] = json!({"N": ended});
            }
            client.insist("PutItem", &json!({"TableName": NAME, "Item": item}), PATIENCE).await?.ok()?;
        }
        sleep(PAUSE).await;
    }
    Ok(0)
}

fn index_status(region: &Region, name: &str) -> Result<Option<String>> {
    let table = region.cluster.get(&["tables.cairn.dev", NAME, "-n", NAMESPACE])?;
    let indexes = table["status"]["globalSecondaryIndexes"].as_array().cloned().unwrap_or_default();
    let index = indexes.iter().find(|index| index["indexName"] == name);
    Ok(index.and_then(|index| index["indexStatus"].as_str()).map(str::to_owned))
}

pub(crate) async fn indexes_and_streams_are_right_in_a_second_region(world: &mut World) -> Result<Verdict> {
    let Some(mut pair) = both(world)? else { return Ok(Verdict::Skipped(NO_SECOND)) };
    // Items expire in west, and what expires there is gone in east.
    let more = |region: &Region| {
        if region.name() == "west" { "  timeToLive: {attributeName: ends, enabled: true}\n" } else { "" }
    };
    for (region, other) in pair.sides() {
        let table = manifest(false, more(region));
        region.cluster.apply(&[], &format!("{table}---\n{}", global_table(NAME, other, "")))?;
    }
    let (east, west) = pair.clients()?;
    tables::wait_exists(&east, NAME).await?;
    tables::wait_exists(&west, NAME).await?;
    pair.wait_active(NAME)?;

    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = JoinSet::new();
    for (client, region) in [(&east, "east"), (&west, "west")] {
        for writer in 0..WRITERS {
            writers.spawn(write(client.clone(), region, writer, stop.clone()));
        }
    }
    sleep(BEFORE).await;
    pair.east.cluster.apply(&[], &manifest(true, more(pair.east)))?;
    let start = now();
    kube::wait("the index is ACTIVE in east", 2 * PATIENCE, || {
        Ok(index_status(pair.east, "by-region")?.as_deref() == Some("ACTIVE"))
    })?;
    let filled = start.elapsed();
    sleep(AFTER).await;
    stop.store(true, Ordering::Relaxed);
    let mut writes = 0;
    while let Some(writer) = writers.join_next().await {
        writes += writer??;
    }
    pair.wait_equal(NAME).await?;
    ensure!(index_status(pair.west, "by-region")?.is_none(), "west has an index that was added in east");

    // What is expired goes in west first, so that both have the same items when they are compared.
    let of_west = said(pair.west, "expires", &["by-team", "by-rank"])?;
    pair.wait_equal(NAME).await?;
    let of_east = said(pair.east, "stays", &["by-team", "by-rank", "by-region"])?;
    pair.forget(NAME)?;
    Ok(Verdict::Passed(format!(
        "{writes} writes in both; ACTIVE after {:.1} s under them; items and keys told of: east {of_east}, west {of_west}",
        filled.as_secs_f64()
    )))
}

/// What a region's indexes and stream say, once they say what its items say.
fn said(region: &mut Region, expires: &str, indexes: &[&str]) -> Result<String> {
    let said = kube::output(region.python("python")?.args(["-c", SAY, NAME, expires]).args(indexes))?;
    Ok(said.trim().to_owned())
}
