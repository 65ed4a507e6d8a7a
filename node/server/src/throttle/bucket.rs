//! A token bucket of capacity: refilled by the clock, charged for what requests turn out to cost.

use cairn_model::throttling::LimitType;

/// Unused capacity of so many milliseconds is kept for a burst (Developer Guide, burst capacity), and a table that has overdrawn its
/// capacity by one large request waits no longer than this.
const WINDOW_MS: u64 = 300_000;
/// What a limit of an on-demand table keeps: it is there to hold, so there is next to no burst above it.
const ON_DEMAND_WINDOW_MS: u64 = 1_000;
/// What is left of a table's first moments: there is no unused capacity yet.
const FIRST_MS: u64 = 1_000;
/// As many units a second as a table can have; what is above counts as this, so that nothing overflows.
const UNITS_PER_SECOND_MAX: u64 = 1_000_000_000_000;

/// How fast a bucket fills, and how much it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    pub(super) units_per_second: u64,
    pub(super) limit: LimitType,
}

impl Rate {
    /// Half units a second, which are thousandths of half units a millisecond.
    fn thousandths_per_ms(self) -> i64 {
        self.units_per_second.min(UNITS_PER_SECOND_MAX) as i64 * 2
    }

    fn over(self, millis: u64) -> i64 {
        self.thousandths_per_ms() * millis as i64
    }

    fn capacity(self) -> i64 {
        self.over(match self.limit {
            LimitType::Provisioned => WINDOW_MS,
            LimitType::MaxOnDemand | LimitType::KeyRange | LimitType::Account => ON_DEMAND_WINDOW_MS,
        })
    }
}

/// Levels are thousandths of half units, so that every millisecond counts exactly. Below zero: overdrawn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    rate: Rate,
    level: i64,
    filled_at_ms: u64,
}

impl Bucket {
    /// Of a table of this age. What it consumed before is not known: it counts as unused.
    pub(super) fn new(rate: Rate, age_ms: u64, now_ms: u64) -> Self {
        let level = rate.over(age_ms.clamp(FIRST_MS, WINDOW_MS)).min(rate.capacity());
        Self { rate, level, filled_at_ms: now_ms }
    }

    /// Takes over another rate; what was saved under the old one stays, as far as there is room. Another limit has nothing to do
    /// with what was saved or overdrawn under the one before.
    pub(super) fn set_rate(&mut self, rate: Rate, now_ms: u64) {
        if rate.limit != self.rate.limit {
            *self = Self::new(rate, FIRST_MS, now_ms);
        } else if rate != self.rate {
            self.fill(now_ms);
            self.rate = rate;
            self.level = self.level.min(rate.capacity());
        }
    }

    pub(super) fn limit(&self) -> LimitType {
        self.rate.limit
    }

    /// Whether a request may be served now; if so, what it costs at least is taken.
    pub(super) fn admit(&mut self, half_units: u64, now_ms: u64) -> bool {
        self.fill(now_ms);
        let admitted = self.level > 0;
        if admitted {
            self.take(half_units);
        }
        admitted
    }

    /// What a request cost beyond what was taken at its admission.
    pub(super) fn take(&mut self, half_units: u64) {
        let floor = -self.rate.over(WINDOW_MS);
        self.level = self.level.saturating_sub(thousandths(half_units)).max(floor);
    }

    /// What was taken too much.
    pub(super) fn give_back(&mut self, half_units: u64) {
        self.level = self.level.saturating_add(thousandths(half_units)).min(self.rate.capacity());
    }

    fn fill(&mut self, now_ms: u64) {
        // Twice the window fills it from the deepest level.
        let passed_ms = now_ms.saturating_sub(self.filled_at_ms).min(2 * WINDOW_MS);
        self.level = self.level.saturating_add(self.rate.over(passed_ms)).min(self.rate.capacity());
        self.filled_at_ms = self.filled_at_ms.max(now_ms);
    }
}

