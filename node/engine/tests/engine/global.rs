//! What a global table keeps beside its items.

use crate::support::*;
use bytes::Bytes;
use cairn_engine::{Engine, Kept, KeptWrite, MemoryStore};
use cairn_model::ids::ReplicaId;

fn kept(what: Kept, value: Option<&'static str>) -> KeptWrite {
    KeptWrite { what, value: value.map(|value| Bytes::from_static(value.as_bytes())) }
}

/// Two tombstones, one version set aside, and what regions have.
fn replica() -> (Engine<MemoryStore>, u64) {
    let (_, engine) = memory();
    let storage = create(&engine, 1, 1).storage_id;
    let mut batch = batch(1, vec![put("b", "item")]);
    batch.kept = vec![
        kept(Kept::Tombstone(key("a")), Some("first")),
        kept(Kept::Tombstone(key("a")), Some("second")),
        kept(Kept::Tombstone(key("c")), Some("third")),
        kept(Kept::SetAside(Bytes::from_static(b"\x01later")), Some("aside")),
        kept(Kept::Regions, Some("regions")),
    ];
    engine.apply(storage, batch).unwrap();
    (engine, storage)
}

fn tombstones(engine: &Engine<MemoryStore>, storage: u64) -> Vec<String> {
    engine.tombstones(storage, None).map(|pair| String::from_utf8(pair.unwrap().1.to_vec()).unwrap()).collect()
}

#[test]
fn what_is_kept_beside_the_items_is_no_item() {
    let (engine, storage) = replica();
    assert_eq!(items(&engine, storage), [("b".to_owned(), "item".to_owned())]);
    assert_eq!(get(&engine, storage, "a"), None);
    assert_eq!(tombstones(&engine, storage), ["second", "third"]);
    assert_eq!(engine.tombstones(storage, Some(&key("a"))).count(), 1);
    let (aside, _) = engine.set_aside(storage, None).next().unwrap().unwrap();
    assert_eq!(engine.set_aside(storage, Some(&aside)).count(), 0);
}

#[test]
fn it_goes_with_the_entry_that_says_so() {
    let (engine, storage) = replica();
    let mut next = batch(2, Vec::new());
    next.kept = vec![kept(Kept::Tombstone(key("a")), None), kept(Kept::Regions, None)];
    engine.apply(storage, next).unwrap();
    assert_eq!(tombstones(&engine, storage), ["third"]);
    let point = engine.global_point(storage).unwrap();
    assert_eq!((point.replica.applied, point.regions), (applied(2), None));
    assert_eq!(point.first_set_aside.unwrap(), "\x01later");
}

#[test]
fn a_snapshot_carries_it_to_another_replica_but_not_to_another_table() {
    let (source, from) = replica();
    let (_, target) = memory();
    let load = |items_only: bool| {
        let mut reader = source.snapshot(from).unwrap();
        let mut writer = target.begin_load().unwrap();
        while let Some(chunk) = reader.next_chunk().unwrap() {
            if items_only {
                target.load_items(&mut writer, &chunk).unwrap();
            } else {
                target.load(&mut writer, &chunk).unwrap();
            }
        }
        writer
    };
    let log_id = target.allocate_ids().unwrap().log_id;
    let installed = target.install(load(false), PARTITION, ReplicaId(2), log_id).unwrap();
    assert_eq!(tombstones(&target, installed.storage_id), ["second", "third"]);
    assert_eq!(target.global_point(installed.storage_id).unwrap().regions.unwrap(), "regions");
    let ids = target.allocate_ids().unwrap();
    let record = cairn_engine::ReplicaRecord {
        partition_id: partition(2),
        descriptor: descriptor(2),
        definition: definition(2),
        log_id: ids.log_id,
        ..installed
    };
    let adopted = target.adopt(load(true), record).unwrap();
    assert_eq!(items(&target, adopted.storage_id).len(), 1);
    assert!(tombstones(&target, adopted.storage_id).is_empty());
    let point = target.global_point(adopted.storage_id).unwrap();
    assert!(point.regions.is_none() && point.first_set_aside.is_none());
}
