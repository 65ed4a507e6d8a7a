//! How many may do something at once, in all and of those who share a part of it.

use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// For so long, a place is waited for.
const PLACE_WAIT: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Places {
    all: Arc<Semaphore>,
    of_one: usize,
    /// Of the shares that someone has a place of, or waits for one.
    shares: Mutex<HashMap<String, Weak<Semaphore>>>,
}

/// One of them, for as long as it is kept.
#[derive(Debug)]
pub(super) struct Place {
    _of_share: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Places {
    /// So many in all, and for each share one in `shares` of them.
    pub(super) fn new(all: usize, shares: usize) -> Self {
        let of_one = (all / shares.max(1)).max(1);
        Self { all: Arc::new(Semaphore::new(all)), of_one, shares: Mutex::default() }
    }

    /// None if there is none soon.
    pub(super) async fn take(&self, share: &str) -> Option<Place> {
        let of_share = self.share(share).acquire_owned();
        let taken = async {
            let _of_share = of_share.await.ok()?;
            Some(Place { _of_share, _of_all: self.all.clone().acquire_owned().await.ok()? })
        };
        tokio::time::timeout(PLACE_WAIT, taken).await.ok().flatten()
    }

    pub(super) fn take_now(&self, share: &str) -> Option<Place> {
        let _of_share = self.share(share).try_acquire_owned().ok()?;
        Some(Place { _of_share, _of_all: self.all.clone().try_acquire_owned().ok()? })
    }

    fn share(&self, name: &str) -> Arc<Semaphore> {
        let mut shares = self.shares.lock();
        if let Some(share) = shares.get(name).and_then(Weak::upgrade) {
            return share;
        }
        shares.retain(|_, share| share.strong_count() > 0);
        let share = Arc::new(Semaphore::new(self.of_one));
        shares.insert(name.to_owned(), Arc::downgrade(&share));
        share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nobody_has_more_than_its_share_and_all_together_no_more_than_there_is() {
        let places = Places::new(4, 2);
        let easts = [places.take("east").await, places.take_now("east")];
        assert!(easts.iter().all(Option::is_some));
        assert!(places.take("east").await.is_none() && places.take_now("east").is_none());
        let others = [places.take("west").await, places.take_now("north")];
        assert!(others.iter().all(Option::is_some));
        assert!(places.take_now("south").is_none(), "all are taken");
        drop(easts);
        assert!(places.take("east").await.is_some() && places.take("south").await.is_some());
    }

    #[tokio::test]
    async fn of_shares_that_nobody_uses_nothing_is_kept() {
        let places = Places::new(4, 2);
        (0..100).for_each(|number| drop(places.take_now(&number.to_string())));
        assert_eq!(places.shares.lock().len(), 1);
    }
}
