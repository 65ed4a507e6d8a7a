//! A budget of bytes: taken without a lock while there is room, waited for in turn where there is none.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::sync::{Mutex, Notify};

/// Shares up to this size are small: for them a quarter of a budget is kept, which large ones can't take.
pub(crate) const SMALL_BYTES: usize = 64 << 10;

/// Others hold what there is, or so much is not there at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoRoom;

#[derive(Clone, Debug)]
pub(crate) struct Budget(Arc<State>);

#[derive(Debug)]
struct State {
    /// Below zero where something had to be taken that nobody had made room for.
    free: AtomicI64,
    kept_for_small: i64,
    largest: usize,
    small: Lane,
    large: Lane,
}

/// Those who wait: one tries whenever something is given back, the others stand in line behind it.
#[derive(Debug, Default)]
struct Lane {
    waiting: AtomicUsize,
    turn: Mutex<()>,
    freed: Notify,
}

/// What someone holds of a budget; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Budget,
    bytes: usize,
}

impl Budget {
    /// Never less than one share of `largest` bytes needs.
    pub(crate) fn new(bytes_max: usize, largest: usize) -> Self {
        let bytes = bytes_max.max(largest.div_ceil(3) * 4);
        Self(Arc::new(State {
            free: AtomicI64::new(signed(bytes)),
            kept_for_small: signed(bytes / 4),
            largest: bytes - bytes / 4,
            small: Lane::default(),
            large: Lane::default(),
        }))
    }

    pub(crate) fn empty_share(&self) -> Share {
        Share { budget: self.clone(), bytes: 0 }
    }

    /// A share of so many bytes, waited for with this much patience.
    pub(crate) async fn take(&self, bytes: usize, patience: Duration) -> Result<Share, NoRoom> {
        let mut share = self.empty_share();
        share.grow(bytes, patience).await?;
        Ok(share)
    }

    /// The largest share that can be had.
    pub(crate) fn largest(&self) -> usize {
        self.0.largest
    }

    #[cfg(test)]
    pub(crate) fn free(&self) -> i64 {
        self.0.free.load(SeqCst)
    }
}

impl State {
    fn try_take(&self, bytes: i64, large: bool) -> bool {
        let least = if large { self.kept_for_small } else { 0 };
        let taken = self.free.fetch_update(SeqCst, SeqCst, |free| (free - bytes >= least).then_some(free - bytes));
        taken.is_ok()
    }

    async fn wait(&self, bytes: i64, large: bool) {
        let lane = if large { &self.large } else { &self.small };
        let _waiting = Waiting::enter(&lane.waiting);
        let _turn = lane.turn.lock().await;
        // Whoever gives back after this found nothing sees that somebody waits, and leaves word.
        while !self.try_take(bytes, large) {
            lane.freed.notified().await;
        }
    }

    fn give_back(&self, bytes: i64) {
        self.free.fetch_add(bytes, SeqCst);
        for lane in [&self.small, &self.large] {
            if lane.waiting.load(SeqCst) > 0 {
                lane.freed.notify_one();
            }
        }
    }
}

/// Counted until it is dropped: who waits may lose patience.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, SeqCst);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

impl Share {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes so many bytes more. Large shares keep to their order, small ones go where there is room.
    pub(crate) async fn grow(&mut self, more: usize, patience: Duration) -> Result<(), NoRoom> {
        if more == 0 {
            return Ok(());
        }
        let State { largest, large: large_lane, .. } = &*self.budget.0;
        let bytes = self.bytes.saturating_add(more);
        let large = bytes > SMALL_BYTES;
        if bytes > *largest {
            return Err(NoRoom);
        }
        let in_line = large && large_lane.waiting.load(SeqCst) > 0;
        // Mostly there is room, and no timer is needed.
        if in_line || !self.budget.0.try_take(signed(more), large) {
            let waiting = tokio::time::timeout(patience, self.budget.0.wait(signed(more), large));
            waiting.await.map_err(|_| NoRoom)?;
        }
        self.bytes = bytes;
        Ok(())
    }

