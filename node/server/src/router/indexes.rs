//! A table's global indexes at one moment: as its Table says, or as the storage nodes report.

use super::routes::{KnownTable, Routes};
use cairn_api::{IndexView, TableView};
use cairn_crds::{
    Table,
    table::{GlobalSecondaryIndexStatus, definition::DefinitionError},
};
use cairn_model::{
    TableDefinition,
    ids::TableId,
    index::{GlobalIndex, free_slot},
    table::TableStatus,
};
use std::sync::Arc;

/// Adds the indexes that the spec asks for and the operator has not given an identity yet: each is under an id that only tells it
/// from the others.
pub(super) fn add_ungiven(table: &Table, definition: &mut TableDefinition) -> Result<(), DefinitionError> {
    for asked in table.spec.global_indexes()? {
        let given = &mut definition.global_indexes;
        if given.iter().all(|given| given.index_name != asked.index_name) {
            let slot = free_slot(given).unwrap_or_default();
            let mut index_id = TableId([0; 16]);
            index_id.0[15] = slot + 1;
            given.push(GlobalIndex { index_id, slot, ..asked });
        }
    }
    Ok(())
}

/// The indexes of a definition in its order, and behind them those that are being deleted.
pub(super) fn views(
    table: &Table,
    definition: &TableDefinition,
    table_arn: &str,
) -> Result<Vec<IndexView>, DefinitionError> {
    let entries = table.status.as_ref().map(|status| status.global_secondary_indexes.as_slice()).unwrap_or_default();
    let mut views = Vec::new();
    for index in &definition.global_indexes {
        let entry = entries.iter().find(|entry| entry.id() == Ok(index.index_id));
        views.push(view(definition, index, entry, table_arn, status(index, entry)));
    }
    for entry in entries {
        let is_there = |id: TableId| definition.global_indexes.iter().any(|index| index.index_id == id);
        if !is_there(entry.id()?) {
            views.push(view(definition, &entry.index()?, Some(entry), table_arn, TableStatus::Deleting));
        }
    }
    Ok(views)
}

fn view(
    definition: &TableDefinition,
    index: &GlobalIndex,
    entry: Option<&GlobalSecondaryIndexStatus>,
    table_arn: &str,
    status: TableStatus,
) -> IndexView {
    let counted = |count: Option<i64>| count.and_then(|count| u64::try_from(count).ok()).unwrap_or_default();
    let table = TableView {
        definition: definition.of_index(index),
        status,
        item_count: counted(entry.and_then(|entry| entry.item_count)),
        size_bytes: counted(entry.and_then(|entry| entry.index_size_bytes)),
        arn: arn(table_arn, &index.index_name),
        global_indexes: Vec::new(),
    };
    let backfilling = status != TableStatus::Deleting && entry.is_some_and(|entry| entry.backfilling == Some(true));
    IndexView { table: Arc::new(table), backfilling }
}

fn status(index: &GlobalIndex, entry: Option<&GlobalSecondaryIndexStatus>) -> TableStatus {
    let Some(entry) = entry else { return TableStatus::Creating };
    // What the operator has not noted yet changes.
    let noted = entry.throughput.as_ref().map(|throughput| throughput.history().units);
    match entry.index_status {
        TableStatus::Active if noted.is_some_and(|noted| noted != index.provisioned_throughput) => {
            TableStatus::Updating
        }
        status => status,
    }
}

/// The indexes of a table that only the nodes tell of.
pub(super) fn reported(routes: &Routes, table: &KnownTable, table_arn: &str) -> Vec<IndexView> {
    let sources = || table.routes.iter().map(|route| route.descriptor.partition_id);
    let indexes = table.definition.global_indexes.iter().map(|index| {
        let known = routes.table(index.index_id);
        let has =
            |known: &KnownTable, source| known.fed_by.iter().any(|fed| fed.partition_id == source && fed.complete);
        let is_complete = known.is_some_and(|known| sources().all(|source| has(known, source)));
        let view = TableView {
            definition: table.definition.of_index(index),
            status: if is_complete { TableStatus::Active } else { TableStatus::Creating },
            item_count: known.map(|known| known.item_count).unwrap_or_default(),
            size_bytes: known.map(|known| known.size_bytes).unwrap_or_default(),
            arn: arn(table_arn, &index.index_name),
            global_indexes: Vec::new(),
        };
        IndexView { table: Arc::new(view), backfilling: known.is_some() && !is_complete }
    });
    indexes.collect()
}

fn arn(table_arn: &str, index_name: &str) -> String {
    format!("{table_arn}/index/{index_name}")
}
