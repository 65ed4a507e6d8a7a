//! The machine's clocks and randomness: the one place of this program that takes them from where they are.

use rand::Rng;
use std::time::Duration;

/// Milliseconds since the Unix epoch, by the wall clock.
#[allow(clippy::disallowed_methods)] // this is the clock that everything else is given
pub fn wall_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Time since the machine started, the time it slept included.
fn boot() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// What a running process has; tests have their own.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEnvironment;

impl cairn_api::Environment for SystemEnvironment {
    fn wall_ms(&self) -> u64 {
        wall_ms()
    }

    fn monotonic(&self) -> Duration {
        boot()
    }

    /// From a generator that the kernel seeds: two ids a request would be two calls of the kernel.
    #[allow(clippy::disallowed_methods)]
    fn unique_id(&self) -> [u8; 16] {
        rand::rng().random()
    }
}
