//! Batches of a table's log: to the proposer of an index's partition.

use super::{Core, FatalError, Output, engine_fatal};
use crate::{
    clock::Now,
    feed::{Fed, FeedBatch},
    log::LogStore,
    operation::PartitionError,
};
use cairn_engine::{Engine, Pressure, Store};
use cairn_model::ids::PartitionId;
use std::collections::BTreeMap;

/// How much a replica of a global index has of each of its table's partitions.
pub(super) fn fed_of<S: Store>(engine: &Engine<S>, storage_id: u64) -> Result<BTreeMap<PartitionId, Fed>, FatalError> {
    let kept = engine.fed(storage_id).map_err(engine_fatal)?;
    Ok(kept.into_iter().filter_map(|(source, fed)| Some((source, Fed::of(Some(&fed)).ok()?))).collect())
}

impl<S: Store, L: LogStore> Core<S, L> {
    /// Whoever leads the table need not know the index's members as they are: a batch is of no epoch.
    pub(super) fn take_feed(&mut self, token: u64, partition: PartitionId, batch: FeedBatch, now: Now) {
        let deadline_ms = now.boot_ms + self.config.request_timeout_ms;
        let pressure = self.pressure;
        let refused = match self.live(partition) {
            Err(error) => Some(error),
            Ok(replica) if !replica.is_leader() => Some(replica.not_leader()),
            Ok(_) if pressure == Pressure::High => {
                Some(PartitionError::Overloaded { reason: "the disk can't keep up with the writes".into() })
            }
            Ok(replica) => match replica.proposer.enqueue_feed(token, batch, deadline_ms) {
                Some((_, Err(error))) => Some(error),
                _ => None,
            },
        };
        match refused {
            Some(error) => self.outputs.push(Output::Answer { token, result: Err(error) }),
            None => {
                self.dirty.insert(partition);
            }
        }
    }
}
