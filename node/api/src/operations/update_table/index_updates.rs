//! `GlobalSecondaryIndexUpdates`: one index made or deleted, the throughput of others changed.

use crate::{
    GlobalIndexUpdate, TableUpdate, TableView, errors,
    input::shape::Shape,
    operations::create_table::{
        AttributeDefinition, Definitions, GLOBAL_INDEX_FIELDS, GlobalIndexInput, check_together, invalid,
    },
    validation::{
        constraints::Constraints,
        on_demand::{ON_DEMAND_THROUGHPUT, OnDemandInput},
        throughput::{THROUGHPUT, ThroughputInput},
        warm::{WARM_THROUGHPUT, WarmInput},
    },
};
use cairn_model::{
    ServiceError, TableDefinition,
    index::{GLOBAL_INDEXES_MAX, GlobalIndex, NewGlobalIndex},
    keys::Keys,
    table::{BillingMode, KeyAttribute, ProvisionedThroughput, TableStatus},
};
use serde::Deserialize;
use std::collections::BTreeSet;

/// `GlobalSecondaryIndexUpdate`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct IndexUpdateInput {
    create: Option<GlobalIndexInput>,
    update: Option<UpdateInput>,
    delete: Option<DeleteInput>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateInput {
    index_name: Option<String>,
    provisioned_throughput: Option<ThroughputInput>,
    on_demand_throughput: Option<OnDemandInput>,
    warm_throughput: Option<WarmInput>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DeleteInput {
    index_name: Option<String>,
}

const UPDATE: Shape = Shape::Struct(
    "UpdateGlobalSecondaryIndexAction",
    &[
        ("IndexName", Shape::Text),
        ("ProvisionedThroughput", THROUGHPUT),
        ("OnDemandThroughput", ON_DEMAND_THROUGHPUT),
        ("WarmThroughput", WARM_THROUGHPUT),
    ],
);
const INDEX_UPDATE: Shape = Shape::Struct(
    "GlobalSecondaryIndexUpdate",
    &[
        ("Update", UPDATE),
        ("Create", Shape::Struct("CreateGlobalSecondaryIndexAction", GLOBAL_INDEX_FIELDS)),
        ("Delete", Shape::Struct("DeleteGlobalSecondaryIndexAction", &[("IndexName", Shape::Text)])),
    ],
);
pub(super) const INDEX_UPDATES: Shape = Shape::List(&INDEX_UPDATE);

pub(super) fn constrain(updates: Option<&[IndexUpdateInput]>, constraints: &mut Constraints) {
    for (position, update) in updates.unwrap_or_default().iter().enumerate() {
        let of = |member: &str| format!("globalSecondaryIndexUpdates.{}.member.{member}", position + 1);
        let name = |action: &str, name: Option<&str>, constraints: &mut Constraints| {
            let path = format!("{}.indexName", of(action));
            match name {
                Some(name) => constraints.name_in_full(&path, name),
                None => constraints.required(&path, false),
            }
        };
        if let Some(update) = &update.update {
            name("update", update.index_name.as_deref(), constraints);
            if let Some(units) = &update.provisioned_throughput {
                units.constrain(&of("update.provisionedThroughput"), constraints);
            }
        }
        if let Some(index) = &update.create {
            index.constrain(&of("create"), constraints);
        }
        if let Some(delete) = &update.delete {
            name("delete", delete.index_name.as_deref(), constraints);
        }
    }
}

impl IndexUpdateInput {
    /// Of one that has an action.
    fn name(&self) -> &str {
        let update = self.update.as_ref().and_then(|update| update.index_name.as_deref());
        let delete = self.delete.as_ref().and_then(|delete| delete.index_name.as_deref());
        update.or(delete).or(self.create.as_ref().map(GlobalIndexInput::name)).unwrap_or_default()
    }

    pub(super) fn makes(&self) -> bool {
        self.create.is_some()
    }

    /// Whether it makes an index or deletes one.
    fn is_online(&self) -> bool {
        self.create.is_some() || self.delete.is_some()
    }
}

/// Whether the updates are right for themselves.
pub(super) fn check(updates: &[IndexUpdateInput]) -> Result<(), ServiceError> {
    let mut names = BTreeSet::new();
    for update in updates {
        match [update.update.is_some(), update.create.is_some(), update.delete.is_some()]
            .iter()
            .filter(|is| **is)
            .count()
        {
            0 => {
                return Err(invalid(
                    "One of GlobalSecondaryIndexUpdate.Update, GlobalSecondaryIndexUpdate.Create, \
                     GlobalSecondaryIndexUpdate.Delete must not be null",
                ));
            }
            1 => {}
            _ => {
                return Err(invalid(
                    "Only one global secondary index action is allowed per GlobalSecondaryIndexUpdate object",
                ));
            }
        }
        let is_empty = |update: &UpdateInput| update.warm_throughput.is_some_and(|warm| !warm.is_given());
        if update.update.as_ref().is_some_and(is_empty) {
            return Err(invalid(format_args!(
                "WarmThroughput must have at least one of ReadUnitsPerSecond or WriteUnitsPerSecond specified for index: {}",
                update.name()
            )));
        }
        if !names.insert(update.name()) {
            return Err(invalid(format_args!(
                "Only one global secondary index update per index is allowed simultaneously. Index: {}",
                update.name()
            )));
        }
    }
    Ok(())
}

/// Whether they are right beside `other`, the rest of the request.
pub(super) fn check_beside(updates: &[IndexUpdateInput], other: &TableUpdate) -> Result<(), ServiceError> {
    if updates.iter().any(IndexUpdateInput::is_online) {
        if other.provisioned_throughput.is_some() && other.billing_mode.is_none() {
            return Err(invalid("You cannot create or delete index while updating table IOPS"));
        }
        if other.stream.is_some() {
            return Err(invalid("You cannot create or delete index while changing stream status"));
        }
    }
    Ok(())
}

/// What becomes of the table's indexes, against what they are; `mode` is what the table has afterwards.
pub(super) fn resolve(
    updates: Vec<IndexUpdateInput>,
    definitions: Option<Vec<AttributeDefinition>>,
    mode: BillingMode,
    table: &TableView,
) -> Result<Vec<GlobalIndexUpdate>, ServiceError> {
    check_online(&updates, table)?;
    let definitions = definitions.map(Definitions);
    let mut resolved = Vec::with_capacity(updates.len());
    for IndexUpdateInput { create, update, delete } in updates {
        if let Some(index) = create {
            let index = new_index(index, definitions.as_ref(), mode, table)?;
            resolved.push(GlobalIndexUpdate::Create(index));
        }
        if let Some(update) = update {
            resolved.push(update.resolve(mode, table)?);
        }
        if let Some(DeleteInput { index_name }) = delete {
            let index_name = index_name.unwrap_or_default();
            find("delete", &index_name, table)?;
            resolved.push(GlobalIndexUpdate::Delete { index_name });
        }
    }
    check_mode(&resolved, mode, table)?;
    Ok(resolved)
}

/// That no more than one index is made or deleted, and while no other is. One that is being made can be deleted.
fn check_online(updates: &[IndexUpdateInput], table: &TableView) -> Result<(), ServiceError> {
    let online: Vec<&IndexUpdateInput> = updates.iter().filter(|update| update.is_online()).collect();
    let update = match online.as_slice() {
        [] => return Ok(()),
        [update] => update,
        _ => return Err(errors::one_index_at_a_time()),
    };
    let mut changing = table
        .global_indexes
        .iter()
        .filter(|index| matches!(index.table.status, TableStatus::Creating | TableStatus::Deleting));
    let Some(index) = changing.next() else { return Ok(()) };
    let (name, table_name) = (update.name(), table.definition.table_name.as_str());
    let is_itself = update.delete.is_some() && index.name() == name && changing.next().is_none();
    match index.table.status {
        _ if !is_itself => Err(errors::one_index_at_a_time()),
        TableStatus::Creating if index.backfilling => Ok(()),
        TableStatus::Creating => Err(errors::index_being_allocated(name, table_name)),
        status => Err(errors::index_in_use(status, name, table_name)),
    }
}

/// The table's global index of this name.
fn find<'t>(action: &str, name: &str, table: &'t TableView) -> Result<&'t GlobalIndex, ServiceError> {
    let definition = &table.definition;
    if definition.local_indexes.iter().any(|index| index.index_name == name) {
        return Err(ServiceError::validation(format!(
            "Cannot {action} an index that is not a GlobalSecondaryIndex: {name}"
        )));
    }
    let found = definition.global_indexes.iter().find(|index| index.index_name == name);
    found.ok_or_else(|| errors::index_not_found(name, &definition.table_name))
}

