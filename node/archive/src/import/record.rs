//! What the bucket keeps of an import for 90 days, in the folder `CLUSTER/ACCOUNT/imports/IMPORT_ID/`:
//!
//! ```text
//! import.json    what was asked for
//! outcome.json   how it ended; an import without it is under way, or was interrupted
//! errors.jsonl   what was no item, if anything
//! ```

use super::ErrorLog;
use crate::{ArchiveConfig, ArchiveError, Bucket, document, layout};
use cairn_model::archive::import::{IMPORTS_KEPT_MS, ImportOrder, ImportOutcome};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;

const READS_AT_ONCE: usize = 8;
/// Imports that are read one after the other, and those that are looked at for one page.
const CHUNK: usize = 32;
const LOOKED_AT_MAX: usize = 256;
/// Imports deleted in one go; the next sweep takes more.
const SWEPT_MAX: usize = 1_000;

const ORDER: &str = "import.json";
const OUTCOME: &str = "outcome.json";
const ERRORS: &str = "errors.jsonl";

/// Where the imports of an account are.
#[derive(Clone, Debug)]
pub struct Imports {
    bucket: Bucket,
    /// The bucket's.
    url: String,
    folder: Path,
}

/// Some imports, in descending order of their ids.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    pub imports: Vec<(ImportOrder, Option<ImportOutcome>)>,
    /// Everything above this id was looked at; none where nothing is left below.
    pub read_to: Option<String>,
}

impl Imports {
    /// In the bucket that was opened as `config` says.
    pub fn new(bucket: Bucket, config: &ArchiveConfig, cluster: &str, account: &str) -> Self {
        let url = config.url.trim_end_matches('/').to_owned();
        Self { bucket, url, folder: layout::imports(cluster, account) }
    }

    fn object(&self, import_id: &str, name: &str) -> Path {
        self.folder.clone().join(import_id).join(name)
    }

    /// [`ArchiveError::Exists`] where there is another of this id.
    pub async fn create(&self, order: &ImportOrder) -> Result<(), ArchiveError> {
        let path = self.object(&order.import_id, ORDER);
        self.bucket.create(&path, document::encode(&path, order)?).await
    }

    /// [`ArchiveError::Exists`] where another outcome is there already.
    pub async fn end(&self, import_id: &str, outcome: &ImportOutcome) -> Result<(), ArchiveError> {
        let path = self.object(import_id, OUTCOME);
        self.bucket.create(&path, document::encode(&path, outcome)?).await
    }

    /// Forgets how far it came, before it is begun anew.
    pub async fn reopen(&self, import_id: &str) -> Result<(), ArchiveError> {
        for name in [OUTCOME, ERRORS] {
            self.bucket.delete(&self.object(import_id, name)).await?;
        }
        Ok(())
    }

    /// [`ArchiveError::NotFound`] where there is no such import.
    pub async fn get(&self, import_id: &str) -> Result<(ImportOrder, Option<ImportOutcome>), ArchiveError> {
        let order = document::read(&self.bucket, &self.object(import_id, ORDER)).await?;
        match document::read(&self.bucket, &self.object(import_id, OUTCOME)).await {
            Ok(outcome) => Ok((order, Some(outcome))),
            Err(ArchiveError::NotFound { .. }) => Ok((order, None)),
            Err(error) => Err(error),
        }
    }

    /// At most `limit` of the imports begun at or after `oldest_ms`, those into one table if its ARN is given, from the
    /// first whose id is below `below`.
    pub async fn page(
        &self,
        table_arn: Option<&str>,
        below: Option<&str>,
        limit: usize,
        oldest_ms: u64,
    ) -> Result<Page, ArchiveError> {
        let mut ids = self.bucket.folders(&self.folder).await?;
        ids.retain(|id| begun_ms(id) >= oldest_ms && below.is_none_or(|below| id.as_str() < below));
        ids.sort_unstable_by(|one, other| other.cmp(one));
        let mut imports = Vec::new();
        for (number, chunk) in ids.chunks(CHUNK).enumerate() {
            for import in self.read(chunk).await? {
                if table_arn.is_some_and(|arn| arn != import.0.table_arn) {
                    continue;
                }
                let read_to = Some(import.0.import_id.clone());
                imports.push(import);
                if imports.len() >= limit {
                    return Ok(Page { imports, read_to });
                }
            }
            if (number + 1) * CHUNK >= LOOKED_AT_MAX {
                return Ok(Page { imports, read_to: chunk.last().cloned() });
            }
        }
        Ok(Page { imports, read_to: None })
    }

    /// The imports of these ids, in their order, but for those that are not there or can't be read.
    async fn read(&self, import_ids: &[String]) -> Result<Vec<(ImportOrder, Option<ImportOutcome>)>, ArchiveError> {
        let read = |id: String| async move { document::pass_over(self.get(&id).await) };
        let read = stream::iter(import_ids.to_vec()).map(read).buffered(READS_AT_ONCE);
        read.try_filter_map(|import| async move { Ok(import) }).try_collect().await
    }

    /// Where the errors of an import are told: as an ARN where there are ARNs.
    pub fn error_log_url(&self, import_id: &str) -> String {
        let key = self.object(import_id, ERRORS);
        match self.url.strip_prefix("s3://") {
            Some(folder) => format!("arn:aws:s3:::{folder}/{key}"),
            None => format!("{}/{key}", self.url),
        }
    }

    /// Begins to tell errors.
    pub fn error_log(&self, import_id: &str) -> ErrorLog {
        ErrorLog::new(self.bucket.clone(), self.object(import_id, ERRORS))
    }
}

/// When an import of this id was begun; milliseconds since the Unix epoch.
fn begun_ms(import_id: &str) -> u64 {
    import_id.split('-').next().and_then(|millis| millis.parse().ok()).unwrap_or(0)
}

/// Deletes what an account's bucket has of imports that were begun too long ago to be listed.
pub(crate) async fn sweep(bucket: &Bucket, cluster: &str, account: &str, now_ms: u64) -> Result<(), ArchiveError> {
    let folder = layout::imports(cluster, account);
    let mut ids = bucket.folders(&folder).await?;
    ids.retain(|id| begun_ms(id) + IMPORTS_KEPT_MS < now_ms);
    for id in ids.iter().take(SWEPT_MAX) {
        // Without the first nobody finds it; what is left then goes with the next sweep.
        for name in [ORDER, OUTCOME, ERRORS] {
            bucket.delete(&folder.clone().join(id.as_str()).join(name)).await?;
        }
    }
    Ok(())
}
