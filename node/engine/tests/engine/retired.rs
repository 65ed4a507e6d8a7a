//! What stays of a replica whose table was deleted, and for how long.

use crate::support::*;
use bytes::Bytes;
use cairn_engine::{ApplyBatch, Engine, ReplicaRecord, Store, StreamWrite};
use cairn_model::{
    TableDefinition,
    descriptor::PartitionDescriptor,
    ids::{PartitionId, ReplicaId},
    stream::{RETENTION_MS, SequenceNumber},
    table::StreamViewType,
    time::Timestamp,
};

const STREAM: u64 = 1_000;
const DELETED_AT_MS: u64 = 9_000;

fn table() -> TableDefinition {
    let mut table = definition(1);
    table.set_stream(Some(StreamViewType::KeysOnly), STREAM);
    table
}

/// A replica with a hundred items and five records of its stream.
fn fill<S: Store>(engine: &Engine<S>) -> u64 {
    let storage_id = create(engine, 1, 3).storage_id;
    let record = |ordinal| StreamWrite {
        stream: STREAM,
        number: SequenceNumber { time: Timestamp::from_millis(1_000), ordinal },
        record: Bytes::from_static(b"record"),
    };
    let items = (0..100).map(|n| put(&format!("{n:03}"), "x")).collect();
    let stream = (0..5).map(record).collect();
    engine.apply(storage_id, ApplyBatch { stream, ..batch(1, items) }).unwrap();
    storage_id
}

fn record_count<S: Store>(engine: &Engine<S>, storage_id: u64) -> usize {
    engine.stream_records(storage_id, STREAM, None).count()
}

fn reclaim<S: Store>(engine: &Engine<S>) {
    while engine.reclaim(30).unwrap() {}
}

#[test]
fn a_retired_replica_keeps_the_records_of_its_streams_and_nothing_else() {
    let (store, engine) = memory();
    let storage_id = fill(&engine);
    let retired = table().retired(DELETED_AT_MS);
    assert_eq!(engine.retire_replica(PARTITION, retired.clone()).unwrap().unwrap().storage_id, storage_id);
    assert!(engine.replicas().is_empty() && !engine.is_live(storage_id));
    assert_eq!(engine.tombstone(PARTITION).unwrap(), Some(ReplicaId(3)), "it is dropped in all else");
    assert!(engine.reclaim(30).unwrap());
    drop(engine);
    store.crash();
    let engine = Engine::open(store).unwrap();
    reclaim(&engine);
    assert_eq!((items(&engine, storage_id).len(), engine.applied(storage_id)), (0, None));
    assert_eq!(record_count(&engine, storage_id), 5);
    assert!(engine.has_streams(storage_id));
    assert_eq!(engine.entry_time(storage_id), Some(applied(1).entry_time));
    let left = engine.retired(PARTITION).unwrap();
    assert_eq!((left.storage_id, left.descriptor, left.definition), (storage_id, descriptor(1), retired));
}

#[test]
fn what_is_retired_goes_when_nobody_can_read_it_any_more_and_not_before() {
    let folder = tempfile::tempdir().unwrap();
    let engine = fjall(folder.path());
    let storage_id = fill(&engine);
    engine.retire_replica(PARTITION, table().retired(DELETED_AT_MS)).unwrap();
    engine.drop_retired(DELETED_AT_MS + RETENTION_MS - 1).unwrap();
    reclaim(&engine);
    assert_eq!(record_count(&engine, storage_id), 5);
    drop(engine);
    let engine = fjall(folder.path());
    engine.drop_retired(DELETED_AT_MS + RETENTION_MS).unwrap();
    assert_eq!(engine.retired(PARTITION), None);
    assert!(!engine.has_streams(storage_id));
    drop(engine);
    let engine = fjall(folder.path());
    assert_eq!(engine.all_retired(), []);
    reclaim(&engine);
    assert_eq!(record_count(&engine, storage_id), 0);
}

#[test]
fn what_is_retired_goes_though_its_items_were_not_all_reclaimed_yet() {
    let (_, engine) = memory();
    let storage_id = fill(&engine);
    engine.retire_replica(PARTITION, table().retired(DELETED_AT_MS)).unwrap();
    assert!(engine.reclaim(30).unwrap());
    engine.drop_retired(DELETED_AT_MS + RETENTION_MS).unwrap();
    reclaim(&engine);
    assert_eq!((items(&engine, storage_id).len(), record_count(&engine, storage_id)), (0, 0));
}

#[test]
fn of_too_many_the_oldest_go_first() {
    let (_, engine) = memory();
    let partition = |n: u64| PartitionId(u128::from(n).to_be_bytes());
    for n in 0..510 {
        let ids = engine.allocate_ids().unwrap();
        let descriptor = PartitionDescriptor { partition_id: partition(n), ..descriptor(1) };
        let record = ReplicaRecord {
            partition_id: partition(n),
            replica_id: ReplicaId(1),
            storage_id: ids.storage_id,
            log_id: ids.log_id,
            descriptor,
            definition: table(),
            applied: applied(1),
            damaged: None,
        };
        engine.create_replica(record).unwrap();
        // The last are the oldest.
        engine.retire_replica(partition(n), table().retired(DELETED_AT_MS + 1_000 - n)).unwrap();
    }
    engine.drop_retired(DELETED_AT_MS).unwrap();
    let left: Vec<PartitionId> = engine.all_retired().into_iter().map(|left| left.descriptor.partition_id).collect();
    assert!(left.into_iter().eq((0..500).map(partition)));
}