    /// Makes another share of the same budget part of this one.
    pub(crate) fn absorb(&mut self, mut other: Self) {
        self.bytes += std::mem::take(&mut other.bytes);
    }

    /// Makes it what is held already, though there be no room: the next who ask for some wait the longer.
    pub(crate) fn set(&mut self, bytes: usize) {
        let (before, after) = (signed(self.bytes), signed(bytes));
        self.bytes = bytes;
        match before - after {
            0 => {}
            freed @ 1.. => self.budget.0.give_back(freed),
            taken => {
                self.budget.0.free.fetch_add(taken, SeqCst);
            }
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(20);
    const LATE: Duration = Duration::from_secs(20);
    const MB: usize = 1 << 20;

    #[tokio::test]
    async fn small_shares_are_had_though_large_ones_take_what_they_can() {
        let budget = Budget::new(4 * MB, MB);
        let _large = budget.take(3 * MB, SOON).await.unwrap();
        assert_eq!(budget.take(MB / 8, SOON).await.unwrap_err(), NoRoom);
        let small = futures::future::join_all((0..16).map(|_| budget.take(SMALL_BYTES, SOON))).await;
        assert!(small.iter().all(Result::is_ok));
        assert_eq!(budget.take(1, SOON).await.unwrap_err(), NoRoom);
        drop(small);
        assert!(budget.take(1, SOON).await.is_ok());
    }

    #[tokio::test]
    async fn what_is_given_back_goes_to_those_who_wait_in_their_order() {
        let budget = Budget::new(4 * MB, MB);
        let held = budget.take(3 * MB, SOON).await.unwrap();
        let take = |bytes| {
            let budget = budget.clone();
            tokio::spawn(async move { budget.take(bytes, LATE).await })
        };
        let first = take(3 * MB);
        tokio::time::sleep(SOON).await;
        let second = take(MB);
        tokio::time::sleep(SOON).await;
        drop(held);
        let first = first.await.unwrap().unwrap();
        assert!(!second.is_finished());
        drop(first);
        assert_eq!(second.await.unwrap().unwrap().bytes(), MB);
    }

    #[tokio::test]
    async fn who_lost_patience_leaves_its_place_in_line() {
        let budget = Budget::new(4 * MB, MB);
        let held = budget.take(2 * MB, SOON).await.unwrap();
        assert_eq!(budget.take(3 * MB, SOON).await.unwrap_err(), NoRoom);
        assert!(budget.take(MB, SOON).await.is_ok());
        drop(held);
        assert_eq!(budget.free(), 4 * MB as i64);
    }

    #[tokio::test]
    async fn what_was_taken_without_asking_is_made_up_for_by_the_next() {
        let budget = Budget::new(4 * MB, MB);
        let mut share = budget.empty_share();
        share.set(5 * MB);
        assert_eq!(budget.take(1, SOON).await.unwrap_err(), NoRoom);
        share.set(2 * MB);
        assert!(budget.take(MB, SOON).await.is_ok());
    }

    #[tokio::test]
    async fn more_than_there_can_ever_be_is_not_waited_for() {
        let budget = Budget::new(0, 3 * MB);
        assert!(budget.take(budget.largest(), SOON).await.is_ok());
        let refused = tokio::time::timeout(SOON, budget.take(budget.largest() + 1, LATE)).await;
        assert_eq!(refused.unwrap().unwrap_err(), NoRoom);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn nobody_is_forgotten_where_many_take_and_give_back() {
        let budget = Budget::new(MB, SMALL_BYTES);
        let tasks = (0..16).map(|task| {
            let budget = budget.clone();
            tokio::spawn(async move {
                for round in 0..200 {
                    let bytes = [MB / 2, SMALL_BYTES, 3 * MB / 4, 1000][(task + round) % 4];
                    let share = budget.take(bytes, LATE).await.unwrap();
                    tokio::task::yield_now().await;
                    drop(share);
                }
            })
        });
        for task in futures::future::join_all(tasks).await {
            task.unwrap();
        }
        assert_eq!(budget.free(), MB as i64);
    }
}
