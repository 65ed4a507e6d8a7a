//! Damage is found by the regular check, and what is past its time goes.

use crate::{
    model::{CLUSTER, Model, TABLE_ID, definition, eventually, often, run, ship_all, shipped, shipper, table},
    point_in_time::{a_table_with_a_history, every_time_comes_back},
    stamped::Stamped,
};
use cairn_archive::{
    ArchiveConfig, Bucket, ShipperOptions,
    backup::{self, BackupOrder, BackupType},
    check::check,
    export::ExportRecords,
    import::{Imports, Rejected},
    restore::{self, TableRef},
    retention,
    table::{Deletion, mark_deleted},
};
use cairn_model::{
    archive::import::{ImportCompression, ImportFormat, ImportOrder, ImportOutcome, ImportSource},
    arn::backup_id,
    export::{ExportFormat, ExportRecord, ExportScope, ExportState},
    ids::TableId,
    time::Timestamp,
};
use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, memory::InMemory, path::Path};
use std::{sync::Arc, time::Duration};
use xxhash_rust::xxh3::xxh3_64;

const DAY_MS: u64 = 24 * 3600 * 1000;

async fn objects(store: &impl ObjectStore) -> Vec<Path> {
    let objects: Vec<_> = store.list(None).try_collect().await.unwrap();
    objects.into_iter().map(|object| object.location).collect()
}

#[tokio::test]
async fn each_damaged_truncated_or_missing_object_is_found_without_a_restore() {
    let store = Arc::new(InMemory::new());
    let bucket = Bucket::over(store.clone());
    let options =
        ShipperOptions { snapshot_ratio: 0.0, snapshot_log_bytes_min: 1_500, manifest_segments: 1, ..often() };
    a_table_with_a_history(&bucket, options).await;
    assert!(check(&bucket, &table(), true).await.unwrap().is_empty());
    let all = objects(&store).await;
    let manifest = all.iter().filter(|path| path.as_ref().contains("/manifests/")).max().unwrap();
    let manifest = store.get(manifest).await.unwrap().bytes().await.unwrap();
    let listed = |path: &&Path| String::from_utf8_lossy(&manifest).contains(path.filename().unwrap());
    // A snapshot may have been written too late for a manifest.
    assert!(all.iter().filter(listed).count() > 8);
    for path in all.iter().filter(listed) {
        let sound = store.get(path).await.unwrap().bytes().await.unwrap();
        let mut damaged = sound.to_vec();
        let last = damaged.len() - 30;
        damaged[last] ^= 1;
        store.put(path, damaged.into()).await.unwrap();
        assert!(check(&bucket, &table(), false).await.unwrap().is_empty(), "{path}");
        let found = check(&bucket, &table(), true).await.unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].object, path.to_string());
        if path.as_ref().ends_with(".seg") {
            assert_eq!(found[0].lost.len(), 1, "{found:?}");
        }
        store.put(path, sound.slice(1..).into()).await.unwrap();
        assert_eq!(check(&bucket, &table(), false).await.unwrap()[0].object, path.to_string());
        store.delete(path).await.unwrap();
        let found = check(&bucket, &table(), false).await.unwrap();
        assert_eq!((found.len(), &found[0].object), (1, &path.to_string()));
        store.put(path, sound.into()).await.unwrap();
    }
}

#[tokio::test]
async fn the_shipper_tells_of_a_hole_and_makes_the_table_restorable_behind_it() {
    let store = Arc::new(InMemory::new());
    let bucket = Bucket::over(store.clone());
    let options = ShipperOptions { manifest_segments: 1, upkeep_interval: Duration::from_millis(1_000), ..often() };
    let model = a_table_with_a_history(&bucket, options.clone()).await;
    let segments: Vec<Path> =
        objects(&store).await.into_iter().filter(|path| path.as_ref().ends_with(".seg")).collect();
    let victim = &segments[segments.len() / 2];
    store.delete(victim).await.unwrap();
    let shipper = shipper(&bucket, &model, "node-a", options);
    let two_windows = eventually(async || {
        model.advance(10);
        shipper.status(TABLE_ID).is_some_and(|status| status.windows.len() == 2)
    });
    shipper.run(two_windows).await;
    let status = shipper.status(TABLE_ID).unwrap();
    assert!(status.problems[0].contains(victim.as_ref()), "{status:?}");
    ship_all(&shipper, &model).await;
    let latest = restore::recoverable(&bucket, &table()).await.unwrap().windows[1].latest;
    let plan = restore::plan(&bucket, &table(), latest, &[]).await.unwrap();
    assert_eq!(run(plan).await.unwrap().state, model.state_at(latest));
}

