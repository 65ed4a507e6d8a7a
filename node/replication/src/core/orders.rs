//! Orders of the operator, and what leaders do for their members by themselves.

use super::{Core, FatalError, Output, Slot, flush::proposer_fatal};
use crate::{
    agreement::Agreement, clock::Now, entry::EntryBody, log::LogStore, membership, membership::Replacement,
    replica::Replica, restore::Restored,
};
use cairn_engine::Store;
use cairn_model::{
    descriptor::{Member, MemberRole, PartitionDescriptor},
    ids::{PartitionId, ReplicaId, TableId},
    index,
    node::{Order, OrderOutcome},
    stream::RETENTION_MS,
    table::TableDefinition,
    time::Timestamp,
};

/// Where no log has what is needed, leadership must not go round and round.
const PASSING_ON_PAUSE_MS: u64 = 60_000;
const NOT_NOW: &str = "another change of the partition is under way, or its leader is not ready yet";

pub(super) fn superseded(token: u64) -> Output {
    let message = "the partition's leader or members changed meanwhile: order it again".into();
    Output::OrderAnswer { token, outcome: OrderOutcome::InProgress { message } }
}

fn refused(message: impl Into<String>) -> OrderOutcome {
    OrderOutcome::Refused { message: message.into() }
}

fn in_progress(message: impl Into<String>) -> OrderOutcome {
    OrderOutcome::InProgress { message: message.into() }
}

impl<S: Store, L: LogStore> Core<S, L> {
    pub(super) fn order(&mut self, token: u64, order: Order, now: Now) -> Result<(), FatalError> {
        let outcome = match order {
            Order::Bootstrap { descriptor, definition } => Some(self.order_bootstrap(descriptor, definition)?),
            Order::UpdateDefinition { partition_id, definition } => {
                self.order_definition(token, partition_id, definition, now)?
            }
            Order::ReplaceReplica { partition_id, replace, node_id, zone, address } => {
                let place = Member { replica_id: ReplicaId(0), node_id, zone, address, role: MemberRole::Learner };
                Some(self.order_replacement(partition_id, replace, place, now)?)
            }
            Order::DropPartition { partition_id, table_id, deleted_at_ms } => {
                Some(self.order_drop(partition_id, table_id, deleted_at_ms, now)?)
            }
        };
        self.outputs.extend(outcome.map(|outcome| Output::OrderAnswer { token, outcome }));
        Ok(())
    }

    fn order_bootstrap(
        &mut self,
        descriptor: PartitionDescriptor,
        definition: TableDefinition,
    ) -> Result<OrderOutcome, FatalError> {
        match self.first_replica(&descriptor, &definition)? {
            Err(outcome) => Ok(outcome),
            Ok(replica) => {
                tracing::info!(partition = %descriptor.partition_id, table = definition.table_name, "initialised a partition");
                self.bootstrap(replica, descriptor, definition)?;
                Ok(OrderOutcome::Done)
            }
        }
    }

    /// Initialises a partition with restored data; data that can't become it is reclaimed.
    pub(super) fn order_adoption(
        &mut self,
        token: u64,
        restored: Restored,
        descriptor: PartitionDescriptor,
        definition: TableDefinition,
    ) -> Result<(), FatalError> {
        let outcome = match self.first_replica(&descriptor, &definition)? {
            Err(outcome) => {
                self.engine.abandon(restored.writer).map_err(super::engine_fatal)?;
                outcome
            }
            Ok(replica) => {
                tracing::info!(partition = %descriptor.partition_id, table = definition.table_name, "restored a partition");
                self.adopt(replica, descriptor, definition, restored)?;
                OrderOutcome::Done
            }
        };
        self.outputs.push(Output::OrderAnswer { token, outcome });
        Ok(())
    }

