//! What the data folder knows of imports whose end the bucket may not know: how they end if their table is there.
//!
//! `imports/IMPORT_ID.json` is written when every item is loaded, before the table is made of them. It goes when the bucket
//! has the outcome.

use crate::dev::{files, tables::LocalTables};
use anyhow::Context;
use cairn_model::{
    archive::import::{ImportOrder, ImportOutcome},
    ids::TableId,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Marker {
    version: u64,
    import_id: String,
    table_id: TableId,
    outcome: ImportOutcome,
}

impl Marker {
    pub(super) fn new(order: &ImportOrder, outcome: ImportOutcome) -> Self {
        let (import_id, table_id) = (order.import_id.clone(), order.definition.table_id);
        Self { version: 1, import_id, table_id, outcome }
    }
}

/// The markers in a data folder.
#[derive(Clone, Debug)]
pub(super) struct Markers {
    folder: PathBuf,
}

impl Markers {
    pub(super) fn new(data: &Path) -> Self {
        Self { folder: data.join("imports") }
    }

    fn path(&self, import_id: &str) -> PathBuf {
        files::path(&self.folder, import_id)
    }

    /// Durable when it returns.
    pub(super) async fn write(&self, marker: Marker) -> io::Result<()> {
        let path = self.path(&marker.import_id);
        let content = serde_json::to_vec(&marker)?;
        files::blocking(move || files::replace(&path, &content)).await
    }

    /// One that failed never had any.
    pub(super) async fn remove(&self, import_id: &str) -> io::Result<()> {
        let path = self.path(import_id);
        files::blocking(move || files::remove(&path)).await
    }

    async fn read(&self) -> io::Result<Vec<Marker>> {
        let folder = self.folder.clone();
        files::blocking(move || {
            let read = |path| -> io::Result<Marker> { Ok(serde_json::from_slice(&std::fs::read::<PathBuf>(path)?)?) };
            files::list(&folder)?.into_iter().map(read).collect()
        })
        .await
    }

    /// After a start: the outcomes that the bucket may not have yet, by import. One whose table is not there was interrupted.
    pub(super) async fn recover(&self, tables: &LocalTables) -> anyhow::Result<BTreeMap<String, ImportOutcome>> {
        let markers = self.read().await.with_context(|| format!("failed to read {}", self.folder.display()))?;
        let mut outcomes = BTreeMap::new();
        for Marker { import_id, table_id, outcome, .. } in markers {
            let interrupted = || ImportOutcome::interrupted(crate::environment::wall_ms());
            outcomes.insert(import_id, if tables.has(table_id) { outcome } else { interrupted() });
        }
        Ok(outcomes)
    }
}
