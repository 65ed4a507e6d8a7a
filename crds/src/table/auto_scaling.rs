//! `autoScaling` of a provisioned table and of each of its global indexes: by what the throughput follows the consumption, and
//! where it is. Who decides is the operator.

use super::{ProvisionedThroughput, Table, definition::DefinitionError, rules};
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
    /// Counted up, it has the throughput begin anew with provisionedThroughput, as a change of that does. UpdateTable counts it up
    /// whenever it sets units, for those may be what is declared already.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(range(min = 0))]
    pub restarts: i64,
}

fn is_zero(restarts: &i64) -> bool {
    *restarts == 0
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
    /// The `restarts` of the spec that it knows of.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub restarts: i64,
    /// When the units changed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_scaled_at: Option<Time>,
}

impl AutoScalingStatus {
    /// Whether it has yet to begin with what a spec declares, as often as that asks for it.
    fn begins_anew(&self, scaling: &AutoScaling, declared: ProvisionedThroughput) -> bool {
        self.restarts < scaling.restarts || self.began_with != declared
    }
}

impl Table {
    /// Whether auto-scaling has yet to begin anew with what the spec declares, of the table or of one of its indexes.
    pub fn scaling_begins_anew(&self) -> bool {
        let Some(status) = &self.status else { return false };
        let begins = |known: Option<&AutoScalingStatus>, scaling: Option<AutoScaling>, declared| {
            let asked = scaling.zip(declared);
            known.zip(asked).is_some_and(|(known, (scaling, declared))| known.begins_anew(&scaling, declared))
        };
        let mut indexes = self.spec.global_secondary_indexes.iter().flatten();
        begins(status.auto_scaling.as_ref(), self.spec.auto_scaling, self.spec.provisioned_throughput)
            || indexes.any(|index| {
                let mut entries = status.global_secondary_indexes.iter().filter(|entry| !entry.is_deleting());
                let entry = entries.find(|entry| entry.index_name == index.index_name);
                let known = entry.and_then(|entry| entry.auto_scaling.as_ref());
                begins(known, index.auto_scaling, index.provisioned_throughput)
            })
    }
}

impl AutoScaling {
    /// Of a table, or an index, whose units somebody sets now.
    #[must_use]
    pub(super) fn restarted(self) -> Self {
        Self { restarts: self.restarts.saturating_add(1), ..self }
    }

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
