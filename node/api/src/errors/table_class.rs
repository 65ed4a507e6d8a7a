//! The errors of table classes, in DynamoDB's words.

use cairn_model::{
    ErrorKind, ServiceError,
    table_class::{PERIOD_DAYS, UPDATES_MAX},
};

/// An update of a table's class before its time.
pub(crate) fn too_many_class_updates() -> ServiceError {
    ServiceError::new(
        ErrorKind::LimitExceededException,
        format!(
            "Subscriber limit exceeded: Updates to TableClass are limited to {UPDATES_MAX} times in {PERIOD_DAYS} day(s)."
        ),
    )
}
