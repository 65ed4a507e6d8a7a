//! Replication latency as the storage nodes' metrics tell it: a histogram.

use crate::{harness::NAMESPACE, kube, region::Region};
use anyhow::{Context, Result, bail, ensure};
use std::{collections::BTreeMap, time::Duration};

pub(super) const METRIC: &str = "cairn_replication_latency_seconds";

/// How many observations there were up to each bound, which is in microseconds; the last has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Buckets(BTreeMap<u64, u64>);

/// Of what the region's nodes took in of a table.
pub(super) fn read(region: &Region, table: &str) -> Result<Buckets> {
    let mut all = Buckets::default();
    for pod in region.cluster.storage_pods(NAMESPACE)? {
        all.add(&region.cluster.metrics(NAMESPACE, kube::name(&pod))?, table)?;
    }
    ensure!(!all.0.is_empty(), "no storage node of {} tells {METRIC} of {table}", region.name());
    Ok(all)
}

impl Buckets {
    fn add(&mut self, metrics: &str, table: &str) -> Result<()> {
        let of_table = format!("table=\"{table}\"");
        let buckets = metrics.lines().filter_map(|line| line.strip_prefix(METRIC)?.strip_prefix("_bucket{"));
        for line in buckets.filter(|line| line.contains(&of_table)) {
            let (labels, count) = line.rsplit_once("} ").with_context(|| format!("not a bucket: {line}"))?;
            let bound = labels.split(',').find_map(|label| label.strip_prefix("le=\"")?.strip_suffix('"'));
            let bound = match bound.with_context(|| format!("a bucket without a bound: {line}"))? {
                "+Inf" => u64::MAX,
                seconds => (seconds.parse::<f64>()? * 1e6) as u64,
            };
            *self.0.entry(bound).or_default() += count.parse::<f64>()? as u64;
        }
        Ok(())
    }

    /// What came after those.
    pub(super) fn since(&self, before: &Self) -> Self {
        let count = |bound: &u64| before.0.get(bound).copied().unwrap_or_default();
        Self(self.0.iter().map(|(bound, now)| (*bound, now.saturating_sub(count(bound)))).collect())
    }

    /// Below which that part of the observations lies, as PromQL's `histogram_quantile` reckons it: evenly spread in its bucket.
    pub(super) fn quantile(&self, part: f64) -> Result<Duration> {
        let all = self.0.values().copied().max().unwrap_or_default();
        ensure!(all > 0, "nothing was observed in {METRIC}");
        let rank = all as f64 * part;
        let mut below = (0.0, 0.0);
        for (bound, count) in &self.0 {
            let (bound_us, count) = (*bound as f64, *count as f64);
            if count < rank {
                below = (bound_us, count);
            } else if *bound == u64::MAX {
                break;
            } else {
                let (low_us, fewer) = below;
                let share = (rank - fewer) / (count - fewer).max(f64::MIN_POSITIVE);
                return Ok(Duration::from_secs_f64((low_us + (bound_us - low_us) * share) / 1e6));
            }
        }
        bail!("{METRIC} lies above its highest bound: {self:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_lies_in_the_bucket_that_has_it() {
        let text = |counts: [u32; 3]| {
            let bucket = |bound: &str, count| {
                format!("{METRIC}_bucket{{source_region=\"east\",table=\"users\",le=\"{bound}\"}} {count}\n")
            };
            let buckets: String =
                ["0.1", "1", "+Inf"].into_iter().zip(counts).map(|(bound, n)| bucket(bound, n)).collect();
            format!("{buckets}{}{METRIC}_sum{{table=\"users\"}} 7\n", buckets.replace("users", "others"))
        };
        let (mut before, mut after) = (Buckets::default(), Buckets::default());
        before.add(&text([0, 0, 50]), "users").unwrap();
        after.add(&text([80, 100, 150]), "users").unwrap();
        let between = after.since(&before);
        assert_eq!(between.quantile(0.4).unwrap(), Duration::from_millis(50));
        assert_eq!(between.quantile(0.9).unwrap(), Duration::from_millis(550));
        assert!(before.quantile(0.9).is_err() && Buckets::default().quantile(0.9).is_err());
    }
}
