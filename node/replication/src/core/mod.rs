//! All the partitions of a node as one step machine: inputs go in, a flush makes them durable and gives outputs.

mod create;
mod expiry;
mod feed;
mod flush;
mod frames;
mod io;
mod orders;
mod remote;
mod snapshots;
mod views;

pub use crate::clock::Now;
pub use io::{Claim, FatalError, Input, Output, ReadPoint};
pub use views::{ReplicaView, Views};

use crate::{
    agreement::{Agreement, ClockTable},
    config::CoreConfig,
    log::LogStore,
    operation::{PartitionError, PartitionOutcome, PartitionRequest},
    proposer::{Answer, Proposer},
    read::{self, ReadError, ReadPlace},
    reads::{PendingRead, ReadKind},
    replica::Replica,
};
use arc_swap::ArcSwap;
use cairn_engine::{Engine, EngineError, LogMark, Pressure, ReplicaRecord, Store};
use cairn_model::{
    ServiceError,
    ids::{PartitionId, ReplicaId},
    node::{ReplicaReport, ReplicaState},
    time::Timestamp,
};
use rand::{SeedableRng, rngs::StdRng};
use snapshots::{Incoming, Outgoing};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

/// Ticks between two messages that carry an introduction even to those who have answered: they may know this replica
/// no more.
const INTRODUCTION_TICKS: u64 = 20;
/// Ticks between two steps of the upkeep of a global table.
const UPKEEP_TICKS: u64 = 10;

/// All replicas of a node. It reads no clock, starts no thread and sends nothing by itself.
pub struct Core<S: Store, L: LogStore> {
    config: CoreConfig,
    engine: Arc<Engine<S>>,
    log: Arc<L>,
    slots: BTreeMap<PartitionId, Slot<L>>,
    /// Those with something to do at the next flush.
    dirty: BTreeSet<PartitionId>,
    /// Those whose expired items go on being deleted with the next flush.
    going_on: BTreeSet<PartitionId>,
    outputs: Vec<Output>,
    clocks: ClockTable,
    random: StdRng,
    ticks: u64,
    outgoing: Vec<Outgoing>,
    incoming: BTreeMap<PartitionId, Incoming>,
    /// Snapshots that did not arrive, to be reported to Raft at the next flush.
    failed_snapshots: Vec<(PartitionId, ReplicaId)>,
    persisting: bool,
    persisted_boot_ms: u64,
    applied_bytes: u64,
    pressure: Pressure,
    views: Arc<Views>,
    logger: slog::Logger,
    fatal: Option<FatalError>,
}

/// What this node holds of a partition.
enum Slot<L: LogStore> {
    Live(Box<Replica<L>>),
    Stopped(Box<Stopped>),
}

/// A replica that neither votes nor serves, and says why.
struct Stopped {
    record: ReplicaRecord,
    reason: String,
}

impl<S: Store, L: LogStore> Core<S, L> {
    /// Takes up all replicas that the engine has. One whose log or data is damaged, or does not fit the other, stays
    /// stopped.
    pub fn open(config: CoreConfig, engine: Arc<Engine<S>>, log: L, now: Now) -> Result<Self, FatalError> {
        let mut core = Self {
            clocks: ClockTable::new(config.clock_offset_max_ms),
            random: StdRng::seed_from_u64(config.seed),
            config,
            engine,
            log: Arc::new(log),
            slots: BTreeMap::new(),
            dirty: BTreeSet::new(),
            going_on: BTreeSet::new(),
            outputs: Vec::new(),
            ticks: 0,
            outgoing: Vec::new(),
            incoming: BTreeMap::new(),
            failed_snapshots: Vec::new(),
            persisting: false,
            persisted_boot_ms: now.boot_ms,
            applied_bytes: 0,
            pressure: Pressure::Low,
            views: Arc::new(ArcSwap::default()),
            logger: crate::raft_logger::logger(),
            fatal: None,
        };
        core.open_replicas()?;
        core.publish_views();
        Ok(core)
    }

