//! What this package asks of whoever keeps backups: those made on demand, and the log from which a table is restored
//! to a point in time. Where they lie (a folder, a bucket) is the implementor's business.

use crate::{arn::BackupArn, catalog::TableView, errors};
use async_trait::async_trait;
pub use cairn_model::archive::{BackupState, BackupType};
use cairn_model::{
    ServiceError, TableDefinition,
    archive::BackupReport,
    ids::TableId,
    index::{self, GlobalIndex, IndexProjection, LocalIndex, NewGlobalIndex},
    keys::Keys,
    table::{BillingMode, KeyAttribute, OnDemandThroughput, ProvisionedThroughput, RestoredFrom, WarmThroughput},
};
use std::sync::Arc;

/// `BackupDetails`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupDetails {
    /// As [`crate::arn::BackupArn`] writes it.
    pub arn: String,
    pub name: String,
    /// 0 while it is not known yet.
    pub size_bytes: u64,
    pub status: BackupState,
    pub backup_type: BackupType,
    /// When it was asked for; milliseconds since the Unix epoch.
    pub creation_time_ms: u64,
    /// When it goes by itself, as those of the system do; milliseconds since the Unix epoch.
    pub expiry_time_ms: Option<u64>,
}

/// A backup and the table it was made of, as the table was then.
#[derive(Clone, Debug, PartialEq)]
pub struct BackupDescription {
    pub details: BackupDetails,
    pub table: TableDefinition,
    pub table_arn: String,
    pub item_count: u64,
    /// In DynamoDB's bytes.
    pub table_size_bytes: u64,
}

impl From<BackupReport> for BackupDescription {
    fn from(report: BackupReport) -> Self {
        let order = report.order;
        Self {
            details: BackupDetails {
                arn: order.arn,
                name: order.name,
                size_bytes: report.size_bytes,
                status: report.state,
                backup_type: order.backup_type,
                creation_time_ms: order.creation_time_ms,
                expiry_time_ms: order.expiry_time_ms,
            },
            table: order.definition,
            table_arn: order.table_arn,
            item_count: report.item_count,
            table_size_bytes: report.table_size_bytes,
        }
    }
}

impl BackupDescription {
    pub fn summary(&self) -> BackupSummary {
        BackupSummary {
            details: self.details.clone(),
            table_name: self.table.table_name.clone(),
            table_id: self.table.table_id,
            table_arn: self.table_arn.clone(),
        }
    }
}

/// A backup as ListBackups shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupSummary {
    pub details: BackupDetails,
    pub table_name: String,
    pub table_id: TableId,
    pub table_arn: String,
}

/// Which backups ListBackups asks for; a field not given asks for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackupFilter {
    pub table_name: Option<String>,
    pub backup_type: Option<BackupType>,
    /// Inclusive; milliseconds since the Unix epoch.
    pub created_from_ms: Option<u64>,
    /// Exclusive; milliseconds since the Unix epoch.
    pub created_before_ms: Option<u64>,
}

impl BackupFilter {
    pub fn matches(&self, backup: &BackupSummary) -> bool {
        let created_ms = backup.details.creation_time_ms;
        self.table_name.as_ref().is_none_or(|name| *name == backup.table_name)
            && self.backup_type.is_none_or(|wanted| wanted == backup.details.backup_type)
            && self.created_from_ms.is_none_or(|from| created_ms >= from)
            && self.created_before_ms.is_none_or(|before| created_ms < before)
    }
}

/// One page of ListBackups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackupPage {
    pub backups: Vec<BackupSummary>,
    /// Whether there are more after the last of these.
    pub more: bool,
}

/// The times a table can be restored to, both inclusive; milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestorableWindow {
    pub earliest_ms: u64,
    pub latest_ms: u64,
}

impl RestorableWindow {
    pub fn contains(&self, time_ms: u64) -> bool {
        (self.earliest_ms..=self.latest_ms).contains(&time_ms)
    }
}

