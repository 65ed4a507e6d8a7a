//! The replicas on this node: created, damaged, dropped.

use super::{Engine, Ids, NodeState};
use crate::{
    Applied, Changes, EngineError, ReplicaRecord, Store, layout,
    record::{self, AppliedState, OutcomeWindow, RetiredReplica, StoredRecord},
};
use cairn_model::{
    TableDefinition,
    ids::{PartitionId, ReplicaId},
};

impl<S: Store> Engine<S> {
    /// A storage id and a log id for a replica to come. Durable before they are given: *never used twice*, whatever crashes.
    pub fn allocate_ids(&self) -> Result<Ids, EngineError> {
        let mut node = self.node.lock();
        let ids = Ids { storage_id: node.counters.storage_id, log_id: node.counters.log_id };
        let mut counters = node.counters;
        counters.storage_id += 1;
        counters.log_id += 1;
        let mut changes = Changes::default();
        changes.put(layout::counters(), counters.encode());
        self.store.commit(changes)?;
        self.store.persist()?;
        node.counters = counters;
        Ok(ids)
    }

    /// Writes down a new, empty replica, durably. Its log must be durable already, so that a record without a log is damage.
    pub fn create_replica(&self, replica: ReplicaRecord) -> Result<(), EngineError> {
        self.create_with(replica, Changes::default())
    }

    /// Writes down a new replica together with `changes`.
    pub(super) fn create_with(&self, replica: ReplicaRecord, mut changes: Changes) -> Result<(), EngineError> {
        let node = self.node.lock();
        self.check_new(replica.partition_id, replica.replica_id)?;
        if let Some((present, _)) = self.directory.read().records.get(&replica.partition_id) {
            return Err(EngineError::ReplicaExists {
                partition_id: present.partition_id,
                replica_id: present.replica_id,
            });
        }
        let state = AppliedState { applied: replica.applied, outcomes: OutcomeWindow::default() };
        let record = StoredRecord {
            partition_id: replica.partition_id,
            replica_id: replica.replica_id,
            storage_id: replica.storage_id,
            log_id: replica.log_id,
            descriptor: replica.descriptor,
            definition: replica.definition,
            damaged: replica.damaged,
        };
        changes.put(layout::record(record.partition_id), record.encode()?);
        changes.put(layout::applied(record.storage_id), state.encode());
        self.store.commit(changes)?;
        self.store.persist()?;
        self.directory.write().insert(record, state);
        drop(node);
        Ok(())
    }

    /// All replicas, by partition id.
    pub fn replicas(&self) -> Vec<ReplicaRecord> {
        self.live()
            .into_iter()
            .map(|(record, live)| {
                let applied = live.lock().state.applied;
                record.with_applied(applied)
            })
            .collect()
    }

    pub fn replica(&self, partition_id: PartitionId) -> Option<ReplicaRecord> {
        let (record, live) = self.directory.read().records.get(&partition_id).cloned()?;
        let applied = live.lock().state.applied;
        Some(record.with_applied(applied))
    }

    /// Whether a storage id is a replica's: not, once its replica was dropped or another snapshot took its place. What was
    /// read before this was asked was all there.
    pub fn is_live(&self, storage_id: u64) -> bool {
        self.directory.read().by_storage.contains_key(&storage_id)
    }

    /// How far the replica under a storage id has applied its log.
    pub fn applied(&self, storage_id: u64) -> Option<Applied> {
        let (_, live) = self.live_storage(storage_id).ok()?;
        let applied = live.lock().state.applied;
        Some(applied)
    }

    /// The highest replica id of the partition that was dropped from this node: neither it nor a lower one may come back. 0 where the
    /// partition was dropped and nothing of it was here.
    pub fn tombstone(&self, partition_id: PartitionId) -> Result<Option<ReplicaId>, EngineError> {
        match self.store.get(&layout::tombstone(partition_id))? {
            Some(bytes) => Ok(Some(record::decode_tombstone(&bytes)?)),
            None => Ok(None),
        }
    }

