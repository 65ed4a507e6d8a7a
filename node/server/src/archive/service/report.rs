//! What this archive ships, and how far it is.

use super::{ArchiveService, resolving::recovery};
use crate::{archive::past::Past, environment};
use cairn_model::{
    archive::{ArchiveReport, TableArchive},
    ids::{PartitionId, TableId},
    table::TableDefinition,
};
use std::{collections::BTreeMap, time::Duration};

/// For the node to answer at all.
const NODE_DEADLINE: Duration = Duration::from_secs(2);

impl ArchiveService {
    /// From memory, but for whether the node answers.
    pub(super) async fn report(&self) -> ArchiveReport {
        let shipper = self.reach.shipper();
        let unreachable = match self.reach.unreachable() {
            Some(why) => Some(why),
            None => self.node_unreachable().await,
        };
        // One table may have several partitions here.
        let led: BTreeMap<TableId, TableDefinition> =
            self.source.partitions().into_iter().map(|led| (led.definition.table_id, led.definition)).collect();
        let now_ms = environment::wall_ms();
        let tables = led.into_iter().map(|(table_id, definition)| {
            let shipped = shipper.as_ref().and_then(|shipper| shipper.status(table_id));
            let mut recovery = recovery(Past::new(shipped.unwrap_or_default(), &definition, now_ms));
            recovery.problems.extend(unreachable.clone());
            TableArchive { table_id, recovery }
        });
        let tables = tables.collect();
        ArchiveReport { version: env!("CARGO_PKG_VERSION").to_owned(), unreachable, tables }
    }

    /// Why the node beside this archive can't be asked, if it can't.
    async fn node_unreachable(&self) -> Option<String> {
        // A partition that nobody has.
        let asked = tokio::time::timeout(NODE_DEADLINE, self.adopter.has(PartitionId([0; 16]))).await;
        let error = match asked {
            Ok(answered) => answered.err().map(|error| format!("{error:#}"))?,
            Err(_) => format!("it did not answer within {} s", NODE_DEADLINE.as_secs()),
        };
        Some(format!("the storage node beside the archive can't be asked: {error}"))
    }
}
