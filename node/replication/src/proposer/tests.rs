//! The proposer on an engine in memory, with a log that is only a list of what was proposed.

use super::*;
use crate::{
    apply::ReplicatedState,
    entry::{Effect, EntryWrite},
    global::{BatchBody, CopyPosition, GlobalState, Gone, Group, Lineage, Member, Origin, Record, RemoteBatch, Vector},
    operation::WriteOutcome,
    place::LogPlace,
    raft_types::LogEntry,
    testing,
};
use cairn_engine::{ApplyBatch, IndexChange, Kept, MemoryStore, ReplicaRecord};
use cairn_model::{Item, codec::StoredVersion, ids::ReplicaId, key::EncodedKey};
use std::sync::Arc;

mod expiry;
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

/// A leader of a table that the regions east and west have in common, and a batch of the west.
fn global_leader() -> (Leader, RemoteBatch) {
    let mut leader = Leader::new();
    let mut definition = testing::definition();
    let members: std::collections::BTreeSet<String> = ["east".to_owned(), "west".to_owned()].into();
    definition.replicas = Some(GlobalReplicas { members: members.clone(), ..GlobalReplicas::in_region("east") });
    leader.state.definition = Arc::new(definition);
    leader.proposer.keep_up(leader.wall_ms);
    leader.round();
    leader.apply();
    let kept = leader.engine.kept(1, &Kept::Regions).unwrap();
    let own = GlobalState::of(kept.as_ref()).unwrap().own;
    let west = Lineage { region: "west".into(), since: Timestamp(1), partition: PartitionId([9; 16]) };
    let has: Vector = [(west.clone(), Timestamp::from_millis(900))].into_iter().collect();
    let version = StoredVersion {
        version_time: Timestamp::from_millis(900),
        origin: Bytes::from_static(b"west"),
        item: cairn_model::codec::EncodedItem::encode(&testing::item("a", 7)),
    };
    let place = LogPlace { index: 5, term: 1, sequence: 1, epoch: 1, schema_version: 1 };
    let batch = RemoteBatch {
        source: Member { lineage: west, founder: None, is_settled: false, members, has: has.clone() },
        reader: "east".into(),
        reader_lineage: own,
        known: has.clone(),
        read: None,
        others: Vec::new(),
        gone: Gone::default(),
        pending: 0,
        body: BatchBody::Copy {
            page: CopyPosition { start: place, vector: has, after: Bytes::new() },
            next: None,
            records: vec![Record { key: testing::key("a"), version: version.encode() }],
        },
    };
    (leader, batch)
}

#[test]
fn that_a_table_became_global_is_noted_before_anything_is_written() {
    let mut leader = Leader::new();
    leader.ask(1, testing::put(1, "a", 1));
    leader.round();
    leader.apply();
    let mut definition = testing::definition();
    definition.replicas = Some(GlobalReplicas::in_region("east"));
    leader.state.definition = Arc::new(definition);
    leader.proposer.change_proposed(None);
    leader.proposer.settle(&leader.state.applied, &mut leader.answers);
    leader.ask(2, testing::delete(2, "a"));
    leader.refuses = true;
    leader.round();
    leader.proposer.settle(&leader.state.applied, &mut leader.answers);
    leader.refuses = false;
    leader.round();
    let EntryBody::Remote(noted) = leader.entry(3).body else { panic!("not noted") };
    let state = GlobalState::decode(&noted.state).unwrap();
    assert_eq!(state.own.as_ref().map(|own| own.since), Some(leader.entry(3).header.entry_time));
    assert_eq!(state.founder, state.own, "it held an item");
    assert_eq!(writes(&leader.entry(4)).len(), 1);
}

#[test]
fn a_batch_of_another_region_is_answered_once_it_is_applied_and_later_writes_see_it_at_once() {
    let (mut leader, batch) = global_leader();
    leader.proposer.enqueue_remote(1, batch, 100);
    leader.ask(2, testing::add(2, "a", 1));
    leader.round();
    assert_eq!(leader.log.len(), 3, "what is of another region has an entry of its own");
    assert!(leader.proposer.take_remote_answers().is_empty());
    leader.apply();
    let answers = leader.proposer.take_remote_answers();
    assert_eq!(answers[0].1.as_ref().unwrap().place.unwrap().index, 5);
    leader.apply();
    assert_eq!(attributes(&leader.answers()[0]), testing::number("n", 8));
}

