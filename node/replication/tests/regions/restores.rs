//! A table restored from one of a global table is a table of its own.

use crate::{
    cluster::Cluster,
    requests::{self, PARTITION, delete, put},
    world::World,
};
use cairn_model::codec::StoredVersion;
use cairn_replication::{core::Input, restore::Restoration};
use std::ops::Bound;

#[test]
fn it_has_the_items_of_all_regions_as_its_own_and_nothing_else() {
    let mut world = World::global(2);
    world.clusters[1].nodes[0].wall_offset_ms = 60 * 60_000;
    world.ship_all(3);
    world.write(0, put(1, "before", 1));
    world.write(0, put(2, "gone", 1));
    let engine = world.engine(0);
    let mut reader = engine.snapshot(engine.replica(PARTITION).unwrap().storage_id).unwrap();
    world.write(1, put(3, "set aside", 1));
    world.clusters[1].nodes[0].wall_offset_ms = 0;
    world.write(0, delete(4, "gone"));
    assert_eq!(world.tombstones(0), 1);
    world.write(0, put(5, "own", 1));
    world.ship_all(2);
    assert_eq!(world.set_aside(0), 1);
    world.clusters[0].nodes[0].wall_offset_ms = 2 * 60 * 60_000;
    world.ticks(20);
    assert_eq!(world.n(0, "set aside"), Some(1));

    let mut restored = Cluster::new(1);
    let engine = restored.nodes[0].engine.clone().unwrap();
    let mut restoration = Restoration::begin(engine.clone()).unwrap();
    while let Some(chunk) = reader.next_chunk().unwrap() {
        restoration.chunk(&chunk).unwrap();
    }
    world.clusters[0].committed(0).iter().for_each(|entry| restoration.entry(entry).unwrap());
    let data = restoration.finish().unwrap();
    let token = restored.token();
    let (descriptor, definition) = (requests::descriptor(1), requests::definition());
    restored.step(0, Input::Adopt { token, restored: Box::new(data), descriptor, definition });
    restored.settle();
    restored.ticks(20);
    let storage_id = engine.replica(PARTITION).unwrap().storage_id;
    let versions: Vec<StoredVersion> = engine
        .scan(storage_id, Bound::Unbounded, Bound::Unbounded, true)
        .map(|pair| StoredVersion::parse(pair.unwrap().1).unwrap())
        .collect();
    assert_eq!(versions.len(), 3);
    assert!(versions.iter().all(|version| version.origin.is_empty()));
    assert_eq!(engine.tombstones(storage_id, None).count(), 0);
    let point = engine.global_point(storage_id).unwrap();
    assert!(point.regions.is_none() && point.first_set_aside.is_none());
    assert_eq!(restored.report(0).unwrap().item_count, 3);
}
