//! The errors of tags, in DynamoDB's words.

use cairn_model::{ErrorKind, ServiceError};

/// More tags than a table can have.
pub(crate) fn too_many_tags() -> ServiceError {
    ServiceError::validation("Number of Tags exceed the current limit for the provided ResourceArn")
}

/// An operation on the tags of a table that is not there.
pub(crate) fn tagged_table_not_found(arn: &str) -> ServiceError {
    ServiceError::new(
        ErrorKind::ResourceNotFoundException,
        format!("Requested resource not found: ResourceArn: {arn} not found"),
    )
}
