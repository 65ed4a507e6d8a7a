//! UpdateTableReplicaAutoScaling: by what the throughput of this region's replica, and of its global indexes, is scaled. No region
//! here has a say in another's: what is given for all of them counts in this one.

use super::{
    Call,
    auto_scaling_description::{self, Scaled},
    create_table::invalid,
};
use crate::{
    TableView,
    auto_scaling::{AutoScalingUpdate, CapacityUpdates, TARGET_PERCENT_MAX, TARGET_PERCENT_MIN, TrackingUpdate},
    errors,
    input::{
        self, Input,
        fields::{Flag, Integer, Long},
        shape::Shape,
    },
    validation::{
        constraints::Constraints,
        references::required_table,
        throughput::UNITS_MAX,
        unsupported::{Unsupported, refuse, unsupported},
    },
};
use cairn_model::{
    ServiceError,
    table::{BillingMode, TableStatus},
    throttling::CapacityKind,
};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateTableReplicaAutoScalingInput {
    table_name: Option<String>,
    global_secondary_index_updates: Option<Vec<IndexWriteUpdate>>,
    provisioned_write_capacity_auto_scaling_update: Option<SettingsUpdate>,
    replica_updates: Option<Vec<ReplicaUpdate>>,
}

/// `GlobalSecondaryIndexAutoScalingUpdate`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct IndexWriteUpdate {
    index_name: Option<String>,
    provisioned_write_capacity_auto_scaling_update: Option<SettingsUpdate>,
}

/// `ReplicaAutoScalingUpdate`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ReplicaUpdate {
    region_name: Option<String>,
    replica_global_secondary_index_updates: Option<Vec<IndexReadUpdate>>,
    replica_provisioned_read_capacity_auto_scaling_update: Option<SettingsUpdate>,
}

/// `ReplicaGlobalSecondaryIndexAutoScalingUpdate`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct IndexReadUpdate {
    index_name: Option<String>,
    provisioned_read_capacity_auto_scaling_update: Option<SettingsUpdate>,
}

/// `AutoScalingSettingsUpdate`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SettingsUpdate {
    minimum_units: Option<Long>,
    maximum_units: Option<Long>,
    auto_scaling_disabled: Option<Flag>,
    auto_scaling_role_arn: Option<Unsupported>,
    scaling_policy_update: Option<PolicyUpdate>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PolicyUpdate {
    policy_name: Option<String>,
    target_tracking_scaling_policy_configuration: Option<Configuration>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Configuration {
    disable_scale_in: Option<Flag>,
    scale_in_cooldown: Option<Integer>,
    scale_out_cooldown: Option<Integer>,
    target_value: Option<f64>,
}

const CONFIGURATION: Shape = Shape::Struct(
    "AutoScalingTargetTrackingScalingPolicyConfigurationUpdate",
    &[
        ("DisableScaleIn", Shape::Flag),
        ("ScaleInCooldown", Shape::Integer),
        ("ScaleOutCooldown", Shape::Integer),
        ("TargetValue", Shape::Double),
    ],
);
const SETTINGS: Shape = Shape::Struct(
    "AutoScalingSettingsUpdate",
    &[
        ("MinimumUnits", Shape::Long),
        ("MaximumUnits", Shape::Long),
        ("AutoScalingDisabled", Shape::Flag),
        (
            "ScalingPolicyUpdate",
            Shape::Struct(
                "AutoScalingPolicyUpdate",
                &[("PolicyName", Shape::Text), ("TargetTrackingScalingPolicyConfiguration", CONFIGURATION)],
            ),
        ),
    ],
);
const INDEX_WRITE_UPDATE: Shape = Shape::Struct(
    "GlobalSecondaryIndexAutoScalingUpdate",
    &[("IndexName", Shape::Text), ("ProvisionedWriteCapacityAutoScalingUpdate", SETTINGS)],
);
const INDEX_READ_UPDATE: Shape = Shape::Struct(
    "ReplicaGlobalSecondaryIndexAutoScalingUpdate",
    &[("IndexName", Shape::Text), ("ProvisionedReadCapacityAutoScalingUpdate", SETTINGS)],
);
const REPLICA_UPDATE: Shape = Shape::Struct(
    "ReplicaAutoScalingUpdate",
    &[
        ("RegionName", Shape::Text),
        ("ReplicaGlobalSecondaryIndexUpdates", Shape::List(&INDEX_READ_UPDATE)),
        ("ReplicaProvisionedReadCapacityAutoScalingUpdate", SETTINGS),
    ],
);

impl Input for UpdateTableReplicaAutoScalingInput {
    const FIELDS: &'static [(&'static str, Shape)] = &[
        ("TableName", Shape::Text),
        ("GlobalSecondaryIndexUpdates", Shape::List(&INDEX_WRITE_UPDATE)),
        ("ProvisionedWriteCapacityAutoScalingUpdate", SETTINGS),
        ("ReplicaUpdates", Shape::List(&REPLICA_UPDATE)),
    ];
}

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let mut input: UpdateTableReplicaAutoScalingInput = input::parse(call.body)?;
    let mut constraints = Constraints::default();
    let name = required_table(call, input.table_name.take(), &mut constraints)?;
    input.constrain(&mut constraints);
    constraints.finish()?;
    let table = call.any_table(&name)?;
    input.check_regions(call, &table)?;
    let update = input.update(&table)?;
    if update == AutoScalingUpdate::default() {
        return Err(ServiceError::validation(
            "At least one of ProvisionedWriteCapacityAutoScalingUpdate, GlobalSecondaryIndexUpdates or ReplicaUpdates is \
             required",
        ));
    }
    match table.status {
        TableStatus::Creating => return Err(errors::table_being_created(&name)),
        TableStatus::Updating | TableStatus::Deleting => return Err(errors::table_in_use(&name)),
        TableStatus::Active => {}
    }
    if table.definition.billing_mode == BillingMode::PayPerRequest {
        return Err(errors::auto_scaling_on_demand());
    }
    let table = call.catalog.update_auto_scaling(call.account, &name, update).await?;
    Ok(auto_scaling_description::answer(call, &table))
}

