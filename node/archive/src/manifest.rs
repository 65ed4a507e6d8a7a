//! What the archive holds of a partition: snapshots, the segments between and after them, and what is missing.

use crate::{
    Claim,
    document::hex_u64,
    layout::PartitionPath,
    segment::{Link, SegmentHeader},
    snapshot::StoredSnapshot,
    window::{self, Window},
};
use cairn_model::{
    descriptor::{KeyRange, PartitionDescriptor},
    ids::{PartitionId, TableId},
    time::Timestamp,
};
use object_store::path::Path;
use serde::{Deserialize, Serialize};
use std::{collections::HashSet, ops::Range};

/// `manifests/NUMBER.json`; in memory, also what was added since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    pub(crate) number: u64,
    pub(crate) table_id: TableId,
    pub(crate) partition_id: PartitionId,
    pub(crate) range: KeyRange,
    pub(crate) parents: Vec<PartitionId>,
    /// By index.
    pub(crate) snapshots: Vec<SnapshotRecord>,
    /// By first index; none overlaps another.
    pub(crate) segments: Vec<SegmentRecord>,
    /// Entries that never were archived.
    pub(crate) gaps: Vec<Gap>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SnapshotRecord {
    /// Its name in the partition's `snapshots`.
    pub(crate) object: String,
    pub(crate) index: u64,
    pub(crate) term: u64,
    pub(crate) entry_time: Timestamp,
    /// When it was taken; milliseconds since the Unix epoch.
    pub(crate) taken_at_ms: u64,
    pub(crate) bytes: u64,
    #[serde(with = "hex_u64")]
    pub(crate) checksum: u64,
    /// As a segment's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) closed: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SegmentRecord {
    /// Its name in the partition's `log`.
    pub(crate) object: String,
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// 0 if none of its entries has a time.
    pub(crate) first_time: Timestamp,
    pub(crate) last_time: Timestamp,
    pub(crate) last_term: u64,
    pub(crate) bytes: u64,
    #[serde(with = "hex_u64")]
    pub(crate) checksum: u64,
    /// The time of the last claim about what is in it or before; 0 if none is known. Older programs wrote none: to them the times
    /// of entries were all there was to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) closed: Option<Timestamp>,
}

/// Both inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Gap {
    pub(crate) first: u64,
    pub(crate) last: u64,
}

impl SnapshotRecord {
    pub(crate) fn new(object: String, stored: &StoredSnapshot, taken_at_ms: u64) -> Self {
        let StoredSnapshot { header, bytes, checksum } = *stored;
        let (index, term, entry_time) = (header.index, header.term, header.entry_time);
        Self { object, index, term, entry_time, taken_at_ms, bytes, checksum, closed: Some(Timestamp(0)) }
    }

    /// Up to which time all that was done is in it.
    pub(crate) fn complete_to(&self) -> Timestamp {
        self.closed.unwrap_or(self.entry_time)
    }

    /// Whether it is what the object is; if not, how to say so.
    pub(crate) fn check(&self, stored: &StoredSnapshot) -> Result<(), String> {
        match (Self { closed: self.closed, ..Self::new(self.object.clone(), stored, self.taken_at_ms) }) == *self {
            true => Ok(()),
            false => Err("it is another snapshot than the one that was noted".into()),
        }
    }
}

impl SegmentRecord {
    pub(crate) fn new(object: String, header: &SegmentHeader) -> Self {
        Self {
            object,
            first: header.first,
            last: header.last,
            first_time: header.first_time,
            last_time: header.last_time,
            last_term: header.last_term,
            bytes: header.bytes(),
            checksum: header.checksum(),
            closed: Some(Timestamp(0)),
        }
    }

    /// Up to which time all that was done is in it or before.
    pub(crate) fn complete_to(&self) -> Timestamp {
        self.closed.unwrap_or(self.last_time)
    }

