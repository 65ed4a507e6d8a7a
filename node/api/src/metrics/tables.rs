//! What the clients of each table and of its global indexes do, under CloudWatch's names for DynamoDB: of this process, from its
//! start on.
//!
//! A table, or an index, is counted from its first request until it is deleted; then its series go.

use crate::{
    Catalog,
    capacity::{ConsumedCapacity, HalfUnits},
    errors,
    operations::OPERATIONS,
};
use cairn_model::{
    ErrorKind, ServiceError, TableDefinition, ids::TableId, index::GlobalIndex, throttling::CapacityKind,
};
use parking_lot::{Mutex, RwLock};
use prometheus::{
    CounterVec, Opts, Registry,
    core::{Collector, Desc},
    proto::MetricFamily,
};
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Further ones are not counted, indexes as tables: a series costs memory here and more in Prometheus.
const TABLES_MAX: usize = 10_000;
const OF_TABLE: &[&str] = &["account", "table"];
const OF_INDEX: &[&str] = &["account", "table", "index"];
const OF_OPERATION: &[&str] = &["account", "table", "operation"];

/// A table, or a global index as one.
#[derive(Clone, Copy, Debug)]
struct Measured<'a> {
    account: &'a str,
    table: &'a str,
    index: Option<&'a str>,
    id: TableId,
}

impl<'a> From<&'a TableDefinition> for Measured<'a> {
    fn from(definition: &'a TableDefinition) -> Self {
        Self {
            account: &definition.account,
            table: &definition.table_name,
            index: definition.index_of.as_ref().map(|of| of.index_name.as_str()),
            id: definition.table_id,
        }
    }
}

impl<'a> Measured<'a> {
    fn of_index(table: &'a TableDefinition, index: &'a GlobalIndex) -> Self {
        Self { index: Some(&index.index_name), id: index.index_id, ..Self::from(table) }
    }
}

/// Half a unit of capacity is the least that is consumed.
#[derive(Debug)]
struct TableMeter {
    account: String,
    table: String,
    /// Of what is a global index.
    index: Option<String>,
    /// The table's, or the index's.
    table_id: TableId,
    read_half_units: AtomicU64,
    write_half_units: AtomicU64,
    conditional_check_failed: AtomicU64,
    read_throttles: AtomicU64,
    write_throttles: AtomicU64,
    transaction_conflict: AtomicU64,
    /// As [`OPERATIONS`]; of an index none.
    operations: Vec<OperationMeter>,
}

impl TableMeter {
    fn throttled(&self, capacity: CapacityKind) {
        add(
            match capacity {
                CapacityKind::Read => &self.read_throttles,
                CapacityKind::Write => &self.write_throttles,
            },
            1,
        );
    }
}

#[derive(Debug, Default)]
struct OperationMeter {
    succeeded: AtomicU64,
    succeeded_micros: AtomicU64,
    returned_items: AtomicU64,
    throttled: AtomicU64,
    system_errors: AtomicU64,
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

fn read(counter: &AtomicU64) -> f64 {
    counter.load(Ordering::Relaxed) as f64
}

/// All tables that are counted. Its clones are one.
#[derive(Clone)]
pub(crate) struct TableMeters {
    tables: Arc<RwLock<HashMap<TableId, Arc<TableMeter>>>>,
    users: Arc<RwLock<HashMap<String, AtomicU64>>>,
    catalog: Arc<dyn Catalog>,
}

impl TableMeters {
    pub(crate) fn new(catalog: Arc<dyn Catalog>, registry: &Registry) -> Result<Self, prometheus::Error> {
        let meters = Self { tables: Arc::default(), users: Arc::default(), catalog };
        registry.register(Box::new(TableCollector {
            descriptions: Families::new()?.descriptions(),
            meters: meters.clone(),
        }))?;
        Ok(meters)
    }

    /// Counts one request of the operation at `operation` of [`OPERATIONS`].
    pub(crate) fn request(&self, operation: usize) -> RequestMeter<'_> {
        RequestMeter { meters: self, operation, touched: Mutex::default() }
    }

    /// A request of this account was refused for what is wrong with it.
    pub(crate) fn user_error(&self, account: &str) {
        {
            let users = self.users.read();
            match users.get(account) {
                Some(count) => return add(count, 1),
                None if users.len() >= TABLES_MAX => return,
                None => {}
            }
        }
        let mut users = self.users.write();
        if users.len() < TABLES_MAX {
            add(users.entry(account.to_owned()).or_default(), 1);
        }
    }

    fn of(&self, measured: Measured<'_>) -> Option<Arc<TableMeter>> {
        {
            let tables = self.tables.read();
            match tables.get(&measured.id) {
                Some(meter) => return Some(meter.clone()),
                // Requests that are not counted don't stand in line for it.
                None if tables.len() >= TABLES_MAX => return None,
                None => {}
            }
        }
        let mut tables = self.tables.write();
        if tables.len() >= TABLES_MAX {
            return None;
        }
        let operations = if measured.index.is_some() { [].iter() } else { OPERATIONS.iter() };
        let meter = tables.entry(measured.id).or_insert_with(|| {
            Arc::new(TableMeter {
                account: measured.account.to_owned(),
                table: measured.table.to_owned(),
                index: measured.index.map(str::to_owned),
                table_id: measured.id,
                read_half_units: AtomicU64::default(),
                write_half_units: AtomicU64::default(),
                conditional_check_failed: AtomicU64::default(),
                read_throttles: AtomicU64::default(),
                write_throttles: AtomicU64::default(),
                transaction_conflict: AtomicU64::default(),
                operations: operations.map(|_| OperationMeter::default()).collect(),
            })
        });
        Some(meter.clone())
    }

