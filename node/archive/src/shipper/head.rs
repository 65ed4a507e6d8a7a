//! What of a partition is in the bucket, as its shipper knows it.

use crate::{
    manifest::{Manifest, SegmentRecord, SnapshotRecord},
    presence::Finding,
    window::Window,
};
use cairn_model::time::Timestamp;

/// What the next segment continues.
pub(super) struct Head {
    pub(super) manifest: Manifest,
    /// How many segments no manifest in the bucket has yet.
    pub(super) unlisted: usize,
    pub(super) manifest_at_ms: u64,
    /// Compressed, after the newest snapshot.
    pub(super) log_bytes: u64,
    pub(super) windows: Vec<Window>,
    /// Objects that cannot be used.
    pub(super) problems: Vec<Finding>,
    /// The partition's log proved to be the one that was archived.
    pub(super) continued: bool,
}

impl Head {
    pub(super) fn new(manifest: Manifest, now_ms: u64) -> Self {
        let newest = manifest.snapshots.last().map_or(0, |snapshot| snapshot.index);
        let after = manifest.segments.iter().filter(|segment| segment.last > newest);
        let log_bytes = after.map(|segment| segment.bytes).sum();
        Self {
            manifest,
            unlisted: 0,
            manifest_at_ms: now_ms,
            log_bytes,
            windows: Vec::new(),
            problems: Vec::new(),
            continued: false,
        }
    }

    pub(super) fn add_segment(&mut self, segment: SegmentRecord) {
        self.log_bytes += segment.bytes;
        self.complete_to(segment.last_time);
        self.manifest.segments.push(segment);
        self.unlisted += 1;
    }

    pub(super) fn add_snapshot(&mut self, snapshot: SnapshotRecord) {
        let at = self.manifest.snapshots.partition_point(|other| other.index <= snapshot.index);
        self.manifest.snapshots.insert(at, snapshot);
        let newest = self.manifest.snapshots.last().map_or(0, |snapshot| snapshot.index);
        let after = self.manifest.segments.iter().rev().take_while(|segment| segment.last > newest);
        self.log_bytes = after.map(|segment| segment.bytes).sum();
    }

    /// The last window grew: what it ends with is continued without a hole.
    pub(super) fn complete_to(&mut self, time: Timestamp) {
        if let Some(window) = self.windows.last_mut() {
            window.latest = window.latest.max(time);
        }
    }

    pub(super) fn problems(&self) -> Vec<String> {
        // Before the first snapshot, nothing could be restored anyway.
        let begin = self.manifest.snapshots.first().map_or(0, |snapshot| snapshot.index);
        let gaps = self.manifest.gaps.iter().filter(|gap| gap.last > begin).map(|gap| {
            format!(
                "entries {} to {} of partition {} were never archived",
                gap.first, gap.last, self.manifest.partition_id
            )
        });
        gaps.chain(self.problems.iter().map(Finding::to_string)).collect()
    }
}
