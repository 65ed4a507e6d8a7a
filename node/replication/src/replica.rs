//! One replica that takes part: Raft's state machine, what is applied, what waits.

use crate::{
    agreement::{Agreement, ClockTable},
    apply::ReplicatedState,
    clock::Now,
    config::CoreConfig,
    entry::EntryBody,
    feed::{Fed, filling},
    log::LogStore,
    membership,
    operation::PartitionError,
    proposer::{Answer, Limits, Proposer, ProposerError, Round},
    raft_types,
    reads::Reads,
    storage::{Position, ReplicaLog},
};
use cairn_engine::{Engine, ReplicaRecord, Store};
use cairn_model::{
    descriptor::{Member, MemberRole, PartitionDescriptor},
    ids::{NodeId, PartitionId, ReplicaId},
    index::GlobalIndex,
    node::{ReplicaReport, ReplicaState},
    table::TableDefinition,
};
use raft::{
    Config, RawNode, StateRole,
    eraftpb::{Entry as RaftEntry, EntryType, Message, MessageType},
};
use rand::{Rng, rngs::StdRng};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Bytes of committed entries that are applied in one batch.
const APPLY_BYTES_MAX: u64 = 4 << 20;
/// Addresses of replicas that the descriptor does not name, at most.
const STRANGERS_MAX: usize = 16;
/// Of the log, what a global index may lack for items to be shown to it again.
const SHOWN_AHEAD_BYTES_MAX: u64 = 32 << 20;

pub(crate) struct Replica<L: LogStore> {
    pub(crate) replica_id: ReplicaId,
    pub(crate) storage_id: u64,
    pub(crate) state: ReplicatedState,
    pub(crate) raft: RawNode<ReplicaLog<L>>,
    pub(crate) proposer: Proposer,
    pub(crate) reads: Reads,
    /// The term in which the proposer evaluates; 0 while it does not.
    leading: u64,
    /// Who has answered since this process started: they need no introduction.
    pub(crate) heard: BTreeSet<ReplicaId>,
    /// Where replicas are that wrote to this one and are not (or no longer) in its descriptor.
    strangers: BTreeMap<ReplicaId, Member>,
    /// Orders that wait for the entry at an index.
    pub(crate) orders: Vec<(u64, u64)>,
    leader: LeaderContact,
    /// As of the last round: without it there is no use in another one at once. (Taken for granted before the first.)
    pub(crate) clock_agrees: bool,
    /// It applied its own removal, or was told of it.
    pub(crate) removed: bool,
    /// It has caught up since it was started or got a snapshot: before that, what it holds may be hours old.
    current: bool,
    /// The archive has all entries up to this one.
    pub(crate) archived: u64,
    /// The log went before the archive had it, and the archive has not begun anew since.
    pub(crate) log_given_up: bool,
    /// The log went before all other regions had read it, and they have not caught up since.
    pub(crate) log_given_up_to_regions: bool,
    /// The global index that is so far behind that the table's writes wait for it.
    held_up_by: Option<String>,
    /// When it last gave its leadership away because its log lacked something, by the boot-time clock.
    pub(crate) passed_on_ms: Option<u64>,
    pub(crate) view_changed: bool,
}

/// What was heard of the leader since it became known.
#[derive(Clone, Copy, Debug, Default)]
struct LeaderContact {
    term: u64,
    commit: u64,
    messages: u32,
}

/// How Raft begins on this replica's log.
pub(crate) fn raft_config(config: &CoreConfig, replica: ReplicaId, applied_index: u64) -> Config {
    let election_tick = config.election_ticks as usize;
    Config {
        id: replica.0,
        election_tick,
        heartbeat_tick: config.heartbeat_ticks as usize,
        applied: applied_index,
        max_size_per_msg: config.append_bytes_max as u64,
        max_inflight_msgs: config.appends_in_flight_max,
        check_quorum: true,
        pre_vote: true,
        // The library would draw the timeout from ambient randomness; with this it has one value to draw from, and
        // `tick` shortens it by ours.
        min_election_tick: 2 * election_tick,
        max_election_tick: 2 * election_tick + 1,
        max_committed_size_per_ready: APPLY_BYTES_MAX,
        ..Config::default()
    }
}

