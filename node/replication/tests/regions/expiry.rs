//! Items that expire in a global table: each region deletes by its own setting, and what it deletes is gone everywhere.

use crate::{
    index_feed::by_n,
    requests::{self, add, put},
    world::World,
};
use cairn_model::{
    index::ProjectionType,
    table::{TableDefinition, TimeToLive},
};
use cairn_replication::operation::{PartitionOutcome, StreamEvent};

/// The clocks begin at 1,000,001 s.
const LONG_AGO_S: i64 = 900_000;

fn expire_by(world: &mut World, region: usize, attribute_name: &str) {
    let time_to_live = Some(TimeToLive { attribute_name: attribute_name.into(), enabled_at_ms: 1 });
    let definition = TableDefinition { time_to_live, ..world.definition(region) };
    world.redefine(region, definition);
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

/// "TTL deletions replicate, without the service's userIdentity".
#[test]
fn a_deletion_is_the_services_in_the_stream_of_the_region_that_made_it_and_nobodys_elsewhere() {
    let mut world = World::global(3);
    world.ship_all(3);
    expire_by(&mut world, 0, "n");
    world.write(1, put(1, "a", LONG_AGO_S));
    world.write(1, put(2, "b", 2_000_000));
    world.ship_all(2);
    world.ticks(15);
    world.ship_all(3);
    for region in 0..3 {
        let records = world.records(region);
        let removals = records.iter().filter(|record| record.event == StreamEvent::Remove);
        let by_service: Vec<bool> = removals.map(|record| record.by_service).collect();
        assert_eq!(by_service, [region == 0], "region {region}");
        assert_eq!(records.len(), 3, "region {region}: two are put, one goes");
    }
    world.settle();
    world.assert_converged();
}

#[test]
fn an_item_that_two_regions_delete_for_its_age_goes_once_from_every_stream() {
    let mut world = World::global(3);
    world.ship_all(3);
    world.write(2, put(1, "a", LONG_AGO_S));
    world.ship_all(2);
    [0, 1].into_iter().for_each(|region| expire_by(&mut world, region, "n"));
    // Each deletes it before it hears of the other.
    world.ticks(15);
    assert!(!has(&mut world, 0, "a") && !has(&mut world, 1, "a") && has(&mut world, 2, "a"));
    world.ship_all(3);
    for region in 0..3 {
        let events: Vec<_> = world.records(region).iter().map(|record| (record.event, record.by_service)).collect();
        assert_eq!(events, [(StreamEvent::Insert, false), (StreamEvent::Remove, region < 2)], "region {region}");
    }
    world.settle();
    world.assert_converged();
}

#[test]
fn what_expires_in_one_region_leaves_the_indexes_of_all() {
    let mut world = World::global(2);
    for region in 0..2 {
        world.add_index(region, by_n(ProjectionType::All));
    }
    world.ship_all(3);
    expire_by(&mut world, 0, "n");
    world.write(1, put(1, "a", LONG_AGO_S));
    world.write(1, put(2, "b", 2_000_000));
    world.assert_indexed(1);
    world.ship_all(2);
    world.ticks(15);
    world.ship_all(2);
    for region in 0..2 {
        world.assert_indexed(region);
        let index = &world.indexes(region)[0];
        assert_eq!(world.index_count(region, index), 1, "region {region}");
    }
    world.settle();
    world.assert_converged();
}
