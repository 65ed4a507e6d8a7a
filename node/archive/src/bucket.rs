//! The bucket: the few things that the archive does with an object store, with errors that name the object.

use crate::{ArchiveConfig, ArchiveError, config};
use bytes::Bytes;
use futures::{TryStreamExt, future::BoxFuture};
use object_store::{
    Error as StoreError, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, path::Path,
};
use std::{collections::VecDeque, future::Future, ops::Range, sync::Arc, time::Duration};
use tokio::runtime::Handle;

/// No JSON document is larger.
const DOCUMENT_BYTES_MAX: u64 = 512 << 20;
/// With the tries of the store's own client; where a store hangs, the archive must not.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// What is read in many parts is not begun anew for one that failed: that is tried again, after 0.2 s, 0.4 s, …
const ATTEMPTS: u32 = 6;
const BACKOFF: Duration = Duration::from_millis(200);
/// Parts of one object that are on their way at the same time.
const PARTS_IN_FLIGHT: usize = 3;
/// S3 takes parts of 5 MiB and more, and 10,000 of them.
const PART_BYTES_MIN: u64 = 8 << 20;
const PARTS_PLANNED: u64 = 5_000;

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Bucket {
    store: Arc<dyn ObjectStore>,
    request_timeout: Duration,
}

impl Bucket {
    /// Reaches the bucket and proves that it keeps what was created from being overwritten.
    pub async fn open(config: &ArchiveConfig) -> Result<Self, ArchiveError> {
        let bucket = Self::connect(config)?;
        bucket.probe().await?;
        Ok(bucket)
    }

    /// As [`Self::open`], but without reaching for it: for a program that must start while the bucket is down.
    pub fn connect(config: &ArchiveConfig) -> Result<Self, ArchiveError> {
        Ok(Self::over(config::store(config)?))
    }

    /// A bucket over any store, such as one in memory.
    pub fn over(store: Arc<dyn ObjectStore>) -> Self {
        Self { store, request_timeout: REQUEST_TIMEOUT }
    }

    /// How long one request may take, with the tries of the store's own client; 60 s if nothing is said.
    #[must_use]
    pub fn with_request_timeout(self, request_timeout: Duration) -> Self {
        Self { request_timeout, ..self }
    }

    /// Proves that the bucket can be written, read and deleted from, and that it refuses to create an object twice: the
    /// archive has no other fence between two nodes that take themselves for a partition's leader.
    pub async fn probe(&self) -> Result<(), ArchiveError> {
        let path = Path::from(format!("probe-{}", uuid::Uuid::new_v4()));
        let written = Bytes::from_static(b"cairn");
        let create = || self.store.put_opts(&path, written.clone().into(), PutOptions::from(PutMode::Create));
        create().await.map_err(config::diagnose)?;
        let again = create().await;
        let read = self.get(&path).await;
        self.delete(&path).await?;
        match again {
            Err(StoreError::AlreadyExists { .. } | StoreError::Precondition { .. }) => {}
            Err(StoreError::NotImplemented { .. }) | Ok(_) => {
                return Err(ArchiveError::Config {
                    field: "url",
                    reason: "this store lets an object be created twice (it ignores If-None-Match): the archive would \
                             not be safe in it; use one that has conditional writes"
                        .into(),
                    source: None,
                });
            }
            Err(error) => return Err(config::diagnose(error)),
        }
        if read? != written {
            return Err(ArchiveError::Damaged { object: path.into(), reason: "it is not what was written".into() });
        }
        Ok(())
    }

    /// [`ArchiveError::Exists`] where there is such an object with another content: one with the same may be from an
    /// attempt that only seemed to fail.
    pub(crate) async fn create(&self, path: &Path, bytes: Bytes) -> Result<(), ArchiveError> {
        let options = PutOptions::from(PutMode::Create);
        match self.timed("write", path, self.store.put_opts(path, bytes.clone().into(), options)).await {
            Err(ArchiveError::Exists { .. }) if self.get(path).await? == bytes => Ok(()),
            created => created.map(drop),
        }
    }

    pub(crate) async fn overwrite(&self, path: &Path, bytes: Bytes) -> Result<(), ArchiveError> {
        self.timed("write", path, self.store.put(path, bytes.into())).await.map(drop)
    }

    /// As [`Self::overwrite`]; the entity tag, where the store has one.
    pub(crate) async fn put(&self, path: &Path, bytes: Bytes) -> Result<Option<String>, ArchiveError> {
        Ok(self.timed("write", path, self.store.put(path, bytes.into())).await?.e_tag)
    }

    /// The whole of an object that is no larger than a document may be.
    pub(crate) async fn get(&self, path: &Path) -> Result<Bytes, ArchiveError> {
        let result = self.timed("read", path, self.store.get(path)).await?;
        let bytes = result.meta.size;
        if bytes > DOCUMENT_BYTES_MAX {
            return Err(ArchiveError::Damaged { object: path.to_string(), reason: format!("it has {bytes} bytes") });
        }
        let read = self.timed("read", path, result.bytes()).await?;
        if read.len() as u64 == bytes { Ok(read) } else { Err(short(path, read.len())) }
    }

