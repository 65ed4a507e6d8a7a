//! When transactions over several tables are decided, and what of them comes back with each table.

use super::*;
use crate::{
    log::LogEntry,
    restore::{LoadedVersion, Restoration, entry_time},
};

/// What a restore reads of a table.
struct Archived {
    /// With the time of the newest entry in each, in the order of the log.
    snapshots: Vec<(Timestamp, Vec<Bytes>)>,
}

impl Leader {
    fn prepare_timed(&mut self, transaction: u8, actions: Vec<TransactAction>) -> Timestamp {
        let idempotency = idempotency(transaction);
        let write = TransactWrite { idempotency, actions, participants: participants(), begun_ms: self.wall_ms };
        self.step(1, transaction, transaction, TransactStep::Prepare(write));
        match self.outcome() {
            TransactOutcome::PreparedAt { prepared_at, .. } => prepared_at,
            other => panic!("not prepared: {other:?}"),
        }
    }

    fn decide_after(
        &mut self,
        request: u8,
        transaction: u8,
        actions: Vec<TransactAction>,
        at: Timestamp,
    ) -> TransactOutcome {
        let idempotency = idempotency(transaction);
        let write = TransactWrite { idempotency, actions, participants: participants(), begun_ms: self.wall_ms };
        let step = TransactStep::DecideAfter { write, prepared_bytes: 0, finished: Vec::new(), prepared_at: at };
        self.step(1, request, transaction, step);
        self.outcome()
    }

    fn commit_decided(&mut self, request: u8, transaction: u8, decided_at: Timestamp) -> Timestamp {
        self.step(1, request, transaction, TransactStep::CommitDecided { decided_at });
        decided(self.outcome())
    }

    fn last_time(&self) -> Timestamp {
        Entry::time_of(self.log.last().unwrap()).unwrap()
    }

    fn snapshot(&self) -> (Timestamp, Vec<Bytes>) {
        let mut reader = self.engine.snapshot_of_items(1).unwrap();
        (reader.record().applied.entry_time, std::iter::from_fn(|| reader.next_chunk().unwrap()).collect())
    }

    fn entries(&self) -> impl Iterator<Item = LogEntry> {
        let entry = |(index, payload): (u64, &Vec<u8>)| LogEntry {
            index,
            term: self.term,
            kind: 0,
            payload: payload.clone().into(),
        };
        (2..).zip(&self.log).map(entry)
    }

    fn prepared_since(&mut self) -> Option<Timestamp> {
        self.proposer.prepared_since(&self.engine, 1).unwrap()
    }

    /// As of `at`, from this snapshot.
    fn restoration(&self, chunks: &[Bytes], at: Timestamp) -> Restoration<MemoryStore> {
        let engine = Arc::new(Engine::open(MemoryStore::default()).unwrap());
        let mut restoration = Restoration::begin(engine).unwrap();
        chunks.iter().for_each(|chunk| restoration.chunk(chunk).unwrap());
        give(&mut restoration, self.entries(), at);
        restoration
    }

    /// What items were as of `at`, which is the same from whatever snapshot that has them.
    fn numbers_at(&self, archived: &Archived, at: Timestamp, items: &[&str]) -> Vec<Option<Item>> {
        let usable = archived.snapshots.iter().filter(|(time, _)| *time <= at);
        let mut found: Vec<_> = usable
            .map(|(_, chunks)| {
                let loaded = self.restoration(chunks, at).read().unwrap();
                let numbers = items.iter().map(|item| match loaded.get(&testing::key(item)).unwrap() {
                    Some(LoadedVersion::Item(version)) => Some(version.item.decode().unwrap()),
                    Some(LoadedVersion::Deleted(_)) | None => None,
                });
                (numbers.collect::<Vec<_>>(), loaded.size_bytes())
            })
            .collect();
        found.dedup();
        assert_eq!(found.len(), 1, "at {at:?} snapshots differ: {found:?}");
        found.remove(0).0
    }
}

