//! Writers and a reader that remember what they were promised.

use crate::client::{Dynamo, now};
use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

const WRITERS: usize = 24;
const PATIENCE: Duration = Duration::from_secs(60);

/// When operations of one kind succeeded last, and the longest time in which none did.
#[derive(Debug)]
pub(crate) struct Progress {
    last: Mutex<(Instant, Duration)>,
    pub(crate) count: AtomicU64,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { last: Mutex::new((now(), Duration::ZERO)), count: AtomicU64::new(0) }
    }

    pub(crate) fn success(&self) {
        let time = now();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.1 = last.1.max(time - last.0);
        last.0 = time;
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn longest_pause(&self) -> Duration {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.1.max(now() - last.0)
    }
}

/// A load under way on one table whose key is the string `Id`.
#[derive(Debug)]
pub(crate) struct Load {
    shared: Arc<Shared>,
    tasks: JoinSet<Result<()>>,
}

#[derive(Debug)]
struct Shared {
    client: Dynamo,
    table: String,
    run: String,
    stop: AtomicBool,
    acknowledged: Mutex<BTreeSet<String>>,
    writes: Progress,
    reads: Progress,
}

/// What a load did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) writes: u64,
    pub(crate) reads: u64,
    pub(crate) longest_pause_of_writes: Duration,
    pub(crate) longest_pause_of_reads: Duration,
}

impl Load {
    /// `run` tells the keys of this load from those of others on the same table.
    pub(crate) fn start(client: &Dynamo, table: &str, run: &str) -> Self {
        let shared = Arc::new(Shared {
            client: client.clone(),
            table: table.to_owned(),
            run: run.to_owned(),
            stop: AtomicBool::new(false),
            acknowledged: Mutex::default(),
            writes: Progress::new(),
            reads: Progress::new(),
        });
        let mut tasks = JoinSet::new();
        for writer in 0..WRITERS {
            tasks.spawn(shared.clone().write(writer));
        }
        tasks.spawn(shared.clone().read());
        Self { shared, tasks }
    }

    /// Waits until that many writes are acknowledged.
    pub(crate) async fn reach(&self, writes: u64) -> Result<()> {
        let deadline = now() + Duration::from_secs(300);
        while self.writes() < writes {
            ensure!(now() < deadline, "only {} of {writes} writes were acknowledged in 5 minutes", self.writes());
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    pub(crate) fn writes(&self) -> u64 {
        self.shared.writes.count.load(Ordering::Relaxed)
    }

    /// Ends the load and reads back, strongly consistent, everything that was acknowledged.
    pub(crate) async fn end(mut self) -> Result<Outcome> {
        self.shared.stop.store(true, Ordering::Relaxed);
        let outcome = Outcome {
            writes: self.writes(),
            reads: self.shared.reads.count.load(Ordering::Relaxed),
            longest_pause_of_writes: self.shared.writes.longest_pause(),
            longest_pause_of_reads: self.shared.reads.longest_pause(),
        };
        while let Some(task) = self.tasks.join_next().await {
            task??;
        }
        self.shared.verify().await?;
        Ok(outcome)
    }

    /// Reads everything back again, later.
    pub(crate) fn witness(&self) -> Witness {
        Witness(self.shared.clone())
    }
}

/// Remembers what a load was promised, beyond its end.
#[derive(Clone, Debug)]
pub(crate) struct Witness(Arc<Shared>);

impl Witness {
    pub(crate) async fn verify(&self, client: &Dynamo) -> Result<usize> {
        let keys = self.0.keys();
        missing(client, &self.0.table, &keys).await
    }
}

impl Shared {
    fn keys(&self) -> Vec<String> {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    async fn write(self: Arc<Self>, writer: usize) -> Result<()> {
        for number in 0_u64.. {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            let key = format!("{}-{writer}-{number}", self.run);
            let item =
                json!({"Id": {"S": key}, "Writer": {"N": writer.to_string()}, "Payload": {"S": "x".repeat(100)}});
            let body = json!({"TableName": self.table, "Item": item});
            self.client.insist("PutItem", &body, PATIENCE).await?.ok()?;
            self.writes.success();
            self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
        }
        Ok(())
    }

    /// Reads keys that were acknowledged before, and fails at once if one is not there.
    async fn read(self: Arc<Self>) -> Result<()> {
        while !self.stop.load(Ordering::Relaxed) {
            let key = self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).last().cloned();
            let Some(key) = key else {
                sleep(Duration::from_millis(5)).await;
                continue;
            };
            let body = json!({"TableName": self.table, "Key": {"Id": {"S": key}}, "ConsistentRead": true});
            let answer = self.client.insist("GetItem", &body, PATIENCE).await?.ok()?;
            ensure!(answer["Item"]["Id"]["S"] == *key, "the acknowledged write of {key} can't be read: {answer}");
            self.reads.success();
        }
        Ok(())
    }

    async fn verify(&self) -> Result<()> {
        missing(&self.client, &self.table, &self.keys()).await.map(drop)
    }
}

/// An error that names keys that can't be read; otherwise how many were.
async fn missing(client: &Dynamo, table: &str, keys: &[String]) -> Result<usize> {
    let mut found = BTreeSet::new();
    for chunk in keys.chunks(100) {
        let mut wanted: Value = chunk.iter().map(|key| json!({"Id": {"S": key}})).collect();
        while wanted.as_array().is_some_and(|keys| !keys.is_empty()) {
            let body = json!({"RequestItems": {table: {"Keys": wanted, "ConsistentRead": true, "ProjectionExpression": "Id"}}});
            let mut answer = client.insist("BatchGetItem", &body, PATIENCE).await?.ok()?;
            for item in answer["Responses"][table].as_array().into_iter().flatten() {
                found.extend(item["Id"]["S"].as_str().map(str::to_owned));
            }
            wanted = answer["UnprocessedKeys"][table]["Keys"].take();
        }
    }
    let lost: Vec<&String> = keys.iter().filter(|key| !found.contains(*key)).collect();
    if !lost.is_empty() {
        bail!(
            "{} of {} acknowledged writes are missing, such as {:?}",
            lost.len(),
            keys.len(),
            &lost[..lost.len().min(5)]
        );
    }
    Ok(keys.len())
}
