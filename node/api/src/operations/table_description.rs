//! `TableDescription`: the same for a table however it was made.

use super::{
    Call, global_table_description::write_replicas, index_description::write_descriptions, stream::stream_arn,
};
use crate::{TableView, output::Object};
use cairn_model::{
    TableDefinition,
    ids::TableId,
    keys::Keys,
    node::Counts,
    stream::label,
    table::{
        BillingMode, KeyAttribute, OnDemandThroughput, ProvisionedThroughput, ScalarType, TableClass, TableStatus,
    },
};
use std::collections::BTreeMap;

/// Writes the answer of an operation that returns nothing but a table's description, in the field `name`. Of the counts, those of
/// the local indexes are shown.
pub(super) fn answer(call: &Call<'_>, name: &str, table: &TableView, counts: &Counts) -> Vec<u8> {
    answer_in(Extent::Whole, call, name, table, counts)
}

/// CreateTable's answer.
pub(super) fn created(call: &Call<'_>, table: &TableView) -> Vec<u8> {
    answer_in(Extent::Created, call, "TableDescription", table, &Counts::of_new(&table.definition))
}

/// UpdateTable's answer. How often throughput went down today is told as it was before, by table and by index (measured).
pub(super) fn changed(
    call: &Call<'_>,
    table: &TableView,
    counts: &Counts,
    decreases_before: &BTreeMap<TableId, u64>,
) -> Vec<u8> {
    answer_in(Extent::Changed(decreases_before), call, "TableDescription", table, counts)
}

/// DeleteTable's answer.
pub(super) fn deleted(call: &Call<'_>, table: &TableView) -> Vec<u8> {
    answer_in(Extent::Deleted, call, "TableDescription", table, &Counts::of_new(&table.definition))
}

/// How much of a table is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent<'t> {
    Whole,
    /// All of it, with how often throughput went down before.
    Changed(&'t BTreeMap<TableId, u64>),
    /// What is not asked for is not told of `WarmThroughput`.
    Created,
    /// Neither the keys nor the indexes, nor when it was made.
    Deleted,
}

impl Extent<'_> {
    pub(super) fn is_whole(self) -> bool {
        matches!(self, Self::Whole | Self::Changed(_))
    }
}

fn answer_in(extent: Extent<'_>, call: &Call<'_>, name: &str, table: &TableView, counts: &Counts) -> Vec<u8> {
    let mut out = Vec::with_capacity(1_024);
    let mut answer = Object::begin(&mut out);
    write(extent, call, table, counts, answer.field(name));
    answer.end();
    out
}

/// The version of global tables that these are.
const GLOBAL_TABLE_VERSION: &str = "2019.11.21";

fn write(extent: Extent<'_>, call: &Call<'_>, table: &TableView, counts: &Counts, out: &mut Vec<u8>) {
    let definition = &table.definition;
    let global = call.global_table(table);
    let now_ms = call.request_ids.environment.wall_ms();
    let mut description = Object::begin(out);
    description.text("TableName", &definition.table_name);
    if extent != Extent::Deleted {
        write_attribute_definitions(definition, &mut description);
        write_key_schema(definition.key_schema.keys(), &mut description);
        description.timestamp("CreationDateTime", definition.creation_time_ms);
        write_descriptions(extent, call, table, counts, &mut description);
    }
    let changing = table.status == TableStatus::Active && global.as_ref().is_some_and(|global| global.changing);
    description.text("TableStatus", status(if changing { TableStatus::Updating } else { table.status }));
    write_throughput(extent, call, table, &mut description);
    description.literal("TableSizeBytes", table.size_bytes);
    description.literal("ItemCount", table.item_count);
    description.text("TableArn", &table.arn);
    description.text("TableId", &definition.table_id.to_string());
    write_billing_mode(call, table, &mut description);
    if let Some(maxima) = definition.on_demand_throughput {
        write_on_demand_throughput(maxima, &mut description);
    }
    if extent.is_whole() || (extent == Extent::Created && definition.warm_throughput.is_some()) {
        write_warm_throughput(table, &mut description);
    }
    write_table_class(call, "TableClassSummary", table, &mut description);
    if let Some(stream) = definition.current_stream() {
        let mut specification = description.object("StreamSpecification");
        specification.literal("StreamEnabled", true);
        specification.text("StreamViewType", stream.view_type.name());
        specification.end();
    }
    // One that was disabled is told of for as long as it can be read.
    if let Some((latest, _)) = definition.readable_streams(now_ms).next_back() {
        description.text("LatestStreamLabel", &label(latest.enabled_at_ms));
        description.text("LatestStreamArn", &stream_arn(table, latest));
    }
    if let Some(global) = &global {
        description.text("GlobalTableVersion", GLOBAL_TABLE_VERSION);
        write_replicas("Replicas", &global.replicas, &mut description);
    }
    if let Some(from) = &definition.restored_from {
        let mut summary = description.object("RestoreSummary");
        if let Some(arn) = &from.source_backup_arn {
            summary.text("SourceBackupArn", arn);
        }
        if let Some(arn) = &from.source_table_arn {
            summary.text("SourceTableArn", arn);
        }
        summary.timestamp("RestoreDateTime", from.restore_time_ms);
        summary.literal("RestoreInProgress", table.status == TableStatus::Creating);
        summary.end();
    }
    description.literal("DeletionProtectionEnabled", definition.deletion_protection_enabled);
    description.end();
}

