//! A table with a stream: whoever leads, a reader meets every change once and in order.

use crate::{
    cluster::Cluster,
    requests::{PARTITION, TABLE, add, definition, delete, descriptor, put, put_new},
    streamed::{self, STREAM},
};
use cairn_engine::RetiredReplica;
use cairn_model::{
    node::{Order, OrderOutcome},
    stream::{RETENTION_MS, SequenceNumber},
    time::Timestamp,
};
use cairn_replication::operation::{
    PartitionError, PartitionOutcome, PartitionRequest, StreamEvent, StreamOutcome, StreamRecord, StreamRequest,
};
use rand::{Rng, SeedableRng, rngs::StdRng};

fn request(after: Option<SequenceNumber>, limit: u32) -> PartitionRequest {
    let stream = STREAM.enabled_at_ms;
    PartitionRequest::Stream(StreamRequest { stream, after, horizon: Timestamp(1), limit, page_bytes: 1 << 20 })
}

fn page(cluster: &mut Cluster, node: usize, after: Option<SequenceNumber>, limit: u32) -> StreamOutcome {
    match cluster.ask(node, request(after, limit)) {
        Some(Ok(PartitionOutcome::Stream(page))) => page,
        other => panic!("no page: {other:?}"),
    }
}

fn assert_streamed(cluster: &Cluster, node: usize) {
    let engine = cluster.nodes[node].engine.as_ref().unwrap();
    let storage_id = engine.replica(PARTITION).unwrap().storage_id;
    assert_eq!(streamed::flaw(engine, storage_id, &definition()), None, "node {node}");
}

fn events(records: &[StreamRecord]) -> Vec<StreamEvent> {
    records.iter().map(|record| record.event).collect()
}

#[test]
fn a_change_is_one_record_and_what_changes_nothing_is_none() {
    let mut cluster = Cluster::with_partition(3, 3);
    cluster.write(0, put(1, "a", 1));
    cluster.write(0, put(2, "a", 1));
    cluster.write(0, add(3, "a", 1));
    assert!(matches!(cluster.ask(0, put_new(4, "a", 9)), Some(Err(PartitionError::Service(_)))));
    cluster.write(0, delete(5, "a"));
    cluster.write(0, delete(6, "a"));
    // An attempt of the first request that comes late.
    cluster.write(0, put(1, "a", 1));
    cluster.ticks(3);
    let shown = page(&mut cluster, 0, None, 100);
    assert_eq!(events(&shown.records), [StreamEvent::Insert, StreamEvent::Modify, StreamEvent::Remove]);
    assert!(!shown.ended && shown.last == shown.latest);
    for node in 0..3 {
        let engine = cluster.nodes[node].engine.as_ref().unwrap();
        let storage_id = engine.replica(PARTITION).unwrap().storage_id;
        assert_eq!(streamed::records(engine, storage_id, &definition()), shown.records, "node {node}");
    }
}

#[test]
fn a_reader_meets_every_change_once_and_in_order_while_leaders_die() {
    let mut cluster = Cluster::with_partition(3, 3);
    let mut random = StdRng::seed_from_u64(7);
    let (mut seen, mut after) = (Vec::new(), None);
    let mut expected = 0;
    for round in 0..40_u64 {
        let leader = cluster.leader().unwrap();
        for write in 0..random.random_range(0..5) {
            cluster.write(leader, add(round * 10 + write, &format!("item-{}", write % 2), 1));
            expected += 1;
        }
        let shown = page(&mut cluster, leader, after, random.random_range(1..4));
        after = Some(shown.last);
        seen.extend(shown.records);
        if round % 8 == 7 {
            cluster.crash(leader);
            cluster.await_leader(Some(leader));
            cluster.start(leader);
            cluster.ticks(10);
        }
    }
    let leader = cluster.leader().unwrap();
    seen.extend(page(&mut cluster, leader, after, 1_000).records);
    assert_eq!(seen.len(), expected, "none is missing and none was met twice");
    assert!(seen.is_sorted_by(|one, next| one.number < next.number));
    (0..3).for_each(|node| assert_streamed(&cluster, node));
}

#[test]
fn a_leader_that_was_deposed_shows_no_records() {
    let mut cluster = Cluster::with_partition(3, 3);
    cluster.write(0, put(1, "a", 1));
    cluster.isolate(0);
    let token = cluster.send(0, request(None, 10));
    cluster.settle();
    assert!(!cluster.answers.contains_key(&token));
    cluster.ticks(30);
    assert!(matches!(cluster.answers[&token], Err(PartitionError::NotLeader { .. })));
    assert!(matches!(cluster.ask(1, request(None, 10)), Some(Ok(_))) || cluster.leader() == Some(2));
}