    /// Writes down, for good, that a replica is damaged; the first reason stays.
    pub fn mark_damaged(&self, partition_id: PartitionId, reason: &str) -> Result<(), EngineError> {
        let node = self.node.lock();
        let Some(mut record) = self.directory.read().records.get(&partition_id).map(|(record, _)| record.clone())
        else {
            return Err(EngineError::UnknownPartition { partition_id });
        };
        if record.damaged.is_none() {
            record.damaged = Some(reason.to_owned());
            let mut changes = Changes::default();
            changes.put(layout::record(partition_id), record.encode()?);
            self.store.commit(changes)?;
            self.store.persist()?;
            if let Some((known, _)) = self.directory.write().records.get_mut(&partition_id) {
                *known = record;
            }
        }
        drop(node);
        Ok(())
    }

    /// Drops a replica for good, durably; its data is reclaimed later. None if the node holds no such replica.
    /// The caller removes its log.
    pub fn drop_replica(&self, partition_id: PartitionId) -> Result<Option<ReplicaRecord>, EngineError> {
        self.end_replica(partition_id, None)
    }

    /// The same, but the records of its streams stay, described by this definition ([`TableDefinition::retired`]), until nobody can read
    /// them any more ([`Self::drop_retired`]).
    pub fn retire_replica(
        &self,
        partition_id: PartitionId,
        definition: TableDefinition,
    ) -> Result<Option<ReplicaRecord>, EngineError> {
        self.end_replica(partition_id, Some(definition))
    }

    fn end_replica(
        &self,
        partition_id: PartitionId,
        kept: Option<TableDefinition>,
    ) -> Result<Option<ReplicaRecord>, EngineError> {
        let mut node = self.node.lock();
        let Some(replica) = self.replica(partition_id) else {
            return Ok(None);
        };
        let retired = kept.map(|definition| RetiredReplica {
            storage_id: replica.storage_id,
            descriptor: replica.descriptor.clone(),
            definition,
            entry_time: replica.applied.entry_time,
        });
        let mut changes = Changes::default();
        changes.delete(layout::record(partition_id));
        if let Some(retired) = &retired {
            changes.put(layout::retired(partition_id), retired.encode()?);
        }
        self.bury(&mut changes, partition_id, replica.replica_id)?;
        changes.put(layout::dead(replica.storage_id), Vec::new());
        self.directory.write().remove(partition_id);
        self.store.commit(changes)?;
        self.store.persist()?;
        // Before anything is reclaimed.
        self.directory.write().retired.extend(retired.map(|retired| (partition_id, retired)));
        node.dead.insert(replica.storage_id, None);
        Ok(Some(replica))
    }

    /// Writes down, durably, that a partition was dropped of which the node holds nothing: what was to begin it here begins nothing any
    /// more. A replica id was not used for that; a tombstone that is there stays.
    pub fn bury_absent(&self, partition_id: PartitionId) -> Result<(), EngineError> {
        let node = self.node.lock();
        if self.tombstone(partition_id)?.is_none() {
            let mut changes = Changes::default();
            self.bury(&mut changes, partition_id, ReplicaId(0))?;
            self.store.commit(changes)?;
            self.store.persist()?;
        }
        drop(node);
        Ok(())
    }

    /// Refuses a replica id that is dead on this node.
    pub(super) fn check_new(&self, partition_id: PartitionId, replica_id: ReplicaId) -> Result<(), EngineError> {
        match self.tombstone(partition_id)? {
            Some(used) if used >= replica_id => Err(EngineError::ReplicaIdUsed { partition_id, replica_id, used }),
            _ => Ok(()),
        }
    }

    /// Adds a tombstone for a replica id to a batch.
    pub(super) fn bury(
        &self,
        changes: &mut Changes,
        partition_id: PartitionId,
        replica_id: ReplicaId,
    ) -> Result<(), EngineError> {
        let highest = self.tombstone(partition_id)?.map_or(replica_id, |used| used.max(replica_id));
        changes.put(layout::tombstone(partition_id), record::encode_tombstone(highest));
        Ok(())
    }

    /// A storage id for a snapshot to load under, marked as loading, durably.
    pub(super) fn allocate_loading(&self, node: &mut NodeState) -> Result<u64, EngineError> {
        let storage_id = node.counters.storage_id;
        let mut counters = node.counters;
        counters.storage_id += 1;
        let mut changes = Changes::default();
        changes.put(layout::counters(), counters.encode());
        changes.put(layout::loading(storage_id), Vec::new());
        self.store.commit(changes)?;
        self.store.persist()?;
        node.counters = counters;
        Ok(storage_id)
    }
}
