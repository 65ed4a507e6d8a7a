//! DynamoDB's texts for the states a table can be in; the catalogs answer with them too.

mod indexes;
mod replicas;
mod streams;
mod table_class;
mod tags;
mod throughput;
mod time_to_live;
mod transactions;

pub(crate) use indexes::{
    attributes_redefined, index_backfilling, index_being_allocated, index_in_use, index_named_twice,
    index_override_units_missing, index_override_units_on_demand, index_override_unknown, index_override_warmed,
    index_units_stay, override_maxima, table_with_indexes_in_use,
};
pub use indexes::{index_exists, index_not_found, one_index_at_a_time, too_many_global_indexes};
pub use replicas::global_table_in_use;
pub(crate) use replicas::{
    check_replica_count, global_table_exists, global_table_not_found, local_region, no_other_regions, replica_exists,
    replica_not_found, replicated_table_not_found,
};
pub(crate) use streams::{
    expired_iterator, invalid_iterator, no_stream_to_disable, shard_not_found, stream_enabled_already,
    stream_not_found, trimmed_data,
};
pub(crate) use table_class::too_many_class_updates;
pub(crate) use tags::{tagged_table_not_found, too_many_tags};
pub(crate) use throughput::{auto_scaling_on_demand, nobody_scales, too_many_decreases};
pub(crate) use time_to_live::{
    time_to_live_changed_just_now, time_to_live_disabled_already, time_to_live_enabled_already,
    time_to_live_not_described, time_to_live_of_another_attribute, time_to_live_of_new_table,
};
pub(crate) use transactions::{
    transaction_aborted, transaction_in_progress, transaction_parameter_mismatch, transaction_payload_too_large,
    transaction_too_large, transaction_unknown,
};

use crate::{
    arn::{BackupArn, ExportArn, ImportArn, TableArn},
    backups::RestorableWindow,
    catalog::TableView,
};
use cairn_model::{ErrorKind, ServiceError, limits, table::TableStatus};
use jiff::Timestamp;

/// A data operation on a table that is not there, or not yet, or no more.
pub fn resource_not_found() -> ServiceError {
    ServiceError::new(ErrorKind::ResourceNotFoundException, "Requested resource not found")
}

/// DescribeTable, UpdateTable, DeleteTable of a table that is not there.
pub fn table_not_found(name: &str) -> ServiceError {
    ServiceError::new(
        ErrorKind::ResourceNotFoundException,
        format!("Requested resource not found: Table: {name} not found"),
    )
}

/// CreateTable of a name that is taken.
pub fn table_exists(name: &str) -> ServiceError {
    ServiceError::new(ErrorKind::ResourceInUseException, format!("Table already exists: {name}"))
}

/// UpdateTable of a table that is being changed.
pub fn table_in_use(name: &str) -> ServiceError {
    ServiceError::new(
        ErrorKind::ResourceInUseException,
        format!("Attempt to change a resource which is still in use: Table is being changed: {name}"),
    )
}

/// DeleteTable of a table that is being changed.
pub fn table_being_updated(name: &str) -> ServiceError {
    ServiceError::new(
        ErrorKind::ResourceInUseException,
        format!(
            "Attempt to change a resource which is still in use: Table: {name} is in the process of being updated."
        ),
    )
}

/// CreateTable, DeleteTable or UpdateTable of a table that is being created.
pub fn table_being_created(name: &str) -> ServiceError {
    ServiceError::new(
        ErrorKind::ResourceInUseException,
        format!("Attempt to change a resource which is still in use: Table is being created: {name}"),
    )
}

/// A change of a table that is being deleted.
pub fn table_being_deleted(name: &str) -> ServiceError {
    ServiceError::new(
        ErrorKind::ResourceInUseException,
        format!("Attempt to change a resource which is still in use: Table is being deleted: {name}"),
    )
}

/// CreateTable in an account that has as many as an account can have.
pub fn too_many_tables() -> ServiceError {
    ServiceError::new(
        ErrorKind::LimitExceededException,
        format!(
            "Subscriber limit exceeded: There is a limit of {} tables per subscriber",
            limits::TABLES_PER_ACCOUNT_MAX
        ),
    )
}

/// DeleteTable of a protected table.
pub fn deletion_protected() -> ServiceError {
    ServiceError::validation(
        "Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.",
    )
}

/// A backup or recovery operation on a table that is not there, or not there yet.
pub fn backed_up_table_not_found(name: &str) -> ServiceError {
    ServiceError::new(ErrorKind::TableNotFoundException, format!("Table not found: {name}"))
}

/// A backup or recovery operation on a table whose backups are kept nowhere. DynamoDB's text, and the way out.
pub fn backups_unavailable() -> ServiceError {
    ServiceError::new(
        ErrorKind::ContinuousBackupsUnavailableException,
        "Backups have not yet been enabled for this table. They need an archive: set spec.archive of the table's \
         StorageGroup, or start `cairn dev` with --archive URL.",
    )
}

