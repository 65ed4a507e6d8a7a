//! The kind `Table`: a DynamoDB table, in the names and shapes of the DynamoDB API and of the AWS controller for Kubernetes.

#![allow(clippy::duplicated_attributes, reason = "each printer column has a type and a path of its own")]

pub mod auto_scaling;
pub mod definition;
pub mod feature;
pub mod global_index;
pub mod import;
pub mod index;
mod key;
pub mod on_demand;
pub mod placement;
pub mod recovery;
pub mod restore;
mod rules;
pub mod stream;
pub mod table_class;
pub mod tag;
pub mod throughput;
pub mod time_to_live;
mod warm;

pub use auto_scaling::{AutoScaling, AutoScalingStatus, TargetTracking};
pub use global_index::{GlobalSecondaryIndex, GlobalSecondaryIndexStatus};
pub use import::{ImportFrom, ImportStatus};
pub use index::{LocalSecondaryIndex, Projection};
pub use on_demand::OnDemandThroughput;
pub use placement::{Placement, PlacementMember};
pub use recovery::{ContinuousBackups, ContinuousBackupsStatus, RestorableWindow};
pub use restore::{RestoreAsked, RestoreFrom, RestoreStatus};
pub(crate) use rules::ROOT as ROOT_RULES;
pub use stream::{StreamSpecification, StreamStatus};
pub use table_class::TableClassStatus;
pub use tag::Tag;
pub use throughput::ThroughputStatus;
pub use time_to_live::{TimeToLive, TimeToLiveStatus};
pub use warm::WarmThroughput;

use crate::{backup::DeletionPolicy, rules::json};
use cairn_model::table::{BillingMode, ScalarType, TableClass, TableStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A table of the account that is its namespace.
#[derive(CustomResource, Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[kube(
    group = "cairn.dev",
    version = "v1alpha1",
    kind = "Table",
    plural = "tables",
    shortname = "ctbl",
    category = "cairn",
    namespaced,
    status = "TableResourceStatus",
    derive = "PartialEq",
    doc = "A DynamoDB table of the account that is its namespace.",
    printcolumn(name = "Status", type_ = "string", json_path = ".status.tableStatus"),
    printcolumn(name = "Billing", type_ = "string", json_path = ".spec.billingMode"),
    printcolumn(name = "Items", type_ = "integer", json_path = ".status.itemCount"),
    printcolumn(name = "Size", type_ = "integer", json_path = ".status.tableSizeBytes"),
    printcolumn(name = "Zones", type_ = "string", json_path = ".status.zonesReady"),
    printcolumn(name = "Indexes", type_ = "string", json_path = ".status.indexesReady", priority = "1"),
    printcolumn(
        name = "Latest",
        type_ = "string",
        json_path = ".status.continuousBackups.latestRestorableDateTime",
        priority = "1"
    ),
    printcolumn(
        name = "Reads",
        type_ = "integer",
        json_path = ".status.throughput.provisionedThroughput.readCapacityUnits",
        priority = "1"
    ),
    printcolumn(
        name = "Writes",
        type_ = "integer",
        json_path = ".status.throughput.provisionedThroughput.writeCapacityUnits",
        priority = "1"
    ),
    printcolumn(name = "Restore", type_ = "string", json_path = ".status.restore.progress", priority = "1"),
    printcolumn(name = "Import", type_ = "string", json_path = ".status.import.importStatus", priority = "1"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = json(rules::SPEC)))]
pub struct TableSpec {
    /// The table's name; the resource's name where it is left out. It never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 255), regex(pattern = r"^[a-zA-Z0-9_.-]+$"))]
    pub table_name: Option<String>,

    /// The attributes of the keys of the table and of its indexes, and no others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 167), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["attributeName"]))]
    pub attribute_definitions: Vec<AttributeDefinition>,

    /// The partition key (HASH) and, behind it, the sort key (RANGE) if there is one. They never change.
    #[schemars(length(min = 1, max = 2), extend("x-kubernetes-list-type" = "atomic", "x-kubernetes-validations" = json(rules::KEY_SCHEMA)))]
    pub key_schema: Vec<KeySchemaElement>,

    #[serde(default = "provisioned")]
    #[schemars(with = "String", extend("enum" = ["PROVISIONED", "PAY_PER_REQUEST"]))]
    pub billing_mode: BillingMode,

    /// Needed with PROVISIONED, refused with PAY_PER_REQUEST.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provisioned_throughput: Option<ProvisionedThroughput>,

    /// The most that an on-demand table may consume in a second. Without it there is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_demand_throughput: Option<OnDemandThroughput>,

    /// What the table takes at once, beyond what comes with its units or with being on demand (12000 reads, 4000 writes). It only
    /// rises. It limits tables on demand where storage nodes hold them to DynamoDB's own limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_throughput: Option<WarmThroughput>,

    /// Has the throughput of a PROVISIONED table follow what it consumes; provisionedThroughput is where it begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_scaling: Option<AutoScaling>,

    /// It changes twice in 30 days at most: a third change waits, and holds up nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("enum" = ["STANDARD", "STANDARD_INFREQUENT_ACCESS"]))]
    pub table_class: Option<TableClass>,

    /// While true, the table can't be deleted, nor the namespace that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_protection_enabled: Option<bool>,

