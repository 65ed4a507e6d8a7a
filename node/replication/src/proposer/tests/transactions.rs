//! Steps of transactions, beside single writes.

use super::*;
use crate::{
    entry::TransactionEntry,
    operation::{PartitionRequest, WriteAction},
    read::{ReadPlace, read},
    transaction::{
        ConditionCheck, Idempotency, ItemVersion, Participant, TransactAction, TransactGet, TransactGetRequest,
        TransactOutcome, TransactRequest, TransactStep, TransactWrite, TransactionId,
    },
};
use cairn_model::{
    AttributeValue, codec::EncodedItem, ids::TableId, limits::TRANSACTION_BYTES_MAX, size::item_size,
    table::StreamViewType,
};

mod kept;
mod times;

fn id(number: u8) -> TransactionId {
    TransactionId([number; 16])
}

fn idempotency(token: u8) -> Idempotency {
    Idempotency { token: [token; 16], parameters: [token; 16] }
}

fn participants() -> Vec<Participant> {
    [1, 2].map(|table| Participant { table_id: TableId([table; 16]), key: testing::key("a") }).to_vec()
}

fn check(item: &str, text: &str) -> TransactAction {
    let condition = testing::condition(text, Item::new());
    TransactAction::Check(ConditionCheck { key: testing::key(item), condition, return_item_on_condition_failure: true })
}

impl Leader {
    fn step(&mut self, token: u64, request: u8, transaction: u8, step: TransactStep) {
        let request_id = RequestId([request; 16]);
        let request = TransactRequest { request_id, transaction: id(transaction), step };
        self.answers.extend(self.proposer.enqueue_step(token, request, 100_000_000));
    }

    fn whole(&mut self, token: u64, transaction: u8, client_token: u8, actions: Vec<TransactAction>) {
        let idempotency = idempotency(client_token);
        let write = TransactWrite { idempotency, actions, participants: Vec::new(), begun_ms: self.wall_ms };
        self.step(token, transaction, transaction, TransactStep::Write(write));
    }

    fn prepare(&mut self, token: u64, transaction: u8, actions: Vec<TransactAction>) {
        let idempotency = idempotency(transaction);
        let write = TransactWrite { idempotency, actions, participants: participants(), begun_ms: self.wall_ms };
        self.step(token, transaction, transaction, TransactStep::Write(write));
    }

    fn decide(&mut self, token: u64, request: u8, transaction: u8, actions: Vec<TransactAction>, prepared_bytes: u64) {
        let idempotency = idempotency(transaction);
        let write = TransactWrite { idempotency, actions, participants: participants(), begun_ms: self.wall_ms };
        self.step(token, request, transaction, TransactStep::Decide { write, prepared_bytes, finished: Vec::new() });
    }

    /// Everything that waits, and is proposed, is applied.
    fn run_to_rest(&mut self) {
        self.round();
        while self.state.applied.index + 1 < self.next_index() {
            self.apply();
            self.round();
        }
    }

    /// The answer to the only step asked for.
    fn outcome(&mut self) -> TransactOutcome {
        self.run_to_rest();
        match &self.answers()[..] {
            [(_, Ok(PartitionOutcome::Transact(outcome)))] => outcome.clone(),
            other => panic!("no outcome: {other:?}"),
        }
    }

    fn is_locked(&mut self, item: &str) -> bool {
        self.ask(900, testing::add(u8::try_from(self.log.len() + 100).unwrap(), item, 0));
        self.run_to_rest();
        match &self.answers()[..] {
            [(900, Ok(PartitionOutcome::Locked(met)))] => met.len() == 1,
            [(900, Ok(PartitionOutcome::Write(_)))] => false,
            other => panic!("{other:?}"),
        }
    }

    fn number_of(&self, item: &str) -> Option<Item> {
        let stored = self.engine.get(1, &testing::key(item)).unwrap()?;
        Some(StoredVersion::parse(stored).unwrap().item.decode().unwrap())
    }

    fn transact_get(&self, items: &[&str]) -> PartitionOutcome {
        let get = |item: &&str| TransactGet { key: testing::key(item), projection: None };
        let gets = items.iter().map(get).collect();
        let definition = testing::definition();
        let place = ReadPlace {
            storage_id: 1,
            schema: &definition.key_schema,
            range: &self.state.descriptor.range,
            local_indexes: &[],
            index_of: None,
            partition: self.state.descriptor.partition_id,
            streams: None,
        };
        let request = PartitionRequest::TransactGet(TransactGetRequest { gets, versions_only: false });
        read(&self.engine, place, &request).unwrap()
    }