    /// Whether it is what an object's header says; if not, how to say so.
    pub(crate) fn check(&self, header: &SegmentHeader) -> Result<(), String> {
        match (Self { closed: self.closed, ..Self::new(self.object.clone(), header) }) == *self {
            true => Ok(()),
            false => Err("it is another segment than the one that was noted".into()),
        }
    }

    pub(crate) fn link(&self) -> Link {
        Link { first: self.first, checksum: self.checksum }
    }
}

impl Manifest {
    /// The first one of a partition of which nothing is archived yet.
    pub(crate) fn empty(descriptor: &PartitionDescriptor) -> Self {
        Self {
            number: 0,
            table_id: descriptor.table_id,
            partition_id: descriptor.partition_id,
            range: descriptor.range.clone(),
            parents: descriptor.parents.clone(),
            snapshots: Vec::new(),
            segments: Vec::new(),
            gaps: Vec::new(),
        }
    }

    /// The last entry that needs no archiving any more: archived itself, in a snapshot, or lost.
    pub(crate) fn head(&self) -> u64 {
        let segments = self.segments.last().map_or(0, |segment| segment.last);
        let gaps = self.gaps.last().map_or(0, |gap| gap.last);
        // A later snapshot doesn't count: the log goes on up to it, so that the times before it stay whole.
        let first_snapshot = self.snapshots.first().map_or(0, |snapshot| snapshot.index);
        let head = segments.max(gaps);
        if head == 0 { first_snapshot } else { head }
    }

    /// What the segment after the head has to follow; none where a chain begins.
    pub(crate) fn link(&self) -> Option<Link> {
        self.segments.last().filter(|segment| segment.last == self.head()).map(SegmentRecord::link)
    }

    /// The segments that hold the entries after `index` without a hole, as far as there are.
    pub(crate) fn run_after(&self, index: u64) -> Range<usize> {
        let start = self.segments.partition_point(|segment| segment.last <= index);
        let mut next = index + 1;
        let mut end = start;
        for segment in &self.segments[start..] {
            if segment.first > next {
                break;
            }
            next = segment.last + 1;
            end += 1;
        }
        start..end
    }

    /// Notes a claim with what it is about, if that is here.
    pub(crate) fn close(&mut self, claim: Claim) {
        let segment = self.segments.partition_point(|segment| segment.last < claim.index);
        let snapshot = self.snapshots.partition_point(|snapshot| snapshot.index < claim.index);
        if let Some(segment) = self.segments.get_mut(segment) {
            segment.closed = Some(segment.complete_to().max(claim.time));
        } else if let Some(snapshot) = self.snapshots.get_mut(snapshot) {
            snapshot.closed = Some(snapshot.complete_to().max(claim.time));
        }
    }

    /// Up to which time everything is known that a snapshot and the segments after it hold. That an entry is stamped later says
    /// nothing: one that commits what was decided before may follow it.
    fn complete_to(&self, snapshot: &SnapshotRecord, claims: &[Claim]) -> Timestamp {
        let run = &self.segments[self.run_after(snapshot.index)];
        let end = run.last().map_or(snapshot.index, |segment| segment.last);
        let closed = run.iter().map(SegmentRecord::complete_to).max().unwrap_or_default();
        let claimed = claims.iter().filter(|claim| claim.index <= end).map(|claim| claim.time).max();
        snapshot.complete_to().max(closed).max(claimed.unwrap_or_default())
    }

    /// The times the partition can be restored to.
    pub(crate) fn windows(&self, claims: &[Claim]) -> Vec<Window> {
        let window = |snapshot: &SnapshotRecord| Window {
            earliest: snapshot.entry_time,
            latest: self.complete_to(snapshot, claims),
        };
        let windows = self.snapshots.iter().map(window).filter(|window| window.earliest <= window.latest);
        window::merge(windows.collect())
    }

