//! RestoreTableFromBackup.

use super::{
    Call,
    restore::{
        self, BILLING_MODE_OVERRIDE, GLOBAL_INDEX_OVERRIDE, LOCAL_INDEX_OVERRIDE, ON_DEMAND_THROUGHPUT_OVERRIDE,
        PROVISIONED_THROUGHPUT_OVERRIDE, TargetInput,
    },
    table_description,
};
use crate::{
    errors,
    input::{self, Input, shape::Shape},
    validation::{
        constraints::Constraints,
        references::{constrain_backup_arn, own_backup_arn},
    },
};
use cairn_model::{ServiceError, node::Counts};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RestoreTableFromBackupInput {
    backup_arn: Option<String>,
    #[serde(flatten)]
    target: TargetInput,
}

impl Input for RestoreTableFromBackupInput {
    const FIELDS: &'static [(&'static str, Shape)] = &[
        ("TargetTableName", Shape::Text),
        ("BackupArn", Shape::Text),
        BILLING_MODE_OVERRIDE,
        GLOBAL_INDEX_OVERRIDE,
        LOCAL_INDEX_OVERRIDE,
        PROVISIONED_THROUGHPUT_OVERRIDE,
        ON_DEMAND_THROUGHPUT_OVERRIDE,
    ];
}

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let input: RestoreTableFromBackupInput = input::parse(call.body)?;
    let mut constraints = Constraints::default();
    input.target.constrain(&mut constraints)?;
    constraints.required("backupArn", input.backup_arn.is_some());
    constrain_backup_arn("backupArn", input.backup_arn.as_deref(), &mut constraints);
    constraints.finish()?;
    let target = input.target.into_target()?;
    let text = input.backup_arn.unwrap_or_default();
    let arn = own_backup_arn(call, &text)?;
    let backups = call.backups.ok_or_else(errors::backups_unavailable)?;
    let backup = backups.describe_backup(call.account, arn).await?;
    target.check(&backup.table)?;
    restore::check_target_free(call, &target)?;
    call.check_table_count()?;
    let table = backups.restore_from_backup(call.account, arn, target).await?;
    Ok(table_description::answer(call, "TableDescription", &table, &Counts::of_new(&table.definition)))
}
