//! The kind `StorageGroup`: the storage nodes that hold an account's tables, in their zones.

#![allow(clippy::duplicated_attributes, reason = "each printer column has a type and a path of its own")]

pub mod archive;
mod rules;
pub(crate) use rules::ROOT as ROOT_RULES;

pub use archive::Archive;

use crate::rules::json;
use k8s_openapi::{
    api::core::v1::{ResourceRequirements, Toleration},
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How many zones a group has where its spec names neither a number nor the zones.
pub const ZONE_COUNT_DEFAULT: i32 = 3;

/// Storage nodes in several zones, each of which holds one replica of each of many partitions.
#[derive(CustomResource, Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[kube(
    group = "cairn.dev",
    version = "v1alpha1",
    kind = "StorageGroup",
    plural = "storagegroups",
    shortname = "csg",
    category = "cairn",
    namespaced,
    status = "StorageGroupStatus",
    derive = "PartialEq",
    doc = "The storage nodes that hold tables of the account that is its namespace.",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Nodes", type_ = "string", json_path = ".status.nodesReady"),
    printcolumn(
        name = "Archive",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"ArchiveHealthy\")].status"
    ),
    printcolumn(name = "Volume", type_ = "string", json_path = ".spec.volume.size"),
    printcolumn(name = "Zones", type_ = "string", json_path = ".status.zones", priority = "1"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = json(rules::SPEC)))]
pub struct StorageGroupSpec {
    /// In how many zones of the cluster the group lies; 3 where neither this nor `zoneNames` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 7))]
    pub zone_count: Option<i32>,
    /// The zones, by name, instead of their number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 7), inner(length(min = 1, max = 63)), extend("x-kubernetes-list-type" = "set"))]
    pub zone_names: Option<Vec<String>>,
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 100))]
    pub nodes_per_zone: i32,
    pub volume: Volume,
    /// Of the container of each storage node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
    /// Which of a zone's Kubernetes nodes may run storage nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_selector: Option<BTreeMap<String, String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "atomic"))]
    pub tolerations: Option<Vec<Toleration>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub priority_class_name: Option<String>,
    /// Where the group's tables have their backups; without one they have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<Archive>,
}

/// The volume of each storage node.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = json(rules::VOLUME)))]
pub struct Volume {
    /// As a quantity, such as `100Gi`. It can grow, if the storage class lets it, and never shrinks.
    #[schemars(length(min = 1, max = 32), regex(pattern = r"^[0-9]+(\.[0-9]+)?(k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$"))]
    pub size: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub storage_class_name: Option<String>,
}

/// What became of the group. Written by the operator alone.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct StorageGroupStatus {
    /// The zones chosen; they change only with the spec.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 7), inner(length(max = 63)), extend("x-kubernetes-list-type" = "atomic"))]
    pub zones: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 700), extend("x-kubernetes-list-type" = "atomic"))]
    pub nodes: Vec<StorageNodeStatus>,
    /// How many of the nodes are ready, as `2/3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub nodes_ready: Option<String>,
    /// The partitions of deleted tables whose data some nodes still have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10000), extend("x-kubernetes-list-type" = "atomic"))]
    pub pending_drops: Vec<PendingDrop>,
    /// Since when no table has named the group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub empty_since: Option<Time>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StorageNodeStatus {
    /// The identity on the node's volume; absent until it has first answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 36))]
    pub node_id: Option<String>,
    #[schemars(length(max = 63))]
    pub zone: String,
    /// Host name and port.
    #[schemars(length(max = 320))]
    pub address: String,
    pub ready: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PendingDrop {
    #[schemars(length(max = 36))]
    pub partition_id: String,
    #[schemars(length(max = 36))]
    pub table_id: String,
    /// The nodes that have not yet said that they dropped it.
    #[schemars(length(max = 700), inner(length(max = 36)), extend("x-kubernetes-list-type" = "atomic"))]
    pub nodes: Vec<String>,
    /// A backup that the table leaves, as long as the archive does not have it: nothing is dropped before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_backup: Option<LastBackup>,
    /// Until then an archive may still bring the partition to a node, for a table that was deleted while it was restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loading_until: Option<Time>,
    /// When the table was deleted: its streams stay readable for a day from then on. Absent: nothing stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Time>,
}

/// The backup that a deleted table leaves which had point-in-time recovery; or that it leaves nothing in the bucket.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastBackup {
    #[schemars(length(max = 64))]
    pub backup_id: String,
    #[schemars(length(max = 1024))]
    pub backup_arn: String,
    #[schemars(length(max = 255))]
    pub table_name: String,
    pub requested_at: Time,
    /// No backup is made: the table's `deletionPolicy` is Delete, and the archive is told that its objects go.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub delete_archive: bool,
}

impl StorageGroupSpec {
    /// How many zones the spec asks for.
    pub fn zones_wanted(&self) -> usize {
        match (&self.zone_names, self.zone_count) {
            (Some(names), _) => names.len(),
            (None, count) => usize::try_from(count.unwrap_or(ZONE_COUNT_DEFAULT)).unwrap_or_default(),
        }
    }
}

fn one() -> i32 {
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_of_versions_that_kept_no_streams_are_read_and_of_newer_ones_what_is_known() {
        let older = r#"{"pendingDrops":[{"partitionId":"p","tableId":"t","nodes":["n"]}]}"#;
        let status: StorageGroupStatus = serde_json::from_str(older).unwrap();
        assert_eq!(status.pending_drops[0].deleted_at, None);
        assert_eq!(serde_json::to_string(&status).unwrap(), older);
        let known = older.replace("]}]}", r#"],"deletedAt":"2026-11-21T10:00:00Z"}]}"#);
        let newer = known.replace("\"}]}", r#"","keeps":"streams"}]}"#);
        let status: StorageGroupStatus = serde_json::from_str(&newer).unwrap();
        assert_eq!(serde_json::to_string(&status).unwrap(), known);
    }
}
