//! What a storage node answers other regions of the partitions that it leads. Who may ask was decided by the router; that the
//! table lists the region is seen to here once more.

use super::{
    message::{
        CLOSE_MAX, IndexDescription, PartitionCall, PartitionDescription, RegionAnswer, RegionAsk, RegionOutcome,
        RegionRefusal, SourceClock, TURN_MAX, TableDescription, WAIT_MAX,
    },
    shipment,
};
use cairn_model::{
    ids::{NodeId, PartitionId},
    node::ReplicaReport,
};
use cairn_replication::{
    Clock, Host,
    core::Claim,
    global::{OutboundError, Reader, RemoteBatch},
    operation::PartitionError,
};
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;

/// Batches that are made at once, be it for callers that have given up: each may take some megabytes.
const MAKING_MAX: usize = 16;

#[derive(Debug)]
pub(crate) struct RegionSource {
    host: Host,
    node: NodeId,
    clock: Arc<dyn Clock>,
    making: Arc<Semaphore>,
}

/// A call, and since when it is here.
struct Held {
    partition: PartitionId,
    region: String,
    since_boot_ms: u64,
}

impl RegionSource {
    pub(crate) fn new(host: Host, node: NodeId, clock: Arc<dyn Clock>) -> Self {
        Self { host, node, clock, making: Arc::new(Semaphore::new(MAKING_MAX)) }
    }

    pub(crate) async fn answer(&self, call: PartitionCall) -> RegionAnswer {
        let held = Held { partition: call.partition, region: call.region, since_boot_ms: self.clock.now().boot_ms };
        let replica = self.led(call.partition)?;
        check_caller(&replica, &held.region, &call.cluster_id)?;
        match call.ask {
            RegionAsk::Describe => {
                let description = self.describe(&replica, &held)?;
                Ok(RegionOutcome::description(description, IndexDescription::all_of(&replica.definition)))
            }
            RegionAsk::Hello => {
                let region = held.region.clone();
                self.batch(held, move |host, partition| host.hello(partition, &region)).await
            }
            RegionAsk::Changes { reader, bytes_max, wait_ms } => {
                if reader.lineage.region != held.region {
                    return Err(RegionRefusal::NotListed);
                }
                let wait = Duration::from_millis(wait_ms.into()).min(WAIT_MAX);
                let claim = match self.has_news(call.partition, &reader, wait).await? {
                    true => None,
                    // Nothing came: the reader moves on all the same, to a time behind which nothing can come any more.
                    false => self.claim(call.partition).await?,
                };
                let bytes_max = bytes_max as usize;
                self.batch(held, move |host, partition| host.changes(partition, &reader, claim, bytes_max)).await
            }
        }
    }

    /// The replica, if it is the leader's.
    fn led(&self, partition: PartitionId) -> Result<ReplicaReport, RegionRefusal> {
        let leader = self.host.leader(partition);
        match self.host.replica(partition) {
            Some(replica) if leader.as_ref().is_some_and(|leader| leader.node_id == self.node) => Ok(replica),
            _ => Err(RegionRefusal::NotLeader { leader }),
        }
    }

    fn describe(&self, replica: &ReplicaReport, held: &Held) -> Result<TableDescription, RegionRefusal> {
        let definition = &replica.definition;
        let replicas = definition.replicas.as_ref().ok_or(RegionRefusal::NotListed)?;
        let schema = &definition.key_schema;
        Ok(TableDescription {
            clock: since(&*self.clock, held.since_boot_ms),
            region: replicas.region.clone(),
            cluster_id: replicas.cluster_id.clone(),
            table_id: definition.table_id,
            keys: std::iter::once(&schema.partition).chain(&schema.sort).cloned().collect(),
            partitions: vec![PartitionDescription {
                partition: replica.descriptor.partition_id,
                range: replica.descriptor.range.clone(),
                item_count: replica.item_count,
                members: replicas.members.clone(),
            }],
        })
    }

