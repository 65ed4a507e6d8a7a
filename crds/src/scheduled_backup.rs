//! The kind `ScheduledBackup`: Backups of a table, made by the clock.

#![allow(clippy::duplicated_attributes, reason = "each printer column has a type and a path of its own")]

use crate::{
    name::bounded_name,
    rules::{Rule, json},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The time zone of a schedule whose spec names none.
pub const TIME_ZONE_DEFAULT: &str = "UTC";
/// The longest value of a label.
const LABEL_LENGTH_MAX: usize = 63;

/// The coarse form; the operator says what is wrong within it.
const SCHEDULE: &[Rule] = &[(
    "self.matches('^ *(@(yearly|annually|monthly|weekly|daily|hourly)|[0-9*/,-]+ +[0-9*/,-]+ +[0-9*/,?LW-]+ +[0-9A-Za-z*/,-]+ +[0-9A-Za-z*/,?#-]+) *$')",
    "schedule has five fields (minute, hour, day of the month, month, day of the week), or is @yearly, @monthly, @weekly, @daily or @hourly",
)];

/// Backups of one table of the account that is its namespace, by the clock.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[kube(
    group = "cairn.dev",
    version = "v1alpha1",
    kind = "ScheduledBackup",
    plural = "scheduledbackups",
    shortname = "csb",
    category = "cairn",
    namespaced,
    status = "ScheduledBackupStatus",
    derive = "PartialEq",
    doc = "Makes Backups of a table by the clock, and deletes the oldest of them.",
    printcolumn(name = "Table", type_ = "string", json_path = ".spec.tableName"),
    printcolumn(name = "Schedule", type_ = "string", json_path = ".spec.schedule"),
    printcolumn(name = "Next", type_ = "string", json_path = ".status.nextScheduleTime"),
    printcolumn(name = "Last", type_ = "date", json_path = ".status.lastScheduleTime"),
    printcolumn(name = "Suspended", type_ = "boolean", json_path = ".spec.suspend"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct ScheduledBackupSpec {
    /// The table, by its name in DynamoDB's API.
    #[schemars(length(min = 3, max = 255), regex(pattern = r"^[a-zA-Z0-9_.-]+$"))]
    pub table_name: String,
    /// When, as cron has it: five fields (minute, hour, day of the month, month, day of the week), or `@daily` and the like.
    #[schemars(length(min = 1, max = 128), extend("x-kubernetes-validations" = json(SCHEDULE)))]
    pub schedule: String,
    /// The IANA time zone of the schedule, such as `Europe/Berlin`; UTC where it is left out. Where clocks go forward, a time of
    /// day that is skipped is run right after; where they go back, one that comes twice is run the first time, unless the minute
    /// or the hour of the schedule has a `*`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9_+/-]+$"))]
    pub time_zone: Option<String>,
    /// How many AVAILABLE backups of this schedule stay; older ones are deleted, objects and all.
    #[schemars(range(min = 1, max = 1000))]
    pub keep: i64,
    /// After how many days each backup goes by itself; only `keep` counts where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 36_500))]
    pub retain_days: Option<i64>,
    /// While true, no backups are made, and what is missed meanwhile is not made up for.
    #[serde(default)]
    pub suspend: bool,
}

/// What the schedule did last and does next. Written by the operator alone.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ScheduledBackupStatus {
    /// The time of the schedule for which a backup was made last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_schedule_time: Option<Time>,
    /// Absent while the schedule is suspended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_schedule_time: Option<Time>,
    /// The Backup that was made last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub last_backup_name: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

impl ScheduledBackup {
    /// The value of [`crate::SCHEDULED_BY_LABEL`] on this schedule's Backups: its name, cut and told apart by a hash where that
    /// is too long for a label.
    pub fn label_value(&self) -> String {
        bounded_name(&self.name_any(), LABEL_LENGTH_MAX)
    }
}
