//! Fills a table: reads the files one after the other, and writes their items as any other write is.

use super::description;
use crate::dev::tables::LocalTables;
use cairn_api::{Partitions, RoutingKey, TableView, imports::ImportProgress};
use cairn_archive::{
    ArchiveConfig,
    import::{
        Entry, ErrorLog, Items, Rejected, SourceFiles,
        record::{FailureRecord, ImportRecord},
    },
};
use cairn_model::{ErrorKind, ServiceError, codec::EncodedItem, ids::RequestId, key::EncodedKey};
use cairn_replication::operation::{PartitionRequest, ReturnValues, WriteAction, WriteRequest};
use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use parking_lot::Mutex;
use std::{collections::HashSet, sync::Arc, time::Duration};
use tokio::{runtime::Handle, sync::mpsc};

/// More, and the import fails: its source is not what it was taken for.
const ERRORS_MAX: u64 = 10_000;
const WRITES_IN_FLIGHT_MAX: usize = 256;
const BYTES_IN_FLIGHT_MAX: usize = 8 << 20;
/// What one message of the reader holds at most, and one entry more; some messages wait for the writer.
const BATCH_ENTRIES_MAX: usize = 256;
const BATCH_BYTES_MAX: usize = 1 << 20;
const BATCHES_WAITING_MAX: usize = 4;
/// For how long a write is tried that meets too much to do, or a full disk.
const WRITE_PATIENCE: Duration = Duration::from_secs(60);
const WRITE_PAUSE_MIN: Duration = Duration::from_millis(10);
const WRITE_PAUSE_MAX: Duration = Duration::from_secs(1);

/// How far an import is.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress(Arc<Mutex<ImportProgress>>);

impl Progress {
    pub(super) fn get(&self) -> ImportProgress {
        *self.0.lock()
    }
}

/// What a filled table was filled with.
pub(super) struct Filled {
    /// Whether what was no item is told in the error log.
    pub(super) error_log: bool,
    pub(super) result: Result<(), FailureRecord>,
}

/// Fills a table with what the import's source holds.
pub(super) async fn fill(
    tables: &Arc<LocalTables>,
    view: &Arc<TableView>,
    archive: &ArchiveConfig,
    record: &ImportRecord,
    log: ErrorLog,
    progress: &Progress,
) -> Filled {
    let mut filling = Filling {
        tables: tables.clone(),
        view: view.clone(),
        progress: progress.clone(),
        log: Some(log),
        files: Arc::default(),
        keys: HashSet::new(),
        bytes: 0,
        writes: FuturesUnordered::new(),
    };
    let result = filling.run(archive, record).await;
    let errors = progress.get().error_count;
    let error_log = match filling.log {
        Some(log) if errors > 0 => log.finish().await.map_err(|error| untold(&error)).is_ok(),
        _ => false,
    };
    Filled { error_log, result }
}

fn untold(error: &cairn_archive::ArchiveError) {
    tracing::error!(error = error as &dyn std::error::Error, "failed to write the error log of an import");
}

/// Some entries of a file.
struct Batch {
    file: usize,
    entries: Vec<Entry>,
    /// Of the file, uncompressed, since the last one.
    bytes: u64,
}

/// A write that is done.
struct Written {
    file: usize,
    line: u64,
    key: EncodedKey,
    bytes: usize,
    result: Result<(), ServiceError>,
}

struct Filling {
    tables: Arc<LocalTables>,
    view: Arc<TableView>,
    progress: Progress,
    /// None once it could not be written.
    log: Option<ErrorLog>,
    files: Arc<Vec<String>>,
    /// Of the writes in flight: a second write of a key waits for the first, so that the last one wins.
    keys: HashSet<EncodedKey>,
    bytes: usize,
    writes: FuturesUnordered<BoxFuture<'static, Written>>,
}

impl Filling {
    async fn run(&mut self, archive: &ArchiveConfig, record: &ImportRecord) -> Result<(), FailureRecord> {
        let prefix = record.source.key_prefix.as_deref().unwrap_or_default();
        let source = SourceFiles::find(archive, &record.source.bucket, prefix).await;
        let source = source.map_err(|problem| failure(problem.code, problem.message))?;
        self.files = Arc::new(source.files.iter().map(|file| file.key.clone()).collect());
        let (sender, mut batches) = mpsc::channel(BATCHES_WAITING_MAX);
        let record = record.clone();
        let runtime = Handle::current();
        let reading = tokio::task::spawn_blocking(move || read(&source, &record, &runtime, &sender));
        while let Some(batch) = batches.recv().await {
            self.take(batch).await?;
        }
        while !self.writes.is_empty() {
            self.finish_write().await?;
        }
        reading.await.map_err(|error| failure("InternalServerError", error.to_string()))??;
        let ImportProgress { imported_item_count, error_count, .. } = self.progress.get();
        match imported_item_count {
            0 if error_count > 0 => Err(failure(INVALID_ITEMS, "None of the items could be imported".to_owned())),
            _ => Ok(()),
        }
    }

    async fn take(&mut self, batch: Batch) -> Result<(), FailureRecord> {
        self.progress.0.lock().processed_size_bytes += batch.bytes;
        for Entry { line, item } in batch.entries {
            self.progress.0.lock().processed_item_count += 1;
            match item {
                Ok((key, item)) => self.write(batch.file, line, key, item).await?,
                Err(rejected) => self.reject(batch.file, line, rejected).await?,
            }
        }
        Ok(())
    }

