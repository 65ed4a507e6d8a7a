//! How long a write in one region takes to be read in another, as clients there see it.

use crate::client::{Dynamo, now};
use anyhow::{Result, bail};
use serde_json::json;
use std::time::Duration;
use tokio::{task::JoinSet, time::sleep};

const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

/// Sorted.
#[derive(Debug)]
pub(crate) struct Lags(Vec<Duration>);

impl Lags {
    /// Writes so many items in one region, one every so often, and reads each in the other until it is there. Measured is from
    /// before the write to the answer that has it.
    pub(crate) async fn measure(
        (from, to): (&Dynamo, &Dynamo),
        table: &str,
        count: usize,
        every: Duration,
    ) -> Result<Self> {
        let mut tasks = JoinSet::new();
        for number in 0..count {
            tasks.spawn(one(from.clone(), to.clone(), table.to_owned(), format!("lag-{number}")));
            sleep(every).await;
        }
        let mut lags = Vec::with_capacity(count);
        while let Some(task) = tasks.join_next().await {
            lags.push(task??);
        }
        lags.sort();
        Ok(Self(lags))
    }

    /// That many of a hundred took no longer.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent).div_ceil(100).max(1) - 1;
        self.0.get(rank).copied().unwrap_or_default()
    }
}

async fn one(from: Dynamo, to: Dynamo, table: String, key: String) -> Result<Duration> {
    let start = now();
    let item = json!({"TableName": table, "Item": {"Id": {"S": key}}});
    from.insist("PutItem", &item, PATIENCE).await?.ok()?;
    let read = json!({"TableName": table, "Key": {"Id": {"S": key}}, "ConsistentRead": true});
    while to.insist("GetItem", &read, PATIENCE).await?.ok()?["Item"].is_null() {
        if start.elapsed() > PATIENCE {
            bail!("{key} did not reach the other region within {PATIENCE:?}");
        }
        sleep(POLL).await;
    }
    Ok(start.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_hundred_the_99th_percentile_is_the_second_longest() {
        let lags = Lags((1..=100).map(Duration::from_millis).collect());
        assert_eq!((lags.percentile(99), lags.percentile(50)), (Duration::from_millis(99), Duration::from_millis(50)));
    }
}