    /// Forgets the tables and the indexes that are gone.
    fn retain(&self) {
        let is_there = |meter: &TableMeter| {
            let table = self.catalog.table(&meter.account, &meter.table);
            table.is_some_and(|table| {
                let mut indexes = table.definition.global_indexes.iter();
                table.definition.table_id == meter.table_id || indexes.any(|index| index.index_id == meter.table_id)
            })
        };
        let known: Vec<Arc<TableMeter>> = self.tables.read().values().cloned().collect();
        let gone: Vec<TableId> = known.iter().filter(|meter| !is_there(meter)).map(|meter| meter.table_id).collect();
        if !gone.is_empty() {
            let mut tables = self.tables.write();
            gone.iter().for_each(|id| drop(tables.remove(id)));
        }
    }
}

impl std::fmt::Debug for TableMeters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TableMeters").field("tables", &self.tables.read().len()).finish_non_exhaustive()
    }
}

/// What one request does, and to which tables.
#[derive(Debug)]
pub(crate) struct RequestMeter<'a> {
    meters: &'a TableMeters,
    operation: usize,
    touched: Mutex<Vec<Arc<TableMeter>>>,
}

impl RequestMeter<'_> {
    /// The request is about this table, among others perhaps.
    pub(crate) fn touch(&self, definition: &TableDefinition) {
        let mut touched = self.touched.lock();
        if !touched.iter().any(|meter| meter.table_id == definition.table_id) {
            touched.extend(self.meters.of(definition.into()));
        }
    }

    /// Of the table, or of a global index as one.
    pub(crate) fn read(&self, table: &TableDefinition, units: HalfUnits) {
        self.with(table, |meter| add(&meter.read_half_units, units.halves()));
    }

    pub(crate) fn returned(&self, table: &TableDefinition, items: u64) {
        self.with(table, |meter| add(&meter.operations[self.operation].returned_items, items));
    }

    /// Of the table, and of the global indexes that changed with it.
    pub(crate) fn written(&self, table: &TableDefinition, consumed: &ConsumedCapacity) {
        self.with(table, |meter| add(&meter.write_half_units, consumed.of_table().halves()));
        for (name, units) in consumed.global_indexes() {
            let index = table.global_indexes.iter().find(|index| index.index_name == name);
            if let Some(meter) = index.and_then(|index| self.meters.of(Measured::of_index(table, index))) {
                add(&meter.write_half_units, units.halves());
            }
        }
    }

    /// It costs a unit at least; the size of the item that it met is not known here.
    pub(crate) fn condition_failed(&self, table: &TableDefinition) {
        self.with(table, |meter| {
            add(&meter.conditional_check_failed, 1);
            add(&meter.write_half_units, HalfUnits::write(0, 0).halves());
        });
    }

    /// One item was locked by a transaction.
    pub(crate) fn conflicted(&self, table: &TableDefinition) {
        self.with(table, |meter| add(&meter.transaction_conflict, 1));
    }

    /// A part of the request met this error: it is counted if that is the throughput of the table or of an index, whatever
    /// becomes of the rest.
    pub(crate) fn throttled(&self, table: &TableDefinition, error: &ServiceError, capacity: CapacityKind) {
        let Some(reason) = error.throttling_reasons.first() else { return };
        let named = |index: &&GlobalIndex| reason.resource.ends_with(&format!("/index/{}", index.index_name));
        match table.global_indexes.iter().find(named) {
            None => self.throttled_once(table, capacity),
            Some(index) => {
                if let Some(meter) = self.meters.of(Measured::of_index(table, index)) {
                    meter.throttled(capacity);
                }
            }
        }
    }

    pub(crate) fn throttled_once(&self, table: &TableDefinition, capacity: CapacityKind) {
        self.with(table, |meter| meter.throttled(capacity));
    }

    fn with(&self, table: &TableDefinition, count: impl FnOnce(&TableMeter)) {
        if table.index_of.is_some() {
            // The request is counted as the table's.
            if let Some(meter) = self.meters.of(table.into()) {
                count(&meter);
            }
            return;
        }
        if let Some(meter) = self.touched.lock().iter().find(|meter| meter.table_id == table.table_id) {
            count(meter);
        }
    }

    /// The request's end.
    pub(crate) fn end(self, account: &str, took: Duration, error: Option<ErrorKind>) {
        let touched = self.touched.into_inner();
        let of_operation = |count: &dyn Fn(&OperationMeter)| {
            touched.iter().for_each(|meter| count(&meter.operations[self.operation]));
        };
        match error {
            None => of_operation(&|meter| {
                add(&meter.succeeded, 1);
                add(&meter.succeeded_micros, took.as_micros() as u64);
            }),
            Some(ErrorKind::InternalServerError) => of_operation(&|meter| add(&meter.system_errors, 1)),
            Some(kind) if errors::is_overload(kind) => of_operation(&|meter| add(&meter.throttled, 1)),
            // Told apart, table by table; the second is what PartiQL calls the first, where it inserts.
            Some(ErrorKind::ConditionalCheckFailedException | ErrorKind::DuplicateItemException) => {}
            Some(_) => self.meters.user_error(account),
        }
    }
}

/// The series, filled when they are asked for.
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
                "Write units consumed: CloudWatch's ConsumedWriteCapacityUnits. A failed condition counts as one.",
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

struct TableCollector {
    descriptions: Vec<Desc>,
    meters: TableMeters,
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

#[cfg(test)]
mod tests;
