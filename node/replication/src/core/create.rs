//! How replicas come to be on this node: taken up at the start, initialised by order, or introduced by a peer.

use super::{Core, FatalError, Slot, Stopped, engine_fatal, feed};
use crate::{
    frame::{FrameHeader, Introduction},
    log::{HardState, LogStore},
    membership, raft_types,
    replica::Replica,
    restore::Restored,
    storage::{Position, ReplicaLog},
};
use cairn_engine::{Applied, EngineError, ReplicaRecord, Store};
use cairn_model::{
    descriptor::PartitionDescriptor,
    ids::{PartitionId, ReplicaId},
    table::TableDefinition,
};

/// Where the log of a partition that was initialised begins: above where that of a replica without data does, so that
/// such a one gets a snapshot, and with it the members.
pub(super) const FIRST: Position = Position { index: 1, term: 1 };
/// Where the log of a partition begins that was initialised with data.
const RESTORED: Position = Position { index: 2, term: 1 };

impl<S: Store, L: LogStore> Core<S, L> {
    pub(super) fn open_replicas(&mut self) -> Result<(), FatalError> {
        let logs = self.engine.replicas().into_iter().filter_map(|record| self.log.state(record.log_id).ok());
        let entries: u64 = logs.map(|log| log.last_index - log.start.index).sum();
        let entry_bytes = self.log.opened_bytes() / entries.max(1);
        for record in self.engine.replicas() {
            let partition = record.partition_id;
            let slot = match self.flaw(&record)? {
                None => {
                    let mut replica = self.take_up(record)?;
                    let bytes = entry_bytes * replica.raft.store().entry_count();
                    replica.raft.mut_store().found_with(bytes);
                    Slot::Live(Box::new(replica))
                }
                Some(reason) => {
                    tracing::error!(%partition, %reason, "a replica is damaged: it neither votes nor serves");
                    if record.damaged.is_none() {
                        self.engine.mark_damaged(partition, &reason).map_err(engine_fatal)?;
                    }
                    Slot::Stopped(Box::new(Stopped { record, reason }))
                }
            };
            self.slots.insert(partition, slot);
        }
        Ok(())
    }

    /// Why a replica must not take part: its log or its data is damaged, or one lacks what the other relies on.
    fn flaw(&self, record: &ReplicaRecord) -> Result<Option<String>, FatalError> {
        if let Some(reason) = &record.damaged {
            return Ok(Some(reason.clone()));
        }
        let state = match self.log.state(record.log_id) {
            Ok(state) => state,
            Err(error) if error.is_fatal() => return Err(log_fatal(error)),
            Err(error) => return Ok(Some(format!("log: {error}"))),
        };
        let applied = record.applied.index;
        Ok(if applied > state.last_index {
            Some(format!(
                "log: it ends at entry {}, though entry {applied} is applied: the disk lost writes",
                state.last_index
            ))
        } else if applied < state.start.index {
            Some(format!("items: they end at entry {applied}, but the log begins after entry {}", state.start.index))
        } else {
            None
        })
    }

    fn take_up(&self, record: ReplicaRecord) -> Result<Replica<L>, FatalError> {
        let state = self.log.state(record.log_id).map_err(log_fatal)?;
        // The commit index is not always synced; what is applied was committed.
        let hard_state = HardState {
            commit: state.hard_state.commit.max(record.applied.index).min(state.last_index),
            ..state.hard_state
        };
        let log = ReplicaLog::new(
            self.log.clone(),
            record.log_id,
            Position { index: state.start.index, term: state.start.term },
            state.last_index,
            hard_state,
            if record.applied.index == 0 { Default::default() } else { raft_types::conf_state(&record.descriptor) },
            Position { index: record.applied.index, term: record.applied.term },
        );
        let fed = feed::fed_of(&self.engine, record.storage_id)?;
        Replica::new(&self.config, record, fed, log, &self.logger)
            .map_err(|error| FatalError::Broken(format!("failed to take up a replica: {error}")))
    }

    /// Creates a replica, durably: its log first, then its record; with data, if it has been restored.
    fn create(
        &mut self,
        replica_id: ReplicaId,
        descriptor: PartitionDescriptor,
        definition: TableDefinition,
        position: Position,
        restored: Option<Restored>,
    ) -> Result<(), FatalError> {
        let partition = descriptor.partition_id;
        let ids = self.engine.allocate_ids().map_err(engine_fatal)?;
        let hard_state = HardState { term: position.term, vote: 0, commit: position.index };
        self.log.start(ids.log_id, position.index, position.term, hard_state).map_err(log_fatal)?;
        let record = ReplicaRecord {
            partition_id: partition,
            replica_id,
            storage_id: ids.storage_id,
            log_id: ids.log_id,
            descriptor,
            definition,
            applied: Applied {
                index: position.index,
                term: position.term,
                sequence: 0,
                ..restored.as_ref().map(|restored| restored.applied).unwrap_or_default()
            },
            damaged: None,
        };
        let record = match restored {
            Some(restored) => self.engine.adopt(restored.writer, record).map_err(engine_fatal)?,
            None => {
                self.engine.create_replica(record.clone()).map_err(engine_fatal)?;
                record
            }
        };
        let replica = self.take_up(record)?;
        self.slots.insert(partition, Slot::Live(Box::new(replica)));
        self.dirty.insert(partition);
        Ok(())
    }

