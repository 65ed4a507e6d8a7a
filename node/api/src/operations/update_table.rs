//! UpdateTable: billing mode, throughput and maxima, global indexes, deletion protection, table class, stream; or the replicas.

mod answered;
mod combination;
mod index_updates;

use super::{
    Call,
    create_table::{ATTRIBUTE_DEFINITION, AttributeDefinition, invalid, parse_table_class},
    replica_updates::{self, GROUP_UPDATES, GroupUpdate},
    table_description,
};
use crate::{
    GlobalIndexUpdate, TableUpdate, TableView, errors,
    input::{self, Input, fields::Flag, shape::Shape},
    validation::{
        constraints::{Constraints, table_name},
        on_demand::{ON_DEMAND_THROUGHPUT, OnDemandInput},
        references::resolve_table_arn,
        stream_specification::{STREAM_SPECIFICATION, StreamSpecificationInput, check_stream_change},
        throughput::{self, THROUGHPUT, ThroughputInput},
        unsupported::{Unsupported, refuse, refuse_empty_list},
        warm::{WARM_THROUGHPUT, WarmInput},
    },
};
use cairn_model::{
    ServiceError,
    ids::TableId,
    table::{BillingMode, ProvisionedThroughput, TableStatus},
    throughput::is_decrease,
};
use index_updates::{INDEX_UPDATES, IndexUpdateInput};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateTableInput {
    table_name: Option<String>,
    billing_mode: Option<String>,
    provisioned_throughput: Option<ThroughputInput>,
    table_class: Option<String>,
    deletion_protection_enabled: Option<Flag>,
    attribute_definitions: Option<Vec<AttributeDefinition>>,
    global_secondary_index_updates: Option<Vec<IndexUpdateInput>>,
    stream_specification: Option<StreamSpecificationInput>,
    #[serde(rename = "SSESpecification")]
    sse_specification: Option<Unsupported>,
    replica_updates: Option<Vec<GroupUpdate>>,
    multi_region_consistency: Option<String>,
    global_table_witness_updates: Option<Unsupported>,
    on_demand_throughput: Option<OnDemandInput>,
    warm_throughput: Option<WarmInput>,
    global_table_settings_replication_mode: Option<Unsupported>,
    disassociation_protection_enabled: Option<Unsupported>,
    vector_index_updates: Option<Unsupported>,
}