    async fn write(&mut self, file: usize, line: u64, key: EncodedKey, item: EncodedItem) -> Result<(), FailureRecord> {
        let bytes = item.0.len();
        while self.keys.contains(&key)
            || self.writes.len() >= WRITES_IN_FLIGHT_MAX
            || (self.bytes + bytes > BYTES_IN_FLIGHT_MAX && !self.writes.is_empty())
        {
            self.finish_write().await?;
        }
        self.keys.insert(key.clone());
        self.bytes += bytes;
        let (tables, view) = (self.tables.clone(), self.view.clone());
        self.writes.push(Box::pin(async move {
            let result = put(&tables, &view, key.clone(), item).await;
            Written { file, line, key, bytes, result }
        }));
        Ok(())
    }

    /// Waits for one of the writes in flight.
    async fn finish_write(&mut self) -> Result<(), FailureRecord> {
        let Some(written) = self.writes.next().await else { return Ok(()) };
        self.keys.remove(&written.key);
        self.bytes -= written.bytes;
        match written.result {
            Ok(()) => {
                self.progress.0.lock().imported_item_count += 1;
                Ok(())
            }
            Err(error) if error.kind == ErrorKind::ValidationException => {
                let rejected = Rejected { message: error.message, text: String::new() };
                self.reject(written.file, written.line, rejected).await
            }
            Err(error) => Err(failure("InternalServerError", format!("An item could not be written: {error}"))),
        }
    }

    async fn reject(&mut self, file: usize, line: u64, rejected: Rejected) -> Result<(), FailureRecord> {
        let errors = {
            let mut progress = self.progress.0.lock();
            progress.error_count += 1;
            progress.error_count
        };
        if errors > ERRORS_MAX {
            return Err(failure(INVALID_ITEMS, format!("More than {ERRORS_MAX} items failed validation checks")));
        }
        let object = self.files.get(file).map_or("", String::as_str);
        if let Some(log) = &mut self.log
            && let Err(error) = log.write(object, line, &rejected).await
        {
            untold(&error);
            self.log = None;
        }
        Ok(())
    }
}

/// DynamoDB's own code.
pub(super) const INVALID_ITEMS: &str = "ItemValidationError";

pub(super) fn failure(code: &str, message: String) -> FailureRecord {
    FailureRecord { code: code.to_owned(), message }
}

/// Reads all the files. Blocks.
fn read(
    source: &SourceFiles,
    record: &ImportRecord,
    runtime: &Handle,
    batches: &mpsc::Sender<Batch>,
) -> Result<(), FailureRecord> {
    for (position, file) in source.files.iter().enumerate() {
        let unreadable = |error: std::io::Error| {
            failure("SourceUnreadable", format!("The object {} cannot be read: {error}", file.key))
        };
        let format = description::format(&record.format);
        let reader = source.open(file, runtime.clone());
        let schema = record.definition.key_schema.clone();
        let mut items = Items::new(reader, record.compression, format, schema).map_err(unreadable)?;
        let mut told = 0;
        loop {
            let mut entries = Vec::new();
            let mut bytes = 0;
            let mut ended = None;
            while ended.is_none() && entries.len() < BATCH_ENTRIES_MAX && bytes < BATCH_BYTES_MAX {
                match items.next() {
                    Some(Ok(entry)) => {
                        bytes += entry.item.as_ref().map_or_else(|no| no.text.len(), |(_, item)| item.0.len());
                        entries.push(entry);
                    }
                    Some(Err(error)) => ended = Some(Err(error)),
                    None => ended = Some(Ok(())),
                }
            }
            let batch = Batch { file: position, entries, bytes: items.bytes() - told };
            told = items.bytes();
            if batches.blocking_send(batch).is_err() {
                // The writer has failed, and knows why.
                return Ok(());
            }
            match ended {
                None => {}
                Some(Ok(())) => break,
                Some(Err(error)) => return Err(unreadable(error)),
            }
        }
    }
    Ok(())
}

async fn put(
    tables: &Arc<LocalTables>,
    view: &TableView,
    key: EncodedKey,
    item: EncodedItem,
) -> Result<(), ServiceError> {
    let request = WriteRequest {
        // The same for all its tries: doing it twice does it once.
        request_id: RequestId(uuid::Uuid::new_v4().into_bytes()),
        key: key.clone(),
        action: WriteAction::Put(item),
        condition: None,
        return_values: ReturnValues::None,
        return_item_on_condition_failure: false,
    };
    let (mut waited, mut pause) = (Duration::ZERO, WRITE_PAUSE_MIN);
    loop {
        let request = PartitionRequest::Write(request.clone());
        match tables.request(view, RoutingKey::from(&key), request).await {
            Ok(_) => return Ok(()),
            Err(error) if passes(error.kind) && waited < WRITE_PATIENCE => {
                tokio::time::sleep(pause).await;
                waited += pause;
                pause = (2 * pause).min(WRITE_PAUSE_MAX);
            }
            Err(error) => return Err(error),
        }
    }
}

/// Whether another try may do better.
fn passes(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ThrottlingException | ErrorKind::InternalServerError | ErrorKind::ServiceUnavailable)
}
