//! `onDemandThroughput`: the maxima of an on-demand table.

use super::{definition::DefinitionError, rules};
use crate::rules::json;
use cairn_model::table::{self, BillingMode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The API reference has this stand for "no maximum".
const NO_MAXIMUM: i64 = -1;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OnDemandThroughput {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -1, max = 1_000_000_000_000_i64), extend("x-kubernetes-validations" = json(rules::MAX_REQUEST_UNITS)))]
    pub max_read_request_units: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -1, max = 1_000_000_000_000_i64), extend("x-kubernetes-validations" = json(rules::MAX_REQUEST_UNITS)))]
    pub max_write_request_units: Option<i64>,
}

impl OnDemandThroughput {
    /// As nodes keep it, of a table with this billing mode.
    pub(super) fn of(self, mode: BillingMode) -> Result<Option<table::OnDemandThroughput>, DefinitionError> {
        let units = |maximum: Option<i64>| match maximum {
            None | Some(NO_MAXIMUM) => Ok(None),
            Some(units) if units >= 1 => Ok(u64::try_from(units).ok()),
            Some(_) => Err(DefinitionError::OnDemandThroughput),
        };
        let maxima = table::OnDemandThroughput {
            max_read_request_units: units(self.max_read_request_units)?,
            max_write_request_units: units(self.max_write_request_units)?,
        };
        if maxima == table::OnDemandThroughput::default() {
            return Ok(None);
        }
        if mode == BillingMode::Provisioned { Err(DefinitionError::OnDemandThroughput) } else { Ok(Some(maxima)) }
    }
}

impl From<table::OnDemandThroughput> for OnDemandThroughput {
    fn from(maxima: table::OnDemandThroughput) -> Self {
        let units = |units: Option<u64>| units.map(|units| i64::try_from(units).unwrap_or(i64::MAX));
        Self {
            max_read_request_units: units(maxima.max_read_request_units),
            max_write_request_units: units(maxima.max_write_request_units),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(read: Option<i64>, mode: BillingMode) -> Result<Option<table::OnDemandThroughput>, DefinitionError> {
        OnDemandThroughput { max_read_request_units: read, max_write_request_units: None }.of(mode)
    }

    #[test]
    fn a_maximum_is_of_an_on_demand_table_and_at_least_one() {
        let maxima = of(Some(10), BillingMode::PayPerRequest).unwrap().unwrap();
        assert_eq!((maxima.max_read_request_units, maxima.max_write_request_units), (Some(10), None));
        assert_eq!(OnDemandThroughput::from(maxima).max_read_request_units, Some(10));
        for none in [None, Some(-1)] {
            assert_eq!(of(none, BillingMode::PayPerRequest), Ok(None));
            assert_eq!(of(none, BillingMode::Provisioned), Ok(None));
        }
        assert_eq!(of(Some(10), BillingMode::Provisioned), Err(DefinitionError::OnDemandThroughput));
        for wrong in [0, -2] {
            assert_eq!(of(Some(wrong), BillingMode::PayPerRequest), Err(DefinitionError::OnDemandThroughput));
        }
    }
}
