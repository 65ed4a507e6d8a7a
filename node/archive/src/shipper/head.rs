//! What of a partition is in the bucket, as its shipper knows it.

use crate::{
    Claim,
    archived::ClosedSegment,
    manifest::{Manifest, SegmentRecord, SnapshotRecord},
    prepares::Prepares,
    presence::Finding,
    window::Window,
};
use cairn_model::time::Timestamp;

/// A manifest has them long before there are as many.
const CLOSED_SEGMENTS_MAX: usize = 256;

/// What the next segment continues.
pub(super) struct Head {
    pub(super) manifest: Manifest,
    /// How many segments no manifest in the bucket has yet.
    pub(super) unlisted: usize,
    pub(super) manifest_at_ms: u64,
    /// Compressed, after the newest snapshot.
    pub(super) log_bytes: u64,
    pub(super) windows: Vec<Window>,
    pub(super) prepares: Prepares,
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
        let mut prepares = Prepares::default();
        let segments = manifest.segments.last().map(|segment| segment.last_time);
        let snapshots = manifest.snapshots.last().map(|snapshot| snapshot.entry_time);
        prepares.begin(segments.max(snapshots).unwrap_or_default());
        Self {
            manifest,
            unlisted: 0,
            manifest_at_ms: now_ms,
            log_bytes,
            windows: Vec::new(),
            prepares,
            problems: Vec::new(),
            continued: false,
        }
    }

    /// The next one, which prepares transactions at these times.
    pub(super) fn add_segment(&mut self, segment: SegmentRecord, prepares: Vec<Timestamp>) {
        self.prepares.pass(prepares, segment.last_time);
        self.log_bytes += segment.bytes;
        self.manifest.segments.push(segment);
        self.unlisted += 1;
        self.close(self.complete());
    }

    /// All that was done up to its time is in the archive, as far as that is known.
    pub(super) fn complete(&self) -> Claim {
        Claim { index: self.manifest.head(), time: self.prepares.complete_to() }
    }

    pub(super) fn add_snapshot(&mut self, snapshot: SnapshotRecord) {
        let at = self.manifest.snapshots.partition_point(|other| other.index <= snapshot.index);
        self.manifest.snapshots.insert(at, snapshot);
        let newest = self.manifest.snapshots.last().map_or(0, |snapshot| snapshot.index);
        let after = self.manifest.segments.iter().rev().take_while(|segment| segment.last > newest);
        self.log_bytes = after.map(|segment| segment.bytes).sum();
    }

    /// How far those are complete that no manifest in the bucket has, of the newest of them; and the newest snapshot.
    pub(super) fn closed_segments(&self) -> Vec<ClosedSegment> {
        let count = self.unlisted.min(CLOSED_SEGMENTS_MAX);
        let unlisted = &self.manifest.segments[self.manifest.segments.len().saturating_sub(count)..];
        let closed = unlisted.iter().map(|segment| ClosedSegment { last: segment.last, time: segment.complete_to() });
        let snapshot = self.manifest.snapshots.last();
        let of_snapshot = snapshot.map(|snapshot| ClosedSegment { last: snapshot.index, time: snapshot.complete_to() });
        closed.chain(of_snapshot).filter(|closed| closed.time.0 > 0).collect()
    }

    /// The node has claimed it, and all that the claim is about is there.
    pub(super) fn claimed(&mut self, claim: Claim) {
        self.prepares.claim(claim);
        self.close(claim);
        self.close(self.complete());
    }

    /// All that a claim is about is there: what the last window ends with is continued without a hole.
    fn close(&mut self, claim: Claim) {
        self.manifest.close(claim);
        let Some(earliest) = self.manifest.begin() else { return };
        match self.windows.last_mut().filter(|window| window.latest >= earliest) {
            Some(window) => window.latest = window.latest.max(claim.time),
            None if claim.time >= earliest => self.windows.push(Window { earliest, latest: claim.time }),
            None => {}
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