    /// The replica that a partition begins with here, or what is answered to whoever wants it to begin.
    fn first_replica(
        &self,
        descriptor: &PartitionDescriptor,
        definition: &TableDefinition,
    ) -> Result<Result<ReplicaId, OrderOutcome>, FatalError> {
        let partition = descriptor.partition_id;
        if self.slots.contains_key(&partition) {
            return Ok(Err(OrderOutcome::Done));
        }
        if let Some(flaw) = membership::flaw_of_first(descriptor) {
            return Ok(Err(refused(format!("the descriptor can't be a partition's first: {flaw}"))));
        }
        if definition.table_id != descriptor.table_id {
            return Ok(Err(refused("the definition is of another table than the descriptor")));
        }
        let of_replicas = definition.replicas.as_ref().and_then(|replicas| replicas.flaw(None));
        if let Some(flaw) = of_replicas.or_else(|| index::flaw(&definition.local_indexes)) {
            return Ok(Err(refused(flaw)));
        }
        let own = self.config.node_id;
        let Some(member) = membership::voters(descriptor).find(|member| member.node_id == own) else {
            return Ok(Err(refused(format!("node {own} is no voter in the descriptor"))));
        };
        if self.engine.tombstone(partition).map_err(super::engine_fatal)?.is_some() {
            return Ok(Err(refused(format!("the partition was dropped from node {own} before: make the table again"))));
        }
        Ok(Ok(member.replica_id))
    }

    fn order_definition(
        &mut self,
        token: u64,
        partition: PartitionId,
        definition: TableDefinition,
        now: Now,
    ) -> Result<Option<OrderOutcome>, FatalError> {
        let engine = self.engine.clone();
        let agreement = self.agreement(partition, now);
        let replica = match self.leader_of(partition) {
            Ok(replica) => replica,
            Err(outcome) => return Ok(Some(outcome)),
        };
        let present = &replica.state.definition;
        if **present == definition {
            return Ok(Some(OrderOutcome::Done));
        }
        if definition.table_id != present.table_id {
            return Ok(Some(refused("the definition is of another table")));
        }
        if definition.schema_version != present.schema_version + 1 {
            return Ok(Some(refused(format!(
                "the definition's version is {}, but the present one is {}",
                definition.schema_version, present.schema_version
            ))));
        }
        if definition.key_schema != present.key_schema || definition.local_indexes != present.local_indexes {
            return Ok(Some(refused(
                "the definition has another keySchema or other localIndexes than the table was made with: they never change",
            )));
        }
        if let Some(flaw) = definition.replicas.as_ref().and_then(|replicas| replicas.flaw(present.replicas.as_ref())) {
            return Ok(Some(refused(flaw)));
        }
        let body = EntryBody::Definition(Box::new(definition));
        match replica.propose_change(&engine, agreement, now, body).map_err(proposer_fatal)? {
            Some(index) => {
                replica.orders.push((index, token));
                self.dirty.insert(partition);
                Ok(None)
            }
            None => Ok(Some(in_progress(NOT_NOW))),
        }
    }

    fn order_replacement(
        &mut self,
        partition: PartitionId,
        replace: ReplicaId,
        place: Member,
        now: Now,
    ) -> Result<OrderOutcome, FatalError> {
        let engine = self.engine.clone();
        let agreement = self.agreement(partition, now);
        let replica = match self.leader_of(partition) {
            Ok(replica) => replica,
            Err(outcome) => return Ok(outcome),
        };
        let descriptor = match membership::next_step(replica.descriptor(), replace, place) {
            Replacement::Done => return Ok(OrderOutcome::Done),
            Replacement::Refused(message) => return Ok(refused(message)),
            Replacement::CatchingUp(learner) => {
                return Ok(in_progress(format!("replica {} is catching up", learner.0)));
            }
            Replacement::Change(descriptor) => descriptor,
        };
        self.dirty.insert(partition);
        let Some(Slot::Live(replica)) = self.slots.get_mut(&partition) else { return Ok(in_progress("")) };
        if replace == replica.replica_id {
            return Ok(match replica.best_successor(|_| true) {
                Some(successor) => {
                    replica.raft.transfer_leader(successor.0);
                    in_progress("the replica leads, and hands its leadership over first")
                }
                None => in_progress("the replica leads, and no other can be reached to take over"),
            });
        }
        if membership::find(&descriptor, replace).is_none()
            && membership::find(replica.descriptor(), replace).is_some()
            && !has_quorum_without(replica, &descriptor)
        {
            return Ok(in_progress("without the replica there would be no quorum of those that can be reached"));
        }
        let step = format!("epoch {} of the members is under way", descriptor.epoch);
        let body = EntryBody::Descriptor(descriptor);
        Ok(match replica.propose_change(&engine, agreement, now, body).map_err(proposer_fatal)? {
            Some(_) => in_progress(step),
            None => in_progress(NOT_NOW),
        })
    }

