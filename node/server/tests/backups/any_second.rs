//! An hour of a busy table, compressed in time: any moment of it comes back as the client's own record has it, though the
//! node and the S3 server are killed in between, while the table is written and while it is restored.

use super::{Items, Record, active, items, now_ms, put, recovery, restorable, seconds, support::s3, write};
use crate::support::{Caller, Dev};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::json;
use std::{path::Path, time::Duration};

const MOMENTS: usize = 50;
/// Parts of the history; a fault follows each.
const PARTS: usize = 8;
const WRITES: usize = 150;
/// For how long the S3 server is away, in milliseconds.
const OUTAGE: std::ops::Range<u64> = 200..2_500;
/// A restore that is cut short leaves no table, and is asked for again.
const ATTEMPTS_MAX: usize = 10;

fn start(data: &Path, endpoint: &str) -> (Dev, Caller) {
    let archive = ["--archive", "s3://backups/cairn", "--archive-endpoint", endpoint, "--archive-region", "any"];
    let keys = ["--archive-access-key-id", "key", "--archive-secret-access-key", "secret"];
    let dev = Dev::start_with(data, &[&archive[..], &keys[..]].concat());
    let caller = Caller::new(&dev.endpoint);
    (dev, caller)
}

/// Begins a restore. While the S3 server is away, or was not read yet since the start, clients are told to try again.
async fn begin(caller: &Caller, target: &str, at_ms: u64) {
    for _ in 0..100 {
        let body = json!({"SourceTableName": "users", "TargetTableName": target, "RestoreDateTime": seconds(at_ms)});
        match caller.call("RestoreTableToPointInTime", body).await.unwrap() {
            (200, _) => return,
            (500.., _) => tokio::time::sleep(Duration::from_millis(100)).await,
            (_, answer) if answer["__type"].as_str().unwrap().ends_with("PointInTimeRecoveryUnavailableException") => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            (status, answer) => panic!("{status}: {answer}"),
        }
    }
    panic!("no restore of {at_ms} began");
}

/// Whether it became a table; none was left where not.
async fn ended(caller: &Caller, target: &str) -> bool {
    for _ in 0..1_000 {
        let (status, described) = caller.call("DescribeTable", json!({"TableName": target})).await.unwrap();
        match (status, described["Table"]["TableStatus"].as_str()) {
            (200, Some("ACTIVE")) => return true,
            (400, _) => return false,
            _ => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
    panic!("the restore into {target} does not end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_random_moments_of_a_busy_history_come_back_whoever_is_killed() {
    let seed = std::env::var("CAIRN_SEED").map_or_else(|_| now_ms(), |seed| seed.parse().unwrap());
    println!("CAIRN_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let (_bucket, endpoint, switch) = s3::serve_while_up().await;
    let data = tempfile::tempdir().unwrap();
    let (mut dev, mut caller) = start(data.path(), &endpoint);
    caller.create_table("users").await;
    put(&caller, "users", "item-0", "from before").await;
    recovery(&caller, "users", true).await;
    let mut record =
        Record { writes: vec![(0, now_ms(), Items::from([("item-0".to_owned(), "from before".to_owned())]))] };
    restorable(&caller, "users", now_ms()).await;
    for part in 0..PARTS {
        // Half of the parts are written while the S3 server is away.
        let outage = (part % 2 == 1).then(|| Duration::from_millis(random.random_range(OUTAGE)));
        if let Some(outage) = outage {
            switch.send_replace(false);
            let switch = switch.clone();
            tokio::spawn(async move {
                tokio::time::sleep(outage).await;
                switch.send_replace(true);
            });
        }
        write(&caller, &mut record, &mut random, WRITES).await;
        if part % 2 == 0 || random.random_bool(0.5) {
            dev.kill();
            // It opens its archive before it serves.
            switch.send_replace(true);
            (dev, caller) = start(data.path(), &endpoint);
            active(&caller, "users").await;
        }
    }
    switch.send_replace(true);
    restorable(&caller, "users", record.writes.last().unwrap().1 + 1).await;
    let earliest = record.writes[1].0;
    let certain: Vec<_> = record.certain_times().into_iter().filter(|(at_ms, _)| *at_ms >= earliest).collect();
    let mut interrupted = 0;
    for n in 0..MOMENTS {
        let (at_ms, expected) = certain[random.random_range(0..certain.len())];
        let target = format!("restored-{n}");
        let mut attempts = 0;
        loop {
            attempts += 1;
            assert!(attempts <= ATTEMPTS_MAX, "the restore to {at_ms} never ends well, seed {seed}");
            begin(&caller, &target, at_ms).await;
            match (attempts, n % 5) {
                (1, 1) => {
                    tokio::time::sleep(Duration::from_millis(random.random_range(0..20))).await;
                    dev.kill();
                    (dev, caller) = start(data.path(), &endpoint);
                }
                (1, 3) => {
                    switch.send_replace(false);
                    tokio::time::sleep(Duration::from_millis(random.random_range(OUTAGE) / 5)).await;
                    switch.send_replace(true);
                }
                _ => {}
            }
            if ended(&caller, &target).await {
                break;
            }
            interrupted += 1;
        }
        assert_eq!(items(&caller, &target).await, *expected, "at {at_ms}, seed {seed}");
        caller.ok("DeleteTable", json!({"TableName": target})).await;
    }
    println!("{} writes, {interrupted} restores cut short", record.writes.len());
}
