//! `warmThroughput`: what a table, or a global index, takes at once.

use super::rules;
use crate::rules::json;
use cairn_model::table::{self, ProvisionedThroughput};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One that is left out, or less, is what comes with the units, or with being on demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WarmThroughput {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000_000_i64), extend("x-kubernetes-validations" = json(rules::WARM_UNITS)))]
    pub read_units_per_second: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000_000_i64), extend("x-kubernetes-validations" = json(rules::WARM_UNITS)))]
    pub write_units_per_second: Option<i64>,
}

impl WarmThroughput {
    /// As nodes keep it, beside these units.
    pub(super) fn of(self, provisioned: Option<ProvisionedThroughput>) -> Option<table::WarmThroughput> {
        let own = table::WarmThroughput::of_units(provisioned);
        let units = |units: Option<i64>, own| units.and_then(|units| u64::try_from(units).ok()).unwrap_or(own);
        let asked = table::WarmThroughput {
            read_units_per_second: units(self.read_units_per_second, own.read_units_per_second),
            write_units_per_second: units(self.write_units_per_second, own.write_units_per_second),
        };
        asked.beside(provisioned)
    }
}

impl From<table::WarmThroughput> for WarmThroughput {
    fn from(warm: table::WarmThroughput) -> Self {
        let units = |units: u64| Some(i64::try_from(units).unwrap_or(i64::MAX));
        Self {
            read_units_per_second: units(warm.read_units_per_second),
            write_units_per_second: units(warm.write_units_per_second),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(read: Option<i64>, write: Option<i64>, units: Option<u64>) -> Option<(u64, u64)> {
        let units =
            units.map(|units| ProvisionedThroughput { read_capacity_units: units, write_capacity_units: units });
        let warm = WarmThroughput { read_units_per_second: read, write_units_per_second: write }.of(units)?;
        assert_eq!(WarmThroughput::from(warm).of(units), Some(warm));
        Some((warm.read_units_per_second, warm.write_units_per_second))
    }

    #[test]
    fn what_comes_with_the_units_is_not_said_again() {
        assert_eq!(of(None, None, None), None);
        assert_eq!(of(Some(12_000), Some(4_000), None), None);
        assert_eq!(of(Some(5), None, Some(5)), None);
        assert_eq!(of(Some(20_000), None, None), Some((20_000, 4_000)));
        assert_eq!(of(None, Some(6), Some(5)), Some((5, 6)));
    }

    #[test]
    fn a_table_takes_no_less_than_its_units_whatever_it_is_warmed_to() {
        assert_eq!(of(Some(4), Some(-1), Some(5)), None);
        assert_eq!(of(Some(4), Some(7), Some(5)), Some((5, 7)));
    }
}