impl<L: LogStore> Replica<L> {
    pub(crate) fn new(
        config: &CoreConfig,
        record: ReplicaRecord,
        fed: BTreeMap<PartitionId, Fed>,
        log: ReplicaLog<L>,
        logger: &slog::Logger,
    ) -> raft::Result<Self> {
        let raft = RawNode::new(&raft_config(config, record.replica_id, record.applied.index), log, logger)?;
        Ok(Self {
            replica_id: record.replica_id,
            storage_id: record.storage_id,
            state: ReplicatedState {
                descriptor: Arc::new(record.descriptor),
                definition: Arc::new(record.definition),
                applied: record.applied,
                fed: Arc::new(fed),
            },
            raft,
            proposer: Proposer::new(Limits {
                waiting_max: config.waiting_requests_max,
                entry_writes_max: config.entry_writes_max,
                entry_bytes_max: config.entry_bytes_max,
                entries_in_flight_max: config.entries_in_flight_max,
                bytes_in_flight_max: config.bytes_in_flight_max,
                evaluations_max: config.evaluations_max,
                remote_ahead_ms_max: config.remote_ahead_ms_max,
                remote_times_interval_ms: config.remote_times_interval_ms,
                expiry_interval_ms: config.expiry_interval_ms,
            }),
            reads: Reads::default(),
            leading: 0,
            heard: BTreeSet::new(),
            strangers: BTreeMap::new(),
            orders: Vec::new(),
            leader: LeaderContact::default(),
            clock_agrees: false,
            removed: false,
            current: false,
            archived: 0,
            log_given_up: false,
            log_given_up_to_regions: false,
            held_up_by: None,
            passed_on_ms: None,
            view_changed: true,
        })
    }

    pub(crate) fn descriptor(&self) -> &PartitionDescriptor {
        &self.state.descriptor
    }

    /// False until its first snapshot is installed: it may vote, and knows its members only by hearsay.
    pub(crate) fn has_data(&self) -> bool {
        self.state.applied.index > 0
    }

    pub(crate) fn is_leader(&self) -> bool {
        self.raft.raft.state == StateRole::Leader
    }

    /// Leads, and has applied the first entry of its own term: everything committed before is known.
    pub(crate) fn leads(&self) -> bool {
        self.is_leader() && self.state.applied.term == self.raft.raft.term
    }

    /// The only voter, and leads: what it has applied is all there is.
    pub(crate) fn reads_alone(&self) -> bool {
        self.leads() && membership::voters(self.descriptor()).all(|member| member.replica_id == self.replica_id)
    }

    pub(crate) fn leader(&self) -> Option<Member> {
        let leader = ReplicaId(self.raft.raft.leader_id);
        if leader == self.replica_id && !self.is_leader() { None } else { self.member(leader) }
    }

    pub(crate) fn not_leader(&self) -> PartitionError {
        PartitionError::NotLeader { leader: self.leader().filter(|leader| leader.replica_id != self.replica_id) }
    }

    /// A member, or whoever else has introduced itself.
    pub(crate) fn member(&self, replica: ReplicaId) -> Option<Member> {
        membership::find(self.descriptor(), replica).or_else(|| self.strangers.get(&replica)).cloned()
    }

    pub(crate) fn remember(&mut self, member: Member) {
        if membership::find(self.descriptor(), member.replica_id).is_some() {
            return;
        }
        if self.strangers.len() >= STRANGERS_MAX {
            self.strangers.pop_first();
        }
        self.strangers.insert(member.replica_id, member);
    }

    /// A tick of Raft's clock. The wait of a replica without a leader is cut by a random part once it is over its minimum,
    /// so that two seldom campaign at once.
    pub(crate) fn tick(&mut self, random: &mut StdRng) {
        let election_ticks = self.raft.raft.election_timeout();
        if !self.is_leader() && self.raft.raft.election_elapsed == election_ticks {
            self.raft.raft.election_elapsed += random.random_range(0..election_ticks);
        }
        self.raft.tick();
        self.raft.mut_store().tick();
    }

    /// Takes note of a message from whoever leads in `term`.
    pub(crate) fn heard_leader(&mut self, term: u64, commit: u64) {
        if term < self.raft.raft.term {
            return;
        }
        if term != self.leader.term {
            self.leader = LeaderContact { term, ..LeaderContact::default() };
        }
        self.leader.commit = self.leader.commit.max(commit);
        self.leader.messages += 1;
    }

    /// Has applied all that the leader had committed when it last said so. The first message of a leader may still speak of
    /// what this replica had acknowledged before it was last away.
    pub(crate) fn caught_up(&self) -> bool {
        self.has_data()
            && (self.leads()
                || (self.raft.raft.leader_id != 0
                    && self.leader.term == self.raft.raft.term
                    && self.leader.messages >= 2
                    && self.state.applied.index >= self.leader.commit))
    }

    /// Whether an eventually consistent read may be served from here.
    pub(crate) fn is_current(&self) -> bool {
        self.current
    }

    pub(crate) fn follow_currency(&mut self) {
        if !self.current && self.caught_up() {
            self.current = true;
            self.view_changed = true;
        }
    }

