use crate::{
    cluster::Cluster,
    requests::{self, add, item},
};
use cairn_model::{
    codec::EncodedItem,
    ids::{PartitionId, TableId},
    key::EncodedKey,
    node::OrderOutcome,
    size::item_size,
    time::Timestamp,
};
use cairn_replication::{core::Input, restore::Filling};

const NEW: PartitionId = PartitionId([9; 16]);

fn pairs(items: &[(&str, i64)]) -> Vec<(EncodedKey, EncodedItem)> {
    let schema = requests::definition().key_schema;
    let pair = |(id, n): &(&str, i64)| {
        let item = item(id, *n);
        (EncodedKey::new(&schema, &item).unwrap(), EncodedItem::encode(&item))
    };
    items.iter().map(pair).collect()
}

#[test]
fn a_partition_is_made_of_items_in_any_order_and_the_last_of_a_key_counts_on_all_its_members() {
    let mut cluster = Cluster::new(3);
    let engine = cluster.nodes[0].engine.clone().unwrap();
    let mut filling = Filling::begin(engine, Timestamp(7)).unwrap();
    filling.items(pairs(&[("c", 1), ("a", 1), ("c", 1_000_000)])).unwrap();
    filling.items(pairs(&[("b", 2), ("a", 2_000_000)])).unwrap();
    filling.items(Vec::new()).unwrap();
    let restored = filling.finish().unwrap();
    let (mut descriptor, mut definition) = (requests::descriptor(3), requests::definition());
    (descriptor.partition_id, descriptor.table_id, definition.table_id) = (NEW, TableId([9; 16]), TableId([9; 16]));
    let token = cluster.token();
    cluster.step(0, Input::Adopt { token, restored: Box::new(restored), descriptor, definition });
    cluster.settle();
    assert_eq!(cluster.order_answers[&token], OrderOutcome::Done);
    cluster.ticks(20);
    let expected = [("a", 2_000_000), ("b", 2), ("c", 1_000_000)];
    for node in 0..3 {
        for (id, n) in expected {
            assert_eq!(cluster.peek_at(node, NEW, id), Some(item(id, n)), "node {node}");
        }
    }
    let size: usize = expected.iter().map(|(id, n)| item_size(&item(id, *n))).sum();
    let report = cluster.report(1).unwrap();
    assert_eq!((report.item_count, report.size_bytes), (3, size as u64));
    let leader = cluster.leader().unwrap();
    cluster.write_at(leader, NEW, add(1, "b", 3));
    assert_eq!(cluster.peek_at(leader, NEW, "b"), Some(item("b", 5)));
}

#[test]
fn what_was_taken_and_not_adopted_is_reclaimed() {
    let cluster = Cluster::new(1);
    let engine = cluster.nodes[0].engine.clone().unwrap();
    let mut filling = Filling::begin(engine.clone(), Timestamp(7)).unwrap();
    filling.items(pairs(&[("a", 1), ("b", 2)])).unwrap();
    drop(filling);
    assert!(engine.reclaim(1).unwrap(), "there is more than one key");
    while engine.reclaim(1_000).unwrap() {}
    assert!(engine.replicas().is_empty());
}
