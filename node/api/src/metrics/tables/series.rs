//! The series that tables are told in: made, and filled, whenever they are asked for.

use super::{TableMeter, TableMeters, read};
use crate::operations::OPERATIONS;
use prometheus::{
    CounterVec, Opts,
    core::{Collector, Desc},
    proto::MetricFamily,
};
use std::sync::Arc;

const OF_TABLE: &[&str] = &["account", "table"];
const OF_INDEX: &[&str] = &["account", "table", "index"];
const OF_OPERATION: &[&str] = &["account", "table", "operation"];

struct Families {
    read_units: CounterVec,
    write_units: CounterVec,
    conditional_check_failed: CounterVec,
    read_throttles: CounterVec,
    write_throttles: CounterVec,
    transaction_conflict: CounterVec,
    latency_seconds: CounterVec,
    successes: CounterVec,
    returned_items: CounterVec,
    throttled: CounterVec,
    system_errors: CounterVec,
    user_errors: CounterVec,
    index_read_units: CounterVec,
    index_write_units: CounterVec,
    index_read_throttles: CounterVec,
    index_write_throttles: CounterVec,
}

impl Families {
    fn new() -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str, labels: &[&str]| CounterVec::new(Opts::new(name, help), labels);
        Ok(Self {
            read_units: counter(
                "cairn_consumed_read_capacity_units_total",
                "Read units consumed: CloudWatch's ConsumedReadCapacityUnits.",
                OF_TABLE,
            )?,
            write_units: counter(
                "cairn_consumed_write_capacity_units_total",
                "Write units consumed: CloudWatch's ConsumedWriteCapacityUnits. A failed condition counts as the item that it met.",
                OF_TABLE,
            )?,
            transaction_conflict: counter(
                "cairn_transaction_conflicts_total",
                "Items of requests that another transaction was about to write: CloudWatch's TransactionConflict.",
                OF_TABLE,
            )?,
            conditional_check_failed: counter(
                "cairn_conditional_check_failed_requests_total",
                "Writes whose condition was false: CloudWatch's ConditionalCheckFailedRequests.",
                OF_TABLE,
            )?,
            read_throttles: counter(
                "cairn_read_throttle_events_total",
                "Reads that met the table's throughput, each part of a batch on its own: CloudWatch's ReadThrottleEvents.",
                OF_TABLE,
            )?,
            write_throttles: counter(
                "cairn_write_throttle_events_total",
                "Writes that met the table's throughput, each of a batch on its own: CloudWatch's WriteThrottleEvents.",
                OF_TABLE,
            )?,
            latency_seconds: counter(
                "cairn_successful_request_latency_seconds_total",
                "Time of successful requests, from their head to their answer: CloudWatch's SuccessfulRequestLatency.",
                OF_OPERATION,
            )?,
            successes: counter(
                "cairn_successful_requests_total",
                "Successful requests: the samples of CloudWatch's SuccessfulRequestLatency.",
                OF_OPERATION,
            )?,
            returned_items: counter(
                "cairn_returned_item_count_total",
                "Items that Query, Scan and ExecuteStatement returned: CloudWatch's ReturnedItemCount.",
                OF_OPERATION,
            )?,
            throttled: counter(
                "cairn_throttled_requests_total",
                "Requests turned away because there was no capacity: CloudWatch's ThrottledRequests.",
                OF_OPERATION,
            )?,
            system_errors: counter(
                "cairn_system_errors_total",
                "Requests answered with 500: CloudWatch's SystemErrors.",
                OF_OPERATION,
            )?,
            user_errors: counter(
                "cairn_user_errors_total",
                "Requests refused for what is wrong with them, but for false conditions: CloudWatch's UserErrors.",
                &["account"],
            )?,
            index_read_units: counter(
                "cairn_index_consumed_read_capacity_units_total",
                "Read units consumed of global indexes: CloudWatch's ConsumedReadCapacityUnits by index.",
                OF_INDEX,
            )?,
            index_write_units: counter(
                "cairn_index_consumed_write_capacity_units_total",
                "Write units consumed of global indexes: CloudWatch's ConsumedWriteCapacityUnits by index.",
                OF_INDEX,
            )?,
            index_read_throttles: counter(
                "cairn_index_read_throttle_events_total",
                "Reads that met a global index's throughput: CloudWatch's ReadThrottleEvents by index.",
                OF_INDEX,
            )?,
            index_write_throttles: counter(
                "cairn_index_write_throttle_events_total",
                "Writes that met a global index's throughput: CloudWatch's WriteThrottleEvents by index.",
                OF_INDEX,
            )?,
        })
    }

    fn all(&self) -> [&CounterVec; 16] {
        [
            &self.read_units,
            &self.write_units,
            &self.conditional_check_failed,
            &self.read_throttles,
            &self.write_throttles,
            &self.transaction_conflict,
            &self.latency_seconds,
            &self.successes,
            &self.returned_items,
            &self.throttled,
            &self.system_errors,
            &self.user_errors,
            &self.index_read_units,
            &self.index_write_units,
            &self.index_read_throttles,
            &self.index_write_throttles,
        ]
    }

    fn descriptions(&self) -> Vec<Desc> {
        self.all().into_iter().flat_map(Collector::desc).cloned().collect()
    }

    fn fill(&self, meter: &TableMeter) {
        if let Some(index) = &meter.index {
            let of_index: &[&str] = &[&meter.account, &meter.table, index];
            for (series, counted) in [
                (&self.index_read_units, read(&meter.read_half_units) / 2.0),
                (&self.index_write_units, read(&meter.write_half_units) / 2.0),
                (&self.index_read_throttles, read(&meter.read_throttles)),
                (&self.index_write_throttles, read(&meter.write_throttles)),
            ] {
                series.with_label_values(of_index).inc_by(counted);
            }
            return;
        }
        let of_table: &[&str] = &[&meter.account, &meter.table];
        for (series, counted) in [
            (&self.read_units, read(&meter.read_half_units) / 2.0),
            (&self.write_units, read(&meter.write_half_units) / 2.0),
            (&self.conditional_check_failed, read(&meter.conditional_check_failed)),
            (&self.read_throttles, read(&meter.read_throttles)),
            (&self.write_throttles, read(&meter.write_throttles)),
            (&self.transaction_conflict, read(&meter.transaction_conflict)),
        ] {
            series.with_label_values(of_table).inc_by(counted);
        }
        for (operation, counted) in OPERATIONS.iter().zip(&meter.operations) {
            for (series, counted) in [
                (&self.latency_seconds, read(&counted.succeeded_micros) / 1e6),
                (&self.successes, read(&counted.succeeded)),
                (&self.returned_items, read(&counted.returned_items)),
                (&self.throttled, read(&counted.throttled)),
                (&self.system_errors, read(&counted.system_errors)),
            ] {
                // Of the many that never happened nothing is told.
                if counted > 0.0 {
                    let labels: &[&str] = &[&meter.account, &meter.table, operation.name];
                    series.with_label_values(labels).inc_by(counted);
                }
            }
        }
    }
}

/// Tells what all tables are counted to.
pub(super) struct TableCollector {
    descriptions: Vec<Desc>,
    meters: TableMeters,
}

impl TableCollector {
    pub(super) fn new(meters: TableMeters) -> Result<Self, prometheus::Error> {
        Ok(Self { descriptions: Families::new()?.descriptions(), meters })
    }
}

impl Collector for TableCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Ok(families) = Families::new() else { return Vec::new() };
        self.meters.retain();
        let tables: Vec<Arc<TableMeter>> = self.meters.tables.read().values().cloned().collect();
        tables.iter().for_each(|meter| families.fill(meter));
        for (account, count) in self.meters.users.read().iter() {
            families.user_errors.with_label_values(&[account.as_str()]).inc_by(read(count));
        }
        families
            .all()
            .into_iter()
            .flat_map(Collector::collect)
            .filter(|family| !family.get_metric().is_empty())
            .collect()
    }
}
