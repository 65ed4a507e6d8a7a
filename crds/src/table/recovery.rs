//! Point-in-time recovery of a Table: what its spec asks for, and what its status says of it.

use super::definition::DefinitionError;
use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// For how many days a table's past is kept where nothing is said of it, and at most.
pub const RECOVERY_PERIOD_DAYS_MAX: u16 = 35;

/// Point-in-time recovery, as it is asked for.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContinuousBackups {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub point_in_time_recovery_enabled: Option<bool>,
    /// For how long the table's past is kept; 35 where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 35))]
    pub recovery_period_in_days: Option<i64>,
}

/// Point-in-time recovery, as it really is.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContinuousBackupsStatus {
    /// Since when it is on without a break.
    pub enabled_at: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earliest_restorable_date_time: Option<Time>,
    /// Written down about once a minute; DescribeContinuousBackups has it to the second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest_restorable_date_time: Option<Time>,
    /// What can be restored, where it is more than one span: something between them is missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub windows: Vec<RestorableWindow>,
}

/// Both inclusive.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestorableWindow {
    pub earliest: Time,
    pub latest: Time,
}

impl ContinuousBackups {
    /// For how many days the past is to be kept; none while recovery is not to be on.
    pub fn period_days(&self) -> Result<Option<u16>, DefinitionError> {
        if self.point_in_time_recovery_enabled != Some(true) {
            return Ok(None);
        }
        let days = self.recovery_period_in_days.unwrap_or_else(|| RECOVERY_PERIOD_DAYS_MAX.into());
        let days = u16::try_from(days).ok().filter(|days| (1..=RECOVERY_PERIOD_DAYS_MAX).contains(days));
        days.map(Some).ok_or(DefinitionError::RecoveryPeriod)
    }

    /// What asks for recovery to be on with this period, or to be off.
    pub fn of_period(days: Option<u16>) -> Self {
        Self { point_in_time_recovery_enabled: Some(days.is_some()), recovery_period_in_days: days.map(i64::from) }
    }
}

/// The second that a moment is in: a resource's times have whole seconds.
pub fn time_of_millis(millis: u64) -> Time {
    let seconds = i64::try_from(millis / 1_000).unwrap_or(i64::MAX);
    Time(jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX))
}

/// Milliseconds since the Unix epoch; 0 for a time before it.
pub fn millis_of_time(time: &Time) -> u64 {
    u64::try_from(time.0.as_millisecond()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recovery_is_kept_for_35_days_where_nothing_is_said() {
        let of = |yaml: &str| serde_yaml_ng::from_str::<ContinuousBackups>(yaml).unwrap().period_days();
        assert_eq!(of("{}"), Ok(None));
        assert_eq!(of("{pointInTimeRecoveryEnabled: false, recoveryPeriodInDays: 7}"), Ok(None));
        assert_eq!(of("{pointInTimeRecoveryEnabled: true}"), Ok(Some(35)));
        assert_eq!(of("{pointInTimeRecoveryEnabled: true, recoveryPeriodInDays: 7}"), Ok(Some(7)));
        let beyond = of("{pointInTimeRecoveryEnabled: true, recoveryPeriodInDays: 36}");
        assert_eq!(beyond, Err(DefinitionError::RecoveryPeriod));
    }
}
