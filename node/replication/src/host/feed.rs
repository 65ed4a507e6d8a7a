//! What a node's tables have for their global indexes.

use super::{Host, driver::Command};
use crate::feed::{Fed, FeedBatch, FeedError, Source};
use cairn_engine::Store;
use cairn_model::ids::{PartitionId, TableId};

impl<S: Store> Host<S> {
    /// The next batch of a partition's log for one of its table's global indexes, which is at `fed`; none if the index has all
    /// of it. To be asked of the leader. Blocks.
    pub fn feed(
        &self,
        partition: PartitionId,
        index: TableId,
        fed: &Fed,
        bytes_max: usize,
    ) -> Result<Option<FeedBatch>, FeedError> {
        Source::of(&self.engine, &*self.log, partition, index)?.batch(fed, bytes_max)
    }

    /// How much of what was in the table before the index was shown to it, from 0 to 1. To be asked of the leader. Blocks.
    pub fn index_filled(&self, partition: PartitionId, index: TableId) -> Result<f64, FeedError> {
        Source::of(&self.engine, &*self.log, partition, index).map(|source| source.filled())
    }

    /// An index has all entries of the partition up to this one.
    pub fn fed(&self, partition: PartitionId, index: TableId, upto: u64) {
        // If there is no room for it, the next one says it too.
        let _ = self.commands.try_send(Command::Fed { partition, index, upto });
    }

    /// The log of the replica here lacks what an index needs ([`FeedError::Gone`]): another that has it is to lead.
    pub fn log_lacks(&self, partition: PartitionId) {
        // If there is no room for it, it is found again.
        let _ = self.commands.try_send(Command::LogLacks { partition });
    }
}
