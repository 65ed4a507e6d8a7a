//! CreateBackup.

use super::{Call, backup_description};
use crate::{
    errors,
    input::{self, Input, shape::Shape},
    output::Object,
    validation::{constraints::Constraints, references::required_table},
};
use cairn_model::ServiceError;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CreateBackupInput {
    table_name: Option<String>,
    backup_name: Option<String>,
}

impl Input for CreateBackupInput {
    const FIELDS: &'static [(&'static str, Shape)] = &[("TableName", Shape::Text), ("BackupName", Shape::Text)];
}

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let input: CreateBackupInput = input::parse(call.body)?;
    let mut constraints = Constraints::default();
    let name = required_table(call, input.table_name, &mut constraints)?;
    constraints.required("backupName", input.backup_name.is_some());
    if let Some(backup_name) = &input.backup_name {
        constraints.name_in_full("backupName", backup_name);
    }
    constraints.finish()?;
    let table = call.backed_up_table(&name)?;
    let backups = call.backups_of(&table).ok_or_else(errors::backups_unavailable)?;
    let details = backups.create_backup(&table, &input.backup_name.unwrap_or_default()).await?;

    let mut out = Vec::new();
    let mut answer = Object::begin(&mut out);
    let mut object = answer.object("BackupDetails");
    backup_description::write_details(&details, &mut object);
    object.end();
    answer.end();
    Ok(out)
}
