//! What is known of an export: `CLUSTER/ACCOUNT/exports/EXPORT_ID.json` in the archive.

use crate::{ArchiveError, Bucket, document, layout};
use cairn_model::ids::{NodeId, TableId};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use serde::{Deserialize, Serialize};

const READS_AT_ONCE: usize = 8;

/// How the lines of data files are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ExportFormat {
    #[default]
    DynamodbJson,
    Ion,
}

impl ExportFormat {
    /// What the names of data files end in.
    pub(super) fn extension(self) -> &'static str {
        match self {
            Self::DynamodbJson => "json.gz",
            Self::Ion => "ion.gz",
        }
    }
}

/// What of a changed item an incremental export has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ExportView {
    NewImage,
    NewAndOldImages,
}

/// Times are milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "exportType", rename_all = "SCREAMING_SNAKE_CASE", rename_all_fields = "camelCase")]
pub enum ExportScope {
    FullExport {
        time_ms: u64,
    },
    /// From `from_ms` on, until just before `to_ms`.
    IncrementalExport {
        from_ms: u64,
        to_ms: u64,
        view: ExportView,
    },
}

/// How far an export is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "SCREAMING_SNAKE_CASE", rename_all_fields = "camelCase")]
pub enum ExportState {
    InProgress,
    Completed {
        end_time_ms: u64,
        /// The key of its summary.
        manifest: String,
        billed_size_bytes: u64,
        item_count: u64,
    },
    Failed {
        end_time_ms: u64,
        code: String,
        message: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportRecord {
    /// The last part of its ARN; ids in ascending order are exports in the order of their times.
    pub export_id: String,
    pub arn: String,
    pub table_arn: String,
    pub table_id: TableId,
    /// Which node makes it, and goes on with it after a restart.
    pub node_id: NodeId,
    pub scope: ExportScope,
    #[serde(default)]
    pub format: ExportFormat,
    /// Whether the request left the last time of the scope to us.
    #[serde(default)]
    pub until_request: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_token: Option<String>,
    pub s3_bucket: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3_prefix: Option<String>,
    pub start_time_ms: u64,
    pub state: ExportState,
}

fn folder(cluster: &str, account: &str) -> Path {
    layout::account(cluster, account).join("exports")
}

fn path(cluster: &str, account: &str, export_id: &str) -> Path {
    folder(cluster, account).join(format!("{export_id}.json"))
}

/// Notes an export that begins.
pub async fn create(bucket: &Bucket, cluster: &str, account: &str, record: &ExportRecord) -> Result<(), ArchiveError> {
    let path = path(cluster, account, &record.export_id);
    bucket.create(&path, document::encode(&path, record)?).await
}

/// Notes how far an export is.
pub async fn update(bucket: &Bucket, cluster: &str, account: &str, record: &ExportRecord) -> Result<(), ArchiveError> {
    let path = path(cluster, account, &record.export_id);
    bucket.overwrite(&path, document::encode(&path, record)?).await
}

/// [`ArchiveError::NotFound`] where there is none.
pub async fn get(bucket: &Bucket, cluster: &str, account: &str, export_id: &str) -> Result<ExportRecord, ArchiveError> {
    document::read(bucket, &path(cluster, account, export_id)).await
}

/// The account's exports that began at this time or later, in milliseconds since the Unix epoch, by id.
pub async fn list(
    bucket: &Bucket,
    cluster: &str,
    account: &str,
    from_ms: u64,
) -> Result<Vec<ExportRecord>, ArchiveError> {
    // Before every id of that time, which goes on with a hyphen.
    let after = folder(cluster, account).join(format!("{from_ms:014}"));
    let listed = bucket.list(&folder(cluster, account), Some(&after)).await?;
    let read = |location: Path| async move { document::pass_over(document::read(bucket, &location).await) };
    stream::iter(listed.into_iter().map(|object| object.location))
        .map(read)
        .buffered(READS_AT_ONCE)
        .try_filter_map(|record| async move { Ok(record) })
        .try_collect()
        .await
}

/// Deletes the records of exports that began before this time; what they wrote stays.
pub async fn forget(bucket: &Bucket, cluster: &str, account: &str, before_ms: u64) -> Result<(), ArchiveError> {
    for object in bucket.list(&folder(cluster, account), None).await? {
        if layout::number(&object.location).is_some_and(|began_ms| began_ms < before_ms) {
            bucket.delete(&object.location).await?;
        }
    }
    Ok(())
}
