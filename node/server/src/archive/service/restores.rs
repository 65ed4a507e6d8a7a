//! Partitions on their way out of the bucket into the node beside this archive.

use super::{ArchiveService, jobs::Jobs, refusal::Refusal};
use crate::archive::{
    Adopter,
    loading::{LoadProgress, load, plan},
};
use cairn_archive::Bucket;
use cairn_model::{
    archive::{ArchiveOwner, ArchiveRefusal, RestoreOrigin, RestoreProgress},
    descriptor::PartitionDescriptor,
    ids::PartitionId,
    table::TableDefinition,
};
use std::sync::Arc;

/// Restores at once: each has some tens of megabytes of the bucket's objects in memory.
const RESTORES_MAX: usize = 2;

pub(super) struct Restore {
    origin: RestoreOrigin,
    progress: Arc<LoadProgress>,
}

pub(super) type Restores = Jobs<PartitionId, Restore>;

pub(super) fn restores() -> Restores {
    Jobs::new(RESTORES_MAX)
}

impl ArchiveService {
    pub(super) async fn restore(
        &self,
        descriptor: PartitionDescriptor,
        definition: TableDefinition,
        origin: RestoreOrigin,
    ) -> Result<RestoreProgress, Refusal> {
        let id = descriptor.partition_id;
        if let Some(restore) = self.restores.look(&id)? {
            return Ok(restore.told());
        }
        let has = self.adopter.has(id).await;
        if has.map_err(|error| Refusal::failed(format!("the node can't be asked for its partitions: {error:#}")))? {
            return Ok(RestoreProgress::Done);
        }
        self.check_restore(&descriptor, &definition, &origin)?;
        let bucket = self.reach.bucket()?;
        let adopter = self.adopter.clone();
        let restore = Restore { origin, progress: Arc::default() };
        self.restores.begin(
            &id,
            restore,
            |_| false,
            |restore| async move {
                let table = definition.table_name.clone();
                let restored = run(&bucket, adopter, &restore, descriptor, definition).await;
                match &restored {
                    Ok(()) => tracing::info!(table, partition = %id, "restored a partition"),
                    Err(error) => {
                        let error = &**error as &dyn std::error::Error;
                        tracing::error!(table, partition = %id, error, "failed to restore a partition");
                    }
                }
                restored.map_err(|error| Refusal::of_restore(&error))
            },
        );
        // It may have been fast, and there may have been no place for it.
        Ok(self.restores.look(&id)?.map_or(RestoreProgress::Loading { bytes_done: 0, bytes_total: 0 }, |it| it.told()))
    }

    fn check_restore(
        &self,
        descriptor: &PartitionDescriptor,
        definition: &TableDefinition,
        origin: &RestoreOrigin,
    ) -> Result<(), Refusal> {
        let invalid = |message: String| Err(Refusal::new(ArchiveRefusal::Invalid, message));
        if definition.account != self.own.account {
            let (account, own) = (&definition.account, &self.own.account);
            return invalid(format!("definition.account: it is {account}, and this archive is of {own}"));
        }
        if descriptor.table_id != definition.table_id {
            return invalid("descriptor.tableId: it is not definition.tableId".to_owned());
        }
        match origin {
            RestoreOrigin::Backup { owner, backup_id } => super::check_backup(owner, backup_id),
            RestoreOrigin::Table { owner, .. } => super::check_owner(owner),
        }
    }

    /// Whether a backup of this account is being restored from here.
    pub(super) fn restores_from(&self, id: &str) -> bool {
        let from = |owner: &ArchiveOwner, backup_id: &str| *owner == self.own && backup_id == id;
        self.restores.any(|restore| match &restore.origin {
            RestoreOrigin::Backup { owner, backup_id } => from(owner, backup_id),
            RestoreOrigin::Table { .. } => false,
        })
    }
}

impl Restore {
    fn told(&self) -> RestoreProgress {
        RestoreProgress::Loading { bytes_done: self.progress.bytes_done(), bytes_total: self.progress.bytes_total() }
    }
}

async fn run(
    bucket: &Bucket,
    adopter: Arc<dyn Adopter>,
    restore: &Restore,
    descriptor: PartitionDescriptor,
    definition: TableDefinition,
) -> anyhow::Result<()> {
    let planned = |except: Vec<String>| async move { plan(bucket, &restore.origin, &except).await };
    let begin = move || adopter.begin();
    load(planned, restore.progress.clone(), begin, move |adoption| adoption.adopt(descriptor, definition)).await
}
