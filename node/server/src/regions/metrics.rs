//! What replication between regions counts and measures, by table and the region that is read.

use super::standing::{Standing, Standings};
use cairn_model::region::RegionTrouble;
use parking_lot::Mutex;
use prometheus::{
    GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry,
    core::{Collector, Desc},
    exponential_buckets,
    proto::MetricFamily,
};
use std::{collections::BTreeSet, sync::Arc};

const LABELS: [&str; 2] = ["table", "source_region"];

#[derive(Clone, Debug)]
pub(crate) struct RegionMetrics {
    latency_seconds: HistogramVec,
    records: IntCounterVec,
    bytes: IntCounterVec,
    failures: IntCounterVec,
    /// What there is of each: tables and regions, and with reasons.
    series: Arc<Mutex<Series>>,
}

#[derive(Debug, Default)]
struct Series {
    read: BTreeSet<[String; 2]>,
    failed: BTreeSet<([String; 2], &'static str)>,
}

impl RegionMetrics {
    pub(crate) fn register(registry: &Registry, standings: Arc<Standings>) -> Result<Self, prometheus::Error> {
        // From 5 ms to 80 s, and whatever a link that was cut takes.
        let latency = HistogramOpts::new(
            "cairn_replication_latency_seconds",
            "From a write in another region until it is durable here, by both regions' clocks.",
        );
        let latency = latency.buckets(exponential_buckets(0.005, 2.0, 15)?);
        let counter = |name, help, labels: &[&str]| IntCounterVec::new(Opts::new(name, help), labels);
        let metrics = Self {
            latency_seconds: HistogramVec::new(latency, &LABELS)?,
            records: counter("cairn_replication_records_total", "Versions that came from another region.", &LABELS)?,
            bytes: counter(
                "cairn_replication_bytes_total",
                "Bytes of another region's answers, as they came over the network.",
                &LABELS,
            )?,
            failures: counter(
                "cairn_replication_failures_total",
                "Failures to read from another region, by reason.",
                &["table", "source_region", "reason"],
            )?,
            series: Arc::default(),
        };
        registry.register(Box::new(metrics.latency_seconds.clone()))?;
        registry.register(Box::new(metrics.records.clone()))?;
        registry.register(Box::new(metrics.bytes.clone()))?;
        registry.register(Box::new(metrics.failures.clone()))?;
        registry.register(Box::new(RegionGauges::new(standings)?))?;
        Ok(metrics)
    }

    pub(super) fn came(&self, table: &str, region: &str, latency_ms: u64, records: u64) {
        let latency = self.latency_seconds.with_label_values(&[table, region]);
        (0..records).for_each(|_| latency.observe(latency_ms as f64 / 1_000.0));
    }

    pub(super) fn took(&self, table: &str, region: &str, records: u64, bytes: u64) {
        self.series.lock().read.insert([table, region].map(str::to_owned));
        self.records.with_label_values(&[table, region]).inc_by(records);
        self.bytes.with_label_values(&[table, region]).inc_by(bytes);
    }

    pub(super) fn failed(&self, table: &str, region: &str, reason: RegionTrouble) {
        self.series.lock().failed.insert(([table, region].map(str::to_owned), reason.reason()));
        self.failures.with_label_values(&[table, region, reason.reason()]).inc();
    }

