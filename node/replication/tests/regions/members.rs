//! Regions come and go.

use crate::{
    requests::{delete, put},
    world::World,
};
use cairn_model::node::{Order, OrderOutcome};
use cairn_replication::{global::OutboundError, operation::PartitionError};

#[test]
fn a_region_belongs_once_both_sides_list_each_other() {
    let mut world = World::new(2, 1, |_| {});
    world.list(0, 1, &[0, 1]);
    world.write(0, put(1, "a", 1));
    let hello = world.batch(0, 1, 1 << 20).unwrap();
    assert!(matches!(world.deliver(1, &hello), Err(PartitionError::Service(_))), "it is not global there");
    world.list(1, 1, &[1]);
    assert!(matches!(world.deliver(1, &hello), Err(PartitionError::Service(_))), "it lists nobody else");
    assert!(matches!(world.batch(1, 0, 1 << 20), Err(OutboundError::NotAMember { .. })));
    world.list(1, 2, &[0, 1]);
    world.ship_all(3);
    assert_eq!(world.n(1, "a"), Some(1));
}

#[test]
fn a_third_region_joins_two_that_have_written_and_deleted() {
    let mut world = World::new(3, 1, |_| {});
    world.list(0, 1, &[0, 1]);
    world.list(1, 1, &[0, 1]);
    for n in 0..20 {
        world.write((n % 2) as usize, put(n, &format!("item-{n}"), n as i64));
    }
    world.ship_all(4);
    for n in 0..5 {
        world.write(0, delete(100 + n, &format!("item-{n}")));
    }
    for region in [2, 0, 1] {
        world.list(region, 2, &[0, 1, 2]);
    }
    world.write(2, put(200, "of the west", 1));
    world.settle();
    assert_eq!(world.contents(2).len(), 16);
    world.assert_converged();
}

#[test]
fn a_region_whose_table_was_lost_and_made_anew_gets_all_of_it_again() {
    let mut world = World::global(3);
    for n in 0..12 {
        world.write((n % 3) as usize, put(n, &format!("item-{n}"), n as i64));
    }
    world.ship_all(4);
    world.write(2, delete(20, "item-0"));
    world.settle();
    world.make_anew(2, &[0, 1, 2]);
    world.write(1, delete(21, "item-1"));
    world.write(2, put(22, "new", 1));
    world.ship_all(1);
    assert_eq!(world.tombstones(0), 1, "the table made anew has nothing yet");
    world.settle();
    assert_eq!(world.contents(2).len(), 11);
    world.assert_converged();
}

#[test]
fn what_was_made_for_a_table_that_was_lost_is_not_taken_by_the_one_made_anew() {
    let mut world = World::global(2);
    world.write(0, put(1, "a", 1));
    world.ship_all(3);
    // Nothing is in it, for the table that is lost has all of it.
    let late = world.batch_of_cut_log(0, 1, 1 << 20).unwrap();
    world.make_anew(1, &[0, 1]);
    assert!(matches!(world.deliver(1, &late), Err(PartitionError::Service(_))));
    world.settle();
    assert_eq!(world.n(1, "a"), Some(1));
    world.assert_converged();
}

#[test]
fn a_region_that_leaves_keeps_its_data_and_nothing_waits_for_it() {
    let mut world = World::global(3);
    world.write(0, put(1, "a", 1));
    world.write(0, put(2, "b", 2));
    world.ship_all(4);
    world.cut.extend([(0, 2), (2, 0), (1, 2), (2, 1)]);
    world.write(0, delete(3, "a"));
    world.write(2, delete(4, "b"));
    for region in [0, 1] {
        world.list(region, 2, &[0, 1]);
    }
    world.list(2, 2, &[]);
    for _ in 0..6 {
        world.pass(6_000);
        world.ship_all(3);
    }
    assert_eq!((world.n(2, "a"), world.n(2, "b")), (Some(1), None));
    assert_eq!([0, 1, 2].map(|region| world.tombstones(region)), [0; 3]);
    assert_eq!(world.contents(0), world.contents(1));
    assert_eq!((world.n(0, "a"), world.n(0, "b")), (None, Some(2)));
    let gone = world.batch(2, 0, 1 << 20);
    assert!(matches!(gone, Err(OutboundError::NotGlobal)));
}

#[test]
fn a_table_that_is_not_global_keeps_no_tombstones() {
    let mut world = World::new(1, 1, |_| {});
    world.write(0, put(1, "a", 1));
    world.write(0, delete(2, "a"));
    assert_eq!((world.n(0, "a"), world.tombstones(0)), (None, 0));
}

#[test]
fn members_that_lack_their_own_region_are_refused() {
    let mut world = World::new(1, 1, |_| {});
    let mut definition = world.clusters[0].report(0).unwrap().definition;
    definition.schema_version += 1;
    definition.replicas = Some(cairn_model::table::GlobalReplicas {
        members: ["west".to_owned()].into(),
        ..cairn_model::table::GlobalReplicas::in_region("east")
    });
    let order = Order::UpdateDefinition { partition_id: crate::requests::PARTITION, definition };
    let outcome = world.clusters[0].order(0, order);
    assert!(
        matches!(&outcome, OrderOutcome::Refused { message } if message.contains("replicas.members")),
        "{outcome:?}"
    );
}
