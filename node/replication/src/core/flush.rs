//! The flush: everything that happened becomes durable with one write of the log, and only then speaks.
//!
//! In each round: leaders evaluate and propose; every replica's news is collected; a leader's appends leave; the log of all
//! replicas is written with one fsync; then votes and acknowledgements leave, what is committed is applied, and answers
//! are given. It goes round until nothing is left to do.

use super::{Core, FatalError, Output, Slot, create::log_fatal, engine_fatal, orders, refused_read, serve_read};
use crate::{
    agreement::Agreement,
    apply::Applies,
    clock::Now,
    entry::EntryError,
    feed::filling,
    global::GlobalState,
    log::{LogBatch, LogStore},
    membership::MemberChange,
    operation::PartitionError,
    proposer::ProposerError,
    raft_types,
    reads::ReadKind,
    replica::Replica,
    storage::Position,
};
use cairn_engine::{ApplyBatch, Engine, Kept, Store};
use cairn_model::{
    ids::PartitionId,
    node::OrderOutcome,
    table::{GlobalReplicas, TableDefinition},
};
use raft::{
    Ready,
    eraftpb::{Entry, Message},
};
use std::{collections::BTreeSet, sync::Arc};

/// Rounds of one flush; what is left then waits for the next, so that frames and ticks get their turn.
const ROUNDS_MAX: usize = 64;

/// What a replica has to be written, and to do once it is.
struct Pending {
    partition: PartitionId,
    ready: Ready,
    entries: Vec<raft_types::LogEntry>,
    /// A leader's messages that may not leave before its vote for itself is durable.
    late_messages: Vec<Message>,
    /// Where an installed snapshot ends.
    installed: Option<Position>,
}

impl<S: Store, L: LogStore> Core<S, L> {
    /// Does all there is to do. An error means that the process must end: nothing that was not acknowledged is lost by it.
    pub fn flush(&mut self, now: Now, out: &mut dyn FnMut(Output)) -> Result<(), FatalError> {
        if let Some(error) = self.fatal.take() {
            self.fatal = Some(FatalError::Broken("the machine was used after a fatal error".into()));
            return Err(error);
        }
        let flushed = self.flush_rounds(now, out);
        if flushed.is_err() {
            self.fatal = Some(FatalError::Broken("the machine was used after a fatal error".into()));
        }
        flushed
    }

    fn flush_rounds(&mut self, now: Now, out: &mut dyn FnMut(Output)) -> Result<(), FatalError> {
        self.emit(out);
        self.go_on();
        for _ in 0..ROUNDS_MAX {
            self.report_failed_snapshots();
            let partitions = std::mem::take(&mut self.dirty);
            if partitions.is_empty() {
                break;
            }
            self.drop_removed(&partitions)?;
            self.propose(&partitions, now)?;
            let pending = self.collect(&partitions, now)?;
            self.emit(out);
            let pending = self.write(pending)?;
            for pending in pending {
                self.finish(pending, now)?;
            }
            self.settle(&partitions)?;
            self.emit(out);
        }
        self.ask_to_persist(now);
        self.emit(out);
        Ok(())
    }

    fn emit(&mut self, out: &mut dyn FnMut(Output)) {
        self.outputs.drain(..).for_each(out);
    }

    fn drop_removed(&mut self, partitions: &BTreeSet<PartitionId>) -> Result<(), FatalError> {
        for id in partitions {
            if let Some(Slot::Live(replica)) = self.slots.get(id)
                && replica.removed
            {
                tracing::warn!(partition = %id, replica = replica.replica_id.0, "dropped a replica that is no member any more");
                self.remove(*id, None)?;
            }
        }
        Ok(())
    }

    fn propose(&mut self, partitions: &BTreeSet<PartitionId>, now: Now) -> Result<(), FatalError> {
        let mut answers = Vec::new();
        for id in partitions {
            let Some(Slot::Live(replica)) = self.slots.get_mut(id) else { continue };
            replica.follow_role(&mut answers);
            if replica.evaluates() && replica.proposer.is_ready() {
                let agreement = replica.agreement(self.config.node_id, &self.clocks, now);
                replica.clock_agrees = agreement == Agreement::Agrees;
                match agreement {
                    Agreement::Agrees => {
                        let before = replica.proposer.in_flight();
                        replica.propose(&self.engine, now, &mut answers).map_err(proposer_fatal)?;
                        if let Some(metrics) = &self.config.metrics {
                            metrics.proposals.inc_by((replica.proposer.in_flight().saturating_sub(before)) as u64);
                        }
                    }
                    // Soon measured: what waits, waits.
                    Agreement::Unknown => {}
                    Agreement::Disagrees => {
                        let error = PartitionError::NotLeader { leader: None };
                        replica.proposer.refuse_waiting(&error, &mut answers);
                    }
                }
            }
            if replica.leads() {
                replica.ask_read_index();
            } else if !replica.is_leader() && !replica.reads.is_empty() {
                let error = replica.not_leader();
                for read in replica.reads.take_all() {
                    self.outputs.push(refused_read(read.token, &read.kind, error.clone()));
                }
            }
            if !replica.is_leader() {
                let superseded = std::mem::take(&mut replica.orders);
                self.outputs.extend(superseded.into_iter().map(|(_, token)| orders::superseded(token)));
            }
        }
        self.answer_all(answers);
        Ok(())
    }

