//! The objects of an export on their way into its bucket.

use super::{
    manifest::{self, FileEntry, Totals},
    root,
};
use crate::{ArchiveError, Bucket};
use bytes::Bytes;
use cairn_model::export::{ExportFormat, ExportRecord, ExportScope, ExportState};
use flate2::{Compression, write::GzEncoder};
use object_store::{Error as StoreError, path::Path};
use std::{fmt, io::Write, sync::Arc, time::Duration};

/// A data file is complete when it has this many bytes, compressed: as many are held in memory.
const FILE_BYTES: usize = 16 << 20;
/// Data files that may be missing before those that a maker wrote who was slow to notice that it should stop.
const GAPS_MAX: usize = 2;
/// The documents of an export.
const SUMMARY: &str = "manifest-summary";
const FILES: &str = "manifest-files";
/// A failed request is tried again, after 0.5 s, 1 s, …
const ATTEMPTS: u32 = 5;
const BACKOFF: Duration = Duration::from_millis(500);

/// The bucket of an export did not take it.
#[derive(Debug, thiserror::Error)]
#[error("failed to write to the bucket {bucket}")]
pub struct WriteError {
    bucket: String,
    is_final: bool,
    source: Box<ArchiveError>,
}

impl WriteError {
    /// Whether it is the first write that failed, which proves that the bucket is there and can be written: another attempt
    /// would come no further.
    pub fn is_final(&self) -> bool {
        self.is_final
    }

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

/// Whether who makes an export still may: somebody else may have taken it up.
#[derive(Clone)]
pub struct Fence(Arc<dyn Fn() -> bool + Send + Sync>);

impl Fence {
    pub fn new(may_go_on: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(may_go_on))
    }

    pub fn is_open(&self) -> bool {
        (self.0)()
    }
}

impl fmt::Debug for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Fence").field(&self.is_open()).finish()
    }
}

/// Where the objects of an export lie.
#[derive(Debug)]
struct Places {
    folder: Path,
    data: Path,
    export_id: String,
    extension: &'static str,
}

impl Places {
    fn new(record: &ExportRecord) -> Result<Self, ArchiveError> {
        let root = root(record.s3_prefix.as_deref()).map_err(|reason| ArchiveError::Config {
            field: "s3_prefix",
            reason,
            source: None,
        })?;
        let folder = root.clone().join(record.export_id.as_str());
        let data = match record.scope {
            ExportScope::FullExport { .. } => folder.clone().join("data"),
            ExportScope::IncrementalExport { .. } => root.join("data"),
        };
        let extension = match record.format {
            ExportFormat::DynamodbJson => "json.gz",
            ExportFormat::Ion => "ion.gz",
        };
        Ok(Self { folder, data, export_id: record.export_id.clone(), extension })
    }

    /// Of a data file: twenty-six letters and digits, which say nothing but are known again.
    fn file(&self, attempt: u32, number: usize) -> Path {
        const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
        let bits = u128::from_be_bytes(manifest::md5(format!("{}/{attempt}/{number}", self.export_id).as_bytes()));
        let digit = |digit: u32| char::from(DIGITS[(bits >> (digit * 5) & 31) as usize]);
        let name: String = (0..26).map(digit).collect();
        self.data.clone().join(format!("{name}.{}", self.extension))
    }

    fn document(&self, name: &str) -> Path {
        self.folder.clone().join(name)
    }

    /// Deletes the data files of an attempt that came to nothing, of which there were about as many as `expected`, or more.
    async fn clean(&self, bucket: &Bucket, attempt: u32, expected: usize) -> Result<(), ArchiveError> {
        let (mut files, mut number, mut missing) = (Vec::new(), 0, 0);
        while number <= expected || missing <= GAPS_MAX {
            let file = self.file(attempt, number);
            match bucket.head(&file).await {
                Ok(_) => {
                    files.push(file);
                    missing = 0;
                }
                Err(ArchiveError::NotFound { .. }) => missing += 1,
                Err(error) => return Err(error),
            }
            number += 1;
        }
        // From the last to the first: of one that is cut short, the next finds the rest.
        for file in files.iter().rev() {
            bucket.delete(file).await?;
        }
        Ok(())
    }

