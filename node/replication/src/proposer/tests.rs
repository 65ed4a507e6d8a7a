//! The proposer on an engine in memory, with a log that is only a list of what was proposed.

use super::*;
use crate::{
    apply::ReplicatedState,
    entry::{Effect, EntryWrite},
    operation::WriteOutcome,
    raft_types::LogEntry,
    testing,
};
use cairn_engine::{ApplyBatch, IndexChange, Kept, MemoryStore, ReplicaRecord};
use cairn_model::{Item, codec::StoredVersion, ids::ReplicaId};
use std::sync::Arc;

mod expiry;
mod remote;
mod transactions;

const LIMITS: Limits = Limits {
    waiting_max: 100,
    entry_writes_max: 3,
    entry_bytes_max: 1 << 20,
    entries_in_flight_max: 4,
    bytes_in_flight_max: 1 << 20,
    evaluations_max: 3,
    remote_ahead_ms_max: 60_000,
    remote_times_interval_ms: 5_000,
    expiry_interval_ms: 1_000,
};

/// A leader whose log commits what it is told to.
struct Leader {
    engine: Engine<MemoryStore>,
    proposer: Proposer,
    state: ReplicatedState,
    term: u64,
    log: Vec<Vec<u8>>,
    refuses: bool,
    answers: Vec<Answer>,
    wall_ms: u64,
}

impl Leader {
    fn new() -> Self {
        let engine = Engine::open(MemoryStore::default()).unwrap();
        let ids = engine.allocate_ids().unwrap();
        let record = ReplicaRecord {
            partition_id: testing::descriptor(1).partition_id,
            replica_id: ReplicaId(1),
            storage_id: ids.storage_id,
            log_id: ids.log_id,
            descriptor: testing::descriptor(1),
            definition: testing::definition(),
            applied: Applied { index: 1, term: 2, ..Applied::default() },
            damaged: None,
        };
        engine.create_replica(record.clone()).unwrap();
        let mut proposer = Proposer::new(LIMITS);
        proposer.lead(&record.applied);
        Self {
            engine,
            proposer,
            state: ReplicatedState {
                descriptor: Arc::new(record.descriptor),
                definition: Arc::new(record.definition),
                applied: record.applied,
                fed: Arc::default(),
            },
            term: 2,
            log: Vec::new(),
            refuses: false,
            answers: Vec::new(),
            wall_ms: 1_000,
        }
    }

    fn next_index(&self) -> u64 {
        // The log begins after entry 1.
        self.log.len() as u64 + 2
    }

    fn ask(&mut self, token: u64, request: WriteRequest) {
        self.answers.extend(self.proposer.enqueue(token, request, 100));
    }

    fn round(&mut self) {
        let round = Round {
            engine: &self.engine,
            storage_id: 1,
            partition: self.state.descriptor.partition_id,
            range: &self.state.descriptor.range,
            item_count: self.state.applied.item_count,
            place: self.state.place(),
            definition: &self.state.definition,
            term: self.term,
            epoch: self.state.descriptor.epoch,
            wall_ms: self.wall_ms,
            boot_ms: self.wall_ms,
            next_index: self.next_index(),
        };
        let (log, refuses) = (&mut self.log, self.refuses);
        let mut propose = |payload: Vec<u8>| {
            if !refuses {
                log.push(payload);
            }
            !refuses
        };
        self.proposer.round(round, &mut propose, &mut self.answers).unwrap();
    }

    /// Applies the next entry of the log.
    fn apply(&mut self) {
        let index = self.state.applied.index + 1;
        let payload = self.log[index as usize - 2].clone().into();
        let mut batch = ApplyBatch::default();
        let applies = self.state.apply(&LogEntry { index, term: self.term, kind: 0, payload }, &mut batch).unwrap();
        batch.applied = self.state.applied;
        self.engine.apply(1, batch).unwrap();
        self.proposer.applied(index, applies == crate::apply::Applies::Valid, &mut self.answers);
        self.proposer.settle(&self.state.applied, &mut self.answers);
    }

    fn entry(&self, index: u64) -> Entry {
        Entry::decode(self.log[index as usize - 2].clone().into()).unwrap()
    }

    fn answers(&mut self) -> Vec<Answer> {
        std::mem::take(&mut self.answers)
    }

    fn tokens(&mut self) -> Vec<u64> {
        self.answers().into_iter().map(|(token, _)| token).collect()
    }
}

fn attributes(answer: &Answer) -> Item {
    match &answer.1 {
        Ok(PartitionOutcome::Write(outcome)) => outcome.attributes.as_ref().unwrap().decode().unwrap(),
        other => panic!("no outcome: {other:?}"),
    }
}

fn writes(entry: &Entry) -> &[EntryWrite] {
    match &entry.body {
        EntryBody::Writes(writes) => writes,
        other => panic!("no writes: {other:?}"),
    }
}