    /// Takes what Raft has ready. A leader's messages leave now, before its own append is durable: the followers' quorum may
    /// well be faster than its disk. The votes that made it leader must be durable, though, or it could lead again in this
    /// term after a restart, with other entries.
    fn collect(&mut self, partitions: &BTreeSet<PartitionId>, now: Now) -> Result<Vec<Pending>, FatalError> {
        let mut collected = Vec::new();
        for id in partitions {
            let (mut ready, durable_term, is_leader) = match self.slots.get_mut(id) {
                Some(Slot::Live(replica)) if replica.raft.has_ready() => {
                    let durable_term = replica.raft.store().hard_state().term;
                    (replica.raft.ready(), durable_term, replica.is_leader())
                }
                _ => continue,
            };
            let mut messages = ready.take_messages();
            let vote_is_durable = ready.hs().is_none_or(|state| state.term == durable_term);
            let late_messages = if vote_is_durable { Vec::new() } else { std::mem::take(&mut messages) };
            debug_assert!(is_leader || messages.is_empty(), "only a leader speaks before it has written");
            self.send_messages(*id, messages, now)?;
            let installed = if ready.snapshot().is_empty() { None } else { Some(self.install(*id, &ready)?) };
            let entries = ready.take_entries().into_iter().map(raft_types::entry_from_raft).collect();
            collected.push(Pending { partition: *id, ready, entries, late_messages, installed });
        }
        Ok(collected)
    }

    /// Writes the log of all of them at once.
    fn write(&mut self, mut pending: Vec<Pending>) -> Result<Vec<Pending>, FatalError> {
        let mut batch = LogBatch::default();
        let mut sync = false;
        for pending in &pending {
            let Some(Slot::Live(replica)) = self.slots.get(&pending.partition) else { continue };
            let log_id = replica.raft.store().log_id();
            if !pending.entries.is_empty() {
                batch.append(log_id, pending.entries.clone());
            }
            if let Some(state) = pending.ready.hs() {
                batch.set_hard_state(log_id, raft_types::hard_state_from_raft(state));
            }
            sync |= pending.ready.must_sync();
        }
        if !batch.is_empty() {
            let timer =
                self.config.metrics.as_ref().filter(|_| sync).map(|metrics| metrics.log_sync_seconds.start_timer());
            self.log.write(batch, sync).map_err(log_fatal)?;
            drop(timer);
        }
        for pending in &mut pending {
            let Some(Slot::Live(replica)) = self.slots.get_mut(&pending.partition) else { continue };
            let store = replica.raft.mut_store();
            store.appended(std::mem::take(&mut pending.entries));
            if let Some(state) = pending.ready.hs() {
                store.set_hard_state(raft_types::hard_state_from_raft(state));
            }
        }
        Ok(pending)
    }

    /// What was collected is durable: the rest of the messages leave, and what is committed is applied.
    fn finish(&mut self, pending: Pending, now: Now) -> Result<(), FatalError> {
        let Pending { partition, mut ready, late_messages, installed, .. } = pending;
        let Some(Slot::Live(replica)) = self.slots.get_mut(&partition) else { return Ok(()) };
        let mut messages = late_messages;
        messages.extend(ready.take_persisted_messages());
        if ready.ss().is_some() {
            replica.view_changed = true;
        }
        let mut committed = ready.take_committed_entries();
        for read in ready.take_read_states() {
            if let Ok(number) = read.request_ctx.as_slice().try_into().map(u64::from_be_bytes) {
                replica.reads.proved(number, read.index);
            }
        }
        let mut light = replica.raft.advance_append(ready);
        messages.extend(light.take_messages());
        committed.extend(light.take_committed_entries());
        if let Some(position) = installed {
            replica.raft.advance_apply_to(position.index);
        }
        self.send_messages(partition, messages, now)?;
        self.apply(partition, committed)
    }

