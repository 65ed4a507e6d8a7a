//! Replication latency as the storage nodes' metrics tell it: a histogram.

use crate::{harness::NAMESPACE, kube, region::Region};
use anyhow::{Context, Result, bail, ensure};
use std::{collections::BTreeMap, time::Duration};

pub(super) const METRIC: &str = "cairn_replication_latency_seconds";

/// How many observations there were up to each bound, which is in microseconds; the last has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Buckets(BTreeMap<u64, u64>);

/// Of all that was taken in by the region's nodes.
pub(super) fn read(region: &Region) -> Result<Buckets> {
    let mut all = Buckets::default();
    for pod in region.cluster.storage_pods(NAMESPACE)? {
        all.add(&region.cluster.metrics(NAMESPACE, kube::name(&pod))?)?;
    }
    ensure!(!all.0.is_empty(), "no storage node of {} tells {METRIC}", region.name());
    Ok(all)
}

impl Buckets {
    fn add(&mut self, metrics: &str) -> Result<()> {
        for line in metrics.lines().filter_map(|line| line.strip_prefix(METRIC)?.strip_prefix("_bucket{")) {
            let (labels, count) = line.rsplit_once("} ").with_context(|| format!("not a bucket: {line}"))?;
            let bound = labels.split("le=\"").nth(1).and_then(|rest| rest.split('"').next());
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

    /// The bound below which that part of the observations lies.
    pub(super) fn quantile(&self, part: f64) -> Result<Duration> {
        let all = self.0.values().copied().max().unwrap_or_default();
        ensure!(all > 0, "nothing was observed in {METRIC}");
        match self.0.iter().find(|(_, count)| **count as f64 >= all as f64 * part) {
            Some((bound, _)) if *bound < u64::MAX => Ok(Duration::from_micros(*bound)),
            _ => bail!("{METRIC} lies above its highest bound: {self:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_the_bound_that_so_many_are_under() {
        let text = |counts: [u32; 3]| {
            let [tenth, one, all] = counts;
            format!(
                "{METRIC}_bucket{{region=\"east\",le=\"0.1\"}} {tenth}\n{METRIC}_bucket{{region=\"east\",le=\"1\"}} {one}\n\
                 {METRIC}_bucket{{region=\"east\",le=\"+Inf\"}} {all}\n{METRIC}_sum{{region=\"east\"}} 7\n"
            )
        };
        let (mut before, mut after) = (Buckets::default(), Buckets::default());
        before.add(&text([0, 0, 50])).unwrap();
        after.add(&text([90, 100, 150])).unwrap();
        let between = after.since(&before);
        assert_eq!(between.quantile(0.9).unwrap(), Duration::from_millis(100));
        assert_eq!(between.quantile(0.99).unwrap(), Duration::from_secs(1));
        assert!(before.quantile(0.9).is_err() && Buckets::default().quantile(0.9).is_err());
    }
}
