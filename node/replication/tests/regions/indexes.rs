//! Global indexes in a table of several regions: each region has its own, of what its table has, whoever wrote it.

use crate::{
    index_feed::{by_group, by_n},
    requests::{self, add, delete, put_item},
    world::World,
};
use bytes::Bytes;
use cairn_model::{AttributeValue, index::ProjectionType, number::Number};
use cairn_replication::operation::{PartitionError, PartitionRequest};

const MINUTE_MS: i64 = 60_000;

fn grouped(number: u64, id: &str, group: &str, n: i64) -> PartitionRequest {
    of_group(number, id, AttributeValue::S(group.into()), n)
}

fn of_group(number: u64, id: &str, group: AttributeValue, n: i64) -> PartitionRequest {
    let mut item = requests::item(id, n);
    item.insert("group".into(), group);
    put_item(number, id, &item)
}

/// How many items the region's indexes show, each.
fn shown(world: &mut World, region: usize) -> Vec<u64> {
    world.assert_indexed(region);
    let indexes = world.indexes(region);
    indexes.iter().map(|index| world.index_count(region, index)).collect()
}

#[test]
fn an_index_shows_what_other_regions_write_change_and_delete() {
    let mut world = World::global(2);
    world.add_index(1, by_group(ProjectionType::All));
    world.ship_all(3);
    world.write(0, grouped(1, "a", "g", 1));
    world.write(0, grouped(2, "b", "g", 2));
    world.write(0, requests::put(3, "c", 3));
    world.ship_all(2);
    assert_eq!(shown(&mut world, 1), [2]);
    world.write(0, add(4, "a", 7));
    world.write(0, delete(5, "b"));
    world.write(1, grouped(6, "c", "h", 3));
    world.ship_all(2);
    assert_eq!(shown(&mut world, 1), [2]);
    assert_eq!(shown(&mut world, 0), [] as [u64; 0], "the other region has none");
    world.settle();
    world.assert_converged();
}

#[test]
fn an_index_is_filled_while_other_regions_write() {
    let mut world = World::global(2);
    world.ship_all(3);
    // More than a page of what is shown to a new index.
    for n in 0..1_200 {
        world.write(n as usize % 2, grouped(n, &format!("item-{n}"), "g", n as i64));
    }
    world.ship_all(12);
    world.add_index(0, by_group(ProjectionType::KeysOnly));
    for n in 0..60 {
        let id = format!("item-{}", n * 17);
        match n % 3 {
            0 => world.write(1, delete(2_000 + n, &id)),
            1 => world.write(1, grouped(2_000 + n, &id, "moved", 1)),
            _ => world.write(1, grouped(2_000 + n, &format!("new-{n}"), "g", 1)),
        }
        world.ship(1, 0, 2_000);
        world.ticks(u64::from(n % 4 == 0));
    }
    world.ship_all(3);
    assert_eq!(shown(&mut world, 0), [1_200]);
    world.settle();
    world.assert_converged();
}

#[test]
fn what_is_copied_to_a_region_that_joins_comes_into_its_indexes() {
    let mut world = World::new(2, 1, |config| {
        config.log_entries_kept = 8;
        config.persist_bytes = 1;
    });
    world.add_index(1, by_group(ProjectionType::All));
    for n in 0..60 {
        world.write(0, grouped(n, &format!("item-{n}"), "g", n as i64));
    }
    world.ticks(20);
    world.join_all(1);
    world.ship_all(3);
    assert_eq!(shown(&mut world, 1), [60]);
    world.settle();
    world.assert_converged();
}

/// "An item whose index key has the wrong type … is refused on write": by the region that has the index. Another one knows
/// nothing of it.
#[test]
fn what_can_not_be_in_an_index_is_in_the_table_and_keeps_nothing_behind_it_out() {
    let mut world = World::global(2);
    world.add_index(1, by_group(ProjectionType::All));
    world.ship_all(3);
    world.write(0, grouped(1, "a", "g", 1));
    world.ship_all(1);
    let wrong = [
        AttributeValue::N(Number::from(1_i64)),
        AttributeValue::S(String::new()),
        AttributeValue::S("x".repeat(2_049)),
    ];
    for (number, group) in (10..).zip(wrong) {
        world.write(0, of_group(number, "a", group.clone(), 1));
        world.write(0, of_group(number + 10, &format!("item-{number}"), group, 1));
    }
    world.write(0, grouped(30, "b", "g", 1));
    world.ship_all(2);
    assert_eq!(shown(&mut world, 1), [1]);
    world.settle();
    world.assert_converged();
    assert_eq!(world.contents(1).len(), 5);
}

#[test]
fn what_was_set_aside_is_in_the_index_once_its_time_has_come() {
    let mut world = World::global(2);
    world.add_index(1, by_group(ProjectionType::All));
    world.ship_all(3);
    world.write(1, grouped(1, "a", "g", 1));
    world.clusters[0].nodes[0].wall_offset_ms = 20 * MINUTE_MS;
    world.ticks(10);
    world.write(0, grouped(2, "a", "h", 2));
    world.write(0, grouped(3, "b", "h", 2));
    world.ship_all(2);
    assert_eq!((world.set_aside(1), shown(&mut world, 1)), (2, vec![1]));
    world.clusters[1].nodes[0].wall_offset_ms = 40 * MINUTE_MS;
    world.ticks(20);
    assert_eq!((world.set_aside(1), shown(&mut world, 1)), (0, vec![2]));
    world.settle();
    world.assert_converged();
}

#[test]
fn what_other_regions_write_waits_for_an_index_that_is_too_far_behind() {
    let mut world = World::new(2, 1, |config| config.log_bytes_held = 100_000);
    world.join_all(1);
    world.add_index(1, by_group(ProjectionType::All));
    world.settle();
    let large = |world: &mut World, number: u64| {
        let mut item = requests::item("large", number as i64);
        item.insert("blob".into(), AttributeValue::B(Bytes::from(vec![7; 2_000])));
        world.write(0, put_item(number, "large", &item));
        let batch = world.batch(0, 1, 1 << 20).unwrap();
        let taken = world.deliver(1, &batch);
        world.ticks(1);
        taken.map(|reader| drop(world.readers.insert((0, 1), reader)))
    };
    let refused = (0..200).find_map(|number| large(&mut world, number).err().map(|error| (number, error)));
    let (taken, error) = refused.unwrap();
    assert!((10..100).contains(&taken), "{taken}");
    assert!(matches!(&error, PartitionError::Overloaded { reason } if reason.contains("by-group")), "{error}");
    world.assert_indexed(1);
    world.settle();
    world.assert_converged();
}

#[test]
fn an_index_of_a_table_that_was_lost_and_made_anew_shows_what_came_back() {
    let mut world = World::global(2);
    world.add_index(1, by_group(ProjectionType::All));
    world.add_index(1, by_n(ProjectionType::KeysOnly));
    world.ship_all(3);
    for n in 0..12 {
        world.write(n as usize % 2, grouped(n, &format!("item-{n}"), "g", n as i64 % 3));
    }
    world.ship_all(3);
    world.make_anew(1, &[0, 1]);
    world.write(0, delete(20, "item-0"));
    world.settle();
    assert_eq!(shown(&mut world, 1), [11, 11]);
    world.assert_converged();
}