fn give(restoration: &mut Restoration<MemoryStore>, entries: impl Iterator<Item = LogEntry>, at: Timestamp) {
    let mut is_behind = false;
    for entry in entries {
        is_behind |= entry_time(&entry).is_some_and(|time| time > at);
        match is_behind {
            true => restoration.entry_behind(&entry, at).unwrap(),
            false => restoration.entry(&entry).unwrap(),
        }
    }
}

fn decided(outcome: TransactOutcome) -> Timestamp {
    match outcome {
        TransactOutcome::CommittedAt { decided_at, .. } => decided_at,
        other => panic!("not committed: {other:?}"),
    }
}

fn delete(item: &str) -> TransactAction {
    TransactAction::Write(testing::delete(0, item))
}

#[test]
fn a_primary_decides_above_when_the_others_prepared_and_tells_when() {
    let (mut primary, mut other) = (Leader::new(), Leader::new());
    other.wall_ms += 5_000;
    let prepared = other.prepare_timed(1, vec![put("b", 1)]);
    assert_eq!(prepared, other.last_time());
    let at = decided(primary.decide_after(40, 1, vec![put("a", 1)], prepared));
    assert!(at > prepared, "its own clock is behind");
    assert_eq!(at, primary.last_time());
    primary.step(1, 50, 1, TransactStep::Resolve { age_ms_min: 0 });
    assert_eq!(decided(primary.outcome()), at, "whoever asks later is told the same");
}

#[test]
fn a_participant_commits_above_when_it_was_decided_and_keeps_that() {
    let mut leader = Leader::new();
    leader.prepare_timed(1, vec![put("b", 1)]);
    let at = Timestamp::from_millis(leader.wall_ms + 5_000);
    assert_eq!(leader.commit_decided(50, 1, at), at);
    assert!(leader.last_time() > at);
    assert_eq!(leader.commit_decided(51, 1, Timestamp(0)), at, "told again, it is not done again");
    assert_eq!(leader.number_of("b"), Some(testing::item("b", 1)));
}

#[test]
fn who_asks_again_is_told_the_same_times() {
    let mut leader = Leader::new();
    let prepared = leader.prepare_timed(1, vec![put("b", 1)]);
    leader.wall_ms += 1_000;
    assert_eq!(leader.prepare_timed(1, vec![put("b", 1)]), prepared);
    leader.change_leader();
    assert_eq!(leader.prepare_timed(1, vec![put("b", 1)]), prepared);
}

#[test]
fn who_does_not_know_of_times_is_answered_without() {
    let mut leader = Leader::new();
    leader.prepare(1, 1, vec![put("b", 1)]);
    assert!(matches!(leader.outcome(), TransactOutcome::Prepared(_)));
    leader.step(2, 50, 1, TransactStep::Commit);
    assert!(matches!(leader.outcome(), TransactOutcome::Committed(_)));
    leader.step(3, 51, 1, TransactStep::Abort { age_ms_min: 0 });
    assert!(matches!(leader.outcome(), TransactOutcome::Committed(_)));
    let at = leader.commit_decided(52, 1, Timestamp(0));
    assert_eq!(at, leader.last_time(), "it was decided when it was committed here");
}

#[test]
fn what_was_prepared_further_ahead_than_any_clock_may_be_is_aborted_for_good() {
    let mut leader = Leader::new();
    let far = Timestamp::from_millis(leader.wall_ms + LIMITS.remote_ahead_ms_max + 1);
    assert_eq!(leader.decide_after(40, 1, vec![put("a", 1)], far), TransactOutcome::Aborted);
    leader.wall_ms += 10_000;
    assert_eq!(leader.decide_after(41, 1, vec![put("a", 1)], far), TransactOutcome::Aborted);
    assert_eq!(leader.number_of("a"), None);
    assert!(leader.last_time() < far, "its times stay with its clock");
}

