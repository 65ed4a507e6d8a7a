//! A backup of what a partition holds now, from a node into the bucket.

use bytes::Bytes;
use cairn_archive::{
    ArchiveError, Bucket, Claim, Source, SourceError, SourceSnapshot,
    backup::{self, BackupOrder, BackupRecord},
};
use cairn_model::{archive::ArchiveOwner, ids::PartitionId};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// For a node to apply what it knows to be committed.
const CATCH_UP_ATTEMPTS: u32 = 50;
const CATCH_UP_PAUSE: Duration = Duration::from_millis(100);

/// How many bytes of a partition's snapshot are on their way into the bucket, or there.
#[derive(Debug, Default)]
pub(crate) struct BackupProgress(AtomicU64);

impl BackupProgress {
    pub(crate) fn bytes_done(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Makes the backup of all that was committed when the node was asked for `claim`, which proved that it led, and maybe
/// more. A backup that is there under this id, from whomever, is as good.
pub(crate) async fn back_up(
    source: &dyn Source,
    bucket: &Bucket,
    owner: &ArchiveOwner,
    (partition, claim): (PartitionId, Claim),
    order: BackupOrder,
    progress: Arc<BackupProgress>,
) -> Result<BackupRecord, ArchiveError> {
    let snapshot = snapshot(source, partition, claim).await?;
    if snapshot.descriptor.table_id != order.definition.table_id {
        let (table, other) = (order.definition.table_id, snapshot.descriptor.table_id);
        let reason = format!("partition {partition} is of the table {other}, not of {table}");
        return Err(SourceError::Failed(reason.into()).into());
    }
    let id = order.backup_id.clone();
    let counted = counted(snapshot, progress);
    match backup::create(bucket, &owner.region, &owner.account, order, vec![counted]).await {
        Err(ArchiveError::Exists { .. }) => backup::get(bucket, &owner.region, &owner.account, &id).await,
        created => created,
    }
}

/// A snapshot that has all the claim is about.
async fn snapshot(source: &dyn Source, partition: PartitionId, claim: Claim) -> Result<SourceSnapshot, SourceError> {
    let mut attempts = 0;
    loop {
        let snapshot = source.snapshot(partition).await?;
        if snapshot.index >= claim.index {
            return Ok(snapshot);
        }
        attempts += 1;
        if attempts >= CATCH_UP_ATTEMPTS {
            let (applied, committed) = (snapshot.index, claim.index);
            let reason = format!("the node has applied entry {applied} of {committed}: it has too much to do");
            return Err(SourceError::Failed(reason.into()));
        }
        // To let go of it may block.
        drop(tokio::task::spawn_blocking(move || drop(snapshot)).await);
        tokio::time::sleep(CATCH_UP_PAUSE).await;
    }
}

/// The items' bytes in a snapshot are about as many as DynamoDB counts; they are never said to be more.
fn counted(mut snapshot: SourceSnapshot, progress: Arc<BackupProgress>) -> SourceSnapshot {
    let size_bytes = snapshot.size_bytes;
    let count = move |chunk: &Result<Bytes, SourceError>| {
        let bytes = chunk.as_ref().map_or(0, Bytes::len) as u64;
        let done = progress.bytes_done();
        progress.0.store((done + bytes).min(size_bytes), Ordering::Relaxed);
    };
    snapshot.chunks = Box::new(snapshot.chunks.inspect(count));
    snapshot
}
