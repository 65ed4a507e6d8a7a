//! Whose turn it is to roll out: groups roll one at a time.

use jiff::{SignedDuration, Timestamp};
use std::sync::{Mutex, PoisonError};

/// Held by one group at a time. Forgotten when the operator restarts, which at worst lets a second group begin.
#[derive(Debug, Default)]
pub struct Rolling(Mutex<Option<(String, Timestamp)>>);

impl Rolling {
    /// Takes the turn, or keeps it; false while it is another's, who has had it for less than the longest turn.
    pub fn take(&self, group: &str, now: Timestamp, turn_max: SignedDuration) -> bool {
        let mut holder = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match holder.as_ref() {
            Some((other, since)) if other != group && now.duration_since(*since) < turn_max => false,
            Some((own, _)) if own == group => true,
            _ => {
                *holder = Some((group.to_owned(), now));
                true
            }
        }
    }

    /// Gives the turn back, if it is the group's.
    pub fn finish(&self, group: &str) {
        let mut holder = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if holder.as_ref().is_some_and(|(own, _)| own == group) {
            *holder = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_roll_one_at_a_time() {
        let (rolling, turn) = (Rolling::default(), SignedDuration::from_mins(10));
        let at = |minute: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minute);
        assert!(rolling.take("a", at(0), turn) && rolling.take("a", at(1), turn));
        assert!(!rolling.take("b", at(1), turn));
        rolling.finish("b");
        assert!(!rolling.take("b", at(2), turn));
        rolling.finish("a");
        assert!(rolling.take("b", at(2), turn));
        assert!(rolling.take("c", at(12), turn), "a turn does not last for ever");
    }
}
