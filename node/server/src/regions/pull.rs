//! Reads one region's table into one partition that this node leads, until it is stopped: describe, hello, and then batch
//! after batch, each taken in before the next is asked for. Where the reading stands is kept by the partition, so that anyone
//! who leads it goes on there.

use super::{
    came::{Came, state_of},
    clock_offset::{ClockOffset, skew},
    message::{
        IndexDescription, PartitionDescription, RegionAsk, RegionOutcome, RegionRefusal, ShippedBatch, SourceClock,
        TableCall, TableDescription,
    },
    metrics::RegionMetrics,
    pair::{Pair, named, named_indexes},
    peer::{Answered, PeerConnection},
    shipment,
    standing::{PairName, Standings},
    trouble::{of_refusal, problem},
};
use crate::{
    backoff::Backoff,
    node::{DISK_FULL, Node},
};
use cairn_model::{
    ids::PartitionId,
    region::{RegionProblem, RegionTrouble},
};
use cairn_replication::{
    Clock,
    global::{BATCH_BYTES_MAX, Reader, RemoteBatch},
    operation::PartitionError,
};
use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::Semaphore;

/// For how long the source is asked to wait for something new.
const WAIT: Duration = Duration::from_secs(1);
/// How often the source's table is looked at again.
const DESCRIBE_INTERVAL_MS: u64 = 30_000;
/// How often what is set aside is counted.
const COUNT_INTERVAL_MS: u64 = 5_000;
/// The source hears of this table by reading from it, which begins when it knows of it.
const HEARD_WITHIN_MS: u64 = 10_000;
/// Of batches that all readers of a node ask for at one time.
const BATCHES_BYTES_MAX: usize = 32 << 20;
const BATCH_BYTES_MIN: usize = 64 << 10;
/// Batches that are decompressed at once: what is small on its way may come to many megabytes.
pub(super) const UNPACKING_MAX: usize = 4;

/// What all readers of a node stand on.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) node: Arc<Node>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) standings: Arc<Standings>,
    pub(super) metrics: RegionMetrics,
    pub(super) readers: AtomicUsize,
    pub(super) unpacking: Arc<Semaphore>,
}

pub(super) struct Pull {
    ground: Arc<Ground>,
    pair: Pair,
    name: PairName,
    connection: Arc<PeerConnection>,
    backoff: Backoff,
    /// Since when the source says that it has not heard of this table.
    unheard_since_ms: Option<u64>,
    /// When what is set aside is counted next.
    count_at_ms: u64,
}

/// Why the reading does not go on.
enum Stop {
    /// This node does not lead any more, or the region is no member.
    Over,
    NotHeard,
    /// The source has another partition than before.
    Changed,
    Trouble(RegionProblem),
}

impl From<RegionProblem> for Stop {
    fn from(problem: RegionProblem) -> Self {
        Self::Trouble(problem)
    }
}

impl Pull {
    pub(super) fn new(ground: Arc<Ground>, pair: Pair, connection: Arc<PeerConnection>, seed: u64) -> Self {
        let name = pair.name();
        let backoff = Backoff::new(seed);
        Self { ground, pair, name, connection, backoff, unheard_since_ms: None, count_at_ms: 0 }
    }

    /// Ends when this node does not lead any more, or the region is no member.
    pub(super) async fn run(mut self) {
        self.take_up().await;
        loop {
            let Err(stop) = self.follow().await;
            match stop {
                Stop::Over => return,
                Stop::Changed => continue,
                Stop::Trouble(trouble) => {
                    self.unheard_since_ms = None;
                    self.tell(Some(trouble));
                }
                Stop::NotHeard => self.unheard(),
            }
            self.count_set_aside().await;
            tokio::time::sleep(self.backoff.pause()).await;
        }
    }

    /// What the partition knows of the reading from those that led it before.
    async fn take_up(&self) {
        let (host, (partition, region)) = (self.ground.node.host().clone(), self.name.clone());
        let reading = tokio::task::spawn_blocking(move || host.reading(partition, &region)).await;
        if let Ok(Ok(Some(reading))) = reading {
            let state = state_of(reading.place.as_ref(), reading.copy.as_ref());
            self.ground.standings.update(&self.name, |report| report.state = state);
        }
    }

