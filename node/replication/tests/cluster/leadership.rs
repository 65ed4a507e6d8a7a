use crate::{
    cluster::Cluster,
    requests::{item, put},
};
use cairn_model::node::ReplicaState;
use cairn_replication::operation::PartitionError;

#[test]
fn the_node_that_initialises_leads_at_once_and_alone_if_it_is_alone() {
    let mut cluster = Cluster::with_partition(1, 1);
    cluster.write(0, put(1, "a", 1));
    assert_eq!(cluster.get(0, "a"), Some(item("a", 1)));
}

#[test]
fn writes_go_on_within_five_seconds_after_the_leader_died() {
    let mut cluster = Cluster::with_partition(3, 3);
    cluster.write(0, put(1, "a", 1));
    cluster.crash(0);
    let before_ms = cluster.boot_ms;
    let leader = cluster.await_leader(Some(0));
    cluster.write(leader, put(2, "a", 2));
    assert!(cluster.boot_ms - before_ms < 5_000, "{} ms", cluster.boot_ms - before_ms);
    cluster.start(0);
    cluster.ticks(10);
    assert_eq!(cluster.peek(0, "a"), Some(item("a", 2)));
}

/// "A node never leads in a term it led before a restart."
#[test]
fn a_node_never_leads_in_a_term_it_led_before_a_restart() {
    for voters in [1, 3] {
        let mut cluster = Cluster::with_partition(3, voters);
        let mut led = 0;
        for round in 0..5 {
            let term = cluster.report(0).unwrap().term;
            if cluster.leader() == Some(0) {
                assert!(term > led, "term {term} again after a restart");
                led = term;
            }
            // Replicated perhaps, but not flushed here.
            cluster.send(0, put(round, "a", round as i64));
            cluster.crash(0);
            cluster.start(0);
            cluster.ticks(40);
        }
    }
}

/// The same where a term is led for the first time and nothing of it was flushed: nobody may have heard of it.
#[test]
fn a_leaders_first_words_wait_for_its_vote() {
    let mut cluster = Cluster::with_partition(1, 1);
    let term = cluster.report(0).unwrap().term;
    cluster.crash(0);
    cluster.start(0);
    assert_eq!(cluster.report(0).unwrap().term, term);
    cluster.ticks(30);
    assert_eq!(cluster.leader(), Some(0));
    assert!(cluster.report(0).unwrap().term > term);
}

#[test]
fn a_follower_names_the_leader() {
    let mut cluster = Cluster::with_partition(3, 3);
    match cluster.ask(1, put(1, "a", 1)) {
        Some(Err(PartitionError::NotLeader { leader: Some(leader) })) => assert_eq!(leader.address, "node-0:7400"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_leader_without_a_quorum_steps_down_and_answers_nothing() {
    let mut cluster = Cluster::with_partition(3, 3);
    cluster.isolate(0);
    let token = cluster.send(0, put(1, "a", 1));
    cluster.ticks(3);
    assert!(!cluster.answers.contains_key(&token));
    cluster.ticks(30);
    assert_ne!(cluster.report(0).unwrap().state, ReplicaState::Leader);
    assert!(matches!(cluster.answers[&token], Err(PartitionError::Unknown { .. })));
}

#[test]
fn a_node_that_was_away_does_not_disturb_the_leader() {
    let mut cluster = Cluster::with_partition(3, 3);
    let term = cluster.report(0).unwrap().term;
    cluster.isolate(2);
    cluster.ticks(50);
    cluster.heal();
    cluster.ticks(20);
    assert_eq!(cluster.leader(), Some(0));
    assert_eq!(cluster.report(0).unwrap().term, term);
}

#[test]
fn handing_over_moves_leadership_without_waiting_for_a_timeout() {
    let mut cluster = Cluster::with_partition(3, 3);
    cluster.write(0, put(1, "a", 1));
    cluster.step(0, cairn_replication::core::Input::HandOver);
    cluster.settle();
    assert!(matches!(cluster.leader(), Some(1 | 2)));
}
