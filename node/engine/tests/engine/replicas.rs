//! Replicas come, are damaged and go; their ids never come back.

use crate::support::*;
use cairn_engine::{Engine, EngineError};
use cairn_model::ids::ReplicaId;
use std::collections::{BTreeMap, BTreeSet};

#[test]
fn storage_ids_and_log_ids_are_never_used_twice_whatever_is_lost() {
    let (store, _) = memory();
    let (mut storage_ids, mut log_ids) = (BTreeSet::new(), BTreeSet::new());
    for round in 0..20 {
        let engine = Engine::open(store.clone()).unwrap();
        for n in 0..3 {
            let ids = engine.allocate_ids().unwrap();
            assert!(storage_ids.insert(ids.storage_id) && log_ids.insert(ids.log_id));
            if n == round % 3 {
                let writer = engine.begin_load().unwrap();
                let _ = engine.abandon(writer);
            }
        }
        drop(engine);
        store.crash_keeping(round % 2);
    }
}

#[test]
fn a_replica_id_that_was_dropped_never_comes_back() {
    let (store, engine) = memory();
    let replica = create(&engine, 1, 3);
    assert_eq!(engine.drop_replica(PARTITION).unwrap().unwrap().storage_id, replica.storage_id);
    assert_eq!(engine.drop_replica(PARTITION).unwrap(), None);
    drop(engine);
    store.crash();
    let engine = Engine::open(store).unwrap();
    assert!(engine.replicas().is_empty());
    assert_eq!(engine.tombstone(PARTITION).unwrap(), Some(ReplicaId(3)));
    let ids = engine.allocate_ids().unwrap();
    for replica_id in [1, 3] {
        let again = cairn_engine::ReplicaRecord {
            replica_id: ReplicaId(replica_id),
            storage_id: ids.storage_id,
            log_id: ids.log_id,
            ..replica.clone()
        };
        let refused = engine.create_replica(again).unwrap_err();
        assert!(matches!(refused, EngineError::ReplicaIdUsed { .. }), "{refused}");
    }
    create(&engine, 1, 4);
    engine.drop_replica(PARTITION).unwrap();
    assert_eq!(engine.tombstone(PARTITION).unwrap(), Some(ReplicaId(4)));
}

#[test]
fn a_partition_that_was_not_here_is_buried_for_good_and_its_ids_stay_free() {
    let (store, engine) = memory();
    engine.bury_absent(PARTITION).unwrap();
    drop(engine);
    store.crash();
    let engine = Engine::open(store).unwrap();
    assert_eq!(engine.tombstone(PARTITION).unwrap(), Some(ReplicaId(0)));
    create(&engine, 1, 4);
    engine.drop_replica(PARTITION).unwrap();
    engine.bury_absent(PARTITION).unwrap();
    assert_eq!(engine.tombstone(PARTITION).unwrap(), Some(ReplicaId(4)));
}

#[test]
fn a_partition_has_one_replica_here() {
    let (_, engine) = memory();
    let replica = create(&engine, 1, 1);
    let second = cairn_engine::ReplicaRecord { replica_id: ReplicaId(2), ..replica };
    assert!(matches!(engine.create_replica(second), Err(EngineError::ReplicaExists { .. })));
}

#[test]
fn data_of_a_dropped_replica_is_reclaimed_in_bounded_steps_and_that_of_others_stays() {
    let (store, engine) = memory();
    let dropped = create(&engine, 1, 1).storage_id;
    let stays = create(&engine, 2, 1).storage_id;
    for storage_id in [dropped, stays] {
        engine.apply(storage_id, batch(1, (0..100).map(|n| put(&format!("{n:03}"), "x")).collect())).unwrap();
    }
    engine.drop_replica(PARTITION).unwrap();
    assert!(matches!(engine.apply(dropped, batch(2, Vec::new())), Err(EngineError::UnknownStorage { .. })));
    assert!(matches!(engine.snapshot(dropped), Err(EngineError::UnknownStorage { .. })));
    assert!(engine.reclaim(30).unwrap());
    assert_eq!(items(&engine, dropped).len(), 70);
    drop(engine);
    // The rest is reclaimed after a restart.
    let engine = Engine::open(store).unwrap();
    let mut steps = 0;
    while engine.reclaim(30).unwrap() {
        steps += 1;
    }
    assert_eq!((items(&engine, dropped).len(), engine.outcome(dropped, &request(1)).unwrap()), (0, None));
    assert!(steps >= 2);
    assert_eq!(items(&engine, stays).len(), 100);
    assert!(!engine.reclaim(30).unwrap());
}

#[test]
fn damage_is_remembered_with_its_first_reason() {
    let (store, engine) = memory();
    create(&engine, 1, 1);
    engine.mark_damaged(PARTITION, "log: a flipped bit").unwrap();
    engine.mark_damaged(PARTITION, "another").unwrap();
    drop(engine);
    store.crash();
    let engine = Engine::open(store).unwrap();
    assert_eq!(engine.replica(PARTITION).unwrap().damaged.as_deref(), Some("log: a flipped bit"));
    assert!(matches!(engine.mark_damaged(partition(9), "x"), Err(EngineError::UnknownPartition { .. })));
}

#[test]
fn a_replica_that_went_back_behind_the_marker_is_damaged() {
    let (store, engine) = memory();
    let went_back = create(&engine, 1, 1).storage_id;
    let stayed = create(&engine, 2, 1).storage_id;
    engine.apply(stayed, batch(3, Vec::new())).unwrap();
    engine.persist(&BTreeMap::new()).unwrap();
    engine.apply(went_back, batch(7, Vec::new())).unwrap();
    // The disk says that it is durable, and it is not.
    let before = store.clone();
    let marker = {
        let durable = cairn_engine::MemoryStore::default();
        let engine = Engine::open(durable.clone()).unwrap();
        let (storage, _) = (create(&engine, 1, 1).storage_id, create(&engine, 2, 1));
        engine.apply(storage, batch(7, Vec::new())).unwrap();
        engine.persist(&BTreeMap::new()).unwrap();
        cairn_engine::Store::read_marker(&durable).unwrap().unwrap()
    };
    drop(engine);
    before.crash();
    cairn_engine::Store::write_marker(&before, &marker).unwrap();
    let engine = Engine::open(before.clone()).unwrap();
    let damaged = engine.replica(PARTITION).unwrap().damaged.unwrap();
    assert!(damaged.contains("entry 7"), "{damaged}");
    assert_eq!(engine.replica(partition(2)).unwrap().damaged, None);
    engine.persist(&BTreeMap::new()).unwrap();
    drop(engine);
    assert!(Engine::open(before).unwrap().replica(PARTITION).unwrap().damaged.is_some(), "and stays so");
}

#[test]
fn a_replica_whose_record_is_lost_never_votes_again_under_its_id() {
    let (store, engine) = memory();
    create(&engine, 1, 5);
    engine.persist(&BTreeMap::new()).unwrap();
    let marker = cairn_engine::Store::read_marker(&store).unwrap().unwrap();
    let emptied = cairn_engine::MemoryStore::default();
    cairn_engine::Store::write_marker(&emptied, &marker).unwrap();
    let engine = Engine::open(emptied).unwrap();
    assert_eq!(engine.tombstone(PARTITION).unwrap(), Some(ReplicaId(5)));
}
