use crate::{
    cluster::{Cluster, TICK_MS},
    requests::{self, PARTITION, definition, put},
};
use cairn_model::{
    ids::TableId,
    node::{Order, OrderOutcome},
    table::ContinuousBackups,
    time::Timestamp,
};
use cairn_replication::{
    CoreConfig, Metrics, ShortOfRoom,
    core::{Claim, Input},
    log::LogStore,
    operation::{PartitionError, PartitionOutcome, PartitionRequest},
    restore::entry_time,
    transaction::{
        Idempotency, Participant, TransactAction, TransactOutcome, TransactRequest, TransactStep, TransactWrite,
        TransactionId,
    },
};

fn last_index(cluster: &Cluster, node: usize) -> u64 {
    cluster.committed(node).last().unwrap().index
}

/// The time of the last entry, which must be behind the claim.
fn time_behind(cluster: &Cluster, node: usize, claim: Claim) -> Timestamp {
    let last = cluster.committed(node).pop().unwrap();
    assert!(last.index > claim.index);
    entry_time(&last).unwrap()
}

#[test]
fn a_leader_stamps_above_what_it_closed_wherever_its_clock_goes() {
    let mut cluster = Cluster::with_partition(1, 1);
    cluster.ticks(100);
    let token = cluster.close(0);
    let claim = cluster.claims[&token].clone().unwrap();
    cluster.nodes[0].wall_offset_ms -= 3_600_000;
    cluster.write(0, put(1, "a", 1));
    assert!(time_behind(&cluster, 0, claim) > claim.time);
}

#[test]
fn a_later_leader_whose_clock_is_behind_stamps_above_what_was_closed() {
    let mut cluster = Cluster::with_partition(3, 3);
    for (node, offset_ms) in [(0, 240), (1, -240), (2, -240)] {
        cluster.nodes[node].wall_offset_ms = offset_ms;
    }
    cluster.ticks(100);
    let token = cluster.close(0);
    let claim = cluster.claims[&token].clone().unwrap();
    cluster.step(0, Input::HandOver);
    cluster.settle();
    let leader = cluster.leader().unwrap();
    assert_ne!(leader, 0);
    cluster.write(leader, put(1, "a", 1));
    assert!(time_behind(&cluster, leader, claim) > claim.time);
}

#[test]
fn times_closed_go_on_while_nothing_is_written() {
    let mut cluster = Cluster::with_partition(3, 3);
    let mut times = Vec::new();
    for _ in 0..3 {
        cluster.ticks(10);
        let token = cluster.close(0);
        times.push(cluster.claims[&token].clone().unwrap().time.millis());
    }
    assert_eq!([times[1] - times[0], times[2] - times[1]], [10 * TICK_MS; 2]);
}

#[test]
fn a_claim_waits_for_what_was_stamped_before_it() {
    let mut cluster = Cluster::with_partition(3, 3);
    cluster.ticks(5);
    let before = last_index(&cluster, 0);
    cluster.isolate(0);
    let write = cluster.send(0, put(1, "a", 1));
    cluster.flush(0);
    let token = cluster.close(0);
    assert!(!cluster.claims.contains_key(&token));
    cluster.heal();
    cluster.ticks(3);
    assert!(cluster.answers[&write].is_ok());
    assert_eq!(cluster.claims[&token].clone().unwrap().index, before + 1);
}

#[test]
fn a_leader_that_was_deposed_closes_nothing() {
    let mut cluster = Cluster::with_partition(3, 3);
    cluster.isolate(0);
    cluster.ticks(1);
    let token = cluster.close(0);
    cluster.ticks(30);
    assert!(matches!(cluster.claims[&token], Err(PartitionError::NotLeader { .. })), "{:?}", cluster.claims[&token]);
}

#[test]
fn a_follower_closes_nothing() {
    let mut cluster = Cluster::with_partition(3, 3);
    let token = cluster.close(1);
    assert!(matches!(cluster.claims[&token], Err(PartitionError::NotLeader { .. })));
}

/// A step of a transaction of which another table is the primary.
fn step(cluster: &mut Cluster, node: usize, number: u64, step: TransactStep) -> TransactOutcome {
    let request_id = requests::request_id(number);
    let request = TransactRequest { request_id, transaction: TransactionId([7; 16]), step };
    match cluster.ask(node, PartitionRequest::Transact(request)).unwrap() {
        Ok(PartitionOutcome::Transact(outcome)) => outcome,
        other => panic!("{other:?}"),
    }
}

