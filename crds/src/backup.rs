//! The kind `Backup`: a whole copy of a table as it was, in the archive's bucket.

#![allow(clippy::duplicated_attributes, reason = "each printer column has a type and a path of its own")]

mod rules;

pub(crate) use rules::ROOT as ROOT_RULES;

use crate::{name::resource_id, rules::json};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A backup of a table of the account that is its namespace.
#[derive(CustomResource, Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[kube(
    group = "cairn.dev",
    version = "v1alpha1",
    kind = "Backup",
    plural = "backups",
    shortname = "cbk",
    category = "cairn",
    namespaced,
    status = "BackupResourceStatus",
    derive = "PartialEq",
    doc = "A whole copy of a table as it was, in the archive's bucket.",
    printcolumn(name = "Table", type_ = "string", json_path = ".status.tableName"),
    printcolumn(name = "Status", type_ = "string", json_path = ".status.backupStatus"),
    printcolumn(name = "Progress", type_ = "string", json_path = ".status.progress"),
    printcolumn(name = "Size", type_ = "integer", json_path = ".status.backupSizeBytes"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Expires", type_ = "string", json_path = ".status.backupExpiryDateTime", priority = "1"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = json(rules::SPEC)))]
pub struct BackupSpec {
    /// The table, by its name in DynamoDB's API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 255), regex(pattern = r"^[a-zA-Z0-9_.-]+$"))]
    pub table_name: Option<String>,
    /// The backup's name in DynamoDB's API; the resource's where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 255), regex(pattern = r"^[a-zA-Z0-9_.-]+$"))]
    pub backup_name: Option<String>,
    /// After how many days it goes by itself; never where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 36_500))]
    pub retain_days: Option<i64>,
    /// What becomes of the backup in the bucket when this resource is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// Instead of a table: a backup that lies in the group's bucket already, from whatever cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_archive: Option<FromArchive>,
    /// The StorageGroup whose archive has the bucket, for `fromArchive`; a table's own otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 36), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub storage_group: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum DeletionPolicy {
    #[default]
    Retain,
    Delete,
}

/// A backup that lies in a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FromArchive {
    /// As `status.backupArn` of the resource that made it has it.
    #[schemars(length(min = 37, max = 1024), extend("x-kubernetes-validations" = json(rules::BACKUP_ARN)))]
    pub backup_arn: String,
}

/// What became of the backup. Written by the operator alone.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct BackupResourceStatus {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("enum" = ["CREATING", "AVAILABLE", "DELETED"]))]
    pub backup_status: Option<cairn_model::archive::BackupState>,
    /// Given once, before anything is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub backup_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub table_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 36))]
    pub table_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub table_arn: Option<String>,
    /// The StorageGroup whose archive makes or has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 36))]
    pub storage_group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup_creation_date_time: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup_expiry_date_time: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup_size_bytes: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item_count: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table_size_bytes: Option<i64>,
    /// While it is CREATING, as `37%`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub progress: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

impl Backup {
    /// The id that a backup made by this resource has in the bucket and in its ARN: DynamoDB's form, from when the resource
    /// was made and its uid, so that whoever reads the resource knows it. None before the API server has it.
    pub fn backup_id(&self) -> Option<String> {
        resource_id(&self.metadata)
    }

    /// The backup's name in DynamoDB's API: `spec.backupName`, or the resource's.
    pub fn backup_name(&self) -> String {
        self.spec.backup_name.clone().unwrap_or_else(|| self.name_any())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::jiff::Timestamp;

    #[test]
    fn an_id_tells_when_the_resource_was_made_and_which_it_is() {
        let mut backup: Backup =
            serde_json::from_str(r#"{"apiVersion": "cairn.dev/v1alpha1", "kind": "Backup", "metadata": {"name": "nightly"}, "spec": {"tableName": "users"}}"#)
                .unwrap();
        assert_eq!(backup.backup_id(), None);
        backup.metadata.creation_timestamp = Some(Time(Timestamp::from_millisecond(1_700_000_000_000).unwrap()));
        backup.metadata.uid = Some("abcdef12-3456-7890-abcd-ef1234567890".into());
        assert_eq!(backup.backup_id().as_deref(), Some("01700000000000-abcdef12"));
        assert_eq!(backup.backup_name(), "nightly");
    }
}