#[test]
fn what_was_decided_further_ahead_than_that_waits() {
    let mut leader = Leader::new();
    leader.prepare_timed(1, vec![put("b", 1)]);
    let far = Timestamp::from_millis(leader.wall_ms + 2 * LIMITS.remote_ahead_ms_max + 1);
    leader.step(1, 50, 1, TransactStep::CommitDecided { decided_at: far });
    leader.run_to_rest();
    assert!(matches!(leader.answers()[..], [(1, Err(PartitionError::Overloaded { .. }))]));
    leader.wall_ms += 1_000;
    assert_eq!(leader.commit_decided(51, 1, far), far);
}

#[test]
fn what_is_prepared_is_known_as_not_ended_until_its_end_is_applied() {
    let mut leader = Leader::new();
    assert_eq!(leader.prepared_since(), None);
    let prepared = leader.prepare_timed(1, vec![put("b", 1)]);
    let since = leader.prepared_since().unwrap();
    assert!(since <= prepared && since >= Timestamp::from_millis(leader.wall_ms));
    leader.wall_ms += 500;
    leader.prepare_timed(2, vec![put("c", 1)]);
    assert_eq!(leader.prepared_since(), Some(since), "the oldest counts");
    leader.step(1, 50, 1, TransactStep::CommitDecided { decided_at: prepared.next(0) });
    leader.round();
    assert_eq!(leader.prepared_since(), Some(since), "its end is under way");
    leader.run_to_rest();
    assert!(leader.prepared_since() > Some(since));
    leader.change_leader();
    assert!(leader.prepared_since() > Some(since), "a new leader reads it");
    leader.step(1, 51, 2, TransactStep::Abort { age_ms_min: 0 });
    leader.run_to_rest();
    assert_eq!(leader.prepared_since(), None);
}

#[test]
fn an_end_that_was_void_ended_nothing() {
    let mut leader = Leader::new();
    leader.prepare_timed(1, vec![put("b", 1)]);
    let since = leader.prepared_since();
    leader.step(1, 50, 1, TransactStep::CommitDecided { decided_at: Timestamp(0) });
    leader.round();
    let mut descriptor = testing::descriptor(1);
    descriptor.epoch = 2;
    leader.state.descriptor = Arc::new(descriptor);
    leader.apply();
    assert_eq!(leader.prepared_since(), since);
    leader.run_to_rest();
    assert_eq!(leader.prepared_since(), None);
}

/// Two tables whose clocks differ, with a transaction over both between other writes of each.
#[test]
fn tables_restored_as_of_any_time_have_all_of_a_transaction_or_nothing() {
    for ahead_ms in [0_i64, 300, -300] {
        let (mut primary, mut other) = (Leader::new(), Leader::new());
        other.wall_ms = other.wall_ms.saturating_add_signed(ahead_ms);
        let mut archived = [Archived { snapshots: Vec::new() }, Archived { snapshots: Vec::new() }];
        let mut times = Vec::new();
        let mut next = 60;
        let mut pass = |primary: &mut Leader, other: &mut Leader| {
            for (leader, archived) in [primary, other].into_iter().zip(&mut archived) {
                next += 1;
                leader.ask(900, testing::add(next, "n", 1));
                leader.run_to_rest();
                leader.answers();
                archived.snapshots.push(leader.snapshot());
                times.push(leader.last_time());
                leader.wall_ms += 1;
            }
        };
        for leader in [&mut primary, &mut other] {
            leader.ask(900, testing::put(50, "gone", 1));
            leader.run_to_rest();
            leader.answers();
        }
        pass(&mut primary, &mut other);
        let prepared =
            other.prepare_timed(1, vec![add("b", 5), delete("gone"), check("c", "attribute_not_exists(id)")]);
        pass(&mut primary, &mut other);
        let at = decided(primary.decide_after(40, 1, vec![add("a", 5), delete("gone")], prepared));
        pass(&mut primary, &mut other);
        pass(&mut primary, &mut other);
        other.commit_decided(51, 1, at);
        pass(&mut primary, &mut other);
        for at in times.iter().flat_map(|time| [time.0 - 1, time.0, time.0 + 1]).map(Timestamp) {
            if archived.iter().any(|archived| archived.snapshots[0].0 > at) {
                continue;
            }
            let a = primary.numbers_at(&archived[0], at, &["a", "gone"]);
            let b = other.numbers_at(&archived[1], at, &["b", "gone"]);
            let has = |found: &[Option<Item>]| (found[0].is_some(), found[1].is_none());
            assert_eq!(has(&a), has(&b), "at {at:?}, ahead {ahead_ms}");
            assert_eq!(a[0].is_some(), a[1].is_none());
        }
    }
}

