use crate::{
    cluster::{Cluster, TICK_MS},
    requests::{PARTITION, add, get, item, node_id, put, put_new, scan},
};
use cairn_replication::{
    core::{Input, Output},
    log::WriteFailure,
    operation::{PartitionError, PartitionOutcome},
};

#[test]
fn a_write_reaches_every_replica() {
    let mut cluster = Cluster::with_partition(3, 3);
    cluster.write(0, put(1, "a", 1));
    cluster.ticks(3);
    for node in 0..3 {
        assert_eq!(cluster.peek(node, "a"), Some(item("a", 1)), "node {node}");
    }
}

/// "An answer leaves only when a quorum has it on disk."
#[test]
fn an_answer_leaves_only_when_a_quorum_has_it_on_disk() {
    let mut cluster = Cluster::with_partition(3, 3);
    cluster.cut.extend([(1, 0), (2, 0)]);
    let token = cluster.send(0, put(1, "a", 1));
    cluster.settle();
    assert!(!cluster.answers.contains_key(&token));
    cluster.cut.remove(&(1, 0));
    cluster.ticks(3);
    assert!(cluster.answers[&token].is_ok());
    cluster.isolate(0);
    cluster.crash(0);
    cluster.crash(1);
    cluster.crash(2);
    cluster.start(1);
    cluster.start(2);
    let leader = cluster.await_leader(None);
    assert_eq!(cluster.get(leader, "a"), Some(item("a", 1)));
}

/// The leader's appends leave before its own fsync: with the followers' they are a quorum, whatever becomes of it.
#[test]
fn a_write_survives_a_leader_that_dies_between_replicating_and_its_own_flush() {
    let mut cluster = Cluster::with_partition(3, 3);
    cluster.cut.extend([(1, 0), (2, 0)]);
    cluster.nodes[0].log.fail_next_write(WriteFailure::BeforeWrite);
    let now = cluster.now(0);
    let token = cluster.send(0, put(1, "a", 1));
    let mut frames = Vec::new();
    let core = cluster.nodes[0].core.as_mut().unwrap();
    let flushed = core.flush(now, &mut |output| frames.push(output));
    assert!(flushed.is_err(), "a failed write of the log is fatal");
    assert!(!frames.is_empty(), "and came after the appends had left");
    for frame in frames {
        if let Output::Frame { to, bytes } = frame {
            let node = (0..3).find(|node| node_id(*node) == to.node_id).unwrap();
            cluster.step(node, Input::Frame { from: node_id(0), bytes });
        }
    }
    cluster.crash(0);
    cluster.settle();
    let leader = cluster.await_leader(Some(0));
    assert_eq!(cluster.get(leader, "a"), Some(item("a", 1)));
    assert!(!cluster.answers.contains_key(&token));
}

/// "A router retries only under the same id."
#[test]
fn a_retry_at_the_next_leader_gets_the_first_attempts_outcome() {
    let mut cluster = Cluster::with_partition(3, 3);
    cluster.cut.extend([(1, 0), (2, 0)]);
    let token = cluster.send(0, add(1, "a", 5));
    cluster.settle();
    cluster.crash(0);
    cluster.heal();
    let leader = cluster.await_leader(Some(0));
    assert!(!cluster.answers.contains_key(&token));
    let outcome = cluster.write(leader, add(1, "a", 5));
    assert_eq!(cluster.get(leader, "a"), Some(item("a", 5)));
    assert_eq!(outcome.size_after, cluster.write(leader, add(1, "a", 5)).size_after);
    assert_eq!(cluster.get(leader, "a"), Some(item("a", 5)));
}

