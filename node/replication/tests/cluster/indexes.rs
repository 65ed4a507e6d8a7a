//! A table with local indexes: whatever happens to its replicas, an index shows what the items say, no more and no less.

use crate::{
    cluster::Cluster,
    indexed,
    requests::{self, PARTITION, definition, key},
};
use bytes::Bytes;
use cairn_model::{
    AttributeValue, Item,
    codec::EncodedItem,
    ids::{PartitionId, TableId},
    node::OrderOutcome,
    time::Timestamp,
};
use cairn_replication::{
    core::Input,
    operation::{IndexRead, PartitionOutcome, PartitionRequest, RangeOutcome, RangeRequest},
    restore::Filling,
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::ops::Bound;

fn page(cluster: &mut Cluster, node: usize, index_name: &str, forward: bool) -> RangeOutcome {
    read(cluster, node, IndexRead { index_name: index_name.into(), whole_items: false }, forward)
}

fn read(cluster: &mut Cluster, node: usize, index: IndexRead, forward: bool) -> RangeOutcome {
    let request = RangeRequest {
        lower: Bound::Unbounded,
        upper: Bound::Unbounded,
        forward,
        limit: None,
        page_bytes: 1 << 20,
        filter: None,
        projection: None,
        count_only: false,
        consistent: false,
        index: Some(index),
    };
    match cluster.ask(node, PartitionRequest::Range(request)) {
        Some(Ok(PartitionOutcome::Range(page))) => page,
        other => panic!("no page: {other:?}"),
    }
}

fn shown(cluster: &mut Cluster, node: usize, index_name: &str) -> Vec<Item> {
    page(cluster, node, index_name, true).items.iter().map(|item| item.decode().unwrap()).collect()
}

fn assert_indexed(cluster: &Cluster, node: usize, partition: PartitionId) {
    let engine = cluster.nodes[node].engine.as_ref().unwrap();
    let storage_id = engine.replica(partition).unwrap().storage_id;
    assert_eq!(indexed::flaw(engine, storage_id, &definition()), None, "node {node}");
}

#[test]
fn an_index_shows_its_items_in_the_order_of_its_own_key() {
    let mut cluster = Cluster::with_partition(3, 3);
    // Of one hash-only key each, so the order across them is that of the hashes; one item moves within its own.
    cluster.write(0, requests::put(1, "a", 5));
    cluster.ticks(3);
    for node in 0..3 {
        assert_eq!(shown(&mut cluster, node, "whole"), [requests::item("a", 5)]);
    }
    cluster.write(0, requests::add(2, "a", 2));
    assert_eq!(shown(&mut cluster, 0, "whole"), [requests::item("a", 7)], "consistent with the write that made it");
    cluster.write(0, requests::delete(3, "a"));
    assert!(shown(&mut cluster, 0, "whole").is_empty());
}

#[test]
fn a_page_of_an_index_counts_what_the_index_shows() {
    let mut cluster = Cluster::with_partition(3, 3);
    let mut item = requests::item("a", 5);
    item.insert("blob".into(), AttributeValue::B(Bytes::from(vec![7; 5_000])));
    cluster.write(0, requests::put_item(1, "a", &item));
    let keys = page(&mut cluster, 0, "keys", true);
    assert_eq!(keys.items[0].decode().unwrap(), requests::item("a", 5));
    assert_eq!((keys.bytes_read, keys.fetched_units), (6, 0));
    let whole = page(&mut cluster, 0, "whole", false);
    assert_eq!(whole.items[0].decode().unwrap(), item);
    assert_eq!(whole.bytes_read, u64::from(whole.items[0].size().unwrap()));
}

#[test]
fn a_page_of_fetched_items_ends_when_they_come_to_a_page() {
    let mut cluster = Cluster::with_partition(3, 3);
    for (number, id) in (1..).zip(["a", "b", "c", "d", "e", "f"]) {
        let mut item = requests::item(id, 5);
        item.insert("blob".into(), AttributeValue::B(Bytes::from(vec![7; 300_000])));
        cluster.write(0, requests::put_item(number, id, &item));
    }
    let fetched = read(&mut cluster, 0, IndexRead { index_name: "keys".into(), whole_items: true }, true);
    assert_eq!((fetched.count, fetched.bytes_read, fetched.fetched_units), (4, 4 * 6, 4 * 74));
    assert!(fetched.last_evaluated_key.is_some());
    assert_eq!(page(&mut cluster, 0, "keys", true).count, 6);
}

#[test]
fn a_write_tells_what_it_did_to_each_index() {
    let mut cluster = Cluster::with_partition(3, 3);
    let outcome = cluster.write(0, requests::put(1, "a", 5));
    let told = |outcome: cairn_replication::operation::WriteOutcome| {
        outcome
            .indexes
            .iter()
            .map(|write| (write.slot, write.size_before, write.size_after, write.moved))
            .collect::<Vec<_>>()
    };
    assert_eq!(told(outcome), [(1, 0, 6, false), (2, 0, 6, false)]);
    assert_eq!(told(cluster.write(0, requests::add(2, "a", 1))), [(1, 6, 6, true), (2, 6, 6, true)]);
    let mut item = requests::item("a", 6);
    item.insert("x".into(), AttributeValue::Null);
    assert_eq!(told(cluster.write(0, requests::put_item(3, "a", &item))), [(1, 6, 8, false)]);
}

#[test]
fn indexes_say_what_the_items_say_through_crashes_snapshots_and_changes_of_leader() {
    (0..10).for_each(survive);
}

fn survive(seed: u64) {
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut cluster = Cluster::with_partition(3, 3);
    for number in 0..200 {
        let leader = cluster.leader().unwrap_or_else(|| cluster.await_leader(None));
        let id = ["a", "b", "c", "d", "e"][random.random_range(0..5)];
        let mut item = requests::item(id, random.random_range(0..4));
        match random.random_range(0..4) {
            0 => drop(item.remove("n")),
            1 => drop(item.insert("n".into(), AttributeValue::S("no number".into()))),
            _ => {}
        }
        item.insert("x".into(), AttributeValue::S("x".repeat(random.random_range(0..9))));
        match random.random_range(0..10) {
            0..5 => drop(cluster.ask(leader, requests::put_item(number, id, &item))),
            5..7 => drop(cluster.ask(leader, requests::add(number, id, 1))),
            7..9 => drop(cluster.ask(leader, requests::delete(number, id))),
            _ => {
                cluster.crash(leader);
                let next = cluster.await_leader(Some(leader));
                drop(cluster.ask(next, requests::put_item(number, id, &item)));
                cluster.start(leader);
                cluster.ticks(5);
            }
        }
        if number % 40 == 0 {
            cluster.ticks(5);
            (0..3).for_each(|node| assert_indexed(&cluster, node, PARTITION));
        }
    }
    // A replica that begins anew gets a snapshot.
    let leader = cluster.leader().unwrap();
    let engine = cluster.nodes[leader].engine.as_ref().unwrap();
    let mut reader = engine.snapshot(engine.replica(PARTITION).unwrap().storage_id).unwrap();
    let mut other = Cluster::new(1);
    let engine = other.nodes[0].engine.clone().unwrap();
    let mut writer = engine.begin_load().unwrap();
    while let Some(chunk) = reader.next_chunk().unwrap() {
        engine.load(&mut writer, &chunk).unwrap();
    }
    engine.install(writer, PARTITION, cairn_model::ids::ReplicaId(9), 77).unwrap();
    assert_indexed(&other, 0, PARTITION);
    other.crash(0);
}

#[test]
fn restored_items_are_in_the_indexes_of_their_new_table() {
    const NEW: PartitionId = PartitionId([9; 16]);
    let mut cluster = Cluster::new(3);
    let engine = cluster.nodes[0].engine.clone().unwrap();
    let mut filling = Filling::begin(engine.clone(), Timestamp(1 << 30)).unwrap();
    let items = (0..5_000).map(|n| {
        let id = format!("item-{n}");
        (key(&id), EncodedItem::encode(&requests::item(&id, n % 7)))
    });
    filling.items(items.collect()).unwrap();
    let restored = filling.finish().unwrap();
    let (mut descriptor, mut definition) = (requests::descriptor(3), definition());
    (descriptor.partition_id, descriptor.table_id, definition.table_id) = (NEW, TableId([9; 16]), TableId([9; 16]));
    restored.build_indexes(&*engine, &definition).unwrap();
    let token = cluster.token();
    cluster.step(0, Input::Adopt { token, restored: Box::new(restored), descriptor, definition });
    cluster.settle();
    assert_eq!(cluster.order_answers[&token], OrderOutcome::Done);
    cluster.ticks(20);
    (0..3).for_each(|node| assert_indexed(&cluster, node, NEW));
}
