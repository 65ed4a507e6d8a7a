//! What a table is, beside what lies in the archive of it: it outlives the table.

use crate::{ArchiveError, Bucket, TablePath, document};
use cairn_model::table::TableDefinition;
use serde::{Deserialize, Serialize};

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

/// Keeps the newest definition of a table that is there: if it was marked deleted, it was not dropped after all, and the
/// mark goes.
pub(crate) async fn keep(bucket: &Bucket, path: &TablePath, definition: &TableDefinition) -> Result<(), ArchiveError> {
    let definition = match get(bucket, path).await {
        Ok(kept) => {
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

async fn put(bucket: &Bucket, path: &TablePath, table: &ArchivedTable) -> Result<(), ArchiveError> {
    let path = path.table();
    bucket.overwrite(&path, document::encode(&path, table)?).await
}
