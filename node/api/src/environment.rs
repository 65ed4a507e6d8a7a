//! Time and randomness, which come in from outside.

use futures::future::BoxFuture;
use std::time::Duration;

/// The clocks and the source of ids of a running process, or those of a test.
pub trait Environment: Send + Sync {
    /// Milliseconds since the Unix epoch.
    fn wall_ms(&self) -> u64;

    /// Time since some fixed moment, never going back: for latencies.
    fn monotonic(&self) -> Duration;

    /// Sixteen bytes nobody has seen before: names requests whose client named none.
    fn unique_id(&self) -> [u8; 16];

    /// Waits.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}