    /// The logs, to be read from elsewhere.
    pub fn log(&self) -> Arc<L> {
        self.log.clone()
    }

    /// What is known of the replicas on this node without asking: for reads beside the machine.
    pub fn views(&self) -> Arc<Views> {
        self.views.clone()
    }

    pub fn replicas(&self) -> Vec<ReplicaReport> {
        let report = |slot: &Slot<L>| match slot {
            Slot::Live(replica) => replica.report(&self.config),
            Slot::Stopped(stopped) => stopped.report(),
        };
        self.slots.values().map(report).collect()
    }

    /// How far a replica that takes part has applied its log.
    pub fn applied_index(&self, partition: PartitionId) -> Option<u64> {
        match self.slots.get(&partition) {
            Some(Slot::Live(replica)) => Some(replica.state.applied.index),
            _ => None,
        }
    }

    /// How far the logs are durable: for a last [`Engine::persist`] before the process stops.
    pub fn log_marks(&self) -> BTreeMap<u64, LogMark> {
        self.log.marks()
    }

    /// Whether a replica here leads others.
    pub fn leads_with_others(&self) -> bool {
        self.slots.values().any(|slot| match slot {
            Slot::Live(replica) => replica.is_leader() && !replica.reads_alone(),
            Slot::Stopped(_) => false,
        })
    }

    /// Takes one input in. What it leads to comes out of the next [`Self::flush`].
    pub fn step(&mut self, input: Input, now: Now) {
        if self.fatal.is_some() {
            return;
        }
        let done = match input {
            Input::Tick => self.tick(now),
            Input::Frame { from, bytes } => self.receive(from, bytes, now),
            Input::Request { token, partition, epoch, request } => {
                self.request(token, partition, epoch, request, now);
                Ok(())
            }
            Input::ReadBarrier { token, partition, epoch } => {
                self.read(token, partition, epoch, ReadKind::Barrier, now);
                Ok(())
            }
            Input::Close { token, partition } => {
                self.close(token, partition, now);
                Ok(())
            }
            Input::Remote { token, partition, batch } => {
                self.take_remote(token, partition, *batch, now);
                Ok(())
            }
            Input::Order { token, order } => self.order(token, order, now),
            Input::Adopt { token, restored, descriptor, definition } => {
                self.order_adoption(token, *restored, descriptor, definition)
            }
            Input::Fed { partition, index, upto } => {
                if let Ok(replica) = self.live(partition) {
                    replica.proposer.note_fed(index, upto);
                }
                Ok(())
            }
            Input::LogLacks { partition } => {
                self.pass_on(partition, now);
                Ok(())
            }
            Input::Archived { partition, index } => {
                if let Some(Slot::Live(replica)) = self.slots.get_mut(&partition) {
                    replica.archived = replica.archived.max(index);
                }
                Ok(())
            }
            Input::HandOver => {
                self.hand_over();
                Ok(())
            }
            Input::Persisted => self.persisted(),
        };
        self.fatal = done.err();
    }

    fn tick(&mut self, now: Now) -> Result<(), FatalError> {
        self.ticks += 1;
        self.pressure = self.engine.pressure();
        let mut answers = Vec::new();
        let mut expired_reads = Vec::new();
        for (id, slot) in &mut self.slots {
            let Slot::Live(replica) = slot else { continue };
            if self.ticks.is_multiple_of(INTRODUCTION_TICKS) {
                replica.heard.clear();
            }
            replica.tick(&mut self.random);
            replica.proposer.expire(now.boot_ms, &mut answers);
            if self.ticks.is_multiple_of(UPKEEP_TICKS) {
                replica.proposer.keep_up(now.wall_ms);
                if !replica.state.definition.global_indexes.is_empty() {
                    replica.proposer.keep_showing();
                }
            }
            replica.measure_indexes(&self.engine, &self.config);
            if replica.is_proposing() && self.pressure != Pressure::High && replica.held_up_by_index().is_none() {
                let has_time_to_live = replica.state.definition.time_to_live.is_some();
                replica.proposer.look_for_expired(has_time_to_live, now.boot_ms);
            }
            expired_reads.extend(replica.reads.take_expired(now.boot_ms));
            self.dirty.insert(*id);
        }
        self.measure();
        self.answer_all(answers);
        let error = PartitionError::Overloaded { reason: "the read was not served in time".into() };
        expired_reads.into_iter().for_each(|read| self.refuse_read(read, error.clone()));
        self.tend_members(now)?;
        self.tick_snapshots(now)
    }