fn new_index(
    index: GlobalIndexInput,
    definitions: Option<&Definitions>,
    mode: BillingMode,
    table: &TableView,
) -> Result<NewGlobalIndex, ServiceError> {
    let definition = &table.definition;
    let name = index.name();
    let is_local = definition.local_indexes.iter().any(|local| local.index_name == name);
    if is_local || definition.global_indexes.iter().any(|global| global.index_name == name) {
        return Err(errors::index_exists());
    }
    let definitions =
        definitions.ok_or_else(|| invalid(format_args!("AttributeDefinitions is not specified for index: {name}")))?;
    index.check_structure()?;
    definitions.check_index_keys(index.key_schema())?;
    let units = match (mode, index.provisioned_throughput()) {
        (BillingMode::PayPerRequest, Some(_)) => {
            return Err(invalid(format_args!(
                "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified for index: {name} when BillingMode is \
                 PAY_PER_REQUEST"
            )));
        }
        (BillingMode::PayPerRequest, None) => None,
        (BillingMode::Provisioned, units) => Some(units.ok_or_else(|| units_missing(name))?.checked()?),
    };
    if definition.global_indexes.len() >= GLOBAL_INDEXES_MAX {
        return Err(errors::too_many_global_indexes());
    }
    let index = index.into_index(mode, units, |name| definitions.attribute(name))?;
    check_types(definition, index.key_schema.keys())?;
    let local = definition.local_indexes.iter().map(|local| &local.projection);
    let global = definition.global_indexes.iter().map(|global| &global.projection);
    check_together(local.chain(global).chain([&index.projection]))?;
    Ok(index)
}