#[test]
fn a_stream_that_was_disabled_ends_with_its_last_record() {
    let mut cluster = Cluster::with_partition(3, 3);
    cluster.write(0, put(1, "a", 1));
    let mut disabled = definition();
    disabled.schema_version = 2;
    disabled.set_stream(None, 5_000);
    let order = Order::UpdateDefinition { partition_id: PARTITION, definition: disabled };
    while cluster.order(0, order.clone()) != OrderOutcome::Done {
        cluster.ticks(1);
    }
    cluster.write(0, put(2, "a", 2));
    let first = page(&mut cluster, 0, None, 1);
    assert_eq!((events(&first.records), first.ended), (vec![StreamEvent::Insert], false));
    let rest = page(&mut cluster, 0, Some(first.last), 1);
    assert_eq!((rest.records, rest.ended), (Vec::new(), true));
    let bounds = page(&mut cluster, 0, None, 0).bounds.unwrap();
    assert_eq!(bounds.last, Some(first.last));
    assert!(bounds.first <= first.last);
}

/// Of a stream the API tells before the nodes have heard of it: who took its end from them would read no more of it.
#[test]
fn a_stream_that_the_nodes_have_not_heard_of_yet_is_open_and_then_read_from_its_beginning() {
    let mut cluster = Cluster::with_partition(3, 3);
    cluster.write(0, put(1, "a", 1));
    let next = STREAM.enabled_at_ms + 500;
    let shown = |cluster: &mut Cluster, after, limit| {
        let request = StreamRequest { stream: next, after, horizon: Timestamp(1), limit, page_bytes: 1 << 20 };
        match cluster.ask(0, PartitionRequest::Stream(request)) {
            Some(Ok(PartitionOutcome::Stream(page))) => page,
            other => panic!("no page: {other:?}"),
        }
    };
    let early = shown(&mut cluster, None, 10);
    assert_eq!((early.records.len(), early.ended), (0, false));
    let bounds = shown(&mut cluster, None, 0).bounds.unwrap();
    assert_eq!((bounds.first.time, bounds.last), (Timestamp::from_millis(next), None));
    let mut enabled = definition();
    enabled.schema_version = 2;
    enabled.set_stream(Some(STREAM.view_type), next);
    let order = Order::UpdateDefinition { partition_id: PARTITION, definition: enabled };
    while cluster.order(0, order.clone()) != OrderOutcome::Done {
        cluster.ticks(1);
    }
    cluster.write(0, put(2, "a", 2));
    let page = shown(&mut cluster, Some(early.last), 10);
    assert_eq!((events(&page.records), page.ended), (vec![StreamEvent::Modify], false));
}

#[test]
fn who_reads_behind_what_is_trimmed_is_told() {
    let mut cluster = Cluster::with_partition(1, 1);
    for n in 0..3 {
        cluster.write(0, put(n, "a", n as i64));
        cluster.ticks(1);
    }
    let records = page(&mut cluster, 0, None, 10).records;
    let trimmed = |after, horizon| {
        let request = StreamRequest { stream: STREAM.enabled_at_ms, after, horizon, limit: 10, page_bytes: 1 << 20 };
        PartitionRequest::Stream(request)
    };
    let horizon = records[2].number.time;
    for (after, is_trimmed, shown) in
        [(None, false, 1), (Some(records[0].number), true, 0), (Some(records[1].number), false, 1)]
    {
        match cluster.ask(0, trimmed(after, horizon)) {
            Some(Ok(PartitionOutcome::Stream(page))) => {
                assert_eq!((page.trimmed, page.records.len()), (is_trimmed, shown));
            }
            other => panic!("no page: {other:?}"),
        }
    }
}

fn delete_table(cluster: &Cluster) -> Order {
    Order::DropPartition { partition_id: PARTITION, table_id: TABLE, deleted_at_ms: Some(cluster.now(0).wall_ms) }
}

/// What the nodes have left, once each of these has carried out the order.
fn order_all(cluster: &mut Cluster, nodes: &[usize], order: &Order) -> Vec<Option<RetiredReplica>> {
    for _ in 0..200 {
        let mut outcomes = nodes.iter().map(|node| cluster.order(*node, order.clone())).collect::<Vec<_>>();
        outcomes.retain(|outcome| *outcome != OrderOutcome::Done);
        if outcomes.is_empty() {
            let left = |node: &usize| cluster.nodes[*node].engine.as_ref().unwrap().retired(PARTITION);
            return nodes.iter().map(left).collect();
        }
        cluster.ticks(1);
    }
    panic!("it is not carried out");
}

fn kept(cluster: &Cluster, node: usize, left: &RetiredReplica) -> Vec<StreamRecord> {
    let engine = cluster.nodes[node].engine.as_ref().unwrap();
    streamed::records(engine, left.storage_id, &left.definition)
}

