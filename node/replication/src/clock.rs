//! The two clocks: the wall's, which stamps, and the boot-time one, which measures.

use std::fmt;

/// What both clocks show at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since the Unix epoch; may jump.
    pub wall_ms: u64,
    /// Milliseconds since some moment in the past; never goes back, and goes on while the machine sleeps.
    pub boot_ms: u64,
}

/// Where [`crate::Host`] reads the time.
pub trait Clock: Send + Sync + fmt::Debug {
    fn now(&self) -> Now;
}

/// The machine's own clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Now {
        let ms = |id| {
            let time = rustix::time::clock_gettime(id);
            (time.tv_sec.max(0) as u64) * 1_000 + (time.tv_nsec as u64) / 1_000_000
        };
        Now { wall_ms: ms(rustix::time::ClockId::Realtime), boot_ms: ms(rustix::time::ClockId::Boottime) }
    }
}
