//! What one partition may consume on this node, and what it did in the last minutes.

use super::{
    bucket::{Bucket, Rate},
    demand::Demand,
    peak::Peak,
};
use cairn_model::{
    consumption::{MINUTES_KEPT, MinuteConsumption},
    throttling::{CapacityKind, LimitType, TableLimit},
};
use cairn_replication::Now;
use std::{cmp::Ordering, collections::VecDeque};

const MINUTE_MS: u64 = 60_000;

/// The minute of a time.
pub(super) fn minute(now: Now) -> u64 {
    now.wall_ms / MINUTE_MS
}

/// What a table or an index may consume of one kind; none and none: as much as there is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Supply {
    /// How many units a second, and by which setting.
    pub(super) set: Option<(u64, LimitType)>,
    /// How many units a second it takes at once, where it is on demand and held to that.
    pub(super) warm: Option<u64>,
}

#[derive(Debug, Default)]
pub(super) struct Meter {
    read: Option<Bucket>,
    write: Option<Bucket>,
    read_peak: Peak,
    write_peak: Peak,
    /// Ascending; the last may be the one that runs.
    minutes: VecDeque<MinuteConsumption>,
}

impl Meter {
    /// Takes what the request costs at least, or says which limit stands against it.
    pub(super) fn admit(
        &mut self,
        supply: Supply,
        created_ms: u64,
        demand: Demand,
        now: Now,
    ) -> Result<(), TableLimit> {
        let Some(bucket) = self.bucket(supply, created_ms, demand.capacity, now) else { return Ok(()) };
        match bucket.admit(demand.least, now.boot_ms) {
            true => Ok(()),
            false => Err(TableLimit { capacity: demand.capacity, limit: bucket.limit() }),
        }
    }

    /// Takes what a request cost of a capacity that it was not admitted for.
    pub(super) fn charge(&mut self, supply: Supply, created_ms: u64, capacity: CapacityKind, cost: u64, now: Now) {
        self.bucket(supply, created_ms, capacity, now);
        self.settle(Demand { capacity, consistent: true, least: 0 }, cost, now);
    }

    /// What an admitted request cost after all.
    pub(super) fn settle(&mut self, demand: Demand, cost: u64, now: Now) {
        let (bucket, peak) = self.of(demand.capacity);
        if let Some(bucket) = bucket {
            match cost.cmp(&demand.least) {
                Ordering::Greater => bucket.take(cost - demand.least),
                Ordering::Less => bucket.give_back(demand.least - cost),
                Ordering::Equal => {}
            }
        }
        if cost > 0 {
            peak.count(cost, minute(now));
            self.count(demand.capacity, cost, minute(now));
        }
    }

    /// What was consumed in the kept minutes before this one.
    pub(super) fn minutes_before(&self, minute: u64) -> Vec<MinuteConsumption> {
        let is_kept =
            |counted: &&MinuteConsumption| (minute.saturating_sub(MINUTES_KEPT)..minute).contains(&counted.minute);
        self.minutes.iter().filter(is_kept).copied().collect()
    }

    /// At the rate of what may be consumed; none: there is no limit.
    fn bucket(&mut self, supply: Supply, created_ms: u64, capacity: CapacityKind, now: Now) -> Option<&mut Bucket> {
        let (bucket, peak) = self.of(capacity);
        let at_once = supply.warm.map(|warm| peak.at_once(warm, minute(now)));
        let Some((units_per_second, limit)) = supply.set.into_iter().chain(at_once).min_by_key(|(units, _)| *units)
        else {
            *bucket = None;
            return None;
        };
        let rate = Rate { units_per_second, limit };
        let age_ms = now.wall_ms.saturating_sub(created_ms);
        let bucket = bucket.get_or_insert_with(|| Bucket::new(rate, age_ms, now.boot_ms));
        bucket.set_rate(rate, now.boot_ms);
        Some(bucket)
    }

    fn of(&mut self, capacity: CapacityKind) -> (&mut Option<Bucket>, &mut Peak) {
        match capacity {
            CapacityKind::Read => (&mut self.read, &mut self.read_peak),
            CapacityKind::Write => (&mut self.write, &mut self.write_peak),
        }
    }

    /// A clock that was set back goes on counting in the minute that it left.
    fn count(&mut self, capacity: CapacityKind, cost: u64, minute: u64) {
        if self.minutes.back().is_none_or(|last| last.minute < minute) {
            self.minutes.push_back(MinuteConsumption { minute, ..MinuteConsumption::default() });
        }
        while self.minutes.len() as u64 > MINUTES_KEPT + 1 {
            self.minutes.pop_front();
        }
        if let Some(last) = self.minutes.back_mut() {
            match capacity {
                CapacityKind::Read => last.read_half_units += cost,
                CapacityKind::Write => last.write_half_units += cost,
            }
        }
    }
}
