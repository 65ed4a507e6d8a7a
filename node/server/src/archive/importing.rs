//! What the files of an import hold, on its way into a new partition: read one after the other, item by item.

use super::ItemSink;
use crate::environment;
use anyhow::Context;
use cairn_archive::{
    ArchiveConfig, ArchiveError,
    import::{Entry, ErrorLog, Items, Rejected, SourceFile, SourceFiles, is_unreached},
};
use cairn_model::{
    archive::import::{ImportFailure, ImportOrder, ImportOutcome, ImportProgress},
    codec::EncodedItem,
    key::EncodedKey,
};
use parking_lot::Mutex;
use std::{io, sync::Arc};
use tokio::runtime::Handle;

/// More, and the import fails: its source is not what it was taken for.
const ERRORS_MAX: u64 = 10_000;
/// What is given on together, and one item more.
const BATCH_ITEMS_MAX: usize = 4_096;
const BATCH_BYTES_MAX: usize = 1 << 20;
/// DynamoDB's own code.
const INVALID_ITEMS: &str = "ItemValidationError";

/// How far an import is. Its clones are one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress(Arc<Mutex<ImportProgress>>);

impl Progress {
    pub(crate) fn get(&self) -> ImportProgress {
        *self.0.lock()
    }

    fn change(&self, change: impl FnOnce(&mut ImportProgress)) -> ImportProgress {
        let mut progress = self.0.lock();
        change(&mut progress);
        *progress
    }
}

/// Fills what `begin` makes with what the import's source holds: how it ended and, where a table is to be made of it, what was filled. An
/// error is not the source's: another try may do better. The bucket is reached as `archive` says.
pub(crate) async fn fill<S: ItemSink + 'static>(
    archive: &ArchiveConfig,
    order: &ImportOrder,
    log: ErrorLog,
    log_url: &str,
    progress: &Progress,
    begin: impl FnOnce() -> anyhow::Result<S> + Send + 'static,
) -> anyhow::Result<(ImportOutcome, Option<S>)> {
    let prefix = order.source.key_prefix.as_deref().unwrap_or_default();
    let (filled, error_log) = match SourceFiles::find(archive, &order.source.bucket, prefix).await {
        Err(problem) if problem.may_pass() => return Err(anyhow::anyhow!(problem.message)),
        Err(problem) => (Err(Stop::Source(failure(problem.code, problem.message))), false),
        Ok(source) => {
            let (order, progress, runtime) = (order.clone(), progress.clone(), Handle::current());
            let filling = tokio::task::spawn_blocking(move || {
                let mut filling = Filling::new(begin()?, order, progress, log, runtime);
                let filled = filling.read(&source);
                anyhow::Ok(filling.end(filled))
            });
            filling.await.context("the thread that imports ended early").flatten()?
        }
    };
    let progress = progress.get();
    let (sink, mut failure) = match filled {
        Err(Stop::Here(error)) => return Err(error),
        Err(Stop::Source(failure)) => (None, Some(failure)),
        Ok(sink) if progress.error_count > 0 => {
            (Some(sink), Some(failure(INVALID_ITEMS, "Some of the items failed validation checks".to_owned())))
        }
        Ok(sink) => (Some(sink), None),
    };
    if let Some(failure) = &mut failure
        && progress.error_count > 0
    {
        failure.message += &match error_log {
            true => format!(". The errors are told in {log_url}"),
            false => ". The errors could not be written into the archive".to_owned(),
        };
    }
    let end_time_ms = environment::wall_ms();
    Ok((ImportOutcome { end_time_ms, progress, completed: sink.is_some(), error_log, failure }, sink))
}

/// Drops what was filled, with which its data goes: that blocks.
pub(crate) async fn give_up<S: Send + 'static>(filled: S) {
    // What panicked there is gone all the same.
    drop(tokio::task::spawn_blocking(move || drop(filled)).await);
}

/// Why not all was read.
enum Stop {
    /// For good.
    Source(ImportFailure),
    /// The node or the way to the source, not what is there.
    Here(anyhow::Error),
}

