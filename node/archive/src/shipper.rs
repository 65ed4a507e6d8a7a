//! Brings what a node's partitions commit into the bucket.

use crate::{Bucket, Metrics, Recovery, Source};
use cairn_model::ids::TableId;
use cairn_replication::Clock;
use std::{fmt, future::Future, sync::Arc, time::Duration};

/// When and how much is shipped at once.
#[derive(Clone, Debug)]
pub struct ShipperOptions {
    /// How often what was committed is shipped.
    pub seal_interval: Duration,
    /// Of the entries of one segment, uncompressed.
    pub seal_bytes: u64,
    /// How often a closed timestamp is shipped.
    pub close_interval: Duration,
    /// A snapshot is made when the log since the last has this many times its bytes...
    pub snapshot_ratio: f64,
    /// ...and at least this many bytes...
    pub snapshot_log_bytes_min: u64,
    /// ...or when it is this old and anything was written since.
    pub snapshot_age_max: Duration,
    /// A manifest is written when this many segments are not in one yet...
    pub manifest_segments: usize,
    /// ...or when one has not been for this long.
    pub manifest_interval: Duration,
    /// How many partitions are shipped at the same time.
    pub uploads_max: usize,
    /// How many snapshots are uploaded at the same time.
    pub snapshots_max: usize,
    /// How long one request to the bucket may take.
    pub request_timeout: Duration,
    /// The longest wait between attempts that fail.
    pub backoff_max: Duration,
}

impl Default for ShipperOptions {
    fn default() -> Self {
        Self {
            seal_interval: Duration::from_secs(2),
            seal_bytes: 8 << 20,
            close_interval: Duration::from_secs(3),
            snapshot_ratio: 1.0,
            snapshot_log_bytes_min: 64 << 20,
            snapshot_age_max: Duration::from_secs(24 * 3600),
            manifest_segments: 64,
            manifest_interval: Duration::from_secs(300),
            uploads_max: 4,
            snapshots_max: 1,
            request_timeout: Duration::from_secs(60),
            backoff_max: Duration::from_secs(30),
        }
    }
}

/// Ships the partitions that its source leads.
pub struct Shipper {
    _inner: Arc<dyn Source>,
}

impl fmt::Debug for Shipper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shipper").finish_non_exhaustive()
    }
}

impl Shipper {
    /// `cluster` and `node` name where the source is, in the bucket.
    pub fn new(
        _bucket: Bucket,
        _cluster: String,
        _node: String,
        source: Arc<dyn Source>,
        _clock: Arc<dyn Clock>,
        _options: ShipperOptions,
        _metrics: Metrics,
    ) -> Self {
        Self { _inner: source }
    }

    /// Ships until `shutdown` is done, whatever fails.
    pub async fn run(&self, _shutdown: impl Future<Output = ()>) {
        todo!()
    }

    /// What of a table can be restored, as far as this node ships it and as of the last round; from memory.
    /// None if it ships nothing of it.
    pub fn status(&self, _table_id: TableId) -> Option<Recovery> {
        todo!()
    }
}