impl Input for UpdateTableInput {
    const FIELDS: &'static [(&'static str, Shape)] = &[
        ("AttributeDefinitions", Shape::List(&ATTRIBUTE_DEFINITION)),
        ("TableName", Shape::Text),
        ("ProvisionedThroughput", THROUGHPUT),
        ("GlobalSecondaryIndexUpdates", INDEX_UPDATES),
        ("OnDemandThroughput", ON_DEMAND_THROUGHPUT),
        ("WarmThroughput", WARM_THROUGHPUT),
        ("BillingMode", Shape::Text),
        ("TableClass", Shape::Text),
        ("DeletionProtectionEnabled", Shape::Flag),
        ("ReplicaUpdates", GROUP_UPDATES),
        ("MultiRegionConsistency", Shape::Text),
        ("StreamSpecification", STREAM_SPECIFICATION),
    ];
}

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let mut input: UpdateTableInput = input::parse(call.body)?;
    resolve_table_arn(call, &mut input.table_name)?;
    let name = table_name(input.table_name.take())?;
    input.constrain(&name)?;
    input.refuse_unsupported()?;
    let mut update = TableUpdate {
        billing_mode: input.billing_mode.as_deref().map(throughput::billing_mode),
        provisioned_throughput: input.provisioned_throughput.map(|units| units.checked()).transpose()?,
        on_demand_throughput: input.on_demand_throughput.as_ref().and_then(OnDemandInput::update),
        table_class: input.table_class.as_deref().map(parse_table_class).transpose()?,
        deletion_protection_enabled: input.deletion_protection_enabled.map(|flag| flag.0),
        stream: input.stream_specification.as_ref().map(StreamSpecificationInput::update).transpose()?,
        ..TableUpdate::default()
    };
    let warm = input.warm_throughput.filter(WarmInput::is_given);
    let index_updates = input.global_secondary_index_updates.take();
    let has_index_updates = index_updates.as_ref().is_some_and(|updates| !updates.is_empty());
    if let Some(updates) = &input.replica_updates {
        if update != TableUpdate::default() || warm.is_some() || has_index_updates {
            return Err(invalid("Requests that modify replicas or witnesses must not also modify other fields"));
        }
        return replica_updates::run(call, &name, updates, input.multi_region_consistency.as_deref()).await;
    }
    if update == TableUpdate::default() && warm.is_none() && !has_index_updates {
        // What asks for more was refused by name.
        if input.sse_specification.is_some() {
            return Err(invalid("Table is already encrypted by default"));
        }
        // What is there already is not asked for.
        let consistency = if input.multi_region_consistency.is_some() { "" } else { "MultiRegionConsistency, " };
        return Err(ServiceError::validation(format!(
            "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates, \
             SSESpecification, ReplicaUpdates, MultiAccountReplicaReady, ReplicaTransitRoleArn, \
             {consistency}DeletionProtectionEnabled, OnDemandThroughput, WarmThroughput or TableClass is required"
        )));
    }
    if update.billing_mode == Some(BillingMode::Provisioned) && update.provisioned_throughput.is_none() {
        return Err(ServiceError::validation(
            "One or more parameter values were invalid: ProvisionedThroughput must be specified when BillingMode is \
             PROVISIONED",
        ));
    }
    if update.billing_mode == Some(BillingMode::PayPerRequest) && update.provisioned_throughput.is_some() {
        return Err(ServiceError::validation(
            "One or more parameter values were invalid: ProvisionedThroughput cannot be specified when BillingMode is \
             PAY_PER_REQUEST",
        ));
    }
    refuse_empty_list("GlobalSecondaryIndexUpdates", index_updates.as_ref().map(Vec::is_empty))?;
    let index_updates = index_updates.unwrap_or_default();
    if has_index_updates {
        index_updates::check(&index_updates)?;
    }
    combination::check(&update, input.sse_specification.is_some(), warm.is_some(), &index_updates)?;
    if has_index_updates {
        index_updates::check_beside(&index_updates, &update)?;
    }
    let table = call.any_table(&name)?;
    check_change(&table, &update)?;
    let mode = update.billing_mode.unwrap_or(table.definition.billing_mode);
    if let Some(maxima) = &input.on_demand_throughput {
        maxima.check_update(mode, None)?;
    }
    update.warm_throughput = warm.map(|warm| warm.over_current(table.definition.warm(), None)).transpose()?;
    if table.status == TableStatus::Creating {
        return Err(errors::table_being_created(&name));
    }
    update.global_indexes = index_updates::resolve(index_updates, input.attribute_definitions, mode, &table)?;
    match table.status {
        TableStatus::Updating => return Err(errors::table_in_use(&name)),
        TableStatus::Deleting => return Err(errors::table_being_deleted(&name)),
        TableStatus::Active | TableStatus::Creating => {}
    }
    if let Some(stream) = update.stream {
        check_stream_change(&table.definition, stream)?;
    }
    check_decreases(call, &table, &update)?;
    let status = if update.is_updating() { TableStatus::Updating } else { TableStatus::Active };
    if update.table_class.is_some() {
        check_class(call, &table)?;
        // One that the table has is no update, and is not told of where it never was.
        update.table_class =
            update.table_class.filter(|class| *class != table.definition.table_class.unwrap_or_default());
    }
    let decreases = decreases_today(call, &table);
    let changed = call.catalog.update_table(call.account, &name, update).await?;
    let shown = answered::of_change(&table, &changed, status);
    Ok(table_description::changed(call, &shown, &call.index_counts(&changed).await, &decreases))
}

impl UpdateTableInput {
    fn constrain(&self, name: &str) -> Result<(), ServiceError> {
        let mut constraints = Constraints::default();
        for (position, definition) in self.attribute_definitions.iter().flatten().enumerate() {
            definition.constrain(&format!("attributeDefinitions.{}.member", position + 1), &mut constraints);
        }
        constraints.name_pattern("tableName", name);
        index_updates::constrain(self.global_secondary_index_updates.as_deref(), &mut constraints);
        if let Some(units) = &self.provisioned_throughput {
            units.constrain("provisionedThroughput", &mut constraints);
        }
        throughput::constrain_billing_mode("billingMode", self.billing_mode.as_deref(), &mut constraints);
        if let Some(stream) = &self.stream_specification {
            stream.constrain(&mut constraints);
        }
        let consistency = self.multi_region_consistency.as_deref();
        replica_updates::constrain(self.replica_updates.as_deref(), consistency, &mut constraints);
        constraints.finish()
    }

