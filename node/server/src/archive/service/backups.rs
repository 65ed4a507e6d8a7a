//! Backups of this account: made, told of, deleted.

use super::{ArchiveService, jobs::Jobs, refusal::Refusal};
use crate::archive::backing_up::{BackupProgress, back_up};
use cairn_archive::{
    ArchiveError, SourceError,
    backup::{self, BackupOrder, BackupRecord},
};
use cairn_model::{
    archive::{ArchiveAnswer, ArchiveOwner, ArchiveRefusal, BackupReport, BackupState},
    ids::PartitionId,
};
use std::sync::Arc;

/// Backups on their way at once.
const CREATING_MAX: usize = 2;
/// Of one page.
const PAGE_MAX: usize = 100;

pub(super) struct Creating {
    order: BackupOrder,
    progress: Arc<BackupProgress>,
}

pub(super) type Creations = Jobs<String, Creating>;

pub(super) fn creations() -> Creations {
    Jobs::new(CREATING_MAX)
}

impl ArchiveService {
    pub(super) async fn create_backup(
        &self,
        partition: PartitionId,
        order: BackupOrder,
    ) -> Result<BackupReport, Refusal> {
        let (own, id) = (&self.own, order.backup_id.clone());
        super::check_backup(own, &id)?;
        if order.definition.account != own.account {
            let (account, own) = (&order.definition.account, &own.account);
            let message = format!("backup.definition.account: it is {account}, and this archive is of {own}");
            return Err(Refusal::new(ArchiveRefusal::Invalid, message));
        }
        if let Some(creating) = self.creations.look(&id)? {
            return Ok(creating.told());
        }
        let bucket = self.reach.bucket()?;
        match backup::get(&bucket, &own.region, &own.account, &id).await {
            Ok(record) => return Ok(record.into_report(BackupState::Available)),
            Err(ArchiveError::NotFound { .. }) => {}
            Err(error) => return Err(Refusal::from(&error)),
        }
        let claim = self.source.close(partition).await.map_err(|error| match error {
            SourceError::NotLeader => Refusal::not_leader(),
            error => Refusal::from(&error.into()),
        })?;
        let creating = Creating { order: order.clone(), progress: Arc::default() };
        let waiting = creating.told();
        let (source, own) = (self.source.clone(), own.clone());
        let table_id = order.definition.table_id;
        let of_the_table = |other: &Creating| other.order.definition.table_id == table_id;
        self.creations.begin(&id, creating, of_the_table, |creating| async move {
            let backup = order.arn.clone();
            let progress = creating.progress.clone();
            match back_up(&*source, &bucket, &own, (partition, claim), order, progress).await {
                Ok(_) => {
                    tracing::info!(backup, "made a backup");
                    Ok(())
                }
                Err(error) => {
                    tracing::error!(backup, error = &error as &dyn std::error::Error, "failed to make a backup");
                    Err(Refusal::from(&error))
                }
            }
        });
        // It may have been fast, and there may have been no place for it.
        Ok(self.creations.look(&id)?.map_or(waiting, |creating| creating.told()))
    }

    pub(super) async fn describe_backup(&self, owner: Option<ArchiveOwner>, id: &str) -> Result<BackupReport, Refusal> {
        Ok(self.backup(owner.as_ref(), id).await?.into_report(BackupState::Available))
    }

    pub(super) async fn backup(&self, owner: Option<&ArchiveOwner>, id: &str) -> Result<BackupRecord, Refusal> {
        let owner = owner.unwrap_or(&self.own);
        super::check_backup(owner, id)?;
        let got = backup::get(&self.reach.bucket()?, &owner.region, &owner.account, id).await;
        got.map_err(|error| Refusal::of_lookup(&format!("backup {id} of {}", owner.account), &error))
    }

    pub(super) async fn list_backups(&self, after: Option<&str>, limit: usize) -> Result<ArchiveAnswer, Refusal> {
        let (bucket, limit) = (self.reach.bucket()?, limit.clamp(1, PAGE_MAX));
        let page = backup::page(&bucket, &self.own.region, &self.own.account, after, limit).await;
        let (records, more) = page.map_err(|error| Refusal::from(&error))?;
        let backups = records.into_iter().map(|record| record.into_report(BackupState::Available)).collect();
        Ok(ArchiveAnswer::Backups { backups, more })
    }

    pub(super) async fn delete_backup(&self, id: &str) -> Result<BackupReport, Refusal> {
        super::check_backup(&self.own, id)?;
        let in_use = |message| Err(Refusal::new(ArchiveRefusal::InUse, format!("backup {id} is being {message}")));
        if self.creations.any(|creating| creating.order.backup_id == id) {
            return in_use("made");
        }
        if self.restores_from(id) {
            return in_use("restored from");
        }
        let (bucket, own, deleted) = (self.reach.bucket()?, self.own.clone(), id.to_owned());
        // In a task of its own: who asked may not wait for its end.
        let deleting = tokio::spawn(async move { backup::delete(&bucket, &own.region, &own.account, &deleted).await });
        let deleted = deleting.await.map_err(|error| Refusal::failed(format!("it ended early: {error}")))?;
        let record = deleted.map_err(|error| Refusal::of_lookup(&format!("backup {id}"), &error))?;
        Ok(record.into_report(BackupState::Deleted))
    }
}

impl Creating {
    fn told(&self) -> BackupReport {
        BackupReport {
            order: self.order.clone(),
            state: BackupState::Creating,
            item_count: 0,
            table_size_bytes: 0,
            size_bytes: 0,
            bytes_done: self.progress.bytes_done(),
        }
    }
}
