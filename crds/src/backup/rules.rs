//! The CEL rules of a Backup.

use crate::rules::Rule;

/// Of `spec.fromArchive.backupArn`.
pub(super) const BACKUP_ARN: &[Rule] = &[(
    "self.matches('^arn:aws:dynamodb:[a-zA-Z0-9-]+:[a-zA-Z0-9-]+:table/[a-zA-Z0-9_.-]{3,255}/backup/[0-9]{14}-[0-9a-f]{8}$')",
    "backupArn has the form arn:aws:dynamodb:REGION:ACCOUNT:table/TABLE/backup/ID",
)];

/// Of `spec`. All of it but `deletionPolicy` is written once: a backup is of one moment.
pub(super) const SPEC: &[Rule] = &[
    (
        "has(self.tableName) != has(self.fromArchive)",
        "give either tableName, to make a backup, or fromArchive, for one that is in the bucket",
    ),
    (
        "!has(self.fromArchive) || !has(self.backupName)",
        "backupName can't be given with fromArchive: that backup has a name",
    ),
    (
        "!has(self.fromArchive) || !has(self.retainDays)",
        "retainDays can't be given with fromArchive: when that backup goes was said when it was made",
    ),
    (
        "has(self.tableName) == has(oldSelf.tableName) && (!has(self.tableName) || self.tableName == oldSelf.tableName)",
        "tableName can't change: make a new Backup",
    ),
    (
        "has(self.backupName) == has(oldSelf.backupName) && (!has(self.backupName) || self.backupName == oldSelf.backupName)",
        "backupName can't change: make a new Backup",
    ),
    (
        "has(self.retainDays) == has(oldSelf.retainDays) && (!has(self.retainDays) || self.retainDays == oldSelf.retainDays)",
        "retainDays can't change: it is written down in the bucket",
    ),
    (
        "has(self.fromArchive) == has(oldSelf.fromArchive) && (!has(self.fromArchive) || self.fromArchive == oldSelf.fromArchive)",
        "fromArchive can't change: make a new Backup",
    ),
    (
        "has(self.storageGroup) == has(oldSelf.storageGroup) && (!has(self.storageGroup) || self.storageGroup == oldSelf.storageGroup)",
        "storageGroup can't change: make a new Backup",
    ),
];

/// Of the whole object.
pub(crate) const ROOT: &[Rule] = &[
    (
        "has(self.spec.backupName) || has(self.spec.fromArchive) || size(self.metadata.name) >= 3",
        "a backup's name has at least 3 characters: set spec.backupName",
    ),
    (
        "!has(oldSelf.status) || !has(oldSelf.status.backupArn) || (has(self.status) && has(self.status.backupArn) && self.status.backupArn == oldSelf.status.backupArn)",
        "status.backupArn is written once",
    ),
];
