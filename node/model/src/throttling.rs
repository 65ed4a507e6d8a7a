//! The limits of a table's throughput, and what a client is told that met one (API reference, ThrottlingReason).

use crate::{
    ErrorKind, ServiceError,
    table::{ProvisionedThroughput, TableDefinition},
};
use serde::{Deserialize, Serialize};

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
}

/// The limit of a table that a request met.
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
    /// The ARN of the table.
    pub resource: String,
}

impl TableLimit {
    /// What a client is told whose request met the limit of this table.
    pub fn exceeded(self, table_arn: &str) -> ServiceError {
        let (kind, message) = match self.limit {
            LimitType::Provisioned => (
                ErrorKind::ProvisionedThroughputExceededException,
                "The level of configured provisioned throughput for the table was exceeded. Consider increasing your \
                 provisioning level with the UpdateTable API.",
            ),
            LimitType::MaxOnDemand => (
                ErrorKind::ThrottlingException,
                "Throughput exceeds the maximum OnDemandThroughput configured on table or index",
            ),
        };
        let reason = ThrottlingReason { reason: self.reason(), resource: table_arn.to_owned() };
        ServiceError { throttling_reasons: vec![reason], ..ServiceError::new(kind, message) }
    }

    fn reason(self) -> &'static str {
        match (self.capacity, self.limit) {
            (CapacityKind::Read, LimitType::Provisioned) => "TableReadProvisionedThroughputExceeded",
            (CapacityKind::Write, LimitType::Provisioned) => "TableWriteProvisionedThroughputExceeded",
            (CapacityKind::Read, LimitType::MaxOnDemand) => "TableReadMaxOnDemandThroughputExceeded",
            (CapacityKind::Write, LimitType::MaxOnDemand) => "TableWriteMaxOnDemandThroughputExceeded",
        }
    }
}

impl TableDefinition {
    /// Whether the table may consume only so much of anything.
    pub fn has_limit(&self) -> bool {
        self.provisioned_throughput.is_some() || self.on_demand_throughput.is_some()
    }

    /// How much of this the table may consume, in units a second, and by which of its settings; none: as much as there is.
    pub fn units_per_second(&self, capacity: CapacityKind) -> Option<(u64, LimitType)> {
        if let Some(ProvisionedThroughput { read_capacity_units, write_capacity_units }) = self.provisioned_throughput {
            let units = match capacity {
                CapacityKind::Read => read_capacity_units,
                CapacityKind::Write => write_capacity_units,
            };
            return Some((units, LimitType::Provisioned));
        }
        let maxima = self.on_demand_throughput?;
        let units = match capacity {
            CapacityKind::Read => maxima.max_read_request_units,
            CapacityKind::Write => maxima.max_write_request_units,
        };
        units.map(|units| (units, LimitType::MaxOnDemand))
    }
}
