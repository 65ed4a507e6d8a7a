//! DeleteBackup.

use super::{Call, backup_description, describe_backup::BackupArnInput};
use crate::{backups::BackupType, errors, input, validation::references::required_backup};
use cairn_model::ServiceError;

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let input: BackupArnInput = input::parse(call.body)?;
    let arn = required_backup(call, input.backup_arn.as_deref())?;
    let backups = call.backups.ok_or_else(errors::backups_unavailable)?;
    let backup = backups.describe_backup(call.account, arn).await?;
    if backup.details.backup_type == BackupType::System {
        return Err(errors::system_backup_kept(arn, backup.details.expiry_time_ms));
    }
    Ok(backup_description::answer(&backups.delete_backup(call.account, arn).await?))
}