    async fn follow(&mut self) -> Result<Infallible, Stop> {
        let source = self.describe().await?;
        let mut describe_at_ms = self.boot_ms() + DESCRIBE_INTERVAL_MS;
        let (hello, _) = self.batch(source, RegionAsk::Hello).await?;
        let hello = self.unpack(hello).await?;
        let mut reader = self.take(hello).await?;
        loop {
            if self.ground.node.disk().full() {
                return Err(problem(RegionTrouble::Failed, DISK_FULL).into());
            }
            if self.boot_ms() >= describe_at_ms {
                if self.describe().await? != source {
                    return Err(Stop::Changed);
                }
                describe_at_ms = self.boot_ms() + DESCRIBE_INTERVAL_MS;
            }
            let readers = self.ground.readers.load(Ordering::Relaxed).max(1);
            let bytes_max = (BATCHES_BYTES_MAX / readers).clamp(BATCH_BYTES_MIN, BATCH_BYTES_MAX) as u32;
            let ask = RegionAsk::Changes { reader: Box::new(reader), bytes_max, wait_ms: WAIT.as_millis() as u32 };
            let (shipped, bytes) = self.batch(source, ask).await?;
            let item_count = shipped.item_count;
            let batch = self.unpack(shipped).await?;
            let came = Came::of(&batch, &self.pair.region);
            reader = self.take(batch).await?;
            self.succeeded(&reader, &came, item_count, bytes);
            self.count_set_aside().await;
        }
    }

    /// Makes sure that it is the table that it should be, and tells which of its partitions to read.
    async fn describe(&mut self) -> Result<PartitionId, Stop> {
        let (outcome, _) = self.ask(None, RegionAsk::Describe).await?;
        let Some((description, indexes)) = outcome.into_description() else { return Err(self.unexpected().into()) };
        if let Some(flaw) = self.flaw(&description, &indexes) {
            return Err(flaw.into());
        }
        let mut same = description.partitions.iter().filter(|partition| partition.range == self.pair.range);
        match (same.next(), same.next()) {
            (Some(partition), None) => Ok(partition.partition),
            _ => Err(problem(
                RegionTrouble::Failed,
                format!("the table in region {} is divided into other partitions than the one here", self.pair.region),
            )
            .into()),
        }
    }

    fn flaw(&self, met: &TableDescription, met_indexes: &[IndexDescription]) -> Option<RegionProblem> {
        let Pair { region, peer, keys, local_indexes, table, own_region, .. } = &self.pair;
        if met.region != *region || met.cluster_id != peer.cluster_id {
            let message = format!(
                "who answers at {} is region {}, cluster {}; the peer bundle says region {region}, cluster {}: apply the \
                 bundle of region {region} as it is now",
                peer.endpoint, met.region, met.cluster_id, peer.cluster_id
            );
            return Some(problem(RegionTrouble::WrongCluster, message));
        }
        if met.keys != *keys {
            let message = format!(
                "table {table} has the keys {} in region {region} and {} in region {own_region}: they must be the same",
                named(&met.keys),
                named(keys)
            );
            return Some(problem(RegionTrouble::KeySchemaDiffers, message));
        }
        if met_indexes != local_indexes.as_slice() {
            let message = format!(
                "table {table} has the local indexes {} in region {region} and {} in region {own_region}: they must be the same; \
                 make one of the tables anew",
                named_indexes(met_indexes),
                named_indexes(local_indexes)
            );
            return Some(problem(RegionTrouble::IndexesDiffer, message));
        }
        let lists = |partition: &PartitionDescription| partition.members.contains(own_region);
        (!met.partitions.iter().all(lists)).then(|| of_refusal(&RegionRefusal::NotListed, own_region, region, table))
    }

    async fn batch(&mut self, source: PartitionId, ask: RegionAsk) -> Result<(ShippedBatch, usize), Stop> {
        match self.ask(Some(source), ask).await? {
            (RegionOutcome::Batch(shipped), bytes) => Ok((shipped, bytes)),
            _ => Err(self.unexpected().into()),
        }
    }

    async fn ask(&mut self, partition: Option<PartitionId>, ask: RegionAsk) -> Result<(RegionOutcome, usize), Stop> {
        let call = TableCall {
            account: self.pair.account.clone(),
            table: self.pair.table.clone(),
            cluster_id: self.pair.own_cluster_id.clone(),
            partition,
            ask,
        };
        let answered = self.connection.call(&call).await?;
        if let Ok(outcome) = &answered.answer {
            self.compare(outcome.clock(), &answered);
        }
        match answered.answer {
            Ok(outcome) => Ok((outcome, answered.bytes)),
            Err(RegionRefusal::NotHeard) => Err(Stop::NotHeard),
            Err(refusal) => {
                let Pair { own_region, region, table, .. } = &self.pair;
                Err(of_refusal(&refusal, own_region, region, table).into())
            }
        }
    }