    fn measure(&self) {
        let Some(metrics) = &self.config.metrics else { return };
        let (mut waiting, mut in_flight, mut stopped) = (0, 0, 0);
        for slot in self.slots.values() {
            match slot {
                Slot::Live(replica) => {
                    waiting += replica.proposer.waiting() as i64;
                    in_flight += replica.proposer.in_flight() as i64;
                }
                Slot::Stopped(_) => stopped += 1,
            }
        }
        metrics.waiting_writes.set(waiting);
        metrics.entries_in_flight.set(in_flight);
        metrics.stopped_replicas.set(stopped);
    }

    fn request(&mut self, token: u64, partition: PartitionId, epoch: u64, request: PartitionRequest, now: Now) {
        match request {
            PartitionRequest::Write(write) => {
                self.propose_for(token, partition, epoch, now, true, |proposer, deadline_ms| {
                    proposer.enqueue(token, write, deadline_ms)
                });
            }
            PartitionRequest::Transact(step) => {
                // What is prepared must end.
                let begins = step.step.write().is_some();
                self.propose_for(token, partition, epoch, now, begins, |proposer, deadline_ms| {
                    proposer.enqueue_step(token, step, deadline_ms)
                });
            }
            PartitionRequest::TransactGet(_) => {
                self.read(token, partition, epoch, ReadKind::Request(Box::new(request)), now);
            }
            PartitionRequest::Feed(batch) => self.take_feed(token, partition, batch, now),
            PartitionRequest::Get(ref get) if get.consistent => {
                self.read(token, partition, epoch, ReadKind::Request(Box::new(request)), now);
            }
            PartitionRequest::Stream(_) => {
                self.read(token, partition, epoch, ReadKind::Request(Box::new(request)), now);
            }
            PartitionRequest::Range(ref range) if range.consistent => {
                self.read(token, partition, epoch, ReadKind::Request(Box::new(request)), now);
            }
            _ => {
                let result = match self.serving(partition, epoch) {
                    Err(error) => Err(error),
                    Ok(replica) if !replica.is_current() => Err(replica.not_leader()),
                    Ok(replica) => {
                        let point = read_point(replica);
                        serve_read(&self.engine, &point, &request)
                    }
                };
                self.outputs.push(Output::Answer { token, result });
            }
        }
    }

    /// Hands something to a partition's proposer, with a deadline, if this replica leads it. `can_wait`: while an index is too far
    /// behind it is refused.
    fn propose_for(
        &mut self,
        token: u64,
        partition: PartitionId,
        epoch: u64,
        now: Now,
        can_wait: bool,
        enqueue: impl FnOnce(&mut Proposer, u64) -> Option<Answer>,
    ) {
        let deadline_ms = now.boot_ms + self.config.request_timeout_ms;
        let pressure = self.pressure;
        let refused = match self.serving(partition, epoch) {
            Err(error) => Some(error),
            Ok(replica) if !replica.is_leader() => Some(replica.not_leader()),
            Ok(replica) if replica.state.definition.index_of.is_some() => {
                Some(ServiceError::validation("an index is written to by its table only").into())
            }
            Ok(_) if pressure == Pressure::High => {
                Some(PartitionError::Overloaded { reason: "the disk can't keep up with the writes".into() })
            }
            Ok(replica) => match replica.held_up_by_index().filter(|_| can_wait) {
                Some(error) => Some(error),
                None => match enqueue(&mut replica.proposer, deadline_ms) {
                    Some((_, Err(error))) => Some(error),
                    _ => None,
                },
            },
        };
        match refused {
            Some(error) => self.outputs.push(Output::Answer { token, result: Err(error) }),
            None => {
                self.dirty.insert(partition);
            }
        }
    }

