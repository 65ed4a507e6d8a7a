//! When a table's provisioned throughput went up and down, and how soon it may go down again (quotas, decreases of provisioned
//! throughput): four times a UTC day at once, and from then on once an hour, which makes 27 a day.

use crate::table::ProvisionedThroughput;
use serde::{Deserialize, Serialize};

/// Decreases of a UTC day that need not wait for each other.
const FREE_DECREASES: u64 = 4;
/// From the last decrease to the next one, once those are used up.
pub const DECREASE_PAUSE_MS: u64 = 3_600 * 1_000;
const DAY_MS: u64 = 24 * 3_600 * 1_000;

/// All times are milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ThroughputHistory {
    /// What the table had last; none while it is on demand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units: Option<ProvisionedThroughput>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_increase_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_decrease_ms: Option<u64>,
    /// On the UTC day of the last one.
    #[serde(default)]
    pub decreases: u64,
    /// When the table last came to be on demand; none where it never was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_on_demand_ms: Option<u64>,
}

impl ThroughputHistory {
    /// Takes note of whether the table is on demand now, before [`Self::note`]: one that was not known otherwise is since it was
    /// made.
    pub fn note_mode(&mut self, units: Option<ProvisionedThroughput>, created_ms: u64, now_ms: u64) {
        match (self.units, units) {
            (Some(_), None) => self.last_on_demand_ms = Some(now_ms),
            (None, None) => self.last_on_demand_ms = self.last_on_demand_ms.or(Some(created_ms)),
            (_, Some(_)) => {}
        }
    }

    /// Takes note of what the table has now. That it comes to be provisioned, or on demand, is neither more nor less.
    pub fn note(&mut self, units: Option<ProvisionedThroughput>, now_ms: u64) {
        if let (Some(before), Some(after)) = (self.units, units) {
            if is_decrease(before, after) {
                self.decreases = self.decreases_today(now_ms) + 1;
                self.last_decrease_ms = Some(now_ms);
            }
            if is_decrease(after, before) {
                self.last_increase_ms = Some(now_ms);
            }
        }
        self.units = units;
    }

    pub fn decreases_today(&self, now_ms: u64) -> u64 {
        let is_today = |last_ms: &u64| last_ms / DAY_MS == now_ms / DAY_MS;
        self.last_decrease_ms.filter(is_today).map_or(0, |_| self.decreases)
    }

    /// When the throughput may go down again; none where it may now.
    pub fn next_decrease_ms(&self, now_ms: u64) -> Option<u64> {
        let last_ms = self.last_decrease_ms.filter(|_| self.decreases_today(now_ms) >= FREE_DECREASES)?;
        let next_ms = (last_ms + DECREASE_PAUSE_MS).min((last_ms / DAY_MS + 1) * DAY_MS);
        (next_ms > now_ms).then_some(next_ms)
    }
}

/// Whether it is less of anything.
pub fn is_decrease(before: ProvisionedThroughput, after: ProvisionedThroughput) -> bool {
    after.read_capacity_units < before.read_capacity_units || after.write_capacity_units < before.write_capacity_units
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_MS: u64 = 60_000;

    fn units(read_capacity_units: u64, write_capacity_units: u64) -> Option<ProvisionedThroughput> {
        Some(ProvisionedThroughput { read_capacity_units, write_capacity_units })
    }

    /// So many decreases, a minute apart, from the first on.
    fn decreased(count: u64, first_ms: u64) -> ThroughputHistory {
        let mut history = ThroughputHistory { units: units(100, 100), ..ThroughputHistory::default() };
        (1..=count).for_each(|number| history.note(units(100 - number, 100), first_ms + (number - 1) * MINUTE_MS));
        history
    }

    #[test]
    fn four_decreases_of_a_day_follow_each_other_and_the_fifth_waits_for_an_hour() {
        let noon_ms = 20_000 * DAY_MS + DAY_MS / 2;
        assert_eq!(decreased(3, noon_ms).next_decrease_ms(noon_ms), None);
        let four = decreased(4, noon_ms);
        let last_ms = noon_ms + 3 * MINUTE_MS;
        assert_eq!(four.decreases_today(last_ms), 4);
        assert_eq!(four.next_decrease_ms(last_ms), Some(last_ms + DECREASE_PAUSE_MS));
        assert_eq!(four.next_decrease_ms(last_ms + DECREASE_PAUSE_MS), None);
    }

    #[test]
    fn a_day_has_27_decreases_and_the_next_begins_anew() {
        let midnight_ms = 20_000 * DAY_MS;
        let (mut history, mut now_ms, mut count) = (decreased(0, midnight_ms), midnight_ms, 0);
        while now_ms < midnight_ms + DAY_MS {
            match history.next_decrease_ms(now_ms) {
                Some(next_ms) => now_ms = next_ms,
                None => {
                    count += 1;
                    history.note(units(100 - count, 100), now_ms);
                }
            }
        }
        assert_eq!((count, now_ms), (27, midnight_ms + DAY_MS));
        assert_eq!((history.decreases_today(now_ms - 1), history.decreases_today(now_ms)), (27, 0));
        assert_eq!(history.last_decrease_ms, Some(midnight_ms + 23 * DECREASE_PAUSE_MS));
    }

    #[test]
    fn less_of_one_and_more_of_the_other_is_both_and_counts_once() {
        let mut history = decreased(0, 0);
        history.note(units(50, 200), 5);
        assert_eq!((history.last_increase_ms, history.last_decrease_ms, history.decreases), (Some(5), Some(5), 1));
        history.note(units(40, 40), 6);
        assert_eq!((history.last_increase_ms, history.last_decrease_ms, history.decreases), (Some(5), Some(6), 2));
    }

    #[test]
    fn a_table_is_on_demand_since_it_was_made_so_or_became_so() {
        let mut history = ThroughputHistory::default();
        let mut since = |units, now_ms| {
            history.note_mode(units, 1, now_ms);
            history.note(units, now_ms);
            history.last_on_demand_ms
        };
        assert_eq!([since(None, 2), since(None, 3)], [Some(1); 2]);
        assert_eq!([since(units(5, 5), 4), since(None, 5), since(None, 6)], [Some(1), Some(5), Some(5)]);
        let mut provisioned = ThroughputHistory::default();
        provisioned.note_mode(units(5, 5), 1, 2);
        assert_eq!(provisioned.last_on_demand_ms, None);
    }

    #[test]
    fn what_was_not_there_before_or_is_not_there_after_is_no_change() {
        let mut history = ThroughputHistory::default();
        for units in [units(10, 10), None, units(5, 5), units(5, 5)] {
            history.note(units, 5);
        }
        assert_eq!(history, ThroughputHistory { units: units(5, 5), ..ThroughputHistory::default() });
    }
}
