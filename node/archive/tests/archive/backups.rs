//! Backups on demand.

use crate::model::{CLUSTER, Model, definition, run};
use bytes::Bytes;
use cairn_archive::{
    ArchiveError, Bucket, SourceError,
    backup::{self, BackupOrder, BackupRecord, BackupType},
    restore::{self, RestoreSink},
};
use cairn_model::time::Timestamp;
use cairn_replication::log::LogEntry;
use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, memory::InMemory};
use std::sync::Arc;

fn new_backup(id: &str) -> BackupOrder {
    BackupOrder {
        backup_id: id.into(),
        arn: format!("arn:aws:dynamodb:east:000000000000:table/numbers/backup/{id}"),
        name: "before-the-change".into(),
        backup_type: BackupType::User,
        table_arn: "arn:aws:dynamodb:east:000000000000:table/numbers".into(),
        definition: definition(),
        creation_time_ms: 5,
        expiry_time_ms: None,
    }
}

async fn create(bucket: &Bucket, model: &Model, id: &str) -> Result<BackupRecord, ArchiveError> {
    backup::create(bucket, CLUSTER, "local", new_backup(id), vec![model.snapshot_now()]).await
}

pub(crate) async fn a_backup_comes_back_as_it_was(bucket: &Bucket) {
    let model = Model::new();
    model.pad(100_000);
    // Twelve megabytes: more than one part of an upload, and more than one request of a restore.
    let newest = (0..120).map(|key| model.write(key, u64::from(key) * 3)).max().unwrap();
    let record = create(bucket, &model, "0001-a").await.unwrap();
    let state = model.state_at(newest);
    model.write(1, 1_000);
    assert_eq!((record.item_count, record.table_size_bytes), (120, 120 * 12));
    assert!(record.size_bytes > 8 << 20);
    assert_eq!(backup::get(bucket, CLUSTER, "local", "0001-a").await.unwrap(), record);

    let plan = restore::plan_backup(bucket, CLUSTER, "local", "0001-a").await.unwrap();
    assert_eq!((plan.at, plan.bytes), (None, record.size_bytes));
    assert_eq!(plan.definition, definition());
    let restored = run(plan).await.unwrap();
    assert_eq!((restored.state, restored.entries), (state, 0));
}

#[tokio::test]
async fn a_backup_comes_back_from_memory_and_from_a_folder() {
    a_backup_comes_back_as_it_was(&Bucket::over(Arc::new(InMemory::new()))).await;
    let folder = tempfile::tempdir().unwrap();
    let config =
        cairn_archive::ArchiveConfig { url: format!("file://{}/new", folder.path().display()), ..Default::default() };
    a_backup_comes_back_as_it_was(&Bucket::open(&config).await.unwrap()).await;
}

#[tokio::test]
async fn backups_are_listed_by_id_until_they_are_deleted() {
    let bucket = Bucket::over(Arc::new(InMemory::new()));
    let model = Model::new();
    assert!(backup::list(&bucket, CLUSTER, "local").await.unwrap().is_empty());
    for id in ["0002-b", "0001-a", "0003-c"] {
        create(&bucket, &model, id).await.unwrap();
    }
    let ids = |records: Vec<BackupRecord>| records.into_iter().map(|record| record.order.backup_id).collect::<Vec<_>>();
    assert_eq!(ids(backup::list(&bucket, CLUSTER, "local").await.unwrap()), ["0001-a", "0002-b", "0003-c"]);
    assert!(backup::list(&bucket, CLUSTER, "other").await.unwrap().is_empty());
    let page = async |after, limit| {
        let (records, more) = backup::page(&bucket, CLUSTER, "local", after, limit).await.unwrap();
        (ids(records), more)
    };
    assert_eq!(page(None, 2).await, (vec!["0001-a".to_owned(), "0002-b".to_owned()], true));
    assert_eq!(page(Some("0001-a"), 2).await, (vec!["0002-b".to_owned(), "0003-c".to_owned()], false));
    assert_eq!(backup::delete(&bucket, CLUSTER, "local", "0002-b").await.unwrap().order.backup_id, "0002-b");
    assert_eq!(ids(backup::list(&bucket, CLUSTER, "local").await.unwrap()), ["0001-a", "0003-c"]);
    for error in [
        backup::get(&bucket, CLUSTER, "local", "0002-b").await.unwrap_err(),
        backup::delete(&bucket, CLUSTER, "local", "0002-b").await.unwrap_err(),
        restore::plan_backup(&bucket, CLUSTER, "local", "0002-b").await.unwrap_err(),
    ] {
        assert!(matches!(error, ArchiveError::NotFound { .. }), "{error}");
    }
}