    fn read(&mut self, token: u64, partition: PartitionId, epoch: u64, kind: ReadKind, now: Now) {
        let deadline_ms = now.boot_ms + self.config.request_timeout_ms;
        let reads_max = self.config.waiting_requests_max;
        let error = match self.serving(partition, epoch) {
            Err(error) => error,
            Ok(replica) if !replica.is_leader() => replica.not_leader(),
            Ok(replica) if replica.reads.len() >= reads_max => {
                PartitionError::Overloaded { reason: "too many reads of the partition wait".into() }
            }
            Ok(replica) => {
                replica.reads.push(token, kind, deadline_ms);
                self.dirty.insert(partition);
                return;
            }
        };
        self.outputs.push(refused_read(token, &kind, error));
    }

    /// Closes a time behind the clock, if this replica leads and its clock agrees with a quorum's.
    fn close(&mut self, token: u64, partition: PartitionId, now: Now) {
        let margin_ms = 4 * self.config.clock_offset_max_ms;
        let (own, reads_max) = (self.config.node_id, self.config.waiting_requests_max);
        let error = match self.slots.get_mut(&partition) {
            Some(Slot::Live(replica)) if replica.evaluates() && replica.reads.len() >= reads_max => {
                PartitionError::Overloaded { reason: "too many reads of the partition wait".into() }
            }
            Some(Slot::Live(replica)) if replica.evaluates() => {
                let agrees = replica.agreement(own, &self.clocks, now) == Agreement::Agrees;
                match replica.proposer.prepared_since(&self.engine, replica.storage_id) {
                    Ok(prepared_since) if agrees => {
                        let closed = Timestamp::from_millis(now.wall_ms.saturating_sub(margin_ms));
                        replica.proposer.close_time(closed);
                        let before = |since: Timestamp| Timestamp(since.0.saturating_sub(1));
                        let time = prepared_since.map_or(closed, |since| closed.min(before(since)));
                        let claim = Claim { index: replica.raft.raft.raft_log.last_index(), time };
                        let deadline_ms = now.boot_ms + self.config.request_timeout_ms;
                        replica.reads.push(token, ReadKind::Close(claim), deadline_ms);
                        self.dirty.insert(partition);
                        return;
                    }
                    Ok(_) => PartitionError::Overloaded { reason: "the clock does not agree with a quorum's".into() },
                    Err(error) => {
                        let reason = format!("failed to read which transactions are prepared: {error}");
                        PartitionError::Overloaded { reason }
                    }
                }
            }
            Some(Slot::Live(replica)) => replica.not_leader(),
            Some(Slot::Stopped(_)) => PartitionError::NotLeader { leader: None },
            None => PartitionError::UnknownPartition,
        };
        self.outputs.push(Output::Closed { token, result: Err(error) });
    }

    /// The replica that may serve a request made under this epoch.
    fn serving(&mut self, partition: PartitionId, epoch: u64) -> Result<&mut Replica<L>, PartitionError> {
        let replica = self.live(partition)?;
        let known = replica.descriptor().epoch;
        if known == epoch { Ok(replica) } else { Err(PartitionError::EpochMismatch { epoch: known }) }
    }

    /// The replica, if it takes part and has data.
    fn live(&mut self, partition: PartitionId) -> Result<&mut Replica<L>, PartitionError> {
        match self.slots.get_mut(&partition) {
            Some(Slot::Live(replica)) if replica.has_data() => Ok(replica),
            Some(Slot::Live(_)) => Err(PartitionError::UnknownPartition),
            Some(Slot::Stopped(_)) => Err(PartitionError::NotLeader { leader: None }),
            None => Err(PartitionError::UnknownPartition),
        }
    }

    fn answer_all(&mut self, answers: Vec<(u64, Result<PartitionOutcome, PartitionError>)>) {
        self.outputs.extend(answers.into_iter().map(|(token, result)| Output::Answer { token, result }));
    }