    /// Deletes what tells of data files that are about to go, from what is read first on.
    async fn clean_documents(&self, bucket: &Bucket) -> Result<(), ArchiveError> {
        for name in [SUMMARY, FILES].into_iter().flat_map(|name| [format!("{name}.json"), format!("{name}.md5")]) {
            bucket.delete(&self.document(&name)).await?;
        }
        Ok(())
    }
}

/// Deletes what attempts at an export that came to nothing left, the `last` of them included.
pub async fn clean(bucket: &Bucket, record: &ExportRecord, last: u32) -> Result<(), ArchiveError> {
    let places = Places::new(record)?;
    places.clean_documents(bucket).await?;
    for attempt in 1..=last {
        places.clean(bucket, attempt, 0).await?;
    }
    Ok(())
}

/// Writes one export. What it wrote counts only once it has finished.
#[derive(Debug)]
pub struct ExportWriter {
    bucket: Bucket,
    record: ExportRecord,
    places: Places,
    attempt: u32,
    fence: Fence,
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
    /// Proves that the bucket can be written; what earlier attempts left goes.
    pub async fn begin(bucket: Bucket, record: ExportRecord, attempt: u32, fence: Fence) -> Result<Self, WriteError> {
        let failed = |source| WriteError { bucket: record.s3_bucket.clone(), is_final: true, source: Box::new(source) };
        let places = Places::new(&record).map_err(failed)?;
        let writer = Self {
            bucket,
            places,
            attempt,
            fence,
            file_bytes: FILE_BYTES,
            file: new_file(),
            lines: 0,
            entries: Vec::new(),
            record,
        };
        let first = writer.put(&writer.places.document("_started"), Bytes::new()).await;
        first.map_err(|error| WriteError { is_final: true, ..error })?;
        if attempt > 1 {
            if !writer.fence.is_open() {
                return Err(writer.interrupted());
            }
            // Not later: by then, they may be those of who took it up.
            let cleaned = writer.places.clean_documents(&writer.bucket).await;
            cleaned.map_err(|source| writer.failed(source))?;
        }
        writer.clean().await?;
        Ok(writer)
    }

    /// Deletes the data files of earlier attempts, which may have come as far as this one has.
    async fn clean(&self) -> Result<(), WriteError> {
        for attempt in 1..self.attempt {
            let cleaned = self.places.clean(&self.bucket, attempt, self.entries.len()).await;
            cleaned.map_err(|source| self.failed(source))?;
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
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| self.interrupted())?;
        runtime.block_on(self.end_file())
    }

    async fn end_file(&mut self) -> Result<(), WriteError> {
        let file = std::mem::replace(&mut self.file, new_file());
        let bytes = Bytes::from(file.finish().map_err(|error| self.failed(unwritten(error)))?);
        let path = self.places.file(self.attempt, self.entries.len());
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
        // Who was slow to notice that it should stop may have written on meanwhile.
        self.clean().await?;
        let item_count = self.entries.iter().map(|entry| entry.item_count).sum();
        let files = manifest::files(&self.entries).map_err(|error| self.failed(unwritten(error)))?;
        let files_key = self.document(FILES, files).await?;
        let totals = Totals { end_time_ms, files_key: &files_key, billed_size_bytes, item_count };
        let summary = manifest::summary(&self.record, totals).map_err(|error| self.failed(unwritten(error)))?;
        let manifest = self.document(SUMMARY, summary).await?;
        Ok(ExportState::Completed { end_time_ms, manifest, billed_size_bytes, item_count })
    }

    /// A document and its checksum; the key of the document.
    async fn document(&self, name: &str, document: Vec<u8>) -> Result<String, WriteError> {
        let checksum = manifest::base64(manifest::md5(&document));
        let path = self.places.document(&format!("{name}.json"));
        // The document last: what has it has its checksum too.
        self.put(&self.places.document(&format!("{name}.md5")), checksum.into()).await?;
        self.put(&path, document.into()).await?;
        Ok(path.into())
    }