    async fn unpack(&self, shipped: ShippedBatch) -> Result<RemoteBatch, Stop> {
        let failed = |why: String| problem(RegionTrouble::Failed, why).into();
        let turn = self.ground.unpacking.clone().acquire_owned().await;
        let turn = turn.map_err(|error| failed(error.to_string()))?;
        let unpacked = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            shipment::unpack(&shipped)
        });
        unpacked.await.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))
    }

    fn unexpected(&self) -> RegionProblem {
        problem(RegionTrouble::Failed, format!("region {} answers what it was not asked", self.pair.region))
    }

    /// Takes in a batch: tells where the reading stands then.
    async fn take(&mut self, batch: RemoteBatch) -> Result<Reader, Stop> {
        let host = self.ground.node.host();
        host.remote(self.pair.partition, batch).await.map_err(|error| match error {
            PartitionError::NotLeader { .. } | PartitionError::UnknownPartition => Stop::Over,
            _ if !self.is_member() => Stop::Over,
            PartitionError::NotEmpty(why) => problem(RegionTrouble::NotEmpty, why.to_string()).into(),
            error => problem(RegionTrouble::Failed, format!("region {} failed: {error}", self.pair.own_region)).into(),
        })
    }

    fn is_member(&self) -> bool {
        let replica = self.ground.node.host().replica(self.pair.partition);
        let replicas = replica.and_then(|replica| replica.definition.replicas);
        replicas.is_some_and(|replicas| replicas.members.contains(&self.pair.region))
    }

    /// What the source's clock shows, as far as the way of the answer lets one tell.
    fn compare(&self, clock: SourceClock, answered: &Answered) {
        let took_ms = answered.answered.boot_ms.saturating_sub(answered.asked_boot_ms);
        let offset = ClockOffset::measured(clock, answered.answered.wall_ms, took_ms);
        self.ground.standings.update(&self.name, |report| report.clock_offset_ms = offset.told());
    }

    fn succeeded(&mut self, reader: &Reader, came: &Came, items_of: u64, bytes: usize) {
        self.backoff.reset();
        self.unheard_since_ms = None;
        let Ground { clock, standings, metrics, .. } = &*self.ground;
        let Pair { table, region, .. } = &self.pair;
        let now_ms = clock.now().wall_ms;
        let mut latency_ms = None;
        for (time_ms, records) in &came.written {
            let latency = now_ms.saturating_sub(*time_ms);
            metrics.came(table, region, latency, *records);
            latency_ms = Some(latency);
        }
        metrics.took(table, region, came.records, bytes as u64);
        let mut offset_ms = None;
        standings.update(&self.name, |report| {
            report.state = state_of(reader.place.as_ref(), reader.copy.as_ref());
            report.last_success_ms = Some(now_ms);
            report.latency_ms = latency_ms.or(report.latency_ms);
            report.pending_records = Some(came.pending);
            report.copy = reader.copy.is_some().then(|| came.progress(report.copy, items_of));
            offset_ms = report.clock_offset_ms;
        });
        self.tell(offset_ms.and_then(|offset_ms| skew(offset_ms, region, &self.pair.own_region)));
    }

    /// Not a problem before it lasts; what was one before is none any more.
    fn unheard(&mut self) {
        let now_ms = self.boot_ms();
        let since_ms = *self.unheard_since_ms.get_or_insert(now_ms);
        if now_ms < since_ms + HEARD_WITHIN_MS {
            self.ground.standings.set_problem(&self.name, None);
        } else {
            let Pair { own_region, region, table, .. } = &self.pair;
            self.tell(Some(of_refusal(&RegionRefusal::NotHeard, own_region, region, table)));
        }
    }

    fn tell(&self, problem: Option<RegionProblem>) {
        let Pair { table, region, .. } = &self.pair;
        let is_news = self.ground.standings.set_problem(&self.name, problem.clone());
        match problem {
            // With a wrong clock the reading goes on all the same, and each batch tells of it.
            Some(RegionProblem { reason, .. }) if !is_news && reason == RegionTrouble::ClockSkew => {}
            Some(RegionProblem { reason, message }) => {
                self.ground.metrics.failed(table, region, reason);
                if is_news {
                    let reason = reason.reason();
                    tracing::warn!(%table, %region, reason, message, "a region can't be read as it should");
                }
            }
            None if is_news => tracing::info!(%table, %region, "reads from the region again"),
            None => {}
        }
    }

    async fn count_set_aside(&mut self) {
        let now_ms = self.boot_ms();
        if now_ms < self.count_at_ms {
            return;
        }
        self.count_at_ms = now_ms + COUNT_INTERVAL_MS;
        let (host, (partition, region)) = (self.ground.node.host().clone(), self.name.clone());
        match tokio::task::spawn_blocking(move || host.set_aside(partition, &region)).await {
            Ok(Ok(count)) => self.ground.standings.update(&self.name, |report| report.set_aside = count as u64),
            Ok(Err(error)) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "failed to count what is set aside")
            }
            Err(error) => tracing::error!(%error, "counting what is set aside did not end"),
        }
    }

    fn boot_ms(&self) -> u64 {
        self.ground.clock.now().boot_ms
    }
}
