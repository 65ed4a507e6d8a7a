//! Writers in several regions on the same keys of one table, and what may be left in the end: the last writer wins.
//!
//! Each write has a value of its own and a window, from before its first attempt until after its answer. The time by which
//! it wins or loses lies in that window; the clocks are one machine's. So whoever won may not have been answered before
//! another acknowledged write of the key began. In each region no two writers have a key in common: there its writes do
//! not overlap, and an older one can't hide behind a newer.

use crate::{
    client::{Dynamo, now},
    history::clock,
    load::Progress,
};
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{Instant, interval, sleep},
};

/// In each region.
const WRITERS: u32 = 32;
const KEYS_PER_WRITER: u64 = 8;
/// Of every so many writes of a writer, one deletes.
const DELETE_EVERY: u64 = 9;
/// Past it nobody knows what became of a write.
const PATIENCE: Duration = Duration::from_secs(60);
/// Entries are stamped in milliseconds, by a clock that a node reads a moment before it takes a write up.
const GRAIN_MS: i64 = 10;

/// One write; times are milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug)]
struct Write {
    /// None: the item was deleted.
    value: Option<u64>,
    began: i64,
    /// None: it was never answered.
    acknowledged: Option<i64>,
}

#[derive(Debug)]
struct Shared {
    table: String,
    run: String,
    stop: AtomicBool,
    values: AtomicU64,
    writes: Mutex<BTreeMap<String, Vec<Write>>>,
}

/// One region's part.
#[derive(Debug)]
struct Entrant {
    region: &'static str,
    client: Dynamo,
    since: Instant,
    progress: Progress,
}

/// Writers at work.
#[derive(Debug)]
pub(crate) struct Contest {
    shared: Arc<Shared>,
    entrants: Vec<Arc<Entrant>>,
    tasks: JoinSet<Result<()>>,
}

/// What was done in one region.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    pub(crate) region: &'static str,
    pub(crate) writes: u64,
    pub(crate) per_second: f64,
    pub(crate) longest_pause: Duration,
}

/// What was written.
#[derive(Debug)]
pub(crate) struct Ledger {
    run: String,
    writes: BTreeMap<String, Vec<Write>>,
    pub(crate) efforts: Vec<Effort>,
}

impl Contest {
    /// On a table whose key is the string `Id`; `run` tells the keys of this contest from those of others there.
    pub(crate) fn on(table: &str, run: &str) -> Self {
        let shared = Shared {
            table: table.to_owned(),
            run: run.to_owned(),
            stop: AtomicBool::new(false),
            values: AtomicU64::new(0),
            writes: Mutex::default(),
        };
        Self { shared: Arc::new(shared), entrants: Vec::new(), tasks: JoinSet::new() }
    }

    /// Clients in one more region begin, that many writes a second in all.
    pub(crate) fn enter(&mut self, region: &'static str, client: &Dynamo, per_second: u32) {
        let entrant = Arc::new(Entrant { region, client: client.clone(), since: now(), progress: Progress::new() });
        let pace = Duration::from_secs(1) * WRITERS / per_second.max(1);
        for writer in 0..WRITERS {
            let begin = pace * writer / WRITERS;
            self.tasks.spawn(write(writer, begin, pace, entrant.clone(), self.shared.clone()));
        }
        self.entrants.push(entrant);
    }

    pub(crate) async fn end(mut self) -> Result<Ledger> {
        self.shared.stop.store(true, Ordering::Relaxed);
        let efforts = self.entrants.iter().map(|entrant| entrant.effort()).collect();
        while let Some(task) = self.tasks.join_next().await {
            task??;
        }
        let writes = std::mem::take(&mut *self.shared.writes.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(Ledger { run: self.shared.run.clone(), writes, efforts })
    }
}

impl Entrant {
    fn effort(&self) -> Effort {
        let writes = self.progress.count.load(Ordering::Relaxed);
        let per_second = writes as f64 / self.since.elapsed().as_secs_f64();
        Effort { region: self.region, writes, per_second, longest_pause: self.progress.longest_pause() }
    }
}

async fn write(writer: u32, begin: Duration, pace: Duration, entrant: Arc<Entrant>, shared: Arc<Shared>) -> Result<()> {
    sleep(begin).await;
    // What a pause held back is made up for: the rate is kept.
    let mut ticks = interval(pace);
    for number in 0_u64.. {
        ticks.tick().await;
        if shared.stop.load(Ordering::Relaxed) {
            break;
        }
        let key = format!("{}-{writer}-{}", shared.run, number % KEYS_PER_WRITER);
        let value = (number % DELETE_EVERY != DELETE_EVERY - 1).then(|| shared.values.fetch_add(1, Ordering::Relaxed));
        let (operation, body) = request(&shared.table, &key, value, entrant.region);
        let began = clock().as_millisecond();
        let acknowledged = match entrant.client.insist(operation, &body, PATIENCE).await {
            Ok(answer) => {
                let answer = answer.ok()?;
                entrant.progress.success();
                if value.is_none() && answer["Attributes"].is_null() {
                    continue; // a deletion that finds nothing writes nothing
                }
                Some(clock().as_millisecond())
            }
            Err(_) => None,
        };
        let mut writes = shared.writes.lock().unwrap_or_else(PoisonError::into_inner);
        writes.entry(key).or_default().push(Write { value, began, acknowledged });
    }
    Ok(())
}

fn request(table: &str, key: &str, value: Option<u64>, region: &str) -> (&'static str, Value) {
    match value {
        Some(value) => {
            let item = json!({"Id": {"S": key}, "Value": {"N": value.to_string()}, "Region": {"S": region}});
            ("PutItem", json!({"TableName": table, "Item": item}))
        }
        None => ("DeleteItem", json!({"TableName": table, "Key": {"Id": {"S": key}}, "ReturnValues": "ALL_OLD"})),
    }
}

impl Ledger {
    pub(crate) fn effort(&self, region: &str) -> Option<Effort> {
        self.efforts.iter().copied().find(|effort| effort.region == region)
    }

