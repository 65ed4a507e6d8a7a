use crate::{
    cluster::Cluster,
    requests::{item, put, put_large},
};

fn small_log(config: &mut cairn_replication::CoreConfig) {
    config.log_entries_kept = 8;
    config.persist_bytes = 1;
    config.snapshot_chunks_in_flight_max = 2;
}

fn filled(entries: u64) -> Cluster {
    let mut cluster = Cluster::configured(3, small_log);
    cluster.bootstrap(3);
    cluster.isolate(2);
    for n in 0..entries {
        cluster.write(0, put(n, &format!("item-{n}"), n as i64));
    }
    cluster
}

#[test]
fn a_follower_past_the_end_of_the_log_gets_a_snapshot() {
    let mut cluster = filled(100);
    cluster.heal();
    cluster.ticks(20);
    for n in 0..100 {
        assert_eq!(cluster.peek(2, &format!("item-{n}")), Some(item(&format!("item-{n}"), n)), "item {n}");
    }
    assert!(cluster.report(2).unwrap().caught_up);
    cluster.write(0, put(1_000, "after", 1));
    cluster.ticks(3);
    assert_eq!(cluster.peek(2, "after"), Some(item("after", 1)));
}

#[test]
fn a_snapshot_of_many_chunks_survives_lost_frames() {
    let mut cluster = filled(20);
    for n in 0..30 {
        cluster.write(0, put_large(100 + n, &format!("large-{n}"), 100 * 1024));
    }
    cluster.heal();
    for round in 0..60 {
        if round % 3 == 1 {
            cluster.cut.insert((0, 2));
        } else {
            cluster.heal();
        }
        cluster.ticks(2);
    }
    cluster.heal();
    cluster.ticks(20);
    assert!(cluster.peek(2, "large-29").is_some());
    assert_eq!(cluster.report(0).unwrap().item_count, cluster.report(2).unwrap().item_count);
}

#[test]
fn a_snapshot_cut_off_by_a_crash_of_either_side_is_begun_again() {
    for victim in [0, 2] {
        let mut cluster = filled(20);
        for n in 0..30 {
            cluster.write(0, put_large(100 + n, &format!("large-{n}"), 100 * 1024));
        }
        cluster.heal();
        cluster.cut.insert((2, 0));
        cluster.ticks(3);
        cluster.crash(victim);
        cluster.heal();
        cluster.start(victim);
        cluster.await_leader(None);
        cluster.ticks(40);
        assert!(cluster.peek(2, "large-29").is_some(), "after a crash of node {victim}");
    }
}

#[test]
fn an_installed_snapshot_is_there_after_a_crash() {
    let mut cluster = filled(100);
    cluster.heal();
    cluster.ticks(20);
    let applied = cluster.report(2).unwrap().applied_index;
    cluster.crash(2);
    cluster.start(2);
    let report = cluster.report(2).unwrap();
    assert!(report.applied_index >= applied - 8, "{report:?}");
    cluster.ticks(10);
    assert_eq!(cluster.peek(2, "item-99"), Some(item("item-99", 99)));
}

/// "Purge the log only below an index that fjall has persisted."
#[test]
fn the_log_is_cut_only_below_what_the_engine_has_persisted() {
    let mut cluster = Cluster::configured(1, |config| {
        config.log_entries_kept = 8;
        config.persist_bytes = u64::MAX;
        config.persist_interval_ms = u64::MAX;
    });
    cluster.bootstrap(1);
    for n in 0..100 {
        cluster.write(0, put(n, &format!("item-{n}"), n as i64));
    }
    cluster.ticks(50);
    // Never persisted: all of it comes back from the log.
    cluster.crash(0);
    cluster.start(0);
    cluster.await_leader(None);
    for n in 0..100 {
        assert_eq!(cluster.peek(0, &format!("item-{n}")), Some(item(&format!("item-{n}"), n)));
    }
}
