//! When the throughput of a Table went up and down, as its status has it.

use super::{ProvisionedThroughput, recovery::millis_of_time, recovery::time_of_millis};
use cairn_model::{table, throughput::ThroughputHistory};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The reason of a Ready condition that is not true only because the throughput of the table, or of an index, can't go down yet.
pub const DECREASE_LIMITED: &str = "ThroughputDecreaseLimited";

/// What the throughput was when it was last looked at, and when it changed.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ThroughputStatus {
    /// Absent while the table is on demand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provisioned_throughput: Option<ProvisionedThroughput>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_increase_date_time: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_decrease_date_time: Option<Time>,
    /// On the UTC day of the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number_of_decreases: Option<i64>,
    /// When the table last came to be on demand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_update_to_pay_per_request_date_time: Option<Time>,
}

impl ThroughputStatus {
    pub fn history(&self) -> ThroughputHistory {
        let units = |units: i64| u64::try_from(units).unwrap_or_default();
        ThroughputHistory {
            units: self.provisioned_throughput.map(|throughput| table::ProvisionedThroughput {
                read_capacity_units: units(throughput.read_capacity_units),
                write_capacity_units: units(throughput.write_capacity_units),
            }),
            last_increase_ms: self.last_increase_date_time.as_ref().map(millis_of_time),
            last_decrease_ms: self.last_decrease_date_time.as_ref().map(millis_of_time),
            decreases: self.number_of_decreases.map(units).unwrap_or_default(),
            last_on_demand_ms: self.last_update_to_pay_per_request_date_time.as_ref().map(millis_of_time),
        }
    }

    /// None where there is nothing to say.
    pub fn of(history: ThroughputHistory) -> Option<Self> {
        (history != ThroughputHistory::default()).then(|| Self {
            provisioned_throughput: history.units.map(ProvisionedThroughput::from),
            last_increase_date_time: history.last_increase_ms.map(time_of_millis),
            last_decrease_date_time: history.last_decrease_ms.map(time_of_millis),
            number_of_decreases: i64::try_from(history.decreases).ok().filter(|decreases| *decreases > 0),
            last_update_to_pay_per_request_date_time: history.last_on_demand_ms.map(time_of_millis),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_survives_the_way_through_a_status() {
        let history = ThroughputHistory {
            units: Some(table::ProvisionedThroughput { read_capacity_units: 5, write_capacity_units: 6 }),
            last_increase_ms: Some(1_000),
            last_decrease_ms: Some(2_000),
            decreases: 3,
            last_on_demand_ms: Some(3_000),
        };
        for history in [history, ThroughputHistory { units: None, ..history }] {
            assert_eq!(ThroughputStatus::of(history).unwrap().history(), history);
        }
        assert_eq!(ThroughputStatus::of(ThroughputHistory::default()), None);
    }
}
