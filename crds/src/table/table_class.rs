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
    use crate::TableResourceStatus;

    #[test]
    fn statuses_of_versions_that_noted_no_class_are_read_and_of_newer_ones_what_is_known() {
        let older = r#"{"tableStatus":"ACTIVE","schemaVersion":2}"#;
        let status: TableResourceStatus = serde_json::from_str(older).unwrap();
        assert_eq!((status.table_class.clone(), serde_json::to_string(&status).unwrap()), (None, older.to_owned()));
        let newer = r#"{"tableClass":{"tableClass":"STANDARD","updateDateTimes":["2026-11-21T10:00:00Z"],"by":"api"},"cold":{"since":1}}"#;
        let status: TableResourceStatus = serde_json::from_str(newer).unwrap();
        let updates_ms = vec![1_795_255_200_000];
        let history = TableClassHistory { class: Some(TableClass::Standard), updates_ms };
        assert_eq!(status.table_class.unwrap().history(), history);
    }

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
