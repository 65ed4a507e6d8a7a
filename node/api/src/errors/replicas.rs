//! The errors of global tables, in DynamoDB's words where they are known.

use cairn_model::{ErrorKind, ServiceError, table::GLOBAL_MEMBERS_MAX};

/// Another region where there is none. Cairn's own text: DynamoDB has some.
pub(crate) fn no_other_regions() -> ServiceError {
    ServiceError::validation(
        "There is no other region here: `cairn dev` has no global tables. On Kubernetes they are between clusters.",
    )
}

/// ReplicaUpdates of the region that is asked.
pub(crate) fn local_region() -> ServiceError {
    ServiceError::validation(
        "Cannot add or delete the local region through ReplicaUpdates. Use CreateTable, DeleteTable, or UpdateTable as \
         required.",
    )
}

/// A change of the replicas of a table whose replicas are being changed. DynamoDB says no more.
pub fn global_table_in_use() -> ServiceError {
    ServiceError::new(ErrorKind::ResourceInUseException, "The resource which you are attempting to change is in use.")
}

/// More replicas than a table can have, this region aside.
pub(crate) fn check_replica_count(count: usize) -> Result<(), ServiceError> {
    if count < GLOBAL_MEMBERS_MAX {
        return Ok(());
    }
    Err(ServiceError::new(
        ErrorKind::LimitExceededException,
        format!("Subscriber limit exceeded: There is a limit of {GLOBAL_MEMBERS_MAX} regions per global table"),
    ))
}

/// CreateGlobalTable of a table that is not there, or not there yet.
pub(crate) fn replicated_table_not_found(name: &str, region: &str) -> ServiceError {
    ServiceError::new(
        ErrorKind::TableNotFoundException,
        format!("Table not found: Table: '{name}' not found in region: '{region}'."),
    )
}

/// An operation of version 2017.11.29 on what is not a global table.
pub(crate) fn global_table_not_found(name: &str) -> ServiceError {
    ServiceError::new(
        ErrorKind::GlobalTableNotFoundException,
        format!("Global table not found: Global table with name: '{name}' does not exist."),
    )
}

/// CreateGlobalTable of a table that is global already; the regions that keep it.
pub(crate) fn global_table_exists(name: &str, regions: &[&str]) -> ServiceError {
    ServiceError::new(
        ErrorKind::GlobalTableAlreadyExistsException,
        format!("Global table with name: '{name}' already exists with replicas in regions: '{}'.", regions.join(", ")),
    )
}

/// UpdateGlobalTable that adds a region which is a replica.
pub(crate) fn replica_exists(name: &str, region: &str) -> ServiceError {
    ServiceError::new(
        ErrorKind::ReplicaAlreadyExistsException,
        format!("Replica already exists: The global table '{name}' has a replica in region: '{region}'."),
    )
}

/// UpdateGlobalTable or UpdateGlobalTableSettings of a region that is not a replica.
pub(crate) fn replica_not_found(name: &str, region: &str) -> ServiceError {
    ServiceError::new(
        ErrorKind::ReplicaNotFoundException,
        format!("Replica not found: The global table '{name}' has no replica in region: '{region}'."),
    )
}
