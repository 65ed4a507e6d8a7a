//! The shipping of one partition, round by round.
//!
//! A round continues what is in the bucket. After any failure the next one looks there anew: an upload that seemed to
//! fail may be there, and another node may have shipped meanwhile. Both are fine, since the committed log is the same
//! everywhere and an object is never overwritten.

use super::{Shared, head::Head};
use crate::{
    ArchiveError, Claim, SourceError, SourcePartition, SourceSnapshot, TablePath,
    archived::{self, Archived, ClosedDocument},
    document,
    layout::PartitionPath,
    manifest::{Gap, Manifest, SegmentRecord, SnapshotRecord},
    merging,
    presence::{self, Finding},
    retention, segment, snapshot, table, tail,
};
use cairn_model::{ids::PartitionId, table::TableDefinition, time::Timestamp};
use cairn_replication::{log::LogEntry, restore::prepares};
use std::sync::Arc;
use tokio::task::JoinSet;

/// Older ones are kept in case the newest is damaged.
const MANIFESTS_KEPT: u64 = 4;
/// Then claims, manifests and snapshots have their turn.
const SEGMENTS_A_ROUND: usize = 32;

pub(super) struct Worker {
    shared: Arc<Shared>,
    id: PartitionId,
    table: TablePath,
    path: PartitionPath,
    /// What is in the bucket, as far as it is known.
    head: Option<Head>,
    /// The definition that is in the bucket.
    definition: Option<TableDefinition>,
    /// The snapshot under way, if there is one; it goes on whatever fails beside it.
    snapshot: JoinSet<Result<SnapshotRecord, ArchiveError>>,
    closed_at_ms: Option<u64>,
    /// The look at all objects that is under way, if there is one.
    upkeep: JoinSet<Result<Upkeep, ArchiveError>>,
    /// When the last one began; at first, when this did.
    kept_up_at_ms: u64,
    /// Why the last one deleted nothing.
    wrong_clock: Option<ArchiveError>,
}

/// What a look at all objects found and made.
struct Upkeep {
    found: Vec<Finding>,
    merged: Vec<SegmentRecord>,
    /// The time, if the store's clock agrees.
    now_ms: Result<u64, ArchiveError>,
}

enum Shipped {
    Committed,
    /// The log begins behind what was due.
    Lost {
        first: u64,
    },
}

impl Worker {
    pub(super) fn new(shared: Arc<Shared>, partition: &SourcePartition) -> Self {
        let table = TablePath {
            cluster: shared.cluster.clone(),
            account: partition.definition.account.clone(),
            table_id: partition.definition.table_id,
        };
        let id = partition.descriptor.partition_id;
        let path = table.partition(id);
        let kept_up_at_ms = shared.clock.now().boot_ms;
        Self {
            shared,
            id,
            table,
            path,
            head: None,
            definition: None,
            snapshot: JoinSet::new(),
            closed_at_ms: None,
            upkeep: JoinSet::new(),
            kept_up_at_ms,
            wrong_clock: None,
        }
    }

    /// The next round claims, however short ago the last claim was.
    pub(super) fn claim_anew(&mut self) {
        self.closed_at_ms = None;
    }

    pub(super) async fn round(&mut self, partition: &SourcePartition) -> Result<(), ArchiveError> {
        let done = match self.try_round(partition).await {
            // It will not be asked for this one much longer.
            Err(ArchiveError::Source(SourceError::NotLeader)) => Ok(()),
            done => done,
        };
        if let (Ok(()), Some(head)) = (&done, &self.head)
            && head.continued
        {
            let wrong_clock = self.wrong_clock.iter().map(ToString::to_string);
            let problems = head.problems().into_iter().chain(wrong_clock).collect();
            self.shared.statuses.succeeded(partition, head.windows.clone(), problems);
        }
        done
    }

    async fn try_round(&mut self, partition: &SourcePartition) -> Result<(), ArchiveError> {
        if self.definition.as_ref() != Some(&partition.definition) {
            let now_ms = self.shared.clock.now().wall_ms;
            table::keep(&self.shared.bucket, &self.table, &partition.definition, now_ms).await?;
            self.definition = Some(partition.definition.clone());
        }
        let mut head = match self.head.take() {
            Some(head) => head,
            None => self.load(partition).await?,
        };
        head.manifest.range = partition.descriptor.range.clone();
        head.manifest.parents = partition.descriptor.parents.clone();
        let shipped = self.advance(&mut head, partition).await;
        // What is known to be there stays known where only the source failed.
        if matches!(shipped, Ok(()) | Err(ArchiveError::Source(_))) {
            self.head = Some(head);
        }
        shipped
    }

