//! Of streams and their shards.

use cairn_model::{ErrorKind, ServiceError};

/// UpdateTable of a table whose stream is on: its view type can't be changed either.
pub(crate) fn stream_enabled_already(table_name: &str) -> ServiceError {
    ServiceError::validation(format!("Table already has an enabled stream: TableName: {table_name}"))
}

/// UpdateTable of a table that has no stream to be turned off.
pub(crate) fn no_stream_to_disable(table_name: &str) -> ServiceError {
    ServiceError::validation(format!("Table has no stream to disable: TableName: {table_name}"))
}

/// A stream that is not there, or no more.
pub(crate) fn stream_not_found(arn: &str) -> ServiceError {
    ServiceError::new(
        ErrorKind::ResourceNotFoundException,
        format!("Requested resource not found: Stream: {arn} not found"),
    )
}

/// A shard that the stream does not have.
pub(crate) fn shard_not_found() -> ServiceError {
    ServiceError::new(ErrorKind::ResourceNotFoundException, "Requested resource not found: Shard does not exist")
}

/// An iterator, or a sequence number, before the oldest record that is left.
pub(crate) fn trimmed_data() -> ServiceError {
    ServiceError::new(
        ErrorKind::TrimmedDataAccessException,
        "The operation attempted to read past the oldest stream record in a shard.",
    )
}

pub(crate) fn expired_iterator() -> ServiceError {
    ServiceError::new(ErrorKind::ExpiredIteratorException, "Shard iterator has expired")
}

pub(crate) fn invalid_iterator() -> ServiceError {
    ServiceError::validation("Invalid ShardIterator")
}
