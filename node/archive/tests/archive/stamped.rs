//! A store in memory whose clock is a model's.

use crate::model::Model;
use async_trait::async_trait;
use futures::{StreamExt, stream::BoxStream};
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result, memory::InMemory, path::Path,
};
use parking_lot::Mutex;
use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::Arc,
    time::Duration,
};

#[derive(Debug)]
pub(crate) struct Stamped {
    store: InMemory,
    model: Arc<Model>,
    times: Arc<Mutex<Times>>,
}

#[derive(Debug, Default)]
struct Times {
    written_ms: HashMap<Path, u64>,
    /// How far it is behind the model's.
    behind_ms: u64,
    /// What listings do not have yet.
    unlisted: HashSet<Path>,
}

impl Times {
    fn stamp(&self, mut object: ObjectMeta) -> ObjectMeta {
        let written_ms = self.written_ms.get(&object.location).copied().unwrap_or_default();
        object.last_modified = Default::default();
        object.last_modified += Duration::from_millis(written_ms);
        object
    }
}

impl Stamped {
    pub(crate) fn new(model: &Arc<Model>) -> Arc<Self> {
        Arc::new(Self { store: InMemory::new(), model: model.clone(), times: Arc::default() })
    }

    pub(crate) fn set_behind(&self, behind_ms: u64) {
        self.times.lock().behind_ms = behind_ms;
    }

    pub(crate) fn set_unlisted(&self, paths: impl IntoIterator<Item = Path>) {
        self.times.lock().unlisted = paths.into_iter().collect();
    }

    fn written(&self, path: &Path) {
        let now_ms = self.model.now_ms();
        let mut times = self.times.lock();
        let stamp_ms = now_ms - times.behind_ms;
        times.written_ms.insert(path.clone(), stamp_ms);
    }
}

impl fmt::Display for Stamped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stamped")
    }
}

#[async_trait]
impl ObjectStore for Stamped {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let put = self.store.put_opts(path, payload, options).await?;
        self.written(path);
        Ok(put)
    }

    async fn put_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.written(path);
        self.store.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        let mut got = self.store.get_opts(path, options).await?;
        got.meta = self.times.lock().stamp(got.meta);
        Ok(got)
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.store.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let times = self.times.clone();
        let listed = self.store.list(prefix).filter_map(move |object| {
            let times = times.lock();
            let hidden = object.as_ref().is_ok_and(|object| times.unlisted.contains(&object.location));
            std::future::ready((!hidden).then(|| object.map(|object| times.stamp(object))))
        });
        listed.boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.store.copy_opts(from, to, options).await
    }
}