    /// Waits until the log goes on behind where the reader stands, if it stands anywhere.
    async fn has_news(&self, partition: PartitionId, reader: &Reader, wait: Duration) -> Result<bool, RegionRefusal> {
        let place = reader.place.filter(|_| reader.copy.is_none() && reader.source.partition == partition);
        let Some(index) = place.map(|place| place.index) else { return Ok(true) };
        let applied = self.host.applied_beyond(partition, index, wait).await.map_err(Self::refusal)?;
        Ok(applied > index)
    }

    /// None where no time can be closed now: then the reader stays where it is.
    async fn claim(&self, partition: PartitionId) -> Result<Option<Claim>, RegionRefusal> {
        match tokio::time::timeout(CLOSE_MAX, self.host.close(partition)).await {
            Ok(Ok(claim)) => Ok(Some(claim)),
            Ok(Err(error @ (PartitionError::NotLeader { .. } | PartitionError::UnknownPartition))) => {
                Err(Self::refusal(error))
            }
            Err(_) => {
                tracing::debug!(%partition, "closing a time for another region took too long");
                Ok(None)
            }
            Ok(Err(error)) => {
                tracing::debug!(%partition, %error, "closed no time for another region");
                Ok(None)
            }
        }
    }

    async fn batch(
        &self,
        held: Held,
        make: impl FnOnce(&Host, PartitionId) -> Result<RemoteBatch, OutboundError> + Send + 'static,
    ) -> RegionAnswer {
        let Held { partition, since_boot_ms, .. } = held;
        let turn = tokio::time::timeout(TURN_MAX, self.making.clone().acquire_owned()).await;
        let turn = turn
            .map_err(|_| RegionRefusal::unavailable("the storage node makes too many batches at once"))?
            .map_err(RegionRefusal::unavailable)?;
        let (host, clock) = (self.host.clone(), self.clock.clone());
        let made = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let batch = make(&host, partition)?;
            let items = host.replica(partition).map_or(0, |replica| replica.item_count);
            Ok(shipment::pack(&batch, items, since(&*clock, since_boot_ms)))
        });
        let packed = made.await.map_err(RegionRefusal::unavailable)?;
        let shipped =
            packed.map_err(|error| self.outbound_refusal(partition, error))?.map_err(RegionRefusal::unavailable)?;
        Ok(RegionOutcome::Batch(shipped))
    }

    fn refusal(error: PartitionError) -> RegionRefusal {
        match error {
            PartitionError::NotLeader { leader } => RegionRefusal::NotLeader { leader },
            PartitionError::UnknownPartition => RegionRefusal::NotLeader { leader: None },
            error => RegionRefusal::unavailable(error),
        }
    }

    fn outbound_refusal(&self, partition: PartitionId, error: OutboundError) -> RegionRefusal {
        match error {
            OutboundError::UnknownPartition | OutboundError::Behind { .. } => {
                let leader = self.host.leader(partition).filter(|leader| leader.node_id != self.node);
                RegionRefusal::NotLeader { leader }
            }
            OutboundError::NotGlobal | OutboundError::NotAMember { .. } => RegionRefusal::NotListed,
            OutboundError::NotHeard { .. } | OutboundError::NotBegun => RegionRefusal::NotHeard,
            OutboundError::NotEmpty(why) => RegionRefusal::NotEmpty(why),
            error => {
                tracing::error!(%partition, error = &error as &dyn std::error::Error, "failed to make a batch");
                RegionRefusal::unavailable(error)
            }
        }
    }
}

fn since(clock: &dyn Clock, boot_ms: u64) -> SourceClock {
    let now = clock.now();
    SourceClock { wall_ms: now.wall_ms, held_ms: now.boot_ms.saturating_sub(boot_ms) }
}

/// That the table lists the caller's region, as the cluster that it says it is.
fn check_caller(replica: &ReplicaReport, region: &str, cluster_id: &str) -> Result<(), RegionRefusal> {
    let replicas = replica.definition.replicas.as_ref().ok_or(RegionRefusal::NotListed)?;
    let peer = replicas.peers.get(region).filter(|_| replicas.members.contains(region));
    match peer {
        None => Err(RegionRefusal::NotListed),
        Some(peer) if peer.cluster_id != cluster_id => Err(RegionRefusal::WrongCluster),
        Some(_) => Ok(()),
    }
}
