use crate::{
    cluster::Cluster,
    requests::{PARTITION, item, node_id, put},
};
use cairn_engine::MemoryStore;
use cairn_model::{
    ids::ReplicaId,
    node::{Order, OrderOutcome, ReplicaState},
};
use cairn_replication::operation::PartitionError;

fn damage_reason(cluster: &Cluster, node: usize) -> String {
    match cluster.report(node).unwrap().state {
        ReplicaState::Damaged(reason) => reason,
        other => panic!("not damaged: {other:?}"),
    }
}

/// "Anything else makes the replica a non-voter that says so and is rebuilt from its peers."
#[test]
fn a_replica_whose_log_lost_synced_entries_neither_votes_nor_serves_and_is_rebuilt() {
    let mut cluster = Cluster::with_partition(3, 3);
    for n in 0..10 {
        cluster.write(0, put(n, "a", n as i64));
    }
    cluster.ticks(3);
    cluster.crash(2);
    // Another disk's log: as if synced writes had been lost.
    cluster.nodes[2].log = Default::default();
    cluster.start(2);
    assert!(damage_reason(&cluster, 2).contains("log"));
    assert_eq!(cluster.ask(2, crate::requests::get("a", false)), Some(Err(PartitionError::NotLeader { leader: None })));
    // It does not vote: with one more gone there is no quorum.
    cluster.crash(0);
    cluster.ticks(60);
    assert_eq!(cluster.leader(), None);
    cluster.start(0);
    let leader = cluster.await_leader(None);
    // Under its old id it stays damaged, restarts or not; in its place comes another.
    cluster.crash(2);
    cluster.start(2);
    damage_reason(&cluster, 2);
    for _ in 0..30 {
        let order = Order::ReplaceReplica {
            partition_id: PARTITION,
            replace: ReplicaId(3),
            node_id: node_id(2),
            zone: "zone-2".into(),
            address: "node-2:7400".into(),
        };
        if cluster.order(leader, order) == OrderOutcome::Done {
            break;
        }
        cluster.ticks(3);
    }
    cluster.ticks(5);
    assert_eq!(cluster.replica_id(2), ReplicaId(4));
    assert_eq!(cluster.peek(2, "a"), Some(item("a", 9)));
}

#[test]
fn a_damaged_only_replica_stays_refused_and_says_why() {
    let mut cluster = Cluster::with_partition(1, 1);
    cluster.write(0, put(1, "a", 1));
    cluster.crash(0);
    cluster.nodes[0].log = Default::default();
    cluster.start(0);
    let reason = damage_reason(&cluster, 0);
    let order = Order::UpdateDefinition { partition_id: PARTITION, definition: crate::requests::definition() };
    match cluster.order(0, order) {
        OrderOutcome::Refused { message } => assert!(message.contains(&reason), "{message}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_emptied_volume_under_the_same_node_id_is_not_taken_for_the_replica_that_was_there() {
    let mut cluster = Cluster::with_partition(3, 3);
    for n in 0..10 {
        cluster.write(0, put(n, "a", n as i64));
    }
    cluster.crash(2);
    cluster.nodes[2].store = MemoryStore::default();
    cluster.start(2);
    // The log of the old replica is no log of a new one's; what comes to be gets its data by snapshot or is damaged.
    cluster.ticks(20);
    let held = cluster.report(2).map(|report| (report.state.clone(), report.applied_index));
    assert!(
        matches!(held, None | Some((ReplicaState::Damaged(_), _))) || cluster.peek(2, "a") == Some(item("a", 9)),
        "{held:?}"
    );
}
