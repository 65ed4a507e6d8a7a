//! Snapshots carry all of a replica, and are installed whole or not at all.

use crate::support::*;
use bytes::Bytes;
use cairn_engine::{Engine, EngineError, MemoryStore, SNAPSHOT_CHUNK_BYTES_MAX};
use cairn_model::ids::ReplicaId;

/// A replica with items of up to 400 KB.
fn source() -> (Engine<MemoryStore>, u64) {
    let (_, engine) = memory();
    let storage = create(&engine, 1, 1).storage_id;
    for index in 1..=40_u64 {
        let value = vec![b'a' + (index % 26) as u8; (index * index * 257) as usize % 400_000];
        engine.apply(storage, batch(index, vec![put(&format!("{index:02}"), value)])).unwrap();
    }
    (engine, storage)
}

fn chunks(engine: &Engine<MemoryStore>, storage_id: u64) -> Vec<Bytes> {
    let mut reader = engine.snapshot(storage_id).unwrap();
    std::iter::from_fn(|| reader.next_chunk().unwrap()).collect()
}

#[test]
fn a_snapshot_carries_items_outcomes_and_record_in_bounded_chunks() {
    let (source, from) = source();
    let mut reader = source.snapshot(from).unwrap();
    source.apply(from, batch(41, vec![put("after", "the snapshot")])).unwrap();
    let (store, target) = memory();
    let mut writer = target.begin_load().unwrap();
    while let Some(chunk) = reader.next_chunk().unwrap() {
        assert!(chunk.len() <= SNAPSHOT_CHUNK_BYTES_MAX && !writer.is_complete());
        target.load(&mut writer, &chunk).unwrap();
    }
    assert!(writer.is_complete());
    assert_eq!(writer.record().unwrap().applied, applied(40));
    let log_id = target.allocate_ids().unwrap().log_id;
    let installed = target.install(writer, PARTITION, ReplicaId(2), log_id).unwrap();
    drop(target);
    store.crash();
    let target = Engine::open(store).unwrap();
    assert_eq!(target.replicas(), std::slice::from_ref(&installed));
    assert_eq!((installed.replica_id, installed.log_id, installed.applied), (ReplicaId(2), log_id, applied(40)));
    assert_eq!(installed.definition, definition(1));
    let mut expected = items(&source, from);
    expected.retain(|(name, _)| name != "after");
    assert_eq!(items(&target, installed.storage_id), expected);
    for n in 1..=40 {
        assert_eq!(
            target.outcome(installed.storage_id, &request(n)).unwrap(),
            source.outcome(from, &request(n)).unwrap()
        );
    }
    // What comes next is applied to it as to the source.
    target.apply(installed.storage_id, batch(41, vec![put("after", "the snapshot")])).unwrap();
    assert_eq!(items(&target, installed.storage_id), items(&source, from));
}

#[test]
fn an_unfinished_load_changes_nothing_and_is_cleaned_up_at_the_start() {
    let (source, from) = source();
    let (store, target) = memory();
    let present = create(&target, 1, 2);
    target.apply(present.storage_id, batch(1, vec![put("old", "x")])).unwrap();
    let all = chunks(&source, from);
    let mut writer = target.begin_load().unwrap();
    for chunk in &all[..all.len() - 1] {
        target.load(&mut writer, chunk).unwrap();
    }
    let log_id = target.allocate_ids().unwrap().log_id;
    let refused = target.install(writer, PARTITION, ReplicaId(2), log_id).unwrap_err();
    assert!(matches!(refused, EngineError::Snapshot { .. }), "{refused}");
    assert_eq!(items(&target, present.storage_id).len(), 1);
    let loading = present.storage_id + 1;
    drop(target);
    let target = Engine::open(store).unwrap();
    assert_eq!(target.replica(PARTITION).unwrap().storage_id, present.storage_id);
    assert!(!items(&target, loading).is_empty());
    while target.reclaim(10).unwrap() {}
    assert!(items(&target, loading).is_empty());
}

#[test]
fn an_install_replaces_what_was_there_in_one_step() {
    let (source, from) = source();
    let (store, target) = memory();
    let present = create(&target, 1, 2);
    target.apply(present.storage_id, batch(1, vec![put("old", "x")])).unwrap();
    let mut writer = target.begin_load().unwrap();
    for chunk in chunks(&source, from) {
        target.load(&mut writer, &chunk).unwrap();
    }
    let log_id = target.allocate_ids().unwrap().log_id;
    let installed = target.install(writer, PARTITION, ReplicaId(2), log_id).unwrap();
    assert!(matches!(target.apply(present.storage_id, batch(9, Vec::new())), Err(EngineError::UnknownStorage { .. })));
    while target.reclaim(1000).unwrap() {}
    assert!(items(&target, present.storage_id).is_empty());
    drop(target);
    store.crash();
    let target = Engine::open(store).unwrap();
    assert_eq!(target.replica(PARTITION).unwrap(), installed);
    assert_eq!(items(&target, installed.storage_id).len(), 40);
    // An older one is not put in its place.
    let mut writer = target.begin_load().unwrap();
    for chunk in chunks(&source, from) {
        target.load(&mut writer, &chunk).unwrap();
    }
    assert!(matches!(target.install(writer, PARTITION, ReplicaId(2), log_id + 1), Err(EngineError::Snapshot { .. })));
}

#[test]
fn a_damaged_replica_is_sound_again_only_under_another_id() {
    let (source, from) = source();
    let (_, target) = memory();
    create(&target, 1, 2);
    target.mark_damaged(PARTITION, "log: gone").unwrap();
    for (replica_id, damaged) in [(2, true), (3, false)] {
        let mut writer = target.begin_load().unwrap();
        for chunk in chunks(&source, from) {
            target.load(&mut writer, &chunk).unwrap();
        }
        let log_id = target.allocate_ids().unwrap().log_id;
        let installed = target.install(writer, PARTITION, ReplicaId(replica_id), log_id).unwrap();
        assert_eq!(installed.damaged.is_some(), damaged);
    }
    assert_eq!(target.tombstone(PARTITION).unwrap(), Some(ReplicaId(2)));
}

#[test]
fn chunks_that_are_damaged_out_of_turn_or_of_a_newer_format_are_refused() {
    let (source, from) = source();
    let all = chunks(&source, from);
    let (_, target) = memory();
    let refuses = |chunk: &[u8], after: usize| {
        let mut writer = target.begin_load().unwrap();
        for chunk in &all[..after] {
            target.load(&mut writer, chunk).unwrap();
        }
        let refused = target.load(&mut writer, &Bytes::copy_from_slice(chunk)).unwrap_err();
        assert!(matches!(refused, EngineError::Snapshot { .. } | EngineError::NewerFormat { .. }), "{refused}");
        assert!(!refused.is_fatal());
    };
    for at in [0, 1, 4, 5, 6, 9, 10, 11, 500, all[0].len() - 1] {
        let mut spoilt = all[0].to_vec();
        spoilt[at] ^= 0x40;
        refuses(&spoilt, 0);
    }
    refuses(&all[1], 0);
    refuses(&all[0], 1);
    refuses(&all[all.len() - 1], all.len());
    refuses(&all[0][..9], 0);
    refuses(&[], 0);
    refuses(&vec![1; SNAPSHOT_CHUNK_BYTES_MAX + 1], 0);
}