fn thousandths(half_units: u64) -> i64 {
    i64::try_from(half_units).unwrap_or(i64::MAX).saturating_mul(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    fn provisioned(units_per_second: u64) -> Rate {
        Rate { units_per_second, limit: LimitType::Provisioned }
    }

    /// How many writes of a unit are admitted at once.
    fn burst(bucket: &mut Bucket, now_ms: u64) -> u64 {
        (0..1_000_000).take_while(|_| bucket.admit(2, now_ms)).count() as u64
    }

    #[test]
    fn a_new_table_has_a_seconds_worth_and_an_old_one_five_minutes() {
        assert_eq!(burst(&mut Bucket::new(provisioned(5), 0, 0), 0), 5);
        assert_eq!(burst(&mut Bucket::new(provisioned(5), 60_000, 0), 0), 300);
        assert_eq!(burst(&mut Bucket::new(provisioned(5), u64::MAX, 0), 0), 1_500);
    }

    #[test]
    fn unused_capacity_is_kept_for_five_minutes() {
        let mut bucket = Bucket::new(provisioned(1), 0, 0);
        assert_eq!(burst(&mut bucket, 0), 1);
        assert_eq!(burst(&mut bucket, 100_000), 100);
        assert_eq!(burst(&mut bucket, 10_000_000), 300);
    }

    #[test]
    fn what_overdraws_the_capacity_is_waited_for() {
        let mut bucket = Bucket::new(provisioned(1), 0, 0);
        assert!(bucket.admit(1, 0));
        bucket.take(20);
        assert!(!bucket.admit(1, 9_500));
        assert!(bucket.admit(1, 9_501));
    }

    #[test]
    fn nobody_waits_longer_than_five_minutes_for_one_large_request() {
        let mut bucket = Bucket::new(provisioned(1), 0, 0);
        bucket.take(u64::MAX);
        assert!(!bucket.admit(1, 300_000));
        assert!(bucket.admit(1, 300_001));
    }

    #[test]
    fn a_maximum_of_an_on_demand_table_has_no_burst() {
        let rate = Rate { units_per_second: 10, limit: LimitType::MaxOnDemand };
        let mut bucket = Bucket::new(rate, u64::MAX, 0);
        assert_eq!((burst(&mut bucket, 0), burst(&mut bucket, 1_000_000)), (10, 10));
    }

    #[test]
    fn another_rate_counts_from_its_change_on() {
        let mut bucket = Bucket::new(provisioned(1), 0, 0);
        burst(&mut bucket, 0);
        bucket.set_rate(provisioned(10), 10_000);
        assert_eq!(burst(&mut bucket, 10_000), 10, "what the old rate saved");
        assert_eq!(burst(&mut bucket, 11_000), 10);
        bucket.set_rate(provisioned(1), 400_000);
        assert_eq!(burst(&mut bucket, 400_000), 300, "no more than fits");
    }

    #[test]
    fn what_was_overdrawn_under_a_limit_that_was_lifted_is_not_waited_for() {
        let maximum = Rate { units_per_second: 1, limit: LimitType::MaxOnDemand };
        let mut bucket = Bucket::new(maximum, 0, 0);
        bucket.take(100);
        assert_eq!(burst(&mut bucket, 0), 0);
        bucket.set_rate(Rate { units_per_second: 4_000, limit: LimitType::KeyRange }, 0);
        assert_eq!(burst(&mut bucket, 0), 4_000);
    }

    #[test]
    fn the_largest_throughput_overflows_nothing() {
        let mut bucket = Bucket::new(provisioned(u64::MAX), u64::MAX, 0);
        assert!(bucket.admit(u64::MAX, 1));
        bucket.give_back(u64::MAX);
        assert!(bucket.admit(2, u64::MAX));
    }

    /// Over any time, no more is consumed than the rate, what was saved, and one request's excess.
    #[test]
    fn consumption_is_held_to_the_rate_whatever_the_requests_and_their_times() {
        for seed in 0..200 {
            let mut random = StdRng::seed_from_u64(seed);
            let units = random.random_range(1..50_u64);
            let mut bucket = Bucket::new(provisioned(units), random.random_range(0..400_000), 0);
            let first = bucket.level / 1_000;
            let (mut now_ms, mut consumed, mut largest) = (0, 0, 0);
            for _ in 0..500 {
                now_ms += random.random_range(0..2_000);
                let (least, cost) = (random.random_range(1..3_u64), random.random_range(1..200_u64));
                let cost = cost.max(least);
                if bucket.admit(least, now_ms) {
                    bucket.take(cost - least);
                    consumed += cost;
                    largest = largest.max(cost);
                }
                assert!(bucket.level <= bucket.rate.capacity());
                let given = first as u64 + now_ms * units * 2 / 1_000 + 1;
                assert!(consumed <= given + largest, "seed {seed}: {consumed} of {given} half units");
            }
        }
    }
}
