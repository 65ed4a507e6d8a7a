//! Items that expire.

use super::*;
use crate::expirations::{self, Making};
use cairn_engine::{EXPIRATIONS, IndexEffect, ItemWrite};
use cairn_model::{codec::EncodedItem, table::TimeToLive, ttl};
use std::ops::Bound;

const NOW_S: u64 = 1_700_000_000;

fn by(attribute_name: &str) -> Option<TimeToLive> {
    Some(TimeToLive { attribute_name: attribute_name.into(), enabled_at_ms: 1 })
}

impl Leader {
    /// A leader whose items expire by `n`.
    pub(super) fn expiring() -> Self {
        let mut leader = Self { wall_ms: NOW_S * 1_000, ..Self::new() };
        leader.define(by("n"));
        leader.run();
        leader
    }

    fn define(&mut self, time_to_live: Option<TimeToLive>) {
        let definition = TableDefinition {
            schema_version: self.state.definition.schema_version + 1,
            time_to_live,
            ..TableDefinition::clone(&self.state.definition)
        };
        let header = EntryHeader {
            term: self.term,
            epoch: self.state.descriptor.epoch,
            schema_version: self.state.definition.schema_version,
            sequence: self.proposer.sequence + 1,
            entry_time: self.proposer.last_time.next(self.wall_ms),
        };
        let body = EntryBody::Definition(Box::new(definition));
        let index = self.next_index();
        self.log.push(Entry { header, body, index_changes: Vec::new(), stream_changes: Vec::new() }.encode().unwrap());
        self.proposer.change_proposed(Some(index));
        self.apply();
    }

    /// A second goes by, and everything that is due then is done.
    pub(super) fn run(&mut self) {
        self.wall_ms += LIMITS.expiry_interval_ms;
        self.look();
        loop {
            self.round();
            if self.next_index() == self.state.applied.index + 1 {
                return;
            }
            self.apply_all();
            if self.proposer.take_going_on() {
                self.proposer.go_on();
            }
        }
    }

    fn look(&mut self) {
        let has_time_to_live = self.state.definition.time_to_live.is_some();
        self.proposer.look_for_expired(has_time_to_live, self.wall_ms);
    }

    fn apply_all(&mut self) {
        while self.state.applied.index + 1 < self.next_index() {
            self.apply();
        }
    }

    fn write(&mut self, request: WriteRequest) {
        self.ask(1, request);
        self.round();
        self.apply_all();
    }

    pub(super) fn has(&self, id: &str) -> bool {
        self.engine.get(1, &testing::key(id)).unwrap().is_some()
    }

    /// The expiries in the index.
    fn indexed(&self) -> Vec<u64> {
        let places = self.engine.expirations(1, Bound::Unbounded, Bound::Unbounded);
        places.map(|place| expirations::parse_index_key(&place.unwrap()).unwrap().0).collect()
    }

    /// Puts items with this number into the engine, past the log.
    fn fill(&mut self, count: u64, n: i64) {
        let version = |id: &str| {
            let item = EncodedItem::encode(&testing::item(id, n));
            StoredVersion { version_time: Timestamp(1), origin: Bytes::new(), item }.encode()
        };
        let ids: Vec<String> = (0..count).map(|number| format!("{n}-{number}")).collect();
        let items = ids.iter().map(|id| ItemWrite { key: testing::key(id), value: Some(version(id)) }).collect();
        self.log.push(Vec::new());
        self.state.applied.index += 1;
        self.state.applied.item_count += count;
        self.engine.apply(1, ApplyBatch { items, applied: self.state.applied, ..ApplyBatch::default() }).unwrap();
    }
}

pub(super) fn seconds(from_now: i64) -> i64 {
    i64::try_from(NOW_S).unwrap() + from_now
}

#[test]
fn what_has_expired_is_deleted_and_nothing_is_kept_of_who_asked() {
    let mut leader = Leader::expiring();
    leader.write(testing::put(1, "late", seconds(-5)));
    leader.write(testing::put(2, "early", seconds(5_000)));
    assert!(leader.has("late"), "it is readable until it is deleted");
    leader.run();
    assert!(!leader.has("late") && leader.has("early"));
    assert_eq!(leader.indexed(), [NOW_S + 5_000]);
    assert_eq!(leader.state.applied.item_count, 1);
    assert_eq!(
        leader.state.applied.size_bytes,
        u64::from(EncodedItem::encode(&testing::item("early", seconds(5_000))).size().unwrap())
    );
    assert_eq!(leader.engine.outcome(1, &RequestId([0; 16])).unwrap(), None);
    assert_eq!(leader.proposer.take_expired_count(), 1);
    let EntryBody::Writes(writes) = leader.entry(leader.state.applied.index).body else { panic!("no writes") };
    assert_eq!((writes.len(), &writes[0].effect), (1, &Effect::Expire));
}

