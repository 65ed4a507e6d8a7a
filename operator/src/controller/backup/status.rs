//! What a Backup's status says, and the order that is made of it.

use crate::{Error, Result};
use cairn_crds::{Backup, BackupResourceStatus, Table, table::recovery::time_of_millis};
use cairn_model::{
    archive::{BackupOrder, BackupReport, BackupState, BackupType},
    arn::{BackupArn, TableArn},
    table::TableDefinition,
};
use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

/// What is written down before anything is made: which backup it is, and of what.
pub fn begin(backup: &Backup, table: &Table, region: &str) -> Result<BackupResourceStatus> {
    let (account, table_name) = (table.account(), table.table_name());
    let made = backup.creation_timestamp().ok_or(Error::Incomplete { field: "metadata.creationTimestamp" })?;
    let backup_id = backup.backup_id().ok_or(Error::Incomplete { field: "metadata.uid" })?;
    let table_id = table.status.as_ref().and_then(|status| status.table_id.clone());
    let table_arn = TableArn { region, account: &account, table_name: &table_name };
    let arn = BackupArn { table: table_arn, backup_id: &backup_id };
    let expiry = backup.spec.retain_days.map(|days| Time(made.0 + SignedDuration::from_hours(24 * days)));
    Ok(BackupResourceStatus {
        backup_status: Some(BackupState::Creating),
        backup_arn: Some(arn.to_string()),
        table_arn: Some(table_arn.to_string()),
        table_name: Some(table_name),
        table_id: Some(table_id.ok_or(Error::Incomplete { field: "the table's status.tableId" })?),
        storage_group: Some(table.spec.storage_group.clone()),
        backup_creation_date_time: Some(made),
        backup_expiry_date_time: expiry,
        progress: Some(percent(0, 0)),
        ..backup.status.clone().unwrap_or_default()
    })
}

/// The order for a backup that was begun, with the definition that the leader has.
pub fn order(backup: &Backup, definition: &TableDefinition) -> Result<BackupOrder> {
    let status = backup.status.clone().unwrap_or_default();
    let made = status.backup_creation_date_time.as_ref();
    Ok(BackupOrder {
        backup_id: backup.backup_id().ok_or(Error::Incomplete { field: "metadata.uid" })?,
        arn: status.backup_arn.ok_or(Error::Incomplete { field: "status.backupArn" })?,
        name: backup.backup_name(),
        backup_type: BackupType::User,
        table_arn: status.table_arn.ok_or(Error::Incomplete { field: "status.tableArn" })?,
        definition: definition.clone(),
        creation_time_ms: made.and_then(millis).ok_or(Error::Incomplete { field: "status.backupCreationDateTime" })?,
        expiry_time_ms: status.backup_expiry_date_time.as_ref().and_then(millis),
    })
}

/// Fills in what an archive says of a backup that is in the bucket, whole.
pub fn fill(status: &mut BackupResourceStatus, report: &BackupReport) {
    let order = &report.order;
    status.backup_status = Some(BackupState::Available);
    status.progress = None;
    status.table_name = Some(order.definition.table_name.clone());
    status.table_id = Some(order.definition.table_id.to_string());
    status.table_arn = Some(order.table_arn.clone());
    status.backup_creation_date_time = Some(time_of_millis(order.creation_time_ms));
    status.backup_expiry_date_time = order.expiry_time_ms.map(time_of_millis);
    status.backup_size_bytes = i64::try_from(report.size_bytes).ok();
    status.item_count = i64::try_from(report.item_count).ok();
    status.table_size_bytes = i64::try_from(report.table_size_bytes).ok();
}

/// How much is done, of a table that may grow or shrink meanwhile; what is not AVAILABLE is not whole.
pub fn percent(done: u64, total: u64) -> String {
    let percent = u128::from(done) * 100 / u128::from(total.max(1));
    format!("{}%", percent.min(99))
}

fn millis(time: &Time) -> Option<u64> {
    u64::try_from(time.0.as_millisecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::{backup::fixture, table::fixture as tables};
    use cairn_crds::TableResourceStatus;

    fn begun(retain_days: Option<i64>) -> Backup {
        let mut table = tables::table("users");
        table.status = Some(TableResourceStatus {
            table_id: Some(tables::table_id().to_string()),
            ..TableResourceStatus::default()
        });
        let mut backup = fixture::of_users(retain_days);
        backup.status = Some(begin(&backup, &table, "east").unwrap());
        backup
    }

    #[test]
    fn the_arn_is_known_before_anything_is_made() {
        let status = begun(None).status.unwrap();
        let arn = "arn:aws:dynamodb:east:game:table/users/backup/01700000000000-abcdef12";
        assert_eq!(status.backup_arn.as_deref(), Some(arn));
        assert_eq!((status.backup_status, status.progress.as_deref()), (Some(BackupState::Creating), Some("0%")));
    }

    #[test]
    fn an_order_says_when_the_backup_goes_by_itself() {
        let order = |retain_days| order(&begun(retain_days), &tables::definition()).unwrap();
        assert_eq!(order(None).expiry_time_ms, None);
        let expiring = order(Some(7));
        assert_eq!(expiring.creation_time_ms, 1_700_000_000_000);
        assert_eq!(expiring.expiry_time_ms, Some(1_700_000_000_000 + 7 * 86_400_000));
        assert_eq!((expiring.backup_id.as_str(), expiring.name.as_str()), ("01700000000000-abcdef12", "nightly"));
    }

    #[test]
    fn progress_never_says_that_it_is_done() {
        for (done, total, told) in [(37, 100, "37%"), (0, 0, "0%"), (200, 100, "99%"), (u64::MAX, 1, "99%")] {
            assert_eq!(percent(done, total), told);
        }
    }
}
