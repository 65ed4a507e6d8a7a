//! The files of an export, out of what the archive has of its table.

use super::Exporter;
use crate::{
    archive::{self, PastItem, PastItems, Reading, past::path_of},
    environment,
};
use anyhow::Context;
use bytes::Bytes;
use cairn_api::exports::Filter;
use cairn_archive::{
    ArchiveConfig, ArchiveError, Bucket, TablePath,
    export::{ExportWriter, Fence, line},
    restore::{self, RestoreSink},
};
use cairn_model::{
    codec::EncodedItem,
    export::{ExportFilter, ExportRecord, ExportScope, ExportState, ExportView},
    key::EncodedKey,
    table::TableDefinition,
    time::Timestamp,
};
use cairn_replication::{log::LogEntry, restore::LoadedVersion};
use std::{cmp::Ordering, iter::Peekable, sync::Arc, time::Duration};
use tokio::runtime::Handle;

/// How often the archive is looked at for a time that it does not have yet, and for how long about: it is seconds behind,
/// but for an outage.
const PAUSE_FIRST: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(2);
const PAUSES_MAX: u32 = 1_800;

type SinkError = Box<dyn std::error::Error + Send + Sync>;

/// The last moment of a millisecond.
fn end_of(millis: u64) -> Timestamp {
    Timestamp(Timestamp::from_millis(millis).0 | 0xffff)
}

impl Exporter {
    /// The bucket of an export.
    pub(super) fn target(&self, record: &ExportRecord) -> anyhow::Result<Bucket> {
        let (_, config) = (self.access)().map_err(|refusal| anyhow::anyhow!("{}", refusal.message()))?;
        let config = ArchiveConfig { encryption: record.encryption.clone(), ..config.for_bucket(&record.s3_bucket) };
        Ok(Bucket::connect(&config)?)
    }

    /// Its table is laid out only once the archive has all of it, and few at a time.
    pub(super) async fn make(&self, record: &ExportRecord, attempt: u32, fence: Fence) -> anyhow::Result<ExportState> {
        let (archive, _) = (self.access)().map_err(|refusal| anyhow::anyhow!("{}", refusal.message()))?;
        let target = self.target(record)?;
        let writer = ExportWriter::begin(target, record.clone(), attempt, fence.clone()).await?;
        let path = path_of(&self.own, record.table_id);
        let until = match record.scope {
            ExportScope::FullExport { time_ms } => end_of(time_ms),
            ExportScope::IncrementalExport { to_ms, .. } => end_of(to_ms - 1),
        };
        wait_for(&archive, &path, until).await?;
        let _place = self.places.acquire().await?;
        let (writer, billed_size_bytes) = match record.scope {
            ExportScope::FullExport { .. } => {
                let now = self.lay_out(&archive, &path, until, None, fence).await?;
                let asked = record.filter.clone();
                blocking(move || write_items(now.read()?, asked.as_ref(), writer)).await?
            }
            ExportScope::IncrementalExport { from_ms, view, .. } => {
                let from = end_of(from_ms - 1);
                let before = self.lay_out(&archive, &path, from, None, fence.clone()).await?;
                let after = self.lay_out(&archive, &path, until, Some(from), fence).await;
                let asked = record.filter.clone();
                let write = move || {
                    let after = after?;
                    write_changes(before.read()?, after.read()?, view, asked.as_ref(), writer)
                };
                blocking(write).await?
            }
        };
        Ok(writer.finish(environment::wall_ms(), billed_size_bytes).await?)
    }

    /// The table as of `at`, to be read; with what was deleted after `since`.
    async fn lay_out(
        &self,
        archive: &Bucket,
        path: &TablePath,
        at: Timestamp,
        since: Option<Timestamp>,
        fence: Fence,
    ) -> anyhow::Result<Fenced> {
        let plan = |except: Vec<String>| async move {
            restore::plan_from(archive, path, since.unwrap_or(at), at, &except).await
        };
        let reader = self.reader.clone();
        let begin = move || Ok(Fenced { reading: Some(reader.begin(since)?), fence: fence.clone() });
        archive::load(plan, Arc::default(), begin, Ok).await
    }
}

/// Takes nothing more once who makes the export must stop.
struct Fenced {
    /// Present until it is read.
    reading: Option<Box<dyn Reading>>,
    fence: Fence,
}

impl Fenced {
    fn read(mut self) -> anyhow::Result<PastItems> {
        self.reading.take().context("it was read before")?.read()
    }

    fn take(&mut self) -> Result<&mut Box<dyn Reading>, SinkError> {
        if !self.fence.is_open() {
            return Err("somebody else makes the export".into());
        }
        self.reading.as_mut().ok_or_else(|| "it was read before".into())
    }
}

impl Drop for Fenced {
    /// To give it up blocks, and who drops it may be cancelled.
    fn drop(&mut self) {
        if let (Some(reading), Ok(runtime)) = (self.reading.take(), Handle::try_current()) {
            runtime.spawn_blocking(move || drop(reading));
        }
    }
}

impl RestoreSink for Fenced {
    fn chunk(&mut self, chunk: Bytes) -> Result<(), SinkError> {
        self.take()?.chunk(chunk)
    }

