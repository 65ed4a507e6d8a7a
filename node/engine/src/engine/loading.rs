//! Snapshots: read from one replica, loaded beside another, installed in its place.

use super::Engine;
use crate::{
    Changes, EngineError, ItemWrite, ReplicaRecord, ScanIter, SnapshotReader, SnapshotWriter, Store, StoreSnapshot,
    layout,
    record::{AppliedState, StoredRecord},
};
use bytes::Bytes;
use cairn_model::{
    codec::StoredVersion,
    ids::{PartitionId, ReplicaId},
    key::EncodedKey,
};
use std::ops::Bound;

impl<S: Store> Engine<S> {
    /// The replica's data as of now, to send to another node.
    pub fn snapshot(&self, storage_id: u64) -> Result<SnapshotReader, EngineError> {
        self.snapshot_of(storage_id, layout::replicated(storage_id))
    }

    /// The replica's items as of now, of which [`Self::load_items`] makes another partition.
    pub fn snapshot_of_items(&self, storage_id: u64) -> Result<SnapshotReader, EngineError> {
        self.snapshot_of(storage_id, layout::items(storage_id, Bound::Unbounded, Bound::Unbounded))
    }

    fn snapshot_of(
        &self,
        storage_id: u64,
        (lower, upper): (Bound<Bytes>, Bound<Bytes>),
    ) -> Result<SnapshotReader, EngineError> {
        let (partition_id, _) = self.live_storage(storage_id)?;
        let snapshot = self.store.snapshot();
        let missing = || EngineError::UnknownStorage { storage_id };
        let record = StoredRecord::decode(&snapshot.get(&layout::record(partition_id))?.ok_or_else(missing)?)?;
        let state = AppliedState::decode(&snapshot.get(&layout::applied(storage_id))?.ok_or_else(missing)?)?;
        if record.storage_id != storage_id {
            return Err(missing());
        }
        SnapshotReader::new(record, state, snapshot.range(lower, upper, true))
    }

    /// Begins to load a snapshot under a new storage id.
    pub fn begin_load(&self) -> Result<SnapshotWriter, EngineError> {
        let storage_id = self.allocate_loading(&mut self.node.lock())?;
        Ok(SnapshotWriter::new(storage_id))
    }

    /// Begins to load items that come in no order, by [`Self::load_writes`], under a new storage id: complete whenever whoever
    /// writes them says so.
    pub fn begin_fill(&self) -> Result<SnapshotWriter, EngineError> {
        let mut writer = self.begin_load()?;
        writer.complete = true;
        Ok(writer)
    }

    /// Loads the next chunk. After an error the load can only be abandoned.
    pub fn load(&self, writer: &mut SnapshotWriter, chunk: &Bytes) -> Result<(), EngineError> {
        let mut changes = Changes::default();
        for (key, value) in writer.take_chunk(chunk)? {
            changes.put(layout::transplanted(writer.storage_id, &key), value);
        }
        if !changes.is_empty() {
            self.store.commit(changes)?;
        }
        Ok(())
    }

    /// Loads the next chunk of a snapshot that becomes another partition: its items only, for what requests of the old one
    /// came to is nothing to the new one, and neither is which regions they came from. They go past the store's journal, and
    /// can be read once the last chunk is in.
    pub fn load_items(&self, writer: &mut SnapshotWriter, chunk: &Bytes) -> Result<(), EngineError> {
        let mut pairs = Vec::new();
        for (key, value) in writer.take_chunk(chunk)? {
            if layout::is_item(&key) {
                if key <= writer.last_key {
                    return Err(EngineError::Snapshot { reason: "its keys are not in order".into() });
                }
                writer.last_key = key.clone();
                pairs.push((layout::transplanted(writer.storage_id, &key), StoredVersion::made_own(value)));
            }
        }
        if !pairs.is_empty() {
            let ingestion = match &mut writer.ingestion {
                Some(ingestion) => ingestion,
                none => none.insert(self.store.ingest()?),
            };
            ingestion.write(pairs)?;
        }
        match writer.ingestion.take_if(|_| writer.complete) {
            Some(ingestion) => Ok(ingestion.finish()?),
            None => Ok(()),
        }
    }