    /// Shows nothing any more of the tables that are not here.
    pub(super) fn keep(&self, is_here: impl Fn(&str) -> bool) {
        let mut series = self.series.lock();
        // That there is none of a kind is no matter: each kind begins with the first that comes.
        series.read.retain(|[table, region]| {
            let stays = is_here(table);
            if !stays {
                let labels = [table.as_str(), region.as_str()];
                let _ = self.latency_seconds.remove_label_values(&labels);
                let _ = self.records.remove_label_values(&labels);
                let _ = self.bytes.remove_label_values(&labels);
            }
            stays
        });
        series.failed.retain(|([table, region], reason)| {
            let stays = is_here(table);
            if !stays {
                let _ = self.failures.remove_label_values(&[table.as_str(), region.as_str(), *reason]);
            }
            stays
        });
    }
}

/// Made of what is told of the pairs, when it is asked for: nothing is shown of those that are read no more.
struct RegionGauges {
    standings: Arc<Standings>,
    pending: IntGaugeVec,
    last_success: GaugeVec,
    clock_offset: GaugeVec,
    set_aside: IntGaugeVec,
}

impl RegionGauges {
    fn new(standings: Arc<Standings>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            standings,
            pending: IntGaugeVec::new(
                Opts::new(
                    "cairn_replication_pending_records",
                    "Entries of another region's log that are not here yet.",
                ),
                &LABELS,
            )?,
            last_success: GaugeVec::new(
                Opts::new(
                    "cairn_replication_last_success_timestamp_seconds",
                    "When something of another region, be it that there is nothing new, was last taken in.",
                ),
                &LABELS,
            )?,
            clock_offset: GaugeVec::new(
                Opts::new("cairn_replication_clock_offset_seconds", "Another region's clock less this one's."),
                &LABELS,
            )?,
            set_aside: IntGaugeVec::new(
                Opts::new(
                    "cairn_replication_versions_set_aside",
                    "Versions that wait here because their time is too far ahead.",
                ),
                &LABELS,
            )?,
        })
    }

    fn collectors(&self) -> [&dyn Collector; 4] {
        [&self.pending, &self.last_success, &self.clock_offset, &self.set_aside]
    }

    /// Of a table's partitions, the one that is worst off counts where a sum says nothing.
    fn show(&self, Standing { table, report }: &Standing) {
        let labels = [table.as_str(), report.region.as_str()];
        if let Some(pending) = report.pending_records {
            self.pending.with_label_values(&labels).add(i64::try_from(pending).unwrap_or(i64::MAX));
        }
        if let Some(last_ms) = report.last_success_ms {
            let last = self.last_success.with_label_values(&labels);
            let seconds = last_ms as f64 / 1_000.0;
            last.set(if last.get() == 0.0 { seconds } else { last.get().min(seconds) });
        }
        if let Some(offset_ms) = report.clock_offset_ms {
            let offset = self.clock_offset.with_label_values(&labels);
            let seconds = offset_ms as f64 / 1_000.0;
            if seconds.abs() >= offset.get().abs() {
                offset.set(seconds);
            }
        }
        self.set_aside.with_label_values(&labels).add(i64::try_from(report.set_aside).unwrap_or(i64::MAX));
    }
}

impl Collector for RegionGauges {
    fn desc(&self) -> Vec<&Desc> {
        self.collectors().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.pending.reset();
        self.last_success.reset();
        self.clock_offset.reset();
        self.set_aside.reset();
        self.standings.all().iter().for_each(|standing| self.show(standing));
        self.collectors().into_iter().flat_map(Collector::collect).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_model::ids::PartitionId;
    use prometheus::{Encoder, TextEncoder};

    #[test]
    fn a_table_shows_the_sum_and_the_worst_of_its_partitions_and_nothing_once_they_are_gone() {
        let (registry, standings) = (Registry::new(), Arc::<Standings>::default());
        let metrics = RegionMetrics::register(&registry, standings.clone()).unwrap();
        let names = [1, 2].map(|number| (PartitionId([number; 16]), "west".to_owned()));
        for (name, number) in names.iter().zip(1..) {
            standings.begin(name, "users");
            standings.update(name, |report| {
                report.pending_records = Some(number);
                report.last_success_ms = Some(number * 1_000);
                report.clock_offset_ms = Some(-500 * number.cast_signed());
            });
        }
        metrics.came("users", "west", 40, 3);
        metrics.took("users", "west", 3, 99);
        metrics.failed("users", "west", RegionTrouble::Unreachable);
        let shown = || {
            let mut text = Vec::new();
            TextEncoder::new().encode(&registry.gather(), &mut text).unwrap();
            String::from_utf8(text).unwrap()
        };
        for line in [
            r#"cairn_replication_pending_records{source_region="west",table="users"} 3"#,
            r#"cairn_replication_last_success_timestamp_seconds{source_region="west",table="users"} 1"#,
            r#"cairn_replication_clock_offset_seconds{source_region="west",table="users"} -1"#,
            r#"cairn_replication_versions_set_aside{source_region="west",table="users"} 0"#,
            r#"cairn_replication_latency_seconds_count{source_region="west",table="users"} 3"#,
            r#"cairn_replication_failures_total{reason="Unreachable",source_region="west",table="users"} 1"#,
        ] {
            assert!(shown().lines().any(|shown| shown == line), "{line} is not in\n{}", shown());
        }
        names.iter().for_each(|name| standings.end(name));
        assert!(!shown().contains("cairn_replication_pending_records{"));
        metrics.keep(|table| table == "users");
        assert!(shown().contains("cairn_replication_records_total{"), "another node may lead its partitions now");
        metrics.keep(|_| false);
        assert_eq!(shown(), "");
    }
}
