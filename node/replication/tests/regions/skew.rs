//! Clocks that are wrong, by minutes and by days.

use crate::{
    requests::{add, delete, put},
    world::World,
};

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

fn skewed(offsets_ms: &[i64]) -> World {
    let mut world = World::new(offsets_ms.len(), 1, |_| {});
    for (cluster, offset) in world.clusters.iter_mut().zip(offsets_ms) {
        cluster.nodes[0].wall_offset_ms = *offset + 2 * DAY_MS;
    }
    world.ticks(30);
    world.join_all(1);
    world
}

#[test]
fn a_write_replaces_what_it_saw_though_its_clock_is_behind() {
    let mut world = skewed(&[5 * MINUTE_MS, 0]);
    world.write(0, put(1, "a", 1));
    world.write(0, put(2, "b", 1));
    world.write(0, delete(3, "b"));
    world.ship_all(3);
    world.write(1, add(4, "a", 10));
    world.write(1, put(5, "b", 2));
    world.ship_all(2);
    for region in 0..2 {
        assert_eq!((world.n(region, "a"), world.n(region, "b")), (Some(11), Some(2)), "region {region}");
    }
}

#[test]
fn a_clock_a_day_ahead_neither_poisons_the_table_nor_stops_the_stream_behind_it() {
    let mut world = skewed(&[DAY_MS, 0]);
    world.write(1, put(1, "a", 1));
    world.ship_all(3);
    world.write(0, put(2, "a", 2));
    world.write(0, put(3, "b", 3));
    world.ship_all(3);
    assert_eq!((world.n(1, "a"), world.n(1, "b")), (Some(1), None));
    assert_eq!(world.set_aside(1), 2);
    // The clock is set right, and another leader, that has never seen it wrong, goes on behind it.
    world.write(1, put(4, "c", 4));
    world.write(1, add(5, "a", 10));
    let stamped = world.version(1, "a").unwrap().version_time.millis();
    assert!(stamped < world.clusters[1].now(0).wall_ms + 1_000, "stamps here stay with the clock");
    world.ship_all(2);
    assert_eq!((world.n(0, "c"), world.n(0, "a")), (Some(4), Some(2)));
    // A day later its time has come.
    world.pass(DAY_MS as u64);
    world.ship_all(1);
    assert_eq!((world.n(1, "a"), world.n(1, "b")), (Some(2), Some(3)));
    world.settle();
    world.assert_converged();
}

#[test]
fn what_is_set_aside_and_lost_meanwhile_is_dropped_when_its_time_comes() {
    let mut world = skewed(&[DAY_MS, 0]);
    world.ship_all(3);
    world.write(0, put(1, "a", 1));
    world.ship_all(1);
    assert_eq!(world.set_aside(1), 1);
    world.clusters[1].nodes[0].wall_offset_ms += 2 * DAY_MS;
    world.write(1, put(2, "a", 2));
    world.ticks(20);
    assert_eq!((world.n(1, "a"), world.set_aside(1)), (Some(2), 0));
}

#[test]
fn a_tombstone_stays_while_an_older_version_is_set_aside_anywhere() {
    let mut world = skewed(&[0, 20 * MINUTE_MS]);
    world.ship_all(3);
    world.write(1, put(1, "a", 1));
    world.write(1, delete(2, "a"));
    world.ship_all(2);
    assert_eq!(world.set_aside(0), 2);
    world.settle();
    assert_eq!(world.tombstones(1), 1, "the east has not taken up what it has");
    world.pass(40 * MINUTE_MS as u64);
    world.settle();
    world.assert_converged();
}