    /// Begins or ends to evaluate, as Raft has it. Gives answers of those who can't be served here any more.
    pub(crate) fn follow_role(&mut self, answers: &mut Vec<Answer>) {
        let term = self.raft.raft.term;
        if self.leading != 0 && (!self.is_leader() || self.leading != term) {
            self.leading = 0;
            self.view_changed = true;
            self.proposer.abandon(&self.not_leader(), answers);
        }
        if !self.is_leader() {
            if self.proposer.has_waiting() {
                self.proposer.abandon(&self.not_leader(), answers);
            }
        } else if self.leading == 0 && self.leads() {
            self.leading = term;
            self.view_changed = true;
            self.clock_agrees = true;
            self.proposer.lead(&self.state.applied);
        }
    }

    /// Whether entries of this term are the proposer's own.
    pub(crate) fn is_proposing(&self) -> bool {
        self.leading != 0 && self.leading == self.raft.raft.term
    }

    /// Whether this replica may evaluate and stamp now. A new leader evaluates nothing before the first entry of its own
    /// term is applied; a leader that gives its leadership away evaluates nothing more.
    pub(crate) fn evaluates(&self) -> bool {
        self.is_proposing() && self.raft.raft.lead_transferee.is_none()
    }

    pub(crate) fn agreement(&self, own: NodeId, clocks: &ClockTable, now: Now) -> Agreement {
        let mut voters = [NodeId([0; 16]); 8];
        let mut count = 0;
        for member in membership::voters(self.descriptor()).take(voters.len()) {
            voters[count] = member.node_id;
            count += 1;
        }
        clocks.agreement(own, &voters[..count], now)
    }

    /// Evaluates what waits and proposes it, if this replica may.
    pub(crate) fn propose<S: Store>(
        &mut self,
        engine: &Engine<S>,
        now: Now,
        answers: &mut Vec<Answer>,
    ) -> Result<(), ProposerError> {
        let raft = &mut self.raft;
        let round = round_of(&self.state, engine, self.storage_id, raft, now);
        self.proposer.round(round, &mut |payload| raft.propose(Vec::new(), payload).is_ok(), answers)
    }

    /// Proposes a change of the definition or of the members; gives the entry's index, none while something else must come
    /// first or the clock does not agree.
    pub(crate) fn propose_change<S: Store>(
        &mut self,
        engine: &Engine<S>,
        agreement: Agreement,
        now: Now,
        body: EntryBody,
    ) -> Result<Option<u64>, ProposerError> {
        let of_members = matches!(body, EntryBody::Descriptor(_));
        let may_stamp = self.evaluates() && agreement == Agreement::Agrees;
        if !may_stamp || (of_members && self.raft.raft.has_pending_conf()) {
            return Ok(None);
        }
        let round = round_of(&self.state, engine, self.storage_id, &self.raft, now);
        let index = round.next_index;
        let Some(entry) = self.proposer.change(&round, body) else { return Ok(None) };
        let payload = entry.encode()?;
        let mut raft_entry = RaftEntry::default();
        if of_members {
            raft_entry.set_entry_type(EntryType::EntryConfChange);
            raft_entry.context = payload.into();
        } else {
            raft_entry.data = payload.into();
        }
        let mut message = Message::default();
        message.set_msg_type(MessageType::MsgPropose);
        message.from = self.replica_id.0;
        message.set_entries(vec![raft_entry].into());
        let proposed = self.raft.raft.step(message).is_ok().then_some(index);
        self.proposer.change_proposed(proposed);
        Ok(proposed)
    }

    /// Asks Raft whether this replica still leads, for all reads that wait to know.
    pub(crate) fn ask_read_index(&mut self) {
        if self.reads.has_new() {
            let number = self.reads.ask();
            self.raft.read_index(number.to_be_bytes().to_vec());
        }
    }

    /// A learner that has caught up, to be made a voter. (After a snapshot, with nothing more to send, Raft goes on probing it.)
    pub(crate) fn learner_to_promote(&self) -> Option<ReplicaId> {
        let committed = self.raft.raft.raft_log.committed;
        self.descriptor()
            .members
            .iter()
            .filter(|member| member.role == MemberRole::Learner)
            .find(|member| {
                self.raft.raft.prs().get(member.replica_id.0).is_some_and(|progress| {
                    // In a quiet group one that got a snapshot stays in the state of being probed.
                    progress.recent_active && progress.matched > 0 && progress.matched + 16 >= committed
                })
            })
            .map(|member| member.replica_id)
    }

    /// A voter to hand leadership to: the one that is furthest, among those that `fits` and were heard of lately.
    pub(crate) fn best_successor(&self, fits: impl Fn(&Member) -> bool) -> Option<ReplicaId> {
        membership::voters(self.descriptor())
            .filter(|member| member.replica_id != self.replica_id && fits(member))
            .filter_map(|member| {
                let progress = self.raft.raft.prs().get(member.replica_id.0)?;
                progress.recent_active.then_some((progress.matched, member.replica_id))
            })
            .max()
            .map(|(_, replica)| replica)
    }

