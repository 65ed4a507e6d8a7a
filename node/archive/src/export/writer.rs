//! The objects of an export on their way into its bucket.

use super::{
    manifest::{self, FileEntry, Totals},
    record::{ExportFormat, ExportRecord, ExportScope, ExportState},
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
    source: Box<ArchiveError>,
}

impl WriteError {
    /// `FailureCode` and `FailureMessage`.
    pub fn failure(&self) -> (&'static str, String) {
        let bucket = &self.bucket;
        match &*self.source {
            ArchiveError::NotFound { .. } => {
                ("S3NoSuchBucket", format!("The specified bucket does not exist: {bucket}"))
            }
            ArchiveError::Store {
                source: StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. },
                ..
            } => ("S3AccessDenied", format!("The archive's credentials may not write to the bucket {bucket}")),
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
    /// At which a data file is complete.
    file_bytes: usize,
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
        let failed = |source| WriteError { bucket: record.s3_bucket.clone(), source: Box::new(source) };
        let prefix = record.s3_prefix.as_deref();
        let root =
            root(prefix).map_err(|reason| failed(ArchiveError::Config { field: "s3_prefix", reason, source: None }))?;
        let folder = root.clone().join(record.export_id.as_str());
        let data = match record.scope {
            ExportScope::FullExport { .. } => folder.clone().join("data"),
            ExportScope::IncrementalExport { .. } => root.join("data"),
        };
        let writer = Self {
            bucket,
            folder,
            data,
            file_bytes: FILE_BYTES,
            file: new_file(),
            lines: 0,
            entries: Vec::new(),
            record,
        };
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

    /// How its lines are to be written.
    pub fn format(&self) -> ExportFormat {
        self.record.format
    }

    /// Adds a line, which ends with its newline. For a blocking thread of a tokio runtime (`spawn_blocking`).
    pub fn line(&mut self, line: &[u8]) -> Result<(), WriteError> {
        self.file.write_all(line).map_err(|error| self.failed(unwritten(error)))?;
        self.lines += 1;
        if self.file.get_ref().len() < self.file_bytes {
            return Ok(());
        }
        let runtime = tokio::runtime::Handle::try_current()
            .map_err(|_| self.failed(ArchiveError::Interrupted { object: self.data.to_string() }))?;
        runtime.block_on(self.end_file())
    }

    async fn end_file(&mut self) -> Result<(), WriteError> {
        let file = std::mem::replace(&mut self.file, new_file());
        let bytes = Bytes::from(file.finish().map_err(|error| self.failed(unwritten(error)))?);
        let path = self.data.clone().join(format!("{}.{}", random_name(), self.record.format.extension()));
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
        WriteError { bucket: self.record.s3_bucket.clone(), source: Box::new(source) }
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

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_model::ids::{NodeId, TableId};
    use flate2::read::GzDecoder;
    use object_store::{ObjectStoreExt, memory::InMemory};
    use std::{collections::BTreeMap, io::Read, sync::Arc};

    fn record() -> ExportRecord {
        ExportRecord {
            export_id: "01604474914028-abcdef12".into(),
            arn: "arn".into(),
            table_arn: "table".into(),
            table_id: TableId([1; 16]),
            node_id: NodeId([2; 16]),
            scope: ExportScope::FullExport { time_ms: 0 },
            format: ExportFormat::DynamodbJson,
            until_request: false,
            client_token: None,
            s3_bucket: "exports".into(),
            s3_prefix: Some("/some/prefix/".into()),
            start_time_ms: 0,
            state: ExportState::InProgress,
        }
    }

    async fn objects(bucket: &Bucket) -> BTreeMap<String, Bytes> {
        let mut objects = BTreeMap::new();
        for object in bucket.list(&Path::default(), None).await.unwrap() {
            objects.insert(object.location.to_string(), bucket.get(&object.location).await.unwrap());
        }
        objects
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_export_is_files_of_bounded_size_that_its_manifests_list() {
        let store = Arc::new(InMemory::new());
        let bucket = Bucket::over(store.clone());
        let folder = "some/prefix/AWSDynamoDB/01604474914028-abcdef12";
        // Of an attempt that was cut short.
        store.put(&Path::from(format!("{folder}/data/old.json.gz")), "old".into()).await.unwrap();
        let mut writer = ExportWriter::begin(bucket.clone(), record()).await.unwrap();
        writer.file_bytes = 64 << 10;
        let lines: Vec<String> = (0..10_000).map(|n| format!("{n} {}\n", uuid::Uuid::new_v4())).collect();
        let text = lines.concat();
        let writing = tokio::task::spawn_blocking(move || {
            lines.iter().for_each(|line| writer.line(line.as_bytes()).unwrap());
            writer
        });
        let state = writing.await.unwrap().finish(7, 8).await.unwrap();
        let manifest = format!("{folder}/manifest-summary.json");
        let expected = ExportState::Completed { end_time_ms: 7, manifest, billed_size_bytes: 8, item_count: 10_000 };
        assert_eq!(state, expected);

        let mut objects = objects(&bucket).await;
        assert_eq!(objects.remove(&format!("{folder}/_started")), Some(Bytes::new()));
        for name in ["manifest-summary", "manifest-files"] {
            let document = &objects[&format!("{folder}/{name}.json")];
            let checksum = manifest::base64(manifest::md5(document));
            assert_eq!(objects.remove(&format!("{folder}/{name}.md5")), Some(Bytes::from(checksum)));
        }
        objects.remove(&format!("{folder}/manifest-summary.json")).unwrap();
        let files = objects.remove(&format!("{folder}/manifest-files.json")).unwrap();
        let mut found = String::new();
        for line in std::str::from_utf8(&files).unwrap().lines() {
            let entry: serde_json::Value = serde_json::from_str(line).unwrap();
            let file = objects.remove(entry["dataFileS3Key"].as_str().unwrap()).unwrap();
            assert!(file.len() < 128 << 10);
            assert_eq!(entry["md5Checksum"], manifest::base64(manifest::md5(&file)));
            let before = found.lines().count();
            GzDecoder::new(&file[..]).read_to_string(&mut found).unwrap();
            assert_eq!(entry["itemCount"], found.lines().count() - before);
        }
        assert_eq!(found, text);
        assert!(files.iter().filter(|byte| **byte == b'\n').count() > 2, "there are several files");
        assert_eq!(objects.len(), 0, "and none that is not listed: {:?}", objects.keys());
    }

    #[test]
    fn a_bucket_that_does_not_take_it_is_told_in_dynamodbs_codes() {
        let object = || "a/_started".to_owned();
        let denied = StoreError::PermissionDenied { path: object(), source: "403".into() };
        for (source, expected) in [
            (ArchiveError::NotFound { object: object() }, "S3NoSuchBucket"),
            (ArchiveError::Store { action: "write", object: object(), source: denied }, "S3AccessDenied"),
            (ArchiveError::TimedOut { action: "write", object: object(), seconds: 60 }, "S3Error"),
        ] {
            let (code, message) = WriteError { bucket: "exports".into(), source: Box::new(source) }.failure();
            assert_eq!(code, expected);
            assert!(message.contains("exports"), "{message}");
        }
    }

    #[tokio::test]
    async fn an_empty_table_has_an_empty_file_that_is_named_for_its_format() {
        for (format, extension) in [(ExportFormat::DynamodbJson, ".json.gz"), (ExportFormat::Ion, ".ion.gz")] {
            let bucket = Bucket::over(Arc::new(InMemory::new()));
            let writer = ExportWriter::begin(bucket.clone(), ExportRecord { format, ..record() }).await.unwrap();
            writer.finish(7, 0).await.unwrap();
            let objects = objects(&bucket).await;
            let data = objects.iter().find(|(key, _)| key.ends_with(extension)).unwrap().1;
            let mut text = String::new();
            GzDecoder::new(&data[..]).read_to_string(&mut text).unwrap();
            assert_eq!(text, "");
        }
    }
}
