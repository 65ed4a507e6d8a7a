//! DynamoDB's texts for the states a table can be in; the catalogs answer with them too.

use cairn_model::{ErrorKind, ServiceError, limits, table::TableStatus};

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

/// DeleteTable or UpdateTable of a table that is being changed or deleted.
pub fn table_in_use(name: &str) -> ServiceError {
    ServiceError::new(
        ErrorKind::ResourceInUseException,
        format!("Attempt to change a resource which is still in use: Table is being changed: {name}"),
    )
}

/// DeleteTable or UpdateTable of a table that is being created.
pub fn table_being_created(name: &str) -> ServiceError {
    ServiceError::new(
        ErrorKind::ResourceInUseException,
        format!("Attempt to change a resource which is still in use: Table is being created: {name}"),
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
        "Backups have not yet been enabled for this table. They need an archive: start `cairn dev` with --archive, or \
         set archive in the table's StorageGroup.",
    )
}

/// A backup that the account does not have.
pub fn backup_not_found(arn: &str) -> ServiceError {
    ServiceError::new(ErrorKind::BackupNotFoundException, format!("Backup not found: {arn}"))
}

/// A backup that is being made, deleted or restored from.
pub fn backup_in_use(arn: &str) -> ServiceError {
    ServiceError::new(ErrorKind::BackupInUseException, format!("Backup is being used: {arn}"))
}

/// A restore to a point in time of a table whose recovery is off.
pub fn recovery_off(name: &str) -> ServiceError {
    ServiceError::new(
        ErrorKind::PointInTimeRecoveryUnavailableException,
        format!("Point in time recovery is not enabled for table '{name}'"),
    )
}

/// A restore into the name of a table that is there: `status` is that table's.
pub fn restore_target_taken(name: &str, status: TableStatus) -> ServiceError {
    match status {
        TableStatus::Creating => {
            ServiceError::new(ErrorKind::TableInUseException, format!("Table is being created: {name}"))
        }
        // DynamoDB says the same of one that is being deleted.
        _ => ServiceError::new(ErrorKind::TableAlreadyExistsException, format!("Table already exists: {name}")),
    }
}

/// A throughput for a restored table that is on demand.
pub(crate) fn throughput_override_on_demand() -> ServiceError {
    ServiceError::validation("Cannot override ProvisionedThroughput unless BillingMode is PROVISIONED")
}

/// No throughput for a restored table that is PROVISIONED and whose source is not.
pub(crate) fn throughput_override_missing() -> ServiceError {
    ServiceError::validation("Must override ProvisionedThroughput if BillingMode is overridden to PROVISIONED")
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

/// Something that is not the client's doing.
pub fn internal() -> ServiceError {
    ServiceError::new(
        ErrorKind::InternalServerError,
        "The request processing has failed because of an unknown error, exception or failure.",
    )
}
