//! The room on a node's volume, and the refusal of writes before it runs out.

use cairn_replication::ShortOfRoom;
use std::{
    path::PathBuf,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

/// Writes are refused below this share of the volume …
const FREE_FRACTION_MIN: u64 = 20; // a twentieth
/// … but never while this much is free: compaction and the log need no more to go on.
const FREE_BYTES_ENOUGH: u64 = 4 << 30;
/// … and always below this.
const FREE_BYTES_MIN: u64 = 256 << 20;

/// What can be done later is not done while less than this many times as much is free as writes are refused below.
const SPARE: u64 = 2;

/// The volume has too little room for what can be done later.
#[derive(Debug, thiserror::Error)]
#[error(
    "the storage node's volume has too little room for a table that is restored, imported or exported: grow it or delete \
     data"
)]
pub(crate) struct NoRoom;

/// Looks at the volume now and then; everyone else reads what it saw.
#[derive(Debug)]
pub(crate) struct Disk {
    path: PathBuf,
    free_bytes: AtomicU64,
    total_bytes: AtomicU64,
    full: AtomicBool,
    short: ShortOfRoom,
}

impl Disk {
    /// Says so where the volume is short of room.
    pub(crate) fn new(path: PathBuf, short: ShortOfRoom) -> Self {
        let disk = Self {
            path,
            free_bytes: AtomicU64::new(0),
            total_bytes: AtomicU64::new(0),
            full: AtomicBool::new(false),
            short,
        };
        disk.look();
        disk
    }

    /// Measures the volume; a call to the file system, for a thread that may wait.
    pub(crate) fn look(&self) {
        let measured = match rustix::fs::statvfs(&self.path) {
            Ok(measured) => measured,
            Err(error) => {
                tracing::warn!(path = %self.path.display(), %error, "failed to measure the volume");
                return;
            }
        };
        let free = measured.f_bavail * measured.f_frsize;
        let total = measured.f_blocks * measured.f_frsize;
        self.free_bytes.store(free, Ordering::Relaxed);
        self.total_bytes.store(total, Ordering::Relaxed);
        self.short.set(is_full(free / SPARE, total));
        let full = is_full(free, total);
        if full != self.full.swap(full, Ordering::Relaxed) {
            if full {
                tracing::error!(
                    free_bytes = free,
                    total_bytes = total,
                    "the volume is nearly full: writes are refused; grow it"
                );
            } else {
                tracing::info!(free_bytes = free, "the volume has room again: writes are taken");
            }
        }
    }

    pub(crate) fn free_bytes(&self) -> u64 {
        self.free_bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn total_bytes(&self) -> u64 {
        self.total_bytes.load(Ordering::Relaxed)
    }

    /// Refuses what can be done later while there is no room to spare for it: a table that is restored, imported or exported.
    pub(crate) fn check_room(&self) -> Result<(), NoRoom> {
        if self.short.get() { Err(NoRoom) } else { Ok(()) }
    }

    /// As a volume is that still takes writes.
    #[cfg(test)]
    pub(crate) fn run_short(&self) {
        self.short.set(true);
    }

    /// True while writes must be refused.
    pub(crate) fn full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }
}

fn is_full(free: u64, total: u64) -> bool {
    free < FREE_BYTES_MIN.min(total / 4) || (free < total / FREE_FRACTION_MIN && free < FREE_BYTES_ENOUGH)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn writes_are_refused_before_the_volume_is_full() {
        assert!(is_full(GIB / 5, 10 * GIB));
        assert!(is_full(4 * GIB - 1, 100 * GIB));
        assert!(!is_full(GIB, 10 * GIB));
    }

    #[test]
    fn a_large_volume_is_not_full_while_gigabytes_are_free() {
        assert!(!is_full(40 * GIB, 10_000 * GIB));
    }

    #[test]
    fn a_small_volume_can_be_used_for_the_most_part() {
        assert!(!is_full(GIB / 10, GIB / 4));
    }
}
