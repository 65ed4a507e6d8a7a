//! A table with data gets a second region while it is written to, and both take writes from then on.

use super::{NO_SECOND, PATIENCE, both, global_table, latency, table, wait_described};
use crate::{
    client::{Dynamo, now},
    contest::Contest,
    harness::{NAMESPACE, Verdict, World},
    kube,
    lag::Lags,
    region::Region,
    scenarios::tables,
};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::{task::JoinSet, time::sleep};

const NAME: &str = "worldwide";
const ITEMS: usize = 20_000;
const BATCH: usize = 25;
const BATCHES_AT_ONCE: usize = 8;
/// Writes a second while the copy runs, and after it in east.
const DURING_COPY: u32 = 300;
const IN_EAST: u32 = 1_000;
const IN_WEST: u32 = 100;
/// From a write in one region until it can be read in the other, for 99 of 100.
const LAG_MAX: Duration = Duration::from_secs(1);

async fn fill(client: &Dynamo) -> Result<()> {
    let mut tasks = JoinSet::new();
    for first in 0..BATCHES_AT_ONCE {
        let client = client.clone();
        tasks.spawn(async move {
            for batch in (first..ITEMS / BATCH).step_by(BATCHES_AT_ONCE) {
                let put = |n: usize| json!({"PutRequest": {"Item": {"Id": {"S": format!("old-{n}")}, "Payload": {"S": "x".repeat(100)}}}});
                let mut puts: Value = (batch * BATCH..(batch + 1) * BATCH).map(put).collect();
                while puts.as_array().is_some_and(|puts| !puts.is_empty()) {
                    let body = json!({"RequestItems": {NAME: puts}});
                    let mut answer = client.insist("BatchWriteItem", &body, PATIENCE).await?.ok()?;
                    puts = answer["UnprocessedItems"][NAME].take();
                }
            }
            anyhow::Ok(())
        });
    }
    while let Some(task) = tasks.join_next().await {
        task??;
    }
    Ok(())
}

pub(crate) async fn a_table_has_a_second_region(world: &mut World) -> Result<Verdict> {
    let start = now();
    let Some(mut pair) = both(world)? else { return Ok(Verdict::Skipped(NO_SECOND)) };
    let up = start.elapsed();
    let (east, west) = pair.clients()?;
    pair.east.cluster.apply(&[], &table(NAME))?;
    tables::wait_exists(&east, NAME).await?;
    fill(&east).await?;

    // Declared while the table is written to.
    let mut contest = Contest::on(NAME, "meanwhile");
    contest.enter("east", &east, DURING_COPY);
    pair.west.cluster.apply(&[], &table(NAME))?;
    tables::wait_exists(&west, NAME).await?;
    for (region, other) in pair.sides() {
        region.cluster.apply(&[], &global_table(NAME, other, ""))?;
    }
    let copied = pair.wait_active(NAME)?;
    let there = west.scan(NAME, PATIENCE).await?.keys().filter(|key| key.starts_with("old-")).count();
    ensure!(there == ITEMS, "west is ACTIVE with {there} of the {ITEMS} items that were there before");
    let meanwhile = contest.end().await?;

    // Both take writes: east as many as the promise is for.
    let mut contest = Contest::on(NAME, "both");
    contest.enter("east", &east, IN_EAST);
    contest.enter("west", &west, IN_WEST);
    sleep(Duration::from_secs(2)).await;
    let before = latency::read(pair.west, NAME)?;
    let lags = Lags::measure((&east, &west), NAME, 200, Duration::from_millis(60)).await?;
    let metric = latency::read(pair.west, NAME)?.since(&before).quantile(0.99)?;
    let both = contest.end().await?;
    let (items, settled) = pair.wait_equal(NAME).await?;
    meanwhile.verify(&items)?;
    let won = both.verify(&items)?;
    let writes: u64 = meanwhile.efforts.iter().chain(&both.efforts).map(|effort| effort.writes).sum();
    ensure!(meanwhile.unanswered() + both.unanswered() == 0, "some of {writes} writes were never answered");
    let rate = both.effort("east").context("nobody wrote in east")?.per_second;
    ensure!(rate > f64::from(IN_EAST) * 0.9, "only {rate:.0} writes/s of {IN_EAST} came through");
    let p99 = lags.percentile(99);
    ensure!(p99 < LAG_MAX, "a write took {p99:?} to the other region at p99");
    ensure!(metric < LAG_MAX, "{} tells {metric:?} at p99", latency::METRIC);
    told(pair.east, pair.west.name())?;
    told(pair.west, pair.east.name())?;
    pair.forget(NAME)?;
    Ok(Verdict::Passed(format!(
        "west up after {:.0} s; {ITEMS} items there after {copied:.1?} under writes; {rate:.0} writes/s: latency p50 {:.0?}, p99 {p99:.0?}, by the metric {metric:.0?}; equal {settled:.1?} after the last of {writes} writes; east won {} keys, west {}",
        up.as_secs_f64(),
        lags.percentile(50),
        won.get("east").unwrap_or(&0),
        won.get("west").unwrap_or(&0),
    )))
}

/// kubectl and the AWS CLI say how the other region stands.
fn told(region: &mut Region, other: &str) -> Result<()> {
    let listed = region.cluster.kubectl(&["get", "globaltables", "-n", NAMESPACE])?;
    ensure!(listed.contains(NAME) && listed.contains(&format!("{other} ACTIVE")), "kubectl lists {listed}");
    wait_described(region, NAME, other, "ACTIVE")?;
    let script = format!(
        "import boto3\nfor replica in boto3.client('dynamodb').describe_table(TableName='{NAME}')['Table']['Replicas']: print(replica['RegionName'], replica['ReplicaStatus'])"
    );
    let printed = kube::output(region.python("python")?.args(["-c", &script]))?;
    ensure!(printed.lines().any(|line| line == format!("{other} ACTIVE")), "boto3 says {printed}");
    Ok(())
}
