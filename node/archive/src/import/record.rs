//! What the bucket keeps of an import, in the folder `CLUSTER/ACCOUNT/imports/IMPORT_ID/`:
//!
//! ```text
//! import.json    what was asked for
//! outcome.json   how it ended; an import without it is under way, or was interrupted
//! errors.jsonl   what was no item, if anything
//! ```

use super::{Compression, ErrorLog};
use crate::{ArchiveError, Bucket, document};
use cairn_model::table::TableDefinition;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use serde::{Deserialize, Serialize};

const READS_AT_ONCE: usize = 8;

/// Where the imports of an account are.
#[derive(Clone, Debug)]
pub struct Imports {
    bucket: Bucket,
    folder: Path,
}

/// `import.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportRecord {
    /// The last part of its ARN.
    pub import_id: String,
    pub arn: String,
    pub table_arn: String,
    /// The table as it was made first.
    pub definition: TableDefinition,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_token: Option<String>,
    pub source: SourceRecord,
    pub format: FormatRecord,
    pub compression: Compression,
    /// Milliseconds since the Unix epoch.
    pub start_time_ms: u64,
}

/// The objects that were imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceRecord {
    pub bucket: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_prefix: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket_owner: Option<String>,
}

/// The format as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE", tag = "name")]
pub enum FormatRecord {
    DynamodbJson,
    Ion,
    #[serde(rename_all = "camelCase")]
    Csv {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        options: Option<CsvRecord>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CsvRecord {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<char>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header_list: Option<Vec<String>>,
}

/// `outcome.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportOutcome {
    /// Milliseconds since the Unix epoch.
    pub end_time_ms: u64,
    /// Of the source, uncompressed.
    pub processed_size_bytes: u64,
    pub processed_item_count: u64,
    pub imported_item_count: u64,
    pub error_count: u64,
    /// Whether there is a table.
    pub completed: bool,
    /// Whether `errors.jsonl` is there.
    pub error_log: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureRecord>,
}

/// What went wrong, also where the import was completed without some items.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailureRecord {
    pub code: String,
    pub message: String,
}

impl Imports {
    pub fn new(bucket: Bucket, cluster: &str, account: &str) -> Self {
        Self { bucket, folder: Path::from_iter([cluster, account, "imports"]) }
    }

    fn object(&self, import_id: &str, name: &str) -> Path {
        self.folder.clone().join(import_id).join(name)
    }

    /// [`ArchiveError::Exists`] where there is another of this id.
    pub async fn create(&self, record: &ImportRecord) -> Result<(), ArchiveError> {
        let path = self.object(&record.import_id, "import.json");
        self.bucket.create(&path, document::encode(&path, record)?).await
    }

    /// [`ArchiveError::Exists`] where another outcome is there already.
    pub async fn end(&self, import_id: &str, outcome: &ImportOutcome) -> Result<(), ArchiveError> {
        let path = self.object(import_id, "outcome.json");
        self.bucket.create(&path, document::encode(&path, outcome)?).await
    }

    /// [`ArchiveError::NotFound`] where there is no such import.
    pub async fn get(&self, import_id: &str) -> Result<(ImportRecord, Option<ImportOutcome>), ArchiveError> {
        let record = document::read(&self.bucket, &self.object(import_id, "import.json")).await?;
        match document::read(&self.bucket, &self.object(import_id, "outcome.json")).await {
            Ok(outcome) => Ok((record, Some(outcome))),
            Err(ArchiveError::NotFound { .. }) => Ok((record, None)),
            Err(error) => Err(error),
        }
    }

    /// The ids of all imports, in ascending order.
    pub async fn ids(&self) -> Result<Vec<String>, ArchiveError> {
        self.bucket.folders(&self.folder).await
    }

    /// The imports of these ids, in their order, but for those that are not there.
    pub async fn read(
        &self,
        import_ids: Vec<String>,
    ) -> Result<Vec<(ImportRecord, Option<ImportOutcome>)>, ArchiveError> {
        let read = |id: String| async move {
            match self.get(&id).await {
                Err(ArchiveError::NotFound { .. }) => Ok(None),
                other => other.map(Some),
            }
        };
        let read = stream::iter(import_ids).map(read).buffered(READS_AT_ONCE);
        read.try_filter_map(|import| async move { Ok(import) }).try_collect().await
    }

    /// Where in the bucket the errors of an import are told.
    pub fn error_log_key(&self, import_id: &str) -> String {
        self.object(import_id, "errors.jsonl").into()
    }

    /// Begins to tell errors.
    pub fn error_log(&self, import_id: &str) -> ErrorLog {
        ErrorLog::new(self.bucket.clone(), self.object(import_id, "errors.jsonl"))
    }
}