#[test]
fn an_item_that_was_given_more_time_stays() {
    let mut leader = Leader::expiring();
    leader.write(testing::put(1, "a", seconds(-5)));
    leader.write(testing::add(2, "a", 10_000));
    leader.write(testing::put(3, "b", seconds(-5)));
    leader.write(testing::delete(4, "b"));
    assert_eq!(leader.indexed(), [NOW_S + 9_995]);
    leader.run();
    assert!(leader.has("a"));
}

#[test]
fn a_write_under_way_keeps_its_item() {
    let mut leader = Leader::expiring();
    leader.write(testing::put(1, "a", seconds(-5)));
    leader.ask(2, testing::add(2, "a", 10_000));
    leader.wall_ms += 2_000;
    leader.look();
    leader.round();
    assert_eq!(leader.log.len() as u64 + 1, leader.state.applied.index + 1, "only the write was proposed");
    leader.apply_all();
    leader.run();
    assert!(leader.has("a"));
    assert_eq!(leader.indexed(), [NOW_S + 9_995]);
}

#[test]
fn what_is_written_behind_a_deletion_finds_no_item() {
    let mut leader = Leader::expiring();
    leader.write(testing::put(1, "a", seconds(-5)));
    leader.wall_ms += 2_000;
    leader.look();
    leader.round();
    leader.ask(2, testing::put_new(2, "a", seconds(5_000)));
    leader.round();
    leader.apply_all();
    assert!(leader.has("a"), "the condition that there is none held");
    assert_eq!(leader.indexed(), [NOW_S + 5_000]);
    assert_eq!(leader.state.applied.item_count, 1);
}

#[test]
fn what_expires_earlier_than_what_was_deleted_last_is_deleted_too() {
    let mut leader = Leader::expiring();
    leader.write(testing::put(1, "a", seconds(-5)));
    leader.run();
    leader.write(testing::put(2, "b", seconds(-500)));
    leader.run();
    assert!(!leader.has("a") && !leader.has("b"));
    leader.ask(3, testing::put(3, "c", seconds(-600)));
    leader.wall_ms += 2_000;
    leader.look();
    // Looked for while it is under way, and found when it is there.
    leader.round();
    leader.apply_all();
    leader.run();
    assert!(!leader.has("c"));
}

#[test]
fn what_a_write_under_way_leaves_as_it_was_expires_later() {
    let mut leader = Leader::expiring();
    leader.write(testing::put(1, "a", seconds(-500)));
    leader.write(testing::put(2, "b", seconds(-5)));
    leader.ask(3, testing::put(3, "a", seconds(-500)));
    leader.wall_ms += 2_000;
    leader.look();
    leader.round();
    leader.apply_all();
    assert!(leader.has("a") && !leader.has("b"));
    leader.run();
    assert!(!leader.has("a"));
}

#[test]
fn what_expired_more_than_five_years_ago_stays() {
    let mut leader = Leader::expiring();
    let past = i64::try_from(ttl::PAST_SECONDS_MAX).unwrap();
    leader.write(testing::put(1, "ancient", seconds(-past - 10)));
    leader.write(testing::put(2, "old", seconds(-past + 10)));
    leader.run();
    assert!(leader.has("ancient") && !leader.has("old"));
}

#[test]
fn items_that_were_there_before_are_found_step_by_step_by_whoever_leads() {
    let mut leader = Leader { wall_ms: NOW_S * 1_000, ..Leader::new() };
    leader.fill(600, seconds(-5));
    leader.fill(600, seconds(5_000));
    leader.define(by("n"));
    // Of the old index nothing is to be removed, and some items are entered.
    for _ in 0..2 {
        leader.look();
        leader.round();
        leader.apply_all();
    }
    let kept = leader.engine.kept(1, &Kept::Expirations).unwrap().unwrap();
    assert!(matches!(Making::decode(&kept).unwrap(), Making::Filling { behind } if !behind.is_empty()));
    assert_eq!(leader.indexed().len(), 512);
    leader.proposer = Proposer::new(LIMITS);
    leader.proposer.lead(&leader.state.applied);
    leader.run();
    assert_eq!(leader.engine.kept(1, &Kept::Expirations).unwrap(), None);
    assert_eq!(leader.indexed(), [NOW_S + 5_000; 600]);
    assert_eq!(leader.state.applied.item_count, 600);
}

