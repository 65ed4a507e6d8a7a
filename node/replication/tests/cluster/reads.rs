use crate::{
    cluster::Cluster,
    requests::{get, item, put, scan},
};
use cairn_replication::operation::{PartitionError, PartitionOutcome};

#[test]
fn a_consistent_read_of_a_leader_that_was_deposed_is_not_answered() {
    let mut cluster = Cluster::with_partition(3, 3);
    cluster.write(0, put(1, "a", 1));
    cluster.isolate(0);
    cluster.ticks(1);
    let token = cluster.send(0, get("a", true));
    cluster.settle();
    assert!(!cluster.answers.contains_key(&token));
    assert_eq!(cluster.peek(0, "a"), Some(item("a", 1)), "an eventually consistent one is");
    cluster.ticks(30);
    assert!(matches!(cluster.answers[&token], Err(PartitionError::NotLeader { .. })));
}

#[test]
fn a_consistent_read_sees_every_write_acknowledged_before_it() {
    let mut cluster = Cluster::with_partition(3, 3);
    for n in 0..10 {
        let leader = cluster.leader().unwrap();
        cluster.write(leader, put(n, "a", n as i64));
        assert_eq!(cluster.get(leader, "a"), Some(item("a", n as i64)));
        if n % 3 == 2 {
            cluster.crash(leader);
            cluster.await_leader(Some(leader));
            let next = cluster.leader().unwrap();
            assert_eq!(cluster.get(next, "a"), Some(item("a", n as i64)));
            cluster.start(leader);
            cluster.ticks(10);
        }
    }
}

#[test]
fn an_eventually_consistent_read_is_not_served_by_a_replica_that_has_just_come_back() {
    let mut cluster = Cluster::with_partition(3, 3);
    cluster.write(0, put(1, "a", 1));
    cluster.ticks(5);
    cluster.crash(2);
    cluster.write(0, put(2, "a", 2));
    cluster.start(2);
    let refused = cluster.ask(2, get("a", false));
    assert!(matches!(refused, Some(Err(PartitionError::NotLeader { .. }))), "{refused:?}");
    cluster.ticks(10);
    assert_eq!(cluster.peek(2, "a"), Some(item("a", 2)));
}

#[test]
fn a_replica_without_a_leader_goes_on_serving_eventually_consistent_reads() {
    let mut cluster = Cluster::with_partition(3, 3);
    cluster.write(0, put(1, "a", 1));
    cluster.ticks(5);
    cluster.crash(0);
    cluster.crash(1);
    cluster.ticks(100);
    assert_eq!(cluster.peek(2, "a"), Some(item("a", 1)));
}

#[test]
fn a_page_ends_with_its_limit_and_names_its_last_key() {
    let mut cluster = Cluster::with_partition(1, 1);
    for n in 0..5 {
        cluster.write(0, put(n, &format!("item-{n}"), 1));
    }
    match cluster.ask(0, scan(Some(5), false)) {
        Some(Ok(PartitionOutcome::Range(page))) => {
            assert_eq!((page.scanned_count, page.items.len()), (5, 5));
            assert!(page.last_evaluated_key.is_some(), "DynamoDB does not look ahead");
        }
        other => panic!("{other:?}"),
    }
}
