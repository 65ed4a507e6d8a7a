//! A connection's place among all that there may be.

use crate::memory::HTTP2_CONNECTIONS;
use std::sync::{Arc, OnceLock};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

#[derive(Debug)]
pub(super) struct Place {
    all: Arc<Semaphore>,
    _taken: OwnedSemaphorePermit,
    of_http2: OnceLock<OwnedSemaphorePermit>,
}

impl Place {
    /// Waits for one.
    pub(super) async fn take(all: &Arc<Semaphore>) -> Result<Self, AcquireError> {
        let taken = all.clone().acquire_owned().await?;
        Ok(Self { all: all.clone(), _taken: taken, of_http2: OnceLock::new() })
    }

    /// Makes it large enough for a connection of HTTP/2, which can hold more; whether there is room for that.
    pub(super) fn widen(&self) -> bool {
        if self.of_http2.get().is_some() {
            return true;
        }
        let more = self.all.clone().try_acquire_many_owned(HTTP2_CONNECTIONS);
        more.is_ok_and(|more| self.of_http2.set(more).is_ok())
    }
}