/// Whose past is restored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RestoreSource<'a> {
    /// A table that is there and has point-in-time recovery on.
    Table(&'a TableView),
    /// The name of one that the catalog does not have: deleted, or never there.
    Absent(&'a str),
}

/// The moment that is restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestoreTime {
    Latest,
    /// Milliseconds since the Unix epoch.
    Millis(u64),
}

/// The table that a restore makes: its name, and what it has otherwise than its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreTarget {
    pub table_name: String,
    pub billing_mode: Option<BillingMode>,
    pub provisioned_throughput: Option<ProvisionedThroughput>,
    /// Only where it is PAY_PER_REQUEST.
    pub on_demand_throughput: Option<OnDemandThroughput>,
    /// Those of the source's local indexes that it is to have; none: all.
    pub local_indexes: Option<Vec<IndexOverride>>,
    /// Those of its global ones.
    pub global_indexes: Option<Vec<GlobalIndexOverride>>,
}

/// An index of a restored table, as the caller describes it: it must be one of the source's, but for its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexOverride {
    pub index_name: String,
    /// The names of the partition key's attributes.
    pub partition: Vec<String>,
    /// Those of the sort key's.
    pub sort: Vec<String>,
    pub projection: IndexProjection,
}

/// A global index of a restored table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlobalIndexOverride {
    pub like: IndexOverride,
    /// Given if and only if the restored table is PROVISIONED.
    pub provisioned_throughput: Option<ProvisionedThroughput>,
    /// Only where it is PAY_PER_REQUEST.
    pub on_demand_throughput: Option<OnDemandThroughput>,
    /// As [`TableDefinition::warm_throughput`].
    pub warm_throughput: Option<WarmThroughput>,
}

impl RestoreTarget {
    /// The first version of the new table's definition, with an id for each of its global indexes. Of its source it has the
    /// keys, the indexes, the billing mode and the throughput; what it was warmed to, table class, deletion protection and
    /// point-in-time recovery don't come along, as in DynamoDB.
    pub fn into_definition(
        self,
        source: &TableDefinition,
        table_id: TableId,
        creation_time_ms: u64,
        restored_from: RestoredFrom,
        mut index_id: impl FnMut() -> TableId,
    ) -> Result<TableDefinition, ServiceError> {
        let (billing_mode, provisioned_throughput) = self.billing(source)?;
        let maxima = self.on_demand_throughput.or(source.on_demand_throughput);
        let on_demand_throughput = maxima.filter(|_| billing_mode == BillingMode::PayPerRequest);
        let (local_indexes, global_indexes) = self.indexes(source, billing_mode)?;
        let in_slots = (0..).zip(global_indexes);
        let global_indexes = in_slots.map(|(slot, index)| index.into_index(index_id(), slot)).collect();
        Ok(TableDefinition {
            billing_mode,
            provisioned_throughput,
            on_demand_throughput,
            creation_time_ms,
            restored_from: Some(restored_from),
            local_indexes,
            global_indexes,
            ..TableDefinition::new(source.account.clone(), self.table_name, table_id, source.key_schema.clone())
        })
    }

    /// Whether the overrides go with what the source has.
    pub(crate) fn check(&self, source: &TableDefinition) -> Result<(), ServiceError> {
        let (billing_mode, _) = self.billing(source)?;
        self.indexes(source, billing_mode).map(drop)
    }

    /// The new table's indexes, no two of one name.
    fn indexes(
        &self,
        source: &TableDefinition,
        billing_mode: BillingMode,
    ) -> Result<(Vec<LocalIndex>, Vec<NewGlobalIndex>), ServiceError> {
        let (local, global) = (self.local_indexes(source)?, self.global_indexes(source, billing_mode)?);
        let is_local = |name: &str| local.iter().any(|index| index.index_name == name);
        match global.iter().find(|index| is_local(&index.index_name)) {
            Some(index) => Err(errors::index_named_twice(&index.index_name)),
            None => Ok((local, global)),
        }
    }

