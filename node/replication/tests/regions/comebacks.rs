//! A table that comes back, or is joined for the first time, must be empty where another one has items: else what one of
//! them deleted would come back from the other.

use crate::{
    requests::{delete, put},
    world::{Contents, World},
};
use cairn_replication::{
    global::{NotEmpty, OutboundError},
    operation::PartitionError,
};

/// Regions with twelve items that all of them have, of three nodes each.
fn joined(regions: usize) -> World {
    let mut world = World::new(regions, 3, |_| {});
    world.join_all(1);
    for n in 0..12 {
        world.write(n as usize % regions, put(n, &format!("item-{n}"), n as i64));
    }
    world.settle();
    world.assert_converged();
    world
}

/// The last region is taken out of the members while nothing passes; all sides delete and write.
fn part(world: &mut World) {
    let gone = world.clusters.len() - 1;
    let rest: Vec<usize> = (0..gone).collect();
    world.cut.extend(rest.iter().flat_map(|other| [(gone, *other), (*other, gone)]));
    rest.iter().for_each(|region| world.list(*region, 2, &rest));
    world.write(0, delete(100, "item-0"));
    world.write(gone, delete(101, "item-1"));
    world.write(gone, put(102, "of one gone", 1));
    for _ in 0..4 {
        world.pass(6_000);
        world.ship_all(3);
    }
    assert_eq!(world.tombstones(0), 0, "nothing waits for it");
}

fn all_contents(world: &mut World) -> Vec<Contents> {
    (0..world.clusters.len()).map(|region| world.contents(region)).collect()
}

/// Leaders fall and time passes, and nothing comes from one side to the other, whoever asks.
fn assert_apart(world: &mut World, pairs: &[(usize, usize)]) {
    let before = all_contents(world);
    for round in 0..6 {
        for region in 0..world.clusters.len() {
            if round % 2 == 1 {
                world.fell_leader(region);
            }
        }
        for &(from, to) in
            pairs.iter().flat_map(|(one, other)| [(*one, *other), (*other, *one)]).collect::<Vec<_>>().iter()
        {
            match world.batch(from, to, 1 << 20) {
                Err(OutboundError::NotEmpty(_) | OutboundError::NotHeard { .. }) => {}
                Err(other) => panic!("from {from} to {to}: {other}"),
                Ok(batch) => {
                    let taken = world.deliver(to, &batch);
                    assert!(matches!(taken, Err(PartitionError::NotEmpty(_))), "from {from} to {to}: {taken:?}");
                }
            }
            world.readers.remove(&(from, to));
        }
        world.pass(6_000);
    }
    assert_eq!(all_contents(world), before);
}

#[test]
fn a_region_that_was_taken_out_is_refused_on_both_sides_when_it_is_listed_again() {
    let mut world = joined(2);
    part(&mut world);
    world.cut.clear();
    world.list(0, 3, &[0, 1]);
    let late = world.batch(0, 1, 1 << 20);
    assert!(matches!(late, Err(OutboundError::NotEmpty(NotEmpty::Parted { .. }))), "a reader of before: {late:?}");
    assert_apart(&mut world, &[(0, 1)]);
}

#[test]
fn a_region_that_was_taken_out_comes_back_once_its_table_is_made_anew() {
    let mut world = joined(2);
    part(&mut world);
    world.list(0, 3, &[0, 1]);
    world.make_anew(1, &[0, 1]);
    world.settle();
    world.assert_converged();
    assert_eq!((world.n(1, "item-0"), world.n(1, "item-1"), world.n(0, "of one gone")), (None, Some(1), None));
}

#[test]
fn a_region_that_listed_itself_alone_for_a_while_is_refused_on_both_sides() {
    let mut world = joined(2);
    world.cut.extend([(0, 1), (1, 0)]);
    world.list(1, 2, &[1]);
    world.pass(6_000);
    world.write(1, delete(100, "item-0"));
    world.pass(6_000);
    assert_eq!(world.tombstones(1), 0);
    world.list(1, 3, &[0, 1]);
    world.cut.clear();
    assert_apart(&mut world, &[(0, 1)]);
}

#[test]
fn a_region_that_is_listed_again_while_a_third_still_listed_it_goes_on() {
    let mut world = joined(3);
    world.list(0, 2, &[0, 1]);
    world.write(0, delete(100, "item-0"));
    world.write(2, delete(101, "item-2"));
    for _ in 0..4 {
        world.pass(6_000);
        world.ship_all(3);
    }
    world.list(0, 3, &[0, 1, 2]);
    world.settle();
    world.assert_converged();
    assert_eq!(world.contents(0).len(), 10);
}

#[test]
fn a_table_that_was_not_global_for_a_while_is_refused_on_both_sides() {
    let mut world = joined(2);
    world.list(1, 2, &[]);
    world.write(1, delete(100, "item-0"));
    world.write(0, delete(101, "item-1"));
    world.list(1, 3, &[0, 1]);
    world.readers.clear();
    assert_apart(&mut world, &[(0, 1)]);
    world.make_anew(1, &[0, 1]);
    world.settle();
    world.assert_converged();
    assert_eq!((world.n(1, "item-0"), world.n(1, "item-1")), (Some(0), None));
}

