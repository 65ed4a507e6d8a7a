//! A table's past, laid out in a node to be read in the order of its keys, as exports do: it becomes nobody's, and goes once
//! it was read.

use super::RestoringPartition;
use crate::disk::Disk;
use bytes::Bytes;
use cairn_archive::restore::RestoreSink;
use cairn_engine::FjallStore;
use cairn_model::{key::EncodedKey, table::TableDefinition, time::Timestamp};
use cairn_replication::{
    Host,
    log::LogEntry,
    restore::{Loaded, LoadedVersion},
};
use std::sync::Arc;

/// Bytes of items that are read at once.
const PAGE_BYTES: usize = 1 << 20;

type SinkError = Box<dyn std::error::Error + Send + Sync>;

/// A node that a table's past can be laid out in.
pub trait Reader: Send + Sync {
    /// Begins to lay out one partition; what is deleted after that time, if one is given, is kept. Blocks.
    fn begin(&self, deletions_after: Option<Timestamp>) -> anyhow::Result<Box<dyn Reading>>;
}

/// One partition on its way in. Dropped before its end, nothing of it stays. Every call blocks.
pub trait Reading: RestoreSink {
    /// The end: all of it was given.
    fn read(self: Box<Self>) -> anyhow::Result<PastItems>;
}

/// What is there under a key.
pub type PastItem = anyhow::Result<(EncodedKey, LoadedVersion)>;

/// What a partition held.
pub struct PastItems {
    pub definition: TableDefinition,
    /// Of the items, in DynamoDB's bytes.
    pub size_bytes: u64,
    /// In the order of their keys. To take the next one blocks, and so does to drop them, with which the data goes.
    pub items: Box<dyn Iterator<Item = PastItem> + Send>,
}

impl std::fmt::Debug for PastItems {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PastItems").field("table", &self.definition.table_name).finish_non_exhaustive()
    }
}

/// This process's own node.
#[derive(Debug)]
pub(crate) struct HostReader {
    pub(crate) host: Host,
    pub(crate) disk: Arc<Disk>,
}

impl Reader for HostReader {
    fn begin(&self, deletions_after: Option<Timestamp>) -> anyhow::Result<Box<dyn Reading>> {
        let mut partition = RestoringPartition::begin(&self.host, &self.disk)?;
        if let Some(after) = deletions_after {
            partition.keep_deletions(after);
        }
        Ok(Box::new(HostReading(partition)))
    }
}

struct HostReading(RestoringPartition);

impl RestoreSink for HostReading {
    fn chunk(&mut self, chunk: Bytes) -> Result<(), SinkError> {
        self.0.chunk(chunk)
    }

    fn chunks_done(&mut self) -> Result<(), SinkError> {
        self.0.chunks_done()
    }

    fn entry(&mut self, entry: LogEntry) -> Result<(), SinkError> {
        self.0.entry(entry)
    }

    fn entry_behind(&mut self, entry: LogEntry, at: Timestamp) -> Result<(), SinkError> {
        self.0.entry_behind(entry, at)
    }
}

impl Reading for HostReading {
    fn read(self: Box<Self>) -> anyhow::Result<PastItems> {
        let loaded = self.0.read()?;
        let definition = loaded.definition().ok_or_else(|| anyhow::anyhow!("nothing was given"))?;
        Ok(PastItems {
            definition: (**definition).clone(),
            size_bytes: loaded.size_bytes(),
            items: Box::new(LoadedItems { loaded, last: None, page: Vec::new().into_iter(), over: false }),
        })
    }
}

struct LoadedItems {
    loaded: Loaded<FjallStore>,
    last: Option<EncodedKey>,
    page: std::vec::IntoIter<(EncodedKey, LoadedVersion)>,
    over: bool,
}

impl Iterator for LoadedItems {
    type Item = PastItem;

    fn next(&mut self) -> Option<PastItem> {
        if self.page.len() == 0 && !self.over {
            match self.loaded.page(self.last.as_ref(), PAGE_BYTES) {
                Ok(page) => self.page = page.into_iter(),
                Err(error) => {
                    self.over = true;
                    return Some(Err(error.into()));
                }
            }
            self.over = self.page.len() == 0;
        }
        let (key, version) = self.page.next()?;
        if self.page.len() == 0 {
            self.last = Some(key.clone());
        }
        Some(Ok((key, version)))
    }
}