/// "An entry holds effects, never expressions."
#[test]
fn an_entry_holds_effects_never_expressions() {
    let mut leader = Leader::new();
    leader.ask(1, testing::add(1, "a", 5));
    leader.ask(2, testing::add(2, "a", 2));
    leader.round();
    let entry = leader.entry(2);
    let stored = |write: &EntryWrite| match &write.effect {
        Effect::Put(version) => StoredVersion::parse(version.clone()).unwrap().item.decode().unwrap(),
        other => panic!("no item: {other:?}"),
    };
    assert_eq!(writes(&entry).iter().map(stored).collect::<Vec<_>>(), [testing::item("a", 5), testing::item("a", 7)]);
}

#[test]
fn a_write_sees_every_earlier_one_though_none_is_committed() {
    let mut leader = Leader::new();
    leader.ask(1, testing::add(1, "a", 5));
    leader.round();
    leader.ask(2, testing::add(2, "a", 2));
    leader.round();
    assert!(leader.answers().is_empty(), "nothing is answered before its entry is applied");
    leader.apply();
    leader.apply();
    let answers = leader.answers();
    assert_eq!(attributes(&answers[0]), testing::number("n", 5));
    assert_eq!(attributes(&answers[1]), testing::number("n", 7));
}

/// "A failed condition waits for the commit of what made it fail."
#[test]
fn a_failed_condition_waits_for_the_commit_of_what_made_it_fail() {
    let mut leader = Leader::new();
    leader.ask(1, testing::put(1, "a", 1));
    leader.round();
    leader.ask(2, testing::put_new(2, "a", 2));
    leader.round();
    assert!(leader.answers().is_empty());
    leader.apply();
    assert_eq!(leader.tokens(), [1]);
    leader.apply();
    assert_eq!(leader.tokens(), [2]);
}

/// An attempt that was long under way must not do what its client was told has failed.
#[test]
fn a_failed_condition_stays_failed_for_whatever_attempt_still_arrives() {
    let mut leader = Leader::new();
    leader.ask(1, testing::put(1, "a", 1));
    leader.ask(2, testing::put_new(2, "a", 2));
    leader.ask(3, testing::delete(3, "b"));
    leader.round();
    leader.apply();
    leader.ask(4, testing::delete(4, "a"));
    leader.ask(5, testing::put(5, "b", 1));
    leader.round();
    leader.apply();
    leader.answers();
    leader.ask(6, testing::put_new(2, "a", 2));
    leader.ask(7, testing::delete(3, "b"));
    leader.round();
    let answers = leader.answers();
    assert!(matches!(answers[0].1, Err(PartitionError::Service(_))), "{answers:?}");
    assert!(matches!(answers[1].1, Ok(PartitionOutcome::Write(WriteOutcome { size_before: 0, .. }))), "{answers:?}");
    assert_eq!(leader.log.len(), 2);
}