pub(crate) fn failure(code: &str, message: String) -> ImportFailure {
    ImportFailure { code: code.to_owned(), message }
}

/// The reader of all files, on a thread that may block.
struct Filling<S> {
    sink: S,
    order: ImportOrder,
    progress: Progress,
    /// None once it could not be written.
    log: Option<ErrorLog>,
    runtime: Handle,
    batch: Vec<(EncodedKey, EncodedItem)>,
    batch_bytes: usize,
}

impl<S: ItemSink> Filling<S> {
    fn new(sink: S, order: ImportOrder, progress: Progress, log: ErrorLog, runtime: Handle) -> Self {
        Self { sink, order, progress, log: Some(log), runtime, batch: Vec::new(), batch_bytes: 0 }
    }

    fn read(&mut self, source: &SourceFiles) -> Result<(), Stop> {
        for file in &source.files {
            self.read_file(source, file)?;
        }
        self.give()
    }

    fn read_file(&mut self, source: &SourceFiles, file: &SourceFile) -> Result<(), Stop> {
        let unreadable = |error: io::Error| {
            let message = format!("The object {} cannot be read: {error}", file.key);
            if is_unreached(&error) {
                Stop::Here(anyhow::anyhow!(message))
            } else {
                Stop::Source(failure("SourceUnreadable", message))
            }
        };
        let reader = source.open(file, self.runtime.clone());
        let (format, table) = ((&self.order.format).into(), self.order.definition.clone());
        let mut items = Items::new(reader, self.order.compression, format, table).map_err(unreadable)?;
        let mut told = 0;
        while let Some(entry) = items.next() {
            let bytes = items.bytes();
            self.progress.change(|progress| progress.processed_size_bytes += bytes - told);
            told = bytes;
            self.take(file, entry.map_err(unreadable)?)?;
        }
        let left = items.bytes() - told;
        self.progress.change(|progress| progress.processed_size_bytes += left);
        Ok(())
    }

    fn take(&mut self, file: &SourceFile, Entry { line, item }: Entry) -> Result<(), Stop> {
        self.progress.change(|progress| progress.processed_item_count += 1);
        match item {
            Err(rejected) => self.reject(file, line, &rejected),
            Ok((key, item)) => {
                self.batch_bytes += key.0.len() + item.0.len();
                self.batch.push((key, item));
                let full = self.batch.len() >= BATCH_ITEMS_MAX || self.batch_bytes >= BATCH_BYTES_MAX;
                if full { self.give() } else { Ok(()) }
            }
        }
    }

    /// Gives on what waits.
    fn give(&mut self) -> Result<(), Stop> {
        let batch = std::mem::take(&mut self.batch);
        let count = batch.len() as u64;
        self.batch_bytes = 0;
        if count > 0 {
            self.sink.items(batch).map_err(Stop::Here)?;
            self.progress.change(|progress| progress.imported_item_count += count);
        }
        Ok(())
    }

    fn reject(&mut self, file: &SourceFile, line: u64, rejected: &Rejected) -> Result<(), Stop> {
        let progress = self.progress.change(|progress| progress.error_count += 1);
        if progress.error_count > ERRORS_MAX {
            let message = format!("More than {ERRORS_MAX} items failed validation checks");
            return Err(Stop::Source(failure(INVALID_ITEMS, message)));
        }
        if let Some(log) = &mut self.log
            && let Err(error) = self.runtime.block_on(log.write(&file.key, line, rejected))
        {
            untold(&error);
            self.log = None;
        }
        Ok(())
    }

    /// What was filled, if all was; and whether what was no item is told in the error log.
    fn end(self, filled: Result<(), Stop>) -> (Result<S, Stop>, bool) {
        let errors = self.progress.get().error_count;
        let error_log = match self.log {
            Some(log) if errors > 0 => self.runtime.block_on(log.finish()).map_err(|error| untold(&error)).is_ok(),
            _ => false,
        };
        (filled.map(|()| self.sink), error_log)
    }
}

fn untold(error: &ArchiveError) {
    tracing::error!(error = error as &dyn std::error::Error, "failed to write the error log of an import");
}
