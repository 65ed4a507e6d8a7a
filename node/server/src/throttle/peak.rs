//! How much a table on demand was used before, and what DynamoDB gives it at once for that.

use cairn_model::throttling::{LimitType, TABLE_UNITS_MAX};
use std::collections::VecDeque;

/// Traffic may double within so many minutes; what is more is throttled (Developer Guide, on-demand capacity, initial throughput
/// and scaling properties).
const DOUBLING_MINUTES: u64 = 30;
const SECONDS_OF_A_MINUTE: u64 = 60;

/// The busiest minutes of one kind of capacity, in half units. A node that was started knows of no minute before.
#[derive(Debug, Default)]
pub(super) struct Peak {
    /// Of those that are [`DOUBLING_MINUTES`] past: what a table has grown to it keeps.
    previous: u64,
    /// The minutes since, ascending.
    recent: VecDeque<(u64, u64)>,
}

impl Peak {
    /// A minute before one that was counted already counts as that.
    pub(super) fn count(&mut self, half_units: u64, minute: u64) {
        match self.recent.back_mut() {
            Some((last, counted)) if *last >= minute => *counted = counted.saturating_add(half_units),
            _ => self.recent.push_back((minute, half_units)),
        }
        self.pass(minute);
    }

    /// Units a second that are given at once, and by what they are limited: what is `warm` and twice the previous peak, that up to
    /// the account's quota of a table. Who warmed a table above the quota has more of it.
    pub(super) fn at_once(&mut self, warm: u64, minute: u64) -> (u64, LimitType) {
        self.pass(minute);
        let doubled = self.previous / SECONDS_OF_A_MINUTE;
        let limit = if doubled >= TABLE_UNITS_MAX && warm <= TABLE_UNITS_MAX {
            LimitType::Account
        } else {
            LimitType::KeyRange
        };
        (warm.max(doubled.min(TABLE_UNITS_MAX)), limit)
    }

    fn pass(&mut self, minute: u64) {
        while let Some(&(counted_at, half_units)) = self.recent.front()
            && counted_at + DOUBLING_MINUTES <= minute
        {
            self.previous = self.previous.max(half_units);
            self.recent.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A minute's half units at so many units a second.
    fn minute_of(units_per_second: u64) -> u64 {
        units_per_second * 2 * SECONDS_OF_A_MINUTE
    }

    #[test]
    fn half_an_hour_after_a_peak_twice_of_it_is_given() {
        let mut peak = Peak::default();
        assert_eq!(peak.at_once(4_000, 0), (4_000, LimitType::KeyRange));
        peak.count(minute_of(3_000), 0);
        peak.count(minute_of(1_000), 1);
        assert_eq!(peak.at_once(4_000, 29).0, 4_000);
        assert_eq!(peak.at_once(4_000, 30).0, 6_000);
        assert_eq!(peak.at_once(4_000, 1_000_000).0, 6_000, "it is kept, and the lesser one is nothing");
        assert_eq!(peak.at_once(8_000, 1_000_000).0, 8_000);
    }

    #[test]
    fn a_minute_is_counted_as_a_whole() {
        let mut peak = Peak::default();
        for _ in 0..60 {
            peak.count(minute_of(100), 5);
        }
        peak.count(minute_of(100), 4);
        assert_eq!(peak.at_once(4_000, 35).0, 2 * 6_100);
    }

    #[test]
    fn the_quota_of_a_table_ends_the_growth_but_for_who_warmed_it_above() {
        let mut peak = Peak::default();
        peak.count(minute_of(19_999), 0);
        assert_eq!(peak.at_once(4_000, 60), (39_998, LimitType::KeyRange));
        peak.count(u64::MAX, 61);
        assert_eq!(peak.at_once(4_000, 120), (40_000, LimitType::Account));
        assert_eq!(peak.at_once(50_000, 120), (50_000, LimitType::KeyRange));
    }

    #[test]
    fn only_the_minutes_of_half_an_hour_are_held() {
        let mut peak = Peak::default();
        (0..1_000).for_each(|minute| peak.count(1, minute));
        assert_eq!(peak.recent.len() as u64, DOUBLING_MINUTES);
    }
}
