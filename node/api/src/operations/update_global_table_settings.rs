//! UpdateGlobalTableSettings: refuses every setting, because no region here has a say in another's. UpdateTable changes them,
//! in each.

use super::{
    Call,
    global_table_description::{self, group, required_name},
    global_table_settings,
};
use crate::{
    errors,
    input::{self, Input, shape::Shape},
    validation::{constraints::Constraints, unsupported::Unsupported},
};
use cairn_model::ServiceError;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateGlobalTableSettingsInput {
    global_table_name: Option<String>,
    global_table_billing_mode: Option<Unsupported>,
    global_table_provisioned_write_capacity_units: Option<Unsupported>,
    global_table_provisioned_write_capacity_auto_scaling_settings_update: Option<Unsupported>,
    global_table_global_secondary_index_settings_update: Option<Unsupported>,
    replica_settings_update: Option<Vec<RegionSettings>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RegionSettings {
    region_name: Option<String>,
}

const REGION_SETTINGS: Shape = Shape::Struct("ReplicaSettingsUpdate", &[("RegionName", Shape::Text)]);

impl Input for UpdateGlobalTableSettingsInput {
    const FIELDS: &'static [(&'static str, Shape)] =
        &[("GlobalTableName", Shape::Text), ("ReplicaSettingsUpdate", Shape::List(&REGION_SETTINGS))];
}

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let input: UpdateGlobalTableSettingsInput = input::parse(call.body)?;
    let mut constraints = Constraints::default();
    let name = required_name(input.global_table_name, &mut constraints);
    let regions = input.replica_settings_update.as_deref();
    if regions.is_some_and(<[_]>::is_empty) {
        constraints.value("[]", "replicaSettingsUpdate", "Member must have length greater than or equal to 1");
    }
    for (position, region) in regions.unwrap_or_default().iter().enumerate() {
        let path = format!("replicaSettingsUpdate.{}.member.regionName", position + 1);
        constraints.required(&path, region.region_name.is_some());
    }
    constraints.finish()?;
    let (table, global) = global_table_description::find(call, &name)?;
    let group = group(call, &table, &global);
    let named = regions.unwrap_or_default().iter().filter_map(|region| region.region_name.as_ref());
    if let Some(stranger) = named.into_iter().find(|named| !group.iter().any(|replica| replica.region == **named)) {
        return Err(errors::replica_not_found(&name, stranger));
    }
    let settings = [
        ("GlobalTableBillingMode", input.global_table_billing_mode.is_some()),
        ("GlobalTableProvisionedWriteCapacityUnits", input.global_table_provisioned_write_capacity_units.is_some()),
        (
            "GlobalTableProvisionedWriteCapacityAutoScalingSettingsUpdate",
            input.global_table_provisioned_write_capacity_auto_scaling_settings_update.is_some(),
        ),
        (
            "GlobalTableGlobalSecondaryIndexSettingsUpdate",
            input.global_table_global_secondary_index_settings_update.is_some(),
        ),
        ("ReplicaSettingsUpdate", regions.is_some()),
    ];
    if let Some((setting, _)) = settings.into_iter().find(|(_, given)| *given) {
        return Err(ServiceError::validation(format!(
            "One or more parameter values were invalid: {setting} is not supported by Cairn: every region has its own \
             settings. Change them with UpdateTable, in each region"
        )));
    }
    Ok(global_table_settings::answer(call, &table, &global))
}
