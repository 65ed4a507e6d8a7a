//! `LocalSecondaryIndexes` and `GlobalSecondaryIndexes`: in the description of a table, and in that of a backup.

use super::{
    Call,
    table_description::{
        Extent, status, write_key_schema, write_on_demand_throughput, write_throughput, write_warm_throughput,
    },
};
use crate::{IndexView, TableView, output::Object};
use cairn_model::{
    KeySchema, TableDefinition,
    index::{GlobalIndex, IndexProjection, LocalIndex, ProjectionType},
    json,
    node::Counts,
    table::{ProvisionedThroughput, TableStatus},
};

/// The fields of a `TableDescription`, where the table has indexes. Of the counts, those of the local ones are shown.
pub(super) fn write_descriptions(
    extent: Extent<'_>,
    call: &Call<'_>,
    table: &TableView,
    counts: &Counts,
    description: &mut Object<'_>,
) {
    let definition = &table.definition;
    write_local(definition, description, |index, object| {
        if let Some(counts) = counts.of_index(index.slot) {
            object.literal("IndexSizeBytes", counts.size_bytes);
            object.literal("ItemCount", counts.item_count);
        }
        object.text("IndexArn", &format!("{}/index/{}", table.arn, index.index_name));
    });
    if !table.global_indexes.is_empty() {
        description.list("GlobalSecondaryIndexes", &table.global_indexes, |index, out| {
            let mut object = Object::begin(out);
            write_global(extent, call, table, index, &mut object);
            object.end();
        });
    }
}

fn write_global(extent: Extent<'_>, call: &Call<'_>, table: &TableView, index: &IndexView, object: &mut Object<'_>) {
    let view = &index.table;
    object.text("IndexName", index.name());
    write_key_schema(view.definition.keys(), object);
    // Of one that is being deleted the table knows it no more.
    if let Some(index) = table.definition.global_indexes.iter().find(|known| known.index_id == view.definition.table_id)
    {
        write_projection(&index.projection, object);
    }
    object.text("IndexStatus", status(view.status));
    // One that is made with its table has nothing to be filled with.
    if view.status == TableStatus::Creating && table.status != TableStatus::Creating {
        object.literal("Backfilling", index.backfilling);
    }
    write_throughput(extent, call, view, object);
    if let Some(maxima) = view.definition.on_demand_throughput {
        write_on_demand_throughput(maxima, object);
    }
    if extent.is_whole() {
        write_warm_throughput(view, object);
    }
    object.literal("IndexSizeBytes", view.size_bytes);
    object.literal("ItemCount", view.item_count);
    object.text("IndexArn", &view.arn);
}

/// The fields of `SourceTableFeatureDetails`, where the table had indexes.
pub(super) fn write_infos(table: &TableDefinition, details: &mut Object<'_>) {
    write_local(table, details, |_, _| {});
    write_global_definitions(table, details, |index| {
        Some(
            index
                .provisioned_throughput
                .unwrap_or(ProvisionedThroughput { read_capacity_units: 0, write_capacity_units: 0 }),
        )
    });
}

/// The field `GlobalSecondaryIndexes` as it was asked for, where any were.
pub(super) fn write_global_definitions(
    table: &TableDefinition,
    parent: &mut Object<'_>,
    throughput: impl Fn(&GlobalIndex) -> Option<ProvisionedThroughput>,
) {
    if table.global_indexes.is_empty() {
        return;
    }
    parent.list("GlobalSecondaryIndexes", &table.global_indexes, |index, out| {
        let mut object = Object::begin(out);
        object.text("IndexName", &index.index_name);
        write_key_schema(index.key_schema.keys(), &mut object);
        write_projection(&index.projection, &mut object);
        if let Some(units) = throughput(index) {
            let mut provisioned = object.object("ProvisionedThroughput");
            provisioned.literal("ReadCapacityUnits", units.read_capacity_units);
            provisioned.literal("WriteCapacityUnits", units.write_capacity_units);
            provisioned.end();
        }
        if let Some(maxima) = index.on_demand_throughput {
            write_on_demand_throughput(maxima, &mut object);
        }
        object.end();
    });
}

fn write_local(table: &TableDefinition, parent: &mut Object<'_>, more: impl Fn(&LocalIndex, &mut Object<'_>)) {
    if table.local_indexes.is_empty() {
        return;
    }
    parent.list("LocalSecondaryIndexes", &table.local_indexes, |index, out| {
        let mut object = Object::begin(out);
        write_local_definition(index, &table.key_schema, &mut object);
        more(index, &mut object);
        object.end();
    });
}

fn write_local_definition(index: &LocalIndex, table: &KeySchema, object: &mut Object<'_>) {
    object.text("IndexName", &index.index_name);
    write_key_schema(index.keys(table), object);
    write_projection(&index.projection, object);
}

fn write_projection(of_index: &IndexProjection, object: &mut Object<'_>) {
    let mut projection = object.object("Projection");
    projection.text("ProjectionType", projection_type(of_index.projection_type));
    if !of_index.non_key_attributes.is_empty() {
        projection.list("NonKeyAttributes", &of_index.non_key_attributes, |name, out| json::write_string(name, out));
    }
    projection.end();
}

fn projection_type(projection_type: ProjectionType) -> &'static str {
    match projection_type {
        ProjectionType::All => "ALL",
        ProjectionType::KeysOnly => "KEYS_ONLY",
        ProjectionType::Include => "INCLUDE",
    }
}
