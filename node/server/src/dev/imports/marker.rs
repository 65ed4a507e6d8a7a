//! What the data folder knows of the imports under way: which tables are not to stay if the process ends now.
//!
//! `imports/IMPORT_ID.json` is written before the table is made. It gets the outcome when every item is on the disk, or
//! the table is gone; it goes when the bucket has the outcome.

use crate::dev::tables::LocalTables;
use anyhow::Context;
use cairn_archive::import::record::{FailureRecord, ImportOutcome};
use cairn_model::ids::TableId;
use serde::{Deserialize, Serialize};
use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
};

const ENDING: &str = "json";

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Marker {
    version: u64,
    pub(super) import_id: String,
    pub(super) table_id: TableId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) outcome: Option<ImportOutcome>,
}

impl Marker {
    pub(super) fn new(import_id: String, table_id: TableId) -> Self {
        Self { version: 1, import_id, table_id, outcome: None }
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
        blocking(move || std::fs::remove_file(path)).await
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

    /// After a start: what the end of the process interrupted has failed, and its table goes. Gives the markers of all
    /// imports whose outcome may not be in the bucket yet.
    pub(super) async fn recover(&self, tables: &LocalTables) -> anyhow::Result<Vec<Marker>> {
        let shown = self.folder.display();
        let mut markers = self.read().await.with_context(|| format!("failed to read {shown}"))?;
        for marker in &mut markers {
            if marker.outcome.is_some() {
                continue;
            }
            tables.drop_table(marker.table_id).await.context("failed to drop the table of an interrupted import")?;
            tables.refresh();
            marker.outcome = Some(interrupted(crate::environment::wall_ms()));
            self.write(marker.clone()).await.with_context(|| format!("failed to write into {shown}"))?;
        }
        Ok(markers)
    }
}

/// The outcome of an import that ended with its process.
pub(super) fn interrupted(end_time_ms: u64) -> ImportOutcome {
    ImportOutcome {
        end_time_ms,
        processed_size_bytes: 0,
        processed_item_count: 0,
        imported_item_count: 0,
        error_count: 0,
        completed: false,
        error_log: false,
        failure: Some(FailureRecord {
            code: "ImportInterrupted".to_owned(),
            message: "Cairn was stopped while the import was in progress. Its table is gone: import it again"
                .to_owned(),
        }),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}