#[test]
fn a_batch_in_a_void_entry_is_not_done_and_taken_when_it_comes_again() {
    let (mut leader, batch) = global_leader();
    leader.proposer.enqueue_remote(1, batch.clone(), 100);
    leader.round();
    let mut descriptor = testing::descriptor(1);
    descriptor.epoch = 2;
    leader.state.descriptor = Arc::new(descriptor);
    leader.apply();
    assert!(matches!(leader.proposer.take_remote_answers()[..], [(1, Err(PartitionError::Overloaded { .. }))]));
    assert_eq!(leader.state.applied.item_count, 0);
    leader.proposer.enqueue_remote(2, batch, 100);
    leader.round();
    leader.apply();
    assert!(matches!(leader.proposer.take_remote_answers()[..], [(2, Ok(_))]));
    assert_eq!(leader.state.applied.item_count, 1);
}

#[test]
fn a_damaged_record_refuses_its_batch_whole() {
    let (mut leader, mut batch) = global_leader();
    if let BatchBody::Copy { records, .. } = &mut batch.body {
        records.push(Record { key: testing::key("b"), version: Bytes::from_static(b"\x01") });
    }
    leader.proposer.enqueue_remote(1, batch, 100);
    leader.round();
    assert_eq!(leader.log.len(), 1);
    assert!(matches!(leader.proposer.take_remote_answers()[..], [(1, Err(PartitionError::Service(_)))]));
    leader.proposer.settle(&leader.state.applied, &mut leader.answers);
    leader.ask(2, testing::put_new(2, "a", 1));
    leader.round();
    leader.apply();
    assert!(leader.answers()[0].1.is_ok(), "nothing of it is left");
}

#[test]
fn a_batch_with_a_key_or_a_region_longer_than_any_is_refused_whole() {
    let (mut leader, batch) = global_leader();
    let version = |origin: &'static str| {
        StoredVersion::tombstone(Timestamp::from_millis(900), Bytes::from_static(origin.as_bytes())).encode()
    };
    const LONG: &str = "a-region-whose-name-is-longer-than-the-sixty-three-bytes-it-may-have";
    let key = testing::key("b");
    let long_key = EncodedKey(vec![0; 70_000].into());
    for record in
        [Record { key: long_key, version: version("west") }, Record { key: key.clone(), version: version(LONG) }]
    {
        let mut batch = batch.clone();
        if let BatchBody::Copy { records, .. } = &mut batch.body {
            records.push(record);
        }
        leader.proposer.enqueue_remote(1, batch, 100);
        leader.round();
        assert!(matches!(leader.proposer.take_remote_answers()[..], [(1, Err(PartitionError::Service(_)))]));
        assert!(leader.proposer.overlay.is_empty() && leader.log.len() == 1);
        leader.proposer.settle(&leader.state.applied, &mut leader.answers);
    }
    leader.proposer.enqueue_remote(2, batch, 100);
    leader.round();
    leader.apply();
    assert!(matches!(leader.proposer.take_remote_answers()[..], [(2, Ok(_))]), "the next one is taken");
}

