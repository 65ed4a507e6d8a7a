//! The errors of throughput, in DynamoDB's words.

use cairn_model::{
    ErrorKind, ServiceError,
    throughput::{DECREASE_PAUSE_MS, ThroughputHistory},
};
use jiff::Timestamp;

/// A decrease of a table's throughput before its time; milliseconds since the Unix epoch.
pub(crate) fn too_many_decreases(history: &ThroughputHistory, now_ms: u64, next_ms: u64) -> ServiceError {
    ServiceError::new(
        ErrorKind::LimitExceededException,
        format!(
            "Subscriber limit exceeded: Provisioned throughput decreases are limited within a given UTC day. After the \
             first 4 decreases, each subsequent decrease in the same UTC day can be performed at most once every {} \
             seconds. Number of decreases today: {}. Last decrease at {}. Next decrease can be made at {}",
            DECREASE_PAUSE_MS / 1_000,
            history.decreases_today(now_ms),
            long_time(history.last_decrease_ms.unwrap_or(now_ms)),
            long_time(next_ms)
        ),
    )
}

/// Auto-scaling where nothing scales.
pub(crate) fn nobody_scales() -> ServiceError {
    ServiceError::validation(
        "Auto scaling is not available here: `cairn dev` scales no table. On a cluster it is of the Table resource: \
         spec.autoScaling, and autoScaling of each of spec.globalSecondaryIndexes",
    )
}

/// Auto-scaling of a table that is on demand.
pub(crate) fn auto_scaling_on_demand() -> ServiceError {
    ServiceError::validation(
        "One or more parameter values were invalid: auto scaling can not be enabled when BillingMode is PAY_PER_REQUEST",
    )
}

/// As Java writes a time in full.
fn long_time(millis: u64) -> String {
    let timestamp = i64::try_from(millis).ok().and_then(|millis| Timestamp::from_millisecond(millis).ok());
    let text = timestamp.map(|timestamp| timestamp.strftime("%A, %B %-d, %Y at %-I:%M:%S %p").to_string());
    format!("{} Coordinated Universal Time", text.unwrap_or_else(|| millis.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_dynamodb_tells_them() {
        assert_eq!(long_time(1_791_505_294_000), "Friday, October 9, 2026 at 12:21:34 AM Coordinated Universal Time");
    }
}
