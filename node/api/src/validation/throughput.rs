//! `BillingMode` and `ProvisionedThroughput`.

use super::constraints::Constraints;
use crate::input::{fields::Long, shape::Shape};
use cairn_model::{
    ServiceError,
    table::{BillingMode, ProvisionedThroughput},
};
use serde::Deserialize;

/// What DynamoDB takes as units of one table at most.
pub(crate) const UNITS_MAX: i64 = 1_000_000_000_000;

pub(crate) const THROUGHPUT: Shape =
    Shape::Struct("ProvisionedThroughput", &[("WriteCapacityUnits", Shape::Long), ("ReadCapacityUnits", Shape::Long)]);

/// `ProvisionedThroughput` as a request has it.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ThroughputInput {
    read_capacity_units: Option<Long>,
    write_capacity_units: Option<Long>,
}

impl ThroughputInput {
    /// `path`: the parameter's.
    pub(crate) fn constrain(&self, path: &str, constraints: &mut Constraints) {
        for (member, units) in
            [("writeCapacityUnits", self.write_capacity_units), ("readCapacityUnits", self.read_capacity_units)]
        {
            let path = format!("{path}.{member}");
            constraints.required(&path, units.is_some());
            constraints.at_least(&path, units.map(|units| units.0), 1);
        }
    }

    /// After [`Self::constrain`] found nothing.
    pub(crate) fn checked(&self) -> Result<ProvisionedThroughput, ServiceError> {
        let units = |name: &str, units: Option<Long>| {
            let units = units.map_or(0, |units| units.0);
            match u64::try_from(units) {
                Ok(valid) if units <= UNITS_MAX => Ok(valid),
                _ => Err(ServiceError::validation(format!("Given value {units} for {name} is out of bounds"))),
            }
        };
        Ok(ProvisionedThroughput {
            read_capacity_units: units("ReadCapacityUnits", self.read_capacity_units)?,
            write_capacity_units: units("WriteCapacityUnits", self.write_capacity_units)?,
        })
    }
}

/// `path`: the parameter's.
pub(crate) fn constrain_billing_mode(path: &str, mode: Option<&str>, constraints: &mut Constraints) {
    constraints.one_of(path, mode, &["PROVISIONED", "PAY_PER_REQUEST"]);
}

/// After [`constrain_billing_mode`] found nothing.
pub(crate) fn billing_mode(mode: &str) -> BillingMode {
    if mode == "PAY_PER_REQUEST" { BillingMode::PayPerRequest } else { BillingMode::Provisioned }
}

/// Units for a table that is, or is to be, on demand.
pub(crate) fn units_on_demand() -> ServiceError {
    ServiceError::validation(
        "One or more parameter values were invalid: Neither ReadCapacityUnits nor WriteCapacityUnits can be specified \
         when BillingMode is PAY_PER_REQUEST",
    )
}