impl UpdateTableReplicaAutoScalingInput {
    fn constrain(&self, constraints: &mut Constraints) {
        constrain_list("globalSecondaryIndexUpdates", self.global_secondary_index_updates.as_deref(), constraints);
        for (position, update) in self.global_secondary_index_updates.iter().flatten().enumerate() {
            let path = format!("globalSecondaryIndexUpdates.{}.member", position + 1);
            constrain_index(&path, update.index_name.as_deref(), constraints);
            let settings = update.provisioned_write_capacity_auto_scaling_update.as_ref();
            constrain_settings(&format!("{path}.provisionedWriteCapacityAutoScalingUpdate"), settings, constraints);
        }
        let settings = self.provisioned_write_capacity_auto_scaling_update.as_ref();
        constrain_settings("provisionedWriteCapacityAutoScalingUpdate", settings, constraints);
        constrain_list("replicaUpdates", self.replica_updates.as_deref(), constraints);
        for (position, update) in self.replica_updates.iter().flatten().enumerate() {
            let path = format!("replicaUpdates.{}.member", position + 1);
            constraints.required(&format!("{path}.regionName"), update.region_name.is_some());
            for (position, update) in update.replica_global_secondary_index_updates.iter().flatten().enumerate() {
                let path = format!("{path}.replicaGlobalSecondaryIndexUpdates.{}.member", position + 1);
                constrain_index(&path, update.index_name.as_deref(), constraints);
                let settings = update.provisioned_read_capacity_auto_scaling_update.as_ref();
                constrain_settings(&format!("{path}.provisionedReadCapacityAutoScalingUpdate"), settings, constraints);
            }
            let settings = update.replica_provisioned_read_capacity_auto_scaling_update.as_ref();
            let path = format!("{path}.replicaProvisionedReadCapacityAutoScalingUpdate");
            constrain_settings(&path, settings, constraints);
        }
    }

    fn check_regions(&self, call: &Call<'_>, table: &TableView) -> Result<(), ServiceError> {
        let regions = self.replica_updates.iter().flatten().filter_map(|update| update.region_name.as_deref());
        let Some(other) = regions.into_iter().find(|region| *region != call.region) else { return Ok(()) };
        match call.global_table(table).is_some_and(|global| global.replica(other).is_some()) {
            true => Err(ServiceError::validation(format!(
                "One or more parameter values were invalid: ReplicaUpdates of another region is not supported by Cairn: \
                 every region has its own settings. Change those of {other} there"
            ))),
            false => Err(errors::replica_not_found(&table.definition.table_name, other)),
        }
    }

    /// After [`Self::constrain`] found nothing.
    fn update(self, table: &TableView) -> Result<AutoScalingUpdate, ServiceError> {
        let table_name = table.definition.table_name.as_str();
        let mut update = AutoScalingUpdate::default();
        if let Some(settings) = self.provisioned_write_capacity_auto_scaling_update {
            update.table.write =
                Some(settings.update(Scaled { table_name, index_name: None, capacity: CapacityKind::Write })?);
        }
        for IndexWriteUpdate { index_name, provisioned_write_capacity_auto_scaling_update } in
            self.global_secondary_index_updates.unwrap_or_default()
        {
            let index_name = index_name.unwrap_or_default();
            let Some(settings) = provisioned_write_capacity_auto_scaling_update else { continue };
            let write =
                settings.update(Scaled { table_name, index_name: Some(&index_name), capacity: CapacityKind::Write })?;
            put_once(&mut of_index(&mut update.indexes, &index_name, table)?.write, write, &index_name)?;
        }
        for replica in self.replica_updates.unwrap_or_default() {
            if let Some(settings) = replica.replica_provisioned_read_capacity_auto_scaling_update {
                update.table.read =
                    Some(settings.update(Scaled { table_name, index_name: None, capacity: CapacityKind::Read })?);
            }
            for IndexReadUpdate { index_name, provisioned_read_capacity_auto_scaling_update } in
                replica.replica_global_secondary_index_updates.unwrap_or_default()
            {
                let index_name = index_name.unwrap_or_default();
                let Some(settings) = provisioned_read_capacity_auto_scaling_update else { continue };
                let read = settings.update(Scaled {
                    table_name,
                    index_name: Some(&index_name),
                    capacity: CapacityKind::Read,
                })?;
                put_once(&mut of_index(&mut update.indexes, &index_name, table)?.read, read, &index_name)?;
            }
        }
        Ok(update)
    }
}

