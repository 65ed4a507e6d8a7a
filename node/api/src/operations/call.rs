//! One call of an operation: who asks, with what, and what the operation may use.

use super::missed::Missed;
use crate::{
    Backups, Catalog, Exports, GlobalTables, Imports, Partitions, Room, RoutingKey, TableView,
    capacity::{ConsumedCapacity, HalfUnits},
    errors,
    global_tables::GlobalTable,
    metrics::tables::RequestMeter,
    read_target::ReadTarget,
    request_id::RequestIds,
    transactions::{self, Coordinator, Finished},
    validation::references::table_named,
};
use cairn_model::{
    ErrorKind, ServiceError, key::EncodedKey, limits, node::Counts, table::TableStatus, throttling::CapacityKind,
};
use cairn_replication::operation::{
    GetOutcome, GetRequest, PartitionOutcome, PartitionRequest, RangeOutcome, RangeRequest, WriteOutcome, WriteRequest,
};
use std::{ops::Bound, sync::Arc, time::Duration};

/// A call whose signature has been verified.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) catalog: &'a dyn Catalog,
    pub(crate) partitions: &'a dyn Partitions,
    /// For the answer, and for what it is made of.
    pub(crate) room: &'a Room,
    pub(crate) backups: Option<&'a dyn Backups>,
    pub(crate) exports: Option<&'a dyn Exports>,
    /// Of an incremental export.
    pub(crate) export_span_min: Duration,
    pub(crate) imports: Option<&'a dyn Imports>,
    pub(crate) global_tables: Option<&'a dyn GlobalTables>,
    /// The name the client knows the service by.
    pub(crate) host: &'a str,
    pub(crate) account: &'a str,
    pub(crate) region: &'a str,
    pub(crate) body: &'a [u8],
    pub(crate) request_ids: RequestIds<'a>,
    pub(crate) meter: &'a RequestMeter<'a>,
    pub(crate) missed: &'a Missed,
    pub(crate) finished: &'a Finished,
}

