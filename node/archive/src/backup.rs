//! Backups on demand: whole copies of tables, which nothing else in the archive is needed for.

use crate::{
    ArchiveError, Bucket, SourceSnapshot,
    document::{self, hex_u64},
    layout, snapshot,
};
pub use cairn_model::archive::{BackupOrder, BackupType};
use cairn_model::{
    archive::{BackupReport, BackupState},
    descriptor::KeyRange,
    ids::PartitionId,
};
use futures::{StreamExt, stream};
use object_store::path::Path;
use serde::{Deserialize, Serialize};

const READS_AT_ONCE: usize = 8;

/// `backup.json`: a backup that is there, whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupRecord {
    /// What was asked for, with the table as it was then.
    #[serde(flatten)]
    pub order: BackupOrder,
    pub item_count: u64,
    /// Of the items, in DynamoDB's bytes.
    pub table_size_bytes: u64,
    /// Of the backup's objects.
    pub size_bytes: u64,
    pub partitions: Vec<BackupPartition>,
}

impl BackupRecord {
    /// The same, for those who are not told of its partitions.
    pub fn into_report(self, state: BackupState) -> BackupReport {
        BackupReport {
            order: self.order,
            state,
            item_count: self.item_count,
            table_size_bytes: self.table_size_bytes,
            size_bytes: self.size_bytes,
            bytes_done: self.table_size_bytes,
        }
    }
}

/// One partition of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupPartition {
    pub partition_id: PartitionId,
    pub range: KeyRange,
    /// Its object's name in the backup's folder.
    pub(crate) object: String,
    pub item_count: u64,
    pub table_size_bytes: u64,
    /// Of its object.
    pub bytes: u64,
    #[serde(with = "hex_u64")]
    pub(crate) checksum: u64,
}

/// Writes a backup of a table from a snapshot of each of its partitions. If it fails, nothing of it stays; where there is
/// one of that id, also one that is made at the same time, that stays as it is ([`ArchiveError::Exists`]).
pub async fn create(
    bucket: &Bucket,
    cluster: &str,
    account: &str,
    order: BackupOrder,
    snapshots: Vec<SourceSnapshot>,
) -> Result<BackupRecord, ArchiveError> {
    let path = layout::backup(cluster, account, &order.backup_id);
    match bucket.get(&path).await {
        Err(ArchiveError::NotFound { .. }) => {}
        Ok(_) => return Err(ArchiveError::Exists { object: path.to_string() }),
        Err(error) => return Err(error),
    }
    let mut written = Vec::new();
    let created = match upload(bucket, cluster, account, order, snapshots, &mut written).await {
        Ok(record) => finish(bucket, &path, &record).await.map(|()| record),
        Err(error) => Err(error),
    };
    if created.is_err() && is_gone(bucket, &path, &written).await {
        for path in written {
            if let Err(error) = bucket.delete(&path).await {
                tracing::warn!(%error, "failed to delete what a failed backup left");
            }
        }
    }
    created
}

async fn upload(
    bucket: &Bucket,
    cluster: &str,
    account: &str,
    order: BackupOrder,
    snapshots: Vec<SourceSnapshot>,
    written: &mut Vec<Path>,
) -> Result<BackupRecord, ArchiveError> {
    let folder = layout::backup_folder(cluster, account, &order.backup_id);
    let mut partitions = Vec::with_capacity(snapshots.len());
    for snapshot in snapshots {
        let (partition_id, range) = (snapshot.descriptor.partition_id, snapshot.descriptor.range.clone());
        let object = format!("{partition_id}-{}.snap", layout::random());
        let path = folder.clone().join(object.as_str());
        written.push(path.clone());
        let stored = snapshot::upload(bucket, &path, snapshot).await?;
        partitions.push(BackupPartition {
            partition_id,
            range,
            object,
            item_count: stored.header.item_count,
            table_size_bytes: stored.header.size_bytes,
            bytes: stored.bytes,
            checksum: stored.checksum,
        });
    }
    Ok(BackupRecord {
        order,
        item_count: partitions.iter().map(|partition| partition.item_count).sum(),
        table_size_bytes: partitions.iter().map(|partition| partition.table_size_bytes).sum(),
        size_bytes: partitions.iter().map(|partition| partition.bytes).sum(),
        partitions,
    })
}

async fn finish(bucket: &Bucket, path: &Path, record: &BackupRecord) -> Result<(), ArchiveError> {
    bucket.create(path, document::encode(path, record)?).await
}

/// Whether nothing names what was `written` for a backup that failed: its own document, which may be there although its
/// writing failed, is deleted; another's never.
async fn is_gone(bucket: &Bucket, path: &Path, written: &[Path]) -> bool {
    let deleted = match document::read::<BackupRecord>(bucket, path).await {
        Ok(record) => {
            let objects: Vec<Option<&str>> = written.iter().map(Path::filename).collect();
            if !record.partitions.iter().any(|partition| objects.contains(&Some(&partition.object))) {
                return true;
            }
            bucket.delete(path).await
        }
        Err(ArchiveError::NotFound { .. }) => return true,
        Err(error) => Err(error),
    };
    if let Err(error) = &deleted {
        tracing::warn!(%error, "failed to find out whether a failed backup is there: what was written of it stays");
    }
    deleted.is_ok()
}

/// An account's backups, by id; but for those whose documents cannot be read.
pub async fn list(bucket: &Bucket, cluster: &str, account: &str) -> Result<Vec<BackupRecord>, ArchiveError> {
    Ok(page(bucket, cluster, account, None, usize::MAX).await?.0)
}

/// As [`list`], the first `limit` above `after`, and whether there are more.
pub async fn page(
    bucket: &Bucket,
    cluster: &str,
    account: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<(Vec<BackupRecord>, bool), ArchiveError> {
    let mut ids = bucket.folders(&layout::backups(cluster, account)).await?;
    ids.retain(|id| after.is_none_or(|after| id.as_str() > after));
    // One that is not there is not finished, or being deleted.
    let read = |id: String| async move { document::pass_over(get(bucket, cluster, account, &id).await) };
    let mut read = std::pin::pin!(stream::iter(ids).map(read).buffered(READS_AT_ONCE));
    let mut backups = Vec::new();
    while let Some(read) = read.next().await {
        match read? {
            Some(_) if backups.len() >= limit => return Ok((backups, true)),
            Some(backup) => backups.push(backup),
            None => {}
        }
    }
    Ok((backups, false))
}

/// [`ArchiveError::NotFound`] where there is none.
pub async fn get(bucket: &Bucket, cluster: &str, account: &str, backup_id: &str) -> Result<BackupRecord, ArchiveError> {
    document::read(bucket, &layout::backup(cluster, account, backup_id)).await
}

/// Deletes a backup and gives it as it was; [`ArchiveError::NotFound`] where there is none.
pub async fn delete(
    bucket: &Bucket,
    cluster: &str,
    account: &str,
    backup_id: &str,
) -> Result<BackupRecord, ArchiveError> {
    let record = get(bucket, cluster, account, backup_id).await?;
    // First what makes it a backup; then also what attempts left that failed.
    bucket.delete(&layout::backup(cluster, account, backup_id)).await?;
    for object in bucket.list(&layout::backup_folder(cluster, account, backup_id), None).await? {
        bucket.delete(&object.location).await?;
    }
    Ok(record)
}