    pub(crate) async fn get_range(&self, path: &Path, range: Range<u64>) -> Result<Bytes, ArchiveError> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let failure = match self.timed("read", path, self.store.get_range(path, range.clone())).await {
            Ok(read) if read.len() as u64 == range.end - range.start => return Ok(read),
            Ok(read) => short(path, read.len()),
            Err(error @ ArchiveError::Store { .. }) => error,
            Err(error) => return Err(error),
        };
        // Stores answer differently where an object ends too early.
        match self.head(path).await {
            Ok(object) if object.size < range.end => {
                let reason = format!("it is truncated: it ends after {} bytes, before {}", object.size, range.end);
                Err(ArchiveError::Damaged { object: path.to_string(), reason })
            }
            _ => Err(failure),
        }
    }

    /// As [`Self::get_range`], tried again where another try may do better.
    pub(crate) async fn get_range_patiently(&self, path: &Path, range: Range<u64>) -> Result<Bytes, ArchiveError> {
        let mut attempt = 1;
        loop {
            match self.get_range(path, range.clone()).await {
                Ok(bytes) => return Ok(bytes),
                Err(error @ (ArchiveError::NotFound { .. } | ArchiveError::Damaged { .. })) => return Err(error),
                Err(error) if attempt >= ATTEMPTS => return Err(error),
                Err(error) => {
                    tracing::warn!(%error, attempt, "failed to read from the bucket, trying again");
                    tokio::time::sleep(BACKOFF * 2u32.pow(attempt - 1)).await;
                    attempt += 1;
                }
            }
        }
    }

    /// An object, as a listing that is not late would have it.
    pub(crate) async fn head(&self, path: &Path) -> Result<ObjectMeta, ArchiveError> {
        self.timed("read", path, self.store.head(path)).await
    }

    /// The objects in a folder and those below it, in order; only those behind `after`, if given.
    pub(crate) async fn list(&self, folder: &Path, after: Option<&Path>) -> Result<Vec<ObjectMeta>, ArchiveError> {
        let mut listed = match after {
            Some(after) => self.store.list_with_offset(Some(folder), after),
            None => self.store.list(Some(folder)),
        };
        let mut objects = Vec::new();
        while let Some(object) = self.timed("list", folder, listed.try_next()).await? {
            objects.push(object);
        }
        // A store in a folder gives them in no order.
        objects.sort_by(|a, b| a.location.cmp(&b.location));
        Ok(objects)
    }

    /// As [`Self::list`], only those that are `wanted`, and none once there are more than `max` of them.
    pub(crate) async fn list_up_to(
        &self,
        max: usize,
        folder: &Path,
        wanted: impl Fn(&ObjectMeta) -> bool,
    ) -> Result<Option<Vec<ObjectMeta>>, ArchiveError> {
        let mut listed = self.store.list(Some(folder));
        let mut objects = Vec::new();
        while let Some(object) = self.timed("list", folder, listed.try_next()).await? {
            if wanted(&object) {
                objects.push(object);
            }
            if objects.len() > max {
                return Ok(None);
            }
        }
        objects.sort_by(|a, b| a.location.cmp(&b.location));
        Ok(Some(objects))
    }

    /// The names of the folders in a folder, in order.
    pub(crate) async fn folders(&self, folder: &Path) -> Result<Vec<String>, ArchiveError> {
        let listed = self.timed("list", folder, self.store.list_with_delimiter(Some(folder))).await?;
        let mut names: Vec<String> =
            listed.common_prefixes.iter().filter_map(|path| path.filename().map(str::to_owned)).collect();
        names.sort();
        Ok(names)
    }

    /// What is not there need not be deleted.
    pub(crate) async fn delete(&self, path: &Path) -> Result<(), ArchiveError> {
        match self.timed("delete", path, self.store.delete(path)).await {
            Err(ArchiveError::NotFound { .. }) => Ok(()),
            deleted => deleted,
        }
    }

    /// The store's clock, in milliseconds since the Unix epoch: when it says that an object was written just now.
    pub(crate) async fn clock_ms(&self) -> Result<u64, ArchiveError> {
        let path = Path::from(format!("clock-{}", uuid::Uuid::new_v4()));
        self.overwrite(&path, Bytes::from_static(b"cairn")).await?;
        let written = self.head(&path).await;
        self.delete(&path).await?;
        Ok(u64::try_from(written?.last_modified.timestamp_millis()).unwrap_or(0))
    }

    /// Begins an object of about `bytes` bytes, which appears as a whole when it is finished.
    pub(crate) fn upload(&self, path: Path, bytes: u64) -> Upload {
        Upload {
            bucket: self.clone(),
            path,
            part_bytes: (bytes / PARTS_PLANNED).max(PART_BYTES_MIN) as usize,
            buffer: Vec::new(),
            multipart: None,
            in_flight: VecDeque::new(),
        }
    }

    /// Bounds a request, and names the object in its failure.
    async fn timed<T>(
        &self,
        action: &'static str,
        path: &Path,
        request: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, ArchiveError> {
        let object = || path.to_string();
        match tokio::time::timeout(self.request_timeout, request).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(StoreError::NotFound { .. })) => Err(ArchiveError::NotFound { object: object() }),
            Ok(Err(StoreError::AlreadyExists { .. } | StoreError::Precondition { .. })) => {
                Err(ArchiveError::Exists { object: object() })
            }
            Ok(Err(source)) => Err(ArchiveError::Store { action, object: object(), source }),
            Err(_) => {
                let seconds = self.request_timeout.as_secs();
                Err(ArchiveError::TimedOut { action, object: object(), seconds })
            }
        }
    }
}