    fn chunks_done(&mut self) -> Result<(), SinkError> {
        self.take()?.chunks_done()
    }

    fn entry(&mut self, entry: LogEntry) -> Result<(), SinkError> {
        self.take()?.entry(entry)
    }

    fn entry_behind(&mut self, entry: LogEntry, at: Timestamp) -> Result<(), SinkError> {
        self.take()?.entry_behind(entry, at)
    }
}

/// Waits until the archive has the table as of a time.
async fn wait_for(archive: &Bucket, path: &TablePath, at: Timestamp) -> Result<(), ArchiveError> {
    let (mut pauses, mut pause) = (0, PAUSE_FIRST);
    loop {
        let error = match restore::plan(archive, path, at, &[]).await {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        let may_pass = match &error {
            ArchiveError::NotRestorable { windows, .. } => windows.last().is_none_or(|last| last.latest < at),
            ArchiveError::Store { .. } | ArchiveError::TimedOut { .. } => true,
            _ => false,
        };
        if !may_pass || pauses >= PAUSES_MAX {
            return Err(error);
        }
        tokio::time::sleep(pause).await;
        pause = (2 * pause).min(PAUSE_MAX);
        pauses += 1;
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> anyhow::Result<T> + Send + 'static) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(work).await.context("the thread that writes ended early")?
}

type Written = (ExportWriter, u64);

/// Of a table, what was asked for of it.
fn filter(asked: Option<&ExportFilter>, table: &TableDefinition) -> anyhow::Result<Option<Filter>> {
    let filter = asked.map(|asked| Filter::new(asked, table)).transpose();
    filter.map_err(|error| anyhow::anyhow!("the filter does not go with the table: {}", error.message))
}

/// Every item that is asked for; with the size of the table.
fn write_items(table: PastItems, asked: Option<&ExportFilter>, mut writer: ExportWriter) -> anyhow::Result<Written> {
    let filter = filter(asked, &table.definition)?;
    let (format, mut text) = (writer.format(), Vec::new());
    for item in table.items {
        let (key, LoadedVersion::Item(mut version)) = item? else { continue };
        if let Some(filter) = &filter {
            if !filter.admits(&key, &version.item)? {
                continue;
            }
            version.item = filter.shown(&version.item)?;
        }
        text.clear();
        line::item(format, &version.item, &mut text)?;
        writer.line(&text)?;
    }
    Ok((writer, table.size_bytes))
}

/// Every item that was written after `before` and is asked for; with the size of what is shown of them.
fn write_changes(
    before: PastItems,
    after: PastItems,
    view: ExportView,
    asked: Option<&ExportFilter>,
    mut writer: ExportWriter,
) -> anyhow::Result<Written> {
    let (schema, filter) = (&after.definition.key_schema, filter(asked, &after.definition)?);
    let (format, mut text, mut bytes) = (writer.format(), Vec::new(), 0);
    let mut before = before.items.peekable();
    for item in after.items {
        let (key, version) = item?;
        let old = match at(&mut before, &key)? {
            Some(LoadedVersion::Item(old)) => Some(old),
            Some(LoadedVersion::Deleted(_)) | None => None,
        };
        let (written_at, new) = match &version {
            LoadedVersion::Item(new) if old.as_ref() == Some(new) => continue,
            LoadedVersion::Item(new) => (new.version_time, Some(&new.item)),
            LoadedVersion::Deleted(at) => (*at, None),
        };
        let old = old.as_ref().map(|old| &old.item);
        // What came and went meanwhile is not shown.
        let Some(latest) = new.or(old) else { continue };
        // "DynamoDB evaluates the filter against the latest image of each changed item. For a deleted item, … against the old image"
        // (developer guide, Filtering a table export).
        if let Some(filter) = &filter
            && !filter.admits(&key, latest)?
        {
            continue;
        }
        let shown = |image: Option<&EncodedItem>| {
            image
                .map(|image| filter.as_ref().map_or_else(|| Ok(image.clone()), |filter| filter.shown(image)))
                .transpose()
        };
        let (new, old) = (shown(new)?, shown(old.filter(|_| view == ExportView::NewAndOldImages))?);
        text.clear();
        let change = line::Change { written_at, latest, new: new.as_ref(), old: old.as_ref() };
        line::change(format, schema, change, &mut text)?;
        for image in new.iter().chain(&old) {
            bytes += u64::from(image.size()?);
        }
        writer.line(&text)?;
    }
    Ok((writer, bytes))
}

/// What is there under a key, of items in the order of their keys; those before it are passed over.
fn at(items: &mut Peekable<impl Iterator<Item = PastItem>>, key: &EncodedKey) -> anyhow::Result<Option<LoadedVersion>> {
    loop {
        let order = match items.peek() {
            None => return Ok(None),
            Some(Ok((other, _))) => other.cmp(key),
            Some(Err(_)) => Ordering::Less,
        };
        match order {
            Ordering::Less => drop(items.next().transpose()?),
            Ordering::Equal => return Ok(items.next().transpose()?.map(|(_, version)| version)),
            Ordering::Greater => return Ok(None),
        }
    }
}
