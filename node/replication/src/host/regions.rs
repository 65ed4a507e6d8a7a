//! What other regions take from a node, and bring to it.

use super::{Host, driver::Command};
use crate::{
    core::Claim,
    global::{OutboundError, Reader, Reading, RemoteBatch, outbound::Source, region_of},
    operation::PartitionError,
};
use cairn_engine::{EngineError, Store};
use cairn_model::ids::PartitionId;
use std::time::Duration;

/// Versions set aside that are looked at; past that there are more.
const SET_ASIDE_COUNTED_MAX: usize = 10_000;

impl<S: Store> Host<S> {
    /// A batch that only asks where `region` stands with this partition. Blocks.
    pub fn hello(&self, partition: PartitionId, region: &str) -> Result<RemoteBatch, OutboundError> {
        Source::of(&self.engine, &*self.log, partition)?.hello(region)
    }

    /// The next batch for a reader of another region, as [`Source::batch`] has it. To be asked of the leader, whose copy is
    /// the newest. Blocks.
    pub fn changes(
        &self,
        partition: PartitionId,
        reader: &Reader,
        claim: Option<Claim>,
        bytes_max: usize,
    ) -> Result<RemoteBatch, OutboundError> {
        Source::of(&self.engine, &*self.log, partition)?.batch(reader, claim, bytes_max)
    }

    /// Takes in a batch of another region, where this node leads the partition: tells where this region stands with its
    /// source then. After an error the same batch, or any other, may be sent again.
    pub async fn remote(&self, partition: PartitionId, batch: RemoteBatch) -> Result<Reader, PartitionError> {
        let batch = Box::new(batch);
        self.ask(|answer| Command::Remote { partition, batch, answer }).await?
    }

    /// Where the reading of a region stands, as far as it is applied here; none if nothing was heard of it. Blocks.
    pub fn reading(&self, partition: PartitionId, region: &str) -> Result<Option<Reading>, OutboundError> {
        let source = Source::of(&self.engine, &*self.log, partition)?;
        Ok(source.state().peers.get(region).map(|peer| peer.reading.clone()))
    }

    /// Waits until the partition has applied an entry of its log beyond `index`, or for so long at most; tells how far it is
    /// then. A source has a batch for a reader once it is beyond the reader's place.
    pub async fn applied_beyond(
        &self,
        partition: PartitionId,
        index: u64,
        wait_max: Duration,
    ) -> Result<u64, PartitionError> {
        // Before it is looked up: what is applied in between is told.
        let mut told = self.told.waits.subscribe(partition);
        // The engine's replicas are locked while a commit of its store is under way.
        let engine = self.engine.clone();
        let replica = tokio::task::spawn_blocking(move || engine.replica(partition)).await.unwrap_or_else(|error| {
            tracing::error!(%error, "a look at a replica did not end");
            None
        });
        let applied = replica.ok_or(PartitionError::UnknownPartition)?.applied.index;
        if applied > index {
            return Ok(applied);
        }
        let gone =
            tokio::time::timeout(wait_max, told.wait_for(|applied| *applied > index)).await.is_ok_and(|it| it.is_err());
        let applied = applied.max(*told.borrow());
        if gone { Err(PartitionError::UnknownPartition) } else { Ok(applied) }
    }

    /// How many versions of a region wait in a partition because their time is too far ahead: clocks are wrong, there or here.
    /// Of at most ten thousand that wait, those of all regions among them. Blocks.
    pub fn set_aside(&self, partition: PartitionId, region: &str) -> Result<usize, EngineError> {
        let replica =
            self.engine.replica(partition).ok_or(EngineError::UnknownPartition { partition_id: partition })?;
        let mut count = 0;
        for pair in self.engine.set_aside(replica.storage_id, None).take(SET_ASIDE_COUNTED_MAX) {
            let (key, _) = pair?;
            count += usize::from(region_of(&key) == Some(region.as_bytes()));
        }
        Ok(count)
    }
}