    fn order_drop(
        &mut self,
        partition: PartitionId,
        table: TableId,
        deleted_at_ms: Option<u64>,
        now: Now,
    ) -> Result<OrderOutcome, FatalError> {
        let held = match self.slots.get(&partition) {
            None => {
                // What was ordered before it, or is told by a member that does not know yet, may come after it.
                self.engine.bury_absent(partition).map_err(super::engine_fatal)?;
                return Ok(OrderOutcome::Done);
            }
            Some(Slot::Live(replica)) => replica.state.definition.table_id,
            Some(Slot::Stopped(stopped)) => stopped.record.definition.table_id,
        };
        if held != table {
            return Ok(refused(format!("the partition belongs to table {held}, not to {table}")));
        }
        let kept = match deleted_at_ms {
            Some(deleted_at_ms) => match self.streams_left(partition, deleted_at_ms, now)? {
                Ok(kept) => kept,
                Err(outcome) => return Ok(outcome),
            },
            None => None,
        };
        tracing::info!(%partition, keeps_streams = kept.is_some(), "dropped a partition by order");
        self.remove(partition, kept)?;
        Ok(OrderOutcome::Done)
    }

    /// What describes the streams that are left of a partition whose table was deleted then; none where nobody could read a record of
    /// them. Or what is answered until that is known here.
    ///
    /// A replica that has applied the end of the streams has all that was ever in them, since the end goes through the log: whoever is
    /// asked later answers the same. The leader goes last, because who follows learns only from it that the end is committed; without
    /// a quorum it leads no more.
    fn streams_left(
        &mut self,
        partition: PartitionId,
        deleted_at_ms: u64,
        now: Now,
    ) -> Result<Result<Option<TableDefinition>, OrderOutcome>, FatalError> {
        let engine = self.engine.clone();
        let agreement = self.agreement(partition, now);
        let Some(Slot::Live(replica)) = self.slots.get_mut(&partition) else { return Ok(Ok(None)) };
        let present = &replica.state.definition;
        let left = present.retired(deleted_at_ms);
        let readable: Vec<u64> = left.readable_streams(now.wall_ms).map(|(stream, _)| stream.enabled_at_ms).collect();
        if readable.is_empty() || !replica.has_data() {
            return Ok(Ok(None));
        }
        if !replica.reads_alone() {
            if present.current_stream().is_some() {
                if replica.is_leader() {
                    let mut ended = TableDefinition::clone(present);
                    ended.schema_version += 1;
                    ended.set_stream(None, deleted_at_ms);
                    let body = EntryBody::Definition(Box::new(ended));
                    replica.propose_change(&engine, agreement, now, body).map_err(proposer_fatal)?;
                    self.dirty.insert(partition);
                }
                return Ok(Err(in_progress("the table's stream ends on all replicas first")));
            }
            if replica.is_leader() {
                return Ok(Err(in_progress("the replicas that follow this one drop their data first")));
            }
        }
        let horizon = Timestamp::from_millis(now.wall_ms.saturating_sub(RETENTION_MS));
        for stream in readable {
            let last = engine.last_stream_number(replica.storage_id, stream).map_err(super::engine_fatal)?;
            if last.is_some_and(|last| last.time >= horizon) {
                return Ok(Ok(Some(left)));
            }
        }
        Ok(Ok(None))
    }

    fn agreement(&self, partition: PartitionId, now: Now) -> Agreement {
        match self.slots.get(&partition) {
            Some(Slot::Live(replica)) => replica.agreement(self.config.node_id, &self.clocks, now),
            _ => Agreement::Unknown,
        }
    }

