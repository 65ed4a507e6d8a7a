//! A partition's data made of items that come in no order and more than once, as those of an import do.

use super::{RestoreError, Restored, given_on, let_others_go_first};
use bytes::Bytes;
use cairn_engine::{Applied, Engine, EngineError, ItemWrite, SnapshotWriter, Store};
use cairn_model::{
    codec::{CodecError, EncodedItem, StoredVersion},
    descriptor::KeyRange,
    key::EncodedKey,
    time::Timestamp,
};
use std::{collections::BTreeMap, sync::Arc};

/// Items on their way in. Dropped before its end, what it took is reclaimed. All of it blocks.
pub struct Filling<S: Store> {
    engine: Arc<Engine<S>>,
    /// Present until it is given on.
    writer: Option<SnapshotWriter>,
    applied: Applied,
}

impl<S: Store> Filling<S> {
    /// All items are versions of this time.
    pub fn begin(engine: Arc<Engine<S>>, time: Timestamp) -> Result<Self, RestoreError> {
        let writer = Some(engine.begin_fill()?);
        Ok(Self { engine, writer, applied: Applied { entry_time: time, ..Applied::default() } })
    }

    /// Takes some megabytes of items, which are written together; of two under one key the later one counts.
    pub fn items(&mut self, items: Vec<(EncodedKey, EncodedItem)>) -> Result<(), RestoreError> {
        let_others_go_first(&self.engine);
        let writer = self.writer.as_ref().ok_or_else(given_on)?;
        let newest: BTreeMap<EncodedKey, EncodedItem> = items.into_iter().collect();
        let mut writes = Vec::with_capacity(newest.len());
        for (key, item) in newest {
            let before = self.engine.loaded_item(writer, &key)?;
            let before = before.map(|bytes| StoredVersion::parse(bytes)?.item.size()).transpose().map_err(damaged)?;
            let size = item.size().map_err(damaged)?;
            self.applied.item_count += u64::from(before.is_none());
            self.applied.size_bytes = self.applied.size_bytes + u64::from(size) - u64::from(before.unwrap_or(0));
            let version = StoredVersion { version_time: self.applied.entry_time, origin: Bytes::new(), item };
            writes.push(ItemWrite { key, value: Some(version.encode()) });
        }
        Ok(self.engine.load_writes(writer, writes)?)
    }

    /// The end: what came is all of a partition with all keys.
    pub fn finish(mut self) -> Result<Restored, RestoreError> {
        // Here it holds up nobody: what is left to sync when the data is adopted is little.
        self.engine.store().persist().map_err(EngineError::from)?;
        let writer = self.writer.take().ok_or_else(given_on)?;
        Ok(Restored { writer, applied: self.applied, range: KeyRange::default() })
    }
}

fn damaged(error: CodecError) -> EngineError {
    EngineError::Snapshot { reason: error.to_string() }
}

impl<S: Store> Drop for Filling<S> {
    fn drop(&mut self) {
        if let Some(writer) = self.writer.take()
            && let Err(error) = self.engine.abandon(writer)
        {
            tracing::error!(error = &error as &dyn std::error::Error, "failed to give up what was to fill a partition");
        }
    }
}

impl<S: Store> std::fmt::Debug for Filling<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Filling").field("applied", &self.applied).finish_non_exhaustive()
    }
}
