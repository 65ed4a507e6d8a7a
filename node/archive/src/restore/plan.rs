//! What a restore reads, partition by partition.

use super::history::{History, State};
use crate::{
    ArchiveError, Bucket,
    backup::BackupRecord,
    layout,
    manifest::SegmentRecord,
    window::{self, Window},
};
use cairn_model::{descriptor::KeyRange, ids::PartitionId, table::TableDefinition, time::Timestamp};
use object_store::path::Path;
use std::sync::Arc;

/// How a table is restored.
#[derive(Debug)]
pub struct RestorePlan {
    /// The source table's, as it was last or as it is in the backup.
    pub definition: TableDefinition,
    /// None for a backup, which is of one moment.
    pub at: Option<Timestamp>,
    /// In the order of their ranges; they cover all keys.
    pub partitions: Vec<PartitionPlan>,
    /// To be read from the bucket.
    pub bytes: u64,
}

/// How one partition of it is restored.
#[derive(Clone, Debug)]
pub struct PartitionPlan {
    /// In the source.
    pub partition_id: PartitionId,
    pub range: KeyRange,
    pub parents: Vec<PartitionId>,
    pub(super) bucket: Bucket,
    pub(super) snapshot: PlannedSnapshot,
    pub(super) segments: Vec<(Path, SegmentRecord)>,
    pub(super) at: Option<Timestamp>,
    /// To tell what can be restored if an object proves damaged; none for a backup.
    state: Option<Arc<State>>,
}

#[derive(Clone, Debug)]
pub(super) struct PlannedSnapshot {
    pub(super) path: Path,
    /// Its index and its entry time; none in a backup, which begins and ends with its snapshot.
    pub(super) end: Option<(u64, Timestamp)>,
    pub(super) bytes: u64,
    pub(super) checksum: u64,
}

impl RestorePlan {
    pub(super) fn at(
        bucket: &Bucket,
        definition: TableDefinition,
        from: Timestamp,
        at: Timestamp,
        histories: Vec<&History>,
    ) -> Result<Self, ArchiveError> {
        let count = histories.len();
        let partitions: Vec<PartitionPlan> =
            histories.into_iter().filter_map(|history| PartitionPlan::at(bucket, from, at, history)).collect();
        if partitions.len() < count {
            let reason = format!("the log since {} ms is not whole", from.millis());
            return Err(ArchiveError::NotRestorable { at, reason, windows: Vec::new(), nearest: None });
        }
        Ok(Self::new(definition, Some(at), partitions))
    }

    pub(super) fn of_backup(bucket: &Bucket, cluster: &str, account: &str, backup: BackupRecord) -> Self {
        let mut partitions: Vec<PartitionPlan> = Vec::with_capacity(backup.partitions.len());
        for partition in backup.partitions {
            let path = layout::backup_folder(cluster, account, &backup.order.backup_id).join(partition.object.as_str());
            let (bytes, checksum) = (partition.bytes, partition.checksum);
            partitions.push(PartitionPlan {
                partition_id: partition.partition_id,
                range: partition.range,
                parents: Vec::new(),
                bucket: bucket.clone(),
                snapshot: PlannedSnapshot { path, end: None, bytes, checksum },
                segments: Vec::new(),
                at: None,
                state: None,
            });
        }
        Self::new(backup.order.definition, None, partitions)
    }

    fn new(definition: TableDefinition, at: Option<Timestamp>, partitions: Vec<PartitionPlan>) -> Self {
        let bytes = partitions.iter().map(PartitionPlan::bytes).sum();
        Self { definition, at, partitions, bytes }
    }
}

impl PartitionPlan {
    fn at(bucket: &Bucket, from: Timestamp, at: Timestamp, history: &History) -> Option<Self> {
        let manifest = &history.state.manifest;
        let (snapshot, segments) = manifest.replay(from, at, &history.state.claims)?;
        Some(Self {
            partition_id: manifest.partition_id,
            range: manifest.range.clone(),
            parents: manifest.parents.clone(),
            bucket: bucket.clone(),
            snapshot: PlannedSnapshot {
                path: history.path.snapshots().join(snapshot.object.as_str()),
                end: Some((snapshot.index, snapshot.entry_time)),
                bytes: snapshot.bytes,
                checksum: snapshot.checksum,
            },
            segments: segments
                .iter()
                .map(|segment| (history.path.log().join(segment.object.as_str()), segment.clone()))
                .collect(),
            at: Some(at),
            state: Some(history.state.clone()),
        })
    }

    /// To be read from the bucket.
    pub fn bytes(&self) -> u64 {
        self.snapshot.bytes + self.segments.iter().map(|(_, segment)| segment.bytes).sum::<u64>()
    }

    /// What it means that `path` cannot be used: the times that need it, and the nearest that doesn't.
    pub(super) fn hole(&self, path: &Path, source: ArchiveError) -> ArchiveError {
        let (Some(at), Some(state)) = (self.at, &self.state) else { return source };
        let manifest = &state.manifest;
        let left = manifest.without_name(path.filename().unwrap_or_default()).windows(&state.claims);
        let lost = window::difference(&manifest.windows(&state.claims), &left);
        let window = lost.into_iter().find(|window| window.contains(at)).unwrap_or(Window { earliest: at, latest: at });
        let nearest = window::nearest(&left, at);
        ArchiveError::Hole { object: path.to_string(), window, nearest, source: Box::new(source) }
    }
}
