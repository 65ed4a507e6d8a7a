//! Reads through raft-engine's cache of the block read last, so that no log is given another's.
//!
//! raft-engine 0.4 keeps that block for each thread and, to know it again, its queue, the number of its file and its place
//! there, not which log the file is of. Of two logs open in a process, or one behind the other, a thread that read the
//! first would be given its entries for the second's.

use std::{
    cell::Cell,
    sync::atomic::{AtomicU64, Ordering},
};

thread_local! {
    /// Whose block this thread may keep.
    static READER: Cell<Option<u64>> = const { Cell::new(None) };
}

/// A log that was opened, told apart from all others of this process.
#[derive(Debug)]
pub(super) struct Reader(u64);

impl Reader {
    pub(super) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// Runs what may read entries: in this thread if no other log was read in it, as ever where a process has one log; else
    /// in one of its own. A panic of `read` goes on here.
    pub(super) fn run<T: Send>(&self, read: impl FnOnce() -> T + Send) -> T {
        if READER.get().is_none_or(|reader| reader == self.0) {
            READER.set(Some(self.0));
            return read();
        }
        let ended = std::thread::scope(|scope| scope.spawn(read).join());
        ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}
