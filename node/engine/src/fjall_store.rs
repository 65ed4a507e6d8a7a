//! The store on disk: one fjall database with one keyspace, and the marker in a file beside it.

mod ingestion;
mod journal;

use crate::{Changes, FolderError, Ingestion, Pressure, Store, StoreError, StoreRange, StoreSnapshot, file};
use bytes::Bytes;
use fjall::{
    AbstractTree, Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable, config::PartitioningPolicy,
};
use std::{
    fmt,
    ops::Bound,
    path::{Path, PathBuf},
};

const KEYSPACE: &str = "data";
/// Runs of the first level before new writes are turned away; fjall slows its writers a little above this.
const FIRST_LEVEL_RUNS_MAX: usize = 20;
/// Sealed memtables that wait to be flushed before new writes are turned away.
const SEALED_MEMTABLES_MAX: usize = 3;
/// fjall's own minimum.
const JOURNAL_BYTES_MIN: u64 = 64 << 20;
const CACHED_FILES_MAX: usize = 256;
/// fjall's own limit: it panics at longer ones, bounds too.
const KEY_BYTES_MAX: usize = u16::MAX as usize;

/// How much memory the store may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FjallOptions {
    /// Bytes of the block cache.
    pub cache_bytes: u64,
    /// Bytes of the memtable that takes writes; as many again wait to be flushed.
    pub memtable_bytes: u64,
}

impl Default for FjallOptions {
    fn default() -> Self {
        Self { cache_bytes: 16 << 20, memtable_bytes: 8 << 20 }
    }
}

impl FjallOptions {
    /// The shares of a process that may use `bytes` in all: a quarter for the cache, which fills as items are read, and
    /// little for a memtable, which stays in memory when the node is idle.
    pub fn for_memory(bytes: u64) -> Self {
        Self {
            cache_bytes: (bytes / 4).clamp(8 << 20, 8 << 30),
            memtable_bytes: (bytes / 128).clamp(4 << 20, 64 << 20),
        }
    }
}

/// A [`Store`] in a folder.
pub struct FjallStore {
    database: Database,
    keyspace: Keyspace,
    marker: PathBuf,
    damage: Option<String>,
}

const ADVICE: &str = "nothing was changed; look at the disk, put a copy of the folder back, or give this node an empty folder and \
                      let it be rebuilt from its peers";

impl FjallStore {
    /// Opens the database in `items`, or makes it; the marker lies at `marker`. A memtable has the size that it was made with,
    /// and indexes and filters the form.
    pub fn open(items: &Path, marker: &Path, options: FjallOptions) -> Result<Self, FolderError> {
        let refused = |error: fjall::Error| match error {
            fjall::Error::Locked => FolderError::InUse { path: items.to_owned() },
            error => FolderError::Store { path: items.to_owned(), advice: ADVICE, source: error.into() },
        };
        // A marker is written only once there is a database, which makes this file last.
        if marker.exists() && !items.join("version").exists() {
            return Err(FolderError::Damaged {
                path: items.to_owned(),
                reason: format!("its database is missing, though {} tells of data in it", marker.display()),
                advice: ADVICE,
            });
        }
        let journals = journal::sealed(items)?;
        let (database, keyspace) = std::panic::catch_unwind(|| open(items, options))
            .unwrap_or(Err(fjall::Error::Unrecoverable))
            .map_err(refused)?;
        let damage = journal::what_was_cut(&journals)?;
        Ok(Self { database, keyspace, marker: marker.to_owned(), damage })
    }
}

fn open(items: &Path, options: FjallOptions) -> fjall::Result<(Database, Keyspace)> {
    let database = Database::builder(items)
        .cache_size(options.cache_bytes)
        .max_journaling_size(JOURNAL_BYTES_MIN.max(options.memtable_bytes * 8))
        .max_cached_files(Some(CACHED_FILES_MAX))
        // What is not persisted is in the log: there is no need to hand each commit to the kernel.
        .manual_journal_persist(true)
        .worker_threads(2)
        .open()?;
    let keyspace = database.keyspace(KEYSPACE, || {
        KeyspaceCreateOptions::default()
            .max_memtable_size(options.memtable_bytes)
            .manual_journal_persist(true)
            .index_block_partitioning_policy(in_parts())
            .filter_block_partitioning_policy(in_parts())
    })?;
    Ok((database, keyspace))
}

/// Which levels have indexes and filters in parts: all but the first, whose tables are small. Of a table of 64 MiB the whole is
/// nearly 1 MB: it would have to be read for one item, and push a good part of the cache out.
fn in_parts() -> PartitioningPolicy {
    PartitioningPolicy::new([false, true])
}

