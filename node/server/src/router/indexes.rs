//! A table's global indexes at one moment: as its Table says, or as the storage nodes report.

use super::routes::{KnownTable, Routes};
use cairn_api::{IndexView, TableView};
use cairn_crds::{
    Table, condition,
    table::{
        GlobalSecondaryIndexStatus, definition::DefinitionError, table_class::CLASS_LIMITED,
        throughput::DECREASE_LIMITED,
    },
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

/// The indexes of a definition in its order, and behind them those that are being deleted; but for one that is made anew under its
/// name, for a name is told of once.
pub(super) fn views(
    table: &Table,
    definition: &TableDefinition,
    table_arn: &str,
) -> Result<Vec<IndexView>, DefinitionError> {
    let entries = table.status.as_ref().map(|status| status.global_secondary_indexes.as_slice()).unwrap_or_default();
    let mut views = Vec::new();
    let is_settled = is_settled(table);
    for index in &definition.global_indexes {
        let entry = entries.iter().find(|entry| entry.id() == Ok(index.index_id));
        views.push(view(definition, index, entry, table_arn, status(index, entry, is_settled)));
    }
    for entry in entries {
        if definition.global_indexes.iter().all(|index| index.index_name != entry.index_name) {
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
        is_warming: false,
        item_count: counted(entry.and_then(|entry| entry.item_count)),
        size_bytes: counted(entry.and_then(|entry| entry.index_size_bytes)),
        arn: arn(table_arn, &index.index_name),
        global_indexes: Vec::new(),
    };
    let backfilling = status != TableStatus::Deleting && entry.is_some_and(|entry| entry.backfilling == Some(true));
    IndexView { table: Arc::new(table), backfilling }
}

/// Whether the operator won't follow the spec as it is now, or follows it but for what has to wait: nothing of it is under way.
fn is_settled(table: &Table) -> bool {
    let conditions = table.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    conditions.iter().any(|told| {
        let is_refused = told.type_ == condition::STALLED && told.status == "True";
        let waits = told.type_ == condition::READY && [DECREASE_LIMITED, CLASS_LIMITED].contains(&told.reason.as_str());
        (is_refused || waits) && told.observed_generation == table.metadata.generation
    })
}

fn status(index: &GlobalIndex, entry: Option<&GlobalSecondaryIndexStatus>, is_settled: bool) -> TableStatus {
    let Some(entry) = entry else { return TableStatus::Creating };
    // What the operator has not noted yet changes.
    let noted = entry.throughput.as_ref().map(|throughput| throughput.history().units);
    match entry.index_status {
        TableStatus::Active if !is_settled && noted.is_some_and(|noted| noted != index.provisioned_throughput) => {
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
            is_warming: false,
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const ID: &str = "22222222-2222-4222-8222-222222222222";

    /// An index's entry in a status, whose capacity was noted as 20 units.
    fn entry(id: &str, index_status: &str) -> Value {
        json!({
            "indexName": "by-team", "indexId": id, "slot": 0, "indexStatus": index_status,
            "throughput": {"provisionedThroughput": {"readCapacityUnits": 20, "writeCapacityUnits": 20}},
            "keySchema": [{"attributeName": "Team", "keyType": "HASH"}],
            "attributeDefinitions": [{"attributeName": "Team", "attributeType": "S"}],
            "projection": {"projectionType": "ALL"}, "placements": [],
        })
    }

    /// What is told of the indexes of a table that asks for 10 units of its index.
    fn told(entries: &[Value], conditions: &Value) -> Vec<(String, TableStatus)> {
        let units = json!({"readCapacityUnits": 10, "writeCapacityUnits": 10});
        let table: Table = serde_json::from_value(json!({
            "apiVersion": "cairn.dev/v1alpha1", "kind": "Table",
            "metadata": {"name": "users", "namespace": "game", "generation": 2},
            "spec": {
                "attributeDefinitions": [
                    {"attributeName": "Id", "attributeType": "S"}, {"attributeName": "Team", "attributeType": "S"},
                ],
                "keySchema": [{"attributeName": "Id", "keyType": "HASH"}],
                "billingMode": "PROVISIONED",
                "provisionedThroughput": units.clone(),
                "globalSecondaryIndexes": [{
                    "indexName": "by-team", "keySchema": [{"attributeName": "Team", "keyType": "HASH"}],
                    "projection": {"projectionType": "ALL"}, "provisionedThroughput": units,
                }],
            },
            "status": {
                "tableId": "11111111-1111-4111-8111-111111111111", "creationDateTime": "2026-01-01T00:00:00Z",
                "tableStatus": "ACTIVE", "globalSecondaryIndexes": entries, "conditions": conditions,
            },
        }))
        .unwrap();
        let views = views(&table, &table.definition().unwrap(), "arn").unwrap();
        let told = |view: IndexView| {
            let table = &view.table;
            (table.definition.table_id.to_string(), table.status)
        };
        views.into_iter().map(told).collect()
    }

    fn condition(type_: &str, status: &str, reason: &str, generation: i64) -> Value {
        json!([{
            "type": type_, "status": status, "reason": reason, "message": "",
            "observedGeneration": generation, "lastTransitionTime": "2026-01-01T00:00:00Z",
        }])
    }

    #[test]
    fn an_index_whose_change_is_refused_or_waits_stays_active() {
        let status = |conditions: Value| told(&[entry(ID, "ACTIVE")], &conditions).remove(0).1;
        assert_eq!(status(json!([])), TableStatus::Updating, "the operator has not seen it");
        let refused = |generation| condition("Stalled", "True", "Unchangeable", generation);
        let waits = |generation| condition("Ready", "False", DECREASE_LIMITED, generation);
        assert_eq!([status(refused(1)), status(waits(1))], [TableStatus::Updating; 2], "that was another change");
        assert_eq!([status(refused(2)), status(waits(2))], [TableStatus::Active; 2]);
        assert_eq!(status(condition("Ready", "False", "Updating", 2)), TableStatus::Updating);
    }

    #[test]
    fn an_index_that_is_made_anew_is_told_of_once() {
        let before = "33333333-3333-4333-8333-333333333333";
        let told = told(&[entry(before, "DELETING"), entry(ID, "CREATING")], &json!([]));
        assert_eq!(told, [(ID.to_owned(), TableStatus::Creating)]);
    }
}