    async fn put(&self, path: &Path, bytes: Bytes) -> Result<Option<String>, WriteError> {
        let mut attempt = 1;
        loop {
            if !self.fence.is_open() {
                return Err(self.interrupted());
            }
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

    fn interrupted(&self) -> WriteError {
        self.failed(ArchiveError::Interrupted { object: self.places.folder.to_string() })
    }

    fn failed(&self, source: ArchiveError) -> WriteError {
        WriteError { bucket: self.record.s3_bucket.clone(), is_final: false, source: Box::new(source) }
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

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_model::ids::TableId;
    use flate2::read::GzDecoder;
    use object_store::{ObjectStoreExt, memory::InMemory};
    use std::{collections::BTreeMap, io::Read, sync::Arc};

    fn record() -> ExportRecord {
        ExportRecord {
            export_id: "01604474914028-abcdef12".into(),
            arn: "arn".into(),
            table_arn: "table".into(),
            table_id: TableId([1; 16]),
            scope: ExportScope::FullExport { time_ms: 0 },
            format: ExportFormat::DynamodbJson,
            until_request: false,
            client_token: None,
            s3_bucket: "exports".into(),
            s3_prefix: Some("/some/prefix/".into()),
            encryption: None,
            filter: None,
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
        let open = || Fence::new(|| true);
        let write = async |attempt, lines: Vec<String>| {
            let mut writer = ExportWriter::begin(bucket.clone(), record(), attempt, open()).await.unwrap();
            writer.file_bytes = 64 << 10;
            let writing = tokio::task::spawn_blocking(move || {
                lines.iter().for_each(|line| writer.line(line.as_bytes()).unwrap());
                writer
            });
            writing.await.unwrap()
        };
        let line = |n: u32| format!("{n} {}\n", uuid::Uuid::new_v4());
        // Two attempts that were cut short.
        for attempt in [1, 2] {
            drop(write(attempt, (0..10_000).map(line).collect()).await);
        }
        assert!(objects(&bucket).await.len() > 2);
        let lines: Vec<String> = (0..10_000).map(line).collect();
        let text = lines.concat();
        let writer = write(3, lines).await;
        // The second was not aware yet that it is no more.
        store.put(&writer.places.file(2, 0), "late".into()).await.unwrap();
        let state = writer.finish(7, 8).await.unwrap();
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

    #[tokio::test]
    async fn a_failure_is_final_only_of_the_write_that_proves_the_bucket() {
        let folder = tempfile::tempdir().unwrap();
        let store = object_store::local::LocalFileSystem::new_with_prefix(folder.path()).unwrap();
        let bucket = Bucket::over(Arc::new(store));
        let begin = |prefix: &str| {
            let record = ExportRecord { s3_prefix: Some(prefix.into()), ..record() };
            ExportWriter::begin(bucket.clone(), record, 1, Fence::new(|| true))
        };
        let writer = begin("some").await.unwrap();
        // Files where folders should be.
        std::fs::write(folder.path().join("some/AWSDynamoDB").join(record().export_id).join("data"), "").unwrap();
        std::fs::write(folder.path().join("other"), "").unwrap();
        let (first, later) = tokio::join!(begin("other"), writer.finish(7, 0));
        assert!(first.unwrap_err().is_final());
        assert!(!later.unwrap_err().is_final());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn manifests_never_outlive_the_files_that_they_list() {
        let bucket = Bucket::over(Arc::new(InMemory::new()));
        let started = "some/prefix/AWSDynamoDB/01604474914028-abcdef12/_started";
        let open = || Fence::new(|| true);
        let completed = async |attempt| {
            let writer = ExportWriter::begin(bucket.clone(), record(), attempt, open()).await.unwrap();
            writer.finish(7, 0).await.unwrap();
            assert_eq!(objects(&bucket).await.len(), 6);
        };
        // Two that had everything written when they were taken up.
        completed(1).await;
        completed(2).await;
        drop(ExportWriter::begin(bucket.clone(), record(), 3, open()).await.unwrap());
        assert_eq!(objects(&bucket).await.into_keys().collect::<Vec<_>>(), [started]);
        completed(4).await;
        clean(&bucket, &record(), 4).await.unwrap();
        assert_eq!(objects(&bucket).await.into_keys().collect::<Vec<_>>(), [started]);
    }

    #[tokio::test]
    async fn files_behind_those_that_are_missing_go_too() {
        let bucket = Bucket::over(Arc::new(InMemory::new()));
        let places = Places::new(&record()).unwrap();
        for number in [0, 3, 6] {
            bucket.put(&places.file(1, number), Bytes::new()).await.unwrap();
        }
        clean(&bucket, &record(), 1).await.unwrap();
        assert!(objects(&bucket).await.is_empty());
        // As far as an attempt came itself, it looks for those of others.
        bucket.put(&places.file(1, 9), Bytes::new()).await.unwrap();
        clean(&bucket, &record(), 1).await.unwrap();
        assert_eq!(objects(&bucket).await.len(), 1);
        places.clean(&bucket, 1, 9).await.unwrap();
        assert!(objects(&bucket).await.is_empty());
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
            let (code, message) =
                WriteError { bucket: "exports".into(), is_final: true, source: Box::new(source) }.failure();
            assert_eq!(code, expected);
            assert!(message.contains("exports"), "{message}");
        }
    }

    #[tokio::test]
    async fn an_empty_table_has_an_empty_file_that_is_named_for_its_format() {
        for (format, extension) in [(ExportFormat::DynamodbJson, ".json.gz"), (ExportFormat::Ion, ".ion.gz")] {
            let bucket = Bucket::over(Arc::new(InMemory::new()));
            let record = ExportRecord { format, ..record() };
            let writer = ExportWriter::begin(bucket.clone(), record, 1, Fence::new(|| true)).await.unwrap();
            writer.finish(7, 0).await.unwrap();
            let objects = objects(&bucket).await;
            let data = objects.iter().find(|(key, _)| key.ends_with(extension)).unwrap().1;
            let mut text = String::new();
            GzDecoder::new(&data[..]).read_to_string(&mut text).unwrap();
            assert_eq!(text, "");
        }
    }
    #[tokio::test(flavor = "multi_thread")]
    async fn who_may_no_longer_make_it_writes_nothing_more() {
        let bucket = Bucket::over(Arc::new(InMemory::new()));
        let may = Arc::new(std::sync::atomic::AtomicBool::new(true));
        let asked = may.clone();
        let fence = Fence::new(move || asked.load(std::sync::atomic::Ordering::Relaxed));
        let writer = ExportWriter::begin(bucket.clone(), record(), 1, fence.clone()).await.unwrap();
        may.store(false, std::sync::atomic::Ordering::Relaxed);
        writer.finish(7, 0).await.unwrap_err();
        assert!(objects(&bucket).await.keys().all(|key| key.ends_with("_started")));
        ExportWriter::begin(bucket, record(), 2, fence).await.unwrap_err();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_incremental_export_that_failed_leaves_nothing_among_the_files_of_others() {
        let bucket = Bucket::over(Arc::new(InMemory::new()));
        let view = cairn_model::export::ExportView::NewImage;
        let scope = ExportScope::IncrementalExport { from_ms: 0, to_ms: 1, view };
        let open = || Fence::new(|| true);
        let mut keys = Vec::new();
        for export_id in ["01604474914028-abcdef12", "01604474914029-abcdef12"] {
            let record = ExportRecord { scope, export_id: export_id.into(), ..record() };
            let writer = ExportWriter::begin(bucket.clone(), record.clone(), 1, open()).await.unwrap();
            writer.finish(7, 0).await.unwrap();
            let data = objects(&bucket).await.into_keys().filter(|key| key.contains("AWSDynamoDB/data/"));
            keys.push((record, data.collect::<Vec<_>>()));
        }
        assert_eq!((keys[0].1.len(), keys[1].1.len()), (1, 2));
        clean(&bucket, &keys[1].0, 3).await.unwrap();
        let left = objects(&bucket).await.into_keys().filter(|key| key.contains("AWSDynamoDB/data/"));
        assert_eq!(left.collect::<Vec<_>>(), keys[0].1);
    }
}
