//! The tables of an account as this package sees them, and what it asks of whoever keeps them.
//! Where the catalog lies (a folder, Kubernetes) is the implementor's business.

use crate::{
    auto_scaling::{AutoScalingUpdate, TableAutoScaling},
    errors,
    tags::{TagUpdate, Tags},
};
use async_trait::async_trait;
use cairn_model::{
    KeySchema, ServiceError, TableDefinition,
    ids::TableId,
    index::{GlobalIndex, LocalIndex, NewGlobalIndex, free_slot},
    table::{
        BillingMode, ContinuousBackups, OnDemandThroughput, ProvisionedThroughput, StreamViewType, TableClass,
        TableStatus, TimeToLive, WarmThroughput,
    },
    table_class::TableClassHistory,
    throughput::ThroughputHistory,
};
use std::sync::Arc;

/// A table at one moment: what DescribeTable shows and what requests are checked against.
#[derive(Clone, Debug, PartialEq)]
pub struct TableView {
    pub definition: TableDefinition,
    pub status: TableStatus,
    /// What it takes at once is about to be more, which DynamoDB shows of a table that stays ACTIVE.
    pub is_warming: bool,
    /// As old as the catalog's last report, and the bytes too; [`crate::Partitions::counts`] has those of now.
    pub item_count: u64,
    /// In DynamoDB's bytes.
    pub size_bytes: u64,
    pub arn: String,
    /// In the order of the definition's, and behind them those that are being deleted.
    pub global_indexes: Vec<IndexView>,
}

impl TableView {
    /// The ARN of one of its indexes.
    pub fn index_arn(&self, index_name: &str) -> String {
        format!("{}/index/{index_name}", self.arn)
    }
}

/// A global index at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexView {
    /// Its partitions as those of a table, to be read as one: the definition is [`TableDefinition::of_index`], and the status,
    /// the counts and the ARN are the index's.
    pub table: Arc<TableView>,
    /// What was in the table before the index is not all in it yet.
    pub backfilling: bool,
}

impl IndexView {
    pub fn name(&self) -> &str {
        self.table.definition.index_of.as_ref().map_or("", |of| &of.index_name)
    }
}

/// A table to be made: checked, complete, without the identity and the time that the catalog gives it.
#[derive(Clone, Debug, PartialEq)]
pub struct NewTable {
    pub table_name: String,
    pub key_schema: KeySchema,
    pub billing_mode: BillingMode,
    /// Present if and only if the billing mode is PROVISIONED.
    pub provisioned_throughput: Option<ProvisionedThroughput>,
    /// Only where the billing mode is PAY_PER_REQUEST.
    pub on_demand_throughput: Option<OnDemandThroughput>,
    /// As [`TableDefinition::warm_throughput`].
    pub warm_throughput: Option<WarmThroughput>,
    pub table_class: Option<TableClass>,
    pub deletion_protection_enabled: bool,
    /// With their slots.
    pub local_indexes: Vec<LocalIndex>,
    pub global_indexes: Vec<NewGlobalIndex>,
    /// Of the stream that the table has from the start, if it has one.
    pub stream: Option<StreamViewType>,
    pub tags: Tags,
}

impl NewTable {
    /// The first version of the table's definition, with what the catalog gives it, an id for each global index among it. The
    /// tags are no part of it.
    pub fn into_definition(
        self,
        account: &str,
        table_id: TableId,
        creation_time_ms: u64,
        mut index_id: impl FnMut() -> TableId,
    ) -> TableDefinition {
        let in_slots = (0..).zip(self.global_indexes);
        let global_indexes = in_slots.map(|(slot, index)| index.into_index(index_id(), slot)).collect();
        let mut definition = TableDefinition {
            account: account.to_owned(),
            table_name: self.table_name,
            table_id,
            schema_version: 1,
            key_schema: self.key_schema,
            billing_mode: self.billing_mode,
            provisioned_throughput: self.provisioned_throughput,
            on_demand_throughput: self.on_demand_throughput,
            warm_throughput: self.warm_throughput,
            table_class: self.table_class,
            deletion_protection_enabled: self.deletion_protection_enabled,
            creation_time_ms,
            continuous_backups: None,
            restored_from: None,
            replicas: None,
            local_indexes: self.local_indexes,
            global_indexes,
            index_of: None,
            time_to_live: None,
            stream: None,
        };
        definition.set_stream(self.stream, creation_time_ms);
        definition
    }
}

