//! What a Table's status says of its backups and of where its first data came from.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Point-in-time recovery, as it really is.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContinuousBackupsStatus {
    /// Since when it is on without a break.
    pub enabled_at: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earliest_restorable_date_time: Option<Time>,
    /// Written down about once a minute; DescribeContinuousBackups has it to the second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest_restorable_date_time: Option<Time>,
    /// What can be restored, where it is more than one span: something between them is missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub windows: Vec<RestorableWindow>,
}

/// Both inclusive.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestorableWindow {
    pub earliest: Time,
    pub latest: Time,
}

/// What `spec.restoreFrom` turned out to be: written once, with the placements.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestoreStatus {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub source_backup_arn: Option<String>,
    #[schemars(length(max = 1024))]
    pub source_table_arn: String,
    /// The moment that is restored.
    pub restore_date_time: Time,
    /// Under whose name the source lies in the bucket.
    #[schemars(length(max = 63))]
    pub region: String,
    #[schemars(length(max = 63))]
    pub account: String,
    /// The source: this backup,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub backup_id: Option<String>,
    /// or this table
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 36))]
    pub table_id: Option<String>,
    /// with every entry up to this hybrid timestamp, in decimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 20))]
    pub at: Option<String>,
    pub restore_in_progress: bool,
    /// Of what is loaded, as `37%`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub progress: Option<String>,
}
