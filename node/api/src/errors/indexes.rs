//! The errors of secondary indexes, in DynamoDB's words.

use cairn_model::{
    ErrorKind, ServiceError,
    index::GLOBAL_INDEXES_MAX,
    keys::Keys,
    table::{KeyAttribute, OnDemandThroughput, ProvisionedThroughput, TableStatus},
};

/// A Query or Scan of an index that is being made.
pub(crate) fn index_backfilling(index_name: &str) -> ServiceError {
    ServiceError::validation(format!("Cannot read from backfilling global secondary index: {index_name}"))
}

/// A global index that is made or deleted beside another, in one request or while that one goes on.
pub fn one_index_at_a_time() -> ServiceError {
    ServiceError::new(
        ErrorKind::LimitExceededException,
        "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table",
    )
}

/// A further global index for a table that has as many as it can have.
pub fn too_many_global_indexes() -> ServiceError {
    ServiceError::new(
        ErrorKind::LimitExceededException,
        format!(
            "Subscriber limit exceeded: Number of global secondary indexes exceeds per-table limit of {GLOBAL_INDEXES_MAX}"
        ),
    )
}

/// A global index under a name that the table has for one already.
pub fn index_exists() -> ServiceError {
    ServiceError::validation("Attempting to create an index which already exists")
}

/// A global index with a key attribute that is of another type in the key of the table, or of another of its indexes.
pub(crate) fn attributes_redefined(existing: Keys<'_>, new: Keys<'_>) -> ServiceError {
    ServiceError::validation(format!(
        "One or more parameter values were invalid: Attributes cannot be redefined. Please check that your attribute has \
         the same type as previously defined. Existing schema: {} New schema: {}",
        schema(existing),
        schema(new)
    ))
}

/// A key's schema as DynamoDB shows it: `Schema:[SchemaElement: key{Id:S:HASH}]`.
fn schema(keys: Keys<'_>) -> String {
    let shown = |key: &KeyAttribute, key_type| {
        format!("SchemaElement: key{{{}:{}:{key_type}}}", key.name, key.scalar_type.name())
    };
    let partition = keys.partition.iter().map(|key| shown(key, "HASH"));
    let elements: Vec<String> = partition.chain(keys.sort.iter().map(|key| shown(key, "RANGE"))).collect();
    format!("Schema:[{}]", elements.join(", "))
}

/// A change of a global index that the table doesn't have.
pub fn index_not_found(index_name: &str, table_name: &str) -> ServiceError {
    ServiceError::new(
        ErrorKind::ResourceNotFoundException,
        format!("Requested resource not found: Index {index_name} for table {table_name}"),
    )
}

/// A change of a global index that is being made, changed or deleted.
pub(crate) fn index_in_use(status: TableStatus, index_name: &str, table_name: &str) -> ServiceError {
    let done = match status {
        TableStatus::Creating => "created",
        TableStatus::Deleting => "deleted",
        TableStatus::Updating | TableStatus::Active => "updated",
    };
    in_use(format_args!("Index is being {done}. Table: {table_name} Index: {index_name}"))
}

/// The deletion of a global index for which there is no room yet.
pub(crate) fn index_being_allocated(index_name: &str, table_name: &str) -> ServiceError {
    in_use(format_args!(
        "Index creation is in resource allocation phase. Retry deletion during backfilling phase or when the index is \
         active. Table: {table_name} Index: {index_name}"
    ))
}

/// DeleteTable of a table one of whose global indexes is changing.
pub(crate) fn table_with_indexes_in_use() -> ServiceError {
    in_use("Cannot delete table while indexes are being created, updated, or deleted.")
}

/// An index's throughput that is what it was.
pub(crate) fn index_units_stay(
    index_name: &str,
    current: ProvisionedThroughput,
    requested: ProvisionedThroughput,
) -> ServiceError {
    ServiceError::validation(format!(
        "The provisioned throughput for the index {index_name} will not change. The requested value equals the current \
         value. Current ReadCapacityUnits provisioned for index {index_name}: {}. Requested ReadCapacityUnits: {}. \
         Current WriteCapacityUnits provisioned for index {index_name}: {}. Requested WriteCapacityUnits: {}. Refer to \
         the Amazon DynamoDB Developer Guide for current limits and how to request higher limits.",
        current.read_capacity_units,
        requested.read_capacity_units,
        current.write_capacity_units,
        requested.write_capacity_units
    ))
}

/// An index for a restored table that its source does not have.
pub(crate) fn index_override_unknown(index_name: &str) -> ServiceError {
    ServiceError::validation(format!(
        "Invalid Request: Index {index_name} does not match a secondary index that existed in the source table and cannot \
         be created during the restore operation"
    ))
}

/// No throughput for a restored table's index, where the table is PROVISIONED.
pub(crate) fn index_override_units_missing(index_name: &str) -> ServiceError {
    ServiceError::validation(format!("Invalid Request: Must specify provisioned throughput for index {index_name}"))
}

/// A throughput for a restored table's index, where the table is on demand.
pub(crate) fn index_override_units_on_demand(index_name: &str) -> ServiceError {
    ServiceError::validation(format!(
        "Invalid Request: Cannot override ProvisionedThroughput if BillingMode is overridden to PAY_PER_REQUEST for index \
         {index_name}"
    ))
}

/// What a restored table's index takes at once, where the restore is to a point in time.
pub(crate) fn index_override_warmed(index_name: &str) -> ServiceError {
    ServiceError::validation(format!(
        "Invalid Request: Cannot override WarmThroughput for index {index_name} when a table is restored to a point in time"
    ))
}

/// Two indexes of a table, global or local, under one name.
pub(crate) fn index_named_twice(index_name: &str) -> ServiceError {
    ServiceError::validation(format!("One or more parameter values were invalid: Duplicate index name: {index_name}"))
}

/// Maxima for a restored table that is PROVISIONED, or for an index of it.
pub(crate) fn override_maxima(maxima: OnDemandThroughput) -> ServiceError {
    let reads = maxima.max_read_request_units.map(|_| "MaxReadRequestUnits");
    let member = reads.unwrap_or("MaxWriteRequestUnits");
    ServiceError::validation(format!(
        "Invalid Request: Cannot override {member} for OnDemandThroughput unless BillingModeOverride is PAY_PER_REQUEST"
    ))
}

fn in_use(what: impl std::fmt::Display) -> ServiceError {
    ServiceError::new(
        ErrorKind::ResourceInUseException,
        format!("Attempt to change a resource which is still in use: {what}"),
    )
}