/// An object on its way into the bucket. Nothing of it stays there if it is not finished.
pub(crate) struct Upload {
    bucket: Bucket,
    path: Path,
    part_bytes: usize,
    buffer: Vec<u8>,
    multipart: Option<Box<dyn MultipartUpload>>,
    in_flight: VecDeque<BoxFuture<'static, object_store::Result<()>>>,
}

impl Upload {
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        self.buffer.extend_from_slice(bytes);
        // Every part but the last has the same size: some stores want it.
        while self.buffer.len() > self.part_bytes {
            let rest = self.buffer.split_off(self.part_bytes);
            let part = std::mem::replace(&mut self.buffer, rest);
            self.put_part(part).await?;
        }
        Ok(())
    }

    async fn put_part(&mut self, part: Vec<u8>) -> Result<(), ArchiveError> {
        let multipart = match &mut self.multipart {
            Some(multipart) => multipart,
            none => {
                none.insert(self.bucket.timed("write", &self.path, self.bucket.store.put_multipart(&self.path)).await?)
            }
        };
        if self.in_flight.len() >= PARTS_IN_FLIGHT
            && let Some(oldest) = self.in_flight.pop_front()
        {
            self.bucket.timed("write", &self.path, oldest).await?;
        }
        // Spawned, so that it goes on while the next part is being made.
        let sending = tokio::spawn(multipart.put_part(Bytes::from(part).into()));
        self.in_flight.push_back(Box::pin(async move { sending.await? }));
        Ok(())
    }

    pub(crate) async fn finish(mut self) -> Result<(), ArchiveError> {
        let last = std::mem::take(&mut self.buffer);
        if self.multipart.is_none() {
            return self
                .bucket
                .timed("write", &self.path, self.bucket.store.put(&self.path, Bytes::from(last).into()))
                .await
                .map(drop);
        }
        let finished = self.finish_parts(last).await;
        match &finished {
            Ok(()) => self.multipart = None,
            Err(_) => self.abort().await,
        }
        finished
    }

    async fn finish_parts(&mut self, last: Vec<u8>) -> Result<(), ArchiveError> {
        self.put_part(last).await?;
        while let Some(part) = self.in_flight.pop_front() {
            self.bucket.timed("write", &self.path, part).await?;
        }
        match &mut self.multipart {
            Some(multipart) => self.bucket.timed("write", &self.path, multipart.complete()).await.map(drop),
            None => Ok(()),
        }
    }

    /// None if nothing of it is in the bucket yet.
    fn unfinished(&mut self) -> Option<Unfinished> {
        let in_flight = std::mem::take(&mut self.in_flight);
        let multipart = self.multipart.take()?;
        Some(Unfinished { bucket: self.bucket.clone(), path: self.path.clone(), multipart, in_flight })
    }

    pub(crate) async fn abort(&mut self) {
        if let Some(unfinished) = self.unfinished() {
            // Spawned, so that it goes on where who waits for it is gone.
            drop(tokio::spawn(unfinished.abort()).await);
        }
    }
}

impl Drop for Upload {
    /// Whoever uploaded was cancelled: the store would keep the parts, and nobody lists them.
    fn drop(&mut self) {
        if let (Some(unfinished), Ok(runtime)) = (self.unfinished(), Handle::try_current()) {
            runtime.spawn(unfinished.abort());
        }
    }
}

/// Parts of an object that is not to be.
struct Unfinished {
    bucket: Bucket,
    path: Path,
    multipart: Box<dyn MultipartUpload>,
    in_flight: VecDeque<BoxFuture<'static, object_store::Result<()>>>,
}

impl Unfinished {
    async fn abort(mut self) {
        // A part that arrives after the abort would stay.
        for part in self.in_flight {
            drop(self.bucket.timed("write", &self.path, part).await);
        }
        if let Err(error) = self.bucket.timed("abort", &self.path, self.multipart.abort()).await {
            tracing::warn!(%error, "the store may keep parts of an object that was never finished");
        }
    }
}

/// An answer that ended early, which another attempt may get whole.
fn short(path: &Path, bytes: usize) -> ArchiveError {
    let source =
        StoreError::Generic { store: "bucket", source: format!("the answer ended after {bytes} bytes").into() };
    ArchiveError::Store { action: "read", object: path.to_string(), source }
}