/// A backup that the account does not have.
pub fn backup_not_found(arn: BackupArn<'_>) -> ServiceError {
    ServiceError::new(ErrorKind::BackupNotFoundException, format!("Backup not found: {arn}"))
}

/// DeleteBackup of, or a restore from, a backup that is not complete yet.
pub fn backup_being_created(arn: BackupArn<'_>) -> ServiceError {
    ServiceError::new(ErrorKind::BackupInUseException, format!("Backup is being created: {arn}"))
}

/// DeleteBackup of a backup that a table is being restored from.
pub fn backup_being_restored(arn: BackupArn<'_>) -> ServiceError {
    ServiceError::new(ErrorKind::BackupInUseException, format!("Backup is being used to restore table: {arn}"))
}

/// DeleteBackup of what a deleted table left.
pub(crate) fn system_backup_kept(arn: BackupArn<'_>, expiry_time_ms: Option<u64>) -> ServiceError {
    let expiry = expiry_time_ms.map_or_else(|| "its expiry".to_owned(), iso_time);
    ServiceError::validation(format!(
        "Invalid Request: User is not allowed to delete the system backup with arn {arn}. It will automatically \
         expire on {expiry}"
    ))
}

/// A restore to a point in time of a table whose recovery is off.
pub fn recovery_off(name: &str) -> ServiceError {
    ServiceError::new(
        ErrorKind::PointInTimeRecoveryUnavailableException,
        format!("Point in time recovery is not enabled for table '{name}'"),
    )
}

/// A restore to a point in time of a table whose recovery has only just been turned on.
pub fn nothing_restorable_yet(name: &str) -> ServiceError {
    ServiceError::new(
        ErrorKind::PointInTimeRecoveryUnavailableException,
        format!(
            "Point in time recovery is enabled for table '{name}', but nothing of it is in the archive yet. Please \
             retry later"
        ),
    )
}

/// A restore to a time outside the restorable window; milliseconds since the Unix epoch.
pub fn invalid_restore_time(time_ms: u64, window: RestorableWindow) -> ServiceError {
    ServiceError::new(
        ErrorKind::InvalidRestoreTimeException,
        format!(
            "RestoreDateTime '{}' must be within EarliestRestorableDateTime '{}' and LatestRestorableDateTime '{}'",
            iso_time(time_ms),
            iso_time(window.earliest_ms),
            iso_time(window.latest_ms)
        ),
    )
}

/// A restore into the name of a table that is there.
pub fn restore_target_taken(table: &TableView) -> ServiceError {
    let name = &table.definition.table_name;
    if table.status != TableStatus::Creating {
        // DynamoDB says the same of one that is being deleted.
        return restore_target_exists(name);
    }
    let backup = table.definition.restored_from.as_ref().and_then(|from| from.source_backup_arn.as_ref());
    let message = match backup {
        Some(arn) => format!("Table: {name} is already being restored from backup: {arn}"),
        None => format!("Table: {name} is being created"),
    };
    ServiceError::new(ErrorKind::TableInUseException, message)
}

/// A restore into a name that is taken, by whatever it is.
pub fn restore_target_exists(name: &str) -> ServiceError {
    ServiceError::new(ErrorKind::TableAlreadyExistsException, format!("Table already exists: {name}"))
}

/// An export where nobody exports. Cairn's own text: DynamoDB always can.
pub(crate) fn exports_unavailable() -> ServiceError {
    ServiceError::validation("ExportTableToPointInTime is not available here: start `cairn dev` with --archive URL.")
}

/// An export of a table that is not there, or not there yet.
pub(crate) fn exported_table_not_found(arn: TableArn<'_>) -> ServiceError {
    ServiceError::new(ErrorKind::TableNotFoundException, format!("Table not found: {arn}"))
}

/// An export that the account does not have.
pub fn export_not_found(arn: ExportArn<'_>) -> ServiceError {
    ServiceError::new(ErrorKind::ExportNotFoundException, format!("Export not found: {arn}"))
}

/// Another export under the client token of one that was asked for before.
pub fn export_conflict() -> ServiceError {
    ServiceError::new(
        ErrorKind::ExportConflictException,
        "Export conflict: Duplicate request detected with conflicting parameters",
    )
}

/// An incremental export whose times don't fit together; `what` is DynamoDB's text.
pub(crate) fn invalid_export_span(what: impl Into<String>) -> ServiceError {
    ServiceError::new(ErrorKind::InvalidExportTimeException, what)
}

/// An incremental export until a time that is not there yet; milliseconds since the Unix epoch.
pub(crate) fn export_span_in_the_future(to_ms: u64) -> ServiceError {
    let to = iso_time(to_ms);
    invalid_export_span(format!("Incremental export period to time cannot be greater than the current time : {to}"))
}

/// An export of a time that is not restorable; milliseconds since the Unix epoch.
pub fn invalid_export_time(time_ms: u64, window: RestorableWindow) -> ServiceError {
    ServiceError::new(
        ErrorKind::InvalidExportTimeException,
        format!(
            "Export Time is invalid: '{}' must be within '{}' and '{}'",
            iso_time(time_ms),
            iso_time(window.earliest_ms),
            iso_time(window.latest_ms)
        ),
    )
}

