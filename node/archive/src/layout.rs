//! Where each object lies in the bucket, under the prefix of its URL.
//!
//! ```text
//! CLUSTER/ACCOUNT/TABLE_ID/table.json                               what the table is; overwritten
//! CLUSTER/ACCOUNT/TABLE_ID/PARTITION_ID/log/FIRST_INDEX.seg         20 digits; created, never overwritten
//! CLUSTER/ACCOUNT/TABLE_ID/PARTITION_ID/log/FIRST-LAST.seg          what small ones were merged to; a manifest names it
//! CLUSTER/ACCOUNT/TABLE_ID/PARTITION_ID/snapshots/INDEX-RANDOM.snap 20 digits
//! CLUSTER/ACCOUNT/TABLE_ID/PARTITION_ID/manifests/NUMBER.json       12 digits; created, never overwritten; the highest counts
//! CLUSTER/ACCOUNT/TABLE_ID/PARTITION_ID/closed/NODE.json            the newest claim of a node; overwritten
//! CLUSTER/ACCOUNT/backups/BACKUP_ID/backup.json                     written last: without it there is no backup
//! CLUSTER/ACCOUNT/backups/BACKUP_ID/PARTITION_ID-RANDOM.snap
//! CLUSTER/ACCOUNT/exports/EXPORT_ID.json                            what was asked for
//! CLUSTER/ACCOUNT/exports/EXPORT_ID.ended.json                      how it ended; created, never overwritten
//! CLUSTER/ACCOUNT/exports-open/EXPORT_ID.json                       the same of what has not ended
//! CLUSTER/ACCOUNT/exports-open/EXPORT_ID.NUMBER.attempt.json        who makes it, 6 digits; overwritten while its maker lives
//! CLUSTER/ACCOUNT/export-tokens/MD5/NUMBER.json                     what a client token stood for; created, never overwritten
//! CLUSTER/ACCOUNT/imports/IMPORT_ID/import.json                     what was asked for; all of it goes after 90 days
//! CLUSTER/ACCOUNT/imports/IMPORT_ID/outcome.json                    how it ended; created, deleted where it is begun anew
//! CLUSTER/ACCOUNT/imports/IMPORT_ID/errors.jsonl                    what was no item
//! ```

use cairn_model::ids::{PartitionId, TableId};
use object_store::path::Path;

/// Where what belongs to a table lies.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TablePath {
    pub cluster: String,
    pub account: String,
    pub table_id: TableId,
}

impl TablePath {
    pub(crate) fn folder(&self) -> Path {
        Path::from_iter([self.cluster.clone(), self.account.clone(), self.table_id.to_string()])
    }

    pub(crate) fn table(&self) -> Path {
        self.folder().join("table.json")
    }

    pub(crate) fn partition(&self, partition_id: PartitionId) -> PartitionPath {
        PartitionPath { folder: self.folder().join(partition_id.to_string()) }
    }
}

/// The folder of a cluster's accounts.
pub(crate) fn cluster(cluster: &str) -> Path {
    Path::from_iter([cluster])
}

/// The folder of an account's tables.
pub(crate) fn account(cluster: &str, account: &str) -> Path {
    Path::from_iter([cluster, account])
}

/// Where what belongs to a partition lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartitionPath {
    folder: Path,
}

impl PartitionPath {
    pub(crate) fn log(&self) -> Path {
        self.folder.clone().join("log")
    }

    pub(crate) fn segment(&self, first: u64) -> Path {
        self.log().join(format!("{first:020}.seg"))
    }

    /// Of what once were several segments.
    pub(crate) fn merged_segment(&self, first: u64, last: u64) -> Path {
        self.log().join(format!("{first:020}-{last:020}.seg"))
    }

    pub(crate) fn snapshots(&self) -> Path {
        self.folder.clone().join("snapshots")
    }

    pub(crate) fn snapshot(&self, index: u64) -> Path {
        self.snapshots().join(format!("{index:020}-{}.snap", random()))
    }

    pub(crate) fn manifests(&self) -> Path {
        self.folder.clone().join("manifests")
    }

    pub(crate) fn manifest(&self, number: u64) -> Path {
        self.manifests().join(format!("{number:012}.json"))
    }

    pub(crate) fn closed_folder(&self) -> Path {
        self.folder.clone().join("closed")
    }

    pub(crate) fn closed(&self, node: &str) -> Path {
        self.closed_folder().join(format!("{node}.json"))
    }
}

/// Where an account's backups lie.
pub(crate) fn backups(cluster: &str, account: &str) -> Path {
    Path::from_iter([cluster, account, "backups"])
}

pub(crate) fn backup_folder(cluster: &str, account: &str, backup_id: &str) -> Path {
    backups(cluster, account).join(backup_id)
}

pub(crate) fn backup(cluster: &str, account: &str, backup_id: &str) -> Path {
    backup_folder(cluster, account, backup_id).join("backup.json")
}

/// Where what is known of an account's imports lies.
pub(crate) fn imports(cluster: &str, account: &str) -> Path {
    Path::from_iter([cluster, account, "imports"])
}

/// Keeps apart what two nodes upload, or one uploads again.
pub(crate) fn random() -> String {
    let mut random = uuid::Uuid::new_v4().simple().to_string();
    random.truncate(12);
    random
}

/// The number in the name of an object: what is before the first character that is no digit.
pub(crate) fn number(path: &Path) -> Option<u64> {
    let name = path.filename()?;
    name[..name.find(|c: char| !c.is_ascii_digit())?].parse().ok()
}