    /// Another replica, which has applied the same, leads from now on.
    fn change_leader(&mut self) {
        self.proposer = Proposer::new(LIMITS);
        self.proposer.lead(&self.state.applied);
    }
}

fn put(item: &str, n: i64) -> TransactAction {
    TransactAction::Write(testing::put(0, item, n))
}

fn add(item: &str, n: i64) -> TransactAction {
    TransactAction::Write(testing::add(0, item, n))
}

#[test]
fn a_transaction_of_one_partition_is_one_entry() {
    let mut leader = Leader::new();
    leader.whole(1, 1, 1, vec![put("a", 1), add("b", 2), check("c", "attribute_not_exists(id)")]);
    let TransactOutcome::Committed(outcomes) = leader.outcome() else { panic!("not committed") };
    assert_eq!(outcomes.iter().map(|outcome| outcome.size_after > 0).collect::<Vec<_>>(), [true, true, false]);
    assert_eq!(leader.log.len(), 1);
    assert_eq!(leader.state.applied.item_count, 2);
    assert_eq!(leader.number_of("b"), Some(testing::item("b", 2)));
}

#[test]
fn one_condition_that_fails_cancels_all_and_every_action_says_why() {
    let mut leader = Leader::new();
    leader.ask(1, testing::put(90, "b", 7));
    leader.ask(2, testing::put(91, "c", 7));
    leader.run_to_rest();
    leader.answers();
    let new = TransactAction::Write(testing::put_new(0, "b", 1));
    leader.whole(1, 1, 1, vec![put("a", 1), new, check("c", "attribute_not_exists(id)")]);
    let TransactOutcome::Cancelled(reasons) = leader.outcome() else { panic!("not cancelled") };
    assert_eq!(reasons[0], None);
    let kinds: Vec<_> = reasons.iter().flatten().map(|reason| (reason.kind, reason.item.is_some())).collect();
    let failed = ErrorKind::ConditionalCheckFailedException;
    assert_eq!(kinds, [(failed, false), (failed, true)]);
    assert_eq!(leader.number_of("a"), None);
}

#[test]
fn what_is_prepared_is_locked_and_unseen_until_it_is_committed() {
    let mut leader = Leader::new();
    leader.ask(1, testing::put(90, "a", 1));
    leader.run_to_rest();
    leader.prepare(2, 1, vec![add("a", 5), put("b", 1), check("c", "attribute_not_exists(id)")]);
    leader.run_to_rest();
    assert!(matches!(leader.answers()[1].1, Ok(PartitionOutcome::Transact(TransactOutcome::Prepared(_)))));
    assert!(leader.is_locked("a") && leader.is_locked("b") && leader.is_locked("c") && !leader.is_locked("d"));
    assert_eq!(leader.number_of("a"), Some(testing::item("a", 1)), "reads go on");
    assert!(matches!(leader.transact_get(&["a"]), PartitionOutcome::Locked(_)));
    assert!(matches!(leader.transact_get(&["c", "d"]), PartitionOutcome::TransactGet(_)), "it only checks c");

    leader.step(3, 50, 1, TransactStep::Commit);
    let TransactOutcome::Committed(outcomes) = leader.outcome() else { panic!("not committed") };
    assert_eq!(outcomes.len(), 3);
    assert_eq!(leader.number_of("a"), Some(testing::item("a", 6)));
    assert_eq!(leader.state.applied.item_count, 3);
    assert!(!leader.is_locked("a") && !leader.is_locked("c"));
    leader.step(3, 51, 1, TransactStep::Commit);
    assert!(matches!(leader.outcome(), TransactOutcome::Committed(_)), "told again, it is not done again");
    assert_eq!(leader.number_of("a"), Some(testing::item("a", 6)));
}