/// What an UpdateTable, an UpdateContinuousBackups or an UpdateTimeToLive changes; a field not given stays as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableUpdate {
    pub billing_mode: Option<BillingMode>,
    /// Given whenever the table is PROVISIONED afterwards and was not, or changes its capacity.
    pub provisioned_throughput: Option<ProvisionedThroughput>,
    pub on_demand_throughput: Option<OnDemandUpdate>,
    /// What the table is to take at once: never less than it does.
    pub warm_throughput: Option<WarmThroughput>,
    pub table_class: Option<TableClass>,
    pub deletion_protection_enabled: Option<bool>,
    pub recovery: Option<RecoveryUpdate>,
    pub time_to_live: Option<TimeToLiveUpdate>,
    pub stream: Option<StreamUpdate>,
    /// At most one of them makes an index or deletes one.
    pub global_indexes: Vec<GlobalIndexUpdate>,
}

/// What becomes of one global index.
#[derive(Clone, Debug, PartialEq)]
pub enum GlobalIndexUpdate {
    Create(NewGlobalIndex),
    /// What is not given stays as it is.
    Update {
        index_name: String,
        provisioned_throughput: Option<ProvisionedThroughput>,
        on_demand_throughput: Option<OnDemandUpdate>,
        warm_throughput: Option<WarmThroughput>,
    },
    Delete {
        index_name: String,
    },
}

impl GlobalIndexUpdate {
    fn apply(self, indexes: &mut Vec<GlobalIndex>, index_id: &mut impl FnMut() -> TableId) {
        match self {
            // Where there is no room left the caller found so.
            Self::Create(index) => indexes.extend(free_slot(indexes).map(|slot| index.into_index(index_id(), slot))),
            Self::Delete { index_name } => indexes.retain(|index| index.index_name != index_name),
            Self::Update { index_name, provisioned_throughput, on_demand_throughput, warm_throughput } => {
                for index in indexes.iter_mut().filter(|index| index.index_name == index_name) {
                    index.provisioned_throughput = provisioned_throughput.or(index.provisioned_throughput);
                    if let Some(update) = on_demand_throughput {
                        index.on_demand_throughput = update.apply(index.on_demand_throughput);
                    }
                    index.warm_throughput = warm_throughput.or(index.warm_throughput);
                }
            }
        }
    }
}

/// A table's stream, as it is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamUpdate {
    Off,
    On { view_type: StreamViewType },
}

/// The maxima of an on-demand table that change; one that is not given stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OnDemandUpdate {
    pub max_read_request_units: Option<MaximumUpdate>,
    pub max_write_request_units: Option<MaximumUpdate>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaximumUpdate {
    Remove,
    Set(u64),
}

impl OnDemandUpdate {
    fn apply(self, before: Option<OnDemandThroughput>) -> Option<OnDemandThroughput> {
        let before = before.unwrap_or_default();
        let changed = |before: Option<u64>, update: Option<MaximumUpdate>| match update {
            None => before,
            Some(MaximumUpdate::Remove) => None,
            Some(MaximumUpdate::Set(units)) => Some(units),
        };
        let after = OnDemandThroughput {
            max_read_request_units: changed(before.max_read_request_units, self.max_read_request_units),
            max_write_request_units: changed(before.max_write_request_units, self.max_write_request_units),
        };
        (after != OnDemandThroughput::default()).then_some(after)
    }
}

/// Point-in-time recovery, as it is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecoveryUpdate {
    Off,
    On {
        /// 1 to 35.
        period_days: u16,
    },
}

/// The deletion of expired items, as it is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimeToLiveUpdate {
    Off,
    On {
        /// 1 to 255 bytes.
        attribute_name: String,
    },
}