fn prepares(cluster: &Cluster, node: usize) -> TransactStep {
    let PartitionRequest::Write(write) = put(0, "a", 1) else { panic!("no write") };
    let participants =
        [TableId([0; 16]), requests::TABLE].map(|table_id| Participant { table_id, key: write.key.clone() });
    TransactStep::Prepare(TransactWrite {
        idempotency: Idempotency { token: [1; 16], parameters: [1; 16] },
        actions: vec![TransactAction::Write(write)],
        participants: participants.to_vec(),
        begun_ms: cluster.now(node).wall_ms,
    })
}

#[test]
fn a_claim_stays_below_what_is_prepared_until_that_has_ended_whoever_leads() {
    let mut cluster = Cluster::with_partition(3, 3);
    cluster.ticks(30);
    let prepare = prepares(&cluster, 0);
    let prepared = step(&mut cluster, 0, 1, prepare);
    let TransactOutcome::PreparedAt { prepared_at, .. } = prepared else { panic!("{prepared:?}") };
    let claim = |cluster: &mut Cluster, node| {
        cluster.ticks(60);
        let token = cluster.close(node);
        cluster.claims[&token].clone().unwrap()
    };
    let held = claim(&mut cluster, 0);
    assert!(held.time < prepared_at && held.time.millis() + 1 >= prepared_at.millis());
    assert_eq!(claim(&mut cluster, 0).time, held.time);
    cluster.crash(0);
    let leader = cluster.await_leader(Some(0));
    cluster.ticks(30);
    assert_eq!(claim(&mut cluster, leader).time, held.time);
    let decided_at = Timestamp(prepared_at.0 + 1);
    let committed = step(&mut cluster, leader, 2, TransactStep::CommitDecided { decided_at });
    assert!(matches!(committed, TransactOutcome::CommittedAt { .. }));
    let last = last_index(&cluster, leader);
    let claim = claim(&mut cluster, leader);
    assert!(claim.time > decided_at && claim.index >= last);
}

fn archived_log(config: &mut CoreConfig) {
    config.log_entries_kept = 8;
    config.persist_bytes = 1;
    config.has_archive = true;
    config.log_bytes_held = 4 << 20;
}

/// A partition whose table has continuous backups on.
fn with_backups(voters: usize) -> Cluster {
    with_backups_and(voters, |_| ())
}

fn with_backups_and(voters: usize, configure: impl Fn(&mut CoreConfig) + 'static) -> Cluster {
    let mut cluster = Cluster::configured(voters, move |config| {
        archived_log(config);
        configure(config);
    });
    cluster.bootstrap(voters);
    let mut definition = definition();
    definition.schema_version = 2;
    definition.continuous_backups = Some(ContinuousBackups { recovery_period_days: 35, enabled_at_ms: 1 });
    let order = Order::UpdateDefinition { partition_id: PARTITION, definition };
    assert_eq!(cluster.order(0, order), OrderOutcome::Done);
    cluster
}

fn log_start(cluster: &Cluster, node: usize) -> u64 {
    let replica = cluster.nodes[node].engine.as_ref().unwrap().replica(PARTITION).unwrap();
    cluster.nodes[node].log.state(replica.log_id).unwrap().start.index
}

#[test]
fn the_log_is_kept_until_the_archive_has_it() {
    let mut cluster = with_backups(3);
    for n in 0..100 {
        cluster.write(0, put(n, "a", 1));
    }
    cluster.ticks(3);
    for node in 0..3 {
        let kept = log_start(&cluster, node);
        assert!(kept < 10, "{kept}");
    }
    // The leader's archive took them; the others hear of it.
    cluster.step(0, Input::Archived { partition: PARTITION, index: 60 });
    cluster.ticks(3);
    cluster.write(0, put(100, "a", 1));
    cluster.ticks(3);
    assert_eq!([0, 1, 2].map(|node| log_start(&cluster, node)), [60; 3]);
}

#[test]
fn what_was_held_before_a_restart_counts_against_the_limit() {
    let mut cluster = with_backups(1);
    for round in 0..2 {
        for n in 0..11 {
            cluster.write(0, requests::put_large(round * 100 + n, "a", 300 << 10));
        }
        cluster.ticks(3);
        cluster.crash(0);
        cluster.start(0);
        cluster.await_leader(None);
    }
    cluster.write(0, put(1_000, "b", 1));
    cluster.ticks(3);
    let start = log_start(&cluster, 0);
    assert!(start > 5, "it is held from {start} on: more than six MiB, where four are allowed");
}

