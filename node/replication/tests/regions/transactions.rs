//! Transactions in a table of several regions: they are whole where they were made, and what they write goes everywhere as single
//! writes do, once they are committed.

use crate::{
    requests::{self, TABLE, add, delete, put},
    world::World,
};
use cairn_engine::{Engine, MemoryStore};
use cairn_model::{ids::TableId, time::Timestamp};
use cairn_replication::{
    operation::{PartitionOutcome, PartitionRequest},
    restore::{LoadedVersion, Restoration, entry_time},
    transaction::{
        Idempotency, Participant, TransactAction, TransactOutcome, TransactRequest, TransactStep, TransactWrite,
        TransactionId,
    },
};
use std::sync::Arc;

fn step(number: u64, transaction: u64, step: TransactStep) -> PartitionRequest {
    let request_id = requests::request_id(number);
    let id = requests::request_id(transaction).0;
    PartitionRequest::Transact(TransactRequest { request_id, transaction: TransactionId(id), step })
}

impl World {
    /// Writes that are one transaction: all of it, or its part in this table where another one has a part too.
    fn part(
        &mut self,
        region: usize,
        transaction: u64,
        writes: Vec<PartitionRequest>,
        has_others: bool,
    ) -> TransactWrite {
        let action = |write| match write {
            PartitionRequest::Write(write) => TransactAction::Write(write),
            other => panic!("no write: {other:?}"),
        };
        let of = |table_id| Participant { table_id, key: requests::key("a") };
        let leader = self.leader(region);
        let digest = requests::request_id(transaction).0;
        TransactWrite {
            idempotency: Idempotency { token: digest, parameters: digest },
            actions: writes.into_iter().map(action).collect(),
            participants: if has_others { [TABLE, TableId([9; 16])].map(of).to_vec() } else { Vec::new() },
            begun_ms: self.clusters[region].now(leader).wall_ms,
        }
    }

    fn transact(
        &mut self,
        region: usize,
        transaction: u64,
        writes: Vec<PartitionRequest>,
        has_others: bool,
    ) -> Option<TransactOutcome> {
        let write = self.part(region, transaction, writes, has_others);
        self.take_step(region, step(transaction, transaction, TransactStep::Write(write)))
    }

    /// Writes of one transaction that has no part elsewhere.
    pub fn transact_all(&mut self, region: usize, transaction: u64, writes: Vec<PartitionRequest>) -> bool {
        matches!(self.transact(region, transaction, writes, false), Some(TransactOutcome::Committed(_)))
    }

    pub fn prepare(&mut self, region: usize, transaction: u64, writes: Vec<PartitionRequest>) -> bool {
        matches!(self.transact(region, transaction, writes, true), Some(TransactOutcome::Prepared(_)))
    }

    pub fn commit(&mut self, region: usize, number: u64, transaction: u64) -> bool {
        let outcome = self.take_step(region, step(number, transaction, TransactStep::Commit));
        matches!(outcome, Some(TransactOutcome::Committed(_)))
    }

    pub fn abort(&mut self, region: usize, number: u64, transaction: u64) -> bool {
        let outcome = self.take_step(region, step(number, transaction, TransactStep::Abort { age_ms_min: 0 }));
        matches!(outcome, Some(TransactOutcome::Aborted))
    }

    fn take_step(&mut self, region: usize, step: PartitionRequest) -> Option<TransactOutcome> {
        match self.ask(region, step) {
            Some(Ok(PartitionOutcome::Transact(outcome))) => Some(outcome),
            _ => None,
        }
    }
}

/// With `a` and `b` in both.
fn two_regions() -> World {
    let mut world = World::global(2);
    world.write(0, put(1, "a", 1));
    world.write(0, put(2, "b", 1));
    world.ship_all(3);
    world
}

fn values(world: &mut World, region: usize) -> [Option<i64>; 3] {
    ["a", "b", "c"].map(|id| world.n(region, id))
}

#[test]
fn what_a_transaction_writes_and_deletes_is_so_everywhere() {
    let mut world = two_regions();
    assert!(world.transact_all(0, 10, vec![add(0, "a", 5), delete(0, "b"), put(0, "c", 3)]));
    world.ship_all(2);
    for region in 0..2 {
        assert_eq!(values(&mut world, region), [Some(6), None, Some(3)], "region {region}");
    }
    world.settle();
    world.assert_converged();
}

