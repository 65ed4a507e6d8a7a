//! One partition's log on its way into one global index.

use super::{
    sink::{NotTaken, Sink},
    standing::{Name, Standings, write_units},
};
use crate::{backoff::Backoff, node::Node};
use cairn_model::{
    descriptor::Member,
    ids::{PartitionId, TableId},
    index::{GlobalIndex, IndexPartition},
};
use cairn_replication::{
    feed::{FEED_BYTES_MAX, Fed, FeedBatch, FeedChanges, FeedError},
    operation::PartitionError,
};
use std::{sync::Arc, time::Duration};

/// So many failures of a batch are told of once: about a minute's.
const FAILURES_TOLD: u64 = 16;
/// For an entry to be applied, while the index has them all.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// Entries that change nothing in the index go there with the next that does, or so many at once, or once nothing comes.
const UNTOLD_MAX: u64 = 256;

#[derive(Debug)]
pub(super) struct Feeder<S> {
    node: Arc<Node>,
    sink: Arc<S>,
    standings: Arc<Standings>,
    source: PartitionId,
    index: TableId,
    index_name: String,
    /// A partition takes an index of one partition, as a table is one today.
    to: Option<IndexPartition>,
    /// Which member is asked next.
    member: usize,
    backoff: Backoff,
    /// Begins anew when the index has taken something: to ask it where it is never fails for long.
    failing: Backoff,
}

impl<S: Sink> Feeder<S> {
    pub(super) fn new(
        node: Arc<Node>,
        sink: Arc<S>,
        standings: Arc<Standings>,
        source: PartitionId,
        index: &GlobalIndex,
        seed: u64,
    ) -> Self {
        Self {
            node,
            sink,
            standings,
            source,
            index: index.index_id,
            index_name: index.index_name.clone(),
            to: index.partitions.first().cloned(),
            member: 0,
            backoff: Backoff::new(seed),
            failing: Backoff::new(seed.rotate_left(32)),
        }
    }

    /// Until the task is dropped, or the partition or the index is gone.
    pub(super) async fn run(mut self) {
        loop {
            let fed = self.send(FeedBatch { source: self.source, index: self.index, changes: None }).await;
            // Also where there is nothing more for it: what it has need not be kept.
            self.note(&fed);
            match self.feed(fed).await {
                // Where the index is may be another place by now.
                Ok(()) => tokio::time::sleep(self.failing.pause()).await,
                Err(Gone) => return,
            }
        }
    }

    /// As long as that goes well.
    async fn feed(&mut self, mut fed: Fed) -> Result<(), Gone> {
        // Behind where the index is, there is nothing for it up to here.
        let mut looked = fed;
        loop {
            self.standings.reached(&self.name(), index_of(&looked));
            match self.next(looked).await {
                Ok(Some(mut batch)) => {
                    let Some(changes) = &mut batch.changes else { return Ok(()) };
                    changes.after = fed.place;
                    let is_news = !changes.writes.is_empty() || changes.complete != fed.complete;
                    if is_news || changes.through.index >= index_of(&fed) + UNTOLD_MAX {
                        fed = self.tell(batch, fed.complete).await;
                        looked = fed;
                    } else {
                        looked.place = Some(changes.through);
                    }
                }
                Ok(None) => {
                    self.standings.caught_up(&self.name());
                    if self.wait(&looked).await? || looked == fed {
                        continue;
                    }
                    let mut batch = FeedBatch { source: self.source, index: self.index, changes: None };
                    batch.changes = looked.place.map(|through| FeedChanges {
                        after: fed.place,
                        through,
                        complete: looked.complete,
                        writes: Vec::new(),
                    });
                    fed = self.tell(batch, fed.complete).await;
                    looked = fed;
                }
                Err(FeedError::Behind { .. }) => drop(self.wait(&looked).await?),
                Err(FeedError::NotBegun) => tokio::time::sleep(self.backoff.pause()).await,
                Err(FeedError::UnknownPartition | FeedError::UnknownIndex) => return Err(Gone),
                Err(error) => {
                    if let FeedError::Gone(_) = error {
                        self.node.host().log_lacks(self.source);
                    }
                    let index = &self.index_name;
                    tracing::error!(index, error = &error as &dyn std::error::Error, "failed to feed an index");
                    return Ok(());
                }
            }
        }
    }

    fn name(&self) -> Name {
        (self.source, self.index)
    }

    /// Whether something comes in time.
    async fn wait(&self, looked: &Fed) -> Result<bool, Gone> {
        let upto = index_of(looked);
        let applied = self.node.host().applied_beyond(self.source, upto, WAIT_MAX).await;
        applied.map(|applied| applied > upto).map_err(|_| Gone)
    }

    async fn next(&self, fed: Fed) -> Result<Option<FeedBatch>, FeedError> {
        let (host, name, standings) = (self.node.host().clone(), self.name(), self.standings.clone());
        let read = tokio::task::spawn_blocking(move || {
            let (source, index) = name;
            if !fed.complete {
                standings.filled(&name, host.index_filled(source, index)?);
            }
            host.feed(source, index, &fed, FEED_BYTES_MAX)
        });
        read.await.unwrap_or(Err(FeedError::NotBegun))
    }

    /// Brings a batch into the index; tells where the index is then.
    async fn tell(&mut self, batch: FeedBatch, was_complete: bool) -> Fed {
        let filling = batch.changes.as_ref().filter(|_| !was_complete);
        let units = filling.map_or(0, |changes| changes.writes.iter().map(write_units).sum());
        let taken = self.send(batch).await;
        self.standings.consumed(&self.name(), units);
        self.failing.reset();
        self.note(&taken);
        taken
    }

    fn note(&self, fed: &Fed) {
        if let Some(place) = fed.place {
            self.node.host().fed(self.source, self.index, place.index);
        }
    }

    /// Until some node has taken it, or says where the index is.
    async fn send(&mut self, batch: FeedBatch) -> Fed {
        let mut failures = 0_u64;
        loop {
            match self.try_send(batch.clone()).await {
                Ok(fed) => {
                    self.backoff.reset();
                    return fed;
                }
                Err(error) => {
                    failures += 1;
                    let index = &self.index_name;
                    if failures.is_multiple_of(FAILURES_TOLD) {
                        tracing::warn!(index, %error, failures, "an index does not take a batch: trying on");
                    } else {
                        tracing::debug!(index, %error, "an index did not take a batch");
                    }
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

/// The partition or the index is gone.
struct Gone;

fn index_of(fed: &Fed) -> u64 {
    fed.place.map_or(0, |place| place.index)
}