#[test]
fn an_archive_that_takes_nothing_does_not_fill_the_disk() {
    let mut cluster = with_backups(1);
    for n in 0..40 {
        cluster.write(0, requests::put_large(n, "a", 300 << 10));
    }
    cluster.ticks(3);
    let start = log_start(&cluster, 0);
    assert!((20..35).contains(&start), "4 MiB are kept, those of 13 entries: it starts at {start}");
}

#[test]
fn a_volume_that_is_short_of_room_holds_no_log_for_the_archive_until_it_has_some_again() {
    let short = ShortOfRoom::default();
    let of_node = short.clone();
    let mut cluster = with_backups_and(1, move |config| {
        config.log_bytes_kept = 1 << 20;
        config.log_entries_kept = 1_000;
        config.short_of_room = of_node.clone();
    });
    let mut start_after = |is_short, from| {
        short.set(is_short);
        for n in from..from + 10 {
            cluster.write(0, requests::put_large(n, "a", 300 << 10));
        }
        cluster.ticks(3);
        log_start(&cluster, 0)
    };
    assert!(start_after(false, 0) < 5);
    let start = start_after(true, 10);
    assert!((17..25).contains(&start), "1 MiB is kept, that of three entries: it starts at {start}");
    assert_eq!(start_after(false, 20), start, "as much as is held fits again");
}

#[test]
fn a_replica_tells_how_much_of_its_log_the_archive_does_not_have() {
    let mut cluster = with_backups(3);
    for n in 0..20 {
        cluster.write(0, requests::put_large(n, "a", 100 << 10));
    }
    cluster.ticks(3);
    let unarchived = |cluster: &Cluster, node| cluster.report(node).unwrap().unarchived_bytes >> 10;
    for node in 0..3 {
        let kib = unarchived(&cluster, node);
        assert!((2_000..2_100).contains(&kib), "node {node}: {kib} KiB, where it is 20 times 100");
    }
    let last = last_index(&cluster, 0);
    cluster.step(0, Input::Archived { partition: PARTITION, index: last - 5 });
    cluster.ticks(3);
    assert!(
        (450..600).contains(&unarchived(&cluster, 0)),
        "{} KiB, where it is five times 100",
        unarchived(&cluster, 0)
    );
    cluster.step(0, Input::Archived { partition: PARTITION, index: last });
    cluster.ticks(30);
    assert_eq!([0, 1, 2].map(|node| cluster.report(node).unwrap().unarchived_bytes), [0; 3]);
}

#[test]
fn a_log_of_which_nothing_is_archived_has_nothing_that_the_archive_lacks() {
    let mut cluster = Cluster::configured(1, archived_log);
    cluster.bootstrap(1);
    cluster.write(0, put(1, "a", 1));
    assert_eq!(cluster.report(0).unwrap().unarchived_bytes, 0, "its continuous backups are off");
}

#[test]
fn a_log_that_goes_before_the_archive_has_it_is_counted_once() {
    let metrics = Metrics::new().unwrap();
    let registry = prometheus::Registry::new();
    metrics.register(&registry).unwrap();
    let given_up = || {
        let families = registry.gather();
        let family = families.iter().find(|family| family.name() == "cairn_log_given_up_total").unwrap();
        family.get_metric()[0].get_counter().get_value()
    };
    let mut cluster = with_backups_and(1, move |config| config.metrics = Some(metrics.clone()));
    let write = |cluster: &mut Cluster, numbers: std::ops::Range<u64>| {
        for n in numbers {
            cluster.write(0, requests::put_large(n, "a", 300 << 10));
        }
        cluster.ticks(3);
    };
    write(&mut cluster, 0..10);
    assert_eq!(given_up(), 0.0);
    write(&mut cluster, 10..40);
    write(&mut cluster, 40..60);
    assert_eq!(given_up(), 1.0, "it goes on to be given up");
    let last = last_index(&cluster, 0);
    cluster.step(0, Input::Archived { partition: PARTITION, index: last });
    write(&mut cluster, 60..70);
    assert_eq!(given_up(), 1.0, "the archive began anew");
}
