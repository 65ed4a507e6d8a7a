//! How the partitions of indexes come to be what the tables' definitions say, and when they are filled.

use super::{asking::came_to_be, indexes, records::TableRecord, tables::LocalTables};
use cairn_model::{TableDefinition, ids::TableId, node::Order, table::TableStatus};
use std::time::Duration;

/// How often it is looked whether an index is filled.
pub(super) const FILLING_INTERVAL: Duration = Duration::from_millis(100);
/// How long a table that is restored or imported stays CREATING for its indexes; past that they are.
const FILLING_DEADLINE: Duration = Duration::from_secs(600);
/// Rounds in which the partitions of indexes are brought to what their tables say: each is a version.
const INDEX_ROUNDS_MAX: usize = 64;

impl LocalTables {
    pub(super) async fn forget(&self, table_id: TableId) {
        if let Err(error) = self.records.put(table_id, TableRecord::default()).await {
            tracing::warn!(%table_id, %error, "failed to remove the record of what is deleted; it goes at the next start");
        }
    }

    /// Makes, changes and drops partitions of indexes until they are as the tables' definitions say. What fails is tried again
    /// with the next look at the tables.
    pub(super) async fn tend_indexes(&self) {
        for _ in 0..INDEX_ROUNDS_MAX {
            let due = indexes::due(&self.node.host().reports());
            if due.is_empty() {
                return;
            }
            let mut failed = false;
            for order in due {
                let dropped = match &order {
                    Order::DropPartition { table_id, .. } => Some(*table_id),
                    _ => None,
                };
                if let Err(error) = self.order(order).await {
                    tracing::warn!(%error, "failed to make an index what its table says of it");
                    failed = true;
                    continue;
                }
                if let Some(index) = dropped {
                    self.made_empty.lock().remove(&index);
                    self.forget(index).await;
                }
            }
            self.refresh();
            if failed {
                return;
            }
        }
    }

    /// Whether an index is on its way to be ACTIVE.
    pub(super) fn fills(&self) -> bool {
        let tables = self.current.load();
        let mut indexes = tables.by_name.values().flat_map(|table| &table.global_indexes);
        indexes.any(|index| index.table.status == TableStatus::Creating)
    }

    /// Until the table's indexes have all that is in it.
    pub(super) async fn filled(&self, table: &TableDefinition) {
        let is_filled = || {
            let reports = self.node.host().reports();
            table.global_indexes.iter().all(|index| {
                let mut of_index = reports.iter().filter(|report| report.definition.table_id == index.index_id);
                of_index.any(indexes::is_filled)
            })
        };
        if !came_to_be(FILLING_DEADLINE, FILLING_INTERVAL, is_filled).await {
            let name = &table.table_name;
            tracing::warn!(table = name, "the indexes of a table take long to fill: it is there, and they follow");
        }
    }
}
