//! What a thread has allocated: a test that bounds it has `#[global_allocator] static MEMORY: CountingAllocator = CountingAllocator;`.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

thread_local! {
    // Both may fall below zero: what one thread allocates another may give back.
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

/// The system's allocator, and a count of the bytes that each thread has of it.
#[derive(Debug)]
pub struct CountingAllocator;

fn count(bytes: isize) {
    // A thread that ends has no count any more.
    let _ = LIVE.try_with(|live| {
        live.set(live.get() + bytes);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(live.get())));
    });
}

fn size(layout: Layout) -> isize {
    isize::try_from(layout.size()).unwrap_or(isize::MAX)
}

#[expect(unsafe_code, reason = "an allocator is told of pointers; the system's does everything, this one counts")]
// SAFETY: every call is passed on unchanged to the system's allocator, and counting allocates nothing.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(size(layout));
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(size(layout));
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-size(layout));
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(isize::try_from(new_size).unwrap_or(isize::MAX).saturating_sub(size(layout)));
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}

/// The most that this thread had at one moment while `work` ran, above what it had before.
pub(crate) fn peak_of<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = LIVE.get();
    PEAK.set(before);
    let outcome = work();
    (outcome, usize::try_from(PEAK.get() - before).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[global_allocator]
    static MEMORY: CountingAllocator = CountingAllocator;

    #[test]
    fn the_peak_is_counted_and_not_what_was_there_before() {
        let before = vec![0_u8; 1 << 20];
        let (_, peak) = peak_of(|| {
            drop(vec![1_u8; 5_000]);
            drop(vec![2_u8; 7_000]);
            drop(before);
        });
        assert!((7_000..8_000).contains(&peak), "{peak}");
    }
}
