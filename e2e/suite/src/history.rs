//! A busy table's history as its clients know it: what each key held, and between which moments it came to hold it.

use crate::client::{Dynamo, now};
use anyhow::{Result, ensure};
use serde_json::json;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

const WRITERS: usize = 8;
const KEYS_PER_WRITER: u64 = 25;
/// Of every so many writes of a writer, one deletes.
const DELETE_EVERY: u64 = 7;
const PAUSE: Duration = Duration::from_millis(3);
const PATIENCE: Duration = Duration::from_secs(60);

/// One acknowledged write; times are microseconds since the Unix epoch, by this machine's clock, which the nodes share.
#[derive(Clone, Copy, Debug)]
struct Step {
    /// None: the item was deleted.
    value: Option<u64>,
    began: i64,
    acknowledged: i64,
}

#[derive(Debug, Default)]
struct Record {
    steps: BTreeMap<String, Vec<Step>>,
    writes: u64,
    last: Option<Instant>,
    longest_pause: Duration,
}

/// Writers at work on one table whose key is the string `Id`, no two of them on one key.
#[derive(Debug)]
pub(crate) struct Writing {
    record: Arc<Mutex<Record>>,
    stop: Arc<AtomicBool>,
    tasks: JoinSet<Result<()>>,
}

/// What they wrote.
#[derive(Debug)]
pub(crate) struct History(Record);

pub(crate) fn clock() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

impl Writing {
    pub(crate) fn start(client: &Dynamo, table: &str) -> Self {
        let (record, stop) = (Arc::new(Mutex::new(Record::default())), Arc::new(AtomicBool::new(false)));
        let mut tasks = JoinSet::new();
        for writer in 0..WRITERS {
            tasks.spawn(write(writer, client.clone(), table.to_owned(), record.clone(), stop.clone()));
        }
        Self { record, stop, tasks }
    }

    pub(crate) async fn end(mut self) -> Result<History> {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(task) = self.tasks.join_next().await {
            task??;
        }
        Ok(History(std::mem::take(&mut *self.record.lock().unwrap_or_else(PoisonError::into_inner))))
    }
}

async fn write(
    writer: usize,
    client: Dynamo,
    table: String,
    record: Arc<Mutex<Record>>,
    stop: Arc<AtomicBool>,
) -> Result<()> {
    for number in 0_u64.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let key = format!("{writer}-{}", number % KEYS_PER_WRITER);
        let value = (number % DELETE_EVERY != DELETE_EVERY - 1).then_some(number);
        let began = clock().as_microsecond();
        let answer = match value {
            Some(value) => {
                let item =
                    json!({"Id": {"S": key}, "Value": {"N": value.to_string()}, "Payload": {"S": "x".repeat(200)}});
                client.insist("PutItem", &json!({"TableName": table, "Item": item}), PATIENCE).await?
            }
            None => {
                let body = json!({"TableName": table, "Key": {"Id": {"S": key}}});
                client.insist("DeleteItem", &body, PATIENCE).await?
            }
        };
        answer.ok()?;
        let step = Step { value, began, acknowledged: clock().as_microsecond() };
        record.lock().unwrap_or_else(PoisonError::into_inner).add(key, step);
        sleep(PAUSE).await;
    }
    Ok(())
}

impl Record {
    fn add(&mut self, key: String, step: Step) {
        let time = now();
        if let Some(last) = self.last.replace(time) {
            self.longest_pause = self.longest_pause.max(time - last);
        }
        self.writes += 1;
        self.steps.entry(key).or_default().push(step);
    }
}

impl History {
    pub(crate) fn writes(&self) -> u64 {
        self.0.writes
    }

    pub(crate) fn longest_pause(&self) -> Duration {
        self.0.longest_pause
    }

    /// Milliseconds since the Unix epoch: when the first write was acknowledged, and the last.
    pub(crate) fn span(&self) -> (i64, i64) {
        let acknowledged = || self.0.steps.values().flatten().map(|step| step.acknowledged / 1_000);
        (acknowledged().min().unwrap_or_default(), acknowledged().max().unwrap_or_default() + 1)
    }

    /// Checks that a table holds what the history's had at the end of that millisecond: for each key what the last write
    /// left that was acknowledged by then, or a later one that had begun.
    pub(crate) async fn verify(&self, client: &Dynamo, table: &str, at_ms: i64) -> Result<()> {
        let mut found = client.scan(table, PATIENCE).await?;
        let end = (at_ms + 1) * 1_000;
        for (key, steps) in &self.0.steps {
            let held = found.remove(key).and_then(|item| item["Value"]["N"].as_str()?.parse().ok());
            let settled = steps.iter().rposition(|step| step.acknowledged < end - 1_000);
            let begun = steps.iter().rposition(|step| step.began < end);
            let possible: Vec<Option<u64>> = match (settled, begun) {
                (Some(settled), Some(begun)) => steps[settled..=begun].iter().map(|step| step.value).collect(),
                (None, Some(begun)) => {
                    std::iter::once(None).chain(steps[..=begun].iter().map(|step| step.value)).collect()
                }
                (_, None) => vec![None],
            };
            ensure!(
                possible.contains(&held),
                "at {at_ms} the item {key} held one of {possible:?}, but {table} has {held:?}"
            );
        }
        ensure!(found.is_empty(), "{table} has items nobody wrote: {:?}", found.keys().take(5).collect::<Vec<_>>());
        Ok(())
    }
}
