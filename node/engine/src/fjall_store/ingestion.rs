//! Sorted pairs written straight into tables, past journal and memtable: what is loaded is written once.
//!
//! fjall's ingestion borrows its keyspace and is not to be sent between threads, so a thread of its own has it, which also
//! lets the tables be written while the next pairs are read. Its end flushes the memtable and holds the journal's lock for
//! as long: writers wait for that, tens of milliseconds, and once.

use crate::{Ingestion, Pairs, StoreError};
use fjall::Keyspace;
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::mpsc::{SyncSender, sync_channel},
    thread::JoinHandle,
};

/// Batches that wait to be written; each is a chunk of a snapshot, a quarter of a megabyte. While the writer waits for the
/// disk to have a table, which it does every 64 MiB, what comes next can be read this far.
const BATCHES_MAX: usize = 64;
/// After so many bytes of pairs, the disk is given what there is of a table.
const EARLY_BYTES: usize = 8 << 20;

pub(super) struct FjallIngestion {
    /// Gone once it is finished or given up.
    sender: Option<SyncSender<Pairs>>,
    writer: Option<JoinHandle<fjall::Result<()>>>,
}

fn failed(source: fjall::Error) -> StoreError {
    StoreError::Write { action: "load into the store", source: source.into() }
}

impl FjallIngestion {
    pub(super) fn begin(keyspace: Keyspace) -> Result<Self, StoreError> {
        let (sender, receiver) = sync_channel::<Pairs>(BATCHES_MAX);
        let write = move || {
            let mut early = EarlySync::begin(keyspace.path().join("tables"))?;
            let mut ingestion = keyspace.start_ingestion()?;
            while let Ok(pairs) = receiver.recv() {
                for (key, value) in pairs {
                    early.written(key.len() + value.len());
                    ingestion.write(key, value)?;
                }
            }
            ingestion.finish()
        };
        let writer = std::thread::Builder::new().name("ingestion".to_owned()).spawn(write);
        Ok(Self { sender: Some(sender), writer: Some(writer.map_err(|error| failed(error.into()))?) })
    }

    fn end(&mut self) -> Result<(), StoreError> {
        self.sender = None;
        match self.writer.take().map(JoinHandle::join) {
            Some(Ok(written)) => written.map_err(failed),
            Some(Err(_)) => Err(failed(fjall::Error::Poisoned)),
            None => Ok(()),
        }
    }
}

impl Ingestion for FjallIngestion {
    fn write(&mut self, pairs: Pairs) -> Result<(), StoreError> {
        let sent = self.sender.as_ref().map(|sender| sender.send(pairs).is_ok());
        // The writer only ends early when it failed.
        if sent == Some(true) { Ok(()) } else { self.end().and(Err(failed(fjall::Error::Poisoned))) }
    }

    fn finish(mut self: Box<Self>) -> Result<(), StoreError> {
        self.end()
    }
}

impl Drop for FjallIngestion {
    /// Tables that were never finished would lie about until the next start: finished, they are found and reclaimed.
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::error!(error = &error as &dyn std::error::Error, "failed to end a load into the store");
        }
    }
}

/// Has the disk take what there is of a table long before the writer completes it, and waits until the disk has it all: else
/// that takes much of the time of a load. What fails here fails there too, for the kernel tells it to both.
struct EarlySync {
    bytes: usize,
    due: SyncSender<()>,
}

impl EarlySync {
    /// It ends with the writer.
    fn begin(tables: PathBuf) -> io::Result<Self> {
        let (due, receiver) = sync_channel(1);
        let sync = move || {
            while receiver.recv().is_ok() {
                if let Err(error) = sync_newest(&tables) {
                    tracing::debug!(%error, "failed to give the disk the beginning of a table");
                }
            }
        };
        std::thread::Builder::new().name("early-sync".to_owned()).spawn(sync)?;
        Ok(Self { bytes: 0, due })
    }

    fn written(&mut self, bytes: usize) {
        self.bytes += bytes;
        if self.bytes >= EARLY_BYTES {
            self.bytes = 0;
            // Full: it is at it still.
            let _ = self.due.try_send(());
        }
    }
}

/// The table with the highest number was begun last.
fn sync_newest(tables: &Path) -> io::Result<()> {
    let mut newest = None;
    for entry in fs::read_dir(tables)? {
        let entry = entry?;
        let number = entry.file_name().to_str().and_then(|name| name.parse::<u64>().ok());
        newest = newest.max(number);
    }
    match newest {
        Some(number) => File::open(tables.join(number.to_string()))?.sync_data(),
        None => Ok(()),
    }
}
