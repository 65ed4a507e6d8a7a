use crate::{
    cluster::Cluster,
    requests::{PARTITION, TABLE, definition, descriptor, item, node_id, put},
};
use cairn_model::{
    descriptor::MemberRole,
    ids::ReplicaId,
    node::{Order, OrderOutcome},
};
use cairn_replication::core::Input;

fn replace(replica: u64, node: usize) -> Order {
    Order::ReplaceReplica {
        partition_id: PARTITION,
        replace: ReplicaId(replica),
        node_id: node_id(node),
        zone: format!("zone-{node}"),
        address: format!("node-{node}:7400"),
    }
}

/// Orders it again and again, as the operator does.
fn replace_until_done(cluster: &mut Cluster, replica: u64, node: usize) {
    for _ in 0..50 {
        let leader = cluster.leader().unwrap();
        match cluster.order(leader, replace(replica, node)) {
            OrderOutcome::Done => return,
            OrderOutcome::InProgress { .. } | OrderOutcome::NotLeader { .. } => cluster.ticks(3),
            OrderOutcome::Refused { message } => panic!("{message}"),
        }
    }
    panic!("the replacement never ends: {:?}", cluster.report(0));
}

/// "The other members come to be by the first message addressed to them", and get the data by snapshot.
#[test]
fn members_come_to_be_by_the_first_message_to_them() {
    let mut cluster = Cluster::new(3);
    cluster.isolate(2);
    cluster.bootstrap(3);
    assert!(cluster.report(2).is_none());
    cluster.write(0, put(1, "a", 1));
    cluster.heal();
    cluster.ticks(5);
    assert_eq!(cluster.peek(2, "a"), Some(item("a", 1)));
    assert!(cluster.report(2).unwrap().caught_up);
}

#[test]
fn a_replica_on_a_lost_volume_is_replaced_on_another_node() {
    let mut cluster = Cluster::with_partition(4, 3);
    cluster.write(0, put(1, "a", 1));
    cluster.crash(2);
    replace_until_done(&mut cluster, 3, 3);
    cluster.ticks(5);
    let report = cluster.report(3).unwrap();
    assert_eq!(report.replica_id, ReplicaId(4));
    assert!(report.caught_up);
    assert!(report.descriptor.members.iter().all(|member| member.role == MemberRole::Voter));
    assert_eq!(cluster.peek(3, "a"), Some(item("a", 1)));
    // The new one counts: with it and one old one there is a quorum.
    cluster.crash(1);
    let leader = cluster.await_leader(None);
    cluster.write(leader, put(2, "a", 2));
}

#[test]
fn a_leader_that_is_to_be_replaced_hands_over_first() {
    let mut cluster = Cluster::with_partition(4, 3);
    cluster.write(0, put(1, "a", 1));
    replace_until_done(&mut cluster, 1, 3);
    cluster.ticks(20);
    assert_eq!(cluster.peek(3, "a"), Some(item("a", 1)));
    assert!(cluster.report(0).is_none(), "the one that was taken out is gone from its node");
}

#[test]
fn a_replica_that_missed_its_own_removal_learns_of_it() {
    let mut cluster = Cluster::with_partition(4, 3);
    cluster.crash(2);
    replace_until_done(&mut cluster, 3, 3);
    let term = cluster.report(0).unwrap().term;
    cluster.start(2);
    cluster.ticks(60);
    assert!(cluster.report(2).is_none());
    assert_eq!(cluster.report(0).unwrap().term, term, "and disturbs nobody");
}

/// "A member is a replica id, never used twice": what was dropped from a node does not come back by a message.
#[test]
fn a_dropped_replica_is_never_made_again_under_the_same_id() {
    let mut cluster = Cluster::with_partition(3, 3);
    let order = Order::DropPartition { partition_id: PARTITION, table_id: TABLE, deleted_at_ms: None };
    assert_eq!(cluster.order(2, order), OrderOutcome::Done);
    cluster.ticks(30);
    assert!(cluster.report(2).is_none());
    // In its place on the same node comes one with another id.
    replace_until_done(&mut cluster, 3, 2);
    cluster.ticks(5);
    assert_eq!(cluster.replica_id(2), ReplicaId(4));
}

/// A table that comes back, resource and status, while its data is being dropped is healed with what is left of it.
#[test]
fn a_replica_with_a_new_id_may_come_to_a_node_that_was_told_to_drop_what_it_did_not_hold() {
    let mut cluster = Cluster::with_partition(4, 3);
    let order = Order::DropPartition { partition_id: PARTITION, table_id: TABLE, deleted_at_ms: None };
    assert_eq!(cluster.order(3, order), OrderOutcome::Done);
    replace_until_done(&mut cluster, 3, 3);
    cluster.ticks(5);
    assert_eq!(cluster.replica_id(3), ReplicaId(4));
}

#[test]
fn the_replacement_of_a_replica_never_leaves_less_than_a_quorum_that_answers() {
    let mut cluster = Cluster::with_partition(4, 3);
    cluster.crash(1);
    cluster.ticks(15);
    let leader = cluster.leader().unwrap();
    let outcome = cluster.order(leader, replace(3, 3));
    assert!(matches!(outcome, OrderOutcome::InProgress { .. }), "{outcome:?}");
    assert_eq!(cluster.report(leader).unwrap().descriptor.epoch, 1);
}

#[test]
fn the_only_replica_is_not_replaced() {
    let mut cluster = Cluster::with_partition(2, 1);
    assert!(matches!(cluster.order(0, replace(1, 1)), OrderOutcome::Refused { .. }));
}

#[test]
fn writes_go_on_while_members_change() {
    let mut cluster = Cluster::with_partition(4, 3);
    cluster.crash(2);
    let mut number = 0;
    for _ in 0..50 {
        let leader = cluster.leader().unwrap();
        number += 1;
        cluster.write(leader, put(number, "a", number as i64));
        if cluster.order(leader, replace(3, 3)) == OrderOutcome::Done {
            break;
        }
        cluster.ticks(1);
    }
    cluster.ticks(5);
    assert_eq!(cluster.peek(3, "a"), Some(item("a", number as i64)));
}

/// One recorded node initialises; if its volume is lost at once, with its vote asked for and nothing else, the others are
/// as good as it was.
#[test]
fn a_partition_outlives_the_node_that_initialised_it_from_its_first_moment_on() {
    let mut cluster = Cluster::new(3);
    let token = cluster.token();
    let order = Order::Bootstrap { descriptor: descriptor(3), definition: definition() };
    cluster.step(0, Input::Order { token, order });
    cluster.round();
    cluster.crash(0);
    let leader = cluster.await_leader(Some(0));
    cluster.write(leader, put(1, "a", 1));
}
