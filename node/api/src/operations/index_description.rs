//! `LocalSecondaryIndexes`: in the description of a table, and in that of a backup.

use super::table_description::write_key_schema;
use crate::{TableView, output::Object};
use cairn_model::{
    KeySchema, TableDefinition,
    index::{LocalIndex, ProjectionType},
    json,
    node::Counts,
};

/// The field `LocalSecondaryIndexes` of a `TableDescription`, where the table has any.
pub(super) fn write_descriptions(table: &TableView, counts: &Counts, description: &mut Object<'_>) {
    let definition = &table.definition;
    write_list(definition, description, |index, object| {
        if let Some(counts) = counts.of_index(index.slot) {
            object.literal("IndexSizeBytes", counts.size_bytes);
            object.literal("ItemCount", counts.item_count);
        }
        object.text("IndexArn", &format!("{}/index/{}", table.arn, index.index_name));
    });
}

/// The field `LocalSecondaryIndexes` of `SourceTableFeatureDetails`, where the table had any.
pub(super) fn write_infos(table: &TableDefinition, details: &mut Object<'_>) {
    write_list(table, details, |_, _| {});
}

fn write_list(table: &TableDefinition, parent: &mut Object<'_>, more: impl Fn(&LocalIndex, &mut Object<'_>)) {
    if table.local_indexes.is_empty() {
        return;
    }
    parent.list("LocalSecondaryIndexes", &table.local_indexes, |index, out| {
        let mut object = Object::begin(out);
        write_definition(index, &table.key_schema, &mut object);
        more(index, &mut object);
        object.end();
    });
}

fn write_definition(index: &LocalIndex, table: &KeySchema, object: &mut Object<'_>) {
    object.text("IndexName", &index.index_name);
    write_key_schema(&index.key_schema(table), object);
    let mut projection = object.object("Projection");
    projection.text("ProjectionType", projection_type(index.projection.projection_type));
    if !index.projection.non_key_attributes.is_empty() {
        projection
            .list("NonKeyAttributes", &index.projection.non_key_attributes, |name, out| json::write_string(name, out));
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
