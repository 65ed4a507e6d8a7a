//! When a backup was last seen in its bucket, and when it is looked for again. Forgotten when the operator restarts.

use cairn_crds::short_hash;
use jiff::{SignedDuration, Timestamp};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// How often a backup is looked for, and how soon again when it was not found: what is missing is missed twice.
const PERIOD: SignedDuration = SignedDuration::from_mins(10);
const AGAIN: SignedDuration = SignedDuration::from_mins(1);
/// What was to be looked for so long ago is no more.
const FORGOTTEN: SignedDuration = SignedDuration::from_hours(1);

#[derive(Clone, Copy, Debug)]
struct Look {
    next: Timestamp,
    was_missed: bool,
}

/// By the uids of the resources.
#[derive(Debug, Default)]
pub struct Presence(Mutex<HashMap<String, Look>>);

impl Presence {
    /// How long it is until the backup is to be looked for; nothing where it is now. Those of an operator that has just started
    /// are spread over the period.
    pub fn wait(&self, uid: &str, now: Timestamp) -> SignedDuration {
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let look = looks.get(uid).copied().unwrap_or_else(|| {
            if looks.len().is_power_of_two() {
                looks.retain(|_, look| now.duration_since(look.next) < FORGOTTEN);
            }
            let look = Look { next: now + spread(uid), was_missed: false };
            looks.insert(uid.to_owned(), look);
            look
        });
        // A clock that was ahead must not put it off.
        look.next.duration_since(now).clamp(SignedDuration::ZERO, PERIOD)
    }

    pub fn found(&self, uid: &str, now: Timestamp) {
        self.note(uid, Look { next: now + PERIOD, was_missed: false });
    }

    /// Nobody could say: what was known stays.
    pub fn unknown(&self, uid: &str, now: Timestamp) {
        let was_missed = self.was_missed(uid);
        self.note(uid, Look { next: now + PERIOD, was_missed });
    }

    pub fn missed(&self, uid: &str, now: Timestamp) {
        let pause = if self.was_missed(uid) { PERIOD } else { AGAIN };
        self.note(uid, Look { next: now + pause, was_missed: true });
    }

    /// Whether it was not found the last time that somebody could say.
    pub fn was_missed(&self, uid: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(uid).is_some_and(|look| look.was_missed)
    }

    fn note(&self, uid: &str, look: Look) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(uid.to_owned(), look);
    }
}

fn spread(uid: &str) -> SignedDuration {
    let hash = i64::from_str_radix(&short_hash(uid), 16).unwrap_or_default();
    SignedDuration::from_secs(hash % PERIOD.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minute)
    }

    #[test]
    fn a_backup_is_looked_for_every_ten_minutes() {
        let presence = Presence::default();
        let first = presence.wait("a", at(0));
        assert!(first < PERIOD && presence.wait("a", at(0)) == first);
        presence.found("a", at(10));
        assert_eq!(presence.wait("a", at(13)), SignedDuration::from_mins(7));
        assert_eq!(presence.wait("a", at(21)), SignedDuration::ZERO);
    }

    #[test]
    fn it_is_gone_when_it_is_missed_twice_in_a_row() {
        let presence = Presence::default();
        assert!(!presence.was_missed("a"));
        presence.missed("a", at(0));
        assert!(presence.was_missed("a"));
        assert_eq!(presence.wait("a", at(0)), AGAIN);
        presence.found("a", at(1));
        assert!(!presence.was_missed("a"));
        presence.missed("a", at(11));
        presence.unknown("a", at(12));
        assert!(presence.was_missed("a"), "nobody could say, which changes nothing");
        presence.missed("a", at(22));
        assert_eq!(presence.wait("a", at(22)), PERIOD, "it is looked for as rarely as others from then on");
    }

    #[test]
    fn what_is_no_more_is_forgotten() {
        let presence = Presence::default();
        presence.found("old", at(0));
        presence.wait("new", at(100));
        assert!(!presence.0.lock().unwrap().contains_key("old"));
    }
}
