//! What is written in one region is there in the others, whichever way it comes, and the later version counts.

use crate::{
    requests::{add, delete, put, put_new},
    world::World,
};
use cairn_replication::operation::PartitionError;

#[test]
fn what_is_written_here_is_read_there() {
    let mut world = World::global(2);
    world.write(0, put(1, "a", 1));
    world.write(1, put(2, "b", 2));
    world.ship_all(3);
    for region in 0..2 {
        assert_eq!((world.n(region, "a"), world.n(region, "b")), (Some(1), Some(2)));
    }
    world.write(1, add(3, "a", 10));
    world.write(0, delete(4, "b"));
    world.ship_all(2);
    for region in 0..2 {
        assert_eq!((world.n(region, "a"), world.n(region, "b")), (Some(11), None));
    }
    world.settle();
    world.assert_converged();
}

#[test]
fn of_two_writes_of_one_item_the_later_counts_everywhere() {
    let mut world = World::global(2);
    world.ship_all(3);
    world.write(0, put(1, "a", 1));
    world.ticks(5);
    world.write(1, put(2, "a", 2));
    world.ship_all(2);
    assert_eq!((world.n(0, "a"), world.n(1, "a")), (Some(2), Some(2)));
}

#[test]
fn of_two_writes_of_one_time_that_of_the_region_with_the_later_name_counts() {
    let mut world = World::global(2);
    world.ship_all(3);
    world.write(1, put(1, "a", 1));
    world.write(0, put(2, "a", 2));
    let times = [0, 1].map(|region| world.version(region, "a").unwrap().version_time);
    assert_eq!(times[0], times[1], "virtual time stands still between them");
    world.ship_all(2);
    assert_eq!((world.n(0, "a"), world.n(1, "a")), (Some(1), Some(1)));
}

#[test]
fn a_condition_sees_what_its_own_region_has() {
    let mut world = World::global(2);
    world.ship_all(3);
    world.write(0, put_new(1, "a", 1));
    world.ticks(5);
    world.write(1, put_new(2, "a", 2));
    world.ship_all(2);
    let late = world.ask(0, put_new(3, "a", 3)).unwrap();
    assert!(matches!(late, Err(PartitionError::Service(_))), "{late:?}");
    assert_eq!((world.n(0, "a"), world.n(1, "a")), (Some(2), Some(2)));
}

#[test]
fn a_deletion_beats_an_older_write_that_comes_after_it() {
    let mut world = World::global(3);
    world.write(0, put(1, "a", 1));
    world.ship_all(3);
    // The north writes, and only the west hears of it, deletes the item, and tells the east.
    world.cut.extend([(1, 0)]);
    world.ticks(5);
    world.write(1, put(2, "a", 2));
    let late = world.batch(1, 0, 1 << 20).unwrap();
    world.ship(1, 2, 1 << 20);
    world.ticks(5);
    world.write(2, delete(3, "a"));
    world.ship(2, 0, 1 << 20);
    assert_eq!(world.n(0, "a"), None);
    world.deliver(0, &late).unwrap();
    assert_eq!(world.n(0, "a"), None);
    world.settle();
    world.assert_converged();
}

#[test]
fn a_third_region_gets_from_either_what_it_misses() {
    let mut world = World::global(3);
    world.ship_all(3);
    world.cut.extend([(0, 2), (2, 0)]);
    world.write(0, put(1, "a", 1));
    world.write(2, put(2, "b", 2));
    world.ship_all(4);
    for region in 0..3 {
        assert_eq!((world.n(region, "a"), world.n(region, "b")), (Some(1), Some(2)), "region {region}");
    }
}

#[test]
fn a_batch_that_comes_again_or_late_changes_nothing() {
    let mut world = World::global(2);
    world.ship_all(3);
    world.write(0, put(1, "a", 1));
    let first = world.batch(0, 1, 1 << 20).unwrap();
    world.deliver(1, &first).unwrap();
    world.ship_all(1);
    world.write(0, put(2, "a", 2));
    world.write(0, delete(3, "a"));
    world.settle();
    assert_eq!(world.tombstones(1), 0, "nothing but the vector keeps the old write out");
    for _ in 0..2 {
        world.deliver(1, &first).unwrap();
        assert_eq!(world.n(1, "a"), None);
    }
    world.assert_converged();
}

#[test]
fn tombstones_wait_for_a_region_that_is_gone_and_reads_go_on() {
    let mut world = World::global(3);
    world.write(0, put(1, "a", 1));
    world.ship_all(4);
    world.cut.extend([(0, 2), (2, 0), (1, 2), (2, 1)]);
    world.write(0, delete(2, "a"));
    for _ in 0..5 {
        world.pass(60_000);
        world.ship_all(3);
    }
    assert_eq!((world.n(1, "a"), world.n(2, "a")), (None, Some(1)));
    assert_eq!((world.tombstones(0), world.tombstones(1)), (1, 1));
    world.settle();
    world.assert_converged();
}

#[test]
fn while_nothing_is_written_little_is_logged() {
    let mut world = World::global(2);
    world.settle();
    let index = |world: &mut World| world.engine(0).replica(crate::requests::PARTITION).unwrap().applied.index;
    let before = index(&mut world);
    // A minute, with a batch every 100 ms.
    for _ in 0..600 {
        world.ship(0, 1, 1 << 20);
        world.ship(1, 0, 1 << 20);
        world.ticks(1);
    }
    let logged = index(&mut world) - before;
    assert!(logged <= 13, "{logged} entries in a minute");
}

#[test]
fn a_hello_that_says_nothing_new_costs_no_entry() {
    let mut world = World::global(2);
    world.settle();
    world.readers.clear();
    let hello = world.batch(0, 1, 1 << 20).unwrap();
    world.deliver(1, &hello).unwrap();
    let index = |world: &mut World| world.engine(1).replica(crate::requests::PARTITION).unwrap().applied.index;
    let before = index(&mut world);
    for _ in 0..20 {
        world.deliver(1, &hello).unwrap();
    }
    assert_eq!(index(&mut world), before);
}

#[test]
fn a_batch_tells_how_much_of_the_log_is_behind_it() {
    let mut world = World::global(2);
    world.settle();
    for n in 0..10 {
        world.write(0, put(n, "a", n as i64));
    }
    let mut pending = vec![u64::MAX];
    while *pending.last().unwrap() > 0 {
        let batch = world.batch(0, 1, 1).unwrap();
        pending.push(batch.pending);
        let reader = world.deliver(1, &batch).unwrap();
        world.readers.insert((0, 1), reader);
    }
    assert!(pending.len() > 9 && pending.is_sorted_by(|a, b| a > b), "{pending:?}");
}

#[test]
fn a_tombstone_waits_until_the_others_have_it_though_everything_of_theirs_is_here() {
    let mut world = World::global(2);
    world.write(0, put(1, "a", 1));
    world.settle();
    world.cut.insert((0, 1));
    world.write(0, delete(2, "a"));
    for n in 0..5 {
        world.pass(60_000);
        world.write(1, put(10 + n, "b", 1));
        world.ship_all(3);
    }
    assert_eq!((world.tombstones(0), world.n(0, "b")), (1, Some(1)));
    assert_eq!(world.n(1, "a"), Some(1));
    world.settle();
    world.assert_converged();
}