#[test]
fn what_is_prepared_is_told_to_nobody_and_what_is_aborted_never_is() {
    let mut world = two_regions();
    assert!(world.prepare(0, 10, vec![add(0, "a", 5), put(0, "c", 3)]));
    world.ship_all(2);
    assert_eq!(values(&mut world, 1), [Some(1), Some(1), None]);
    assert!(world.abort(0, 11, 10));
    world.settle();
    assert_eq!(values(&mut world, 1), [Some(1), Some(1), None]);
    world.assert_converged();
}

#[test]
fn what_another_region_writes_while_a_transaction_is_prepared_is_below_what_it_writes() {
    let mut world = two_regions();
    // Its clock is ahead, by less than what would be set aside.
    world.clusters[1].nodes[0].wall_offset_ms = 10_000;
    assert!(world.prepare(0, 10, vec![add(0, "a", 5), delete(0, "b")]));
    world.write(1, put(20, "a", 100));
    world.write(1, add(21, "b", 100));
    world.write(1, put(22, "c", 100));
    world.ship_all(2);
    assert_eq!(values(&mut world, 0), [Some(100), Some(101), Some(100)], "no lock keeps it out");
    let before = world.version(0, "a").unwrap();
    assert!(world.commit(0, 11, 10));
    assert!(world.version(0, "a").unwrap().version_time > before.version_time);
    world.ship_all(2);
    for region in 0..2 {
        assert_eq!(values(&mut world, region), [Some(6), None, Some(100)], "region {region}");
    }
    world.settle();
    world.assert_converged();
}

#[test]
fn a_leader_that_falls_between_both_steps_takes_nothing_from_other_regions() {
    let mut world = World::new(2, 3, |_| {});
    world.join_all(1);
    world.write(0, put(1, "a", 1));
    world.ship_all(3);
    assert!(world.prepare(0, 10, vec![put(0, "a", 5), put(0, "b", 5)]));
    world.fell_leader(0);
    world.write(1, put(20, "c", 7));
    world.ship_all(3);
    assert!(world.commit(0, 11, 10));
    world.ship_all(3);
    for region in 0..2 {
        assert_eq!(values(&mut world, region), [Some(5), Some(5), Some(7)], "region {region}");
    }
    world.settle();
    world.assert_converged();
}

/// No lock keeps out what another region writes, and what it did after the time restored to is not there.
#[test]
fn what_another_region_does_meanwhile_is_nothing_to_a_restore_as_of_when_it_was_decided() {
    let mut world = two_regions();
    let engine = world.engine(0);
    let mut reader = engine.snapshot_of_items(engine.replica(requests::PARTITION).unwrap().storage_id).unwrap();
    let chunks: Vec<_> = std::iter::from_fn(|| reader.next_chunk().unwrap()).collect();
    let write = world.part(0, 10, vec![add(0, "a", 5), delete(0, "b"), put(0, "c", 3)], true);
    let prepared = world.take_step(0, step(10, 10, TransactStep::Prepare(write)));
    let Some(TransactOutcome::PreparedAt { prepared_at, .. }) = prepared else { panic!("{prepared:?}") };
    world.ticks(2);
    world.write(1, put(20, "a", 100));
    world.write(1, delete(21, "b"));
    world.write(1, put(22, "c", 100));
    world.ship_all(2);
    assert_eq!(values(&mut world, 0), [Some(100), None, Some(100)]);
    let decided_at = Timestamp(prepared_at.0 + 1);
    let committed = world.take_step(0, step(11, 10, TransactStep::CommitDecided { decided_at }));
    assert!(matches!(committed, Some(TransactOutcome::CommittedAt { decided_at: at, .. }) if at == decided_at));
    let entries = world.clusters[0].committed(0);
    let restored = |at: Timestamp| {
        let mut restoration = Restoration::begin(Arc::new(Engine::open(MemoryStore::default()).unwrap())).unwrap();
        chunks.iter().for_each(|chunk| restoration.chunk(chunk).unwrap());
        let mut is_behind = false;
        for entry in &entries {
            is_behind |= entry_time(entry).is_some_and(|time| time > at);
            match is_behind {
                true => restoration.entry_behind(entry, at).unwrap(),
                false => restoration.entry(entry).unwrap(),
            }
        }
        let loaded = restoration.read().unwrap();
        ["a", "b", "c"].map(|id| match loaded.get(&requests::key(id)).unwrap() {
            Some(LoadedVersion::Item(version)) => {
                (0..200).find(|n| requests::item(id, *n) == version.item.decode().unwrap())
            }
            _ => None,
        })
    };
    assert_eq!(restored(prepared_at), [Some(1), Some(1), None]);
    assert_eq!(restored(decided_at), [Some(6), None, Some(3)]);
    assert_eq!(restored(Timestamp(u64::MAX)), values(&mut world, 0));
}
