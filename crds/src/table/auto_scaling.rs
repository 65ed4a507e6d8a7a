//! `autoScaling` of a provisioned table and of each of its global indexes: by what the throughput follows the consumption, and
//! where it is. Who decides is the operator.

use super::{ProvisionedThroughput, definition::DefinitionError, rules};
use crate::rules::json;
use cairn_model::table::BillingMode;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The percentages that DynamoDB takes as a target utilization.
const PERCENT_MIN: i64 = 20;
const PERCENT_MAX: i64 = 90;

/// What is not given stays as provisionedThroughput has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = json(rules::AUTO_SCALING)))]
pub struct AutoScaling {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<TargetTracking>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write: Option<TargetTracking>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = json(rules::TARGET_TRACKING)))]
pub struct TargetTracking {
    #[schemars(range(min = 1, max = 1_000_000_000_000_i64))]
    pub min_units: i64,
    #[schemars(range(min = 1, max = 1_000_000_000_000_i64))]
    pub max_units: i64,
    /// How much of the throughput is to be consumed, in the long run.
    #[serde(default = "default_percent")]
    #[schemars(range(min = 20, max = 90))]
    pub target_utilization_percent: i64,
    /// Whether the throughput only ever goes up.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disable_scale_in: bool,
}

/// As the console of DynamoDB has it.
fn default_percent() -> i64 {
    70
}

/// Where auto-scaling is. It wins over the spec's `provisionedThroughput`, until that is changed.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AutoScalingStatus {
    /// What the table, or the index, is to have.
    pub units: ProvisionedThroughput,
    /// The `provisionedThroughput` of the spec that it began with.
    pub began_with: ProvisionedThroughput,
    /// When the units changed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_scaled_at: Option<Time>,
}

impl AutoScaling {
    /// Checks again what the schema and its rules say.
    pub(super) fn check(&self, mode: BillingMode) -> Result<(), DefinitionError> {
        let is_valid = |tracking: &TargetTracking| {
            (1..=tracking.max_units).contains(&tracking.min_units)
                && (PERCENT_MIN..=PERCENT_MAX).contains(&tracking.target_utilization_percent)
        };
        if mode == BillingMode::Provisioned && [self.read, self.write].iter().flatten().all(is_valid) {
            Ok(())
        } else {
            Err(DefinitionError::AutoScaling)
        }
    }
}
