//! When and how much is shipped at once.

use std::time::Duration;

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
    /// ...and at least this many bytes, compressed...
    pub snapshot_log_bytes_min: u64,
    /// ...or when it is this old and anything was written since.
    pub snapshot_age_max: Duration,
    /// A manifest is written when this many segments are in none yet...
    pub manifest_segments: usize,
    /// ...or when any are, and none was written for this long.
    pub manifest_interval: Duration,
    /// How often all objects are looked for, and what is past its period is let go.
    pub upkeep_interval: Duration,
    /// Segments are merged when so many small ones lie one after the other...
    pub merge_segments: usize,
    /// ...and are this old.
    pub merge_age: Duration,
    /// How many partitions are shipped at the same time.
    pub uploads_max: usize,
    /// How many snapshots are uploaded at the same time.
    pub snapshots_max: usize,
    /// The longest wait between attempts that fail.
    pub backoff_max: Duration,
    /// For the last round, when a shipper ends.
    pub last_round: Duration,
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
            upkeep_interval: Duration::from_secs(3600),
            merge_segments: 128,
            merge_age: Duration::from_secs(3600),
            uploads_max: 4,
            snapshots_max: 1,
            backoff_max: Duration::from_secs(30),
            last_round: Duration::from_secs(9),
        }
    }
}