#[tokio::test]
async fn what_is_older_than_the_period_goes_and_what_a_restore_needs_stays() {
    let model = Model::new();
    let store = Stamped::new(&model);
    let bucket = Bucket::over(store.clone());
    let options = ShipperOptions {
        manifest_segments: 1,
        upkeep_interval: Duration::from_millis(DAY_MS / 2),
        snapshot_age_max: Duration::from_millis(DAY_MS),
        merge_segments: usize::MAX,
        ..often()
    };
    let shipper = shipper(&bucket, &model, "node-a", options);
    let snapshots = async || objects(&store).await.into_iter().filter(|path| path.as_ref().ends_with(".snap")).max();
    let mut most = 0;
    let sixty_days = async {
        for day in 0..60 {
            let newest = snapshots().await;
            for hour in 0..4 {
                model.write(hour, day);
                model.advance(DAY_MS / 4);
                shipped(&shipper, &model).await;
            }
            // One a day, made when it likes.
            eventually(async || snapshots().await != newest).await;
            most = most.max(objects(&store).await.len());
        }
    };
    shipper.run(sixty_days).await;
    // 35 of 60 days, with four segments and a snapshot each.
    assert!((36 * 5..43 * 5).contains(&most), "{most}");
    let recovery = restore::recoverable(&bucket, &table()).await.unwrap();
    assert_eq!((recovery.windows.len(), recovery.problems.len()), (1, 0), "{recovery:?}");
    assert!(recovery.windows[0].earliest <= Timestamp::from_millis(model.now_ms() - 35 * DAY_MS));
    for days in [0, 1, 17, 34, 35] {
        let at = Timestamp::from_millis(model.now_ms() - days * DAY_MS);
        let plan = restore::plan(&bucket, &table(), at, &[]).await.unwrap();
        assert_eq!(run(plan).await.unwrap().state, model.state_at(at), "{days} days ago");
    }
}

fn new_backup(id: &str, expiry_time_ms: Option<u64>) -> BackupOrder {
    BackupOrder {
        backup_id: id.into(),
        arn: id.into(),
        name: id.into(),
        backup_type: BackupType::System,
        table_arn: "arn".into(),
        definition: definition(),
        creation_time_ms: 1,
        expiry_time_ms,
    }
}

