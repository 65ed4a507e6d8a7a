//! One storage node's data: replicas, their items and outcomes, snapshots, and the folder they lie in.
//!
//! Everything above the [`Store`] trait is deterministic and without threads or clocks; what runs it, replicates it
//! and decides what to apply is the replication package's business. The engine knows nothing of expressions or HTTP.
//!
//! All calls may block on the disk (fjall's back-pressure sleeps in the calling thread): never call from an async worker.

mod engine;
mod error;
pub mod file;
pub mod fjall_store;
pub mod folder;
mod layout;
pub mod marker;
pub mod memory_store;
mod outcome;
mod record;
mod snapshot;
mod store;

pub use engine::{
    ApplyBatch, Engine, GlobalPoint, Ids, IndexBatch, IndexChange, IndexEffect, IndexIter, IndexTotals, ItemWrite,
    Kept, KeptIter, KeptWrite, LocalTotals, Outcome, ScanIter, StreamIter, StreamWrite, View,
};
pub use error::{EngineError, FolderError, StoreError};
pub use fjall_store::{FjallOptions, FjallStore};
pub use folder::{Folder, Owner};
pub use layout::{EXPIRATIONS, global_index, global_slot, is_index};
pub use marker::{LogMark, Marker, MarkerEntry};
pub use memory_store::MemoryStore;
pub use outcome::{OUTCOME_AGE_MS_MAX, OUTCOME_BYTES_MAX, OUTCOME_COUNT_MAX};
pub use record::{Applied, ReplicaRecord, RetiredReplica};
pub use snapshot::{SNAPSHOT_CHUNK_BYTES_MAX, SnapshotReader, SnapshotWriter};
pub use store::{Changes, Ingestion, Pairs, Pressure, Store, StoreRange, StoreSnapshot};
