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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::testing::{ACCOUNT, definition};
    use async_trait::async_trait;
    use cairn_archive::{ArchiveConfig, SourcePartition};
    use cairn_model::{
        archive::BackupType,
        descriptor::{KeyRange, PartitionDescriptor},
        ids::TableId,
        time::Timestamp,
    };
    use cairn_replication::log::LogEntry;
    use std::sync::atomic::AtomicU64;

    const PARTITION: PartitionId = PartitionId([9; 16]);

    /// A node that applies one entry more each time it is asked, up to a last one.
    struct Behind {
        applied: AtomicU64,
        last: u64,
    }

    #[async_trait]
    impl Source for Behind {
        fn partitions(&self) -> Vec<SourcePartition> {
            Vec::new()
        }

        async fn entries(&self, _: PartitionId, _: u64, _: u64) -> Result<Vec<(LogEntry, Timestamp)>, SourceError> {
            Err(SourceError::NotLeader)
        }

        async fn snapshot(&self, partition_id: PartitionId) -> Result<SourceSnapshot, SourceError> {
            let index = self.applied.fetch_add(1, Ordering::Relaxed).min(self.last);
            let descriptor =
                PartitionDescriptor::first(partition_id, TableId([7; 16]), KeyRange::default(), Vec::new());
            Ok(SourceSnapshot {
                descriptor,
                definition: definition("users", 7),
                index,
                term: 1,
                entry_time: Timestamp(0),
                size_bytes: 25,
                item_count: index,
                chunks: Box::new((0..4).map(|_| Ok(Bytes::from_static(b"ten bytes!")))),
            })
        }

        async fn close(&self, _: PartitionId) -> Result<Claim, SourceError> {
            Err(SourceError::NotLeader)
        }

        fn archived(&self, _: PartitionId, _: u64) {}
    }

    async fn back_up_of(last: u64, table: u8) -> Result<(BackupRecord, u64), ArchiveError> {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("file://{}", folder.path().display());
        let bucket = Bucket::open(&ArchiveConfig { url, ..ArchiveConfig::default() }).await?;
        let owner = ArchiveOwner { region: "east".into(), account: ACCOUNT.into() };
        let order = BackupOrder {
            backup_id: "0001-a".into(),
            arn: "arn".into(),
            name: "before".into(),
            backup_type: BackupType::User,
            table_arn: "arn".into(),
            definition: definition("users", table),
            creation_time_ms: 1,
            expiry_time_ms: None,
        };
        let source = Behind { applied: AtomicU64::new(1), last };
        let (claim, progress) = (Claim { index: 4, time: Timestamp(0) }, Arc::default());
        let record = back_up(&source, &bucket, &owner, (PARTITION, claim), order, Arc::clone(&progress)).await?;
        Ok((record, progress.bytes_done()))
    }

    #[tokio::test]
    async fn a_backup_has_all_that_was_committed_when_it_was_asked_for() {
        let (record, bytes_done) = back_up_of(9, 7).await.unwrap();
        assert_eq!(record.item_count, 4);
        assert_eq!(bytes_done, 25, "never more than the table has");
    }

    #[tokio::test]
    async fn a_node_that_does_not_get_there_and_a_partition_of_another_table_make_none() {
        let behind = back_up_of(3, 7).await.unwrap_err().text();
        assert!(behind.contains("has applied entry 3 of 4"), "{behind}");
        let other = back_up_of(9, 8).await.unwrap_err().text();
        assert!(other.contains("is of the table 07070707"), "{other}");
    }
}
