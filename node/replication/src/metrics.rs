//! What the machine counts and measures.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry, exponential_buckets};

/// Shared by its clones; counts for nobody until it is registered.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(crate) proposals: IntCounter,
    pub(crate) void_entries: IntCounter,
    pub(crate) log_sync_seconds: Histogram,
    pub(crate) apply_seconds: Histogram,
    pub(crate) waiting_writes: IntGauge,
    pub(crate) entries_in_flight: IntGauge,
    pub(crate) snapshots_sent: IntCounter,
    pub(crate) snapshots_installed: IntCounter,
    pub(crate) stopped_replicas: IntGauge,
    pub(crate) logs_given_up: IntCounter,
    pub(crate) logs_given_up_to_regions: IntCounter,
    pub(crate) remote_writes_taken: IntCounter,
    pub(crate) remote_writes_passed_over: IntCounter,
    pub(crate) remote_writes_set_aside: IntCounter,
    pub(crate) expired_items: IntCounterVec,
}

impl Metrics {
    pub fn new() -> Result<Self, prometheus::Error> {
        let seconds = |name: &str, help: &str| {
            // From 50 µs to 1.6 s.
            Histogram::with_opts(HistogramOpts::new(name, help).buckets(exponential_buckets(0.000_05, 2.0, 16)?))
        };
        Ok(Self {
            proposals: IntCounter::new("cairn_proposals_total", "Entries proposed to Raft.")?,
            void_entries: IntCounter::new(
                "cairn_void_entries_total",
                "Entries that were void when they were applied.",
            )?,
            log_sync_seconds: seconds("cairn_log_sync_seconds", "Time to write the log and make it durable.")?,
            apply_seconds: seconds("cairn_apply_seconds", "Time to apply a run of entries.")?,
            waiting_writes: IntGauge::new("cairn_waiting_writes", "Writes that wait for their evaluation.")?,
            entries_in_flight: IntGauge::new("cairn_entries_in_flight", "Entries between proposal and apply.")?,
            snapshots_sent: IntCounter::new("cairn_snapshots_sent_total", "Snapshots begun to be sent.")?,
            snapshots_installed: IntCounter::new("cairn_snapshots_installed_total", "Snapshots installed.")?,
            stopped_replicas: IntGauge::new(
                "cairn_stopped_replicas",
                "Replicas that are damaged and do not take part.",
            )?,
            logs_given_up: IntCounter::new(
                "cairn_log_given_up_total",
                "Times that a replica's log reached its limit and went before the archive had it.",
            )?,
            logs_given_up_to_regions: IntCounter::new(
                "cairn_log_given_up_to_regions_total",
                "Times that a replica's log reached its limit and went before all other regions had read it.",
            )?,
            remote_writes_taken: IntCounter::new(
                "cairn_remote_writes_taken_total",
                "Writes of other regions that won here.",
            )?,
            remote_writes_passed_over: IntCounter::new(
                "cairn_remote_writes_passed_over_total",
                "Writes of other regions that were here already, or had lost to a later version.",
            )?,
            remote_writes_set_aside: IntCounter::new(
                "cairn_remote_writes_set_aside_total",
                "Writes of other regions whose time is too far ahead of the clock here: they wait until it has come.",
            )?,
            expired_items: IntCounterVec::new(
                Opts::new(
                    "cairn_time_to_live_deleted_items_total",
                    "Items deleted because they had expired: CloudWatch's TimeToLiveDeletedItemCount.",
                ),
                &["account", "table"],
            )?,
        })
    }

    pub fn register(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        registry.register(Box::new(self.proposals.clone()))?;
        registry.register(Box::new(self.void_entries.clone()))?;
        registry.register(Box::new(self.log_sync_seconds.clone()))?;
        registry.register(Box::new(self.apply_seconds.clone()))?;
        registry.register(Box::new(self.waiting_writes.clone()))?;
        registry.register(Box::new(self.entries_in_flight.clone()))?;
        registry.register(Box::new(self.snapshots_sent.clone()))?;
        registry.register(Box::new(self.snapshots_installed.clone()))?;
        registry.register(Box::new(self.stopped_replicas.clone()))?;
        registry.register(Box::new(self.logs_given_up.clone()))?;
        registry.register(Box::new(self.logs_given_up_to_regions.clone()))?;
        registry.register(Box::new(self.remote_writes_taken.clone()))?;
        registry.register(Box::new(self.remote_writes_passed_over.clone()))?;
        registry.register(Box::new(self.remote_writes_set_aside.clone()))?;
        registry.register(Box::new(self.expired_items.clone()))
    }
}
