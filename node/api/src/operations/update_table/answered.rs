//! What UpdateTable answers of a table that it changes. Throughput and class are as they were: what they become is told by
//! DescribeTable, once it is so. But a new billing mode is told at once with its units.

use crate::{TableView, operations::under_way::keep_throughput};
use cairn_model::table::TableStatus;
use std::sync::Arc;

/// `status`: what is told of the table itself.
pub(super) fn of_change(before: &TableView, after: &TableView, status: TableStatus) -> TableView {
    let mut shown = TableView { status, ..after.clone() };
    shown.definition.table_class = before.definition.table_class;
    keep_throughput(&before.definition, &mut shown);
    for index in &mut shown.global_indexes {
        let id = index.table.definition.table_id;
        if let Some(earlier) = before.global_indexes.iter().find(|earlier| earlier.table.definition.table_id == id) {
            let shown = Arc::make_mut(&mut index.table);
            let units = |view: &TableView| view.definition.provisioned_throughput;
            if shown.status == TableStatus::Active && units(shown) != units(&earlier.table) {
                shown.status = TableStatus::Updating;
            }
            keep_throughput(&earlier.table.definition, shown);
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