#[test]
fn of_a_deleted_table_every_replica_keeps_all_records_that_were_acknowledged() {
    let mut cluster = Cluster::with_partition(3, 3);
    for n in 0..5 {
        cluster.write(0, put(n, "a", n as i64));
    }
    let records = page(&mut cluster, 0, None, 100).records;
    // No tick, by which those who follow would learn what is committed.
    let order = delete_table(&cluster);
    for (node, left) in order_all(&mut cluster, &[2, 1, 0], &order).into_iter().enumerate() {
        let (node, left) = (2 - node, left.unwrap());
        assert_eq!(kept(&cluster, node, &left), records, "node {node}");
        let streams = left.definition.readable_streams(cluster.now(0).wall_ms).collect::<Vec<_>>();
        assert_eq!(streams, [(STREAM, false)], "node {node}");
    }
    assert!((0..3).all(|node| cluster.report(node).is_none()), "and nothing else is there");
    let again = cluster.order(0, Order::Bootstrap { descriptor: descriptor(3), definition: definition() });
    assert!(matches!(again, OrderOutcome::Refused { .. }), "{again:?}");
}

#[test]
fn what_a_deleted_tables_replicas_keep_is_all_there_whoever_of_them_dies() {
    let mut cluster = Cluster::with_partition(3, 3);
    cluster.crash(2);
    for n in 0..3 {
        cluster.write(0, put(n, "a", n as i64));
    }
    let records = page(&mut cluster, 0, None, 100).records;
    let order = delete_table(&cluster);
    assert!(matches!(cluster.order(0, order.clone()), OrderOutcome::InProgress { .. }));
    cluster.crash(0);
    cluster.start(2);
    cluster.await_leader(Some(0));
    for (node, left) in order_all(&mut cluster, &[1, 2], &order).into_iter().enumerate() {
        assert_eq!(kept(&cluster, node + 1, &left.unwrap()), records, "node {node}");
    }
}

#[test]
fn a_table_without_records_that_can_be_read_is_dropped_whole() {
    let mut cluster = Cluster::with_partition(3, 3);
    let order = delete_table(&cluster);
    assert_eq!(order_all(&mut cluster, &[0, 1, 2], &order), [None, None, None]);
}

#[test]
fn what_was_deleted_a_day_ago_is_dropped_whole_and_at_once() {
    let mut cluster = Cluster::with_partition(3, 3);
    cluster.write(0, put(1, "a", 1));
    let deleted_at_ms = Some(cluster.now(0).wall_ms - RETENTION_MS);
    let order = Order::DropPartition { partition_id: PARTITION, table_id: TABLE, deleted_at_ms };
    for node in 0..3 {
        assert_eq!(cluster.order(node, order.clone()), OrderOutcome::Done);
        assert_eq!(cluster.nodes[node].engine.as_ref().unwrap().retired(PARTITION), None);
    }
}

#[test]
fn an_order_that_tells_nothing_of_streams_keeps_nothing() {
    let mut cluster = Cluster::with_partition(1, 1);
    cluster.write(0, put(1, "a", 1));
    let order = Order::DropPartition { partition_id: PARTITION, table_id: TABLE, deleted_at_ms: None };
    assert_eq!(order_all(&mut cluster, &[0], &order), [None]);
}

/// A node of a version that keeps no streams reads the order as one that tells nothing of them: it drops the partition at once.
fn as_older_nodes_read(order: &Order) -> Order {
    match order.clone() {
        Order::DropPartition { partition_id, table_id, .. } => {
            Order::DropPartition { partition_id, table_id, deleted_at_ms: None }
        }
        other => other,
    }
}

#[test]
fn where_a_leader_of_an_older_version_drops_a_table_at_once_the_others_keep_its_stream() {
    let mut cluster = Cluster::with_partition(3, 3);
    for n in 0..3 {
        cluster.write(0, put(n, "a", n as i64));
    }
    let records = page(&mut cluster, 0, None, 100).records;
    let order = delete_table(&cluster);
    assert_eq!(cluster.order(0, as_older_nodes_read(&order)), OrderOutcome::Done);
    for (node, left) in order_all(&mut cluster, &[1, 2], &order).into_iter().enumerate() {
        assert_eq!(kept(&cluster, node + 1, &left.unwrap()), records, "node {node}");
    }
    assert_eq!(cluster.nodes[0].engine.as_ref().unwrap().retired(PARTITION), None);
}

#[test]
fn who_is_left_by_two_of_an_older_version_waits_and_is_dropped_by_the_order_that_tells_nothing_of_streams() {
    let mut cluster = Cluster::with_partition(3, 3);
    cluster.write(0, put(1, "a", 1));
    let order = delete_table(&cluster);
    for older in [0, 1] {
        assert_eq!(cluster.order(older, as_older_nodes_read(&order)), OrderOutcome::Done);
    }
    cluster.ticks(100);
    assert!(matches!(cluster.order(2, order.clone()), OrderOutcome::InProgress { .. }));
    let report = cluster.report(2).unwrap();
    assert_eq!((report.leader, report.definition.current_stream().is_some()), (None, true), "so the operator sees it");
    assert_eq!(order_all(&mut cluster, &[2], &as_older_nodes_read(&order)), [None]);
}
