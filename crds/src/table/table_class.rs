//! When the class of a Table changed, as its status has it.

use super::{recovery::millis_of_time, recovery::time_of_millis};
use cairn_model::{table::TableClass, table_class::TableClassHistory};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The reason of a Ready condition that is not true only because the table's class was changed too often lately.
pub const CLASS_LIMITED: &str = "TableClassLimited";

/// Which class the table had when it was last looked at, and when that changed.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TableClassStatus {
    #[schemars(with = "String", extend("enum" = ["STANDARD", "STANDARD_INFREQUENT_ACCESS"]))]
    pub table_class: TableClass,
    /// The last two times, the newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2), extend("x-kubernetes-list-type" = "atomic"))]
    pub update_date_times: Vec<Time>,
}

impl TableClassStatus {
    pub fn history(&self) -> TableClassHistory {
        let updates_ms = self.update_date_times.iter().map(millis_of_time).collect();
        TableClassHistory { class: Some(self.table_class), updates_ms }
    }

    /// None before anybody looked.
    pub fn of(history: &TableClassHistory) -> Option<Self> {
        let update_date_times = history.updates_ms.iter().copied().map(time_of_millis).collect();
        history.class.map(|table_class| Self { table_class, update_date_times })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_survives_the_way_through_a_status() {
        let class = Some(TableClass::StandardInfrequentAccess);
        for updates_ms in [Vec::new(), vec![1_000, 2_000]] {
            let history = TableClassHistory { class, updates_ms };
            assert_eq!(TableClassStatus::of(&history).unwrap().history(), history);
        }
        assert_eq!(TableClassStatus::of(&TableClassHistory::default()), None);
    }
}