    /// The earliest time that can be restored to without what lies before the last gap.
    pub(crate) fn begin(&self) -> Option<Timestamp> {
        let gap = self.gaps.last().map_or(0, |gap| gap.last);
        self.snapshots.iter().find(|snapshot| snapshot.index >= gap).map(|snapshot| snapshot.entry_time)
    }

    /// The newest snapshot not after `from` from which the partition can be restored as of `at`, and the segments to read
    /// after it.
    pub(crate) fn replay(
        &self,
        from: Timestamp,
        at: Timestamp,
        claims: &[Claim],
    ) -> Option<(&SnapshotRecord, &[SegmentRecord])> {
        let usable = |snapshot: &&SnapshotRecord| {
            snapshot.entry_time <= from.min(at) && at <= self.complete_to(snapshot, claims)
        };
        let snapshot = self.snapshots.iter().rev().find(usable)?;
        let run = &self.segments[self.run_after(snapshot.index)];
        let proved = claims.iter().filter(|claim| claim.time >= at).map(|claim| claim.index).min();
        let (mut needed, mut end) = (0, snapshot.index);
        for segment in run {
            let is_proved =
                proved.is_some_and(|index| index <= end) || snapshot.closed.is_some_and(|closed| closed >= at);
            if is_proved || (segment.closed.is_none() && segment.first_time > at) {
                break;
            }
            (needed, end) = (needed + 1, segment.last);
            if segment.complete_to() >= at {
                break;
            }
        }
        Some((snapshot, &run[..needed]))
    }

    /// Puts one segment in the place of those that were merged to it; false if they are not all there any more.
    pub(crate) fn replace(&mut self, merged: SegmentRecord) -> bool {
        let start = self.segments.iter().position(|segment| segment.first == merged.first);
        let end = self.segments.iter().position(|segment| segment.last == merged.last);
        match (start, end) {
            (Some(start), Some(end)) if start <= end => {
                self.segments.splice(start..=end, [merged]);
                true
            }
            _ => false,
        }
    }

    /// The newest snapshot that is not after `start`: what is before it, no restore to `start` or later needs.
    pub(crate) fn base(&self, start: Timestamp) -> Option<u64> {
        self.snapshots.iter().rfind(|snapshot| snapshot.entry_time <= start).map(|snapshot| snapshot.index)
    }

    /// Drops what only restores need that begin before the snapshot at `base`; true if that is anything.
    pub(crate) fn let_go(&mut self, base: u64) -> bool {
        let snapshots = self.snapshots.partition_point(|snapshot| snapshot.index < base);
        let segments = self.segments.partition_point(|segment| segment.last <= base);
        // The last one is what the next has to follow.
        let segments = segments.min(self.segments.len().saturating_sub(1));
        self.snapshots.drain(..snapshots);
        self.segments.drain(..segments);
        // As is the gap that the log ends with.
        let end = self.segments.last().map_or(0, |segment| segment.last);
        self.gaps.retain(|gap| gap.last > base || gap.last > end);
        snapshots > 0 || segments > 0
    }

    /// As it would be if these objects, by their paths, were not there.
    pub(crate) fn without(mut self, path: &PartitionPath, objects: &[String]) -> Self {
        if !objects.is_empty() {
            let lost: HashSet<&str> = objects.iter().map(String::as_str).collect();
            let is_lost = |folder: Path, name: &str| lost.contains(folder.join(name).as_ref());
            self.snapshots.retain(|snapshot| !is_lost(path.snapshots(), &snapshot.object));
            self.segments.retain(|segment| !is_lost(path.log(), &segment.object));
        }
        self
    }