impl TableUpdate {
    /// Whether it is an UpdateTable's, which only an ACTIVE table takes.
    pub fn needs_active(&self) -> bool {
        let beside = Self { recovery: self.recovery, time_to_live: self.time_to_live.clone(), ..Self::default() };
        *self != beside
    }

    /// Whether DynamoDB answers that the table is UPDATING: by what is asked for, though it be so already.
    pub(crate) fn is_updating(&self) -> bool {
        let makes_or_deletes = |update: &GlobalIndexUpdate| !matches!(update, GlobalIndexUpdate::Update { .. });
        self.billing_mode.is_some()
            || self.provisioned_throughput.is_some()
            || self.table_class.is_some()
            || self.stream.is_some()
            || self.global_indexes.iter().any(makes_or_deletes)
    }

    /// Changes the definition accordingly; a table on demand has no throughput, another no maxima, either goes on taking at once what
    /// it took, and recovery that was on stays on since when it was, as does Time To Live by the same attribute. The version is the
    /// catalog's to raise.
    ///
    /// `now_ms`: milliseconds since the Unix epoch; `index_id`: an id for a global index that is made.
    pub fn apply(self, definition: &mut TableDefinition, now_ms: u64, mut index_id: impl FnMut() -> TableId) {
        let warm = self.warm_throughput.map_or(definition.warm(), |warm| warm.max(definition.warm()));
        let warm_indexes: Vec<(TableId, WarmThroughput)> =
            definition.global_indexes.iter().map(|index| (index.index_id, index.warm())).collect();
        if let Some(mode) = self.billing_mode {
            definition.billing_mode = mode;
        }
        if let Some(throughput) = self.provisioned_throughput {
            definition.provisioned_throughput = Some(throughput);
        }
        if let Some(update) = self.on_demand_throughput {
            definition.on_demand_throughput = update.apply(definition.on_demand_throughput);
        }
        for update in self.global_indexes {
            update.apply(&mut definition.global_indexes, &mut index_id);
        }
        let of_indexes = definition.global_indexes.iter_mut();
        let throughputs = of_indexes.map(|index| (&mut index.provisioned_throughput, &mut index.on_demand_throughput));
        let of_table = (&mut definition.provisioned_throughput, &mut definition.on_demand_throughput);
        for (provisioned, on_demand) in throughputs.chain([of_table]) {
            match definition.billing_mode {
                BillingMode::PayPerRequest => *provisioned = None,
                BillingMode::Provisioned => *on_demand = None,
            }
        }
        definition.warm_throughput = warm.beside(definition.provisioned_throughput);
        for index in &mut definition.global_indexes {
            let before = warm_indexes.iter().find(|(index_id, _)| *index_id == index.index_id);
            let warm = before.map_or(index.warm(), |(_, warm)| warm.max(index.warm()));
            index.warm_throughput = warm.beside(index.provisioned_throughput);
        }
        if let Some(class) = self.table_class {
            definition.table_class = Some(class);
        }
        if let Some(protected) = self.deletion_protection_enabled {
            definition.deletion_protection_enabled = protected;
        }
        match self.stream {
            None => {}
            Some(StreamUpdate::Off) => definition.set_stream(None, now_ms),
            Some(StreamUpdate::On { view_type }) => definition.set_stream(Some(view_type), now_ms),
        }
        match self.recovery {
            None => {}
            Some(RecoveryUpdate::Off) => definition.continuous_backups = None,
            Some(RecoveryUpdate::On { period_days }) => {
                let enabled_at_ms = definition.continuous_backups.map_or(now_ms, |backups| backups.enabled_at_ms);
                definition.continuous_backups =
                    Some(ContinuousBackups { recovery_period_days: period_days, enabled_at_ms });
            }
        }
        match self.time_to_live {
            None => {}
            Some(TimeToLiveUpdate::Off) => definition.time_to_live = None,
            Some(TimeToLiveUpdate::On { attribute_name }) => {
                let before = definition.time_to_live.take().filter(|before| before.attribute_name == attribute_name);
                let on = before.unwrap_or(TimeToLive { attribute_name, enabled_at_ms: now_ms });
                definition.time_to_live = Some(on);
            }
        }
    }
}

