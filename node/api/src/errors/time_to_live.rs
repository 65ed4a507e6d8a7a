//! DynamoDB's texts for settings of Time To Live that can't be.

use cairn_model::ServiceError;

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

/// The last change is still under way.
pub(crate) fn time_to_live_changed_just_now() -> ServiceError {
    ServiceError::validation("Time to live has been modified multiple times within a fixed interval")
}
