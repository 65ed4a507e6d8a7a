//! What the two operations that restore a table have in common: the new table's name, and the overrides.

use super::{
    Call,
    create_table::{self, GLOBAL_INDEXES, GlobalIndexInput, LOCAL_INDEXES, LocalIndexInput},
};
use crate::{
    backups::RestoreTarget,
    errors,
    input::shape::Shape,
    validation::{
        constraints::{Constraints, table_name},
        on_demand::{ON_DEMAND_THROUGHPUT, OnDemandInput},
        throughput::{self, THROUGHPUT, ThroughputInput},
        unsupported::{Unsupported, refuse},
    },
};
use cairn_model::{ServiceError, table::BillingMode};
use serde::Deserialize;

/// The overrides' fields that are read, for the operations' [`crate::input::Input::FIELDS`].
pub(super) const BILLING_MODE_OVERRIDE: (&str, Shape) = ("BillingModeOverride", Shape::Text);
pub(super) const LOCAL_INDEX_OVERRIDE: (&str, Shape) = ("LocalSecondaryIndexOverride", LOCAL_INDEXES);
pub(super) const GLOBAL_INDEX_OVERRIDE: (&str, Shape) = ("GlobalSecondaryIndexOverride", GLOBAL_INDEXES);
pub(super) const PROVISIONED_THROUGHPUT_OVERRIDE: (&str, Shape) = ("ProvisionedThroughputOverride", THROUGHPUT);
pub(super) const ON_DEMAND_THROUGHPUT_OVERRIDE: (&str, Shape) = ("OnDemandThroughputOverride", ON_DEMAND_THROUGHPUT);

/// `TargetTableName` and the overrides, as a request has them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TargetInput {
    target_table_name: Option<String>,
    billing_mode_override: Option<String>,
    provisioned_throughput_override: Option<ThroughputInput>,
    global_secondary_index_override: Option<Vec<GlobalIndexInput>>,
    local_secondary_index_override: Option<Vec<LocalIndexInput>>,
    on_demand_throughput_override: Option<OnDemandInput>,
    #[serde(rename = "SSESpecificationOverride")]
    sse_specification_override: Option<Unsupported>,
    vector_index_override: Option<Unsupported>,
}

impl TargetInput {
    /// The constraints of the fields, but for the name's length, which is reported before everything else.
    pub(super) fn constrain(&self, constraints: &mut Constraints) -> Result<(), ServiceError> {
        constraints.required("targetTableName", self.target_table_name.is_some());
        if let Some(name) = &self.target_table_name {
            constraints.name_pattern("targetTableName", &table_name(Some(name.clone()))?);
        }
        throughput::constrain_billing_mode("billingModeOverride", self.billing_mode_override.as_deref(), constraints);
        if let Some(units) = &self.provisioned_throughput_override {
            units.constrain("provisionedThroughputOverride", constraints);
        }
        let indexes = self.global_secondary_index_override.as_deref();
        create_table::constrain_global_indexes("globalSecondaryIndexOverride", indexes, constraints);
        let indexes = self.local_secondary_index_override.as_deref();
        create_table::constrain_local_indexes("localSecondaryIndexOverride", indexes, constraints);
        Ok(())
    }

    /// After [`Self::constrain`] found nothing.
    pub(super) fn into_target(self) -> Result<RestoreTarget, ServiceError> {
        refuse([
            ("SSESpecificationOverride", &self.sse_specification_override),
            ("VectorIndexOverride", &self.vector_index_override),
        ])?;
        // Whether the new table may have maxima is known once its source is.
        let maxima = self.on_demand_throughput_override.as_ref();
        let maxima = maxima.map(|maxima| maxima.of_new(BillingMode::PayPerRequest, None));
        Ok(RestoreTarget {
            table_name: self.target_table_name.unwrap_or_default(),
            billing_mode: self.billing_mode_override.as_deref().map(throughput::billing_mode),
            provisioned_throughput: self.provisioned_throughput_override.map(|units| units.checked()).transpose()?,
            on_demand_throughput: maxima.transpose()?.flatten(),
            local_indexes: self.local_secondary_index_override.as_deref().map(create_table::overrides).transpose()?,
            global_indexes: self.global_secondary_index_override.map(create_table::global_overrides).transpose()?,
        })
    }
}

/// Whether the new table's name is nobody's.
pub(super) fn check_target_free(call: &Call<'_>, target: &RestoreTarget) -> Result<(), ServiceError> {
    match call.known_table(&target.table_name) {
        Some(table) => Err(errors::restore_target_taken(&table)),
        None => Ok(()),
    }
}
