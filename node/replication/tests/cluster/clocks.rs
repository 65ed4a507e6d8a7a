use crate::{
    cluster::Cluster,
    requests::{item, put},
};
use cairn_replication::operation::PartitionError;

/// "A leader stamps only while its clock agrees with a quorum's within 500 ms, and otherwise gives its leadership away."
#[test]
fn a_leader_whose_clock_left_the_quorums_stamps_nothing_and_gives_its_leadership_away() {
    let mut cluster = Cluster::with_partition(3, 3);
    cluster.write(0, put(1, "a", 1));
    cluster.nodes[0].wall_offset_ms = 60_000;
    let token = cluster.send(0, put(2, "a", 2));
    cluster.flush(0);
    assert_eq!(cluster.answers[&token], Err(PartitionError::NotLeader { leader: None }));
    cluster.ticks(5);
    let leader = cluster.leader().unwrap();
    assert_ne!(leader, 0);
    cluster.write(leader, put(3, "a", 3));
    assert_eq!(cluster.get(leader, "a"), Some(item("a", 3)));
}

#[test]
fn a_leader_within_500_ms_of_one_other_goes_on() {
    let mut cluster = Cluster::with_partition(3, 3);
    cluster.nodes[1].wall_offset_ms = 400;
    cluster.nodes[2].wall_offset_ms = 60_000;
    cluster.ticks(20);
    assert_eq!(cluster.leader(), Some(0));
    cluster.write(0, put(1, "a", 1));
}

#[test]
fn a_leader_that_agrees_with_nobody_stamps_nothing() {
    let mut cluster = Cluster::with_partition(3, 3);
    cluster.nodes[1].wall_offset_ms = 60_000;
    cluster.nodes[2].wall_offset_ms = -60_000;
    cluster.ticks(20);
    let leader = cluster.leader().unwrap();
    let answer = cluster.ask(leader, put(1, "a", 1));
    assert_eq!(answer, Some(Err(PartitionError::NotLeader { leader: None })));
    cluster.nodes[1].wall_offset_ms = 0;
    cluster.nodes[2].wall_offset_ms = 0;
    cluster.ticks(15);
    let leader = cluster.leader().unwrap();
    cluster.write(leader, put(2, "a", 2));
}

#[test]
fn a_single_voter_needs_to_agree_with_nobody() {
    let mut cluster = Cluster::with_partition(1, 1);
    cluster.nodes[0].wall_offset_ms = -900_000;
    cluster.write(0, put(1, "a", 1));
}