/// "A new leader evaluates nothing before the first entry of its own term is applied."
#[test]
fn a_new_leader_evaluates_nothing_before_the_first_entry_of_its_own_term_is_applied() {
    let mut cluster = Cluster::with_partition(3, 3);
    // An entry that nobody but its followers knows to be replicated.
    cluster.cut.extend([(1, 0), (2, 0)]);
    cluster.send(0, put(1, "a", 1));
    cluster.settle();
    cluster.crash(0);
    cluster.heal();
    let leader = 'elected: loop {
        cluster.boot_ms += TICK_MS;
        (1..3).for_each(|node| cluster.step(node, Input::Tick));
        while cluster.round() {
            if let Some(leader) = cluster.leader() {
                break 'elected leader;
            }
        }
    };
    // What it sends arrives; that it did, it does not hear.
    cluster.cut.insert((3 - leader, leader));
    let token = cluster.send(leader, put_new(2, "a", 2));
    cluster.settle();
    assert!(!cluster.answers.contains_key(&token));
    cluster.heal();
    cluster.ticks(5);
    assert!(matches!(cluster.answers[&token], Err(PartitionError::Service(_))), "{:?}", cluster.answers[&token]);
}

/// "A failed condition waits for the commit of what made it fail."
#[test]
fn a_failed_condition_waits_for_the_commit_of_what_made_it_fail() {
    let mut cluster = Cluster::with_partition(3, 3);
    cluster.cut.extend([(1, 0), (2, 0)]);
    let first = cluster.send(0, put(1, "a", 1));
    cluster.flush(0);
    let second = cluster.send(0, put_new(2, "a", 2));
    cluster.settle();
    assert!(cluster.answers.is_empty());
    cluster.heal();
    cluster.ticks(3);
    assert!(cluster.answers[&first].is_ok());
    assert!(matches!(cluster.answers[&second], Err(PartitionError::Service(_))));
}

#[test]
fn a_failed_condition_of_a_leader_that_was_deposed_is_not_answered() {
    let mut cluster = Cluster::with_partition(3, 3);
    cluster.write(0, put(1, "a", 1));
    cluster.isolate(0);
    cluster.ticks(1);
    let token = cluster.send(0, put_new(2, "a", 2));
    cluster.settle();
    assert!(!cluster.answers.contains_key(&token));
    cluster.ticks(30);
    assert!(matches!(cluster.answers[&token], Err(PartitionError::Unknown { .. })));
}

#[test]
fn writes_of_one_round_share_an_entry_and_a_flush() {
    let mut cluster = Cluster::with_partition(1, 1);
    let before = cluster.report(0).unwrap().applied_index;
    let tokens: Vec<u64> = (0..50).map(|n| cluster.send(0, put(n, &format!("item-{n}"), 1))).collect();
    cluster.flush(0);
    assert!(tokens.iter().all(|token| cluster.answers[token].is_ok()));
    assert_eq!(cluster.report(0).unwrap().applied_index, before + 1);
    assert_eq!(cluster.report(0).unwrap().item_count, 50);
}

#[test]
fn what_was_acknowledged_is_there_after_all_nodes_lost_power() {
    let mut cluster = Cluster::with_partition(3, 3);
    for n in 0..20 {
        cluster.write(0, put(n, &format!("item-{n}"), n as i64));
    }
    (0..3).for_each(|node| cluster.crash(node));
    (0..3).for_each(|node| cluster.start(node));
    let leader = cluster.await_leader(None);
    for n in 0..20 {
        assert_eq!(cluster.get(leader, &format!("item-{n}")), Some(item(&format!("item-{n}"), n)));
    }
    match cluster.ask(leader, scan(None, true)) {
        Some(Ok(PartitionOutcome::Range(page))) => assert_eq!((page.count, page.last_evaluated_key), (20, None)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_request_under_another_epoch_or_for_another_partition_is_not_served() {
    let mut cluster = Cluster::with_partition(1, 1);
    let token = cluster.token();
    cluster.step(0, Input::Request { token, partition: PARTITION, epoch: 2, request: get("a", false) });
    cluster.settle();
    assert_eq!(cluster.answers[&token], Err(PartitionError::EpochMismatch { epoch: 1 }));
    let token = cluster.token();
    let partition = cairn_model::ids::PartitionId([9; 16]);
    cluster.step(0, Input::Request { token, partition, epoch: 1, request: get("a", false) });
    cluster.settle();
    assert_eq!(cluster.answers[&token], Err(PartitionError::UnknownPartition));
}