    /// The StorageGroup that holds the table's data. It never changes.
    #[serde(default = "default_storage_group")]
    #[schemars(length(min = 1, max = 36), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub storage_group: String,

    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 50), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["key"]))]
    pub tags: Option<Vec<Tag>>,

    /// They may come and go; of one that is there only the throughput changes. Each is filled while the table serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 20), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["indexName"]))]
    pub global_secondary_indexes: Option<Vec<GlobalSecondaryIndex>>,

    /// Of a table with a sort key. They never change, and their order says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 5), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["indexName"]))]
    pub local_secondary_indexes: Option<Vec<LocalSecondaryIndex>>,

    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_specification: Option<StreamSpecification>,

    /// When items are deleted by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = json(rules::TIME_TO_LIVE)))]
    pub time_to_live: Option<TimeToLive>,

    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continuous_backups: Option<ContinuousBackups>,

    /// Where the table's first data comes from. It never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore_from: Option<RestoreFrom>,

    /// Files that the table's first items come from. It never changes, and acts once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub import_from: Option<ImportFrom>,

    #[serde(default, skip_serializing_if = "Option::is_none", rename = "sseSpecification")]
    pub sse_specification: Option<feature::SseSpecification>,

    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["regionName"]))]
    pub table_replicas: Option<Vec<feature::TableReplica>>,

    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("enum" = ["ENABLE", "DISABLE"]))]
    pub contributor_insights: Option<String>,

    /// A policy document, as JSON text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 20480))]
    pub resource_policy: Option<String>,

    /// What becomes of the table's objects in the archive's bucket when it is deleted; `Retain` where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("enum" = ["Retain", "Delete"]))]
    pub deletion_policy: Option<DeletionPolicy>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttributeDefinition {
    #[schemars(length(min = 1, max = 255), extend("x-kubernetes-validations" = json(rules::ATTRIBUTE_NAME)))]
    pub attribute_name: String,
    #[schemars(with = "String", extend("enum" = ["S", "N", "B"]))]
    pub attribute_type: ScalarType,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeySchemaElement {
    #[schemars(length(min = 1, max = 255))]
    pub attribute_name: String,
    pub key_type: KeyType,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum KeyType {
    Hash,
    Range,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProvisionedThroughput {
    #[schemars(range(min = 1, max = 1_000_000_000_000_i64))]
    pub read_capacity_units: i64,
    #[schemars(range(min = 1, max = 1_000_000_000_000_i64))]
    pub write_capacity_units: i64,
}

/// What became of the table. Written by the operator alone.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TableResourceStatus {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("enum" = ["CREATING", "ACTIVE", "UPDATING", "DELETING"]))]
    pub table_status: Option<TableStatus>,
    /// Given once, with the placements.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 36))]
    pub table_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub table_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub table_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creation_date_time: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item_count: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table_size_bytes: Option<i64>,
    /// Present where the table is provisioned, or was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throughput: Option<ThroughputStatus>,
    /// Present once the nodes have told of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table_class: Option<TableClassStatus>,
    /// Present while the table's throughput is scaled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_scaling: Option<AutoScalingStatus>,
    /// The version of the table's definition that its partitions have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema_version: Option<i64>,
    /// In how many of its zones every partition has a replica that is up to date, as `2/3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub zones_ready: Option<String>,
    /// The partitions as they are first made: written once, before any node is asked, and frozen from then on. Where the
    /// partitions lie now is what the nodes report.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024), extend("x-kubernetes-list-type" = "atomic"))]
    pub placements: Option<Vec<Placement>>,
    /// The global indexes, those that are on their way out among them. An index that is deleted and made again meanwhile is here
    /// twice, under two ids.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["indexId"]))]
    pub global_secondary_indexes: Vec<GlobalSecondaryIndexStatus>,
    /// How many of the global indexes are ACTIVE or UPDATING, as `1/2`; absent where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub indexes_ready: Option<String>,
    /// Present while point-in-time recovery is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continuous_backups: Option<ContinuousBackupsStatus>,
    /// Present while items expire.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_to_live: Option<TimeToLiveStatus>,
    /// Of the stream that is on, or was last; absent where none can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub latest_stream_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub latest_stream_label: Option<String>,
    /// The oldest first. One that was disabled can be read for 24 hours, and stays here until the next change at least.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = stream::STREAMS_MAX), extend("x-kubernetes-list-type" = "atomic"))]
    pub streams: Vec<StreamStatus>,
    /// Present where the table's first data came from a backup or from another table's past.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restore: Option<RestoreStatus>,
    /// Present where the table's first items came from files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub import: Option<ImportStatus>,
    /// The GlobalTable that the table's regions come from. While one is named here, that it is gone means that it was deleted;
    /// where none ever was, what the nodes hold stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub global_table: Option<String>,
    /// The epoch of the regions that were ordered last. Where the nodes hold a higher one, the cluster was set back, and what is
    /// declared takes nobody out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub global_table_epoch: Option<i64>,
    /// Since when the GlobalTable named above is gone. It may come back within seconds, as when it is replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub global_table_gone_at: Option<Time>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

impl Table {
    /// The table's name: `spec.tableName`, or the resource's.
    pub fn table_name(&self) -> String {
        self.spec.table_name.clone().unwrap_or_else(|| self.name_any())
    }

    /// The account that has the table: its namespace.
    pub fn account(&self) -> String {
        self.namespace().unwrap_or_default()
    }
}

fn provisioned() -> BillingMode {
    BillingMode::Provisioned
}

fn default_storage_group() -> String {
    crate::DEFAULT_STORAGE_GROUP.to_owned()
}
