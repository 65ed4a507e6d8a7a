//! Auto-scaling, which lies in the `Table` resource: as the field manager `cairn-api`, what it owns and nothing else.

use super::{KubernetesCatalog, change, indexes, tags};
use crate::router::writes::{answered, denied, other_field_owner};
use cairn_api::{
    AutoScalingUpdate, TableAutoScaling, TableView,
    auto_scaling::{AutoScaling, TargetTracking},
    errors,
};
use cairn_crds::{Table, TableSpec, table};
use cairn_model::{ServiceError, table::TableStatus};
use kube::ResourceExt;
use serde_json::json;

impl KubernetesCatalog {
    /// Changes the auto-scaling of the resource as it is now at the API server.
    pub(super) async fn change_auto_scaling(
        &self,
        account: &str,
        name: &str,
        update: &AutoScalingUpdate,
    ) -> Result<TableView, ServiceError> {
        let known = self.own(account, name)?;
        let found = answered(self.api(account).get_opt(&known.name_any())).await?;
        let resource = found.ok_or_else(|| errors::table_not_found(name))?;
        self.writes.check_owner(&resource, name)?;
        let view = self.tables.describe(&resource)?;
        match view.status {
            TableStatus::Creating => return Err(errors::table_being_created(name)),
            TableStatus::Updating | TableStatus::Deleting => return Err(errors::table_in_use(name)),
            TableStatus::Active => {}
        }
        let before = settings(&resource.spec);
        let after = update.apply(before.clone())?;
        if after == before {
            return Ok(view);
        }
        check_owners(&resource, name, &before, &after)?;
        let mut spec = resource.spec.clone();
        set(&mut spec, &after);
        indexes::leave_to_others(&resource, &mut spec);
        tags::leave_to_others(&resource, &mut spec);
        let asked = self.tables.moment();
        let updated = self.apply(&change(&resource, spec)).await?;
        let view = self.tables.describe(&updated)?;
        self.tables.answer(updated, asked);
        Ok(view)
    }
}

/// What a spec says of it.
pub(super) fn settings(spec: &TableSpec) -> TableAutoScaling {
    let indexes = spec.global_secondary_indexes.iter().flatten();
    let indexes = indexes.filter_map(|index| Some((index.index_name.clone(), from_spec(index.auto_scaling?))));
    TableAutoScaling { table: spec.auto_scaling.map(from_spec).unwrap_or_default(), indexes: indexes.collect() }
}

fn set(spec: &mut TableSpec, settings: &TableAutoScaling) {
    spec.auto_scaling = to_spec(settings.table, spec.auto_scaling);
    for index in spec.global_secondary_indexes.iter_mut().flatten() {
        let scaling = settings.indexes.get(&index.index_name).copied().unwrap_or_default();
        index.auto_scaling = to_spec(scaling, index.auto_scaling);
    }
}

fn from_spec(scaling: table::AutoScaling) -> AutoScaling {
    let tracking = |tracking: table::TargetTracking| TargetTracking {
        min_units: u64::try_from(tracking.min_units).unwrap_or_default(),
        max_units: u64::try_from(tracking.max_units).unwrap_or_default(),
        target_percent: u8::try_from(tracking.target_utilization_percent).unwrap_or_default(),
        disable_scale_in: tracking.disable_scale_in,
    };
    AutoScaling { read: scaling.read.map(tracking), write: scaling.write.map(tracking) }
}

fn to_spec(scaling: AutoScaling, before: Option<table::AutoScaling>) -> Option<table::AutoScaling> {
    let tracking = |tracking: TargetTracking| table::TargetTracking {
        min_units: i64::try_from(tracking.min_units).unwrap_or(i64::MAX),
        max_units: i64::try_from(tracking.max_units).unwrap_or(i64::MAX),
        target_utilization_percent: i64::from(tracking.target_percent),
        disable_scale_in: tracking.disable_scale_in,
    };
    let restarts = before.map(|before| before.restarts).unwrap_or_default();
    let scaled = table::AutoScaling { read: scaling.read.map(tracking), write: scaling.write.map(tracking), restarts };
    (scaled.read.is_some() || scaled.write.is_some()).then_some(scaled)
}

/// What is switched off would stay as long as another manager has it there.
fn check_owners(
    resource: &Table,
    name: &str,
    before: &TableAutoScaling,
    after: &TableAutoScaling,
) -> Result<(), ServiceError> {
    let check = |of: &[&str], before: AutoScaling, after: AutoScaling| {
        let gone = [("f:read", before.read, after.read), ("f:write", before.write, after.write)];
        let mut gone = gone.into_iter().filter(|(_, before, after)| before.is_some() && after.is_none());
        let owner = gone.find_map(|(field, ..)| other_field_owner(resource, &[of, &["f:autoScaling", field]].concat()));
        owner.map_or(Ok(()), |owner| {
            Err(denied(&format!("The auto scaling of Table {name} is managed by {owner}: change it there")))
        })
    };
    check(&[], before.table, after.table)?;
    before.indexes.iter().try_for_each(|(index, before)| {
        let key = format!("k:{}", json!({"indexName": index}));
        let after = after.indexes.get(index).copied().unwrap_or_default();
        check(&["f:globalSecondaryIndexes", &key], *before, after)
    })
}
