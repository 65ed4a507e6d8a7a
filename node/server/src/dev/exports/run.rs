//! One export, from its record to its end.

use super::LocalExports;
use crate::{
    archive::{self, RestoringPartition},
    dev::{backups::CLUSTER, tables::ACCOUNT},
    environment,
};
use anyhow::Context;
use cairn_archive::{
    ArchiveError, Bucket, TablePath,
    export::{ExportRecord, ExportScope, ExportState, ExportView, ExportWriter, WriteError, line},
    restore,
};
use cairn_engine::FjallStore;
use cairn_model::time::Timestamp;
use cairn_replication::restore::{Loaded, LoadedVersion};
use std::{sync::Arc, time::Duration};

/// How often the archive is looked at for a time that it does not have yet, and for how long about: it is seconds behind,
/// but for an outage.
const PAUSE_FIRST: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(2);
const PAUSES_MAX: u32 = 1_800;
/// Bytes of items that are read at once.
const PAGE_BYTES: usize = 4 << 20;

/// The last moment of a millisecond.
fn end_of(millis: u64) -> Timestamp {
    Timestamp(Timestamp::from_millis(millis).0 | 0xffff)
}

impl LocalExports {
    /// What becomes of an export.
    pub(super) async fn run(&self, record: &ExportRecord) -> ExportState {
        let export = &record.arn;
        match self.make(record).await {
            Ok(state) => {
                tracing::info!(export, "exported a table");
                state
            }
            Err(error) => {
                tracing::error!(export, error = &*error as &dyn std::error::Error, "failed to export a table");
                let (code, message) = match error.downcast_ref::<WriteError>() {
                    Some(error) => error.failure(),
                    None => ("UNKNOWN", format!("{error:#}")),
                };
                ExportState::Failed { end_time_ms: environment::wall_ms(), code: code.to_owned(), message }
            }
        }
    }

    /// Its table is loaded only once the archive has all of it, and few at a time.
    async fn make(&self, record: &ExportRecord) -> anyhow::Result<ExportState> {
        let bucket = Bucket::connect(&self.config.for_bucket(&record.s3_bucket))?;
        let writer = ExportWriter::begin(bucket, record.clone()).await?;
        let path = TablePath { cluster: CLUSTER.to_owned(), account: ACCOUNT.to_owned(), table_id: record.table_id };
        let until = match record.scope {
            ExportScope::FullExport { time_ms } => end_of(time_ms),
            ExportScope::IncrementalExport { to_ms, .. } => end_of(to_ms - 1),
        };
        self.wait_for(&path, until).await?;
        let _place = self.places.acquire().await?;
        let (writer, billed_size_bytes) = match record.scope {
            ExportScope::FullExport { .. } => {
                let loaded = self.load(&path, until, None).await?;
                blocking(move || write_items(&loaded, writer)).await?
            }
            ExportScope::IncrementalExport { from_ms, view, .. } => {
                let from = end_of(from_ms - 1);
                let before = self.load(&path, from, None).await?;
                let after = match self.load(&path, until, Some(from)).await {
                    Ok(after) => after,
                    Err(error) => {
                        // To reclaim it blocks.
                        tokio::task::spawn_blocking(move || drop(before)).await?;
                        return Err(error);
                    }
                };
                let show_old = view == ExportView::NewAndOldImages;
                blocking(move || write_changes(&before, &after, show_old, writer)).await?
            }
        };
        Ok(writer.finish(environment::wall_ms(), billed_size_bytes).await?)
    }

    /// Waits until the archive has the table as of a time.
    async fn wait_for(&self, path: &TablePath, at: Timestamp) -> Result<(), ArchiveError> {
        let (mut pauses, mut pause) = (0, PAUSE_FIRST);
        loop {
            let error = match restore::plan(&self.archive, path, at, &[]).await {
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

    /// The table as of `at`; with what was deleted after `since`.
    async fn load(
        &self,
        path: &TablePath,
        at: Timestamp,
        since: Option<Timestamp>,
    ) -> anyhow::Result<Loaded<FjallStore>> {
        let plan = |except: Vec<String>| async move {
            restore::plan_from(&self.archive, path, since.unwrap_or(at), at, &except).await
        };
        let host = self.node.host().clone();
        let begin = move || {
            let mut partition = RestoringPartition::begin(&host)?;
            if let Some(since) = since {
                partition.keep_deletions(since);
            }
            Ok(partition)
        };
        archive::load(plan, Arc::default(), begin, |partition: RestoringPartition| Ok(partition.read()?)).await
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> anyhow::Result<T> + Send + 'static) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(work).await.context("the thread that writes ended early")?
}

type Written = (ExportWriter, u64);

/// Every item; with the size of the table.
fn write_items(loaded: &Loaded<FjallStore>, mut writer: ExportWriter) -> anyhow::Result<Written> {
    let (format, mut text) = (writer.format(), Vec::new());
    for_each(loaded, |_, version| {
        let LoadedVersion::Item(version) = version else { return Ok(()) };
        text.clear();
        line::item(format, &version.item, &mut text)?;
        Ok(writer.line(&text)?)
    })?;
    Ok((writer, loaded.size_bytes()))
}

/// Every item that was written after `before`; with the size of what is shown of them.
fn write_changes(
    before: &Loaded<FjallStore>,
    after: &Loaded<FjallStore>,
    show_old: bool,
    mut writer: ExportWriter,
) -> anyhow::Result<Written> {
    let definition = after.definition().context("nothing was loaded")?;
    let (format, mut text, mut bytes) = (writer.format(), Vec::new(), 0);
    for_each(after, |key, version| {
        let old = match before.get(key)? {
            Some(LoadedVersion::Item(old)) => Some(old),
            Some(LoadedVersion::Deleted(_)) | None => None,
        };
        let (written_at, new) = match version {
            LoadedVersion::Item(new) if old.as_ref() == Some(new) => return Ok(()),
            LoadedVersion::Item(new) => (new.version_time, Some(&new.item)),
            LoadedVersion::Deleted(at) => (*at, None),
        };
        let old = old.as_ref().map(|old| &old.item);
        text.clear();
        let change = line::Change { written_at, new, old };
        line::change(format, &definition.key_schema, change, show_old, &mut text)?;
        // What came and went meanwhile is not shown.
        if text.is_empty() {
            return Ok(());
        }
        for image in [new, old.filter(|_| show_old)].into_iter().flatten() {
            bytes += u64::from(image.size()?);
        }
        Ok(writer.line(&text)?)
    })?;
    Ok((writer, bytes))
}

fn for_each(
    loaded: &Loaded<FjallStore>,
    mut each: impl FnMut(&cairn_model::key::EncodedKey, &LoadedVersion) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut last = None;
    loop {
        let page = loaded.page(last.as_ref(), PAGE_BYTES)?;
        for (key, version) in &page {
            each(key, version)?;
        }
        match page.into_iter().next_back() {
            Some((key, _)) => last = Some(key),
            None => return Ok(()),
        }
    }
}