    fn refuse_read(&mut self, read: PendingRead, error: PartitionError) {
        self.outputs.push(refused_read(read.token, &read.kind, error));
    }

    /// Stops a replica, for good if `durably`: its data or log can't be trusted.
    fn stop(&mut self, partition: PartitionId, reason: String, durably: bool) -> Result<(), FatalError> {
        tracing::error!(%partition, %reason, "stopped a replica");
        if durably {
            self.engine.mark_damaged(partition, &reason).map_err(engine_fatal)?;
        }
        let Some(record) = self.engine.replica(partition) else { return Ok(()) };
        let previous = self.slots.insert(partition, Slot::Stopped(Box::new(Stopped { record, reason })));
        if let Some(Slot::Live(mut replica)) = previous {
            self.release(&mut replica);
        }
        self.publish_views();
        Ok(())
    }

    /// Answers whoever still waits for a replica that goes away.
    fn release(&mut self, replica: &mut Replica<L>) {
        let error = PartitionError::NotLeader { leader: None };
        let mut answers = Vec::new();
        replica.proposer.abandon(&error, &mut answers);
        self.answer_all(answers);
        remote::answer(&mut replica.proposer, &self.config, &mut self.outputs);
        for read in replica.reads.take_all() {
            self.refuse_read(read, error.clone());
        }
        for (_, token) in std::mem::take(&mut replica.orders) {
            self.outputs.push(orders::superseded(token));
        }
    }
}

impl Stopped {
    fn report(&self) -> ReplicaReport {
        let Self { record, reason } = self;
        let state = ReplicaState::Damaged(reason.clone());
        ReplicaReport {
            applied_index: record.applied.index,
            item_count: record.applied.item_count,
            size_bytes: record.applied.size_bytes,
            ..ReplicaReport::new(record.replica_id, state, record.descriptor.clone(), record.definition.clone())
        }
    }
}

fn refused_read(token: u64, kind: &ReadKind, error: PartitionError) -> Output {
    match kind {
        ReadKind::Barrier => Output::ReadReady { token, result: Err(error) },
        ReadKind::Request(_) => Output::Answer { token, result: Err(error) },
        ReadKind::Close(_) => Output::Closed { token, result: Err(error) },
    }
}

fn read_point<L: LogStore>(replica: &Replica<L>) -> ReadPoint {
    ReadPoint {
        storage_id: replica.storage_id,
        descriptor: replica.state.descriptor.clone(),
        definition: replica.state.definition.clone(),
    }
}

/// Serves a read from what is applied.
pub(crate) fn serve_read<S: Store>(
    engine: &Engine<S>,
    point: &ReadPoint,
    request: &PartitionRequest,
) -> Result<PartitionOutcome, PartitionError> {
    let place = ReadPlace {
        storage_id: point.storage_id,
        schema: &point.definition.key_schema,
        range: &point.descriptor.range,
        partition: point.descriptor.partition_id,
        streams: point.definition.stream.as_ref(),
        local_indexes: &point.definition.local_indexes,
        index_of: point.definition.index_of.as_ref(),
    };
    let result = read::read(engine, place, request);
    // What was read may have been on its way out already, if the storage id died meanwhile.
    let is_there = match request {
        PartitionRequest::Stream(_) => engine.has_streams(point.storage_id),
        _ => engine.is_live(point.storage_id),
    };
    if !is_there {
        return Err(PartitionError::NotLeader { leader: None });
    }
    result.map_err(|error| match error {
        ReadError::Refused(refusal) => PartitionError::Service(refusal),
        error => {
            tracing::error!(error = &error as &dyn std::error::Error, "failed to serve a read");
            let error = ServiceError::new(cairn_model::ErrorKind::InternalServerError, "Internal server error");
            PartitionError::Service(error)
        }
    })
}

fn engine_fatal(error: EngineError) -> FatalError {
    FatalError::Engine(Box::new(error))
}

impl<S: Store, L: LogStore> fmt::Debug for Core<S, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("node_id", &self.config.node_id)
            .field("partitions", &self.slots.len())
            .finish_non_exhaustive()
    }
}
