//! One partition's log on its way into one global index.

use super::sink::{NotTaken, Sink};
use crate::{backoff::Backoff, node::Node};
use cairn_model::{
    descriptor::Member,
    ids::{PartitionId, TableId},
    index::{GlobalIndex, IndexPartition},
};
use cairn_replication::{
    feed::{FEED_BYTES_MAX, Fed, FeedBatch, FeedError},
    operation::PartitionError,
};
use std::{sync::Arc, time::Duration};

/// For an entry to be applied, while the index has them all.
const WAIT_MAX: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Feeder<S> {
    node: Arc<Node>,
    sink: Arc<S>,
    source: PartitionId,
    index: TableId,
    index_name: String,
    /// A partition takes an index of one partition, as a table is one today.
    to: Option<IndexPartition>,
    /// Which member is asked next.
    member: usize,
    backoff: Backoff,
}

impl<S: Sink> Feeder<S> {
    pub(super) fn new(node: Arc<Node>, sink: Arc<S>, source: PartitionId, index: &GlobalIndex, seed: u64) -> Self {
        Self {
            node,
            sink,
            source,
            index: index.index_id,
            index_name: index.index_name.clone(),
            to: index.partitions.first().cloned(),
            member: 0,
            backoff: Backoff::new(seed),
        }
    }

    /// Until the task is dropped, or the partition or the index is gone.
    pub(super) async fn run(mut self) {
        let mut fed = None;
        loop {
            let at = match fed {
                Some(fed) => fed,
                None => self.send(FeedBatch { source: self.source, index: self.index, changes: None }).await,
            };
            let next = self.next(at).await;
            fed = Some(at);
            match next {
                Ok(Some(batch)) => {
                    let taken = self.send(batch).await;
                    if let Some(place) = taken.place {
                        self.node.host().fed(self.source, self.index, place.index);
                    }
                    fed = Some(taken);
                }
                Ok(None) | Err(FeedError::Behind { .. }) => {
                    let upto = at.place.map_or(0, |place| place.index);
                    if self.node.host().applied_beyond(self.source, upto, WAIT_MAX).await.is_err() {
                        return;
                    }
                }
                Err(FeedError::NotBegun) => tokio::time::sleep(self.backoff.pause()).await,
                Err(FeedError::UnknownPartition | FeedError::UnknownIndex) => return,
                Err(error) => {
                    let index = &self.index_name;
                    tracing::error!(index, error = &error as &dyn std::error::Error, "failed to feed an index");
                    tokio::time::sleep(self.backoff.pause()).await;
                    // It may be another one by now.
                    fed = None;
                }
            }
        }
    }

    async fn next(&self, fed: Fed) -> Result<Option<FeedBatch>, FeedError> {
        let (host, source, index) = (self.node.host().clone(), self.source, self.index);
        let read = tokio::task::spawn_blocking(move || host.feed(source, index, &fed, FEED_BYTES_MAX));
        read.await.unwrap_or(Err(FeedError::NotBegun))
    }

    /// Until some node has taken it, or says where the index is.
    async fn send(&mut self, batch: FeedBatch) -> Fed {
        loop {
            match self.try_send(batch.clone()).await {
                Ok(fed) => {
                    self.backoff.reset();
                    return fed;
                }
                Err(error) => {
                    tracing::debug!(index = self.index_name, %error, "an index did not take a batch");
                    tokio::time::sleep(self.backoff.pause()).await;
                }
            }
        }
    }

    async fn try_send(&mut self, batch: FeedBatch) -> Result<Fed, NotTaken> {
        let unknown = || NotTaken::Partition(PartitionError::UnknownPartition);
        let partition = self.to.clone().ok_or_else(unknown)?;
        let member =
            partition.members.get(self.member % partition.members.len().max(1)).cloned().ok_or_else(unknown)?;
        let taken = match self.sink.feed(&member, partition.partition_id, batch.clone()).await {
            // The leader, where it is known, need not be among those that were.
            Err(NotTaken::Partition(PartitionError::NotLeader { leader: Some(leader) })) => {
                self.remember(&leader, &partition);
                self.sink.feed(&leader, partition.partition_id, batch).await
            }
            taken => taken,
        };
        if taken.is_err() {
            self.member = self.member.wrapping_add(1);
        }
        taken
    }

    /// The next batch goes to it at once.
    fn remember(&mut self, leader: &Member, partition: &IndexPartition) {
        if let Some(at) = partition.members.iter().position(|member| member.node_id == leader.node_id) {
            self.member = at;
        }
    }
}
