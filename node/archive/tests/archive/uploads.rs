//! Large objects, which are uploaded in parts.

use crate::model::{CLUSTER, Model, definition};
use async_trait::async_trait;
use cairn_archive::{
    Bucket,
    backup::{self, BackupOrder, BackupType},
};
use futures::stream::BoxStream;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result, UploadPart, memory::InMemory, path::Path,
};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// Counts what is begun and neither finished nor aborted.
#[derive(Debug, Default)]
struct Counting {
    store: InMemory,
    begun: AtomicUsize,
    open: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct CountedUpload {
    upload: Box<dyn MultipartUpload>,
    open: Arc<AtomicUsize>,
}

impl fmt::Display for Counting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("counting")
    }
}

#[async_trait]
impl ObjectStore for Counting {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.store.put_opts(path, payload, options).await
    }

    async fn put_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let upload = self.store.put_multipart_opts(path, options).await?;
        self.begun.fetch_add(1, Ordering::SeqCst);
        self.open.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(CountedUpload { upload, open: self.open.clone() }))
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.store.get_opts(path, options).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.store.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.store.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.store.copy_opts(from, to, options).await
    }
}

#[async_trait]
impl MultipartUpload for CountedUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.upload.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let done = self.upload.complete().await?;
        self.open.fetch_sub(1, Ordering::SeqCst);
        Ok(done)
    }

    async fn abort(&mut self) -> Result<()> {
        self.upload.abort().await?;
        self.open.fetch_sub(1, Ordering::SeqCst);
        Ok(())
    }
}

#[tokio::test]
async fn a_backup_that_is_cancelled_leaves_no_parts() {
    let store = Arc::new(Counting::default());
    let bucket = Bucket::over(store.clone());
    let model = Model::new();
    model.pad(200_000);
    for key in 0..100 {
        model.write(key, 1);
    }
    let new = || BackupOrder {
        backup_id: "0001-a".into(),
        arn: "arn".into(),
        name: "name".into(),
        backup_type: BackupType::User,
        table_arn: "arn".into(),
        definition: definition(),
        creation_time_ms: 1,
        expiry_time_ms: None,
    };
    let mut snapshot = model.snapshot_now();
    let (go_on, going_on) = std::sync::mpsc::channel::<()>();
    let waits = std::iter::from_fn(move || {
        going_on.recv().ok();
        None
    });
    snapshot.chunks = Box::new(snapshot.chunks.chain(waits));
    let creating = backup::create(&bucket, CLUSTER, "local", new(), vec![snapshot]);
    let begun = async {
        while store.begun.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        _ = creating => unreachable!("it waits for the last chunk"),
        () = begun => {}
    }
    drop(go_on);
    for _ in 0..1_000 {
        if store.open.load(Ordering::SeqCst) == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(store.open.load(Ordering::SeqCst), 0);
    // One that is finished is not aborted.
    backup::create(&bucket, CLUSTER, "local", new(), vec![model.snapshot_now()]).await.unwrap();
    assert_eq!((store.begun.load(Ordering::SeqCst), store.open.load(Ordering::SeqCst)), (2, 0));
    assert_eq!(backup::list(&bucket, CLUSTER, "local").await.unwrap().len(), 1);
}
