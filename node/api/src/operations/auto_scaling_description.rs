//! `TableAutoScalingDescription`: by what the throughput of this region's replica is scaled. A region's settings are its own, and
//! told there: here of the other regions nothing but how they stand.

use super::{
    Call,
    global_table_description::{group, own},
    table_description::status,
};
use crate::{
    IndexView, TableAutoScaling, TableView,
    auto_scaling::{AutoScaling, TargetTracking},
    output::Object,
};
use cairn_model::{table::BillingMode, throttling::CapacityKind};

/// What auto-scaling settings are of.
#[derive(Clone, Copy)]
pub(super) struct Scaled<'a> {
    pub(super) table_name: &'a str,
    /// None: of the table itself.
    pub(super) index_name: Option<&'a str>,
    pub(super) capacity: CapacityKind,
}

impl Scaled<'_> {
    /// The name that Application Auto Scaling's console gives a policy: the only one there is.
    pub(super) fn policy_name(&self) -> String {
        let capacity = match self.capacity {
            CapacityKind::Read => "Read",
            CapacityKind::Write => "Write",
        };
        let index = self.index_name.map(|index| format!("/index/{index}")).unwrap_or_default();
        format!("DynamoDB{capacity}CapacityUtilization:table/{}{index}", self.table_name)
    }
}

/// Writes the answer of an operation that returns nothing but this description.
pub(super) fn answer(call: &Call<'_>, table: &TableView) -> Vec<u8> {
    let replicas = match call.global_table(table) {
        Some(global) => group(call, table, &global),
        None => vec![own(call, table)],
    };
    let mut out = Vec::with_capacity(512);
    let mut answer = Object::begin(&mut out);
    let mut description = answer.object("TableAutoScalingDescription");
    description.text("TableName", &table.definition.table_name);
    description.text("TableStatus", status(table.status));
    description.list("Replicas", &replicas, |replica, out| {
        let mut object = Object::begin(out);
        object.text("RegionName", &replica.region);
        if replica.region == call.region {
            write_own(call, table, &mut object);
        }
        object.text("ReplicaStatus", replica.status.as_str());
        object.end();
    });
    description.end();
    answer.end();
    out
}

fn write_own(call: &Call<'_>, table: &TableView, object: &mut Object<'_>) {
    let settings = call.catalog.auto_scaling(table);
    object.list("GlobalSecondaryIndexes", &table.global_indexes, |index, out| {
        let mut object = Object::begin(out);
        write_index(table, index, &settings, &mut object);
        object.end();
    });
    write_table(table, &settings, object);
}

/// A replica's settings of the table itself, where it is provisioned.
pub(super) fn write_table(table: &TableView, settings: &TableAutoScaling, object: &mut Object<'_>) {
    if table.definition.billing_mode == BillingMode::Provisioned {
        write_settings("ReplicaProvisioned", settings.table, &table.definition.table_name, None, object);
    }
}

/// A replica's settings of one of the table's indexes, beside how that stands.
pub(super) fn write_index(table: &TableView, index: &IndexView, settings: &TableAutoScaling, object: &mut Object<'_>) {
    object.text("IndexName", index.name());
    object.text("IndexStatus", status(index.table.status));
    if table.definition.billing_mode == BillingMode::Provisioned {
        let scaling = settings.indexes.get(index.name()).copied().unwrap_or_default();
        write_settings("Provisioned", scaling, &table.definition.table_name, Some(index.name()), object);
    }
}

/// The two `AutoScalingSettingsDescription`; `prefix`: of their names.
fn write_settings(
    prefix: &str,
    scaling: AutoScaling,
    table_name: &str,
    index_name: Option<&str>,
    object: &mut Object<'_>,
) {
    for (name, capacity, tracking) in
        [("Read", CapacityKind::Read, scaling.read), ("Write", CapacityKind::Write, scaling.write)]
    {
        let mut settings = object.object(&format!("{prefix}{name}CapacityAutoScalingSettings"));
        match tracking {
            None => settings.literal("AutoScalingDisabled", true),
            Some(tracking) => {
                let policy_name = Scaled { table_name, index_name, capacity }.policy_name();
                write_tracking(tracking, &policy_name, &mut settings);
            }
        }
        settings.end();
    }
}

fn write_tracking(tracking: TargetTracking, policy_name: &str, settings: &mut Object<'_>) {
    settings.literal("MinimumUnits", tracking.min_units);
    settings.literal("MaximumUnits", tracking.max_units);
    settings.literal("AutoScalingDisabled", false);
    settings.list("ScalingPolicies", [tracking], |tracking, out| {
        let mut policy = Object::begin(out);
        policy.text("PolicyName", policy_name);
        let mut configuration = policy.object("TargetTrackingScalingPolicyConfiguration");
        configuration.literal("DisableScaleIn", tracking.disable_scale_in);
        configuration.literal("TargetValue", format_args!("{}.0", tracking.target_percent));
        configuration.end();
        policy.end();
    });
}
