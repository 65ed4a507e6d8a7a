//! How it stands with the global indexes that this node feeds, and what of it is shown on `/metrics`.

use cairn_model::{
    codec::StoredVersion,
    ids::{PartitionId, TableId},
    index::GlobalIndex,
    node::ReplicaReport,
};
use cairn_replication::{Clock, Host, feed::FeedWrite};
use parking_lot::Mutex;
use prometheus::{
    GaugeVec, IntGaugeVec, Opts, Registry,
    core::{Collector, Desc},
    proto::MetricFamily,
};
use std::{collections::BTreeMap, fmt, sync::Arc};

const LABELS: [&str; 2] = ["table", "index"];
/// Bytes of a write unit.
const WRITE_UNIT_BYTES: u64 = 1_024;

/// A partition of a table, and an index.
pub(super) type Name = (PartitionId, TableId);

#[derive(Clone, Debug)]
struct Standing {
    table: String,
    index: String,
    /// The index needs nothing of the log up to this entry.
    reached: u64,
    /// When it last had all of it, by the boot-time clock.
    caught_up_ms: u64,
    /// How much of what was there before the index was shown to it.
    filled_percent: f64,
    /// That its filling has consumed.
    write_units: u64,
}

pub(super) struct Standings {
    clock: Arc<dyn Clock>,
    all: Mutex<BTreeMap<Name, Standing>>,
}

impl fmt::Debug for Standings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Standings").field("all", &self.all.lock()).finish_non_exhaustive()
    }
}

impl Standings {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, all: Mutex::default() }
    }

    /// What is known already stays.
    pub(super) fn begin(&self, name: Name, table: &str, index: &GlobalIndex) {
        let caught_up_ms = self.clock.now().boot_ms;
        self.all.lock().entry(name).or_insert_with(|| Standing {
            table: table.to_owned(),
            index: index.index_name.clone(),
            reached: 0,
            caught_up_ms,
            filled_percent: 100.0,
            write_units: 0,
        });
    }

    pub(super) fn keep(&self, stays: impl Fn(&Name) -> bool) {
        self.all.lock().retain(|name, _| stays(name));
    }

    pub(super) fn reached(&self, name: &Name, upto: u64) {
        self.change(name, |standing| standing.reached = upto);
    }

    pub(super) fn caught_up(&self, name: &Name) {
        let now_ms = self.clock.now().boot_ms;
        self.change(name, |standing| standing.caught_up_ms = now_ms);
    }

    pub(super) fn filled(&self, name: &Name, share: f64) {
        self.change(name, |standing| standing.filled_percent = 100.0 * share);
    }

    pub(super) fn consumed(&self, name: &Name, write_units: u64) {
        self.change(name, |standing| standing.write_units += write_units);
    }

    fn change(&self, name: &Name, change: impl FnOnce(&mut Standing)) {
        if let Some(standing) = self.all.lock().get_mut(name) {
            change(standing);
        }
    }
}

/// What a write costs an index.
pub(super) fn write_units(write: &FeedWrite) -> u64 {
    let version = write.version.clone().and_then(|version| StoredVersion::parse(version).ok());
    let bytes = version.and_then(|version| version.item.size().ok()).map_or(0, u64::from);
    bytes.div_ceil(WRITE_UNIT_BYTES).max(1)
}

/// Measured when it is asked for. Of a table's partitions, the one that is worst off counts where a sum says nothing.
pub(super) struct IndexGauges {
    standings: Arc<Standings>,
    host: Host,
    pending: IntGaugeVec,
    lag_seconds: GaugeVec,
    progress: GaugeVec,
    write_units: IntGaugeVec,
}

impl IndexGauges {
    pub(super) fn register(
        registry: &Registry,
        standings: Arc<Standings>,
        host: Host,
    ) -> Result<(), prometheus::Error> {
        let gauge = |name, help| GaugeVec::new(Opts::new(name, help), &LABELS);
        let int_gauge = |name, help| IntGaugeVec::new(Opts::new(name, help), &LABELS);
        registry.register(Box::new(Self {
            standings,
            host,
            pending: int_gauge(
                "cairn_index_pending_entries",
                "Entries of the table's log that the global index has not taken in yet.",
            )?,
            lag_seconds: gauge(
                "cairn_index_lag_seconds",
                "For how long the global index has not had all that its table holds; 0 where it has.",
            )?,
            progress: gauge(
                "cairn_index_online_percentage_progress",
                "How much of what was in the table before it the global index was shown (OnlineIndexPercentageProgress).",
            )?,
            write_units: int_gauge(
                "cairn_index_online_consumed_write_capacity_units",
                "Write units that filling the global index has consumed since this node leads its table \
                 (OnlineIndexConsumedWriteCapacity).",
            )?,
        }))
    }

    fn collectors(&self) -> [&dyn Collector; 4] {
        [&self.pending, &self.lag_seconds, &self.progress, &self.write_units]
    }

    fn show(&self, standing: &Standing, report: Option<&ReplicaReport>, now_ms: u64) {
        let labels = [standing.table.as_str(), standing.index.as_str()];
        let applied = report.map_or(0, |report| report.applied_index);
        let pending = applied.saturating_sub(standing.reached);
        self.pending.with_label_values(&labels).add(gauged(pending));
        let lag = self.lag_seconds.with_label_values(&labels);
        if pending > 0 {
            lag.set(lag.get().max(now_ms.saturating_sub(standing.caught_up_ms) as f64 / 1_000.0));
        }
        let progress = self.progress.with_label_values(&labels);
        // A label that is new here stands at 0: it is told from one that has begun by what is added.
        progress.set(match progress.get() {
            0.0 => standing.filled_percent,
            known => known.min(standing.filled_percent),
        });
        self.write_units.with_label_values(&labels).add(gauged(standing.write_units));
    }
}

fn gauged(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl Collector for IndexGauges {
    fn desc(&self) -> Vec<&Desc> {
        self.collectors().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.pending.reset();
        self.lag_seconds.reset();
        self.progress.reset();
        self.write_units.reset();
        let reports = self.host.reports();
        let now_ms = self.standings.clock.now().boot_ms;
        for ((partition, _), standing) in &*self.standings.all.lock() {
            let report = reports.iter().find(|report| report.descriptor.partition_id == *partition);
            self.show(standing, report, now_ms);
        }
        self.collectors().into_iter().flat_map(Collector::collect).collect()
    }
}
