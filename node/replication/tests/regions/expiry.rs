//! Items that expire in a global table: each region deletes by its own setting, and what it deletes is gone everywhere.

use crate::{
    requests::{self, add, put},
    world::World,
};
use cairn_model::{
    node::{Order, OrderOutcome},
    table::TimeToLive,
};
use cairn_replication::operation::PartitionOutcome;

/// The clocks begin at 1,000,001 s.
const LONG_AGO_S: i64 = 900_000;

fn expire_by(world: &mut World, region: usize, attribute_name: &str) {
    let leader = world.leader(region);
    let partition_id = world.partitions[region];
    let mut definition = world.clusters[region].report(leader).unwrap().definition;
    definition.schema_version += 1;
    definition.time_to_live = Some(TimeToLive { attribute_name: attribute_name.into(), enabled_at_ms: 1 });
    let order = Order::UpdateDefinition { partition_id, definition };
    assert_eq!(world.clusters[region].order(leader, order), OrderOutcome::Done);
}

fn has(world: &mut World, region: usize, id: &str) -> bool {
    match world.ask(region, requests::get(id, true)) {
        Some(Ok(PartitionOutcome::Get(outcome))) => outcome.items[0].is_some(),
        other => panic!("not read: {other:?}"),
    }
}

#[test]
fn what_expires_in_one_region_is_deleted_in_the_other() {
    let mut world = World::global(2);
    world.ship_all(3);
    expire_by(&mut world, 0, "n");
    world.write(1, put(1, "a", LONG_AGO_S));
    world.write(1, put(2, "b", 2_000_000));
    world.ticks(30);
    assert!(has(&mut world, 1, "a"), "nothing expires where no setting says so");
    world.ship_all(2);
    world.ticks(15);
    world.ship_all(2);
    assert!(!has(&mut world, 0, "a") && has(&mut world, 0, "b"));
    assert!(!has(&mut world, 1, "a") && has(&mut world, 1, "b"));
    world.settle();
    world.assert_converged();
}

#[test]
fn more_time_that_was_given_later_elsewhere_brings_the_item_back_everywhere() {
    let mut world = World::global(2);
    world.ship_all(3);
    expire_by(&mut world, 0, "n");
    world.write(0, put(1, "a", LONG_AGO_S));
    world.ship_all(2);
    world.ticks(15);
    assert!(!has(&mut world, 0, "a"));
    world.write(1, add(2, "a", 2_000_000));
    world.ship_all(2);
    world.ticks(15);
    assert!(has(&mut world, 0, "a") && has(&mut world, 1, "a"));
    world.settle();
    world.assert_converged();
}
