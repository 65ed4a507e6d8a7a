//! What a Backup is of: a table, or what lies in the bucket already.

use crate::controller::Refusal;
use cairn_crds::{Backup, backup::DeletionPolicy};
use cairn_model::{archive::ArchiveOwner, arn::BackupArn};
use kube::ResourceExt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source<'a> {
    /// The table, by its name in DynamoDB's API.
    Table(&'a str),
    Archive(BackupArn<'a>),
}

impl<'a> Source<'a> {
    pub fn of(backup: &'a Backup) -> Result<Self, Refusal> {
        match (&backup.spec.table_name, &backup.spec.from_archive) {
            (Some(table_name), None) => Ok(Self::Table(table_name)),
            (None, Some(from)) => {
                let message = "spec.fromArchive.backupArn: the ARN of a backup has the form arn:aws:dynamodb:REGION:ACCOUNT:table/TABLE/backup/ID";
                let invalid = || Refusal::new("InvalidSpec", message);
                BackupArn::parse(&from.backup_arn).map(Self::Archive).ok_or_else(invalid)
            }
            _ => Err(Refusal::new("InvalidSpec", "give either spec.tableName or spec.fromArchive")),
        }
    }

    /// Under whose name it lies in the bucket; none for the account's own.
    pub fn owner(&self) -> Option<ArchiveOwner> {
        match self {
            Self::Table(_) => None,
            Self::Archive(arn) => {
                Some(ArchiveOwner { region: arn.table.region.to_owned(), account: arn.table.account.to_owned() })
            }
        }
    }

    /// The backup's id, once it has one.
    pub fn backup_id(&self, backup: &Backup) -> Option<String> {
        match self {
            Self::Table(_) => backup.backup_id(),
            Self::Archive(arn) => Some(arn.backup_id.to_owned()),
        }
    }

    /// Whether the backup goes from the bucket with its resource. One of another account or cluster never does.
    pub fn is_deleted_with(&self, backup: &Backup, region: &str) -> bool {
        backup.spec.deletion_policy == DeletionPolicy::Delete && self.is_own(backup, region)
    }

    /// Refuses to promise a deletion that will not be.
    pub fn check_policy(&self, backup: &Backup, region: &str) -> Result<(), Refusal> {
        if backup.spec.deletion_policy == DeletionPolicy::Delete && !self.is_own(backup, region) {
            let message =
                "a backup of another account or cluster is never deleted from here: set spec.deletionPolicy to Retain";
            return Err(Refusal::new("ForeignBackup", message));
        }
        Ok(())
    }

    fn is_own(&self, backup: &Backup, region: &str) -> bool {
        let account = backup.namespace().unwrap_or_default();
        self.owner().is_none_or(|owner| owner.region == region && owner.account == account)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::backup::fixture;

    #[test]
    fn a_backup_of_another_account_or_cluster_is_never_deleted() {
        for (region, account, is_own) in [("east", "game", true), ("west", "game", false), ("east", "shop", false)] {
            let arn = format!("arn:aws:dynamodb:{region}:{account}:table/users/backup/01700000000000-abcdef12");
            let mut backup = fixture::adopted(&arn);
            let source = Source::of(&backup).unwrap();
            assert!(source.check_policy(&backup, "east").is_ok());
            backup.spec.deletion_policy = DeletionPolicy::Delete;
            let source = Source::of(&backup).unwrap();
            assert_eq!(source.check_policy(&backup, "east").is_ok(), is_own, "{arn}");
            assert_eq!(source.is_deleted_with(&backup, "east"), is_own, "{arn}");
        }
    }

    #[test]
    fn an_arn_that_got_past_the_rules_is_refused() {
        let refusal = Source::of(&fixture::adopted("arn:aws:s3:::bucket")).unwrap_err();
        assert!(refusal.message.contains("spec.fromArchive.backupArn"), "{refusal:?}");
    }
}