    pub(crate) fn applied_position(&self) -> Position {
        Position { index: self.state.applied.index, term: self.state.applied.term }
    }

    /// A snapshot was installed: it is the replica's state from now on.
    pub(crate) fn restore(&mut self, record: ReplicaRecord, fed: BTreeMap<PartitionId, Fed>, log_id: u64) {
        self.storage_id = record.storage_id;
        let conf_state = raft_types::conf_state(&record.descriptor);
        self.state = ReplicatedState {
            descriptor: Arc::new(record.descriptor),
            definition: Arc::new(record.definition),
            applied: record.applied,
            fed: Arc::new(fed),
        };
        let position = self.applied_position();
        self.raft.mut_store().restart(log_id, position, conf_state);
        self.current = false;
        self.view_changed = true;
    }

    /// Whether the log is kept until the archive has it.
    pub(crate) fn is_archived(&self, config: &CoreConfig) -> bool {
        config.has_archive && self.state.definition.continuous_backups.is_some()
    }

    /// Looks how far behind the table's global indexes are: to show items again, and at last to write, waits for them.
    pub(crate) fn measure_indexes<S: Store>(&mut self, engine: &Engine<S>, config: &CoreConfig) {
        let indexes = &self.state.definition.global_indexes;
        let furthest = if indexes.is_empty() || !self.leads() {
            None
        } else {
            let fed = |index: &GlobalIndex| {
                let fed = self.proposer.fed(index.index_id).max(filling::fed(engine, self.storage_id, index))?;
                Some((fed, index.index_name.clone()))
            };
            indexes.iter().filter_map(fed).min()
        };
        let bytes_behind = furthest.as_ref().map_or(0, |(fed, _)| self.raft.store().bytes_behind(*fed));
        self.proposer.hold_showing(bytes_behind > SHOWN_AHEAD_BYTES_MAX.min(config.log_bytes_held / 2));
        let held_up_by = furthest.map(|(_, name)| name).filter(|_| bytes_behind > config.log_bytes_held_now());
        if self.held_up_by.is_none()
            && let Some(index) = &held_up_by
        {
            let partition = self.descriptor().partition_id;
            tracing::warn!(%partition, index, bytes_behind, "writes wait for a global index that is too far behind");
        }
        self.held_up_by = held_up_by;
    }

    /// What a write is answered while one is too far behind.
    pub(crate) fn held_up_by_index(&self) -> Option<PartitionError> {
        let index = self.held_up_by.as_ref()?;
        let reason = format!("the global secondary index {index} is too far behind its table: try again later");
        Some(PartitionError::Overloaded { reason })
    }

    pub(crate) fn report(&self, config: &CoreConfig) -> ReplicaReport {
        let state = match self.raft.raft.state {
            StateRole::Leader => ReplicaState::Leader,
            StateRole::Candidate | StateRole::PreCandidate => ReplicaState::Candidate,
            StateRole::Follower => {
                match membership::find(self.descriptor(), self.replica_id).map(|member| member.role) {
                    Some(MemberRole::Voter) => ReplicaState::Follower,
                    _ => ReplicaState::Learner,
                }
            }
        };
        ReplicaReport {
            replica_id: self.replica_id,
            descriptor: PartitionDescriptor::clone(&self.state.descriptor),
            definition: TableDefinition::clone(&self.state.definition),
            state,
            leader: Some(ReplicaId(self.raft.raft.leader_id)).filter(|leader| leader.0 != 0),
            term: self.raft.raft.term,
            applied_index: self.state.applied.index,
            caught_up: self.caught_up(),
            item_count: self.state.applied.item_count,
            size_bytes: self.state.applied.size_bytes,
            unarchived_bytes: if self.is_archived(config) { self.raft.store().bytes_behind(self.archived) } else { 0 },
            regions: Vec::new(),
            fed_by: self.state.fed.iter().map(|(source, fed)| fed.report(*source)).collect(),
            left_transactions: self.proposer.left_transactions().to_vec(),
        }
    }
}

/// Under what the next entry is evaluated.
fn round_of<'a, S: Store, L: LogStore>(
    state: &'a ReplicatedState,
    engine: &'a Engine<S>,
    storage_id: u64,
    raft: &RawNode<ReplicaLog<L>>,
    now: Now,
) -> Round<'a, S> {
    Round {
        engine,
        storage_id,
        partition: state.descriptor.partition_id,
        range: &state.descriptor.range,
        item_count: state.applied.item_count,
        place: state.place(),
        definition: &state.definition,
        term: raft.raft.term,
        epoch: state.descriptor.epoch,
        wall_ms: now.wall_ms,
        boot_ms: now.boot_ms,
        next_index: raft.raft.raft_log.last_index() + 1,
    }
}