#[tokio::test]
async fn an_id_is_used_for_one_backup_only() {
    let bucket = Bucket::over(Arc::new(InMemory::new()));
    let model = Model::new();
    create(&bucket, &model, "0001-a").await.unwrap();
    let again = create(&bucket, &model, "0001-a").await.unwrap_err();
    assert!(matches!(again, ArchiveError::Exists { .. }), "{again}");
    run(restore::plan_backup(&bucket, CLUSTER, "local", "0001-a").await.unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_backup_that_comes_second_leaves_the_first_one_whole() {
    let store = Arc::new(InMemory::new());
    let bucket = Bucket::over(store.clone());
    let model = Model::new();
    model.write(1, 2);
    let (sound, mut slow) = (model.snapshot_now(), model.snapshot_now());
    let (begun, beginning) = tokio::sync::oneshot::channel();
    let (go_on, going_on) = std::sync::mpsc::channel();
    let mut begun = Some(begun);
    slow.chunks = Box::new(slow.chunks.inspect(move |_| {
        begun.take().unwrap().send(()).unwrap();
        going_on.recv().unwrap();
    }));
    let first = async {
        beginning.await.unwrap();
        let record = backup::create(&bucket, CLUSTER, "local", new_backup("0001-a"), vec![sound]).await.unwrap();
        go_on.send(()).unwrap();
        record
    };
    let second = backup::create(&bucket, CLUSTER, "local", new_backup("0001-a"), vec![slow]);
    let (second, first) = tokio::join!(second, first);
    assert!(matches!(second, Err(ArchiveError::Exists { .. })));
    assert_eq!(backup::get(&bucket, CLUSTER, "local", "0001-a").await.unwrap(), first);
    assert_eq!(store.list(None).try_collect::<Vec<_>>().await.unwrap().len(), 2);
    run(restore::plan_backup(&bucket, CLUSTER, "local", "0001-a").await.unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_backup_that_fails_leaves_nothing() {
    let store = Arc::new(InMemory::new());
    let bucket = Bucket::over(store.clone());
    let model = Model::new();
    model.pad(200_000);
    for key in 0..100 {
        model.write(key, 1);
    }
    let sound = model.snapshot_now();
    let mut breaking = model.snapshot_now();
    breaking.descriptor.partition_id.0[0] += 1;
    let broken = std::iter::once_with(|| Err(SourceError::Failed("the disk is gone".into())));
    breaking.chunks = Box::new(breaking.chunks.take(90).chain(broken));
    let failed = backup::create(&bucket, CLUSTER, "local", new_backup("0001-a"), vec![sound, breaking]).await;
    assert!(matches!(failed, Err(ArchiveError::Source(_))));
    assert!(store.list(None).try_collect::<Vec<_>>().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_damaged_truncated_or_missing_object_of_a_backup_is_named() {
    let store = Arc::new(InMemory::new());
    let bucket = Bucket::over(store.clone());
    let model = Model::new();
    model.write(1, 2);
    create(&bucket, &model, "0001-a").await.unwrap();
    let objects: Vec<_> = store.list(None).try_collect().await.unwrap();
    let path = &objects.iter().find(|object| object.location.as_ref().ends_with(".snap")).unwrap().location;
    let sound = store.get(path).await.unwrap().bytes().await.unwrap();

    let refused = async || {
        let plan = restore::plan_backup(&bucket, CLUSTER, "local", "0001-a").await.unwrap();
        run(plan).await.unwrap_err().to_string()
    };
    for at in 0..sound.len() {
        let mut damaged = sound.to_vec();
        damaged[at] ^= 0x40;
        store.put(path, Bytes::from(damaged).into()).await.unwrap();
        let error = refused().await;
        assert!(error.contains(path.as_ref()), "{error}");
    }
    store.put(path, sound.slice(..sound.len() - 1).into()).await.unwrap();
    assert!(refused().await.contains("truncated"));
    store.delete(path).await.unwrap();
    let error = refused().await;
    assert!(error.contains(path.as_ref()), "{error}");
}

/// The chunks of a snapshot as they come.
#[derive(Default)]
struct Chunks(Vec<Bytes>);

impl RestoreSink for Chunks {
    fn chunk(&mut self, chunk: Bytes) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        self.0.push(chunk);
        Ok(())
    }

    fn chunks_done(&mut self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(())
    }

    fn entry(&mut self, _: LogEntry) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(())
    }

    fn entry_behind(&mut self, _: LogEntry, _: Timestamp) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(())
    }
}

#[tokio::test]
async fn chunks_of_many_blocks_come_in_order_and_none_of_a_damaged_block_does() {
    let store = Arc::new(InMemory::new());
    let bucket = Bucket::over(store.clone());
    let model = Model::new();
    model.pad(250_000);
    // Thirty megabytes: eight blocks.
    for key in 0..120 {
        model.write(key, 1);
    }
    let written: Vec<Bytes> = model.snapshot_now().chunks.map(Result::unwrap).collect();
    create(&bucket, &model, "0001-a").await.unwrap();
    let read = async || {
        let plan = restore::plan_backup(&bucket, CLUSTER, "local", "0001-a").await.unwrap();
        let running = tokio::task::spawn_blocking(move || {
            let mut chunks = Chunks::default();
            let run = plan.partitions[0].run(&mut chunks, &mut |_| ());
            (run, chunks.0)
        });
        running.await.unwrap()
    };
    let (run, chunks) = read().await;
    run.unwrap();
    assert!(chunks == written);

    let objects: Vec<_> = store.list(None).try_collect().await.unwrap();
    let path = &objects.iter().find(|object| object.location.as_ref().ends_with(".snap")).unwrap().location;
    let mut damaged = store.get(path).await.unwrap().bytes().await.unwrap().to_vec();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    store.put(path, Bytes::from(damaged).into()).await.unwrap();
    let (run, chunks) = read().await;
    assert!(matches!(run, Err(ArchiveError::Damaged { .. })));
    assert!(chunks.len() <= written.len() / 2 && chunks == written[..chunks.len()]);
}