#[test]
fn where_all_others_are_prepared_the_primary_writes_its_part_at_once() {
    let mut leader = Leader::new();
    leader.decide(1, 1, 1, vec![put("a", 1), check("c", "attribute_not_exists(id)")], 100);
    let TransactOutcome::Committed(outcomes) = leader.outcome() else { panic!("not committed") };
    assert_eq!(outcomes.len(), 2);
    assert_eq!(leader.number_of("a"), Some(testing::item("a", 1)));
    assert!(!leader.is_locked("a") && !leader.is_locked("c"));
    leader.step(2, 50, 1, TransactStep::Abort { age_ms_min: 0 });
    assert!(matches!(leader.outcome(), TransactOutcome::Committed(_)), "whoever asks later is told so");
    let write = TransactWrite {
        idempotency: idempotency(1),
        actions: vec![put("a", 1)],
        participants: participants(),
        begun_ms: leader.wall_ms,
    };
    leader.step(3, 51, 2, TransactStep::Write(write));
    let TransactOutcome::Replayed { transaction, participants: of, .. } = leader.outcome() else { panic!("no replay") };
    assert_eq!((transaction, of), (id(1), participants()));
}

#[test]
fn what_is_aborted_can_not_be_decided_any_more() {
    let mut leader = Leader::new();
    leader.step(1, 50, 1, TransactStep::Abort { age_ms_min: 3_000 });
    assert_eq!(leader.outcome(), TransactOutcome::Aborted, "the primary never locks, so there is no age");
    leader.decide(2, 1, 1, vec![put("a", 1)], 0);
    assert_eq!(leader.outcome(), TransactOutcome::Aborted);
    assert_eq!(leader.number_of("a"), None);
}

#[test]
fn what_is_prepared_elsewhere_counts_for_the_size_of_a_transaction() {
    let mut leader = Leader::new();
    let left = TRANSACTION_BYTES_MAX as u64 - item_size(&testing::item("a", 1)) as u64;
    leader.decide(1, 1, 1, vec![put("a", 1)], left + 1);
    leader.run_to_rest();
    assert!(
        matches!(&leader.answers()[0].1, Err(PartitionError::Service(error)) if error.kind == ErrorKind::ValidationException)
    );
    assert_eq!(leader.number_of("a"), None);
    leader.decide(2, 2, 2, vec![put("a", 1)], left);
    assert!(matches!(leader.outcome(), TransactOutcome::Committed(_)));
}

#[test]
fn transactions_that_meet_one_another_are_told_whose_lock_it_is() {
    let mut leader = Leader::new();
    leader.prepare(1, 1, vec![put("a", 1)]);
    leader.whole(2, 2, 2, vec![put("b", 1), put("a", 2)]);
    leader.run_to_rest();
    let answers = leader.answers();
    let met = answers.iter().find_map(|(token, answer)| match answer {
        Ok(PartitionOutcome::Locked(met)) if *token == 2 => Some(met.clone()),
        _ => None,
    });
    let met = met.unwrap();
    assert_eq!((met[0].at, met[0].transaction, &met[0].participants), (1, id(1), &participants()));
    assert_eq!(leader.number_of("b"), None);
}

#[test]
fn what_is_aborted_lets_go_and_can_neither_be_committed_nor_prepared_again() {
    let mut leader = Leader::new();
    leader.prepare(1, 1, vec![put("a", 1)]);
    leader.run_to_rest();
    leader.answers();
    leader.step(2, 50, 1, TransactStep::Abort { age_ms_min: 0 });
    assert_eq!(leader.outcome(), TransactOutcome::Aborted);
    assert!(!leader.is_locked("a"));
    leader.step(3, 51, 1, TransactStep::Commit);
    assert_eq!(leader.outcome(), TransactOutcome::Aborted);
    let late = TransactWrite {
        idempotency: idempotency(1),
        actions: vec![put("a", 1)],
        participants: participants(),
        begun_ms: leader.wall_ms,
    };
    leader.step(4, 52, 1, TransactStep::Write(late));
    assert_eq!(leader.outcome(), TransactOutcome::Aborted);
}

/// "A transaction that the primary does not know … is aborted by whoever comes next, with a record".
#[test]
fn what_is_not_known_is_aborted_before_it_comes() {
    for step in [TransactStep::Abort { age_ms_min: 3_000 }, TransactStep::Commit] {
        let mut leader = Leader::new();
        leader.step(1, 50, 1, step);
        assert_eq!(leader.outcome(), TransactOutcome::Aborted);
        assert_eq!(leader.log.len(), 1, "the answer rests on what is not there: it is proved by an entry");
        leader.prepare(2, 1, vec![put("a", 1)]);
        assert_eq!(leader.outcome(), TransactOutcome::Aborted);
        assert!(!leader.is_locked("a"));
    }
}

