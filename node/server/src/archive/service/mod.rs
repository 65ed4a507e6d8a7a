//! What the archive beside a storage node answers the operator and the routers: [`ArchiveCall`] in, [`ArchiveAnswer`] out.
//!
//! No call takes long: restores, backups and imports go on after it as [`jobs`]. What lies in the bucket and how it is read and
//! written is the business of `cairn_archive`; how the bucket is kept open, that of the [`keeper`].

mod backups;
mod imports;
mod jobs;
mod keeper;
mod port;
mod reach;
mod refusal;
mod report;
mod resolving;
mod restores;
#[cfg(test)]
mod tests;

pub(crate) use keeper::{BucketKeeper, BucketSettings};
pub(crate) use port::ArchivePort;
pub(crate) use reach::Reach;

use super::Adopter;
use backups::Creations;
use cairn_archive::{Source, table::Deletion};
use cairn_model::archive::{ArchiveAnswer, ArchiveCall, ArchiveOwner, ArchiveRefusal};
use imports::Importings;
use refusal::Refusal;
use restores::Restores;
use std::{sync::Arc, time::Duration};

/// The callers wait for 15 seconds.
const CALL_DEADLINE: Duration = Duration::from_secs(10);
/// Of the name of a region, an account or a backup.
const NAME_BYTES_MAX: usize = 255;

pub(crate) struct ArchiveService {
    own: ArchiveOwner,
    source: Arc<dyn Source>,
    adopter: Arc<dyn Adopter>,
    reach: Reach,
    restores: Restores,
    creations: Creations,
    importings: Importings,
}

impl ArchiveService {
    /// Speaks for `own` with the node that `source` and `adopter` are.
    pub(crate) fn new(own: ArchiveOwner, source: Arc<dyn Source>, adopter: Arc<dyn Adopter>, reach: Reach) -> Self {
        let (restores, creations, importings) = (restores::restores(), backups::creations(), imports::importings());
        Self { own, source, adopter, reach, restores, creations, importings }
    }

    pub(crate) async fn answer(&self, call: ArchiveCall) -> ArchiveAnswer {
        match tokio::time::timeout(CALL_DEADLINE, self.try_answer(call)).await {
            Ok(answer) => answer.unwrap_or_else(ArchiveAnswer::from),
            Err(_) => {
                let message = format!("the bucket or the node did not answer within {} s", CALL_DEADLINE.as_secs());
                Refusal::failed(message).into()
            }
        }
    }

    async fn try_answer(&self, call: ArchiveCall) -> Result<ArchiveAnswer, Refusal> {
        Ok(match call {
            ArchiveCall::Report => ArchiveAnswer::Report(self.report().await),
            ArchiveCall::Recovery { table_id } => ArchiveAnswer::Recovery(self.recovery(table_id).await?),
            ArchiveCall::Resolve { source } => ArchiveAnswer::Resolved(Box::new(self.resolve(source).await?)),
            ArchiveCall::Restore { descriptor, definition, origin } => {
                ArchiveAnswer::Restore(self.restore(descriptor, definition, origin).await?)
            }
            ArchiveCall::CreateBackup { partition_id, backup } => {
                ArchiveAnswer::Backup(Box::new(self.create_backup(partition_id, backup).await?))
            }
            ArchiveCall::DescribeBackup { owner, backup_id } => {
                ArchiveAnswer::Backup(Box::new(self.describe_backup(owner, &backup_id).await?))
            }
            ArchiveCall::ListBackups { after, limit } => self.list_backups(after.as_deref(), limit).await?,
            ArchiveCall::DeleteBackup { backup_id } => {
                ArchiveAnswer::Backup(Box::new(self.delete_backup(&backup_id).await?))
            }
            ArchiveCall::MarkDeleted { table_id, deleted_at_ms, with_archive } => {
                self.mark_deleted(table_id, Deletion { at_ms: deleted_at_ms, with_archive }).await?;
                ArchiveAnswer::Done
            }

            ArchiveCall::Import { descriptor, order } => {
                ArchiveAnswer::Import(Box::new(self.import(descriptor, order).await?))
            }
            ArchiveCall::DescribeImport { import_id } => {
                ArchiveAnswer::Import(Box::new(self.describe_import(&import_id).await?))
            }
            ArchiveCall::ListImports { table_arn, below, limit } => {
                self.list_imports(table_arn.as_deref(), below.as_deref(), limit).await?
            }
        })
    }
}

/// Names become parts of objects' paths.
fn check_name(field: &str, name: &str) -> Result<(), Refusal> {
    if !name.is_empty() && name.len() <= NAME_BYTES_MAX {
        return Ok(());
    }
    let message = format!("{field}: it has {} bytes and must have 1 to {NAME_BYTES_MAX}", name.len());
    Err(Refusal::new(ArchiveRefusal::Invalid, message))
}

fn check_owner(owner: &ArchiveOwner) -> Result<(), Refusal> {
    check_name("owner.region", &owner.region)?;
    check_name("owner.account", &owner.account)
}

fn check_backup(owner: &ArchiveOwner, id: &str) -> Result<(), Refusal> {
    check_owner(owner)?;
    check_name("backupId", id)
}