#[test]
fn what_is_restored_knows_how_much_it_holds_and_goes_on_above_all_of_it() {
    let mut leader = Leader::new();
    leader.ask(900, testing::put(50, "gone", 1));
    leader.run_to_rest();
    leader.answers();
    let (_, chunks) = leader.snapshot();
    let prepared = leader.prepare_timed(1, vec![put("b", 1), delete("gone")]);
    leader.wall_ms += 1;
    leader.ask(900, testing::put(51, "later", 1));
    leader.run_to_rest();
    leader.answers();
    leader.commit_decided(60, 1, prepared.next(0));
    let restored = leader.restoration(&chunks, prepared.next(0)).finish().unwrap();
    let size = EncodedItem::encode(&testing::item("b", 1)).size().unwrap();
    assert_eq!((restored.applied.item_count, restored.applied.size_bytes), (1, size.into()));
    assert_eq!(restored.applied.entry_time, leader.last_time());
}

#[test]
fn a_commit_that_was_void_is_not_restored() {
    let mut leader = Leader::new();
    let (_, chunks) = leader.snapshot();
    let prepared = leader.prepare_timed(1, vec![put("b", 1)]);
    leader.step(1, 60, 1, TransactStep::CommitDecided { decided_at: prepared.next(0) });
    leader.round();
    let mut entry = leader.entries().last().unwrap();
    // By one who led before.
    entry.term += 1;
    let entries: Vec<LogEntry> = leader.entries().take(1).chain([entry]).collect();
    let engine = Arc::new(Engine::open(MemoryStore::default()).unwrap());
    let mut restoration = Restoration::begin(engine).unwrap();
    chunks.iter().for_each(|chunk| restoration.chunk(chunk).unwrap());
    give(&mut restoration, entries.into_iter(), prepared.next(0));
    assert_eq!(restoration.read().unwrap().get(&testing::key("b")).unwrap(), None);
}

/// A deletion counts by when it was decided, as what is put does.
#[test]
fn what_a_transaction_deletes_is_deleted_when_it_was_decided() {
    let mut leader = Leader::new();
    leader.ask(900, testing::put(50, "gone", 1));
    leader.run_to_rest();
    leader.answers();
    let (_, chunks) = leader.snapshot();
    let prepared = leader.prepare_timed(1, vec![delete("gone")]);
    let at = leader.commit_decided(60, 1, Timestamp(prepared.0 + 10));
    let deleted_after = |after: u64, to: u64| {
        let engine = Arc::new(Engine::open(MemoryStore::default()).unwrap());
        let mut restoration = Restoration::begin(engine).unwrap();
        restoration.keep_deletions(Timestamp(after));
        chunks.iter().for_each(|chunk| restoration.chunk(chunk).unwrap());
        give(&mut restoration, leader.entries(), Timestamp(to));
        restoration.read().unwrap().get(&testing::key("gone")).unwrap()
    };
    for to in [at.0, u64::MAX] {
        assert_eq!(deleted_after(at.0 - 1, to), Some(LoadedVersion::Deleted(at)));
        assert_eq!(deleted_after(at.0, to), None);
    }
    assert!(matches!(deleted_after(0, at.0 - 1), Some(LoadedVersion::Item(_))));
}