/// That an attribute which is a key already has the type that it has there. Of what else the request defines DynamoDB takes no notice.
fn check_types(table: &TableDefinition, index: Keys<'_>) -> Result<(), ServiceError> {
    let of_local = table.local_indexes.iter().map(|local| local.keys(&table.key_schema));
    let of_global = table.global_indexes.iter().map(|global| global.key_schema.keys());
    let mut others = std::iter::once(table.key_schema.keys()).chain(of_local).chain(of_global);
    let differ =
        |one: &KeyAttribute, other: &KeyAttribute| one.name == other.name && one.scalar_type != other.scalar_type;
    let clash = others.find(|keys| keys.attributes().any(|one| index.attributes().any(|other| differ(one, other))));
    clash.map_or(Ok(()), |existing| Err(errors::attributes_redefined(existing, index)))
}

fn units_missing(index_name: &str) -> ServiceError {
    invalid(format_args!("Both ReadCapacityUnits and WriteCapacityUnits must be specified for index: {index_name}"))
}

impl UpdateInput {
    fn resolve(self, mode: BillingMode, table: &TableView) -> Result<GlobalIndexUpdate, ServiceError> {
        let index_name = self.index_name.unwrap_or_default();
        let requested = self.provisioned_throughput.map(|units| units.checked()).transpose().map_err(|_| {
            ServiceError::validation(
                "This operation cannot be performed with given input values. Please contact DynamoDB service team for \
                 more info: Action Blocked: IndexUpdate",
            )
        })?;
        let table_name = &table.definition.table_name;
        let view = table.global_indexes.iter().find(|view| view.name() == index_name);
        if let Some(view) = view.filter(|view| view.table.status != TableStatus::Active) {
            return Err(errors::index_in_use(view.table.status, &index_name, table_name));
        }
        let index = find("update", &index_name, table)?;
        if let Some(maxima) = &self.on_demand_throughput {
            maxima.check_update(mode, Some(&index_name))?;
        }
        let maxima = self.on_demand_throughput.as_ref().and_then(OnDemandInput::update);
        let warm = self.warm_throughput.map(|warm| warm.over_current(index.warm(), Some(&index_name))).transpose()?;
        let stays = table.definition.billing_mode == mode;
        match (mode, requested) {
            (BillingMode::Provisioned, Some(requested)) => check_units(index, requested, table)?,
            (BillingMode::Provisioned, None) if warm.is_some() && stays => {}
            (BillingMode::Provisioned, None) => return Err(units_missing(&index_name)),
            (BillingMode::PayPerRequest, None) if maxima.is_some() || warm.is_some() => {}
            (BillingMode::PayPerRequest, _) => {
                return Err(invalid(format_args!(
                    "The only Updates for index: {index_name} when TableThroughputMode is PAY_PER_REQUEST can be to \
                     OnDemandThroughput, WarmThroughput"
                )));
            }
        }
        Ok(GlobalIndexUpdate::Update {
            index_name,
            provisioned_throughput: requested,
            on_demand_throughput: maxima,
            warm_throughput: warm,
        })
    }
}

fn check_units(index: &GlobalIndex, requested: ProvisionedThroughput, table: &TableView) -> Result<(), ServiceError> {
    match index.provisioned_throughput {
        Some(current) if current == requested && table.definition.billing_mode == BillingMode::Provisioned => {
            Err(errors::index_units_stay(&index.index_name, current, requested))
        }
        _ => Ok(()),
    }
}

/// That every index has a throughput once the table is PROVISIONED.
fn check_mode(updates: &[GlobalIndexUpdate], mode: BillingMode, table: &TableView) -> Result<(), ServiceError> {
    if mode != BillingMode::Provisioned || table.definition.billing_mode == mode {
        return Ok(());
    }
    let is_updated = |index: &&GlobalIndex| {
        updates.iter().any(|update| match update {
            GlobalIndexUpdate::Update { index_name, .. } | GlobalIndexUpdate::Delete { index_name } => {
                *index_name == index.index_name
            }
            GlobalIndexUpdate::Create(_) => false,
        })
    };
    let missing: Vec<&str> = table
        .definition
        .global_indexes
        .iter()
        .filter(|index| !is_updated(index))
        .map(|index| index.index_name.as_str())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(invalid(format_args!("ProvisionedThroughput must be specified for index: {}", missing.join(","))))
}
