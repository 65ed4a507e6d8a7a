//! What the archive beside a storage node can be asked by the operator and the routers: the JSON of `POST /v1/archive`,
//! [`ArchiveCall`] in and [`ArchiveAnswer`] out.
//!
//! An archive speaks for the account of its group. What touches only the bucket, any archive of the account answers; what
//! takes a partition's data out of a node or into it, only the one beside that node. No call takes longer than a few
//! seconds: what does goes on after the answer, and who asks again is told how far it is.

pub mod import;

use crate::{
    descriptor::PartitionDescriptor,
    ids::{PartitionId, TableId},
    table::TableDefinition,
    time::Timestamp,
};
use import::{ImportOrder, ImportReport};
use serde::{Deserialize, Serialize};

/// Under whose name something lies in the bucket: an account of a region.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArchiveOwner {
    pub region: String,
    pub account: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "call")]
pub enum ArchiveCall {
    /// What this archive ships, and how far it is: [`ArchiveAnswer::Report`].
    Report,
    /// What of a table of this account can be restored, as the bucket has it: [`ArchiveAnswer::Recovery`].
    #[serde(rename_all = "camelCase")]
    Recovery { table_id: TableId },
    /// Finds what a new table is to be made of: [`ArchiveAnswer::Resolved`].
    #[serde(rename_all = "camelCase")]
    Resolve { source: RestoreSource },
    /// Brings what was resolved into the node beside this archive, as the first replica of that partition of the new
    /// table: [`ArchiveAnswer::Restore`]. Asked again: how far it is; for a partition that the node has: done.
    #[serde(rename_all = "camelCase")]
    Restore { descriptor: PartitionDescriptor, definition: TableDefinition, origin: RestoreOrigin },
    /// Begins a backup of what the partition holds now, to the archive beside its leader: [`ArchiveAnswer::Backup`].
    /// Asked again: how far it is; for an id that is in the bucket: that one, AVAILABLE.
    #[serde(rename_all = "camelCase")]
    CreateBackup { partition_id: PartitionId, backup: BackupOrder },
    /// A backup that is in the bucket, whole: [`ArchiveAnswer::Backup`]. One of this account where no owner is named.
    #[serde(rename_all = "camelCase")]
    DescribeBackup {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<ArchiveOwner>,
        backup_id: String,
    },
    /// The account's backups that are in the bucket, whole, in ascending order of their ids, from the first above
    /// `after`; `limit` at most: [`ArchiveAnswer::Backups`].
    #[serde(rename_all = "camelCase")]
    ListBackups {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<String>,
        limit: usize,
    },
    /// Deletes a backup of this account from the bucket: [`ArchiveAnswer::Backup`], DELETED.
    #[serde(rename_all = "camelCase")]
    DeleteBackup { backup_id: String },
    /// The table is deleted: what lies in the bucket of it goes when its recovery period is over, or, `with_archive`, as soon
    /// as nothing is shipped there any more. [`ArchiveAnswer::Done`].
    #[serde(rename_all = "camelCase")]
    MarkDeleted {
        table_id: TableId,
        deleted_at_ms: u64,
        #[serde(default)]
        with_archive: bool,
    },

    /// Makes a new table of files in a bucket, in the node beside this archive, as the first replica of its one partition:
    /// [`ArchiveAnswer::Import`]. Asked again: how far it is; for one that ended: how. One that was interrupted begins anew.
    #[serde(rename_all = "camelCase")]
    Import { descriptor: PartitionDescriptor, order: ImportOrder },
    /// An import of this account, as the bucket knows it: [`ArchiveAnswer::Import`].
    #[serde(rename_all = "camelCase")]
    DescribeImport { import_id: String },
    /// The account's imports of the last 90 days, those into one table if its ARN is given, in descending order of their
    /// ids, from the first below `below`; `limit` at most: [`ArchiveAnswer::Imports`].
    #[serde(rename_all = "camelCase")]
    ListImports {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        table_arn: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        below: Option<String>,
        limit: usize,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "answer")]
pub enum ArchiveAnswer {
    Report(ArchiveReport),
    Recovery(Recovery),
    Resolved(Box<Resolved>),
    Restore(RestoreProgress),
    Backup(Box<BackupReport>),
    #[serde(rename_all = "camelCase")]
    Backups {
        backups: Vec<BackupReport>,
        /// Whether there are more after the last of these.
        more: bool,
    },
    Done,

