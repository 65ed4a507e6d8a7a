//! Shipping, and restoring to a point in time.

use crate::model::{
    CLUSTER, Model, PARTITION_ID, START_MS, TABLE_ID, definition, eventually, often, run, ship_all, shipped, shipper,
    table,
};
use crate::stamped::Stamped;
use cairn_archive::{
    ArchiveConfig, ArchiveError, Bucket, ShipperOptions, Source,
    restore::{self, TableRef},
    table::{Deletion, mark_deleted},
};
use cairn_model::time::Timestamp;
use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, memory::InMemory, path::Path};
use std::{sync::Arc, time::Duration};

fn memory() -> (Arc<InMemory>, Bucket) {
    let store = Arc::new(InMemory::new());
    (store.clone(), Bucket::over(store))
}

/// Every time at which the model changed, and the milliseconds around it, come back as they were.
pub(crate) async fn every_time_comes_back(bucket: &Bucket, model: &Model) {
    let recovery = restore::recoverable(bucket, &table()).await.unwrap();
    assert_eq!(recovery.windows.len(), 1, "{recovery:?}");
    assert!(recovery.latest_ms() >= Some(model.now_ms()));
    let window = recovery.windows[0];
    let times = model.times().into_iter().flat_map(|time| [Timestamp(time.0 - 1), time, Timestamp(time.0 + 1)]);
    for at in times.filter(|time| window.contains(*time)).chain([window.earliest, window.latest]) {
        let plan = restore::plan(bucket, &table(), at, &[]).await.unwrap();
        assert_eq!(run(plan).await.unwrap().state, model.state_at(at), "{at:?}");
    }
}

pub(crate) async fn a_table_with_a_history(bucket: &Bucket, options: ShipperOptions) -> Arc<Model> {
    let model = Model::new();
    for key in 0..5 {
        model.write(key, 1);
    }
    let shipper = shipper(bucket, &model, "node-a", options);
    for round in 0..12 {
        model.advance(1_000);
        for key in 0..6 {
            model.write(key, round * 10);
        }
        if round % 4 == 0 {
            model.new_term();
        }
        ship_all(&shipper, &model).await;
    }
    model
}

#[tokio::test]
async fn a_table_comes_back_as_of_any_time() {
    let (_, bucket) = memory();
    let model = a_table_with_a_history(&bucket, often()).await;
    every_time_comes_back(&bucket, &model).await;
}

#[tokio::test]
async fn a_table_comes_back_from_a_folder_through_many_snapshots_and_manifests() {
    let folder = tempfile::tempdir().unwrap();
    let config = ArchiveConfig { url: format!("file://{}", folder.path().display()), ..Default::default() };
    let bucket = Bucket::open(&config).await.unwrap();
    let options = ShipperOptions { snapshot_ratio: 0.0, snapshot_log_bytes_min: 400, manifest_segments: 2, ..often() };
    let model = a_table_with_a_history(&bucket, options).await;
    every_time_comes_back(&bucket, &model).await;
    let snapshots =
        std::fs::read_dir(folder.path().join(format!("{CLUSTER}/local/{TABLE_ID}/{PARTITION_ID}/snapshots")));
    assert!(snapshots.unwrap().count() > 2);
    let manifests =
        std::fs::read_dir(folder.path().join(format!("{CLUSTER}/local/{TABLE_ID}/{PARTITION_ID}/manifests")));
    assert_eq!(manifests.unwrap().count(), 4);
}

#[tokio::test]
async fn all_that_was_written_since_a_time_can_be_read_from_the_log() {
    let (_, bucket) = memory();
    let options = ShipperOptions { snapshot_ratio: 0.0, snapshot_log_bytes_min: 100, manifest_segments: 1, ..often() };
    let model = a_table_with_a_history(&bucket, options.clone()).await;
    let latest = || async { restore::recoverable(&bucket, &table()).await.unwrap().windows[0].latest };
    let entries_of = |plan| async { run(plan).await.unwrap().entries };
    // Snapshots are taken beside the shipping.
    let shipper = shipper(&bucket, &model, "node-a", options);
    let mut nearest = u64::MAX;
    while nearest > 10 {
        shipper.run(tokio::time::sleep(Duration::from_millis(20))).await;
        nearest = entries_of(restore::plan(&bucket, &table(), latest().await, &[]).await.unwrap()).await;
    }
    let latest = latest().await;
    let earliest = restore::recoverable(&bucket, &table()).await.unwrap().windows[0].earliest;
    let times = model.times();
    for from in times.iter().filter(|time| **time >= earliest) {
        let plan = restore::plan_from(&bucket, &table(), *from, latest, &[]).await.unwrap();
        let restored = run(plan).await.unwrap();
        assert_eq!(restored.state, model.state_at(latest), "{from:?}");
        let since = times.iter().filter(|time| *time > from).count() as u64;
        assert!(restored.entries >= since, "{from:?}: {} entries of {since}", restored.entries);
    }
}