/// The field `BillingModeSummary`: DynamoDB leaves it out of a table that was never on demand.
fn write_billing_mode(call: &Call<'_>, table: &TableView, description: &mut Object<'_>) {
    let definition = &table.definition;
    let (mode, made_so_ms) = match definition.billing_mode {
        BillingMode::PayPerRequest => ("PAY_PER_REQUEST", Some(definition.creation_time_ms)),
        BillingMode::Provisioned => ("PROVISIONED", None),
    };
    let Some(since_ms) = call.catalog.throughput_history(table).last_on_demand_ms.or(made_so_ms) else { return };
    let mut summary = description.object("BillingModeSummary");
    summary.text("BillingMode", mode);
    if table.status != TableStatus::Creating {
        summary.timestamp("LastUpdateToPayPerRequestDateTime", since_ms);
    }
    summary.end();
}

/// A `TableClassSummary` in the field `name`: of a table that was given a class.
pub(super) fn write_table_class(call: &Call<'_>, name: &str, table: &TableView, object: &mut Object<'_>) {
    let Some(class) = table.definition.table_class else { return };
    let mut summary = object.object(name);
    summary.text("TableClass", table_class(class));
    if let Some(time_ms) = call.catalog.table_class_history(table).updated_to_ms(class) {
        summary.timestamp("LastUpdateDateTime", time_ms);
    }
    summary.end();
}

/// The field `ProvisionedThroughput`: of a table, or of a global index as one.
pub(super) fn write_throughput(extent: Extent<'_>, call: &Call<'_>, table: &TableView, description: &mut Object<'_>) {
    let history = call.catalog.throughput_history(table);
    let throughput = table
        .definition
        .provisioned_throughput
        .unwrap_or(ProvisionedThroughput { read_capacity_units: 0, write_capacity_units: 0 });
    let mut provisioned = description.object("ProvisionedThroughput");
    if let Some(time_ms) = history.last_increase_ms {
        provisioned.timestamp("LastIncreaseDateTime", time_ms);
    }
    if let Some(time_ms) = history.last_decrease_ms {
        provisioned.timestamp("LastDecreaseDateTime", time_ms);
    }
    let before = match extent {
        Extent::Changed(decreases) => decreases.get(&table.definition.table_id).copied(),
        Extent::Whole | Extent::Created | Extent::Deleted => None,
    };
    let decreases = before.unwrap_or_else(|| history.decreases_today(call.request_ids.environment.wall_ms()));
    provisioned.literal("NumberOfDecreasesToday", decreases);
    provisioned.literal("ReadCapacityUnits", throughput.read_capacity_units);
    provisioned.literal("WriteCapacityUnits", throughput.write_capacity_units);
    provisioned.end();
}

/// The field `OnDemandThroughput`: what is not limited is left out.
pub(super) fn write_on_demand_throughput(maxima: OnDemandThroughput, description: &mut Object<'_>) {
    let mut on_demand = description.object("OnDemandThroughput");
    if let Some(units) = maxima.max_read_request_units {
        on_demand.literal("MaxReadRequestUnits", units);
    }
    if let Some(units) = maxima.max_write_request_units {
        on_demand.literal("MaxWriteRequestUnits", units);
    }
    on_demand.end();
}

/// The field `WarmThroughput`: of a table, or of a global index as one.
pub(super) fn write_warm_throughput(table: &TableView, description: &mut Object<'_>) {
    let warm = table.definition.warm();
    let mut object = description.object("WarmThroughput");
    object.literal("ReadUnitsPerSecond", warm.read_units_per_second);
    object.literal("WriteUnitsPerSecond", warm.write_units_per_second);
    // It has two states, whatever the table has.
    let is_changing = table.is_warming || matches!(table.status, TableStatus::Creating | TableStatus::Updating);
    object.text("Status", status(if is_changing { TableStatus::Updating } else { TableStatus::Active }));
    object.end();
}

/// The field `AttributeDefinitions`.
pub(super) fn write_attribute_definitions(table: &TableDefinition, description: &mut Object<'_>) {
    let of_indexes = table.index_keys().map(|key| key.attribute);
    let mut attributes: Vec<&KeyAttribute> = table.key_schema.attributes().chain(of_indexes).collect();
    attributes.sort_by(|one, other| one.name.cmp(&other.name));
    attributes.dedup_by(|one, other| one.name == other.name);
    description.list("AttributeDefinitions", attributes, |attribute, out| {
        let mut definition = Object::begin(out);
        definition.text("AttributeName", &attribute.name);
        definition.text("AttributeType", scalar_type(attribute.scalar_type));
        definition.end();
    });
}

/// The field `KeySchema`.
pub(super) fn write_key_schema(keys: Keys<'_>, description: &mut Object<'_>) {
    let partition = keys.partition.iter().map(|key| (key, "HASH"));
    let elements = partition.chain(keys.sort.iter().map(|key| (key, "RANGE")));
    description.list("KeySchema", elements, |(key, key_type), out| {
        let mut element = Object::begin(out);
        element.text("AttributeName", &key.name);
        element.text("KeyType", key_type);
        element.end();
    });
}

fn scalar_type(scalar_type: ScalarType) -> &'static str {
    match scalar_type {
        ScalarType::S => "S",
        ScalarType::N => "N",
        ScalarType::B => "B",
    }
}

fn table_class(class: TableClass) -> &'static str {
    match class {
        TableClass::Standard => "STANDARD",
        TableClass::StandardInfrequentAccess => "STANDARD_INFREQUENT_ACCESS",
    }
}

pub(super) fn status(status: TableStatus) -> &'static str {
    match status {
        TableStatus::Creating => "CREATING",
        TableStatus::Active => "ACTIVE",
        TableStatus::Updating => "UPDATING",
        TableStatus::Deleting => "DELETING",
    }
}