impl fmt::Debug for FjallStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FjallStore").field("path", &self.keyspace.path()).finish_non_exhaustive()
    }
}

fn read_failed(action: &'static str) -> impl Fn(fjall::Error) -> StoreError {
    move |error| StoreError::Read { action, source: error.into() }
}

impl Store for FjallStore {
    type Snapshot = FjallSnapshot;

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.keyspace.get(key).map_err(read_failed("read a value"))?.map(Bytes::from))
    }

    fn snapshot(&self) -> FjallSnapshot {
        FjallSnapshot { snapshot: std::sync::Arc::new(self.database.snapshot()), keyspace: self.keyspace.clone() }
    }

    fn commit(&self, changes: Changes) -> Result<(), StoreError> {
        let mut batch = self.database.batch();
        for (key, value) in changes.writes {
            match value {
                Some(value) => batch.insert(&self.keyspace, key, value),
                None => batch.remove(&self.keyspace, key),
            }
        }
        batch.commit().map_err(|error| StoreError::Write { action: "commit to the store", source: error.into() })
    }

    fn persist(&self) -> Result<(), StoreError> {
        self.database
            .persist(PersistMode::SyncAll)
            .map_err(|error| StoreError::Write { action: "make the store durable", source: error.into() })
    }

    fn ingest(&self) -> Result<Box<dyn Ingestion>, StoreError> {
        Ok(Box::new(ingestion::FjallIngestion::begin(self.keyspace.clone())?))
    }

    fn read_marker(&self) -> Result<Option<Bytes>, StoreError> {
        match std::fs::read(&self.marker) {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::Read { action: "read the marker", source: error.into() }),
        }
    }

    fn write_marker(&self, marker: &[u8]) -> Result<(), StoreError> {
        file::replace(&self.marker, marker)
            .map_err(|error| StoreError::Write { action: "write the marker", source: error.into() })
    }

    fn damage(&self) -> Option<&str> {
        self.damage.as_deref()
    }

    fn pressure(&self) -> Pressure {
        // Runs, as fjall counts them: all tables of one load are one run.
        let behind = self.keyspace.tree.l0_run_count() >= FIRST_LEVEL_RUNS_MAX
            || self.keyspace.sealed_memtable_count() >= SEALED_MEMTABLES_MAX;
        if behind { Pressure::High } else { Pressure::Low }
    }
}

/// A state of the database; fjall keeps the versions it needs for as long as it is held.
#[derive(Clone)]
pub struct FjallSnapshot {
    snapshot: std::sync::Arc<fjall::Snapshot>,
    keyspace: Keyspace,
}

impl fmt::Debug for FjallSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FjallSnapshot").finish_non_exhaustive()
    }
}

impl StoreSnapshot for FjallSnapshot {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.snapshot.get(&self.keyspace, key).map_err(read_failed("read a value"))?.map(Bytes::from))
    }

    fn range(&self, lower: Bound<Bytes>, upper: Bound<Bytes>, forward: bool) -> StoreRange {
        let (lower, upper) = (above(lower), below(upper));
        if !crate::layout::is_range(&lower, &upper) {
            return Box::new(std::iter::empty());
        }
        let pairs = self.snapshot.range(&self.keyspace, (lower, upper));
        let pair = |guard: fjall::Guard| {
            let (key, value) = guard.into_inner().map_err(read_failed("read a range"))?;
            Ok((Bytes::from(key), Bytes::from(value)))
        };
        if forward { Box::new(pairs.map(pair)) } else { Box::new(pairs.rev().map(pair)) }
    }
}

/// The lower bound of the same keys: of a bound that is longer than they can be, the one that it begins with is the last below it.
fn above(bound: Bound<Bytes>) -> Bound<Bytes> {
    match bound {
        Bound::Included(key) | Bound::Excluded(key) if key.len() > KEY_BYTES_MAX => {
            Bound::Excluded(key.slice(..KEY_BYTES_MAX))
        }
        bound => bound,
    }
}

/// As [`above`], of an upper bound.
fn below(bound: Bound<Bytes>) -> Bound<Bytes> {
    match bound {
        Bound::Included(key) | Bound::Excluded(key) if key.len() > KEY_BYTES_MAX => {
            Bound::Included(key.slice(..KEY_BYTES_MAX))
        }
        bound => bound,
    }
}

#[cfg(test)]
mod tests;