    /// The new table's local indexes. Indexes can be left out and named otherwise, not added and not changed.
    fn local_indexes(&self, source: &TableDefinition) -> Result<Vec<LocalIndex>, ServiceError> {
        let Some(overrides) = &self.local_indexes else { return Ok(source.local_indexes.clone()) };
        let chosen = overrides.iter().map(|wanted| {
            let is = |index: &&LocalIndex| wanted.is(index.keys(&source.key_schema), &index.projection);
            let found = source.local_indexes.iter().find(is);
            let found = found.ok_or_else(|| errors::index_override_unknown(&wanted.index_name))?;
            Ok(LocalIndex { index_name: wanted.index_name.clone(), ..found.clone() })
        });
        Ok(index::in_slots(chosen.collect::<Result<_, ServiceError>>()?))
    }

    /// As [`Self::local_indexes`], the global ones, of a table with this billing mode.
    fn global_indexes(
        &self,
        source: &TableDefinition,
        billing_mode: BillingMode,
    ) -> Result<Vec<NewGlobalIndex>, ServiceError> {
        let chosen: Vec<NewGlobalIndex> = match &self.global_indexes {
            None => source.global_indexes.iter().map(|index| inherited(index, billing_mode)).collect(),
            Some(overrides) => {
                overrides.iter().map(|wanted| wanted.of(source, billing_mode)).collect::<Result<_, _>>()?
            }
        };
        let is_without = |index: &&NewGlobalIndex| {
            billing_mode == BillingMode::Provisioned && index.provisioned_throughput.is_none()
        };
        match chosen.iter().find(is_without) {
            Some(index) => Err(errors::index_override_units_missing(&index.index_name)),
            None => Ok(chosen),
        }
    }

    fn billing(&self, source: &TableDefinition) -> Result<(BillingMode, Option<ProvisionedThroughput>), ServiceError> {
        let mode = self.billing_mode.unwrap_or(source.billing_mode);
        if let (BillingMode::Provisioned, Some(maxima)) = (mode, self.on_demand_throughput) {
            return Err(errors::override_maxima(maxima));
        }
        match (mode, self.provisioned_throughput.or(source.provisioned_throughput)) {
            (BillingMode::PayPerRequest, _) if self.provisioned_throughput.is_some() => {
                Err(errors::throughput_override_on_demand())
            }
            (BillingMode::PayPerRequest, _) => Ok((mode, None)),
            (BillingMode::Provisioned, None) => Err(errors::throughput_override_missing()),
            (BillingMode::Provisioned, throughput) => Ok((mode, throughput)),
        }
    }
}

impl IndexOverride {
    fn is(&self, keys: Keys<'_>, projection: &IndexProjection) -> bool {
        let are_named = |attributes: &[KeyAttribute], names: &[String]| {
            attributes.iter().map(|attribute| &attribute.name).eq(names)
        };
        are_named(keys.partition, &self.partition) && are_named(keys.sort, &self.sort) && self.projection == *projection
    }
}

impl GlobalIndexOverride {
    fn of(&self, source: &TableDefinition, billing_mode: BillingMode) -> Result<NewGlobalIndex, ServiceError> {
        let name = &self.like.index_name;
        let mut indexes = source.global_indexes.iter();
        let found = indexes.find(|index| self.like.is(index.key_schema.keys(), &index.projection));
        let found = found.ok_or_else(|| errors::index_override_unknown(name))?;
        if billing_mode == BillingMode::PayPerRequest && self.provisioned_throughput.is_some() {
            return Err(errors::index_override_units_on_demand(name));
        }
        if let (BillingMode::Provisioned, Some(maxima)) = (billing_mode, self.on_demand_throughput) {
            return Err(errors::override_maxima(maxima));
        }
        Ok(NewGlobalIndex {
            index_name: name.clone(),
            key_schema: found.key_schema.clone(),
            projection: found.projection.clone(),
            provisioned_throughput: self.provisioned_throughput,
            on_demand_throughput: self.on_demand_throughput,
            warm_throughput: self.warm_throughput,
        })
    }
}