#[tokio::test]
async fn a_deleted_table_and_a_backup_go_when_their_time_is_over_and_no_sooner() {
    let model = Model::new();
    let store = Stamped::new(&model);
    let bucket = Bucket::over(store.clone());
    model.write(1, 1);
    ship_all(&shipper(&bucket, &model, "node-a", often()), &model).await;
    let now_ms = model.now_ms();
    for (id, expiry_time_ms) in [("expiring", Some(now_ms + 5)), ("lasting", None)] {
        let snapshots = vec![model.snapshot_now()];
        backup::create(&bucket, CLUSTER, "local", new_backup(id, expiry_time_ms), snapshots).await.unwrap();
    }
    let kept = objects(&store).await;
    model.advance(4);
    retention::sweep(&bucket, CLUSTER, &*model).await.unwrap();
    mark_deleted(&bucket, &table(), Deletion { at_ms: now_ms, with_archive: false }).await.unwrap();
    retention::sweep(&bucket, CLUSTER, &*model).await.unwrap();
    assert_eq!(objects(&store).await, kept);
    model.advance(1);
    retention::sweep(&bucket, CLUSTER, &*model).await.unwrap();
    let ids: Vec<String> = backup::list(&bucket, CLUSTER, "local")
        .await
        .unwrap()
        .into_iter()
        .map(|backup| backup.order.backup_id)
        .collect();
    assert_eq!(ids, ["lasting"]);
    model.advance(35 * DAY_MS - 5 - 1);
    retention::sweep(&bucket, CLUSTER, &*model).await.unwrap();
    restore::recoverable(&bucket, &table()).await.unwrap();
    model.advance(1);
    retention::sweep(&bucket, CLUSTER, &*model).await.unwrap();
    let left = objects(&store).await;
    assert_eq!(left.len(), 2, "{left:?}");
    run(restore::plan_backup(&bucket, CLUSTER, "local", "lasting").await.unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_backup_expires_whatever_its_type_and_though_no_table_has_recovery_on() {
    let model = Model::new();
    model.lead(false);
    let store = Stamped::new(&model);
    let bucket = Bucket::over(store.clone());
    for (id, backup_type) in [("user", BackupType::User), ("system", BackupType::System)] {
        let order = BackupOrder { backup_type, ..new_backup(id, Some(model.now_ms() + 5)) };
        backup::create(&bucket, CLUSTER, "local", order, vec![model.snapshot_now()]).await.unwrap();
    }
    let options = ShipperOptions { upkeep_interval: Duration::from_secs(60), ..often() };
    let shipper = shipper(&bucket, &model, "node-a", options);
    let swept = async {
        eventually(async || {
            model.advance(1_000);
            backup::list(&bucket, CLUSTER, "local").await.unwrap().is_empty()
        })
        .await;
    };
    shipper.run(swept).await;
    assert!(objects(&store).await.iter().all(|path| !path.as_ref().contains("/backups/")));
}

#[tokio::test]
async fn what_is_known_of_an_import_goes_after_90_days_and_no_sooner() {
    let model = Model::new();
    let store = Stamped::new(&model);
    let bucket = Bucket::over(store.clone());
    let imports = Imports::new(bucket.clone(), &ArchiveConfig::default(), CLUSTER, "local");
    let begun_ms = model.now_ms();
    let mut ids = Vec::new();
    for number in 0..2_u64 {
        let start_time_ms = begun_ms + number;
        let import_id = backup_id(start_time_ms, 0);
        let order = ImportOrder {
            arn: import_id.clone(),
            import_id: import_id.clone(),
            table_arn: "arn".into(),
            definition: definition(),
            client_token: None,
            source: ImportSource { bucket: "source".into(), key_prefix: None, bucket_owner: None },
            format: ImportFormat::Ion,
            compression: ImportCompression::None,
            start_time_ms,
        };
        imports.create(&order).await.unwrap();
        let mut log = imports.error_log(&import_id);
        log.write("object", 1, &Rejected { message: "no item".into(), text: "x".into() }).await.unwrap();
        log.finish().await.unwrap();
        imports.end(&import_id, &ImportOutcome::interrupted(start_time_ms)).await.unwrap();
        ids.push(import_id);
    }
    let listed = async || {
        let page = imports.page(None, None, 10, 0).await.unwrap();
        page.imports.into_iter().map(|(order, _)| order.import_id).collect::<Vec<_>>()
    };
    model.advance(90 * DAY_MS);
    retention::sweep(&bucket, CLUSTER, &*model).await.unwrap();
    assert_eq!(listed().await, [ids[1].clone(), ids[0].clone()]);
    model.advance(1);
    retention::sweep(&bucket, CLUSTER, &*model).await.unwrap();
    assert_eq!(listed().await, [ids[1].clone()]);
    model.advance(1);
    retention::sweep(&bucket, CLUSTER, &*model).await.unwrap();
    assert!(objects(&store).await.is_empty(), "{:?}", objects(&store).await);
}

#[tokio::test]
async fn what_is_known_of_an_export_goes_after_90_days_by_a_clock_that_agrees_with_the_stores() {
    let model = Model::new();
    let store = Stamped::new(&model);
    let bucket = Bucket::over(store.clone());
    let exports = ExportRecords::new(bucket.clone(), CLUSTER, "local");
    let start_time_ms = model.now_ms();
    let record = ExportRecord {
        export_id: backup_id(start_time_ms, 0),
        arn: "arn".into(),
        table_arn: "table".into(),
        table_id: TABLE_ID,
        scope: ExportScope::FullExport { time_ms: start_time_ms },
        format: ExportFormat::DynamodbJson,
        until_request: true,
        client_token: Some("once".into()),
        s3_bucket: "exports".into(),
        s3_prefix: None,
        encryption: None,
        filter: None,
        start_time_ms,
        state: ExportState::InProgress,
    };
    exports.take_token(&record).await.unwrap();
    exports.begin(&record).await.unwrap();
    exports.end(&record).await.unwrap();
    model.advance(90 * DAY_MS);
    retention::sweep(&bucket, CLUSTER, &*model).await.unwrap();
    assert_eq!(objects(&store).await.len(), 3);
    model.advance(1);
    // A node whose clock is 90 days ahead of the store's.
    store.set_behind(90 * DAY_MS);
    retention::sweep(&bucket, CLUSTER, &*model).await.unwrap_err();
    assert_eq!(objects(&store).await.len(), 3);
    store.set_behind(0);
    retention::sweep(&bucket, CLUSTER, &*model).await.unwrap();
    assert!(objects(&store).await.is_empty(), "{:?}", objects(&store).await);
}

#[tokio::test]
async fn one_document_that_cannot_be_read_stops_nothing_else() {
    let model = Model::new();
    let store = Stamped::new(&model);
    let bucket = Bucket::over(store.clone());
    model.write(1, 1);
    ship_all(&shipper(&bucket, &model, "node-a", often()), &model).await;
    for (id, expiry_time_ms) in [("damaged", None), ("expiring", Some(1)), ("lasting", None)] {
        let snapshots = vec![model.snapshot_now()];
        backup::create(&bucket, CLUSTER, "local", new_backup(id, expiry_time_ms), snapshots).await.unwrap();
    }
    let put = async |path: String, text: &'static str| {
        store.put(&Path::from(format!("{CLUSTER}/local/{path}")), text.into()).await.unwrap();
    };
    put("backups/damaged/backup.json".into(), "{").await;
    // Version 2, with the checksum of that.
    let text = "{\"version\":2}";
    let newer = format!("{},\"checksum\":\"{:016x}\"}}", &text[..text.len() - 1], xxh3_64(text.as_bytes()));
    for (number, text) in [(1, "{".to_owned()), (255, newer)] {
        put(format!("{}/table.json", TableId([number; 16])), text.leak()).await;
    }
    let listed = async || {
        let listed = backup::list(&bucket, CLUSTER, "local").await.unwrap();
        listed.into_iter().map(|backup| backup.order.backup_id).collect::<Vec<_>>()
    };
    assert_eq!(listed().await, ["expiring", "lasting"]);
    let find = async |by| restore::find_table(&bucket, CLUSTER, "local", by).await;
    assert_eq!(find(TableRef::Name("numbers")).await.unwrap().len(), 1);
    for by in [TableRef::Name("other"), TableRef::Id(TableId([1; 16]))] {
        assert!(find(by).await.is_err(), "{by:?}");
    }
    assert!(find(TableRef::Id(TableId([2; 16]))).await.unwrap().is_empty());
    mark_deleted(&bucket, &table(), Deletion { at_ms: model.now_ms(), with_archive: false }).await.unwrap();
    model.advance(35 * DAY_MS);
    retention::sweep(&bucket, CLUSTER, &*model).await.unwrap();
    assert_eq!(listed().await, ["lasting"]);
    // Of the tables and the damaged backup, only what cannot be read is left.
    let left = objects(&store).await;
    assert_eq!(left.len(), 2 + 2 + 2, "{left:?}");
}

#[tokio::test]
async fn a_table_deleted_with_its_archive_goes_once_nobody_ships_to_it() {
    let model = Model::new();
    let store = Stamped::new(&model);
    let bucket = Bucket::over(store.clone());
    model.write(1, 1);
    ship_all(&shipper(&bucket, &model, "node-a", often()), &model).await;
    let snapshots = vec![model.snapshot_now()];
    backup::create(&bucket, CLUSTER, "local", new_backup("lasting", None), snapshots).await.unwrap();
    let deletion = Deletion { at_ms: model.now_ms(), with_archive: true };
    mark_deleted(&bucket, &table(), deletion).await.unwrap();
    let kept = objects(&store).await;
    model.advance(3_600_000 - 1);
    retention::sweep(&bucket, CLUSTER, &*model).await.unwrap();
    assert_eq!(objects(&store).await, kept, "a node may ship still");
    model.advance(1);
    retention::sweep(&bucket, CLUSTER, &*model).await.unwrap();
    let left = objects(&store).await;
    assert!(!left.is_empty() && left.iter().all(|object| object.as_ref().contains("/backups/")), "{left:?}");
}

#[tokio::test]
async fn leftovers_of_an_unfinished_backup_go_after_a_day() {
    let model = Model::new();
    let store = Stamped::new(&model);
    let bucket = Bucket::over(store.clone());
    backup::create(&bucket, CLUSTER, "local", new_backup("half", None), vec![model.snapshot_now()]).await.unwrap();
    let document = objects(&store).await.into_iter().find(|path| path.as_ref().ends_with("backup.json")).unwrap();
    store.delete(&document).await.unwrap();
    model.advance(DAY_MS - 1);
    retention::sweep(&bucket, CLUSTER, &*model).await.unwrap();
    assert_eq!(objects(&store).await.len(), 1);
    model.advance(2);
    retention::sweep(&bucket, CLUSTER, &*model).await.unwrap();
    assert!(objects(&store).await.is_empty());
}

#[tokio::test]
async fn a_node_whose_clock_is_ahead_deletes_nothing_and_says_so() {
    let model = Model::new();
    let store = Stamped::new(&model);
    let bucket = Bucket::over(store.clone());
    let options = ShipperOptions {
        manifest_segments: 1,
        upkeep_interval: Duration::from_millis(DAY_MS / 2),
        snapshot_age_max: Duration::from_millis(DAY_MS),
        ..often()
    };
    let shipper = shipper(&bucket, &model, "node-a", options);
    let begun = model.write(1, 1);
    let told = async || {
        let problems = shipper.status(TABLE_ID).unwrap_or_default().problems;
        problems.iter().any(|problem| problem.contains("its clock"))
    };
    let rounds = async {
        shipped(&shipper, &model).await;
        let expiring = new_backup("expiring", Some(model.now_ms() + DAY_MS));
        backup::create(&bucket, CLUSTER, "local", expiring, vec![model.snapshot_now()]).await.unwrap();
        let kept: Vec<Path> =
            objects(&store).await.into_iter().filter(|path| !path.as_ref().contains("/manifests/")).collect();
        for day in 1..45 {
            store.set_behind(day * DAY_MS);
            model.advance(DAY_MS);
            model.write(1, day);
            shipped(&shipper, &model).await;
        }
        eventually(told).await;
        let error = retention::sweep(&bucket, CLUSTER, &*model).await.unwrap_err();
        assert!(error.to_string().contains("its clock"), "{error}");
        let left = objects(&store).await;
        assert!(kept.iter().all(|path| left.contains(path)), "{left:?}");
        run(restore::plan(&bucket, &table(), begun, &[]).await.unwrap()).await.unwrap();
        // Once the clocks agree, what is past its time goes.
        store.set_behind(0);
        let first = kept.iter().find(|path| path.as_ref().ends_with(".snap")).unwrap();
        eventually(async || {
            model.advance(DAY_MS / 4);
            shipped(&shipper, &model).await;
            !objects(&store).await.contains(first)
        })
        .await;
        eventually(async || !told().await).await;
    };
    shipper.run(rounds).await;
}

#[tokio::test]
async fn small_segments_become_large_ones_and_every_time_still_comes_back() {
    let model = Model::new();
    let store = Stamped::new(&model);
    let bucket = Bucket::over(store.clone());
    let options = ShipperOptions {
        manifest_segments: 4,
        upkeep_interval: Duration::from_secs(60),
        merge_segments: 5,
        merge_age: Duration::from_secs(20),
        ..often()
    };
    let shipper = shipper(&bucket, &model, "node-a", options.clone());
    let minutes = async {
        for value in 0..60 {
            model.write(value as u32 % 7, value);
            model.advance(5_000);
            shipped(&shipper, &model).await;
        }
        let segments = async || objects(&store).await.iter().filter(|path| path.as_ref().ends_with(".seg")).count();
        // The last minute's are left, and what the others were merged to; what they were goes after a day.
        model.advance(DAY_MS);
        eventually(async || {
            model.advance(1_000);
            segments().await < 30
        })
        .await;
        shipped(&shipper, &model).await;
    };
    shipper.run(minutes).await;
    assert!(objects(&store).await.iter().any(|path| path.filename().unwrap().contains("-0")));
    every_time_comes_back(&bucket, &model).await;
    assert!(check(&bucket, &table(), true).await.unwrap().is_empty());
    // Another node goes on behind it.
    model.write(1, 1_000);
    ship_all(&crate::model::shipper(&bucket, &model, "node-b", options), &model).await;
    every_time_comes_back(&bucket, &model).await;
}