fn constrain_list<T>(path: &str, list: Option<&[T]>, constraints: &mut Constraints) {
    if list.is_some_and(<[T]>::is_empty) {
        constraints.value("[]", path, "Member must have length greater than or equal to 1");
    }
}

fn constrain_index(path: &str, name: Option<&str>, constraints: &mut Constraints) {
    if let Some(name) = name {
        constraints.name_in_full(&format!("{path}.indexName"), name);
    }
}

fn constrain_settings(path: &str, settings: Option<&SettingsUpdate>, constraints: &mut Constraints) {
    let Some(settings) = settings else { return };
    constraints.at_least(&format!("{path}.minimumUnits"), settings.minimum_units.map(|units| units.0), 1);
    constraints.at_least(&format!("{path}.maximumUnits"), settings.maximum_units.map(|units| units.0), 1);
    let Some(policy) = &settings.scaling_policy_update else { return };
    let path = format!("{path}.scalingPolicyUpdate");
    constraints.length(&format!("{path}.policyName"), policy.policy_name.as_deref(), 1..=256);
    let path = format!("{path}.targetTrackingScalingPolicyConfiguration");
    let configuration = policy.target_tracking_scaling_policy_configuration.as_ref();
    constraints.required(&path, configuration.is_some());
    if let Some(configuration) = configuration {
        constraints.required(&format!("{path}.targetValue"), configuration.target_value.is_some());
    }
}

/// What becomes of an index that the table must have.
fn of_index<'u>(
    updates: &'u mut BTreeMap<String, CapacityUpdates>,
    index_name: &str,
    table: &TableView,
) -> Result<&'u mut CapacityUpdates, ServiceError> {
    if !table.definition.global_indexes.iter().any(|index| index.index_name == index_name) {
        return Err(errors::index_not_found(index_name, &table.definition.table_name));
    }
    Ok(updates.entry(index_name.to_owned()).or_default())
}

fn put_once(place: &mut Option<TrackingUpdate>, update: TrackingUpdate, index_name: &str) -> Result<(), ServiceError> {
    match place.replace(update) {
        None => Ok(()),
        Some(_) => Err(invalid(format_args!(
            "Only one global secondary index update per index is allowed simultaneously. Index: {index_name}"
        ))),
    }
}

impl SettingsUpdate {
    fn update(self, of: Scaled<'_>) -> Result<TrackingUpdate, ServiceError> {
        refuse([("AutoScalingRoleArn", &self.auto_scaling_role_arn)])?;
        if self.auto_scaling_disabled.is_some_and(|disabled| disabled.0) {
            return Ok(TrackingUpdate::Off);
        }
        let policy = self.scaling_policy_update;
        if let Some(name) = policy.as_ref().and_then(|policy| policy.policy_name.as_deref()) {
            let only = of.policy_name();
            if name != only {
                return Err(invalid(format_args!(
                    "PolicyName {name} is not supported by Cairn: the policy's name is {only}"
                )));
            }
        }
        let configuration = policy.and_then(|policy| policy.target_tracking_scaling_policy_configuration);
        let target_percent = configuration.as_ref().map(Configuration::target_percent).transpose()?;
        Ok(TrackingUpdate::On {
            min_units: units("MinimumUnits", self.minimum_units)?,
            max_units: units("MaximumUnits", self.maximum_units)?,
            target_percent,
            disable_scale_in: configuration.and_then(|configuration| configuration.disable_scale_in).map(|flag| flag.0),
        })
    }
}

impl Configuration {
    fn target_percent(&self) -> Result<u8, ServiceError> {
        for (name, cooldown) in
            [("ScaleInCooldown", self.scale_in_cooldown), ("ScaleOutCooldown", self.scale_out_cooldown)]
        {
            if cooldown.is_some_and(|seconds| seconds.0 != 0) {
                return Err(unsupported(name));
            }
        }
        let value = self.target_value.unwrap_or_default();
        let is_percent = (f64::from(TARGET_PERCENT_MIN)..=f64::from(TARGET_PERCENT_MAX)).contains(&value);
        if !is_percent || value.fract() != 0.0 {
            return Err(invalid(format_args!(
                "TargetValue {value} is out of bounds: it must be a whole number of percent, from {TARGET_PERCENT_MIN} to \
                 {TARGET_PERCENT_MAX}"
            )));
        }
        // It is in bounds.
        Ok(value as u8)
    }
}

/// After constraints found nothing.
fn units(name: &str, units: Option<Long>) -> Result<Option<u64>, ServiceError> {
    let Some(units) = units.map(|units| units.0) else { return Ok(None) };
    match u64::try_from(units) {
        Ok(valid) if units <= UNITS_MAX => Ok(Some(valid)),
        _ => Err(ServiceError::validation(format!("Given value {units} for {name} is out of bounds"))),
    }
}