#[test]
fn only_what_is_old_is_aborted_by_others() {
    let mut leader = Leader::new();
    leader.prepare(1, 1, vec![put("a", 1)]);
    leader.run_to_rest();
    leader.answers();
    leader.step(2, 50, 1, TransactStep::Abort { age_ms_min: 3_000 });
    assert_eq!(leader.outcome(), TransactOutcome::Pending);
    leader.wall_ms += 3_001;
    leader.step(3, 51, 1, TransactStep::Abort { age_ms_min: 3_000 });
    assert_eq!(leader.outcome(), TransactOutcome::Aborted);
}

/// Another region's clock may be ahead, and what replaces its versions is stamped above them.
#[test]
fn how_old_a_transaction_is_follows_the_clock_and_not_what_it_is_stamped() {
    let mut leader = Leader::new();
    leader.wall_ms += 300_000;
    leader.ask(1, testing::put(90, "a", 1));
    leader.run_to_rest();
    leader.wall_ms -= 300_000;
    leader.prepare(2, 1, vec![put("a", 2)]);
    leader.prepare(3, 2, vec![put("b", 2)]);
    leader.run_to_rest();
    leader.answers();
    leader.step(4, 50, 1, TransactStep::Abort { age_ms_min: 0 });
    assert_eq!(leader.outcome(), TransactOutcome::Aborted);
    leader.wall_ms += 3_001;
    leader.step(5, 51, 2, TransactStep::Abort { age_ms_min: 3_000 });
    assert_eq!(leader.outcome(), TransactOutcome::Aborted);
    assert!(!leader.is_locked("a") && !leader.is_locked("b"));
}

#[test]
fn a_new_leader_knows_the_locks_and_commits_what_another_prepared() {
    let mut leader = Leader::new();
    leader.prepare(1, 1, vec![put("a", 1)]);
    leader.run_to_rest();
    leader.answers();
    leader.change_leader();
    assert!(leader.is_locked("a"));
    leader.change_leader();
    leader.step(2, 50, 1, TransactStep::Commit);
    assert!(matches!(leader.outcome(), TransactOutcome::Committed(_)));
    assert_eq!(leader.number_of("a"), Some(testing::item("a", 1)));
    leader.change_leader();
    assert!(!leader.is_locked("a"));
}

#[test]
fn a_step_whose_entry_is_void_is_decided_anew() {
    let mut leader = Leader::new();
    leader.prepare(1, 1, vec![put("a", 1)]);
    leader.round();
    let mut descriptor = testing::descriptor(1);
    descriptor.epoch = 2;
    leader.state.descriptor = Arc::new(descriptor);
    leader.apply();
    assert!(leader.answers().is_empty());
    assert!(matches!(leader.outcome(), TransactOutcome::Prepared(_)));
    assert!(leader.is_locked("a"));
}

#[test]
fn a_step_that_could_not_be_proposed_locks_nothing() {
    let mut leader = Leader::new();
    leader.refuses = true;
    leader.prepare(1, 1, vec![put("a", 1)]);
    leader.round();
    leader.proposer.abandon(&PartitionError::NotLeader { leader: None }, &mut leader.answers);
    assert!(matches!(leader.answers()[..], [(1, Err(PartitionError::NotLeader { .. }))]));
    leader.refuses = false;
    leader.change_leader();
    assert!(!leader.is_locked("a"));
}

#[test]
fn a_retry_under_the_same_request_id_meets_its_outcome() {
    let mut leader = Leader::new();
    leader.prepare(1, 1, vec![put("a", 1)]);
    leader.round();
    leader.prepare(2, 1, vec![put("a", 1)]);
    leader.run_to_rest();
    let answers = leader.answers();
    assert_eq!(answers.len(), 2);
    assert!(answers.iter().all(|(_, answer)| *answer == answers[0].1));
    leader.prepare(3, 1, vec![put("a", 1)]);
    assert!(matches!(leader.outcome(), TransactOutcome::Prepared(_)));
    assert_eq!(leader.log.len(), 1);
}

