//! How long to wait before something that failed is tried again.

use rand::{Rng, SeedableRng, rngs::StdRng};
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// Each wait is up to twice the one before, and half of it at random, so that those who failed together do not come together.
#[derive(Debug)]
pub(crate) struct Backoff {
    random: StdRng,
    next: Duration,
}

impl Backoff {
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: StdRng::seed_from_u64(seed), next: FIRST }
    }

    pub(crate) fn pause(&mut self) -> Duration {
        let pause = self.next.mul_f64(self.random.random_range(0.5..1.0));
        self.next = (2 * self.next).min(LONGEST);
        pause
    }

    pub(crate) fn reset(&mut self) {
        self.next = FIRST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_a_limit_and_begin_anew_after_a_success() {
        let mut backoff = Backoff::new(7);
        let pauses: Vec<Duration> = (0..10).map(|_| backoff.pause()).collect();
        assert!(pauses[0] >= FIRST / 2 && pauses[0] < FIRST, "{pauses:?}");
        assert!(pauses[9] >= LONGEST / 2 && pauses.iter().all(|pause| *pause < LONGEST), "{pauses:?}");
        backoff.reset();
        assert!(backoff.pause() < FIRST);
    }
}
