//! What a table is, beside what lies in the archive of it: it outlives the table.

use crate::{ArchiveError, Bucket, TablePath, document};
use cairn_model::table::TableDefinition;
use serde::{Deserialize, Serialize};

/// For how long a table that is marked deleted may still be led here and there.
const DROP_MS_MAX: u64 = 3_600 * 1_000;

/// `table.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArchivedTable {
    pub definition: TableDefinition,
    /// Milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at_ms: Option<u64>,
}

/// [`ArchiveError::NotFound`] where the archive knows no such table.
pub async fn get(bucket: &Bucket, path: &TablePath) -> Result<ArchivedTable, ArchiveError> {
    document::read(bucket, &path.table()).await
}

/// Notes that the table was deleted; it can be restored until its recovery period is over. Once is enough: a table
/// that was never archived, or is noted already, stays as it is.
pub async fn mark_deleted(bucket: &Bucket, path: &TablePath, deleted_at_ms: u64) -> Result<(), ArchiveError> {
    match get(bucket, path).await {
        Ok(table) if table.deleted_at_ms.is_none() => {
            put(bucket, path, &ArchivedTable { deleted_at_ms: Some(deleted_at_ms), ..table }).await
        }
        Ok(_) | Err(ArchiveError::NotFound { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Keeps the newest definition of a table that is there: if it was marked deleted long ago, it was not dropped after all,
/// and the mark goes.
pub(crate) async fn keep(
    bucket: &Bucket,
    path: &TablePath,
    definition: &TableDefinition,
    now_ms: u64,
) -> Result<(), ArchiveError> {
    let definition = match get(bucket, path).await {
        Ok(kept) => {
            if kept.deleted_at_ms.is_some() && is_fresh(bucket, path, now_ms).await? {
                return Ok(());
            }
            let newer = kept.definition.schema_version > definition.schema_version;
            if kept.deleted_at_ms.is_none() && (newer || kept.definition == *definition) {
                return Ok(());
            }
            if newer { kept.definition } else { definition.clone() }
        }
        // A damaged one is written anew from what is known.
        Err(ArchiveError::NotFound { .. } | ArchiveError::Damaged { .. }) => definition.clone(),
        Err(error) => return Err(error),
    };
    put(bucket, path, &ArchivedTable { definition, deleted_at_ms: None }).await
}

/// Whether the table may still be on its way out, from one node after the other.
async fn is_fresh(bucket: &Bucket, path: &TablePath, now_ms: u64) -> Result<bool, ArchiveError> {
    let written_ms = bucket.head(&path.table()).await?.last_modified.timestamp_millis();
    Ok(now_ms.saturating_sub(u64::try_from(written_ms).unwrap_or(0)) < DROP_MS_MAX)
}

async fn put(bucket: &Bucket, path: &TablePath, table: &ArchivedTable) -> Result<(), ArchiveError> {
    let path = path.table();
    bucket.overwrite(&path, document::encode(&path, table)?).await
}