#[test]
fn later_writes_see_a_transaction_before_it_is_applied() {
    let mut leader = Leader::new();
    leader.whole(1, 1, 1, vec![put("a", 5)]);
    leader.round();
    leader.ask(2, testing::add(50, "a", 2));
    leader.run_to_rest();
    assert_eq!(leader.number_of("a"), Some(testing::item("a", 7)));
    let EntryBody::Transaction(TransactionEntry { writes, .. }) = leader.entry(2).body else {
        panic!("no transaction")
    };
    assert_eq!(writes[0].version_time, leader.entry(2).header.entry_time);
}

#[test]
fn a_transaction_of_more_than_four_megabytes_is_refused() {
    let mut leader = Leader::new();
    let write = |id: &str, bytes: usize| {
        let mut item = testing::item(id, 1);
        let text = "x".repeat(bytes - item_size(&item) - "v".len());
        item.insert("v".to_owned(), AttributeValue::S(text));
        let action = WriteAction::Put(EncodedItem::encode(&item));
        TransactAction::Write(WriteRequest { action, ..testing::put(0, id, 1) })
    };
    let sixteenth = TRANSACTION_BYTES_MAX / 16;
    let all = |more| {
        let equal = ('a'..='o').map(|id| write(&id.to_string(), sixteenth));
        equal.chain([write("p", sixteenth + more)]).collect()
    };
    leader.whole(1, 1, 1, all(1));
    leader.run_to_rest();
    assert!(
        matches!(&leader.answers()[..], [(1, Err(PartitionError::Service(error)))] if error.message.contains("4MB"))
    );
    leader.whole(2, 2, 2, all(0));
    assert!(matches!(leader.outcome(), TransactOutcome::Committed(_)));
}

#[test]
fn an_absence_that_a_deletion_lies_in_is_another_one() {
    let mut leader = Leader::new();
    let version = |leader: &Leader, item: &str| match leader.transact_get(&[item]) {
        PartitionOutcome::TransactGet(outcome) => outcome.items[0].version.clone(),
        other => panic!("{other:?}"),
    };
    let before = version(&leader, "a");
    assert!(matches!(before, ItemVersion::Absent { .. }));
    leader.ask(1, testing::put(1, "a", 1));
    leader.run_to_rest();
    assert!(matches!(version(&leader, "a"), ItemVersion::Written { .. }));
    leader.ask(2, testing::delete(2, "a"));
    leader.run_to_rest();
    assert_ne!(version(&leader, "a"), before);
    assert_eq!(version(&leader, "a"), version(&leader, "a"));
}

#[test]
fn an_item_that_expires_is_not_taken_from_under_a_transaction() {
    let mut leader = Leader::expiring();
    leader.ask(1, testing::put(90, "a", expiry::seconds(-5)));
    leader.run_to_rest();
    leader.prepare(2, 1, vec![check("a", "attribute_exists(id)"), put("b", 1)]);
    leader.run_to_rest();
    leader.run();
    assert!(leader.has("a"));
    leader.step(3, 50, 1, TransactStep::Commit);
    leader.run_to_rest();
    leader.run();
    assert!(!leader.has("a") && leader.has("b"));
}

#[test]
fn what_a_transaction_writes_is_in_the_tables_stream_and_what_it_checks_is_not() {
    let mut leader = Leader::new();
    let mut definition = testing::definition();
    definition.set_stream(Some(StreamViewType::NewImage), 7);
    leader.state.definition = Arc::new(definition);
    leader.ask(1, testing::put(90, "a", 1));
    leader.run_to_rest();
    let records = |leader: &Leader| {
        let mut batch = ApplyBatch::default();
        let mut state = leader.state.clone();
        state.applied.index -= 1;
        state.applied.sequence -= 1;
        let payload = leader.log.last().unwrap().clone().into();
        let entry = LogEntry { index: leader.state.applied.index, term: leader.term, kind: 0, payload };
        state.apply(&entry, &mut batch).unwrap();
        batch.stream.len()
    };
    leader.whole(2, 1, 1, vec![put("a", 2), put("b", 1), check("c", "attribute_not_exists(id)")]);
    leader.run_to_rest();
    assert_eq!(records(&leader), 2);
    leader.prepare(3, 2, vec![put("a", 3), put("b", 1)]);
    leader.run_to_rest();
    assert_eq!(records(&leader), 0, "nothing is written before it is committed");
    leader.step(4, 50, 2, TransactStep::Commit);
    leader.run_to_rest();
    assert_eq!(records(&leader), 1, "one of them stayed as it was");
}