    async fn advance(&mut self, head: &mut Head, partition: &SourcePartition) -> Result<(), ArchiveError> {
        let (claim, unclaimed) = match self.claim(head).await {
            Ok(claim) => (claim, Ok(())),
            // A node that has too much to do for a claim can ship what it has.
            Err(error @ ArchiveError::Source(SourceError::Failed(_))) => (None, Err(error)),
            Err(error) => return Err(error),
        };
        if !head.continued {
            head.continued = self.continues(&head.manifest).await?;
            if !head.continued {
                return unclaimed;
            }
            self.shared.source.archived(self.id, head.manifest.head());
        }
        if let Shipped::Lost { first } = self.ship(head).await? {
            let last = head.manifest.head();
            let next = self.path.segment(last + 1);
            match self.shared.bucket.head(&next).await {
                // Another node shipped it meanwhile: the next round goes on after it.
                Ok(_) => return Err(ArchiveError::Exists { object: next.to_string() }),
                Err(ArchiveError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
            tracing::warn!(partition = %self.id, last, first, "the log went before it was archived: beginning anew");
            let unlisted = Head::new(head.manifest.clone(), self.now_ms());
            *head = self.begin(unlisted, 0).await?;
        }
        if let Some(claim) = claim {
            self.write_claim(head, claim).await?;
        }
        if let Some(taken) = self.snapshot.try_join_next() {
            let taken = taken.map_err(|_| ArchiveError::Interrupted { object: self.path.snapshots().to_string() });
            head.add_snapshot(taken.flatten()?);
            self.write_manifest(head).await?;
        }
        let options = &self.shared.options;
        let waited_ms = self.now_ms().saturating_sub(head.manifest_at_ms);
        if head.unlisted >= options.manifest_segments
            || (head.unlisted > 0 && waited_ms >= options.manifest_interval.as_millis() as u64)
        {
            self.write_manifest(head).await?;
        }
        let upkeep_ms = options.upkeep_interval.as_millis() as u64;
        if self.upkeep.is_empty() && self.now_ms().saturating_sub(self.kept_up_at_ms) >= upkeep_ms {
            self.begin_upkeep(head);
        }
        if let Some(found) = self.upkeep.try_join_next() {
            let found = found.map_err(|_| ArchiveError::Interrupted { object: self.path.log().to_string() });
            self.finish_upkeep(head, found.flatten()?, &partition.definition).await?;
        }
        if self.snapshot.is_empty() && self.snapshot_is_due(head) {
            self.begin_snapshot();
        }
        unclaimed
    }

    /// Looks for all objects, deletes those that nothing needs any more, and merges small ones; beside the rounds, since it takes long.
    fn begin_upkeep(&mut self, head: &Head) {
        self.kept_up_at_ms = self.now_ms();
        // Looked at anew: it may be marked deleted by now, or damaged.
        self.definition = None;
        let (shared, path, manifest) = (self.shared.clone(), self.path.clone(), head.manifest.clone());
        self.upkeep.spawn(async move {
            let now_ms = match retention::agreed_ms(&shared.bucket, &*shared.clock).await {
                Err(error) if !matches!(error, ArchiveError::Clock { .. }) => return Err(error),
                agreed => agreed,
            };
            if let Ok(now_ms) = now_ms {
                // What was let go of the last time: a restore that was under way then is over.
                retention::delete_unlisted(&shared.bucket, &path, &manifest, now_ms).await?;
            }
            let found = presence::check(&shared.bucket, &path, &manifest).await?;
            let mut merged = Vec::new();
            if let (Ok(now_ms), true) = (&now_ms, found.is_empty()) {
                let before = Timestamp::from_millis(now_ms.saturating_sub(shared.options.merge_age.as_millis() as u64));
                merged =
                    merging::merge(&shared.bucket, &path, &manifest, before, shared.options.merge_segments).await?;
            }
            Ok(Upkeep { found, merged, now_ms })
        });
    }

    /// Lets go of what is past its period, and mends what can be.
    async fn finish_upkeep(
        &mut self,
        head: &mut Head,
        Upkeep { found, merged, now_ms }: Upkeep,
        definition: &TableDefinition,
    ) -> Result<(), ArchiveError> {
        let lost: Vec<String> = found.iter().map(|finding| finding.object.clone()).collect();
        head.problems = found;
        let usable = head.manifest.clone().without(&self.path, &lost);
        let claims = archived::claims(&self.shared.bucket, &self.path).await?;
        head.windows = usable.windows(&claims);
        // Past a hole, only a snapshot makes the table restorable again.
        let hole = head.manifest.segments.iter().rev().find(|segment| !usable.segments.contains(segment));
        let newest = usable.snapshots.last().map_or(0, |snapshot| snapshot.index);
        if self.snapshot.is_empty() && (usable.snapshots.is_empty() || hole.is_some_and(|hole| hole.last > newest)) {
            self.begin_snapshot();
        }
        let days = definition.continuous_backups.map(|on| u64::from(on.recovery_period_days));
        let start = match (&now_ms, days) {
            (Ok(now_ms), Some(days)) => Some(Timestamp::from_millis(now_ms.saturating_sub(days * retention::DAY_MS))),
            _ => None,
        };
        self.wrong_clock = now_ms.err();
        let mut changed = false;
        for segment in merged {
            changed |= head.manifest.replace(segment);
        }
        if let Some(base) = start.and_then(|start| usable.base(start)) {
            changed |= head.manifest.let_go(base);
        }
        if changed {
            self.write_manifest(head).await?;
        }
        Ok(())
    }

    /// Measures intervals; goes on while the wall's clock jumps.
    fn now_ms(&self) -> u64 {
        self.shared.clock.now().boot_ms
    }

    /// Finds out what is in the bucket, and begins there where nothing can be continued.
    async fn load(&mut self, partition: &SourcePartition) -> Result<Head, ArchiveError> {
        let Some(archived) = archived::load(&self.shared.bucket, &self.path).await? else {
            return self.begin(Head::new(Manifest::empty(&partition.descriptor), self.now_ms()), 0).await;
        };
        let Archived { manifest, unlisted, broken, highest, problems } = archived;
        let mut head = Head::new(manifest, self.now_ms());
        (head.unlisted, head.problems) = (unlisted, problems);
        let claims = archived::claims(&self.shared.bucket, &self.path).await?;
        tail::complete(&self.shared.bucket, &self.path, &mut head.manifest, &claims).await?;
        claims.iter().for_each(|claim| head.manifest.close(*claim));
        if let Some(broken) = broken {
            tracing::warn!(%broken, "the archived log cannot be continued: beginning anew");
            return self.begin(head, highest).await;
        }
        // With that, what is shipped from now on tells by itself how far it is complete.
        let index = head.manifest.head();
        let closed = head.manifest.segments.last().map(SegmentRecord::complete_to);
        let claimed = claims.iter().filter(|claim| claim.index <= index).map(|claim| claim.time).max();
        head.prepares.claim(Claim { index, time: closed.max(claimed).unwrap_or_default() });
        head.windows = head.manifest.windows(&claims);
        Ok(head)
    }

    /// Whether the partition's log has the entry that the archive ends with; false where it has not come there yet.
    async fn continues(&self, manifest: &Manifest) -> Result<bool, ArchiveError> {
        let index = manifest.head();
        let segment = manifest.segments.last().filter(|segment| segment.last == index);
        let snapshot = manifest.snapshots.iter().find(|snapshot| snapshot.index == index);
        let segment = segment.map(|segment| (segment.last_term, segment.last_time));
        let snapshot = snapshot.map(|snapshot| (snapshot.term, snapshot.entry_time));
        let Some((term, newest)) = segment.or(snapshot) else { return Ok(true) };
        let entries = match self.shared.source.entries(self.id, index, 1).await {
            // The log goes on after it.
            Err(SourceError::Compacted { .. }) => return Ok(true),
            entries => entries?,
        };
        let Some((entry, time)) = entries.first().filter(|(entry, _)| entry.index == index) else { return Ok(false) };
        // A copy of the partition may have gone on in the same term.
        if entry.term != term || (time.0 != 0 && *time != newest) {
            let reason = format!(
                "in term {term} and with time {}, where the partition's is of term {} and time {}",
                newest.0, entry.term, time.0
            );
            return Err(ArchiveError::Diverged { partition_id: self.id, index, reason });
        }
        Ok(true)
    }

    /// Begins, or begins again after a hole, with a snapshot; it has to be at or after entry `at_least`.
    async fn begin(&self, mut head: Head, at_least: u64) -> Result<Head, ArchiveError> {
        let permit = self.shared.snapshots.acquire().await;
        let taken_at_ms = self.shared.clock.now().wall_ms;
        let snapshot = self.shared.source.snapshot(self.id).await?;
        let last = head.manifest.head();
        if snapshot.index < at_least.max(last) {
            let reason = format!(
                "and the partition, at entry {}, has not reached entry {}, from which it could be archived anew",
                snapshot.index,
                at_least.max(last)
            );
            return Err(ArchiveError::Damaged { object: self.path.segment(last + 1).to_string(), reason });
        }
        let record = upload_snapshot(&self.shared, &self.path, snapshot, taken_at_ms).await?;
        drop(permit);
        if last > 0 && record.index > last {
            head.manifest.gaps.push(Gap { first: last + 1, last: record.index });
        }
        head.prepares.begin(record.entry_time);
        head.add_snapshot(record);
        head.continued = true;
        self.write_manifest(&mut head).await?;
        let claims = archived::claims(&self.shared.bucket, &self.path).await?;
        head.windows = head.manifest.windows(&claims);
        self.shared.source.archived(self.id, head.manifest.head());
        Ok(head)
    }

    /// A claim, if one is due. It proves that this node leads and has all that ever was committed: less than the archive
    /// has, it cannot be.
    async fn claim(&mut self, head: &Head) -> Result<Option<Claim>, ArchiveError> {
        let now_ms = self.now_ms();
        let interval_ms = self.shared.options.close_interval.as_millis() as u64;
        if head.continued && self.closed_at_ms.is_some_and(|at_ms| now_ms.saturating_sub(at_ms) < interval_ms) {
            return Ok(None);
        }
        let claim = self.shared.source.close(self.id).await?;
        let index = head.manifest.head();
        if claim.index < index {
            let reason = format!("all that the partition ever committed ends with entry {}", claim.index);
            return Err(ArchiveError::Diverged { partition_id: self.id, index, reason });
        }
        self.closed_at_ms = Some(now_ms);
        Ok(Some(claim))
    }

    /// Ships what is committed, as much as one round may.
    async fn ship(&self, head: &mut Head) -> Result<Shipped, ArchiveError> {
        let Shared { source, options, metrics, .. } = &*self.shared;
        let _permit = self.shared.uploads.acquire().await;
        for _ in 0..SEGMENTS_A_ROUND {
            let next = head.manifest.head() + 1;
            let entries = match source.entries(self.id, next, options.seal_bytes).await {
                Err(SourceError::Compacted { first }) if first > next => return Ok(Shipped::Lost { first }),
                entries => entries?,
            };
            if entries.is_empty() {
                break;
            }
            let path = self.path.segment(next);
            let newest = head.manifest.segments.last().map(|segment| segment.last_time).unwrap_or_default();
            check_entries(&entries, next, newest)
                .map_err(|reason| ArchiveError::Damaged { object: path.to_string(), reason })?;
            let full =
                entries.iter().map(|(entry, _)| entry.payload.len() as u64).sum::<u64>() > options.seal_bytes / 2;
            let (id, link) = (self.id, head.manifest.link());
            let sealed = tokio::task::spawn_blocking(move || {
                let prepares = entries.iter().filter(|(entry, _)| prepares(entry)).map(|(_, time)| *time).collect();
                segment::seal(id, &entries, link).map(|(header, object)| (header, object, prepares))
            });
            let sealed = sealed.await.map_err(|_| ArchiveError::Interrupted { object: path.to_string() })?;
            let (header, object, prepares): (_, _, Vec<Timestamp>) = sealed
                .map_err(|error| ArchiveError::Damaged { object: path.to_string(), reason: error.to_string() })?;
            let bytes = object.len() as u64;
            self.shared.bucket.create(&path, object).await?;
            metrics.segments.inc();
            metrics.segment_bytes.inc_by(bytes);
            self.wrote();
            head.add_segment(SegmentRecord::new(path.filename().unwrap_or_default().to_owned(), &header), prepares);
            source.archived(self.id, header.last);
            if !full {
                break;
            }
        }
        Ok(Shipped::Committed)
    }

    async fn write_claim(&self, head: &mut Head, claim: Claim) -> Result<(), ArchiveError> {
        // It would tell nothing yet; the next one will.
        if claim.index > head.manifest.head() {
            return Ok(());
        }
        head.claimed(claim);
        // What was shipped since may be all there is up to a later time.
        let Claim { index, time } =
            Some(head.complete()).filter(|complete| complete.time > claim.time).unwrap_or(claim);
        let path = self.path.closed(&self.shared.node);
        let document = ClosedDocument { index, time, segments: head.closed_segments() };
        self.shared.bucket.overwrite(&path, document::encode(&path, &document)?).await?;
        self.wrote();
        Ok(())
    }

    /// Writes the next manifest, which must not be there yet.
    async fn write_manifest(&self, head: &mut Head) -> Result<(), ArchiveError> {
        let bucket = &self.shared.bucket;
        head.manifest.number += 1;
        let path = self.path.manifest(head.manifest.number);
        bucket.create(&path, document::encode(&path, &head.manifest)?).await?;
        self.wrote();
        head.unlisted = 0;
        head.manifest_at_ms = self.now_ms();
        if let Some(old) = head.manifest.number.checked_sub(MANIFESTS_KEPT).filter(|number| *number > 0) {
            bucket.delete(&self.path.manifest(old)).await?;
        }
        Ok(())
    }

    fn snapshot_is_due(&self, head: &Head) -> bool {
        let options = &self.shared.options;
        let Some(newest) = head.manifest.snapshots.last() else { return false };
        let by_ratio = (newest.bytes as f64 * options.snapshot_ratio) as u64;
        let age_ms = self.shared.clock.now().wall_ms.saturating_sub(newest.taken_at_ms);
        head.log_bytes >= by_ratio.max(options.snapshot_log_bytes_min)
            || (age_ms >= options.snapshot_age_max.as_millis() as u64 && head.manifest.head() > newest.index)
    }

    fn begin_snapshot(&mut self) {
        let (shared, path, id) = (self.shared.clone(), self.path.clone(), self.id);
        self.snapshot.spawn(async move {
            let _permit = shared.snapshots.acquire().await;
            let taken_at_ms = shared.clock.now().wall_ms;
            let snapshot = shared.source.snapshot(id).await?;
            upload_snapshot(&shared, &path, snapshot, taken_at_ms).await
        });
    }

    fn wrote(&self) {
        self.shared.metrics.last_success_seconds.set((self.shared.clock.now().wall_ms / 1000) as i64);
    }
}

async fn upload_snapshot(
    shared: &Shared,
    path: &PartitionPath,
    snapshot: SourceSnapshot,
    taken_at_ms: u64,
) -> Result<SnapshotRecord, ArchiveError> {
    let object = path.snapshot(snapshot.index);
    let stored = snapshot::upload(&shared.bucket, &object, snapshot).await?;
    shared.metrics.snapshots.inc();
    shared.metrics.snapshot_bytes.inc_by(stored.bytes);
    Ok(SnapshotRecord::new(object.filename().unwrap_or_default().to_owned(), &stored, taken_at_ms))
}

/// Whether the source keeps what [`crate::Source::entries`] promises.
fn check_entries(entries: &[(LogEntry, Timestamp)], first: u64, mut newest: Timestamp) -> Result<(), String> {
    for (expected, (entry, time)) in (first..).zip(entries) {
        if entry.index != expected {
            return Err(format!("the partition gave entry {} where {expected} was due", entry.index));
        }
        if time.0 != 0 && *time <= newest {
            return Err(format!("the partition gave entry {expected} a time that is not above those before it"));
        }
        newest = newest.max(*time);
    }
    Ok(())
}