    fn apply(&mut self, partition: PartitionId, committed: Vec<Entry>) -> Result<(), FatalError> {
        let (Some(last), Some(Slot::Live(replica))) =
            (committed.last().map(|entry| entry.index), self.slots.get_mut(&partition))
        else {
            return Ok(());
        };
        let term = replica.raft.raft.term;
        let leading = replica.is_proposing();
        let mut state = replica.state.clone();
        let mut batch = ApplyBatch::default();
        let mut own = Vec::new();
        let mut changes = Vec::new();
        let mut bytes = 0;
        for entry in committed {
            let entry = raft_types::entry_from_raft(entry);
            bytes += entry.payload.len() as u64;
            let applies = match state.apply(&entry, &mut batch) {
                Ok(applies) => applies,
                Err(error) => return self.cannot_apply(partition, entry.index, &error),
            };
            match applies {
                Applies::Members(change) => changes.push(change),
                Applies::Void => {
                    tracing::debug!(%partition, index = entry.index, "an entry is void");
                    if let Some(metrics) = &self.config.metrics {
                        metrics.void_entries.inc();
                    }
                }
                Applies::Empty | Applies::Valid => {}
            }
            if leading && entry.term == term {
                own.push((entry.index, matches!(applies, Applies::Valid | Applies::Members(_))));
            }
        }
        batch.applied = state.applied;
        let timer = self.config.metrics.as_ref().map(|metrics| metrics.apply_seconds.start_timer());
        let applied = self.engine.apply(replica.storage_id, batch);
        drop(timer);
        match applied {
            Ok(()) => {}
            Err(error) if error.is_fatal() => return Err(engine_fatal(error)),
            Err(error) => return self.stop(partition, format!("items: {error}"), true),
        }
        self.applied_bytes += bytes;
        // Who reads beside the machine reads under the definition too: by it, a stream takes more or has ended, and tables are held to
        // their throughput.
        let is_changed = !Arc::ptr_eq(&replica.state.definition, &state.definition);
        replica.view_changed |= is_changed;
        if is_changed && !state.definition.global_indexes.is_empty() {
            replica.proposer.keep_showing();
        }
        replica.state = state;
        let position = replica.applied_position();
        replica.raft.mut_store().applied(position);
        replica.raft.advance_apply_to(last);
        let mut answers = Vec::new();
        for (index, valid) in own {
            replica.proposer.applied(index, valid, &mut answers);
            self.outputs.extend(take_orders(replica, index, valid));
        }
        let membership_changed = !changes.is_empty();
        for change in changes {
            apply_member_change(replica, change)?;
        }
        replica.follow_role(&mut answers);
        self.answer_all(answers);
        if membership_changed {
            // A sole voter that has got company must not read alone any more, from before anyone hears of it.
            self.publish_views();
        }
        Ok(())
    }

    /// Going on over an entry that can't be read would let the replica diverge from the others.
    fn cannot_apply(&mut self, partition: PartitionId, index: u64, error: &EntryError) -> Result<(), FatalError> {
        let newer = matches!(error, EntryError::UnknownVersion(_) | EntryError::UnknownKind(_));
        self.stop(partition, format!("log: entry {index} can't be applied: {error}"), !newer)
    }

    /// Gives the answers that waited for what was applied, and marks who has more to do.
    fn settle(&mut self, partitions: &BTreeSet<PartitionId>) -> Result<(), FatalError> {
        let mut answers = Vec::new();
        let mut view_changed = false;
        for id in partitions {
            let Some(Slot::Live(replica)) = self.slots.get_mut(id) else { continue };
            if replica.leads() {
                let applied = replica.state.applied;
                replica.proposer.settle(&applied, &mut answers);
            }
            for read in replica.reads.take_ready(replica.state.applied.index) {
                let point = super::read_point(replica);
                self.outputs.push(match read.kind {
                    ReadKind::Barrier => Output::ReadReady { token: read.token, result: Ok(point) },
                    ReadKind::Close(claim) => Output::Closed { token: read.token, result: Ok(claim) },
                    ReadKind::Request(request) => {
                        Output::Answer { token: read.token, result: serve_read(&self.engine, &point, &request) }
                    }
                });
            }
            super::remote::answer(&mut replica.proposer, &self.config, &mut self.outputs);
            if super::expiry::note(replica, &self.config) {
                self.going_on.insert(*id);
            }
            replica.follow_currency();
            view_changed |= replica.view_changed;
            let evaluates_more = replica.evaluates() && replica.proposer.is_ready() && replica.clock_agrees;
            let asks_more = replica.leads() && replica.reads.has_new();
            if replica.raft.has_ready() || evaluates_more || asks_more {
                self.dirty.insert(*id);
            }
        }
        self.answer_all(answers);
        if view_changed {
            self.publish_views();
        }
        Ok(())
    }

    fn ask_to_persist(&mut self, now: Now) {
        let due = self.applied_bytes >= self.config.persist_bytes
            || (self.applied_bytes > 0
                && now.boot_ms.saturating_sub(self.persisted_boot_ms) >= self.config.persist_interval_ms);
        if due && !self.persisting {
            self.persisting = true;
            self.applied_bytes = 0;
            self.persisted_boot_ms = now.boot_ms;
            self.outputs.push(Output::Persist { marks: self.log.marks() });
        }
    }

