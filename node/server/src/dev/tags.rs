//! The tags of the tables of `cairn dev`, beside the definitions, which they are no part of.
//!
//! `tags/TABLE_ID.json` in the data folder: a file for each table that has any, replaced whole.

use super::files;
use anyhow::Context;
use cairn_api::Tags;
use cairn_model::ids::TableId;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::{
    collections::{HashMap, HashSet},
    io,
    path::{Path, PathBuf},
};

const VERSION: u64 = 1;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    version: u64,
    table_id: TableId,
    tags: Tags,
}

/// The tags in a data folder, which are in memory too.
#[derive(Debug)]
pub(super) struct TagFiles {
    folder: PathBuf,
    known: Mutex<HashMap<TableId, Tags>>,
}

impl TagFiles {
    /// Reads the files, and removes those of other tables than these: of such as were never made, or are deleted.
    pub(super) async fn open(data: &Path, tables: HashSet<TableId>) -> anyhow::Result<Self> {
        let folder = data.join("tags");
        let read = folder.clone();
        let known = tokio::task::spawn_blocking(move || read_all(&read, &tables)).await??;
        Ok(Self { folder, known: Mutex::new(known) })
    }

    pub(super) fn of(&self, table: TableId) -> Tags {
        self.known.lock().get(&table).cloned().unwrap_or_default()
    }

    /// Durable when it returns. One table's change at a time is the caller's to see to.
    pub(super) async fn put(&self, table_id: TableId, tags: Tags) -> io::Result<()> {
        let path = files::path(&self.folder, &table_id.to_string());
        if tags.is_empty() {
            if !self.known.lock().contains_key(&table_id) {
                return Ok(());
            }
            files::blocking(move || files::remove(&path)).await?;
            self.known.lock().remove(&table_id);
            return Ok(());
        }
        let content = serde_json::to_vec(&Record { version: VERSION, table_id, tags: tags.clone() })?;
        files::blocking(move || files::replace(&path, &content)).await?;
        self.known.lock().insert(table_id, tags);
        Ok(())
    }
}

fn read_all(folder: &Path, tables: &HashSet<TableId>) -> anyhow::Result<HashMap<TableId, Tags>> {
    let mut known = HashMap::new();
    for path in files::list(folder).with_context(|| format!("failed to list {}", folder.display()))? {
        let in_file = || format!("failed to read the tags in {} (nothing was changed)", path.display());
        let record: Record =
            serde_json::from_slice(&std::fs::read(&path).with_context(in_file)?).with_context(in_file)?;
        anyhow::ensure!(
            record.version == VERSION,
            "{} has the format version {}, and this program knows version {VERSION}: start a newer one",
            path.display(),
            record.version
        );
        if tables.contains(&record.table_id) {
            known.insert(record.table_id, record.tags);
        } else {
            files::remove(&path).with_context(|| format!("failed to remove {}", path.display()))?;
        }
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: TableId = TableId([1; 16]);

    fn tags() -> Tags {
        Tags::from([("env".to_owned(), "prod".to_owned())])
    }

    async fn open(folder: &tempfile::TempDir, tables: &[TableId]) -> anyhow::Result<TagFiles> {
        TagFiles::open(folder.path(), tables.iter().copied().collect()).await
    }

    #[tokio::test]
    async fn tags_come_back_until_they_or_their_table_go() {
        let folder = tempfile::tempdir().unwrap();
        let other = TableId([2; 16]);
        let files = open(&folder, &[]).await.unwrap();
        files.put(TABLE, tags()).await.unwrap();
        files.put(other, tags()).await.unwrap();
        let files = open(&folder, &[TABLE]).await.unwrap();
        assert_eq!((files.of(TABLE), files.of(other)), (tags(), Tags::new()));
        assert_eq!(std::fs::read_dir(folder.path().join("tags")).unwrap().count(), 1);
        files.put(TABLE, Tags::new()).await.unwrap();
        assert_eq!(open(&folder, &[TABLE]).await.unwrap().of(TABLE), Tags::new());
    }

    #[tokio::test]
    async fn a_file_that_makes_no_sense_is_named_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        open(&folder, &[]).await.unwrap().put(TABLE, tags()).await.unwrap();
        let path = files::path(&folder.path().join("tags"), &TABLE.to_string());
        let newer = std::fs::read_to_string(&path).unwrap().replace("\"version\":1", "\"version\":2");
        for (content, says) in [("{", "failed to read the tags"), (newer.as_str(), "format version 2")] {
            std::fs::write(&path, content).unwrap();
            let refused = format!("{:#}", open(&folder, &[]).await.unwrap_err());
            assert!(refused.contains(says) && refused.contains(&TABLE.to_string()), "{refused}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
        }
    }
}