/// An export in an account that has as many under way as an account can have.
pub fn too_many_exports(limit: usize) -> ServiceError {
    ServiceError::new(
        ErrorKind::LimitExceededException,
        format!("Subscriber limit exceeded: There is a limit of {limit} concurrent table exports per subscriber"),
    )
}

/// An import where nobody imports. Cairn's own text: DynamoDB always can.
pub fn imports_unavailable() -> ServiceError {
    ServiceError::validation(
        "ImportTable is not available here: start `cairn dev` with --archive URL, by which the source's bucket is reached.",
    )
}

/// An import in an account without an archive. Cairn's own text.
pub fn imports_need_an_archive() -> ServiceError {
    ServiceError::validation(
        "ImportTable is not available to this account: its source's bucket is reached as an archive's is. Set \
         spec.archive of a StorageGroup.",
    )
}

/// An import that the account does not have.
pub fn import_not_found(arn: ImportArn<'_>) -> ServiceError {
    ServiceError::new(ErrorKind::ImportNotFoundException, format!("Import not found: {arn}"))
}

/// An import into another table under the client token of one that was asked for before.
pub fn import_conflict() -> ServiceError {
    let text = "Duplicate request detected with conflicting parameters";
    ServiceError::new(ErrorKind::ImportConflictException, text)
}

/// An import in an account that has as many under way as an account can have.
pub fn too_many_imports(limit: usize) -> ServiceError {
    ServiceError::new(
        ErrorKind::LimitExceededException,
        format!("Subscriber limit exceeded: There is a limit of {limit} concurrent table imports per subscriber"),
    )
}

/// A throughput for a restored table that is on demand.
pub(crate) fn throughput_override_on_demand() -> ServiceError {
    ServiceError::validation("Invalid Request: Cannot override ProvisionedThroughput unless BillingMode is PROVISIONED")
}

/// No throughput for a restored table that is PROVISIONED and whose source is not.
pub(crate) fn throughput_override_missing() -> ServiceError {
    ServiceError::validation(
        "Invalid Request: Must override ProvisionedThroughput if BillingMode is overridden to PROVISIONED",
    )
}

/// What belongs to another account.
pub(crate) fn access_denied() -> ServiceError {
    ServiceError::new(ErrorKind::AccessDeniedException, "Access is denied")
}

fn iso_time(millis: u64) -> String {
    let timestamp = i64::try_from(millis).ok().and_then(|millis| Timestamp::from_millisecond(millis).ok());
    timestamp.map_or_else(|| millis.to_string(), |timestamp| timestamp.to_string())
}

/// INSERT of an item that is there.
pub(crate) fn duplicate_item() -> ServiceError {
    ServiceError::new(ErrorKind::DuplicateItemException, "Duplicate primary key exists in table")
}

/// Where nobody has to sign, only pages of this machine may call.
pub(crate) fn foreign_page() -> ServiceError {
    ServiceError::new(
        ErrorKind::AccessDeniedException,
        "The header Origin names a page of another machine, which may not call where any credentials are accepted",
    )
}

/// A request of more attributes than there is memory for at once: what DynamoDB has no limit for but its size.
pub(crate) fn too_much_to_read() -> ServiceError {
    ServiceError::new(
        ErrorKind::RequestEntityTooLarge,
        "The request has more attributes than the service has memory for at once: send fewer of them in one request, or \
         give the routers more memory",
    )
}

/// Too much is queued; the client asks again.
pub fn overloaded() -> ServiceError {
    ServiceError::new(ErrorKind::ThrottlingException, "Rate exceeded")
}

/// Whether an error says that nothing was done because there was too much to do, or nobody to do it.
pub(crate) fn is_overload(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ThrottlingException
            | ErrorKind::ProvisionedThroughputExceededException
            | ErrorKind::RequestLimitExceeded
            | ErrorKind::ServiceUnavailable
    )
}

/// Whether an error says that what is asked for can't be, and not that it failed.
pub(crate) fn is_refusal(kind: ErrorKind) -> bool {
    kind != ErrorKind::InternalServerError && !is_overload(kind)
}

const OVERTAKEN: &str =
    "The table was changed by others at the same time, again and again; this change was not made. Please try again";

/// A change of a table that another overtook: nothing of it is done, and what it was checked against is no more. Whoever keeps the
/// tables knows by now what there is; the operation begins anew, a few times.
pub fn overtaken() -> ServiceError {
    ServiceError::new(ErrorKind::InternalServerError, OVERTAKEN)
}

pub(crate) fn is_overtaken(error: &ServiceError) -> bool {
    error.kind == ErrorKind::InternalServerError && error.message == OVERTAKEN
}

/// Something that is not the client's doing.
pub fn internal() -> ServiceError {
    ServiceError::new(
        ErrorKind::InternalServerError,
        "The request processing has failed because of an unknown error, exception or failure.",
    )
}