#[tokio::test]
async fn large_entries_are_shipped_in_several_segments_at_once() {
    let (store, bucket) = memory();
    let model = Model::new();
    let shipper = shipper(&bucket, &model, "node-a", ShipperOptions { seal_bytes: 1 << 20, ..often() });
    ship_all(&shipper, &model).await;
    model.pad(300_000);
    model.advance(1);
    let newest = (0..40).map(|key| model.write(key, 1)).max().unwrap();
    ship_all(&shipper, &model).await;
    let objects: Vec<_> = store.list(None).try_collect().await.unwrap();
    let segments = objects.iter().filter(|object| object.location.as_ref().ends_with(".seg")).count();
    assert!(segments > 10, "{segments}");
    let plan = restore::plan(&bucket, &table(), newest, &[]).await.unwrap();
    assert_eq!(run(plan).await.unwrap().state, model.state_at(newest));
}

#[tokio::test]
async fn an_idle_table_can_be_restored_to_now() {
    let (_, bucket) = memory();
    let model = Model::new();
    model.write(1, 1);
    let shipper = shipper(&bucket, &model, "node-a", often());
    ship_all(&shipper, &model).await;
    model.advance(3_600_000);
    ship_all(&shipper, &model).await;
    let plan = restore::plan(&bucket, &table(), model.now(), &[]).await.unwrap();
    assert_eq!(run(plan).await.unwrap().state, model.state_at(model.now()));
    assert_eq!(shipper.status(TABLE_ID).unwrap().latest_ms(), Some(model.now_ms()));
    // None before recovery was on.
    assert_eq!(shipper.status(TABLE_ID).unwrap().earliest_ms(), Some(START_MS));
}

