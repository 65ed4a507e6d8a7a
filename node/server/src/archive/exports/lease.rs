//! The right to make an export, which lasts as long as signs of life are given.

use cairn_archive::export::{Attempt, Fence};
use cairn_replication::Clock;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Signs of life within the time after which one is taken to be gone.
const SIGNS: u32 = 6;

/// Cheap to clone; its clones are one.
#[derive(Clone, Debug)]
pub(super) struct Lease {
    /// Until when nobody else begins; milliseconds on the clock that goes on while the machine sleeps.
    until_ms: Arc<AtomicU64>,
    silence_max: Duration,
    clock: Arc<dyn Clock>,
}

impl Lease {
    /// From a moment before the attempt was begun.
    pub(super) fn since(began_ms: u64, silence_max: Duration, clock: Arc<dyn Clock>) -> Self {
        let lease = Self { until_ms: Arc::default(), silence_max, clock };
        lease.extend(began_ms);
        lease
    }

    fn extend(&self, from_ms: u64) {
        let held = self.silence_max * 2 / 3;
        self.until_ms.store(from_ms + held.as_millis() as u64, Ordering::Relaxed);
    }

    pub(super) fn is_held(&self) -> bool {
        self.now_ms() < self.until_ms.load(Ordering::Relaxed)
    }

    pub(super) fn end(&self) {
        self.until_ms.store(0, Ordering::Relaxed);
    }

    fn now_ms(&self) -> u64 {
        self.clock.now().boot_ms
    }

    pub(super) fn fence(&self) -> Fence {
        let lease = self.clone();
        Fence::new(move || lease.is_held())
    }

    /// Gives signs of life; returns when the right is lost.
    pub(super) async fn keep(&self, attempt: &mut Attempt) {
        while self.is_held() {
            tokio::time::sleep(self.silence_max / SIGNS).await;
            let began_ms = self.now_ms();
            match attempt.renew().await {
                Ok(true) if self.is_held() => self.extend(began_ms),
                Ok(_) => break,
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "failed to tell that an export is being made, trying on");
                }
            }
        }
        self.end();
    }
}
