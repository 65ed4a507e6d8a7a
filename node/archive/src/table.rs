//! What a table is, beside what lies in the archive of it: it outlives the table.

use crate::{ArchiveError, Bucket, TablePath};
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

/// Notes that the table was deleted; it can be restored until its recovery period is over.
pub async fn mark_deleted(_bucket: &Bucket, _path: &TablePath, _deleted_at_ms: u64) -> Result<(), ArchiveError> {
    todo!()
}
