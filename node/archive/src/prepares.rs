//! Up to which time what was shipped is all there is: a transaction that was prepared may be committed by an entry that is still
//! to come, though it was decided before what is there by then.

use crate::Claim;
use cairn_model::time::Timestamp;
use std::collections::VecDeque;

/// Milliseconds in which anything was prepared, and no claim tells yet that it has ended: about a minute under full load.
const PREPARES_MAX: usize = 65_536;

/// What was prepared in the log as it went by here.
///
/// A claim stays below whatever is prepared and has not ended, so all that was prepared up to its time has. What was prepared
/// after it is decided later than it was prepared.
#[derive(Debug, Default)]
pub(crate) struct Prepares {
    /// Of the newest entry before those that went by here.
    begun: Timestamp,
    /// Of the newest entry.
    newest: Timestamp,
    /// Whether all entries after the last claim's time went by here.
    is_complete: bool,
    /// After the last claim's time; in each millisecond the first.
    times: VecDeque<Timestamp>,
}

impl Prepares {
    /// What comes follows an entry of this time.
    pub(crate) fn begin(&mut self, after: Timestamp) {
        *self = Self { begun: self.newest.max(after), newest: self.newest.max(after), ..Self::default() };
    }

    /// Entries went by, up to one of the time `newest`, which prepared something at these times.
    pub(crate) fn pass(&mut self, prepares: Vec<Timestamp>, newest: Timestamp) {
        self.newest = self.newest.max(newest);
        for time in prepares {
            if self.times.back().is_none_or(|last| last.millis() < time.millis()) {
                self.times.push_back(time);
            }
        }
        if self.times.len() > PREPARES_MAX {
            self.begin(newest);
        }
    }

    /// All entries that the claim is about went by.
    pub(crate) fn claim(&mut self, claim: Claim) {
        self.is_complete |= claim.time >= self.begun;
        while self.times.front().is_some_and(|time| time.millis() < claim.time.millis()) {
            self.times.pop_front();
        }
    }

    /// All that was done up to this time went by; 0: that is not known.
    pub(crate) fn complete_to(&self) -> Timestamp {
        match self.times.front() {
            _ if !self.is_complete => Timestamp(0),
            Some(time) => Timestamp(time.0.saturating_sub(1)),
            None => self.newest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn claim(millis: u64) -> Claim {
        Claim { index: 1, time: at(millis) }
    }

    #[test]
    fn it_is_complete_to_the_last_entry_while_nothing_is_prepared() {
        let mut prepares = Prepares::default();
        prepares.begin(at(10));
        prepares.pass(Vec::new(), at(20));
        assert_eq!(prepares.complete_to(), Timestamp(0), "what was prepared before is not known");
        prepares.claim(claim(9));
        assert_eq!(prepares.complete_to(), Timestamp(0));
        prepares.claim(claim(10));
        assert_eq!(prepares.complete_to(), at(20));
        prepares.pass(Vec::new(), at(30));
        assert_eq!(prepares.complete_to(), at(30));
    }

    #[test]
    fn what_was_prepared_may_be_decided_right_after_that_until_a_claim_is_later() {
        let mut prepares = Prepares::default();
        prepares.claim(claim(0));
        prepares.pass(vec![at(15), Timestamp(at(15).0 + 1), at(17)], at(20));
        assert_eq!(prepares.complete_to(), Timestamp(at(15).0 - 1));
        prepares.claim(claim(15));
        assert_eq!(prepares.complete_to(), Timestamp(at(15).0 - 1), "there was more in that millisecond");
        prepares.claim(claim(16));
        assert_eq!(prepares.complete_to(), Timestamp(at(17).0 - 1));
        prepares.claim(claim(18));
        assert_eq!(prepares.complete_to(), at(20));
    }

    #[test]
    fn what_is_too_much_to_be_known_is_not_known_until_a_claim_is_later() {
        let mut prepares = Prepares::default();
        prepares.claim(claim(0));
        let count = PREPARES_MAX as u64 + 1;
        prepares.pass((1..=count).map(at).collect(), at(count));
        assert_eq!(prepares.complete_to(), Timestamp(0));
        prepares.claim(claim(count));
        assert_eq!(prepares.complete_to(), at(count));
    }
}