/// Who keeps the tables.
///
/// States are the implementor's to check where they can race: it answers `ResourceInUseException` for a name that
/// exists or a table not ACTIVE, `ResourceNotFoundException` for one that is gone, `AccessDeniedException` for one
/// that another owner keeps from being changed. [`crate::errors`] has the texts.
#[async_trait]
pub trait Catalog: Send + Sync {
    /// The hot path: from memory, without waiting. `None` when the account has no such table.
    fn table(&self, account: &str, name: &str) -> Option<Arc<TableView>>;

    /// Makes [`Self::table`] know this table as it is now, or is no more: whether it knows better than before. It stays as it was
    /// where too much is asked, or nobody answers.
    async fn look_up(&self, _account: &str, _name: &str) -> bool {
        false
    }

    /// The account's table with this id, where it is asked for seldom.
    fn table_of_id(&self, account: &str, id: TableId) -> Option<Arc<TableView>> {
        let tables = self.list_tables(account).into_iter().filter_map(|name| self.table(account, &name));
        tables.into_iter().find(|table| table.definition.table_id == id)
    }

    /// Whether every table that there is is known: one that is not is gone.
    fn knows_all(&self) -> bool {
        true
    }

    /// Whether a table that is CREATING will never be more, as one whose import failed: then it can be deleted.
    fn has_failed(&self, _table: &TableView) -> bool {
        false
    }

    /// The names of the account's tables in ascending order of their bytes.
    fn list_tables(&self, account: &str) -> Vec<String>;

    /// The table as it is after the call, CREATING or ACTIVE already. [`crate::errors::overtaken`] where another of its name was made
    /// at the same time.
    async fn create_table(&self, account: &str, table: NewTable) -> Result<Arc<TableView>, ServiceError>;

    /// The table as it is after the call. [`crate::errors::overtaken`] where another change came first:
    /// then [`Self::table`] has what that one left.
    async fn update_table(
        &self,
        account: &str,
        name: &str,
        update: TableUpdate,
    ) -> Result<Arc<TableView>, ServiceError>;

    /// The table as it was, with the status DELETING.
    async fn delete_table(&self, account: &str, name: &str) -> Result<Arc<TableView>, ServiceError>;

    /// What the storage nodes have of the table, or of a global index as one, which may be what it was before a change that is under
    /// way; none where they do not tell, or no change takes its time. From memory, without waiting.
    fn definition_held(&self, _table: &TableView) -> Option<TableDefinition> {
        None
    }

    /// When the throughput of the table, or of a global index as one, went up and down. From memory, without waiting.
    fn throughput_history(&self, table: &TableView) -> ThroughputHistory;

    /// When the table's class was changed; where nobody keeps it, it never was. From memory, without waiting.
    fn table_class_history(&self, _table: &TableView) -> TableClassHistory {
        TableClassHistory::default()
    }

    /// The table's tags, as the table is known.
    async fn tags(&self, table: &TableView) -> Result<Tags, ServiceError>;

    /// Changes the table's tags, by [`TagUpdate::apply`], all of it or nothing.
    async fn update_tags(&self, account: &str, name: &str, update: TagUpdate) -> Result<(), ServiceError>;

    /// By what the throughput of the table and of its global indexes is scaled; by nothing where nobody scales. From memory,
    /// without waiting.
    fn auto_scaling(&self, _table: &TableView) -> TableAutoScaling {
        TableAutoScaling::default()
    }

    /// Changes that, by [`AutoScalingUpdate::apply`], all of it or nothing. The table as it is after the call.
    async fn update_auto_scaling(
        &self,
        _account: &str,
        _name: &str,
        _update: AutoScalingUpdate,
    ) -> Result<Arc<TableView>, ServiceError> {
        Err(errors::nobody_scales())
    }
}
