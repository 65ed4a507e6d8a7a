//! What the archive counts and measures.

use prometheus::{IntCounter, IntGauge, Registry};

/// Shared by its clones; counts for nobody until it is registered.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(crate) lag_seconds: IntGauge,
    pub(crate) last_success_seconds: IntGauge,
    pub(crate) segments: IntCounter,
    pub(crate) segment_bytes: IntCounter,
    pub(crate) snapshots: IntCounter,
    pub(crate) snapshot_bytes: IntCounter,
    pub(crate) failures: IntCounter,
    pub(crate) failing_partitions: IntGauge,
}

impl Metrics {
    pub fn new() -> Result<Self, prometheus::Error> {
        Ok(Self {
            lag_seconds: IntGauge::new(
                "cairn_archive_lag_seconds",
                "How far behind now the latest restorable time of this node's partition that is furthest behind is.",
            )?,
            last_success_seconds: IntGauge::new(
                "cairn_archive_last_success_timestamp_seconds",
                "When this node last wrote to the archive, as seconds since the Unix epoch.",
            )?,
            segments: IntCounter::new("cairn_archive_segments_total", "Log segments written to the archive.")?,
            segment_bytes: IntCounter::new(
                "cairn_archive_segment_bytes_total",
                "Bytes of log segments written to the archive, compressed.",
            )?,
            snapshots: IntCounter::new("cairn_archive_snapshots_total", "Snapshots written to the archive.")?,
            snapshot_bytes: IntCounter::new(
                "cairn_archive_snapshot_bytes_total",
                "Bytes of snapshots written to the archive, compressed.",
            )?,
            failures: IntCounter::new("cairn_archive_failures_total", "Attempts to archive that failed.")?,
            failing_partitions: IntGauge::new(
                "cairn_archive_failing_partitions",
                "Partitions of this node whose last attempt to archive failed.",
            )?,
        })
    }

    pub fn register(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        registry.register(Box::new(self.lag_seconds.clone()))?;
        registry.register(Box::new(self.last_success_seconds.clone()))?;
        registry.register(Box::new(self.segments.clone()))?;
        registry.register(Box::new(self.segment_bytes.clone()))?;
        registry.register(Box::new(self.snapshots.clone()))?;
        registry.register(Box::new(self.snapshot_bytes.clone()))?;
        registry.register(Box::new(self.failures.clone()))?;
        registry.register(Box::new(self.failing_partitions.clone()))
    }
}
