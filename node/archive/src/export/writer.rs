//! The objects of an export on their way into its bucket.

use super::{
    manifest::{self, FileEntry, Totals},
    record::{ExportRecord, ExportScope, ExportState},
    root,
};
use crate::{ArchiveError, Bucket};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use object_store::{Error as StoreError, path::Path};
use std::{io::Write, time::Duration};

/// A data file is complete when it has this many bytes, compressed: as many are held in memory.
const FILE_BYTES: usize = 16 << 20;
/// A failed request is tried again, after 0.5 s, 1 s, …
const ATTEMPTS: u32 = 5;
const BACKOFF: Duration = Duration::from_millis(500);

/// The bucket of an export did not take it.
#[derive(Debug, thiserror::Error)]
#[error("failed to write to the bucket {bucket}")]
pub struct WriteError {
    bucket: String,
    source: ArchiveError,
}

impl WriteError {
    /// `FailureCode` and `FailureMessage`.
    pub fn failure(&self) -> (&'static str, String) {
        let bucket = &self.bucket;
        match &self.source {
            ArchiveError::NotFound { .. } => ("S3NoSuchBucket", format!("The specified bucket does not exist: {bucket}")),
            ArchiveError::Store { source: StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. }, .. } => {
                ("S3AccessDenied", format!("The archive's credentials may not write to the bucket {bucket}"))
            }
            error => ("S3Error", format!("{self}: {error}")),
        }
    }
}

/// Writes one export. What it wrote counts only once it has finished.
#[derive(Debug)]
pub struct ExportWriter {
    bucket: Bucket,
    record: ExportRecord,
    folder: Path,
    data: Path,
    /// The data file that is being made.
    file: GzEncoder<Vec<u8>>,
    lines: u64,
    entries: Vec<FileEntry>,
}

fn new_file() -> GzEncoder<Vec<u8>> {
    GzEncoder::new(Vec::new(), Compression::default())
}

impl ExportWriter {
    /// Proves that the bucket can be written. What an earlier attempt left of a full export goes.
    pub async fn begin(bucket: Bucket, record: ExportRecord) -> Result<Self, WriteError> {
        let failed = |source| WriteError { bucket: record.s3_bucket.clone(), source };
        let prefix = record.s3_prefix.as_deref();
        let root = root(prefix).map_err(|reason| {
            failed(ArchiveError::Config { field: "s3_prefix", reason, source: None })
        })?;
        let folder = root.clone().join(record.export_id.as_str());
        let data = match record.scope {
            ExportScope::FullExport { .. } => folder.clone().join("data"),
            ExportScope::IncrementalExport { .. } => root.join("data"),
        };
        let writer = Self { bucket, folder, data, file: new_file(), lines: 0, entries: Vec::new(), record };
        writer.put(&writer.folder.clone().join("_started"), Bytes::new()).await?;
        if let ExportScope::FullExport { .. } = writer.record.scope {
            writer.clear().await.map_err(|source| writer.failed(source))?;
        }
        Ok(writer)
    }

    async fn clear(&self) -> Result<(), ArchiveError> {
        for object in self.bucket.list(&self.data, None).await? {
            self.bucket.delete(&object.location).await?;
        }
        Ok(())
    }

    /// Adds a line, which ends with its newline. For a blocking thread of a tokio runtime (`spawn_blocking`).
    pub fn line(&mut self, line: &[u8]) -> Result<(), WriteError> {
        self.file.write_all(line).map_err(|error| self.failed(unwritten(error)))?;
        self.lines += 1;
        if self.file.get_ref().len() < FILE_BYTES {
            return Ok(());
        }
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| {
            self.failed(ArchiveError::Interrupted { object: self.data.to_string() })
        })?;
        runtime.block_on(self.end_file())
    }

    async fn end_file(&mut self) -> Result<(), WriteError> {
        let file = std::mem::replace(&mut self.file, new_file());
        let bytes = Bytes::from(file.finish().map_err(|error| self.failed(unwritten(error)))?);
        let path = self.data.clone().join(format!("{}.json.gz", random_name()));
        let checksum = manifest::md5(&bytes);
        let etag = self.put(&path, bytes).await?;
        self.entries.push(FileEntry {
            item_count: std::mem::take(&mut self.lines),
            md5_checksum: manifest::base64(checksum),
            etag: etag.unwrap_or_else(|| checksum.iter().map(|byte| format!("{byte:02x}")).collect()),
            data_file_s3_key: path.into(),
        });
        Ok(())
    }

    /// Writes what is left and the manifests; what has become of the export.
    pub async fn finish(mut self, end_time_ms: u64, billed_size_bytes: u64) -> Result<ExportState, WriteError> {
        // An empty table has an empty file.
        if self.lines > 0 || self.entries.is_empty() {
            self.end_file().await?;
        }
        let item_count = self.entries.iter().map(|entry| entry.item_count).sum();
        let files = manifest::files(&self.entries).map_err(|error| self.failed(unwritten(error)))?;
        let files_key = self.document("manifest-files", files).await?;
        let totals = Totals { end_time_ms, files_key: &files_key, billed_size_bytes, item_count };
        let summary = manifest::summary(&self.record, totals).map_err(|error| self.failed(unwritten(error)))?;
        let manifest = self.document("manifest-summary", summary).await?;
        Ok(ExportState::Completed { end_time_ms, manifest, billed_size_bytes, item_count })
    }

    /// A document and its checksum; the key of the document.
    async fn document(&self, name: &str, document: Vec<u8>) -> Result<String, WriteError> {
        let checksum = manifest::base64(manifest::md5(&document));
        let path = self.folder.clone().join(format!("{name}.json"));
        // The document last: what has it has its checksum too.
        self.put(&self.folder.clone().join(format!("{name}.md5")), checksum.into()).await?;
        self.put(&path, document.into()).await?;
        Ok(path.into())
    }

    async fn put(&self, path: &Path, bytes: Bytes) -> Result<Option<String>, WriteError> {
        let mut attempt = 1;
        loop {
            match self.bucket.put(path, bytes.clone()).await {
                Ok(etag) => return Ok(etag.map(|etag| etag.trim_matches('"').to_owned())),
                Err(error) if attempt >= ATTEMPTS || !may_pass(&error) => return Err(self.failed(error)),
                Err(error) => {
                    tracing::warn!(%error, attempt, "failed to write an export, trying again");
                    tokio::time::sleep(BACKOFF * 2u32.pow(attempt - 1)).await;
                    attempt += 1;
                }
            }
        }
    }

    fn failed(&self, source: ArchiveError) -> WriteError {
        WriteError { bucket: self.record.s3_bucket.clone(), source }
    }
}

/// Whether another attempt may succeed.
fn may_pass(error: &ArchiveError) -> bool {
    match error {
        ArchiveError::TimedOut { .. } => true,
        ArchiveError::Store { source, .. } => {
            !matches!(source, StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. })
        }
        _ => false,
    }
}

fn unwritten(error: impl std::error::Error + Send + Sync + 'static) -> ArchiveError {
    ArchiveError::Sink(Box::new(error))
}

/// Twenty-six letters and digits.
fn random_name() -> String {
    const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let bits = uuid::Uuid::new_v4().as_u128();
    (0..26).map(|digit| char::from(DIGITS[(bits >> (digit * 5) & 31) as usize])).collect()
}