    /// Initialises a partition whose first descriptor names this node; it campaigns at once.
    pub(super) fn bootstrap(
        &mut self,
        replica_id: ReplicaId,
        descriptor: PartitionDescriptor,
        definition: TableDefinition,
    ) -> Result<(), FatalError> {
        self.begin(replica_id, descriptor, definition, FIRST, None)
    }

    /// Initialises a partition with data: above where one without begins, so that its other members get a snapshot.
    pub(super) fn adopt(
        &mut self,
        replica_id: ReplicaId,
        descriptor: PartitionDescriptor,
        definition: TableDefinition,
        restored: Restored,
    ) -> Result<(), FatalError> {
        self.begin(replica_id, descriptor, definition, RESTORED, Some(restored))
    }

    fn begin(
        &mut self,
        replica_id: ReplicaId,
        descriptor: PartitionDescriptor,
        definition: TableDefinition,
        position: Position,
        restored: Option<Restored>,
    ) -> Result<(), FatalError> {
        let partition = descriptor.partition_id;
        self.create(replica_id, descriptor, definition, position, restored)?;
        if let Some(Slot::Live(replica)) = self.slots.get_mut(&partition) {
            // It fails only for a replica that may not vote.
            let _ = replica.raft.campaign();
        }
        Ok(())
    }

    /// A frame came for a replica that is not here. It comes to be if the sender introduces the partition with this node and
    /// that replica id as a member, and the id was never dropped from this node, nor, as long as the partition has its first
    /// members, the partition: as it was initialised, if that is what the sender still has, so that the partition survives the
    /// loss of any one of its first members from its first moment on; else without data, which a snapshot brings. A replica that
    /// was here before gives way to one with a higher id in whose descriptor it is no member.
    pub(super) fn introduce(&mut self, header: &FrameHeader, introduction: &Introduction) -> Result<bool, FatalError> {
        let descriptor = &introduction.descriptor;
        let addressed = membership::find(descriptor, header.to);
        let lawful = descriptor.partition_id == header.partition
            && addressed.is_some_and(|member| member.node_id == self.config.node_id)
            && membership::find(descriptor, header.from).is_some();
        if !lawful {
            return Ok(false);
        }
        let present = match self.slots.get(&header.partition) {
            None => None,
            Some(Slot::Live(replica)) => Some((replica.replica_id, replica.descriptor().epoch)),
            Some(Slot::Stopped(stopped)) => Some((stopped.record.replica_id, stopped.record.descriptor.epoch)),
        };
        if let Some((replica, epoch)) = present {
            if header.to <= replica || descriptor.epoch <= epoch || membership::find(descriptor, replica).is_some() {
                return Ok(false);
            }
            tracing::warn!(partition = %header.partition, old = replica.0, new = header.to.0, "a replica gives way to its successor");
            self.remove(header.partition, None)?;
        }
        let tombstone = self.engine.tombstone(header.partition).map_err(engine_fatal)?;
        let is_dropped = |used| used >= header.to || descriptor.epoch == membership::FIRST_EPOCH;
        if tombstone.is_some_and(is_dropped) {
            return Ok(false);
        }
        tracing::info!(partition = %header.partition, replica = header.to.0, "a replica comes to be");
        let position = if introduction.first { FIRST } else { Position::default() };
        self.create(header.to, descriptor.clone(), introduction.definition.clone(), position, None)?;
        Ok(true)
    }

    /// Drops a replica, its data and its log, for good; its id is never used again on this node. The records of its streams stay for a
    /// while, if they are described.
    pub(super) fn remove(
        &mut self,
        partition: PartitionId,
        streams: Option<TableDefinition>,
    ) -> Result<(), FatalError> {
        if let Some(Slot::Live(mut replica)) = self.slots.remove(&partition) {
            super::expiry::forget(&replica, &self.config);
            self.release(&mut replica);
        }
        self.dirty.remove(&partition);
        self.going_on.remove(&partition);
        self.drop_snapshots(partition)?;
        self.publish_views();
        let dropped = match streams {
            Some(definition) => self.engine.retire_replica(partition, definition),
            None => self.engine.drop_replica(partition),
        };
        match dropped {
            Ok(Some(record)) => self.log.remove(record.log_id).map_err(log_fatal),
            Ok(None) | Err(EngineError::UnknownPartition { .. }) => Ok(()),
            Err(error) => Err(engine_fatal(error)),
        }
    }
}

pub(super) fn log_fatal(error: crate::log::LogError) -> FatalError {
    FatalError::Log(Box::new(error))
}
