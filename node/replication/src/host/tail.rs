//! What an archive takes from a node: the committed log, snapshots, and times that are closed.

use super::{Host, driver::Command};
use crate::{
    core::Claim,
    log::{LogEntry, LogError},
    operation::PartitionError,
    restore::entry_time,
};
use cairn_engine::{EngineError, SnapshotReader, Store};
use cairn_model::{ids::PartitionId, time::Timestamp};

#[derive(Debug, thiserror::Error)]
pub enum TailError {
    #[error("the node holds no replica of the partition")]
    UnknownPartition,
    #[error("the log begins with entry {first}")]
    Compacted { first: u64 },
    #[error("failed to read the log")]
    Log(#[from] LogError),
    #[error("failed to read the items")]
    Engine(#[from] EngineError),
}

impl<S: Store> Host<S> {
    /// Committed entries from index `from` on, with their times (0: without): as many as fit in `bytes_max`, but at least one
    /// if there is one. Blocks.
    pub fn committed(
        &self,
        partition: PartitionId,
        from: u64,
        bytes_max: u64,
    ) -> Result<Vec<(LogEntry, Timestamp)>, TailError> {
        let replica = self.engine.replica(partition).ok_or(TailError::UnknownPartition)?;
        let first = || Ok::<_, TailError>(self.log.state(replica.log_id)?.start.index + 1);
        if from < first()? {
            return Err(TailError::Compacted { first: first()? });
        }
        let after = replica.applied.index + 1;
        if from >= after {
            return Ok(Vec::new());
        }
        let entries = match self.log.entries(replica.log_id, from, after, bytes_max) {
            Ok(entries) => entries,
            // It was cut meanwhile.
            Err(_) if from < first()? => return Err(TailError::Compacted { first: first()? }),
            Err(error) => return Err(error.into()),
        };
        let timed = |entry: LogEntry| {
            let time = entry_time(&entry).unwrap_or_default();
            (entry, time)
        };
        Ok(entries.into_iter().map(timed).collect())
    }

    /// The replica's items as of now. Blocks.
    pub fn snapshot(&self, partition: PartitionId) -> Result<SnapshotReader, TailError> {
        let replica = self.engine.replica(partition).ok_or(TailError::UnknownPartition)?;
        Ok(self.engine.snapshot_of_items(replica.storage_id)?)
    }

    /// Closes a time a little behind the clock, of a partition that this node leads.
    pub async fn close(&self, partition: PartitionId) -> Result<Claim, PartitionError> {
        self.ask(|answer| Command::Close { partition, answer }).await?
    }

    /// The archive has all entries of the partition up to this one.
    pub fn archived(&self, partition: PartitionId, index: u64) {
        // If there is no room for it, the next one says it too.
        let _ = self.commands.try_send(Command::Archived { partition, index });
    }
}