/// An index of the source, as a table with this billing mode has it.
fn inherited(index: &GlobalIndex, billing_mode: BillingMode) -> NewGlobalIndex {
    NewGlobalIndex {
        index_name: index.index_name.clone(),
        key_schema: index.key_schema.clone(),
        projection: index.projection.clone(),
        provisioned_throughput: index.provisioned_throughput.filter(|_| billing_mode == BillingMode::Provisioned),
        on_demand_throughput: index.on_demand_throughput.filter(|_| billing_mode == BillingMode::PayPerRequest),
        warm_throughput: None,
    }
}

/// Who keeps the backups.
///
/// The account of a table is in its definition; the ARNs of backups are of the account and of the service's region.
/// What can race is the implementor's to check, whatever was checked before the call; [`crate::errors`] has the
/// texts. An operation returns in far less than a request may take ([`crate::ApiConfig::operation_timeout`]): what
/// takes long goes on after it, as CREATING.
#[async_trait]
pub trait Backups: Send + Sync {
    /// Whether this table's backups are kept anywhere. From memory, without waiting.
    fn covers(&self, table: &TableView) -> bool;

    /// Begins a backup of what the table holds now: CREATING or AVAILABLE already. Its name need not be its own.
    async fn create_backup(&self, table: &TableView, name: &str) -> Result<BackupDetails, ServiceError>;

    /// `BackupNotFoundException` where the account has no such backup.
    async fn describe_backup(&self, account: &str, arn: BackupArn<'_>) -> Result<BackupDescription, ServiceError>;

    /// At most `limit` (1 to 100) of the account's backups, in ascending order of their ids (the last part of their
    /// ARNs), from the first whose id is above that of `exclusive_start_arn`, which need not be there any more.
    async fn list_backups(
        &self,
        account: &str,
        filter: &BackupFilter,
        limit: usize,
        exclusive_start_arn: Option<BackupArn<'_>>,
    ) -> Result<BackupPage, ServiceError>;

    /// The backup as it was, DELETED. `BackupNotFoundException` where the account has no such backup,
    /// `BackupInUseException` while it is being made or restored from. Not called for what a deleted table left.
    async fn delete_backup(&self, account: &str, arn: BackupArn<'_>) -> Result<BackupDescription, ServiceError>;

    /// The times this table, whose recovery is on, can be restored to, none of them older than its recovery period;
    /// none while there is no such time yet.
    async fn restorable_window(&self, table: &TableView) -> Result<Option<RestorableWindow>, ServiceError>;

    /// Begins to make a table of a backup; the table as it is after the call, CREATING.
    ///
    /// `BackupNotFoundException` where the account has no such backup, `BackupInUseException` while it is being made
    /// or deleted, `TableAlreadyExistsException` or `TableInUseException` where the new table's name is taken.
    async fn restore_from_backup(
        &self,
        account: &str,
        arn: BackupArn<'_>,
        target: RestoreTarget,
    ) -> Result<Arc<TableView>, ServiceError>;

    /// Begins to make a table of what another held at that time, with the settings the other has now (or had last);
    /// the new table as it is after the call, CREATING.
    ///
    /// `TableNotFoundException` for an absent source that is not known from before, `InvalidRestoreTimeException` for
    /// a time outside the restorable window, `TableAlreadyExistsException` or `TableInUseException` where the new
    /// table's name is taken: looked for in this order.
    async fn restore_to_point_in_time(
        &self,
        account: &str,
        source: RestoreSource<'_>,
        time: RestoreTime,
        target: RestoreTarget,
    ) -> Result<Arc<TableView>, ServiceError>;
}