    fn refuse_unsupported(&self) -> Result<(), ServiceError> {
        refuse([
            ("SSESpecification", &self.sse_specification),
            ("GlobalTableWitnessUpdates", &self.global_table_witness_updates),
            ("GlobalTableSettingsReplicationMode", &self.global_table_settings_replication_mode),
            ("DisassociationProtectionEnabled", &self.disassociation_protection_enabled),
            ("VectorIndexUpdates", &self.vector_index_updates),
        ])
    }
}

/// Decreases of throughput, the table's and its indexes', against how often each went down before.
fn check_decreases(call: &Call<'_>, table: &TableView, update: &TableUpdate) -> Result<(), ServiceError> {
    check_decrease(call, table, update.provisioned_throughput)?;
    update.global_indexes.iter().try_for_each(|update| match update {
        GlobalIndexUpdate::Update { index_name, provisioned_throughput, .. } => {
            let mut indexes = table.global_indexes.iter();
            let index = indexes.find(|index| index.name() == index_name).ok_or_else(errors::internal)?;
            check_decrease(call, &index.table, *provisioned_throughput)
        }
        GlobalIndexUpdate::Create(_) | GlobalIndexUpdate::Delete { .. } => Ok(()),
    })
}

/// How often the throughput of a table, and of each of its indexes, went down today.
fn decreases_today(call: &Call<'_>, table: &TableView) -> BTreeMap<TableId, u64> {
    let now_ms = call.request_ids.environment.wall_ms();
    let indexes = table.global_indexes.iter().map(|index| index.table.as_ref());
    let today = |of: &TableView| call.catalog.throughput_history(of).decreases_today(now_ms);
    std::iter::once(table).chain(indexes).map(|of| (of.definition.table_id, today(of))).collect()
}

fn check_decrease(
    call: &Call<'_>,
    table: &TableView,
    requested: Option<ProvisionedThroughput>,
) -> Result<(), ServiceError> {
    let change = table.definition.provisioned_throughput.zip(requested);
    if !change.is_some_and(|(before, after)| is_decrease(before, after)) {
        return Ok(());
    }
    let now_ms = call.request_ids.environment.wall_ms();
    let history = call.catalog.throughput_history(table);
    history
        .next_decrease_ms(now_ms)
        .map_or(Ok(()), |next_ms| Err(errors::too_many_decreases(&history, now_ms, next_ms)))
}

/// Whether the class may be named: where it changed too often lately, DynamoDB refuses the one that the table has, too.
fn check_class(call: &Call<'_>, table: &TableView) -> Result<(), ServiceError> {
    let now_ms = call.request_ids.environment.wall_ms();
    let next_ms = call.catalog.table_class_history(table).next_update_ms(now_ms);
    next_ms.map_or(Ok(()), |_| Err(errors::too_many_class_updates()))
}

/// The throughput, against what the table is and will be.
fn check_change(table: &TableView, update: &TableUpdate) -> Result<(), ServiceError> {
    let definition = &table.definition;
    let billing_mode = update.billing_mode.unwrap_or(definition.billing_mode);
    let Some(requested) = update.provisioned_throughput else { return Ok(()) };
    if billing_mode == BillingMode::PayPerRequest {
        return Err(throughput::units_on_demand());
    }
    match definition.provisioned_throughput {
        Some(current) if current == requested && definition.billing_mode == BillingMode::Provisioned => {
            Err(ServiceError::validation(format!(
                "The provisioned throughput for the table will not change. The requested value equals the current \
                 value. Current ReadCapacityUnits provisioned for the table: {}. Requested ReadCapacityUnits: {}. \
                 Current WriteCapacityUnits provisioned for the table: {}. Requested WriteCapacityUnits: {}. Refer \
                 to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits.",
                current.read_capacity_units,
                requested.read_capacity_units,
                current.write_capacity_units,
                requested.write_capacity_units
            )))
        }
        _ => Ok(()),
    }
}
