//! A backup as DynamoDB's API shows it: one that is in the bucket, or a resource whose backup is being made.

use crate::router::tables::Tables;
use cairn_api::{
    arn::{BackupArn, TableArn},
    backups::{BackupDescription, BackupDetails, BackupState, BackupType},
};
use cairn_crds::{Backup, table::recovery::millis_of_time};
use kube::ResourceExt;

/// A resource whose backup is not in the bucket yet, with its table as it is now. None for one that makes no backup: of a
/// table that is not there, or of one that lies in a bucket already.
pub(super) fn of_resource(resource: &Backup, tables: &Tables, region: &str) -> Option<BackupDescription> {
    let account = resource.namespace()?;
    let table = tables.view(&account, resource.spec.table_name.as_deref()?)?;
    let status = resource.status.as_ref();
    let was = status.and_then(|status| status.table_id.as_ref());
    if was.is_some_and(|was| *was != table.definition.table_id.to_string()) {
        return None;
    }
    Some(BackupDescription {
        details: details(resource, arn(resource, region)?)?,
        table_arn: table.arn.clone(),
        item_count: table.item_count,
        table_size_bytes: table.size_bytes,
        table: table.definition.clone(),
    })
}

pub(super) fn details(resource: &Backup, arn: String) -> Option<BackupDetails> {
    let status = resource.status.as_ref();
    let size = status.and_then(|status| status.backup_size_bytes);
    Some(BackupDetails {
        arn,
        name: resource.backup_name(),
        size_bytes: size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
        status: status.and_then(|status| status.backup_status).unwrap_or(BackupState::Creating),
        backup_type: BackupType::User,
        creation_time_ms: millis_of_time(resource.metadata.creation_timestamp.as_ref()?),
        expiry_time_ms: status.and_then(|status| status.backup_expiry_date_time.as_ref()).map(millis_of_time),
    })
}

/// The ARN of the backup that a resource stands for, whether or not the operator has written it down yet.
pub(super) fn arn(resource: &Backup, region: &str) -> Option<String> {
    let written = resource.status.as_ref().and_then(|status| status.backup_arn.clone());
    let adopted = || resource.spec.from_archive.as_ref().map(|from| from.backup_arn.clone());
    let to_be = || {
        let (account, id) = (resource.namespace()?, resource.backup_id()?);
        let table = TableArn { region, account: &account, table_name: resource.spec.table_name.as_deref()? };
        Some(BackupArn { table, backup_id: &id }.to_string())
    };
    written.or_else(adopted).or_else(to_be)
}

/// Whether the resource's backup is still to be made, or being made.
pub(super) fn is_creating(resource: &Backup) -> bool {
    let state = resource.status.as_ref().and_then(|status| status.backup_status);
    resource.spec.from_archive.is_none()
        && resource.metadata.deletion_timestamp.is_none()
        && state.is_none_or(|state| state == BackupState::Creating)
}
