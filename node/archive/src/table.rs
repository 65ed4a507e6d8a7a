//! What a table is, beside what lies in the archive of it: it outlives the table.

use crate::{ArchiveError, Bucket, TablePath, document, retention::DAY_MS};
use cairn_model::table::TableDefinition;
use serde::{Deserialize, Serialize};

/// For how long a table that is marked deleted may still be led here and there.
const DROP_MS_MAX: u64 = 3_600 * 1_000;
/// A deleted table without recovery at the end is kept as long as one with it can be.
const PERIOD_DAYS_MAX: u64 = 35;

/// `table.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArchivedTable {
    pub definition: TableDefinition,
    /// Milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at_ms: Option<u64>,
    /// Nothing is kept of a table that is deleted: it can't be restored until its recovery period is over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub goes_at_once: bool,
}

impl ArchivedTable {
    /// From when on what is here of a deleted table goes.
    pub(crate) fn goes_at_ms(&self) -> Option<u64> {
        let days = self.definition.continuous_backups.map_or(PERIOD_DAYS_MAX, |on| on.recovery_period_days.into());
        let kept_ms = if self.goes_at_once { DROP_MS_MAX } else { days * DAY_MS };
        Some(self.deleted_at_ms? + kept_ms)
    }
}

/// That a table was deleted, and what becomes of its archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// Milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Its archive goes as soon as no node ships to it any more; else it can be restored until its recovery period is over.
    pub with_archive: bool,
}

/// [`ArchiveError::NotFound`] where the archive knows no such table.
pub async fn get(bucket: &Bucket, path: &TablePath) -> Result<ArchivedTable, ArchiveError> {
    document::read(bucket, &path.table()).await
}

/// Notes that the table was deleted. Once is enough: a table that was never archived, or is noted already, stays as it is.
pub async fn mark_deleted(bucket: &Bucket, path: &TablePath, deletion: Deletion) -> Result<(), ArchiveError> {
    match get(bucket, path).await {
        Ok(table) if table.deleted_at_ms.is_none() => {
            let Deletion { at_ms, with_archive } = deletion;
            let noted = ArchivedTable { deleted_at_ms: Some(at_ms), goes_at_once: with_archive, ..table };
            put(bucket, path, &noted).await
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
    put(bucket, path, &ArchivedTable { definition, deleted_at_ms: None, goes_at_once: false }).await
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
