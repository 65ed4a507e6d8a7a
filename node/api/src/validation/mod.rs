//! DynamoDB's checks of a request's parameters, shared by the operations; each module says it in DynamoDB's words.

pub(crate) mod constraints;
pub(crate) mod index_updates;
pub(crate) mod java;
pub(crate) mod key_paths;
pub(crate) mod on_demand;
pub(crate) mod parameters;
pub(crate) mod references;
pub(crate) mod select;
pub(crate) mod stream_specification;
pub(crate) mod tags;
pub(crate) mod throughput;
pub(crate) mod unsupported;
pub(crate) mod warm;

use cairn_model::{ErrorKind, ServiceError};

/// The form in which the single-item writes report most of what they find.
///
/// Not in it: what is refused while values are still being read, the syntax of placeholders' names, and actions of
/// `AttributeUpdates` that don't take the value they have.
pub(crate) fn enveloped(mut error: ServiceError) -> ServiceError {
    let bare = error.kind != ErrorKind::ValidationException
        || error.message.contains("Supplied AttributeValue")
        || error.message.contains(" contains invalid key: ")
        || error.message.contains("DELETE action ")
        || error.message.contains("ADD action ")
        || error.message.starts_with("1 validation error");
    if !bare {
        error.message.insert_str(0, "1 validation error detected: ");
    }
    error
}
