//! The bucket as this archive can use it now.

use super::refusal::Refusal;
use cairn_archive::{ArchiveConfig, Bucket, Shipper};
use parking_lot::Mutex;
use std::{fmt, sync::Arc};

/// A bucket that was opened, and what ships into it.
#[derive(Clone)]
pub(crate) struct Opened {
    pub(crate) bucket: Bucket,
    /// How it was, with the credentials of now.
    pub(crate) config: ArchiveConfig,
    pub(crate) shipper: Arc<Shipper>,
}

#[derive(Default)]
struct State {
    opened: Option<Opened>,
    unreachable: Option<String>,
}

/// Cheap to clone; its clones are one.
#[derive(Clone)]
pub(crate) struct Reach(Arc<Mutex<State>>);

impl fmt::Debug for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reach").field("unreachable", &self.unreachable()).finish_non_exhaustive()
    }
}

impl Reach {
    pub(crate) fn new() -> Self {
        let unreachable = Some("the bucket is not open yet: the archive has just started".to_owned());
        Self(Arc::new(Mutex::new(State { opened: None, unreachable })))
    }

    pub(crate) fn open(&self, opened: Opened) {
        *self.0.lock() = State { opened: Some(opened), unreachable: None };
    }

    pub(crate) fn close(&self) {
        self.0.lock().opened = None;
    }

    /// Why the bucket can't be used, or that it can; true where that is news.
    pub(crate) fn tell(&self, unreachable: Option<String>) -> bool {
        let mut state = self.0.lock();
        let is_news = state.unreachable != unreachable;
        state.unreachable = unreachable;
        is_news
    }

    pub(crate) fn unreachable(&self) -> Option<String> {
        self.0.lock().unreachable.clone()
    }

    pub(crate) fn shipper(&self) -> Option<Arc<Shipper>> {
        self.0.lock().opened.as_ref().map(|opened| opened.shipper.clone())
    }

    pub(super) fn bucket(&self) -> Result<Bucket, Refusal> {
        self.opened().map(|opened| opened.bucket)
    }

    /// With how it is reached.
    pub(crate) fn access(&self) -> Result<(Bucket, ArchiveConfig), Refusal> {
        self.opened().map(|opened| (opened.bucket, opened.config))
    }

    pub(super) fn opened(&self) -> Result<Opened, Refusal> {
        let state = self.0.lock();
        match (&state.unreachable, &state.opened) {
            (None, Some(opened)) => Ok(opened.clone()),
            (Some(why), _) => Err(Refusal::failed(why.clone())),
            (None, None) => Err(Refusal::failed("the bucket is being opened: ask again")),
        }
    }
}
