//! DescribeBackup.

use super::{Call, backup_description};
use crate::{
    errors,
    input::{self, Input, shape::Shape},
    validation::references::required_backup,
};
use cairn_model::ServiceError;
use serde::Deserialize;

/// The input of the operations that take a backup's ARN and nothing else.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct BackupArnInput {
    pub(super) backup_arn: Option<String>,
}

impl Input for BackupArnInput {
    const FIELDS: &'static [(&'static str, Shape)] = &[("BackupArn", Shape::Text)];
}

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let input: BackupArnInput = input::parse(call.body)?;
    let arn = required_backup(call, input.backup_arn.as_deref())?;
    let backups = call.backups.ok_or_else(errors::backups_unavailable)?;
    Ok(backup_description::answer(&backups.describe_backup(call.account, arn).await?))
}