    /// As it would be if the object of this name were not there.
    pub(crate) fn without_name(&self, name: &str) -> Self {
        let mut manifest = self.clone();
        manifest.snapshots.retain(|snapshot| snapshot.object != name);
        manifest.segments.retain(|segment| segment.object != name);
        manifest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Segments up to 50, a gap up to 100, and a snapshot there.
    fn begun_anew() -> Manifest {
        let segment = |first: u64, last: u64| SegmentRecord {
            object: format!("{first}"),
            first,
            last,
            first_time: Timestamp(first),
            last_time: Timestamp(last),
            last_term: 1,
            bytes: 1,
            checksum: first,
            closed: None,
        };
        let snapshot = |index: u64| SnapshotRecord {
            object: format!("{index}"),
            index,
            term: 1,
            entry_time: Timestamp(index),
            taken_at_ms: 1,
            bytes: 1,
            checksum: index,
            closed: None,
        };
        Manifest {
            number: 1,
            table_id: TableId([1; 16]),
            partition_id: PartitionId([2; 16]),
            range: KeyRange::default(),
            parents: Vec::new(),
            snapshots: vec![snapshot(5), snapshot(100)],
            segments: vec![segment(6, 30), segment(31, 50)],
            gaps: vec![Gap { first: 51, last: 100 }],
        }
    }

    #[test]
    fn the_log_goes_on_where_it_did_when_what_is_before_a_gap_is_let_go() {
        let mut manifest = begun_anew();
        assert!(manifest.let_go(100));
        assert_eq!((manifest.snapshots.len(), manifest.segments.len()), (1, 1));
        assert_eq!((manifest.head(), manifest.link()), (100, None));
        // And again, while nothing is written.
        assert!(!manifest.let_go(100));
        assert_eq!(manifest.head(), 100);
    }

    #[test]
    fn a_gap_goes_with_what_is_before_it_once_the_log_went_on() {
        let mut manifest = begun_anew();
        let next = SegmentRecord { first: 101, last: 120, ..manifest.segments[1].clone() };
        manifest.segments.push(next);
        assert!(manifest.let_go(100));
        assert_eq!((manifest.gaps.len(), manifest.head()), (0, 120));
    }

    fn window(earliest: u64, latest: u64) -> Window {
        Window { earliest: Timestamp(earliest), latest: Timestamp(latest) }
    }

    /// As they are written since claims are noted.
    fn with_claims() -> Manifest {
        let mut manifest = begun_anew();
        manifest.segments.iter_mut().for_each(|segment| segment.closed = Some(Timestamp(0)));
        manifest.snapshots.iter_mut().for_each(|snapshot| snapshot.closed = Some(Timestamp(0)));
        manifest
    }

    #[test]
    fn to_segments_of_older_programs_the_times_of_entries_are_all_there_is() {
        assert_eq!(
            begun_anew().windows(&[Claim { index: 100, time: Timestamp(120) }]),
            [window(5, 50), window(100, 120)]
        );
    }

    #[test]
    fn how_far_all_is_there_is_told_by_claims_and_stays_known_behind_a_gap() {
        let mut manifest = with_claims();
        assert_eq!(manifest.windows(&[]), []);
        manifest.close(Claim { index: 31, time: Timestamp(45) });
        manifest.close(Claim { index: 40, time: Timestamp(44) });
        assert_eq!(manifest.windows(&[]), [window(5, 45)]);
        manifest.close(Claim { index: 100, time: Timestamp(120) });
        assert_eq!(manifest.windows(&[]), [window(5, 45), window(100, 120)], "what is in a snapshot alone, too");
    }

    #[test]
    fn a_restore_reads_up_to_the_claim_that_makes_its_time_restorable() {
        let mut manifest = with_claims();
        manifest.close(Claim { index: 30, time: Timestamp(20) });
        manifest.close(Claim { index: 50, time: Timestamp(45) });
        let read = |at, claims: &[Claim]| {
            let (_, segments) = manifest.replay(Timestamp(at), Timestamp(at), claims).unwrap();
            segments.len()
        };
        assert_eq!((read(20, &[]), read(21, &[])), (1, 2));
        assert_eq!(read(5, &[Claim { index: 5, time: Timestamp(5) }]), 0);
        assert_eq!(read(25, &[Claim { index: 28, time: Timestamp(25) }]), 1);
    }
}
