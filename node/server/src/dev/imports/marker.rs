//! What the data folder knows of imports whose end the bucket may not know: how they end if their table is there.
//!
//! `imports/IMPORT_ID.json` is written when every item is loaded, before the table is made of them. It goes when the bucket
//! has the outcome.

use crate::dev::tables::LocalTables;
use anyhow::Context;
use cairn_model::{
    archive::import::{ImportOrder, ImportOutcome},
    ids::TableId,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
};

const ENDING: &str = "json";

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
        self.folder.join(import_id).with_extension(ENDING)
    }

    /// Durable when it returns.
    pub(super) async fn write(&self, marker: Marker) -> io::Result<()> {
        let (folder, path) = (self.folder.clone(), self.path(&marker.import_id));
        blocking(move || {
            std::fs::create_dir_all(&folder)?;
            let begun = path.with_extension("new");
            let mut file = File::create(&begun)?;
            file.write_all(&serde_json::to_vec(&marker)?)?;
            file.sync_all()?;
            std::fs::rename(&begun, &path)?;
            File::open(&folder)?.sync_all()
        })
        .await
    }

    pub(super) async fn remove(&self, import_id: &str) -> io::Result<()> {
        let path = self.path(import_id);
        blocking(move || match std::fs::remove_file(path) {
            // One that failed never had any.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        })
        .await
    }

    async fn read(&self) -> io::Result<Vec<Marker>> {
        let folder = self.folder.clone();
        blocking(move || {
            let entries = match std::fs::read_dir(&folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                entries => entries?,
            };
            let mut markers = Vec::new();
            for entry in entries {
                let path = entry?.path();
                if path.extension().is_some_and(|ending| ending == ENDING) {
                    markers.push(serde_json::from_slice(&std::fs::read(path)?)?);
                }
            }
            Ok(markers)
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

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}
