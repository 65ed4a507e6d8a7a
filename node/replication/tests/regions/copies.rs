//! Where the log is not enough, a region gets a copy, while writes go on.

use crate::{
    requests::{delete, put, put_large},
    world::{NAMES, World},
};
use cairn_replication::{
    CoreConfig, Metrics,
    global::{BatchBody, OutboundError},
};

fn short_log(config: &mut CoreConfig) {
    config.log_entries_kept = 8;
    config.persist_bytes = 1;
    config.log_bytes_held = 2 << 20;
}

#[test]
fn a_region_that_joins_a_table_with_data_gets_it_while_writes_go_on() {
    let mut world = World::new(2, 1, short_log);
    for n in 0..60 {
        world.write(0, put(n, &format!("item-{n}"), n as i64));
    }
    world.ticks(20);
    world.join_all(1);
    for n in 0..60 {
        world.ship(0, 1, 100);
        world.ship(1, 0, 100);
        // Behind where the copy is, and before.
        world.write(0, put(1_000 + n, &format!("item-{}", n % 7), 100));
        world.write(0, delete(2_000 + n, &format!("item-{}", 20 + n % 9)));
        world.ticks(1);
    }
    world.ship_all(3);
    assert_eq!(world.contents(0), world.contents(1));
    assert_eq!(world.contents(0).len(), 60 - 9);
    world.settle();
    world.assert_converged();
}

#[test]
fn a_copy_goes_on_where_it_was_after_its_receiver_crashed() {
    let mut world = World::new(2, 1, short_log);
    for n in 0..60 {
        world.write(0, put(n, &format!("item-{n}"), n as i64));
    }
    world.join_all(1);
    let mut pages = 0;
    while world.contents(1).len() < 30 {
        world.ship(0, 1, 300);
        pages += 1;
        assert!(pages < 100, "the copy gets nowhere");
    }
    let before = world.readers[&(0, 1)].copy.clone().unwrap();
    world.clusters[1].crash(0);
    world.clusters[1].start(0);
    world.clusters[1].await_leader(None);
    world.readers.remove(&(0, 1));
    world.ship(0, 1, 300);
    assert_eq!(world.readers[&(0, 1)].copy, Some(before));
    for _ in 0..pages + 10 {
        world.ship(0, 1, 300);
    }
    world.settle();
    world.assert_converged();
}

#[test]
fn a_region_that_was_away_for_longer_than_the_log_is_held_gets_a_copy() {
    let mut world = World::new(2, 1, short_log);
    world.join_all(1);
    world.write(0, put(1, "gone", 1));
    world.settle();
    world.cut.extend([(0, 1), (1, 0)]);
    world.write(0, delete(2, "gone"));
    for n in 0..20 {
        world.write(0, put_large(100 + n, &format!("large-{n}"), 300 << 10));
        world.ticks(3);
    }
    world.cut.clear();
    let batch = world.batch(0, 1, 1 << 20).unwrap();
    assert!(matches!(batch.body, BatchBody::Copy { .. }), "the log was kept for it");
    for _ in 0..20 {
        world.ship(0, 1, 1 << 20);
    }
    assert_eq!(world.n(1, "gone"), None, "tombstones are copied too");
    assert_eq!(world.contents(1).len(), 20);
    world.settle();
    world.assert_converged();
}

#[test]
fn the_log_is_held_for_a_region_that_is_away() {
    let mut world = World::new(2, 1, short_log);
    world.join_all(1);
    world.settle();
    world.cut.extend([(0, 1), (1, 0)]);
    for n in 0..60 {
        world.write(0, put(n, "a", n as i64));
        world.ticks(1);
    }
    let batch = world.batch(0, 1, 1 << 20).unwrap();
    assert!(matches!(batch.body, BatchBody::Changes { .. }), "the log was cut");
    world.settle();
    world.assert_converged();
}

#[test]
fn a_page_that_comes_late_or_again_changes_nothing() {
    let mut world = World::new(2, 1, short_log);
    world.write(0, put(1, "a", 1));
    world.join_all(1);
    let page = world.batch(0, 1, 1 << 20).unwrap();
    assert!(matches!(page.body, BatchBody::Copy { .. }));
    world.deliver(1, &page).unwrap();
    world.write(0, delete(2, "a"));
    world.settle();
    world.assert_converged();
    let reader = world.deliver(1, &page).unwrap();
    assert_eq!((world.n(1, "a"), reader.copy), (None, None), "in {}", NAMES[1]);
    world.assert_converged();
}

#[test]
fn a_place_in_a_copy_that_no_copy_has_is_refused() {
    let mut world = World::new(2, 1, short_log);
    for n in 0..60 {
        world.write(0, put(n, &format!("item-{n}"), n as i64));
    }
    world.join_all(1);
    while world.readers.get(&(0, 1)).is_none_or(|reader| reader.copy.is_none()) {
        world.ship(0, 1, 300);
    }
    let long = [&[2][..], &[7; 70_000]].concat();
    for damaged in [vec![0, 7], vec![4, 7], long] {
        world.readers.get_mut(&(0, 1)).unwrap().copy.as_mut().unwrap().after = damaged.into();
        assert!(matches!(world.batch(0, 1, 300), Err(OutboundError::DamagedPlace)));
    }
}

#[test]
fn a_log_that_goes_before_a_region_has_read_it_is_counted_once() {
    let metrics = Metrics::new().unwrap();
    let registry = prometheus::Registry::new();
    metrics.register(&registry).unwrap();
    let given_up = || {
        let families = registry.gather();
        let family = families.iter().find(|family| family.name() == "cairn_log_given_up_to_regions_total").unwrap();
        family.get_metric()[0].get_counter().get_value()
    };
    let mut world = World::new(2, 1, move |config| {
        short_log(config);
        config.metrics = Some(metrics.clone());
    });
    world.join_all(1);
    world.settle();
    assert_eq!(given_up(), 0.0);
    world.cut.extend([(0, 1), (1, 0)]);
    for n in 0..30 {
        world.write(0, put_large(100 + n, &format!("large-{n}"), 300 << 10));
        world.ticks(3);
    }
    assert_eq!(given_up(), 1.0, "it goes on to be given up");
}
