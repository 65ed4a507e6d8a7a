//! What UpdateTable answers of a table that it changes. Throughput and class are as they were: what they become is told by
//! DescribeTable, once it is so. But a new billing mode is told at once with its units.

use crate::TableView;
use cairn_model::{TableDefinition, table::TableStatus};
use std::sync::Arc;

pub(super) fn of_change(before: &TableView, after: &TableView) -> TableView {
    let mut shown = after.clone();
    shown.definition.table_class = before.definition.table_class;
    keep_throughput(&before.definition, &mut shown.definition);
    for index in &mut shown.global_indexes {
        let id = index.table.definition.table_id;
        if let Some(earlier) = before.global_indexes.iter().find(|earlier| earlier.table.definition.table_id == id) {
            keep_throughput(&earlier.table.definition, &mut Arc::make_mut(&mut index.table).definition);
        }
        // One that goes is told of as it was, and its attributes with it.
        let known = before.definition.global_indexes.iter().find(|known| known.index_id == id);
        let is_known = shown.definition.global_indexes.iter().any(|known| known.index_id == id);
        if index.table.status == TableStatus::Deleting && !is_known {
            shown.definition.global_indexes.extend(known.cloned());
        }
    }
    shown
}

fn keep_throughput(before: &TableDefinition, shown: &mut TableDefinition) {
    if before.billing_mode == shown.billing_mode {
        shown.provisioned_throughput = before.provisioned_throughput;
        shown.warm_throughput = before.warm_throughput;
    }
}