#[test]
fn a_batch_that_names_more_tables_than_are_kept_is_refused_whole() {
    let (mut leader, batch) = global_leader();
    let many: Vector = (0..1_025)
        .map(|since| (Lineage { since: Timestamp(since), ..batch.source.lineage.clone() }, Timestamp::from_millis(1)))
        .collect();
    let mut said = batch.clone();
    said.source.has = many.clone();
    let mut copied = batch.clone();
    if let BatchBody::Copy { page, .. } = &mut copied.body {
        page.vector = many.clone();
    }
    let mut changed = RemoteBatch {
        body: BatchBody::Changes {
            after: 5,
            through: LogPlace { index: 6, term: 1, sequence: 2, epoch: 1, schema_version: 1 },
            groups: many
                .iter()
                .map(|(lineage, time)| Origin { lineage: lineage.clone(), time })
                .map(|origin| Group { origin: Some(origin), records: Vec::new() })
                .collect(),
        },
        ..batch.clone()
    };
    for large in [said, copied] {
        leader.proposer.enqueue_remote(1, large, 100);
        leader.round();
        assert!(matches!(leader.proposer.take_remote_answers()[..], [(1, Err(PartitionError::Service(_)))]));
        assert_eq!(leader.log.len(), 1);
        leader.proposer.settle(&leader.state.applied, &mut leader.answers);
    }
    leader.proposer.enqueue_remote(2, batch, 100);
    leader.round();
    leader.apply();
    assert!(matches!(leader.proposer.take_remote_answers()[..], [(2, Ok(_))]));
    leader.proposer.enqueue_remote(3, changed.clone(), 100);
    leader.round();
    assert!(matches!(leader.proposer.take_remote_answers()[..], [(3, Err(PartitionError::Service(_)))]));
    leader.proposer.settle(&leader.state.applied, &mut leader.answers);
    if let BatchBody::Changes { groups, .. } = &mut changed.body {
        groups.truncate(1_000);
    }
    leader.proposer.enqueue_remote(4, changed, 100);
    leader.round();
    while leader.state.applied.index + 1 < leader.next_index() {
        leader.apply();
    }
    assert!(matches!(leader.proposer.take_remote_answers()[..], [(4, Ok(_))]));
}

#[test]
fn batches_that_wait_are_few_and_none_waits_past_its_deadline() {
    let (mut leader, batch) = global_leader();
    (0..9).for_each(|token| leader.proposer.enqueue_remote(token, batch.clone(), 100));
    assert!(matches!(leader.proposer.take_remote_answers()[..], [(8, Err(PartitionError::Overloaded { .. }))]));
    leader.proposer.expire(100, &mut leader.answers);
    assert_eq!(leader.proposer.take_remote_answers().len(), 8);
}

#[test]
fn a_leader_that_comes_after_the_tombstone_is_gone_does_not_take_again_what_it_kept_out() {
    let (mut leader, mut batch) = global_leader();
    leader.proposer.enqueue_remote(1, batch.clone(), 100);
    leader.ask(2, testing::delete(2, "a"));
    leader.round();
    leader.apply();
    leader.apply();
    leader.proposer.keep_up(leader.wall_ms);
    leader.round();
    leader.apply();
    let tombstones = |leader: &Leader| leader.engine.tombstones(1, None).count();
    assert_eq!((leader.state.applied.item_count, tombstones(&leader)), (0, 1));

    let (own, west) = (batch.reader_lineage.clone().unwrap(), batch.source.lineage.clone());
    let loser = StoredVersion {
        version_time: Timestamp::from_millis(950),
        origin: Bytes::from_static(b"west"),
        item: cairn_model::codec::EncodedItem::encode(&testing::item("a", 8)),
    };
    let group = |millis, records| {
        let origin = Some(Origin { lineage: west.clone(), time: Timestamp::from_millis(millis) });
        Group { origin, records }
    };
    let lost = vec![Record { key: testing::key("a"), version: loser.encode() }];
    batch.body = BatchBody::Changes {
        after: 5,
        through: LogPlace { index: 6, term: 1, sequence: 2, epoch: 1, schema_version: 1 },
        groups: vec![group(950, lost), group(2_000, Vec::new())],
    };
    let has = [(west.clone(), Timestamp::from_millis(2_000)), (own, Timestamp::from_millis(2_000))];
    let mut hello = RemoteBatch { body: BatchBody::Hello, ..batch.clone() };
    hello.source.has = has.into_iter().collect();
    leader.proposer.enqueue_remote(3, batch.clone(), 100);
    leader.proposer.enqueue_remote(4, hello, 100);
    leader.round();
    assert_eq!(leader.log.len(), 4, "nothing was won");
    leader.proposer.keep_up(leader.wall_ms);
    leader.round();
    leader.apply();
    assert_eq!(tombstones(&leader), 0, "all have everything");

    leader.proposer = Proposer::new(LIMITS);
    leader.proposer.lead(&leader.state.applied);
    leader.proposer.enqueue_remote(5, batch, 100);
    leader.round();
    while leader.state.applied.index + 1 < leader.next_index() {
        leader.apply();
    }
    assert!(matches!(leader.proposer.take_remote_answers()[..], [.., (5, Ok(_))]));
    assert_eq!(leader.state.applied.item_count, 0, "the deletion stays");
}