    Import(Box<ImportReport>),
    #[serde(rename_all = "camelCase")]
    Imports {
        imports: Vec<ImportReport>,
        /// Everything above this id was looked at; none where nothing is left below.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        read_to: Option<String>,
    },
    /// It can't be done; the message says why and what to do.
    #[serde(rename_all = "camelCase")]
    Refused {
        reason: ArchiveRefusal,
        message: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ArchiveRefusal {
    /// The bucket has no such table or backup.
    NotFound,
    /// The time is outside of what can be restored, or an object that it needs is damaged or missing.
    NotRestorable,
    /// The backup is being made, or restored from by this archive.
    InUse,
    /// The node beside this archive does not lead the partition: ask the one beside the leader.
    NotLeader,
    /// The bucket or the node can't be reached, or failed: ask again.
    Failed,
    /// The call is not what this archive can do, and will not be.
    Invalid,
}

/// What an archive ships.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArchiveReport {
    /// Version of the program.
    pub version: String,
    /// Why the bucket can't be used at all, if it can't.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreachable: Option<String>,
    /// The tables with recovery on of which the node beside this archive leads partitions.
    pub tables: Vec<TableArchive>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TableArchive {
    pub table_id: TableId,
    pub recovery: Recovery,
}

/// What of a table's past can be restored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Recovery {
    /// Disjoint, ascending, within the recovery period; more than one where something is missing between them.
    pub windows: Vec<RecoveryWindow>,
    /// What is wrong, for a person to read: failures that last, holes, damaged objects.
    pub problems: Vec<String>,
}

/// Times that can be restored, both inclusive; milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecoveryWindow {
    pub earliest_ms: u64,
    pub latest_ms: u64,
}

/// What a person asks a table to be made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "from")]
pub enum RestoreSource {
    /// A backup, of this account where no owner is named.
    #[serde(rename_all = "camelCase")]
    Backup {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<ArchiveOwner>,
        backup_id: String,
    },
    /// The past of a table of this account, there or deleted. Of several that had the name: the one there is, else the youngest
    /// of which anything can be restored.
    #[serde(rename_all = "camelCase")]
    Table { table: TableReference, at: RestoreTime },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TableReference {
    Name(String),
    Id(TableId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RestoreTime {
    Latest,
    /// All of that millisecond, since the Unix epoch.
    Millis(u64),
}

/// What a source turned out to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resolved {
    pub origin: RestoreOrigin,
    /// The source as it was.
    pub definition: TableDefinition,
    pub table_arn: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup_arn: Option<String>,
    /// The moment that is restored; milliseconds since the Unix epoch.
    pub restore_time_ms: u64,
}

/// A source that nothing can change any more: restored twice, it gives the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "from")]
pub enum RestoreOrigin {
    #[serde(rename_all = "camelCase")]
    Backup { owner: ArchiveOwner, backup_id: String },
    #[serde(rename_all = "camelCase")]
    Table {
        owner: ArchiveOwner,
        table_id: TableId,
        /// Every entry at or before it.
        at: Timestamp,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "state")]
pub enum RestoreProgress {
    #[serde(rename_all = "camelCase")]
    Loading {
        bytes_done: u64,
        /// 0 while it is not known yet.
        bytes_total: u64,
    },
    /// The node has the partition.
    Done,
}

/// A backup to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupOrder {
    /// The last part of its ARN.
    pub backup_id: String,
    pub arn: String,
    pub name: String,
    pub backup_type: BackupType,
    pub table_arn: String,
    pub definition: TableDefinition,
    /// Milliseconds since the Unix epoch.
    pub creation_time_ms: u64,
    /// When it goes by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry_time_ms: Option<u64>,
}

/// Who made a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum BackupType {
    /// A CreateBackup, or a `Backup` resource.
    User,
    /// What a deleted table leaves that had point-in-time recovery: `NAME$DeletedTableBackup`.
    System,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum BackupState {
    Creating,
    Available,
    Deleted,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupReport {
    #[serde(flatten)]
    pub order: BackupOrder,
    pub state: BackupState,
    /// 0 while it is CREATING, as are the next two.
    pub item_count: u64,
    /// Of the items, in DynamoDB's bytes.
    pub table_size_bytes: u64,
    /// Of the backup's objects.
    pub size_bytes: u64,
    /// Of the table's items, in DynamoDB's bytes, how many are on their way or there, while it is CREATING.
    pub bytes_done: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_has_the_form_that_other_versions_expect() {
        let call = ArchiveCall::Resolve {
            source: RestoreSource::Table {
                table: TableReference::Name("users".into()),
                at: RestoreTime::Millis(1_000),
            },
        };
        let json = r#"{"call":"resolve","source":{"from":"table","table":{"name":"users"},"at":{"millis":1000}}}"#;
        assert_eq!(serde_json::to_string(&call).unwrap(), json);
        assert_eq!(serde_json::from_str::<ArchiveCall>(json).unwrap(), call);
        assert_eq!(serde_json::to_string(&ArchiveCall::Report).unwrap(), r#"{"call":"report"}"#);
    }

    #[test]
    fn an_answer_has_the_form_that_other_versions_expect() {
        let answer = ArchiveAnswer::Refused { reason: ArchiveRefusal::NotFound, message: "no such backup".into() };
        let json = r#"{"answer":"refused","reason":"NotFound","message":"no such backup"}"#;
        assert_eq!(serde_json::to_string(&answer).unwrap(), json);
        assert_eq!(serde_json::from_str::<ArchiveAnswer>(json).unwrap(), answer);
    }
}