    /// The partition's replica here if it leads, else who should be asked.
    fn leader_of(&mut self, partition: PartitionId) -> Result<&mut Replica<L>, OrderOutcome> {
        match self.slots.get_mut(&partition) {
            Some(Slot::Live(replica)) => {
                if replica.is_leader() {
                    return Ok(replica);
                }
                Err(OrderOutcome::NotLeader { leader: replica.leader().map(|leader| leader.address) })
            }
            Some(Slot::Stopped(stopped)) => {
                let only_one = membership::voters(&stopped.record.descriptor).count() == 1;
                Err(if only_one {
                    refused(format!("the partition's only replica is damaged: {}", stopped.reason))
                } else {
                    OrderOutcome::NotLeader { leader: None }
                })
            }
            None => Err(OrderOutcome::NotLeader { leader: None }),
        }
    }

    /// What leaders do on each tick: make learners that have caught up voters, and give their leadership away where their
    /// clock has left the quorum's.
    pub(super) fn tend_members(&mut self, now: Now) -> Result<(), FatalError> {
        let engine = self.engine.clone();
        for (id, slot) in &mut self.slots {
            let Slot::Live(replica) = slot else { continue };
            if !replica.evaluates() {
                continue;
            }
            let agreement = replica.agreement(self.config.node_id, &self.clocks, now);
            if agreement == Agreement::Disagrees {
                let voters = membership::voter_nodes(replica.descriptor());
                if let Some(node) = self.clocks.successor(self.config.node_id, &voters, now)
                    && let Some(successor) = replica.best_successor(|member| member.node_id == node)
                {
                    tracing::warn!(partition = %id, successor = successor.0, "the clock disagrees with a quorum's: leadership goes to a replica whose does not");
                    replica.raft.transfer_leader(successor.0);
                }
                continue;
            }
            let promoted =
                replica.learner_to_promote().and_then(|learner| membership::promoted(replica.descriptor(), learner));
            if let Some(descriptor) = promoted {
                let body = EntryBody::Descriptor(descriptor);
                replica.propose_change(&engine, agreement, now, body).map_err(proposer_fatal)?;
            }
        }
        Ok(())
    }

    /// The next replica in turn leads in the place of this one, whose log has not all that is needed of it.
    pub(super) fn pass_on(&mut self, partition: PartitionId, now: Now) {
        let Some(Slot::Live(replica)) = self.slots.get_mut(&partition) else { return };
        let was_just_now = |passed: u64| now.boot_ms < passed + PASSING_ON_PAUSE_MS;
        if !replica.is_leader() || replica.passed_on_ms.is_some_and(was_just_now) {
            return;
        }
        let own = replica.replica_id;
        let mut others: Vec<ReplicaId> =
            membership::voters(replica.descriptor()).map(|member| member.replica_id).filter(|id| *id != own).collect();
        others.sort_by_key(|id| (*id < own, *id));
        let next = others.into_iter().find_map(|id| replica.best_successor(|member| member.replica_id == id));
        if let Some(next) = next {
            tracing::warn!(%partition, successor = next.0, "the log here lacks what a global index needs: another replica is to lead");
            replica.passed_on_ms = Some(now.boot_ms);
            replica.raft.transfer_leader(next.0);
            self.dirty.insert(partition);
        }
    }

    /// Gives all leadership away, before the process stops: others need not wait until they miss this node.
    pub(super) fn hand_over(&mut self) {
        for (id, slot) in &mut self.slots {
            let Slot::Live(replica) = slot else { continue };
            if replica.is_leader()
                && let Some(successor) = replica.best_successor(|_| true)
            {
                replica.raft.transfer_leader(successor.0);
                self.dirty.insert(*id);
            }
        }
    }
}

/// Whether enough voters of the new descriptor were heard of lately to commit anything.
fn has_quorum_without<L: LogStore>(replica: &Replica<L>, descriptor: &PartitionDescriptor) -> bool {
    let reachable = membership::voters(descriptor)
        .filter(|member| {
            let progress = replica.raft.raft.prs().get(member.replica_id.0);
            member.replica_id == replica.replica_id || progress.is_some_and(|progress| progress.recent_active)
        })
        .count();
    reachable > membership::voters(descriptor).count() / 2
}
