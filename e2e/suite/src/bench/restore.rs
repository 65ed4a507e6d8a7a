//! A restore of a gigabyte beside writing a gigabyte to the same disk sequentially, in turns: a figure, not a test, for it
//! depends on the disk. A restore keeps processors busy for some 1.3 s a gigabyte, and for up to 2 s where the kernel has to
//! find pages first: two cores make some 1.5 GB/s of it at most, and a cache in memory that writes faster than twice that
//! leaves it behind. The items are of characters without a pattern, which would be packed by less than a fifth and so are not.

use super::{
    PATIENCE,
    fill::{create_table, wait_active},
    keep, median, noise, processor,
    servers::Server,
};
use crate::client::now;
use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::json;
use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    time::Duration,
};
use tokio::time::sleep;

const SHARE_WANTED: f64 = 0.50;
const ROUNDS: usize = 3;
const ITEMS: usize = 3_072;
const ITEM_BYTES: usize = 341 << 10;
const WRITERS: usize = 8;
const SOURCE: &str = "gigabyte";

pub(super) async fn run(server: &Server) -> Result<()> {
    let megabytes = (ITEMS * ITEM_BYTES) as f64 / 1e6;
    println!("\nrestore of {megabytes:.0} MB from a backup, {ROUNDS} rounds in turn with writing as much sequentially");
    let data = server.folder().context("the server keeps no data")?.to_owned();
    let arn = prepare(server).await?;
    let (mut restores, mut writes) = (Series::default(), Series::default());
    for round in 1..=ROUNDS {
        settle().await?;
        let file = data.join("sequential");
        let write = tokio::task::spawn_blocking(move || write_sequentially(&file)).await??;
        settle().await?;
        let restore = restore(server, &arn, &format!("restored-{round}")).await?;
        for (what, cost, series) in [("sequential write", write, &mut writes), ("restore", restore, &mut restores)] {
            let rate = megabytes / cost.took.as_secs_f64();
            let processor = cost.processor_seconds / (megabytes / 1e3);
            println!("  round {round}: {what:<24} {rate:>9.0} MB/s {processor:>7.2} s of processor a GB");
            series.rates.push(rate);
            series.processor.push(processor);
        }
    }
    let names = ["cairn dev --archive", "a sequential write"];
    let share = keep("restore", names, "megabytesPerSecond", [&restores.rates, &writes.rates], SHARE_WANTED)?;
    println!("  a restore is {:.0} % as fast; {:.0} % wanted", share * 100.0, SHARE_WANTED * 100.0);
    let (restore, write) = (median(&restores.processor), median(&writes.processor));
    println!("  a GB costs {restore:.2} s of processor; written sequentially, {write:.2} s");
    Ok(())
}

/// What one of the two took.
struct Cost {
    took: Duration,
    processor_seconds: f64,
}

#[derive(Default)]
struct Series {
    rates: Vec<f64>,
    /// Seconds a gigabyte.
    processor: Vec<f64>,
}

/// Fills a table with what hardly any compression makes smaller, and backs it up; answers with the backup's ARN.
async fn prepare(server: &Server) -> Result<String> {
    let client = server.client();
    create_table(server, SOURCE, None).await?;
    stream::iter(0..ITEMS)
        .map(|number| {
            let client = client.clone();
            async move {
                let payload = noise(number as u64 + 1, ITEM_BYTES);
                let item = json!({"Id": {"S": number.to_string()}, "Payload": {"S": payload}});
                client.insist("PutItem", &json!({"TableName": SOURCE, "Item": item}), PATIENCE).await?.ok()
            }
        })
        .buffer_unordered(WRITERS)
        .try_for_each(|_| async { Ok(()) })
        .await?;
    let created = client.call("CreateBackup", &json!({"TableName": SOURCE, "BackupName": "whole"})).await?.ok()?;
    let arn = created["BackupDetails"]["BackupArn"].as_str().context("no ARN")?.to_owned();
    let deadline = now() + PATIENCE;
    loop {
        let described = client.call("DescribeBackup", &json!({"BackupArn": arn})).await?.ok()?;
        if described["BackupDescription"]["BackupDetails"]["BackupStatus"] == "AVAILABLE" {
            return Ok(arn);
        }
        ensure!(now() < deadline, "the backup is not AVAILABLE: {described}");
        sleep(Duration::from_millis(50)).await;
    }
}

async fn restore(server: &Server, arn: &str, target: &str) -> Result<Cost> {
    let client = server.client();
    let (start, processor) = (now(), server.processor_seconds()?);
    client.call("RestoreTableFromBackup", &json!({"BackupArn": arn, "TargetTableName": target})).await?.ok()?;
    wait_active(server, target).await?;
    let cost = Cost { took: start.elapsed(), processor_seconds: server.processor_seconds()? - processor };
    let last = json!({"TableName": target, "Key": {"Id": {"S": (ITEMS - 1).to_string()}}});
    ensure!(client.call("GetItem", &last).await?.ok()?["Item"]["Payload"].is_object(), "{target} is not whole");
    client.call("DeleteTable", &json!({"TableName": target})).await?.ok()?;
    Ok(cost)
}

fn write_sequentially(path: &Path) -> Result<Cost> {
    let block = noise(7, 1 << 20);
    let (start, processor) = (now(), processor::seconds_of_this_thread()?);
    let mut file = File::create(path)?;
    for _ in 0..(ITEMS * ITEM_BYTES) >> 20 {
        file.write_all(block.as_bytes())?;
    }
    file.sync_all()?;
    let cost = Cost { took: start.elapsed(), processor_seconds: processor::seconds_of_this_thread()? - processor };
    fs::remove_file(path)?;
    Ok(cost)
}

/// Has the kernel write down what came before, so that nobody pays for another.
async fn settle() -> Result<()> {
    tokio::process::Command::new("sync").status().await?;
    sleep(Duration::from_secs(2)).await;
    Ok(())
}
