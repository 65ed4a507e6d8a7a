//! DynamoDB's texts for settings of Time To Live that can't be.

use cairn_model::{ErrorKind, ServiceError};

/// Time To Live is on, with another attribute than the request's.
pub(crate) fn time_to_live_of_another_attribute(current: &str) -> ServiceError {
    ServiceError::validation(format!(
        "TimeToLive is active on a different AttributeName: current AttributeName is {current}"
    ))
}

pub(crate) fn time_to_live_enabled_already() -> ServiceError {
    ServiceError::validation("TimeToLive is already enabled")
}

pub(crate) fn time_to_live_disabled_already() -> ServiceError {
    ServiceError::validation("TimeToLive is already disabled")
}

/// UpdateTimeToLive of a table that is being created: other operations put the words in another order.
pub(crate) fn time_to_live_of_new_table(table_name: &str) -> ServiceError {
    ServiceError::new(
        ErrorKind::ResourceInUseException,
        format!("Attempt to change a resource which is still in use: Table {table_name} is being created"),
    )
}

/// DescribeTimeToLive of a table that comes or goes; `status` is CREATING or DELETING.
pub(crate) fn time_to_live_not_described(status: &str) -> ServiceError {
    ServiceError::validation(format!(
        "Cannot describe time to live while table is in {status} state: Current table state is {status}"
    ))
}

/// The last change is still under way.
pub(crate) fn time_to_live_changed_just_now() -> ServiceError {
    ServiceError::validation("Time to live has been modified multiple times within a fixed interval")
}
