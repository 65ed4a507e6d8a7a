//! Holds tables to their throughput, at the node that serves them: a request is admitted while its partition has capacity, and
//! charged for what it cost. A table without a limit meets neither a lock nor a bucket.
//!
//! A table on demand has DynamoDB's own limits where those are asked for ([`ThroughputLimits::AsDynamodb`]): what it takes at once is what it
//! is warmed to, or twice its previous peak. DynamoDB's limits of a partition, 3,000 reads and 1,000 writes a second, are not
//! here: it splits a table by them until the table has what it was given, and a table here has one partition, which would get
//! a part of that and no more.
//!
//! Writes and consistent reads all go to a partition's leader, so that their limit is exact; eventually consistent reads are
//! limited at each replica that serves them.
//!
//! What a write changes in global indexes is charged to them at the table's leader, under their partitions' ids. Whether it will
//! change anything in one is not known before: while an index is used up no write of its table is admitted.

mod bucket;
mod demand;
mod meter;
mod peak;

pub(crate) use demand::Demand;

use cairn_model::{
    TableDefinition,
    consumption::{Consumption, PartitionConsumption},
    ids::PartitionId,
    table::{ProvisionedThroughput, WarmThroughput},
    throttling::{CapacityKind, LimitType},
};
use cairn_replication::{Clock, operation::PartitionError, wire::PartitionAnswer};
use meter::{Meter, Supply, minute};
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc};

/// What tables are held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ThroughputLimits {
    /// Their units, and their maxima on demand.
    AsSet,
    /// On demand also to what DynamoDB gives them at once.
    AsDynamodb,
}

impl ThroughputLimits {
    /// What something with these settings may consume.
    fn supply(
        self,
        set: Option<(u64, LimitType)>,
        provisioned: Option<ProvisionedThroughput>,
        warm: WarmThroughput,
        capacity: CapacityKind,
    ) -> Supply {
        let is_held = self == Self::AsDynamodb && provisioned.is_none();
        let warm = match capacity {
            CapacityKind::Read => warm.read_units_per_second,
            CapacityKind::Write => warm.write_units_per_second,
        };
        Supply { set, warm: is_held.then_some(warm) }
    }
}

/// The meters of a node's partitions.
#[derive(Debug)]
pub(crate) struct Throttle {
    clock: Arc<dyn Clock>,
    limits: ThroughputLimits,
    /// The first minute that is seen from its beginning.
    first_minute: u64,
    /// Of partitions that a limited request came for. When one comes for another, those that are not held any more go.
    meters: Mutex<HashMap<PartitionId, Meter>>,
}

impl Throttle {
    pub(crate) fn new(clock: Arc<dyn Clock>, limits: ThroughputLimits) -> Self {
        let first_minute = minute(clock.now()) + 1;
        Self { clock, limits, first_minute, meters: Mutex::default() }
    }

    /// Whether a table has a limit, itself or in one of its indexes.
    pub(crate) fn limits(&self, definition: &TableDefinition) -> bool {
        self.limits == ThroughputLimits::AsDynamodb || definition.has_limit()
    }

    /// Admits a request, or says which limit it met: then nothing is done of it. `is_held`: whether a partition is still here,
    /// with a limit.
    pub(crate) fn admit(
        &self,
        partition: PartitionId,
        definition: &TableDefinition,
        demand: Demand,
        is_held: impl Fn(PartitionId) -> bool,
    ) -> Result<(), PartitionError> {
        let (now, created_ms) = (self.clock.now(), definition.creation_time_ms);
        let mut meters = self.meters.lock();
        if !meters.contains_key(&partition) {
            meters.retain(|id, _| is_held(*id));
        }
        let meter = meters.entry(partition).or_default();
        let supply = self.supply(definition, demand.capacity);
        meter.admit(supply, created_ms, demand, now).map_err(PartitionError::Throttled)?;
        if demand.capacity != CapacityKind::Write {
            return Ok(());
        }
        for index in &definition.global_indexes {
            let Some(at) = index.partitions.first() else { continue };
            let (set, units) = (index.units_per_second(demand.capacity), index.provisioned_throughput);
            let supply = self.limits.supply(set, units, index.warm(), demand.capacity);
            let meter = meters.entry(at.partition_id).or_default();
            if let Err(limit) = meter.admit(supply, created_ms, demand.of_index(), now) {
                meters.entry(partition).or_default().settle(demand, 0, now);
                return Err(PartitionError::ThrottledByIndex { limit, index_name: index.index_name.clone() });
            }
        }
        Ok(())
    }

    /// Charges an admitted request for what it cost. One whose end nobody waited for stays charged for the least.
    pub(crate) fn settle(
        &self,
        partition: PartitionId,
        definition: &TableDefinition,
        demand: Demand,
        answer: &PartitionAnswer,
    ) {
        let (cost, now) = (demand.cost(answer), self.clock.now());
        let mut meters = self.meters.lock();
        if let Some(meter) = meters.get_mut(&partition) {
            meter.settle(demand, cost, now);
            let read = demand::cost_of_replay(answer);
            if read > 0 {
                let supply = self.supply(definition, CapacityKind::Read);
                meter.charge(supply, definition.creation_time_ms, CapacityKind::Read, read, now);
            }
        }
        for (slot, cost) in demand::costs_of_indexes(answer) {
            let index = definition.global_indexes.iter().find(|index| index.slot == slot);
            let at = index.and_then(|index| index.partitions.first());
            if let Some(meter) = at.and_then(|at| meters.get_mut(&at.partition_id)) {
                meter.settle(demand.of_index(), cost, now);
            }
        }
    }

    /// What the table itself may consume.
    fn supply(&self, definition: &TableDefinition, capacity: CapacityKind) -> Supply {
        let (set, units) = (definition.units_per_second(capacity), definition.provisioned_throughput);
        self.limits.supply(set, units, definition.warm(), capacity)
    }

    /// What was consumed in the last minutes.
    pub(crate) fn consumption(&self) -> Consumption {
        let this_minute = minute(self.clock.now());
        let meters = self.meters.lock();
        let of = |(partition_id, meter): (&PartitionId, &Meter)| {
            let minutes = meter.minutes_before(this_minute);
            (!minutes.is_empty()).then_some(PartitionConsumption { partition_id: *partition_id, minutes })
        };
        Consumption {
            first_minute: self.first_minute,
            last_minute: this_minute.saturating_sub(1),
            partitions: meters.iter().filter_map(of).collect(),
        }
    }
}

#[cfg(test)]
mod tests;
