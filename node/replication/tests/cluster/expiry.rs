//! Items that expire, on replicas that come and go.

use crate::{
    cluster::Cluster,
    indexed,
    requests::{self, PARTITION, add, item, put},
};
use cairn_engine::Kept;
use cairn_model::{
    codec::EncodedItem,
    node::{Order, OrderOutcome},
    table::{TableDefinition, TimeToLive},
    time::Timestamp,
};
use cairn_replication::{CoreConfig, core::Input, restore::Filling};
use std::ops::Bound;

/// The cluster's clocks begin at 1,000,001 s.
const LONG_AGO_S: i64 = 900_000;
const MUCH_LATER_S: i64 = 2_000_000;

fn expiring(schema_version: u64, attribute_name: &str) -> TableDefinition {
    let time_to_live = Some(TimeToLive { attribute_name: attribute_name.into(), enabled_at_ms: 1 });
    TableDefinition { schema_version, time_to_live, ..requests::definition() }
}

fn define(cluster: &mut Cluster, node: usize, definition: TableDefinition) {
    let order = Order::UpdateDefinition { partition_id: PARTITION, definition };
    assert_eq!(cluster.order(node, order), OrderOutcome::Done);
}

/// Whether a replica's index of expirations is made, and holds what the items say.
fn is_made(cluster: &Cluster, node: usize) -> bool {
    let engine = cluster.nodes[node].engine.as_ref().unwrap();
    let record = engine.replica(PARTITION).unwrap();
    let flaw = indexed::flaw(engine, record.storage_id, &record.definition);
    assert_eq!(flaw, None, "node {node}");
    engine.kept(record.storage_id, &Kept::Expirations).unwrap().is_none()
}

fn indexed_count(cluster: &Cluster, node: usize) -> usize {
    let engine = cluster.nodes[node].engine.as_ref().unwrap();
    let storage_id = engine.replica(PARTITION).unwrap().storage_id;
    engine.expirations(storage_id, Bound::Unbounded, Bound::Unbounded).count()
}

#[test]
fn what_expires_is_deleted_on_every_replica_and_what_got_more_time_is_not() {
    let mut cluster = Cluster::with_partition(3, 3);
    define(&mut cluster, 0, expiring(2, "n"));
    cluster.write(0, put(1, "old", LONG_AGO_S));
    cluster.write(0, put(2, "kept", LONG_AGO_S));
    cluster.write(0, add(3, "kept", MUCH_LATER_S));
    cluster.write(0, put(4, "young", MUCH_LATER_S));
    cluster.ticks(15);
    for node in 0..3 {
        assert_eq!(cluster.peek(node, "old"), None);
        assert_eq!(cluster.peek(node, "kept"), Some(item("kept", LONG_AGO_S + MUCH_LATER_S)));
        assert_eq!(cluster.peek(node, "young"), Some(item("young", MUCH_LATER_S)));
        assert_eq!((is_made(&cluster, node), indexed_count(&cluster, node)), (true, 2));
    }
    assert_eq!(cluster.report(0).unwrap().item_count, 2);
}

#[test]
fn a_new_leader_goes_on_making_the_index() {
    let mut cluster = Cluster::with_partition(3, 3);
    for n in 0..700 {
        cluster.send(0, put(n, &format!("item-{n}"), MUCH_LATER_S));
    }
    cluster.ticks(3);
    let order = Order::UpdateDefinition { partition_id: PARTITION, definition: expiring(2, "n") };
    let token = cluster.token();
    cluster.step(0, Input::Order { token, order });
    while indexed_count(&cluster, 0) == 0 {
        cluster.round();
    }
    assert!(!is_made(&cluster, 0));
    cluster.crash(0);
    let leader = cluster.await_leader(Some(0));
    cluster.ticks(10);
    assert_eq!((is_made(&cluster, leader), indexed_count(&cluster, leader)), (true, 700));
}

#[test]
fn a_replica_that_gets_a_snapshot_has_the_index_too() {
    let small_log = |config: &mut CoreConfig| {
        config.log_entries_kept = 8;
        config.persist_bytes = 1;
    };
    let mut cluster = Cluster::configured(3, small_log);
    cluster.bootstrap(3);
    define(&mut cluster, 0, expiring(2, "n"));
    cluster.isolate(2);
    for n in 0..50 {
        cluster.write(0, put(n, &format!("item-{n}"), MUCH_LATER_S));
    }
    cluster.heal();
    cluster.ticks(20);
    assert_eq!((is_made(&cluster, 2), indexed_count(&cluster, 2)), (true, 50));
    cluster.write(0, put(100, "old", LONG_AGO_S));
    cluster.ticks(15);
    assert_eq!((cluster.peek(2, "old"), indexed_count(&cluster, 2)), (None, 50));
}

#[test]
fn many_expired_items_go_with_the_flushes_of_a_few_ticks() {
    let mut cluster = Cluster::with_partition(1, 1);
    for n in 0..3_000 {
        cluster.send(0, put(n, &format!("item-{n}"), LONG_AGO_S));
    }
    cluster.ticks(1);
    assert_eq!(cluster.report(0).unwrap().item_count, 3_000);
    define(&mut cluster, 0, expiring(2, "n"));
    cluster.ticks(20);
    assert_eq!(cluster.report(0).unwrap().item_count, 0);
}

#[test]
fn a_table_that_expires_from_its_first_moment_has_its_index_at_once() {
    let mut cluster = Cluster::new(1);
    let definition = expiring(1, "n");
    let order = Order::Bootstrap { descriptor: requests::descriptor(1), definition };
    assert_eq!(cluster.order(0, order), OrderOutcome::Done);
    cluster.ticks(5);
    cluster.write(0, put(1, "young", MUCH_LATER_S));
    assert_eq!((is_made(&cluster, 0), indexed_count(&cluster, 0)), (true, 1));
}

#[test]
fn restored_items_expire_in_a_table_that_says_so() {
    let mut cluster = Cluster::new(3);
    let engine = cluster.nodes[0].engine.clone().unwrap();
    let mut filling = Filling::begin(engine.clone(), Timestamp(1 << 30)).unwrap();
    let items = (0..5_000).map(|n| {
        let id = format!("item-{n}");
        (requests::key(&id), EncodedItem::encode(&item(&id, if n < 100 { LONG_AGO_S } else { MUCH_LATER_S })))
    });
    filling.items(items.collect()).unwrap();
    let (restored, definition) = (filling.finish().unwrap(), expiring(1, "n"));
    restored.build_indexes(&*engine, &definition).unwrap();
    let token = cluster.token();
    let descriptor = requests::descriptor(3);
    cluster.step(0, Input::Adopt { token, restored: Box::new(restored), descriptor, definition });
    cluster.settle();
    assert_eq!(cluster.order_answers[&token], OrderOutcome::Done);
    cluster.ticks(30);
    for node in 0..3 {
        assert_eq!((is_made(&cluster, node), indexed_count(&cluster, node)), (true, 4_900));
    }
    assert_eq!(cluster.report(0).unwrap().item_count, 4_900);
}