#[test]
fn nothing_expires_before_the_index_is_made() {
    let mut leader = Leader { wall_ms: NOW_S * 1_000, ..Leader::new() };
    leader.fill(2, seconds(-5));
    leader.define(by("n"));
    leader.look();
    leader.round();
    leader.apply_all();
    assert_eq!(leader.state.applied.item_count, 2);
    leader.run();
    assert_eq!(leader.state.applied.item_count, 0);
}

#[test]
fn another_attribute_has_an_index_of_its_own_and_none_has_none() {
    let mut leader = Leader::expiring();
    leader.write(testing::put(1, "a", seconds(5_000)));
    leader.define(by("m"));
    leader.run();
    assert_eq!(leader.indexed(), [0; 0]);
    leader.define(by("n"));
    leader.run();
    assert_eq!(leader.indexed(), [NOW_S + 5_000]);
    leader.define(None);
    leader.write(testing::put(2, "b", seconds(-5)));
    leader.run();
    assert_eq!(leader.indexed(), [0; 0]);
    assert_eq!(leader.engine.kept(1, &Kept::Expirations).unwrap(), None);
    leader.run();
    assert!(leader.has("a") && leader.has("b"));
}

#[test]
fn a_change_that_is_no_change_of_it_leaves_the_index() {
    let mut leader = Leader::expiring();
    leader.write(testing::put(1, "a", seconds(5_000)));
    leader.define(by("n"));
    assert_eq!(leader.engine.kept(1, &Kept::Expirations).unwrap(), None);
    assert_eq!(leader.indexed(), [NOW_S + 5_000]);
}

#[test]
fn one_step_is_under_way_at_a_time_and_it_is_small_beside_writes() {
    let mut leader = Leader::expiring();
    leader.define(None);
    leader.run();
    leader.fill(600, seconds(-5));
    leader.define(by("n"));
    leader.run_until_made();
    leader.ask(9, testing::put(9, "x", seconds(5_000)));
    leader.wall_ms += 2_000;
    leader.look();
    leader.round();
    let first = leader.entry(leader.next_index() - 1);
    let EntryBody::Writes(writes) = first.body else { panic!("no writes") };
    assert_eq!(writes.len(), 32);
    let before = leader.next_index();
    leader.proposer.go_on();
    leader.round();
    assert_eq!(leader.next_index(), before);
    leader.apply_all();
    leader.proposer.go_on();
    leader.round();
    let EntryBody::Writes(writes) = leader.entry(leader.next_index() - 1).body else { panic!("no writes") };
    assert_eq!(writes.len(), 512, "no write is under way");
}

impl Leader {
    fn run_until_made(&mut self) {
        while self.engine.kept(1, &Kept::Expirations).unwrap().is_some() {
            self.look();
            self.round();
            self.apply_all();
        }
    }
}

#[test]
fn an_entry_that_is_void_deletes_nothing_and_is_made_anew() {
    let mut leader = Leader::expiring();
    leader.write(testing::put(1, "a", seconds(-5)));
    leader.wall_ms += 2_000;
    leader.look();
    leader.refuses = true;
    leader.round();
    leader.refuses = false;
    assert!(leader.has("a"));
    leader.proposer.settle(&leader.state.applied, &mut leader.answers);
    leader.run();
    assert!(!leader.has("a"));
}

#[test]
fn a_place_without_its_item_is_removed() {
    let mut leader = Leader::expiring();
    let place = expirations::index_key(NOW_S - 5, &testing::key("gone"));
    let change = IndexChange { index: EXPIRATIONS, effect: IndexEffect::Put, key: place, size_change: 0 };
    leader.log.push(Vec::new());
    leader.state.applied.index += 1;
    let mut batch = ApplyBatch { applied: leader.state.applied, ..ApplyBatch::default() };
    batch.indexes.changes.push(change);
    leader.engine.apply(1, batch).unwrap();
    assert_eq!(leader.indexed(), [NOW_S - 5]);
    leader.proposer.lead(&leader.state.applied);
    leader.run();
    assert_eq!(leader.indexed(), [0; 0]);
    assert_eq!(leader.proposer.take_expired_count(), 0);
}

#[test]
fn in_a_global_table_a_deletion_leaves_its_tombstone() {
    let mut leader = Leader::expiring();
    let mut definition = TableDefinition::clone(&leader.state.definition);
    definition.replicas = Some(GlobalReplicas::in_region("east"));
    leader.state.definition = Arc::new(definition);
    leader.proposer.change_proposed(None);
    leader.proposer.settle(&leader.state.applied, &mut leader.answers);
    leader.write(testing::put(1, "a", seconds(-5)));
    leader.run();
    assert!(!leader.has("a"));
    assert!(leader.engine.kept(1, &Kept::Tombstone(testing::key("a"))).unwrap().is_some());
}
