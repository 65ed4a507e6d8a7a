//! What `cairn dev` keeps of its tables beside their definitions, which no replica needs: tags, and when the throughput and the
//! class changed.
//!
//! `tables/TABLE_ID.json` in the data folder: a file for each table of which there is something to keep, replaced whole.

use super::files;
use anyhow::Context;
use cairn_api::Tags;
use cairn_model::{ids::TableId, table_class::TableClassHistory, throughput::ThroughputHistory};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::{
    collections::{HashMap, HashSet},
    io,
    path::{Path, PathBuf},
};

const VERSION: u64 = 1;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct TableRecord {
    pub(super) tags: Tags,
    pub(super) throughput: ThroughputHistory,
    pub(super) table_class: TableClassHistory,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    version: u64,
    table_id: TableId,
    #[serde(flatten)]
    record: TableRecord,
}

/// The records in a data folder, which are in memory too.
#[derive(Debug)]
pub(super) struct Records {
    folder: PathBuf,
    known: Mutex<HashMap<TableId, TableRecord>>,
}

impl Records {
    /// Reads the files, and removes those of other tables than these: of such as were never made, or are deleted.
    pub(super) async fn open(data: &Path, tables: HashSet<TableId>) -> anyhow::Result<Self> {
        let folder = data.join("tables");
        let read = folder.clone();
        let known = tokio::task::spawn_blocking(move || read_all(&read, &tables)).await??;
        Ok(Self { folder, known: Mutex::new(known) })
    }

    pub(super) fn of(&self, table: TableId) -> TableRecord {
        self.known.lock().get(&table).cloned().unwrap_or_default()
    }

    pub(super) fn throughput_of(&self, table: TableId) -> ThroughputHistory {
        self.known.lock().get(&table).map(|record| record.throughput).unwrap_or_default()
    }

    /// Durable when it returns. One table's change at a time is the caller's to see to.
    pub(super) async fn put(&self, table_id: TableId, record: TableRecord) -> io::Result<()> {
        if self.of(table_id) == record {
            return Ok(());
        }
        let path = files::path(&self.folder, &table_id.to_string());
        if record == TableRecord::default() {
            files::blocking(move || files::remove(&path)).await?;
            self.known.lock().remove(&table_id);
            return Ok(());
        }
        let content = serde_json::to_vec(&Stored { version: VERSION, table_id, record: record.clone() })?;
        files::blocking(move || files::replace(&path, &content)).await?;
        self.known.lock().insert(table_id, record);
        Ok(())
    }
}

fn read_all(folder: &Path, tables: &HashSet<TableId>) -> anyhow::Result<HashMap<TableId, TableRecord>> {
    let mut found = HashMap::new();
    for path in files::list(folder).with_context(|| format!("failed to list {}", folder.display()))? {
        let in_file = || format!("failed to read {} (nothing was changed)", path.display());
        let stored: Stored =
            serde_json::from_slice(&std::fs::read(&path).with_context(in_file)?).with_context(in_file)?;
        anyhow::ensure!(
            stored.version == VERSION,
            "{} has the format version {}, and this program knows version {VERSION}: start a newer one",
            path.display(),
            stored.version
        );
        if tables.contains(&stored.table_id) {
            found.insert(stored.table_id, stored.record);
        } else {
            files::remove(&path).with_context(|| format!("failed to remove {}", path.display()))?;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_model::table::TableClass;

    const TABLE: TableId = TableId([1; 16]);

    fn record() -> TableRecord {
        let throughput = ThroughputHistory { last_decrease_ms: Some(5), decreases: 3, ..ThroughputHistory::default() };
        let mut table_class = TableClassHistory::default();
        table_class.note(TableClass::StandardInfrequentAccess, 6);
        TableRecord { tags: Tags::from([("env".to_owned(), "prod".to_owned())]), throughput, table_class }
    }

    async fn open(folder: &tempfile::TempDir, tables: &[TableId]) -> anyhow::Result<Records> {
        Records::open(folder.path(), tables.iter().copied().collect()).await
    }

    #[tokio::test]
    async fn a_record_comes_back_until_it_is_empty_or_its_table_goes() {
        let folder = tempfile::tempdir().unwrap();
        let other = TableId([2; 16]);
        let records = open(&folder, &[]).await.unwrap();
        records.put(TABLE, record()).await.unwrap();
        records.put(other, record()).await.unwrap();
        let records = open(&folder, &[TABLE]).await.unwrap();
        assert_eq!((records.of(TABLE), records.of(other)), (record(), TableRecord::default()));
        assert_eq!(std::fs::read_dir(folder.path().join("tables")).unwrap().count(), 1);
        records.put(TABLE, TableRecord::default()).await.unwrap();
        assert_eq!(std::fs::read_dir(folder.path().join("tables")).unwrap().count(), 0);
        assert_eq!(open(&folder, &[TABLE]).await.unwrap().of(TABLE), TableRecord::default());
    }

    #[tokio::test]
    async fn a_file_of_a_version_that_kept_nothing_of_classes_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = files::path(&folder.path().join("tables"), &TABLE.to_string());
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        let older = r#"{"version":1,"tableId":"01010101-0101-0101-0101-010101010101","tags":{"env":"prod"},"throughput":{"lastDecreaseMs":5,"decreases":3}}"#;
        std::fs::write(&path, older).unwrap();
        let expected = TableRecord { table_class: TableClassHistory::default(), ..record() };
        assert_eq!(open(&folder, &[TABLE]).await.unwrap().of(TABLE), expected);
    }

    #[tokio::test]
    async fn a_file_that_makes_no_sense_is_named_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        open(&folder, &[]).await.unwrap().put(TABLE, record()).await.unwrap();
        let path = files::path(&folder.path().join("tables"), &TABLE.to_string());
        let newer = std::fs::read_to_string(&path).unwrap().replace("\"version\":1", "\"version\":2");
        for (content, says) in [("{", "failed to read"), (newer.as_str(), "format version 2")] {
            std::fs::write(&path, content).unwrap();
            let refused = format!("{:#}", open(&folder, &[]).await.unwrap_err());
            assert!(refused.contains(says) && refused.contains(&TABLE.to_string()), "{refused}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
        }
    }
}
