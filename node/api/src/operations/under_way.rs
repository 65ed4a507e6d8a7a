//! What is told of throughput while a change of it is under way: as it was, until it is so. But a new billing mode is told at once
//! with its units.

use super::Call;
use crate::TableView;
use cairn_model::{TableDefinition, table::TableStatus};
use std::sync::Arc;

/// As the storage nodes have it, of a table that is being changed and of each of its indexes that is.
pub(super) fn show_held(call: &Call<'_>, table: &mut Arc<TableView>) {
    let held = |of: &TableView| {
        let is_changing = of.is_warming || of.status == TableStatus::Updating;
        is_changing.then(|| call.catalog.definition_held(of)).flatten()
    };
    if let Some(held) = held(table) {
        keep_throughput(&held, Arc::make_mut(table));
    }
    let of_indexes = table.global_indexes.iter().enumerate();
    let of_indexes: Vec<_> = of_indexes.filter_map(|(at, index)| Some((at, held(&index.table)?))).collect();
    for (at, held) in of_indexes {
        keep_throughput(&held, Arc::make_mut(&mut Arc::make_mut(table).global_indexes[at].table));
    }
}

pub(super) fn keep_throughput(before: &TableDefinition, shown: &mut TableView) {
    if before.billing_mode == shown.definition.billing_mode {
        shown.is_warming = before.warm() != shown.definition.warm();
        shown.definition.provisioned_throughput = before.provisioned_throughput;
        shown.definition.warm_throughput = before.warm_throughput;
    }
}
