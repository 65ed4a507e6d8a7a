//! A node's clocks: they drift, and the wall clock jumps.

use cairn_replication::core::Now;

/// Drift within what the leases are made for.
pub const DRIFT_PPM_MAX: i64 = 500;

/// Virtual time begins at this wall-clock time.
const EPOCH_MS: u64 = 1_790_000_000_000;

#[derive(Clone, Debug)]
pub struct Clock {
    drift_ppm: i64,
    wall_offset_ms: i64,
    /// When the machine started; its boot clock counts from there, through restarts of the process.
    booted_at_us: u64,
}

impl Clock {
    pub fn new(drift_ppm: i64, wall_offset_ms: i64) -> Self {
        Self { drift_ppm, wall_offset_ms, booted_at_us: 0 }
    }

    pub fn read(&self, now_us: u64) -> Now {
        let wall_ms = (EPOCH_MS + self.drifted_us(now_us) / 1000).saturating_add_signed(self.wall_offset_ms);
        // No machine has been up for less than what it takes to start one.
        let boot_ms = 5_000 + self.drifted_us(now_us - self.booted_at_us) / 1000;
        Now { wall_ms, boot_ms }
    }

    pub fn jump(&mut self, by_ms: i64) {
        self.wall_offset_ms += by_ms;
    }

    /// What time synchronisation does; the boot clock is left alone.
    pub fn synchronise(&mut self, now_us: u64) {
        self.wall_offset_ms = (now_us as i64 - self.drifted_us(now_us) as i64) / 1000;
    }

    pub fn boot_machine(&mut self, now_us: u64) {
        self.booted_at_us = now_us;
    }

    fn drifted_us(&self, elapsed_us: u64) -> u64 {
        elapsed_us.saturating_add_signed(elapsed_us as i64 * self.drift_ppm / 1_000_000)
    }
}
