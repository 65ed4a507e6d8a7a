//! Replicas, batches and stores to try the engine with.

use bytes::Bytes;
use cairn_engine::{
    Applied, ApplyBatch, Engine, FjallOptions, FjallStore, ItemWrite, MemoryStore, Outcome, ReplicaRecord, Store,
};
use cairn_model::{
    TableDefinition,
    descriptor::{KeyRange, PartitionDescriptor},
    ids::{PartitionId, ReplicaId, RequestId, TableId},
    key::EncodedKey,
    table::{KeyAttribute, KeySchema, ScalarType},
    time::Timestamp,
};
use std::{ops::Bound, path::Path};

pub(crate) const PARTITION: PartitionId = PartitionId([1; 16]);

pub(crate) fn partition(n: u8) -> PartitionId {
    PartitionId([n; 16])
}

pub(crate) fn descriptor(n: u8) -> PartitionDescriptor {
    PartitionDescriptor {
        partition_id: partition(n),
        table_id: TableId([n; 16]),
        range: KeyRange::default(),
        epoch: 1,
        members: Vec::new(),
        next_replica_id: 2,
        parents: Vec::new(),
    }
}

pub(crate) fn definition(n: u8) -> TableDefinition {
    TableDefinition {
        creation_time_ms: 1_700_000_000_000,
        ..TableDefinition::new(
            "game",
            format!("table-{n}"),
            TableId([n; 16]),
            KeySchema { partition: KeyAttribute { name: "UserId".into(), scalar_type: ScalarType::S }, sort: None },
        )
    }
}

/// A replica that has applied nothing, under new ids.
pub(crate) fn create<S: Store>(engine: &Engine<S>, n: u8, replica_id: u64) -> ReplicaRecord {
    let ids = engine.allocate_ids().unwrap();
    let record = ReplicaRecord {
        partition_id: partition(n),
        replica_id: ReplicaId(replica_id),
        storage_id: ids.storage_id,
        log_id: ids.log_id,
        descriptor: descriptor(n),
        definition: definition(n),
        applied: Applied::default(),
        damaged: None,
    };
    engine.create_replica(record.clone()).unwrap();
    record
}

pub(crate) fn memory() -> (MemoryStore, Engine<MemoryStore>) {
    let store = MemoryStore::default();
    (store.clone(), Engine::open(store).unwrap())
}

pub(crate) fn fjall(folder: &Path) -> Engine<FjallStore> {
    try_fjall(folder).unwrap()
}

pub(crate) fn try_fjall(folder: &Path) -> Result<Engine<FjallStore>, String> {
    let options = FjallOptions { cache_bytes: 1 << 20, memtable_bytes: 1 << 20 };
    let store = FjallStore::open(&folder.join("items"), &folder.join("marker"), options);
    Engine::open(store.map_err(|error| error.to_string())?).map_err(|error| error.to_string())
}

pub(crate) fn key(name: &str) -> EncodedKey {
    EncodedKey(Bytes::copy_from_slice(name.as_bytes()))
}

pub(crate) fn put(name: &str, value: impl Into<Bytes>) -> ItemWrite {
    ItemWrite { key: key(name), value: Some(value.into()) }
}

pub(crate) fn delete(name: &str) -> ItemWrite {
    ItemWrite { key: key(name), value: None }
}

pub(crate) fn request(n: u64) -> RequestId {
    let mut id = [0; 16];
    id[8..].copy_from_slice(&n.to_be_bytes());
    RequestId(id)
}

pub(crate) fn outcome(n: u64, time_ms: u64, value: impl Into<Bytes>) -> Outcome {
    Outcome { request_id: request(n), entry_time: Timestamp::from_millis(time_ms), value: value.into() }
}

pub(crate) fn applied(index: u64) -> Applied {
    Applied {
        index,
        term: 1,
        sequence: index,
        entry_time: Timestamp::from_millis(index * 1000),
        item_count: index,
        size_bytes: index * 10,
    }
}

/// Entry `index`, with these effects and an outcome.
pub(crate) fn batch(index: u64, items: Vec<ItemWrite>) -> ApplyBatch {
    ApplyBatch {
        items,
        outcomes: vec![outcome(index, index * 1000, format!("outcome {index}"))],
        applied: applied(index),
        ..ApplyBatch::default()
    }
}

pub(crate) fn get<S: Store>(engine: &Engine<S>, storage_id: u64, name: &str) -> Option<Bytes> {
    engine.get(storage_id, &key(name)).unwrap()
}

/// All items, as text.
pub(crate) fn items<S: Store>(engine: &Engine<S>, storage_id: u64) -> Vec<(String, String)> {
    engine
        .scan(storage_id, Bound::Unbounded, Bound::Unbounded, true)
        .map(|item| {
            let (key, value) = item.unwrap();
            (text(&key.0), text(&value))
        })
        .collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Copies a folder with all that is in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}
