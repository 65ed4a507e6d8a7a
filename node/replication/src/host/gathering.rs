//! How long the driver waits for company before it flushes.
//!
//! Clients that wait for each answer fall into two crowds: those who are answered come back during the fsync of the
//! others, and each fsync serves one half. A short wait after an answer makes them one crowd, for half as many fsyncs.
//! Where nobody is answered, or few, or other replicas wait for this node's messages, there is none.

use std::time::Duration;

/// Answers of a flush after which more requests are soon to come.
const ANSWERS_MIN: usize = 8;
/// The wait is this part of the time that the last flush took, and never long.
const FLUSH_PARTS: u32 = 2;
const WAIT_MAX: Duration = Duration::from_millis(1);

/// What the driver has lately seen.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    answers: usize,
    took: Duration,
    /// A frame has come since the last tick.
    heard_peer: bool,
    /// One had come in the tick before.
    has_peers: bool,
}

impl Gathering {
    /// What to wait before the next flush.
    pub(super) fn wait(&self) -> Option<Duration> {
        let worthwhile = self.answers >= ANSWERS_MIN && !self.has_peers && !self.heard_peer;
        worthwhile.then(|| (self.took / FLUSH_PARTS).min(WAIT_MAX))
    }

    pub(super) fn flushed(&mut self, answers: usize, took: Duration) {
        (self.answers, self.took) = (answers, took);
    }

    pub(super) fn heard_peer(&mut self) {
        self.heard_peer = true;
    }

    pub(super) fn ticked(&mut self) {
        self.has_peers = std::mem::take(&mut self.heard_peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    #[test]
    fn a_few_clients_wait_for_nobody() {
        let mut gathering = Gathering::default();
        assert_eq!(gathering.wait(), None);
        gathering.flushed(ANSWERS_MIN - 1, MILLISECOND);
        assert_eq!(gathering.wait(), None);
    }

    #[test]
    fn many_wait_for_half_a_flush_and_a_millisecond_at_most() {
        let mut gathering = Gathering::default();
        gathering.flushed(30, MILLISECOND);
        assert_eq!(gathering.wait(), Some(MILLISECOND / 2));
        gathering.flushed(30, Duration::from_secs(5));
        assert_eq!(gathering.wait(), Some(MILLISECOND));
    }

    #[test]
    fn no_peer_is_kept_waiting() {
        let mut gathering = Gathering::default();
        gathering.flushed(30, MILLISECOND);
        gathering.heard_peer();
        assert_eq!(gathering.wait(), None);
        gathering.ticked();
        assert_eq!(gathering.wait(), None, "there is one, even if it is silent for a moment");
        gathering.ticked();
        assert!(gathering.wait().is_some());
    }
}
