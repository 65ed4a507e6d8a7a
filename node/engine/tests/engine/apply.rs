//! Applying is atomic, in order, and read back.

use crate::support::*;
use cairn_engine::{Engine, EngineError};
use std::{collections::BTreeMap, ops::Bound};

#[test]
fn what_is_applied_is_read() {
    let (_, engine) = memory();
    let storage = create(&engine, 1, 1).storage_id;
    engine.apply(storage, batch(1, vec![put("a", "1"), put("b", "1"), put("a", "2")])).unwrap();
    engine.apply(storage, batch(2, vec![delete("b"), put("c", "3")])).unwrap();
    assert_eq!(get(&engine, storage, "a").unwrap(), "2");
    assert_eq!(get(&engine, storage, "b"), None);
    assert_eq!(engine.outcome(storage, &request(2)).unwrap().unwrap(), "outcome 2");
    assert_eq!(engine.outcome(storage, &request(3)).unwrap(), None);
    assert_eq!(engine.applied(storage), Some(applied(2)));
    assert_eq!(engine.replica(PARTITION).unwrap().applied, applied(2));
}

#[test]
fn a_scan_goes_both_ways_between_its_bounds_and_sees_one_state() {
    let (_, engine) = memory();
    let storage = create(&engine, 1, 1).storage_id;
    let other = create(&engine, 2, 1).storage_id;
    engine.apply(other, batch(1, vec![put("b", "of another partition")])).unwrap();
    engine.apply(storage, batch(1, ["a", "b", "c", "d"].map(|name| put(name, name)).to_vec())).unwrap();
    let scan = |lower: Bound<&str>, upper: Bound<&str>, forward| -> String {
        let scan = engine.scan(storage, lower.map(str::as_bytes), upper.map(str::as_bytes), forward);
        scan.map(|item| String::from_utf8(item.unwrap().1.to_vec()).unwrap()).collect()
    };
    assert_eq!(scan(Bound::Unbounded, Bound::Unbounded, true), "abcd");
    assert_eq!(scan(Bound::Unbounded, Bound::Unbounded, false), "dcba");
    assert_eq!(scan(Bound::Excluded("a"), Bound::Included("c"), true), "bc");
    assert_eq!(scan(Bound::Included("b"), Bound::Excluded("d"), false), "cb");
    assert_eq!(scan(Bound::Included("d"), Bound::Excluded("b"), true), "");
    assert_eq!(scan(Bound::Excluded("b"), Bound::Excluded("b"), true), "");
    let mut before = engine.scan(storage, Bound::Unbounded, Bound::Unbounded, true);
    engine.apply(storage, batch(2, vec![delete("b"), put("e", "e")])).unwrap();
    assert_eq!(before.by_ref().count(), 4);
}

#[test]
fn an_entry_is_applied_once() {
    let (_, engine) = memory();
    let storage = create(&engine, 1, 1).storage_id;
    engine.apply(storage, batch(5, vec![put("a", "5")])).unwrap();
    for index in [4, 5] {
        let again = engine.apply(storage, batch(index, vec![put("a", "again")])).unwrap_err();
        assert!(matches!(again, EngineError::AppliedAlready { applied: 5, .. }), "{again}");
    }
    assert_eq!(get(&engine, storage, "a").unwrap(), "5");
}

#[test]
fn a_crash_leaves_whole_batches_and_their_applied_index() {
    for kept in 0..=6 {
        let (store, engine) = memory();
        let storage = create(&engine, 1, 1).storage_id;
        for index in 1..=6 {
            engine
                .apply(storage, batch(index, vec![put("a", index.to_string()), put(&format!("item {index}"), "")]))
                .unwrap();
        }
        drop(engine);
        store.crash_keeping(kept);
        let engine = Engine::open(store).unwrap();
        let index = engine.applied(storage).unwrap().index;
        assert_eq!(index, kept as u64);
        assert_eq!(items(&engine, storage).len(), if kept == 0 { 0 } else { kept + 1 });
        assert_eq!(engine.outcome(storage, &request(index)).unwrap().is_some(), kept > 0);
        assert_eq!(engine.outcome(storage, &request(index + 1)).unwrap(), None);
    }
}

#[test]
fn a_new_descriptor_and_definition_come_with_their_entry() {
    let (store, engine) = memory();
    let storage = create(&engine, 1, 1).storage_id;
    engine.persist(&BTreeMap::new()).unwrap();
    let mut change = batch(1, Vec::new());
    change.descriptor = Some(cairn_model::descriptor::PartitionDescriptor { epoch: 2, ..descriptor(1) });
    change.definition = Some(cairn_model::TableDefinition { schema_version: 9, ..definition(1) });
    engine.apply(storage, change.clone()).unwrap();
    assert_eq!(engine.replica(PARTITION).unwrap().descriptor.epoch, 2);
    drop(engine);
    store.crash();
    let engine = Engine::open(store.clone()).unwrap();
    assert_eq!(engine.replica(PARTITION).unwrap().descriptor.epoch, 1);
    engine.apply(storage, change).unwrap();
    engine.persist(&BTreeMap::new()).unwrap();
    store.crash();
    let replica = Engine::open(store).unwrap().replica(PARTITION).unwrap();
    assert_eq!((replica.descriptor.epoch, replica.definition.schema_version, replica.applied.index), (2, 9, 1));
}