    /// The engine was persisted: what is below may leave the logs, except for what is kept for followers, for the archive and
    /// for other regions.
    pub(super) fn persisted(&mut self) -> Result<(), FatalError> {
        self.persisting = false;
        let bytes_max = self.config.log_bytes_held_now();
        let persisted = self.engine.persisted_indexes();
        for (id, slot) in &mut self.slots {
            let Slot::Live(replica) = slot else { continue };
            let store = replica.raft.store();
            let Some(durable) = persisted.get(&store.log_id()) else { continue };
            let over_bytes = store.index_within(self.config.log_bytes_kept);
            let over_count = replica.state.applied.index.saturating_sub(self.config.log_entries_kept);
            let mut to = over_count.max(over_bytes).min(*durable);
            // None: nobody else needs it.
            let archived = replica.is_archived(&self.config).then_some(replica.archived);
            let replicas = replica.state.definition.replicas.as_ref();
            let read = replicas.map(|replicas| read_by_all(&self.engine, replica.storage_id, replicas));
            if let Some(needed) = archived.into_iter().chain(read).min() {
                to = to.min(needed.max(store.index_within(bytes_max)));
            }
            // Without a limit: it is the table's writes that wait for an index that can't keep up.
            if let Some(fed) = fed_to_all(&self.engine, replica.storage_id, &replica.state.definition) {
                to = to.min(fed);
            }
            let start = store.start().index;
            if to <= start || (over_bytes == 0 && to <= start + self.config.log_entries_kept / 8) {
                continue;
            }
            let Ok(term) = store.term_of(to) else { continue };
            self.log.compact(store.log_id(), to).map_err(log_fatal)?;
            replica.raft.mut_store().compacted(Position { index: to, term });
            let is_new = |given_up: bool, before: &mut bool| !std::mem::replace(before, given_up) && given_up;
            if is_new(archived.is_some_and(|archived| to > archived), &mut replica.log_given_up) {
                tracing::warn!(partition = %id, archived, to, bytes_max, "the log reached its limit and went before the archive had it");
                self.config.metrics.iter().for_each(|metrics| metrics.logs_given_up.inc());
            }
            if is_new(read.is_some_and(|read| to > read), &mut replica.log_given_up_to_regions) {
                tracing::warn!(partition = %id, read, to, bytes_max, "the log reached its limit and went before all other regions had read it: they get a copy");
                self.config.metrics.iter().for_each(|metrics| metrics.logs_given_up_to_regions.inc());
            }
        }
        self.log.purge().map_err(log_fatal)
    }
}

/// Up to which entry the global indexes have the log; none if nothing has to be kept for one.
fn fed_to_all<S: Store>(engine: &Engine<S>, storage_id: u64, definition: &TableDefinition) -> Option<u64> {
    definition.global_indexes.iter().filter_map(|index| filling::fed(engine, storage_id, index)).min()
}

/// Up to which entry the other regions have read the log; nothing of it, where that can't be told.
fn read_by_all<S: Store>(engine: &Engine<S>, storage_id: u64, replicas: &GlobalReplicas) -> u64 {
    let kept = engine.kept(storage_id, &Kept::Regions).ok().flatten();
    GlobalState::of(kept.as_ref()).map_or(0, |state| state.read_by_all(replicas))
}

fn take_orders<L: LogStore>(replica: &mut Replica<L>, index: u64, valid: bool) -> Vec<Output> {
    let (here, later) = std::mem::take(&mut replica.orders).into_iter().partition(|(at, _)| *at == index);
    replica.orders = later;
    let here: Vec<(u64, u64)> = here;
    here.into_iter()
        .map(
            |(_, token)| {
                if valid {
                    Output::OrderAnswer { token, outcome: OrderOutcome::Done }
                } else {
                    orders::superseded(token)
                }
            },
        )
        .collect()
}

fn apply_member_change<L: LogStore>(replica: &mut Replica<L>, change: MemberChange) -> Result<(), FatalError> {
    let conf_state = replica
        .raft
        .apply_conf_change(&change.to_raft())
        .map_err(|error| FatalError::Broken(format!("failed to change the members: {error}")))?;
    replica.raft.mut_store().set_conf_state(conf_state);
    replica.view_changed = true;
    if change == MemberChange::Removed(replica.replica_id) {
        replica.removed = true;
    }
    Ok(())
}

pub(super) fn proposer_fatal(error: ProposerError) -> FatalError {
    match error {
        ProposerError::Engine(error) => engine_fatal(error),
        other => FatalError::Broken(other.to_string()),
    }
}
