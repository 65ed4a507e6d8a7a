//! The indexes of restored items: made of the items once all of them are there, for the archive has none.

use super::{RestoreError, Restored, let_others_go_first};
use crate::indexes;
use cairn_engine::{Engine, EngineError, IndexBatch, Store};
use cairn_model::{codec::StoredVersion, key::EncodedKey, table::TableDefinition};

/// Items looked at in one step, and their bytes.
const ITEMS_MAX: usize = 4_096;
const BYTES_MAX: usize = 4 << 20;

impl Restored {
    /// Makes the indexes that this table has. To be done once, before the data is adopted.
    pub fn build_indexes<S: Store>(
        &self,
        engine: &Engine<S>,
        definition: &TableDefinition,
    ) -> Result<(), RestoreError> {
        let has_local = !definition.local_indexes.is_empty();
        if !has_local && definition.time_to_live.is_none() {
            return Ok(());
        }
        let mut after: Option<EncodedKey> = None;
        loop {
            let_others_go_first(engine);
            let (mut batch, mut bytes) = (IndexBatch::default(), 0);
            let before = after.clone();
            for pair in engine.loaded(&self.writer, after.as_ref()).take(ITEMS_MAX) {
                let (key, stored) = pair?;
                bytes += key.0.len() + stored.len();
                let damaged = |reason: String| EngineError::Snapshot { reason };
                let item = StoredVersion::parse(stored).map_err(|error| damaged(error.to_string()))?.item;
                let effects = indexes::effects(definition, &key, None, Some(&item));
                batch.changes.extend(effects.map_err(|error| damaged(error.message))?.changes);
                let size = item.size().map_err(|error| damaged(error.to_string()))?;
                if has_local {
                    batch.growth.push((key.clone(), i64::from(size)));
                }
                after = Some(key);
                if bytes >= BYTES_MAX {
                    break;
                }
            }
            if after == before {
                return Ok(());
            }
            engine.load_indexes(&self.writer, &batch)?;
        }
    }
}