impl Call<'_> {
    /// A table whose items can be read and written.
    pub(crate) fn open_table(&self, name: &str) -> Result<Arc<TableView>, ServiceError> {
        let known = self.catalog.table(self.account, name);
        match known {
            Some(table) if matches!(table.status, TableStatus::Active | TableStatus::Updating) => {
                self.meter.touch(&table.definition);
                Ok(table)
            }
            known => {
                self.missed.note(name, known.as_ref());
                Err(errors::resource_not_found())
            }
        }
    }

    /// A table that is read, or this index of it. Where the index can't be read, should there be one, the table is looked up.
    pub(crate) fn open_to_read(&self, name: &str, index_name: Option<&str>) -> Result<Arc<TableView>, ServiceError> {
        let table = self.open_table(name)?;
        if ReadTarget::of(&table, index_name).is_none_or(|target| target.partitions().is_err()) {
            self.missed.note(name, Some(&table));
        }
        Ok(table)
    }

    /// One of several tables of a request, named by its name or its ARN. Where it is missed, those behind it may be too: all of them
    /// are looked up together.
    pub(crate) fn open_before<'n>(
        &self,
        named: &str,
        behind: impl Iterator<Item = &'n str>,
    ) -> Result<Arc<TableView>, ServiceError> {
        self.open_table(table_named(self, named)?).inspect_err(|_| {
            behind.filter_map(|named| table_named(self, named).ok()).for_each(|name| drop(self.open_table(name)));
        })
    }

    /// Looks those of the tables up that nothing can be asked of, for a request that goes on without them.
    pub(crate) async fn look_for<'n>(&self, names: impl Iterator<Item = &'n str>) {
        names.for_each(|name| drop(self.open_table(name)));
        self.missed.look_up(self.catalog, self.account).await;
    }

    /// Looks a table up before it is asked for: what shows it, or changes it only where it is another, is not refused if it is known as
    /// it was.
    pub(crate) async fn renew(&self, name: &str) {
        self.known_table(name);
        self.missed.look_up(self.catalog, self.account).await;
    }

    /// A table in whatever state.
    pub(crate) fn any_table(&self, name: &str) -> Result<Arc<TableView>, ServiceError> {
        self.known_table(name).ok_or_else(|| errors::table_not_found(name))
    }

    /// A table in whatever state, if there is one. That may be old: should the operation be refused, it is looked up.
    pub(crate) fn known_table(&self, name: &str) -> Option<Arc<TableView>> {
        let known = self.catalog.table(self.account, name);
        self.missed.note(name, known.as_ref());
        known
    }

    /// A table whose tags are asked for or changed, by its name and by the ARN that the caller named it by.
    pub(crate) fn tagged_table(&self, name: &str, arn: &str) -> Result<Arc<TableView>, ServiceError> {
        self.known_table(name).ok_or_else(|| errors::tagged_table_not_found(arn))
    }

    /// Whether the account can have one more table.
    pub(crate) fn check_table_count(&self) -> Result<(), ServiceError> {
        if self.catalog.list_tables(self.account).len() < limits::TABLES_PER_ACCOUNT_MAX {
            Ok(())
        } else {
            Err(errors::too_many_tables())
        }
    }

    /// A table that backups can be made of.
    pub(crate) fn backed_up_table(&self, name: &str) -> Result<Arc<TableView>, ServiceError> {
        self.open_table(name).map_err(|_| errors::backed_up_table_not_found(name))
    }

    /// The backups of this table, where they are kept anywhere.
    pub(crate) fn backups_of(&self, table: &TableView) -> Option<&dyn Backups> {
        self.backups.filter(|backups| backups.covers(table))
    }

    /// The other regions of this table, if it has any.
    pub(crate) fn global_table(&self, table: &TableView) -> Option<GlobalTable> {
        self.global_tables?.describe(table)
    }

    /// What the table's local indexes hold, as far as somebody can say.
    pub(crate) async fn index_counts(&self, table: &TableView) -> Counts {
        if table.definition.local_indexes.is_empty() {
            return Counts::default();
        }
        self.partitions.counts(table).await.unwrap_or_else(|| self.unknown_counts(table))
    }

    /// What is known of a table's counts where its partitions tell none.
    pub(crate) fn unknown_counts(&self, table: &TableView) -> Counts {
        if table.status == TableStatus::Creating { Counts::of_new(&table.definition) } else { Counts::default() }
    }

    /// The items at these keys, of one partition.
    pub(crate) async fn get(&self, table: &TableView, request: GetRequest) -> Result<GetOutcome, ServiceError> {
        let (count, consistent) = (request.keys.len(), request.consistent);
        let first = request.keys.first().cloned().ok_or_else(errors::internal)?;
        match self.ask(table, RoutingKey::from(&first), PartitionRequest::Get(request)).await? {
            PartitionOutcome::Get(outcome) if outcome.items.len() == count => {
                self.meter.read(&table.definition, HalfUnits::gets(&outcome, consistent));
                Ok(outcome)
            }
            _ => Err(mismatch()),
        }
    }

    pub(crate) async fn write(&self, table: &TableView, request: WriteRequest) -> Result<WriteOutcome, ServiceError> {
        let key = EncodedKey(request.key.0.clone());
        let request = PartitionRequest::Write(request);
        let mut answer = self.ask(table, RoutingKey::from(&key), request.clone()).await;
        if let Ok(PartitionOutcome::Locked(met)) = &answer
            && self.coordinator().resolve(met).await
        {
            answer = self.ask(table, RoutingKey::from(&key), request).await;
        }
        match answer {
            Ok(PartitionOutcome::Write(outcome)) => {
                let consumed = ConsumedCapacity::write(&table.definition, &outcome);
                self.meter.written(&table.definition, &consumed);
                Ok(outcome)
            }
            Ok(PartitionOutcome::Locked(_)) => {
                self.meter.conflicted(&table.definition);
                // An attempt before this one may yet be done.
                Err(if self.request_ids.is_retry { errors::internal() } else { transactions::conflict() })
            }
            Ok(_) => Err(mismatch()),
            Err(error) => {
                if error.kind == ErrorKind::ConditionalCheckFailedException {
                    self.meter.condition_failed(&table.definition, HalfUnits::failed_condition(&error));
                }
                Err(error)
            }
        }
    }

    /// Who coordinates the account's transactions.
    pub(crate) fn coordinator(&self) -> Coordinator<'_> {
        Coordinator {
            partitions: self.partitions,
            catalog: self.catalog,
            environment: self.request_ids.environment,
            account: self.account,
            room: self.room,
            finished: self.finished,
        }
    }

    async fn ask(
        &self,
        table: &TableView,
        key: RoutingKey<'_>,
        request: PartitionRequest,
    ) -> Result<PartitionOutcome, ServiceError> {
        let capacity = match request {
            ref request if request.writes() => CapacityKind::Write,
            _ => CapacityKind::Read,
        };
        let answer = self.partitions.request(table, key, request, self.room).await;
        answer.inspect_err(|error| self.meter.throttled(&table.definition, error, capacity))
    }

    /// One page, from where the reading begins.
    pub(crate) async fn range(
        &self,
        target: ReadTarget<'_>,
        request: RangeRequest,
    ) -> Result<RangeOutcome, ServiceError> {
        let start = match if request.forward { &request.lower } else { &request.upper } {
            Bound::Included(key) | Bound::Excluded(key) => key.clone(),
            Bound::Unbounded => bytes::Bytes::new(),
        };
        let consistent = request.consistent;
        let partitions = target.partitions()?;
        match self.ask(partitions, RoutingKey(&start), PartitionRequest::Range(request)).await? {
            PartitionOutcome::Range(outcome) => {
                let consumed = ConsumedCapacity::range(target.charged(), &outcome, consistent);
                self.meter.read(&partitions.definition, consumed.total());
                self.meter.returned(target.table(), outcome.count.into());
                Ok(outcome)
            }
            _ => Err(mismatch()),
        }
    }
}

fn mismatch() -> ServiceError {
    tracing::error!("a partition answered another request than it was asked");
    errors::internal()
}