#[tokio::test]
async fn a_time_outside_is_refused_with_the_nearest_that_is_inside() {
    let (_, bucket) = memory();
    let model = Model::new();
    let early = restore::plan(&bucket, &table(), model.now(), &[]).await.unwrap_err();
    assert!(matches!(early, ArchiveError::NotFound { .. }), "{early}");
    ship_all(&shipper(&bucket, &model, "node-a", often()), &model).await;
    for (at_ms, expected_ms) in [(START_MS - 1, START_MS), (model.now_ms() + 60_000, model.now_ms())] {
        match restore::plan(&bucket, &table(), Timestamp::from_millis(at_ms), &[]).await.unwrap_err() {
            ArchiveError::NotRestorable { nearest, .. } => assert_eq!(nearest.unwrap().millis(), expected_ms),
            other => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn another_node_goes_on_where_the_first_one_ended() {
    let (_, bucket) = memory();
    let model = Model::new();
    for round in 0..10u64 {
        model.advance(100);
        model.write(1, round);
        model.new_term();
        // A new shipper each time: nothing but the bucket is remembered.
        let node = if round % 2 == 0 { "node-a" } else { "node-b" };
        ship_all(&shipper(&bucket, &model, node, often()), &model).await;
    }
    every_time_comes_back(&bucket, &model).await;
}

#[tokio::test]
async fn two_nodes_that_both_think_they_lead_do_no_harm() {
    let (_, bucket) = memory();
    let model = Model::new();
    let a = shipper(&bucket, &model, "node-a", often());
    let b = shipper(&bucket, &model, "node-b", often());
    for round in 0..20u64 {
        model.advance(100);
        model.write(round as u32 % 3, round);
        tokio::join!(ship_all(&a, &model), ship_all(&b, &model));
    }
    every_time_comes_back(&bucket, &model).await;
}

#[tokio::test]
async fn a_partition_that_is_led_elsewhere_is_not_told_of() {
    let (_, bucket) = memory();
    let model = Model::new();
    let shipper = shipper(&bucket, &model, "node-a", often());
    ship_all(&shipper, &model).await;
    assert!(shipper.status(TABLE_ID).is_some());
    model.lead(false);
    shipper.run(tokio::time::sleep(Duration::from_millis(200))).await;
    assert_eq!(shipper.status(TABLE_ID), None);
}

#[tokio::test]
async fn a_log_that_went_before_it_was_archived_leaves_a_hole_that_is_told() {
    let (_, bucket) = memory();
    let model = Model::new();
    model.write(1, 1);
    let shipper = shipper(&bucket, &model, "node-a", often());
    ship_all(&shipper, &model).await;
    let before = model.now();
    model.advance(1_000);
    model.write(1, 2);
    let lost = model.write(1, 3);
    model.advance(10_000);
    model.write(1, 4);
    model.compact(model.last_index());
    ship_all(&shipper, &model).await;
    model.advance(10_000);
    let after = model.write(1, 5);
    ship_all(&shipper, &model).await;

    let recovery = restore::recoverable(&bucket, &table()).await.unwrap();
    assert_eq!(recovery.windows.len(), 2, "{recovery:?}");
    assert_eq!(shipper.status(TABLE_ID).unwrap().windows, recovery.windows);
    assert!(shipper.status(TABLE_ID).unwrap().problems[0].contains("never archived"));
    match restore::plan(&bucket, &table(), lost, &[]).await.unwrap_err() {
        ArchiveError::NotRestorable { nearest, windows, .. } => {
            assert_eq!(nearest.unwrap().millis(), before.millis());
            assert_eq!(windows, recovery.windows);
        }
        other => panic!("{other}"),
    }
    for at in [before, after] {
        let plan = restore::plan(&bucket, &table(), at, &[]).await.unwrap();
        assert_eq!(run(plan).await.unwrap().state, model.state_at(at));
    }
}

#[tokio::test]
async fn a_history_that_is_another_one_is_not_shipped_behind_the_first() {
    let (_, bucket) = memory();
    let model = Model::new();
    for key in 0..5 {
        model.write(key, 1);
    }
    ship_all(&shipper(&bucket, &model, "node-a", often()), &model).await;
    model.lose(2);
    for key in 0..5 {
        model.write(key, 2);
    }
    let shipper = shipper(&bucket, &model, "node-a", often());
    shipper.run(tokio::time::sleep(Duration::from_millis(300))).await;
    let problems = shipper.status(TABLE_ID).unwrap().problems;
    assert!(problems.iter().any(|problem| problem.contains("its history is another one")), "{problems:?}");
}

#[tokio::test]
async fn a_deleted_table_is_found_by_name_and_by_id() {
    let (_, bucket) = memory();
    let model = Model::new();
    model.write(1, 1);
    ship_all(&shipper(&bucket, &model, "node-a", often()), &model).await;
    mark_deleted(&bucket, &table(), Deletion { at_ms: 77, with_archive: false }).await.unwrap();
    for by in [TableRef::Name("numbers"), TableRef::Id(TABLE_ID)] {
        let found = restore::find_table(&bucket, CLUSTER, "local", by).await.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((&found[0].definition, found[0].deleted_at_ms), (&definition(), Some(77)));
    }
    assert!(restore::find_table(&bucket, CLUSTER, "local", TableRef::Name("other")).await.unwrap().is_empty());
    every_time_comes_back(&bucket, &model).await;
}

#[tokio::test]
async fn a_table_that_is_led_long_after_it_was_marked_deleted_is_not_deleted() {
    let model = Model::new();
    let bucket = Bucket::over(Stamped::new(&model));
    model.write(1, 1);
    let options = ShipperOptions { upkeep_interval: Duration::from_secs(60), ..often() };
    let is_marked = async || {
        let found = restore::find_table(&bucket, CLUSTER, "local", TableRef::Id(TABLE_ID)).await.unwrap();
        found[0].deleted_at_ms.is_some()
    };
    let first = shipper(&bucket, &model, "node-a", options.clone());
    let rounds = async {
        shipped(&first, &model).await;
        mark_deleted(&bucket, &table(), Deletion { at_ms: model.now_ms(), with_archive: false }).await.unwrap();
        assert!(is_marked().await);
    };
    first.run(rounds).await;
    // It is dropped from one node after the other: one that has it still may lead it for a while.
    let second = shipper(&bucket, &model, "node-b", options);
    let rounds = async {
        for _ in 0..50 {
            model.advance(60_000);
            shipped(&second, &model).await;
            assert!(is_marked().await);
        }
        // And then it could not be dropped.
        eventually(async || {
            model.advance(60_000);
            !is_marked().await
        })
        .await;
    };
    second.run(rounds).await;
}

#[tokio::test]
async fn a_missing_or_truncated_object_is_noticed_before_anything_is_restored() {
    let (store, bucket) = memory();
    let model = a_table_with_a_history(&bucket, ShipperOptions { manifest_segments: 1, ..often() }).await;
    let whole = restore::recoverable(&bucket, &table()).await.unwrap();
    let objects: Vec<_> = store.list(None).try_collect().await.unwrap();
    let segments: Vec<&Path> =
        objects.iter().map(|object| &object.location).filter(|path| path.as_ref().ends_with(".seg")).collect();
    let victim = segments[segments.len() / 2];
    let sound = store.get(victim).await.unwrap().bytes().await.unwrap();
    for truncated in [true, false] {
        match truncated {
            true => drop(store.put(victim, sound.slice(..sound.len() - 1).into()).await.unwrap()),
            false => store.delete(victim).await.unwrap(),
        }
        let recovery = restore::recoverable(&bucket, &table()).await.unwrap();
        assert!(recovery.problems[0].contains(victim.as_ref()), "{recovery:?}");
        assert!(recovery.windows[0].latest < whole.windows[0].latest);
        let at = whole.windows[0].latest;
        let error = restore::plan(&bucket, &table(), at, &[]).await.unwrap_err();
        assert!(error.to_string().contains(victim.as_ref()), "{error}");
        let ArchiveError::NotRestorable { nearest: Some(nearest), .. } = error else { panic!("{error}") };
        let plan = restore::plan(&bucket, &table(), nearest, &[]).await.unwrap();
        assert_eq!(run(plan).await.unwrap().state, model.state_at(nearest));
    }
}

#[tokio::test]
async fn a_damaged_object_ends_the_restore_with_its_name_its_window_and_the_nearest_whole_time() {
    let (store, bucket) = memory();
    let options =
        ShipperOptions { snapshot_ratio: 0.0, snapshot_log_bytes_min: 1_500, manifest_segments: 1, ..often() };
    let model = a_table_with_a_history(&bucket, options).await;
    let objects: Vec<_> = store.list(None).try_collect().await.unwrap();
    let mut refused = 0;
    for object in objects.iter().filter(|object| !object.location.as_ref().ends_with(".json")) {
        let sound = store.get(&object.location).await.unwrap().bytes().await.unwrap();
        let mut damaged = sound.to_vec();
        let middle = damaged.len() * 2 / 3;
        damaged[middle] ^= 4;
        store.put(&object.location, damaged.into()).await.unwrap();
        for at in model.times() {
            let Ok(plan) = restore::plan(&bucket, &table(), at, &[]).await else { continue };
            let error = match run(plan).await {
                Ok(restored) => {
                    assert_eq!(restored.state, model.state_at(at));
                    continue;
                }
                Err(error) => error,
            };
            refused += 1;
            let ArchiveError::Hole { object: named, window, nearest, .. } = error else { panic!("{error}") };
            assert_eq!(named, object.location.to_string());
            // What the error offers works, without the damaged object.
            let Some(nearest) = nearest else { continue };
            assert!(nearest == at || (window.contains(at) && !window.contains(nearest)), "{window:?} {nearest:?}");
            let plan = restore::plan(&bucket, &table(), nearest, &[named]).await.unwrap();
            assert_eq!(run(plan).await.unwrap().state, model.state_at(nearest));
        }
        store.put(&object.location, sound.into()).await.unwrap();
    }
    assert!(refused > 20, "{refused}");
}

#[tokio::test]
async fn a_damaged_manifest_is_passed_over_for_the_one_before() {
    let (store, bucket) = memory();
    let model = a_table_with_a_history(&bucket, ShipperOptions { manifest_segments: 1, ..often() }).await;
    let objects: Vec<_> = store.list(None).try_collect().await.unwrap();
    let newest =
        objects.iter().map(|object| &object.location).filter(|path| path.as_ref().contains("/manifests/")).max();
    store.put(newest.unwrap(), "{\"version\":1,".into()).await.unwrap();
    every_time_comes_back(&bucket, &model).await;
    // The shipper goes on behind it.
    model.advance(1_000);
    model.write(1, 99);
    ship_all(&shipper(&bucket, &model, "node-b", ShipperOptions { manifest_segments: 1, ..often() }), &model).await;
    every_time_comes_back(&bucket, &model).await;
}

#[tokio::test]
async fn a_manifest_that_says_something_else_than_the_objects_is_not_believed() {
    let (store, bucket) = memory();
    a_table_with_a_history(&bucket, ShipperOptions { manifest_segments: 1, ..often() }).await;
    let latest = restore::recoverable(&bucket, &table()).await.unwrap().windows[0].latest;
    let objects: Vec<_> = store.list(None).try_collect().await.unwrap();
    let newest =
        objects.iter().map(|object| &object.location).filter(|path| path.as_ref().contains("/manifests/")).max();
    let newest = newest.unwrap();
    let sound = String::from_utf8(store.get(newest).await.unwrap().bytes().await.unwrap().into()).unwrap();
    let sound: serde_json::Value = serde_json::from_str(&sound).unwrap();
    let segments = sound["segments"].as_array().unwrap().len();
    let fields = (0..segments).flat_map(|n| ["firstTime", "lastTime", "lastTerm"].map(|field| ("segments", n, field)));
    let mut noticed = 0;
    for (list, number, field) in fields.chain([("snapshots", 0, "entryTime"), ("snapshots", 0, "index")]) {
        let mut other = sound.clone();
        other.as_object_mut().unwrap().remove("checksum");
        let value = &mut other[list][number][field];
        *value = (value.as_u64().unwrap() + 1).into();
        let text = other.to_string();
        let checksum = xxhash_rust::xxh3::xxh3_64(text.as_bytes());
        let text = format!("{},\"checksum\":\"{checksum:016x}\"}}", &text[..text.len() - 1]);
        store.put(newest, text.into()).await.unwrap();
        let plan = restore::plan(&bucket, &table(), latest, &[]).await.unwrap();
        let error = run(plan).await.unwrap_err();
        assert!(matches!(error, ArchiveError::Hole { .. }), "{list} {number} {field}: {error}");
        noticed += 1;
    }
    assert!(noticed > 20, "{noticed}");
}

#[tokio::test]
async fn an_archive_whose_last_segment_is_damaged_begins_anew_once_the_partition_is_past_it() {
    let (store, bucket) = memory();
    let model = Model::new();
    model.write(1, 1);
    ship_all(&shipper(&bucket, &model, "node-a", often()), &model).await;
    model.advance(1_000);
    model.write(1, 2);
    ship_all(&shipper(&bucket, &model, "node-a", often()), &model).await;
    let objects: Vec<_> = store.list(None).try_collect().await.unwrap();
    let last = objects.iter().map(|object| &object.location).filter(|path| path.as_ref().ends_with(".seg")).max();
    store.put(last.unwrap(), "not a segment".into()).await.unwrap();
    model.advance(1_000);
    let after = model.write(1, 3);
    ship_all(&shipper(&bucket, &model, "node-a", often()), &model).await;
    let plan = restore::plan(&bucket, &table(), after, &[]).await.unwrap();
    assert_eq!(run(plan).await.unwrap().state, model.state_at(after));
    assert_eq!(restore::recoverable(&bucket, &table()).await.unwrap().windows.len(), 2);
}

#[tokio::test]
async fn the_log_is_let_go_only_once_it_is_archived() {
    let (_, bucket) = memory();
    let model = Model::new();
    model.write(1, 1);
    assert_eq!(model.archived_index(), 0);
    ship_all(&shipper(&bucket, &model, "node-a", often()), &model).await;
    assert_eq!(model.archived_index(), model.last_index());
    assert!(model.entries(PARTITION_ID, model.last_index() + 1, 1).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_was_written_just_before_the_end_is_in_the_archive_after_it() {
    let bucket = Bucket::over(Arc::new(InMemory::new()));
    let model = Model::new();
    // It would not look again in time.
    let options = ShipperOptions {
        seal_interval: Duration::from_secs(3_600),
        close_interval: Duration::from_secs(3_600),
        last_round: Duration::from_secs(60),
        ..ShipperOptions::default()
    };
    let shipper = shipper(&bucket, &model, "node-a", options);
    let write = async {
        shipped(&shipper, &model).await;
        model.advance(5);
        model.write(1, 2);
        model.advance(5);
    };
    shipper.run(write).await;
    let latest = restore::recoverable(&bucket, &table()).await.unwrap().latest_ms();
    assert_eq!((latest, model.archived_index()), (Some(model.now_ms()), model.last_index()));
}
