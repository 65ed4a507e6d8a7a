//! The kind `GlobalTable`: a table that other clusters keep too. Each cluster declares its own side.

#![allow(clippy::duplicated_attributes, reason = "each printer column has a type and a path of its own")]

mod rules;

pub(crate) use rules::ROOT as ROOT_RULES;

use crate::rules::json;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The other regions of one table of the account that is its namespace.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[kube(
    group = "cairn.dev",
    version = "v1alpha1",
    kind = "GlobalTable",
    plural = "globaltables",
    shortname = "cgt",
    category = "cairn",
    namespaced,
    status = "GlobalTableResourceStatus",
    derive = "PartialEq",
    doc = "Names the other regions that keep a table of the account that is its namespace.",
    printcolumn(name = "Table", type_ = "string", json_path = ".status.tableName"),
    printcolumn(name = "Regions", type_ = "string", json_path = ".status.regions"),
    printcolumn(name = "Latency", type_ = "string", json_path = ".status.latency"),
    printcolumn(name = "Pending", type_ = "integer", json_path = ".status.pendingRecords"),
    printcolumn(name = "Last", type_ = "date", json_path = ".status.lastSuccess"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct GlobalTableSpec {
    /// The table, by its name in DynamoDB's API; the resource's name where it is left out. It never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 255), regex(pattern = r"^[a-zA-Z0-9_.-]+$"))]
    pub table_name: Option<String>,
    /// The other regions; this one is not among them.
    #[schemars(length(max = 15), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["regionName"]))]
    pub replicas: Vec<GlobalTableReplica>,
}

/// Another region that keeps the table. It takes part once it lists this one too.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GlobalTableReplica {
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub region_name: String,
    /// `https://HOST:PORT` of that cluster's routers; what the peer bundle says where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 9, max = 300), extend("x-kubernetes-validations" = json(rules::ENDPOINT)))]
    pub endpoint: Option<String>,
    /// The ConfigMap with that cluster's peer bundle, in this namespace; one with the region's name where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer_ref: Option<PeerRef>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PeerRef {
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub name: String,
}

/// How the regions stand with each other, as this one sees it. Written by the operator alone.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GlobalTableResourceStatus {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub table_name: Option<String>,
    /// The table that all of this is of: one that is made anew under the name has another.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 36))]
    pub table_id: Option<String>,
    /// All regions at a glance, as `west ACTIVE, north CREATING 40%`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub regions: Option<String>,
    /// The longest of the replicas' latencies, as `120ms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub latency: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending_records: Option<i64>,
    /// The earliest of the replicas' last successes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_success: Option<Time>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["regionName"]))]
    pub replicas: Vec<GlobalTableReplicaStatus>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GlobalTableReplicaStatus {
    #[schemars(length(max = 63))]
    pub region_name: String,
    /// In DynamoDB's words: CREATING, ACTIVE, or REPLICATION_NOT_AUTHORIZED where one side does not let the other in any more.
    #[schemars(length(max = 64))]
    pub replica_status: String,
    /// What is wrong on which side, or how far the copy is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub replica_status_description: Option<String>,
    /// Of the initial copy, as `40`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4))]
    pub replica_status_percent_progress: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_milliseconds: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending_records: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_success: Option<Time>,
}

impl GlobalTable {
    /// The table's name: `spec.tableName`, or the resource's.
    pub fn table_name(&self) -> String {
        self.spec.table_name.clone().unwrap_or_else(|| self.name_any())
    }

    /// The account that has the table: its namespace.
    pub fn account(&self) -> String {
        self.namespace().unwrap_or_default()
    }
}

impl GlobalTableReplica {
    /// The name of the ConfigMap with the peer bundle.
    pub fn peer_name(&self) -> &str {
        self.peer_ref.as_ref().map_or(&self.region_name, |peer| &peer.name)
    }
}
