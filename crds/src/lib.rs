//! The kinds of the group `cairn.dev`: Rust types, the rules on them, and the YAML generated from both.
//!
//! Reconciling them is the operator's, serving them the server's.

pub mod backup;
pub mod condition;
pub mod global_table;
pub mod name;
mod rules;
pub mod scheduled_backup;
pub mod schema;
pub mod storage_group;
pub mod table;

pub use backup::{Backup, BackupResourceStatus, BackupSpec};
pub use global_table::{
    GlobalTable, GlobalTableReplica, GlobalTableReplicaStatus, GlobalTableResourceStatus, GlobalTableSpec,
};
pub use name::{bounded_name, resource_name, short_hash};
pub use scheduled_backup::{ScheduledBackup, ScheduledBackupSpec, ScheduledBackupStatus};
pub use storage_group::{StorageGroup, StorageGroupSpec, StorageGroupStatus};
pub use table::{Table, TableResourceStatus, TableSpec};

/// The group of every kind here.
pub const GROUP: &str = "cairn.dev";
/// The name of the group that a namespace's first table brings into being.
pub const DEFAULT_STORAGE_GROUP: &str = "default";
/// A table's data is moved to its group's `status.pendingDrops` before it goes.
pub const TABLE_FINALIZER: &str = "cairn.dev/table";
/// A backup with `deletionPolicy: Delete` is deleted from the bucket before its resource goes.
pub const BACKUP_FINALIZER: &str = "cairn.dev/backup";
/// On a Backup: the ScheduledBackup that made it.
pub const SCHEDULED_BY_LABEL: &str = "cairn.dev/scheduled-by";
/// On a Table: the id of a table whose data the nodes hold under this name, to be taken over.
pub const ADOPT_ANNOTATION: &str = "cairn.dev/adopt";
/// On a StorageGroup: the ids of deleted tables, separated by commas, whose data is dropped without a last backup.
pub const DROP_WITHOUT_BACKUP_ANNOTATION: &str = "cairn.dev/drop-without-backup";
/// On a Secret: `true` makes it an access key of its namespace.
pub const CREDENTIALS_LABEL: &str = "cairn.dev/credentials";

/// On a ConfigMap: `true` makes it the peer bundle of another cluster, which the GlobalTables of its namespace can use.
pub const PEER_LABEL: &str = "cairn.dev/peer";
/// The ConfigMap in the release's namespace with this cluster's own peer bundle: the keys below, and under
/// [`PEER_MANIFEST_KEY`] a ConfigMap, as YAML, to be applied in the accounts of other clusters.
pub const PEER_BUNDLE: &str = "cairn-peer";
pub const PEER_REGION_KEY: &str = "region";
pub const PEER_CLUSTER_ID_KEY: &str = "clusterId";
pub const PEER_ENDPOINT_KEY: &str = "endpoint";
pub const PEER_CA_KEY: &str = "ca.crt";
pub const PEER_MANIFEST_KEY: &str = "manifest.yaml";
