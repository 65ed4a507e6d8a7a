//! The index of expirations: keys that come and go with entries, in the order of time.

use crate::support::*;
use bytes::Bytes;
use cairn_engine::{EXPIRATIONS, Engine, IndexChange, IndexEffect, Kept, KeptWrite, MemoryStore};
use cairn_model::ids::ReplicaId;
use std::ops::Bound;

fn place(expiry: u64, key: &str) -> Bytes {
    [&expiry.to_be_bytes()[..], key.as_bytes()].concat().into()
}

fn change(effect: IndexEffect, key: Bytes) -> IndexChange {
    IndexChange { index: EXPIRATIONS, effect, key, size_change: 0 }
}

/// Three places, and a note of how far the index is made.
fn replica() -> (Engine<MemoryStore>, u64) {
    let (_, engine) = memory();
    let storage = create(&engine, 1, 1).storage_id;
    let mut batch = batch(1, vec![put("a", "item")]);
    let places = [place(300, "a"), place(2, "z"), place(255, "b")];
    batch.indexes.changes = places.into_iter().map(|place| change(IndexEffect::Put, place)).collect();
    batch.kept = vec![KeptWrite { what: Kept::Expirations, value: Some(Bytes::from_static(b"half")) }];
    engine.apply(storage, batch).unwrap();
    (engine, storage)
}

fn places(engine: &Engine<MemoryStore>, storage: u64) -> Vec<Bytes> {
    engine.expirations(storage, Bound::Unbounded, Bound::Unbounded).map(Result::unwrap).collect()
}

#[test]
fn places_are_in_the_order_of_time_and_are_no_items() {
    let (engine, storage) = replica();
    assert_eq!(places(&engine, storage), [place(2, "z"), place(255, "b"), place(300, "a")]);
    let (lower, upper) = (3_u64.to_be_bytes(), 300_u64.to_be_bytes());
    let between = engine.expirations(storage, Bound::Included(&lower), Bound::Excluded(&upper));
    assert_eq!(between.map(Result::unwrap).collect::<Vec<_>>(), [place(255, "b")]);
    assert_eq!(items(&engine, storage).len(), 1);
}

#[test]
fn a_place_goes_with_the_entry_that_says_so() {
    let (engine, storage) = replica();
    let mut next = batch(2, Vec::new());
    next.indexes.changes = vec![change(IndexEffect::Remove, place(2, "z")), change(IndexEffect::Put, place(4, "z"))];
    next.kept = vec![KeptWrite { what: Kept::Expirations, value: None }];
    engine.apply(storage, next).unwrap();
    assert_eq!(places(&engine, storage), [place(4, "z"), place(255, "b"), place(300, "a")]);
    assert_eq!(engine.kept(storage, &Kept::Expirations).unwrap(), None);
}

#[test]
fn a_snapshot_carries_them_and_how_far_they_are_made() {
    let (source, from) = replica();
    let (_, target) = memory();
    let mut reader = source.snapshot(from).unwrap();
    let mut writer = target.begin_load().unwrap();
    while let Some(chunk) = reader.next_chunk().unwrap() {
        target.load(&mut writer, &chunk).unwrap();
    }
    let log_id = target.allocate_ids().unwrap().log_id;
    let installed = target.install(writer, PARTITION, ReplicaId(2), log_id).unwrap();
    assert_eq!(places(&target, installed.storage_id), places(&source, from));
    assert_eq!(target.kept(installed.storage_id, &Kept::Expirations).unwrap().unwrap(), "half");
}