#[test]
fn a_retry_under_way_gets_the_same_answer_and_is_not_done_again() {
    let mut leader = Leader::new();
    leader.ask(1, testing::add(9, "a", 5));
    leader.ask(2, testing::add(9, "a", 5));
    leader.round();
    leader.ask(3, testing::add(9, "a", 5));
    leader.round();
    assert_eq!(leader.log.len(), 1);
    leader.apply();
    let answers = leader.answers();
    assert_eq!(answers.iter().map(|(token, _)| *token).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(answers.iter().all(|answer| attributes(answer) == testing::number("n", 5)));
}

/// "The partition keeps the outcomes of recent request ids, replicated."
#[test]
fn a_retry_after_its_apply_gets_the_outcome_of_the_first_attempt() {
    let mut leader = Leader::new();
    leader.ask(1, testing::add(9, "a", 5));
    leader.round();
    leader.apply();
    leader.ask(2, testing::add(8, "a", 1));
    leader.round();
    leader.apply();
    leader.answers();
    leader.ask(3, testing::add(9, "a", 5));
    leader.round();
    let answers = leader.answers();
    assert_eq!(attributes(&answers[0]), testing::number("n", 5));
    assert_eq!(leader.log.len(), 2);
}

/// "If any differs when it is applied, or the sequence has a gap, it is void, on every replica alike, and its waiter is
/// evaluated anew."
#[test]
fn the_waiters_of_a_void_entry_are_evaluated_anew() {
    let mut leader = Leader::new();
    leader.ask(1, testing::add(1, "a", 5));
    leader.round();
    leader.ask(2, testing::add(2, "a", 2));
    leader.ask(3, testing::put_new(3, "a", 0));
    leader.round();
    // Another change got between evaluation and apply.
    let mut definition = testing::definition();
    definition.schema_version = 2;
    leader.state.definition = Arc::new(definition);
    leader.apply();
    assert!(leader.proposer.overlay.is_empty(), "what was evaluated on it is worth nothing");
    leader.ask(4, testing::add(4, "a", 1));
    leader.round();
    assert_eq!(leader.log.len(), 2, "nothing is evaluated until everything in flight is applied");
    leader.apply();
    assert!(leader.answers().is_empty());
    leader.round();
    let entry = leader.entry(4);
    assert_eq!((entry.header.sequence, entry.header.schema_version), (1, 2));
    leader.apply();
    let answers = leader.answers();
    let by_token = |token: u64| answers.iter().find(|(of, _)| *of == token).unwrap();
    assert_eq!(attributes(by_token(1)), testing::number("n", 5));
    assert_eq!(attributes(by_token(2)), testing::number("n", 7));
    assert!(matches!(by_token(3).1, Err(PartitionError::Service(_))));
}

#[test]
fn a_write_whose_entries_are_void_again_and_again_is_given_up() {
    let mut leader = Leader::new();
    leader.ask(1, testing::put(1, "a", 1));
    for version in 2..=4 {
        leader.round();
        let mut definition = testing::definition();
        definition.schema_version = version;
        leader.state.definition = Arc::new(definition);
        leader.apply();
    }
    assert!(matches!(leader.answers()[..], [(1, Err(PartitionError::Overloaded { .. }))]));
}

/// "A failed proposal or a change of leader discards the whole overlay."
#[test]
fn a_failed_proposal_discards_the_overlay_and_waits_for_what_is_in_flight() {
    let mut leader = Leader::new();
    leader.ask(1, testing::add(1, "a", 5));
    leader.round();
    leader.refuses = true;
    leader.ask(2, testing::add(2, "a", 2));
    leader.round();
    leader.refuses = false;
    assert!(leader.proposer.overlay.is_empty());
    leader.ask(3, testing::add(3, "a", 1));
    leader.round();
    assert_eq!(leader.log.len(), 1);
    leader.apply();
    assert_eq!(leader.tokens(), [1]);
    leader.round();
    assert_eq!(leader.entry(3).header.sequence, 2, "the sequence has no gap");
    leader.apply();
    let answers = leader.answers();
    assert_eq!(attributes(&answers[0]), testing::number("n", 7));
    assert_eq!(attributes(&answers[1]), testing::number("n", 8));
}

#[test]
fn a_change_of_leader_discards_the_overlay_and_leaves_what_is_in_flight_unknown() {
    let mut leader = Leader::new();
    leader.ask(1, testing::put(1, "a", 1));
    leader.round();
    leader.ask(2, testing::put_new(2, "a", 1));
    leader.round();
    leader.ask(3, testing::put(3, "b", 1));
    leader.proposer.abandon(&PartitionError::NotLeader { leader: None }, &mut leader.answers);
    assert!(leader.proposer.overlay.is_empty());
    let answers = leader.answers();
    let of = |token: u64| answers.iter().find(|(of, _)| *of == token).unwrap().1.clone();
    assert!(matches!(of(1), Err(PartitionError::Unknown { .. })));
    assert!(matches!(of(2), Err(PartitionError::Unknown { .. })));
    assert!(matches!(of(3), Err(PartitionError::NotLeader { .. })));
}

/// "Entry time is strictly increasing along a partition's log"; "a local write stamps above the version it replaces".
#[test]
fn a_write_stamps_above_the_entry_before_and_the_version_it_replaces() {
    let mut leader = Leader::new();
    leader.ask(1, testing::put(1, "a", 1));
    leader.ask(2, testing::put(2, "a", 2));
    leader.round();
    leader.wall_ms = 500;
    leader.ask(3, testing::put(3, "a", 3));
    leader.round();
    let (first, second) = (leader.entry(2), leader.entry(3));
    let times: Vec<Timestamp> = writes(&first).iter().chain(writes(&second)).map(|write| write.version_time).collect();
    assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
    assert!(first.header.entry_time < second.header.entry_time);
    assert_eq!(first.header.entry_time, times[1]);
}

#[test]
fn entries_and_what_is_in_flight_are_bounded() {
    let mut leader = Leader::new();
    for token in 0..20 {
        leader.ask(token, testing::put(token as u8, &format!("item-{token}"), 1));
    }
    leader.round();
    assert_eq!(leader.log.len(), LIMITS.entries_in_flight_max);
    assert!((2..6).all(|index| writes(&leader.entry(index)).len() == LIMITS.entry_writes_max));
    for token in 20..120 {
        leader.ask(token, testing::put(token as u8, "a", 1));
    }
    assert!(leader.answers().iter().all(|answer| matches!(answer.1, Err(PartitionError::Overloaded { .. }))));
}

#[test]
fn whoever_waits_too_long_is_told_what_is_known() {
    let mut leader = Leader::new();
    leader.ask(1, testing::put(1, "a", 1));
    leader.round();
    leader.ask(2, testing::put(2, "a", 1));
    leader.proposer.expire(99, &mut leader.answers);
    assert!(leader.answers().is_empty());
    leader.proposer.expire(100, &mut leader.answers);
    let answers = leader.answers();
    let of = |token: u64| answers.iter().find(|(of, _)| *of == token).unwrap().1.clone();
    assert!(matches!(of(1), Err(PartitionError::Unknown { .. })));
    assert!(matches!(of(2), Err(PartitionError::Overloaded { .. })));
    leader.apply();
    assert!(leader.answers().is_empty(), "nobody is answered twice");
}
