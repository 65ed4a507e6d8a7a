//! Holds tables to their throughput, at the node that serves them: a request is admitted while its partition has capacity, and
//! charged for what it cost. A table without a limit meets neither a lock nor a bucket.
//!
//! Writes and consistent reads all go to a partition's leader, so that their limit is exact; eventually consistent reads are
//! limited at each replica that serves them.
//!
//! What a write changes in global indexes is charged to them at the table's leader, under their partitions' ids. Whether it will
//! change anything in one is not known before: while an index is used up no write of its table is admitted.

mod bucket;
mod demand;
mod meter;

pub(crate) use demand::Demand;

use cairn_model::{
    TableDefinition,
    consumption::{Consumption, PartitionConsumption},
    ids::PartitionId,
    throttling::CapacityKind,
};
use cairn_replication::{Clock, operation::PartitionError, wire::PartitionAnswer};
use meter::{Meter, minute};
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc};

/// The meters of a node's partitions.
#[derive(Debug)]
pub(crate) struct Throttle {
    clock: Arc<dyn Clock>,
    /// The first minute that is seen from its beginning.
    first_minute: u64,
    /// Of partitions that a limited request came for. When one comes for another, those that are not held any more go.
    meters: Mutex<HashMap<PartitionId, Meter>>,
}

impl Throttle {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let first_minute = minute(clock.now()) + 1;
        Self { clock, first_minute, meters: Mutex::default() }
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
        let units = definition.units_per_second(demand.capacity);
        meter.admit(units, created_ms, demand, now).map_err(PartitionError::Throttled)?;
        if demand.capacity != CapacityKind::Write {
            return Ok(());
        }
        for index in &definition.global_indexes {
            let (Some(at), units) = (index.partitions.first(), index.units_per_second(demand.capacity)) else {
                continue;
            };
            let meter = meters.entry(at.partition_id).or_default();
            if let Err(limit) = meter.admit(units, created_ms, demand.of_index(), now) {
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
        }
        for (slot, cost) in demand::costs_of_indexes(answer) {
            let index = definition.global_indexes.iter().find(|index| index.slot == slot);
            let at = index.and_then(|index| index.partitions.first());
            if let Some(meter) = at.and_then(|at| meters.get_mut(&at.partition_id)) {
                meter.settle(demand.of_index(), cost, now);
            }
        }
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
