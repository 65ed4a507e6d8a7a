//! The limits of a table's throughput, and what a client is told that met one (API reference, ThrottlingReason).

use crate::{
    ErrorKind, ServiceError,
    index::GlobalIndex,
    table::{OnDemandThroughput, ProvisionedThroughput, TableDefinition},
};
use serde::{Deserialize, Serialize};

/// The quota of a table, or of a global index, of a new AWS account: units a second of each kind (quotas, throughput).
pub const TABLE_UNITS_MAX: u64 = 40_000;

/// What a request consumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CapacityKind {
    Read,
    Write,
}

/// Where a limit comes from; variants are only ever added at the end (the order is on the wire).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LimitType {
    /// `ProvisionedThroughput`.
    Provisioned,
    /// `OnDemandThroughput`.
    MaxOnDemand,
    /// What a table on demand takes at once: more than twice its previous peak has partitions be split first.
    KeyRange,
    /// What the account's quota gives a table on demand.
    Account,
}

/// The limit of a table, or of a global index, that a request met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableLimit {
    pub capacity: CapacityKind,
    pub limit: LimitType,
}

/// One of an error's `ThrottlingReasons`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThrottlingReason {
    /// `TableReadProvisionedThroughputExceeded` and its like.
    pub reason: &'static str,
    /// The ARN of the table or the index.
    pub resource: String,
}

impl TableLimit {
    /// What a client is told whose request met the limit of this table, or of this index.
    pub fn exceeded(self, arn: &str) -> ServiceError {
        // No table's name has a slash.
        let of_index = arn.contains("/index/");
        let (kind, message) = match self.limit {
            LimitType::Provisioned if of_index => (
                ErrorKind::ProvisionedThroughputExceededException,
                "The level of configured provisioned throughput for one or more global secondary indexes of the table was \
                 exceeded. Consider increasing your provisioning level for the under-provisioned global secondary indexes \
                 with the UpdateTable API",
            ),
            LimitType::Provisioned => (
                ErrorKind::ProvisionedThroughputExceededException,
                "The level of configured provisioned throughput for the table was exceeded. Consider increasing your \
                 provisioning level with the UpdateTable API.",
            ),
            LimitType::MaxOnDemand => (
                ErrorKind::ThrottlingException,
                "Throughput exceeds the maximum OnDemandThroughput configured on table or index",
            ),
            LimitType::KeyRange if of_index => (
                ErrorKind::ThrottlingException,
                "Throughput exceeds the current capacity for one or more global secondary indexes. DynamoDB is \
                 automatically scaling your index so please try again shortly.",
            ),
            LimitType::KeyRange => (
                ErrorKind::ThrottlingException,
                "Throughput exceeds the current capacity of your table or index. DynamoDB is automatically scaling your \
                 table or index so please try again shortly. If exceptions persist, check if you have a hot key: \
                 https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html.",
            ),
            LimitType::Account => (
                ErrorKind::RequestLimitExceeded,
                "Throughput exceeds the current throughput limit for your account. Please contact AWS Support at \
                 https://aws.amazon.com/support to request a limit increase",
            ),
        };
        let reason = ThrottlingReason { reason: self.reason(of_index), resource: arn.to_owned() };
        ServiceError { throttling_reasons: vec![reason], ..ServiceError::new(kind, message) }
    }

    fn reason(self, of_index: bool) -> &'static str {
        match (self.capacity, self.limit, of_index) {
            (CapacityKind::Read, LimitType::Provisioned, false) => "TableReadProvisionedThroughputExceeded",
            (CapacityKind::Write, LimitType::Provisioned, false) => "TableWriteProvisionedThroughputExceeded",
            (CapacityKind::Read, LimitType::MaxOnDemand, false) => "TableReadMaxOnDemandThroughputExceeded",
            (CapacityKind::Write, LimitType::MaxOnDemand, false) => "TableWriteMaxOnDemandThroughputExceeded",
            (CapacityKind::Read, LimitType::Provisioned, true) => "IndexReadProvisionedThroughputExceeded",
            (CapacityKind::Write, LimitType::Provisioned, true) => "IndexWriteProvisionedThroughputExceeded",
            (CapacityKind::Read, LimitType::MaxOnDemand, true) => "IndexReadMaxOnDemandThroughputExceeded",
            (CapacityKind::Write, LimitType::MaxOnDemand, true) => "IndexWriteMaxOnDemandThroughputExceeded",
            (CapacityKind::Read, LimitType::KeyRange, false) => "TableReadKeyRangeThroughputExceeded",
            (CapacityKind::Write, LimitType::KeyRange, false) => "TableWriteKeyRangeThroughputExceeded",
            (CapacityKind::Read, LimitType::KeyRange, true) => "IndexReadKeyRangeThroughputExceeded",
            (CapacityKind::Write, LimitType::KeyRange, true) => "IndexWriteKeyRangeThroughputExceeded",
            (CapacityKind::Read, LimitType::Account, false) => "TableReadAccountLimitExceeded",
            (CapacityKind::Write, LimitType::Account, false) => "TableWriteAccountLimitExceeded",
            (CapacityKind::Read, LimitType::Account, true) => "IndexReadAccountLimitExceeded",
            (CapacityKind::Write, LimitType::Account, true) => "IndexWriteAccountLimitExceeded",
        }
    }
}

impl GlobalIndex {
    /// How much of this the index may consume, as [`TableDefinition::units_per_second`] tells it of a table.
    pub fn units_per_second(&self, capacity: CapacityKind) -> Option<(u64, LimitType)> {
        units_per_second(self.provisioned_throughput, self.on_demand_throughput, capacity)
    }
}

impl TableDefinition {
    /// Whether the table, or one of its global indexes, may consume only so much of anything.
    pub fn has_limit(&self) -> bool {
        let is_limited =
            |index: &GlobalIndex| index.provisioned_throughput.is_some() || index.on_demand_throughput.is_some();
        self.provisioned_throughput.is_some()
            || self.on_demand_throughput.is_some()
            || self.global_indexes.iter().any(is_limited)
    }

    /// How much of this the table may consume, in units a second, and by which of its settings; none: as much as there is.
    pub fn units_per_second(&self, capacity: CapacityKind) -> Option<(u64, LimitType)> {
        units_per_second(self.provisioned_throughput, self.on_demand_throughput, capacity)
    }
}

fn units_per_second(
    provisioned: Option<ProvisionedThroughput>,
    maxima: Option<OnDemandThroughput>,
    capacity: CapacityKind,
) -> Option<(u64, LimitType)> {
    if let Some(ProvisionedThroughput { read_capacity_units, write_capacity_units }) = provisioned {
        let units = match capacity {
            CapacityKind::Read => read_capacity_units,
            CapacityKind::Write => write_capacity_units,
        };
        return Some((units, LimitType::Provisioned));
    }
    let maxima = maxima?;
    let units = match capacity {
        CapacityKind::Read => maxima.max_read_request_units,
        CapacityKind::Write => maxima.max_write_request_units,
    };
    units.map(|units| (units, LimitType::MaxOnDemand))
}