#[test]
fn a_table_that_was_not_global_for_a_while_and_was_emptied_gets_everything_again() {
    let mut world = joined(2);
    world.list(1, 2, &[]);
    for n in 0..12 {
        world.write(1, delete(100 + n, &format!("item-{n}")));
    }
    world.write(0, delete(200, "item-1"));
    world.pass(6_000);
    world.list(1, 3, &[0, 1]);
    world.write(1, put(201, "item-2", 7));
    world.settle();
    world.assert_converged();
    assert_eq!((world.contents(1).len(), world.n(0, "item-2"), world.n(1, "item-3")), (11, Some(7), Some(3)));
}

#[test]
fn of_two_tables_that_both_held_items_neither_takes_from_the_other() {
    let mut world = World::new(2, 3, |_| {});
    world.write(0, put(1, "a", 1));
    world.write(1, put(2, "a", 2));
    world.write(1, delete(3, "a"));
    world.write(1, put(4, "b", 2));
    world.join_all(1);
    assert_apart(&mut world, &[(0, 1)]);
    assert_eq!((world.n(0, "a"), world.n(0, "b"), world.n(1, "a")), (Some(1), None, None));
    world.make_anew(1, &[0, 1]);
    world.settle();
    world.assert_converged();
    assert_eq!(world.n(1, "a"), Some(1));
}

#[test]
fn a_table_put_back_with_items_is_not_joined_with_those_that_have_deleted_some_of_them() {
    let mut world = joined(2);
    world.write(0, delete(100, "item-0"));
    world.make_anew(1, &[]);
    world.write(1, put(101, "item-0", 0));
    world.list(1, 2, &[0, 1]);
    assert_apart(&mut world, &[(0, 1)]);
    assert_eq!(world.n(0, "item-0"), None);
}

#[test]
fn a_table_that_held_items_gets_two_regions_at_once() {
    let mut world = World::new(3, 1, |_| {});
    world.write(0, put(1, "a", 1));
    for region in [1, 2, 0] {
        world.list(region, 1, &[0, 1, 2]);
    }
    world.ship(1, 2, 1 << 20);
    world.ship(2, 1, 1 << 20);
    world.settle();
    world.assert_converged();
    assert_eq!(world.n(2, "a"), Some(1));
}

#[test]
fn a_table_that_held_items_and_an_empty_one_are_joined_though_both_are_written_to_before_they_hear_of_each_other() {
    let mut world = World::new(2, 3, |_| {});
    world.write(0, put(1, "a", 1));
    for region in 0..2 {
        world.list(region, 1, &[0, 1]);
    }
    world.write(1, put(2, "b", 2));
    world.settle();
    world.assert_converged();
    assert_eq!((world.n(1, "a"), world.n(0, "b")), (Some(1), Some(2)));
}

#[test]
fn an_empty_table_that_joined_one_with_items_is_not_joined_with_another_that_has_items() {
    let mut world = World::new(3, 1, |_| {});
    world.write(0, put(1, "a", 1));
    world.write(2, put(2, "b", 2));
    world.list(0, 1, &[0, 1]);
    world.list(1, 1, &[0, 1]);
    world.ship_all(5);
    assert_eq!(world.n(1, "a"), Some(1));
    world.list(1, 2, &[0, 1, 2]);
    world.list(2, 1, &[1, 2]);
    assert_apart(&mut world, &[(1, 2)]);
    world.list(0, 2, &[0, 1, 2]);
    world.list(2, 2, &[0, 1, 2]);
    assert_apart(&mut world, &[(1, 2), (0, 2)]);
    world.make_anew(2, &[0, 1, 2]);
    world.settle();
    world.assert_converged();
}

#[test]
fn a_region_that_was_taken_out_does_not_come_back_through_a_third() {
    let mut world = joined(3);
    part(&mut world);
    // The second region lists it again, and never took it out by itself.
    world.cut = [(0, 2), (2, 0)].into();
    world.list(1, 3, &[0, 1, 2]);
    assert_apart(&mut world, &[(1, 2)]);
    world.ship_all(3);
    assert_eq!(world.n(0, "item-0"), None);
}

#[test]
fn a_table_that_took_from_one_that_was_taken_out_is_refused_until_it_is_made_anew() {
    let mut world = World::new(3, 1, |_| {});
    for region in [0, 2] {
        world.list(region, 1, &[0, 2]);
    }
    world.write(0, put(1, "a", 1));
    world.ship_all(5);
    world.cut.extend([(0, 2), (2, 0)]);
    world.list(0, 2, &[0]);
    world.write(0, delete(2, "a"));
    world.pass(6_000);
    assert_eq!(world.tombstones(0), 0);
    // The north knows only the west, and has of it what the east deleted.
    world.list(2, 2, &[0, 1, 2]);
    world.list(1, 1, &[1, 2]);
    world.ship_all(5);
    assert_eq!(world.n(1, "a"), Some(1));
    world.list(0, 3, &[0, 1]);
    world.list(1, 2, &[0, 1, 2]);
    assert_apart(&mut world, &[(0, 1)]);
    world.make_anew(1, &[0, 1]);
    for _ in 0..4 {
        world.ship(0, 1, 1 << 20);
        world.ship(1, 0, 1 << 20);
    }
    assert_eq!((world.n(0, "a"), world.n(1, "a")), (None, None));
}

#[test]
fn what_a_table_took_in_before_it_was_global_anew_reaches_a_region_whose_own_table_was_made_anew() {
    let mut world = joined(2);
    world.list(0, 2, &[]);
    world.make_anew(1, &[0, 1]);
    world.list(0, 3, &[0, 1]);
    world.write(1, put(100, "new", 1));
    world.settle();
    world.assert_converged();
    assert_eq!(world.contents(1).len(), 13);
}