    /// How many writes were never answered.
    pub(crate) fn unanswered(&self) -> usize {
        self.writes.values().flatten().filter(|write| write.acknowledged.is_none()).count()
    }

    /// Checks what the table's items are in the end, and gives how many of them each region has won.
    pub(crate) fn verify(&self, items: &BTreeMap<String, Value>) -> Result<BTreeMap<String, usize>> {
        let mut won = BTreeMap::new();
        for (key, writes) in &self.writes {
            let item = items.get(key);
            let held = item.and_then(|item| item["Value"]["N"].as_str()?.parse().ok());
            ensure!(may_be_left(writes, held), "{key} holds {held:?} in the end, after the writes {writes:?}");
            if let Some(region) = item.and_then(|item| item["Region"]["S"].as_str()) {
                *won.entry(region.to_owned()).or_default() += 1;
            }
        }
        let prefix = format!("{}-", self.run);
        let strangers: Vec<&String> =
            items.keys().filter(|key| key.starts_with(&prefix) && !self.writes.contains_key(*key)).take(5).collect();
        ensure!(strangers.is_empty(), "there are items nobody wrote: {strangers:?}");
        Ok(won)
    }
}

/// Whether a key may hold that after these writes: what some write left than which no acknowledged one is surely later.
fn may_be_left(writes: &[Write], held: Option<u64>) -> bool {
    let last_beginning = writes.iter().filter(|write| write.acknowledged.is_some()).map(|write| write.began).max();
    let Some(last_beginning) = last_beginning else {
        // Nothing is sure to have been written.
        return held.is_none() || writes.iter().any(|write| write.value == held);
    };
    writes
        .iter()
        .filter(|write| write.value == held)
        .any(|write| write.acknowledged.is_none_or(|end| last_beginning <= end + GRAIN_MS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(value: u64, began: i64, acknowledged: i64) -> Write {
        Write { value: Some(value), began, acknowledged: Some(acknowledged) }
    }

    fn deletion(began: i64, acknowledged: i64) -> Write {
        Write { value: None, began, acknowledged: Some(acknowledged) }
    }

    #[test]
    fn of_writes_that_overlap_any_may_win() {
        let writes = [write(1, 0, 1_000), write(2, 500, 2_000)];
        assert!(may_be_left(&writes, Some(1)) && may_be_left(&writes, Some(2)));
    }

    #[test]
    fn a_write_that_was_answered_before_another_began_does_not_win() {
        let writes = [write(1, 0, 1_000), write(2, 2_000, 3_000)];
        assert!(!may_be_left(&writes, Some(1)) && may_be_left(&writes, Some(2)));
    }

    #[test]
    fn an_acknowledged_write_is_not_lost() {
        let writes = [deletion(0, 1_000), write(2, 2_000, 3_000)];
        assert!(!may_be_left(&writes, None) && !may_be_left(&writes, Some(7)));
        assert!(may_be_left(&[write(2, 0, 1_000), deletion(2_000, 3_000)], None));
    }

    #[test]
    fn a_write_that_was_never_answered_may_have_won_or_not() {
        let unknown = Write { acknowledged: None, ..write(1, 0, 0) };
        assert!(may_be_left(&[unknown], None) && may_be_left(&[unknown], Some(1)));
        let later = [unknown, write(2, 5_000, 6_000)];
        assert!(may_be_left(&later, Some(1)) && may_be_left(&later, Some(2)) && !may_be_left(&later, None));
    }
}
