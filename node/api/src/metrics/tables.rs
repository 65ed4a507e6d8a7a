//! What the clients of each table and of its global indexes do, under CloudWatch's names for DynamoDB: of this process, from its
//! start on.
//!
//! A table, or an index, is counted from its first request until it is deleted; then its series go.

mod series;

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
use prometheus::Registry;
use series::TableCollector;
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
        registry.register(Box::new(TableCollector::new(meters.clone())?))?;
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

    /// Of one write, which consumed so much nevertheless.
    pub(crate) fn condition_failed(&self, table: &TableDefinition, units: HalfUnits) {
        self.with(table, |meter| {
            add(&meter.conditional_check_failed, 1);
            add(&meter.write_half_units, units.halves());
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

#[cfg(test)]
mod tests;