    /// Writes on top of what is loaded.
    pub fn load_writes(&self, writer: &SnapshotWriter, writes: Vec<ItemWrite>) -> Result<(), EngineError> {
        let mut changes = Changes::default();
        for write in writes {
            let key = layout::item(writer.storage_id, &write.key.0);
            match write.value {
                Some(value) => changes.put(key, StoredVersion::made_own(value)),
                None => changes.delete(key),
            }
        }
        if !changes.is_empty() {
            self.store.commit(changes)?;
        }
        Ok(())
    }

    /// The items of a load, in the order of their keys, from behind this key on.
    ///
    /// The iterator holds a snapshot of the store: drop it within seconds.
    pub fn loaded(&self, writer: &SnapshotWriter, after: Option<&EncodedKey>) -> ScanIter {
        let after = after.map_or(Bound::Unbounded, |key| Bound::Excluded(&key.0[..]));
        self.scan(writer.storage_id, after, Bound::Unbounded, true)
    }

    /// One item of a load.
    pub fn loaded_item(&self, writer: &SnapshotWriter, key: &EncodedKey) -> Result<Option<Bytes>, EngineError> {
        self.get(writer.storage_id, key)
    }

    /// Makes a complete load the data of a new replica, durably and in one step; the replica's log must be durable already.
    pub fn adopt(&self, writer: SnapshotWriter, replica: ReplicaRecord) -> Result<ReplicaRecord, EngineError> {
        if !writer.complete {
            return Err(EngineError::Snapshot { reason: "it is not complete".into() });
        }
        let replica = ReplicaRecord { storage_id: writer.storage_id, ..replica };
        let mut changes = Changes::default();
        changes.delete(layout::loading(writer.storage_id));
        self.create_with(replica.clone(), changes)?;
        Ok(replica)
    }

    /// Puts a complete snapshot in place, durably and in one step: the partition's record switches to the new data and to
    /// the log `log_id` (which must be durable already and begin after the snapshot's applied index), and what was there
    /// before is dead. Under a replica id that was damaged here, it stays damaged: only another replica id may vote again.
    pub fn install(
        &self,
        writer: SnapshotWriter,
        partition_id: PartitionId,
        replica_id: ReplicaId,
        log_id: u64,
    ) -> Result<ReplicaRecord, EngineError> {
        let failed = |reason: &str| EngineError::Snapshot { reason: reason.into() };
        let storage_id = writer.storage_id;
        let Some((sent, state)) = writer.header.filter(|_| writer.complete) else {
            return Err(failed("it is not complete"));
        };
        if sent.partition_id != partition_id {
            return Err(failed("it is of another partition"));
        }
        let mut node = self.node.lock();
        self.check_new(partition_id, replica_id)?;
        let present = self.replica(partition_id);
        let mut changes = Changes::default();
        let mut damaged = None;
        if let Some(present) = &present {
            if present.replica_id > replica_id {
                return Err(EngineError::ReplicaExists { partition_id, replica_id: present.replica_id });
            }
            if present.replica_id == replica_id {
                if present.applied.index >= state.applied.index && present.damaged.is_none() {
                    return Err(failed("it is older than what is there"));
                }
                damaged = present.damaged.clone();
            } else {
                self.bury(&mut changes, partition_id, present.replica_id)?;
            }
            changes.put(layout::dead(present.storage_id), Vec::new());
        }
        let record = StoredRecord { replica_id, storage_id, log_id, damaged, ..sent };
        changes.delete(layout::loading(storage_id));
        changes.put(layout::record(partition_id), record.encode()?);
        changes.put(layout::applied(storage_id), state.encode());
        self.store.commit(changes)?;
        self.store.persist()?;
        let mut directory = self.directory.write();
        directory.remove(partition_id);
        directory.insert(record.clone(), state);
        if let Some(present) = present {
            node.dead.insert(present.storage_id, None);
        }
        Ok(record.with_applied(state.applied))
    }

    /// Gives up a load; what it wrote is reclaimed later.
    pub fn abandon(&self, mut writer: SnapshotWriter) -> Result<(), EngineError> {
        // What it still has on its way comes before the record that it is dead.
        drop(writer.ingestion.take());
        let mut node = self.node.lock();
        let mut changes = Changes::default();
        changes.delete(layout::loading(writer.storage_id));
        changes.put(layout::dead(writer.storage_id), Vec::new());
        self.store.commit(changes)?;
        node.dead.insert(writer.storage_id, None);
        Ok(())
    }
}
