//! Brings what a node's partitions commit into the bucket.
//!
//! One task a partition ([`worker`]); none waits for another but for the few uploads that may go on at the same time.
//! What the tasks found is in memory for who asks ([`status`]).

mod head;
mod options;
mod status;
mod worker;

pub use options::ShipperOptions;

use crate::{ArchiveError, Bucket, Metrics, Recovery, Source, SourcePartition, retention};
use cairn_model::ids::{PartitionId, TableId};
use cairn_replication::Clock;
use parking_lot::Mutex;
use status::Statuses;
use std::{collections::HashMap, fmt, future::Future, sync::Arc, time::Duration};
use tokio::{
    sync::{Semaphore, watch},
    task::{AbortHandle, JoinSet},
};
use worker::Worker;

const BACKOFF_MIN: Duration = Duration::from_millis(500);

/// Ships the partitions that its source leads.
pub struct Shipper {
    shared: Arc<Shared>,
}

/// What the tasks of all partitions have in common.
struct Shared {
    bucket: Bucket,
    cluster: String,
    node: String,
    source: Arc<dyn Source>,
    clock: Arc<dyn Clock>,
    options: ShipperOptions,
    metrics: Metrics,
    uploads: Semaphore,
    snapshots: Arc<Semaphore>,
    /// What the source leads, as it said last.
    led: Mutex<HashMap<PartitionId, SourcePartition>>,
    statuses: Statuses,
}

impl fmt::Debug for Shipper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shipper")
            .field("cluster", &self.shared.cluster)
            .field("node", &self.shared.node)
            .field("options", &self.shared.options)
            .finish_non_exhaustive()
    }
}

impl Shipper {
    /// `cluster` and `node` name where the source is, in the bucket.
    pub fn new(
        bucket: Bucket,
        cluster: String,
        node: String,
        source: Arc<dyn Source>,
        clock: Arc<dyn Clock>,
        options: ShipperOptions,
        metrics: Metrics,
    ) -> Self {
        let (uploads, snapshots) = (options.uploads_max.max(1), options.snapshots_max.max(1));
        Self {
            shared: Arc::new(Shared {
                bucket,
                cluster,
                node,
                source,
                clock,
                options,
                metrics,
                uploads: Semaphore::new(uploads),
                snapshots: Arc::new(Semaphore::new(snapshots)),
                led: Mutex::default(),
                statuses: Statuses::default(),
            }),
        }
    }

    /// Ships until `shutdown` is done, whatever fails; then once more what was committed last, within
    /// [`ShipperOptions::last_round`].
    pub async fn run(&self, shutdown: impl Future<Output = ()>) {
        let (stop, stopping) = watch::channel(false);
        let mut shipping = std::pin::pin!(self.ship(stopping));
        tokio::select! {
            () = shutdown => {}
            () = &mut shipping => return,
        }
        let _ = stop.send(true);
        if tokio::time::timeout(self.shared.options.last_round, shipping).await.is_err() {
            tracing::warn!("the archive did not take what was committed last in time: whoever leads next ships it");
        }
    }

    /// What of a table can be restored, as far as this node ships it and as of the last round; from memory.
    /// None if it ships nothing of it.
    pub fn status(&self, table_id: TableId) -> Option<Recovery> {
        self.shared.statuses.recovery(table_id, self.shared.clock.now().wall_ms)
    }

    /// Returns after a last round of each partition once it is `stopping`.
    async fn ship(&self, mut stopping: watch::Receiver<bool>) {
        tokio::select! {
            () = self.probe() => {}
            () = told(stopping.clone()) => return,
        }
        // Ends its tasks when it is dropped.
        let mut workers = JoinSet::new();
        let mut running: HashMap<PartitionId, AbortHandle> = HashMap::new();
        let mut sweeping = JoinSet::new();
        let mut swept_at_ms = self.shared.clock.now().boot_ms;
        loop {
            let led: HashMap<PartitionId, SourcePartition> = self
                .shared
                .source
                .partitions()
                .into_iter()
                .map(|partition| (partition.descriptor.partition_id, partition))
                .collect();
            while workers.try_join_next().is_some() {}
            running.retain(|_, task| !task.is_finished());
            let new: Vec<PartitionId> = led.keys().filter(|id| !running.contains_key(id)).copied().collect();
            self.shared.statuses.retain(&led);
            *self.shared.led.lock() = led;
            for id in new {
                running.insert(id, workers.spawn(ship_partition(self.shared.clone(), id, stopping.clone())));
            }
            self.shared.statuses.measure(&self.shared.metrics, self.shared.clock.now().wall_ms);
            while sweeping.try_join_next().is_some() {}
            let now_ms = self.shared.clock.now().boot_ms;
            let upkeep_ms = self.shared.options.upkeep_interval.as_millis() as u64;
            if sweeping.is_empty() && now_ms.saturating_sub(swept_at_ms) >= upkeep_ms {
                swept_at_ms = now_ms;
                sweeping.spawn(sweep(self.shared.clone()));
            }
            if waited(self.shared.options.seal_interval, &mut stopping).await {
                break;
            }
        }
        while workers.join_next().await.is_some() {}
    }

    /// Returns once the bucket proved fit to ship to.
    async fn probe(&self) {
        let mut backoff = BACKOFF_MIN;
        while let Err(error) = self.shared.bucket.probe().await {
            self.shared.metrics.failures.inc();
            if self.shared.statuses.unreachable(&error) {
                tracing::warn!(error = &error as &dyn std::error::Error, "the archive cannot be used: trying on");
            }
            tokio::time::sleep(backoff).await;
            backoff = (backoff * 2).min(self.shared.options.backoff_max);
        }
        self.shared.statuses.reached();
    }
}

async fn sweep(shared: Arc<Shared>) {
    if let Err(error) = retention::sweep(&shared.bucket, &shared.cluster, &*shared.clock).await {
        shared.metrics.failures.inc();
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "failed to delete what is past its time in the archive"
        );
    }
}

/// Returns once it is `stopping`.
async fn told(mut stopping: watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

/// Waits; true, at once, where it is `stopping`.
async fn waited(wait: Duration, stopping: &mut watch::Receiver<bool>) -> bool {
    tokio::time::timeout(wait, stopping.wait_for(|stopping| *stopping)).await.is_ok()
}

async fn ship_partition(shared: Arc<Shared>, id: PartitionId, mut stopping: watch::Receiver<bool>) {
    let mut worker: Option<Worker> = None;
    let mut backoff = BACKOFF_MIN;
    loop {
        let is_last = *stopping.borrow();
        let Some(partition) = shared.led.lock().get(&id).cloned() else { return };
        let worker = worker.get_or_insert_with(|| Worker::new(shared.clone(), &partition));
        if is_last {
            worker.claim_anew();
        }
        let wait = match worker.round(&partition).await {
            Ok(()) => {
                backoff = BACKOFF_MIN;
                shared.options.seal_interval
            }
            // Another node, or an attempt of this one that seemed to fail, was first: go on after it.
            Err(ArchiveError::Exists { object }) => {
                tracing::debug!(object, "something else wrote this first");
                BACKOFF_MIN.min(shared.options.seal_interval)
            }
            Err(error) => {
                shared.metrics.failures.inc();
                if shared.statuses.failed(&partition, &error) {
                    tracing::warn!(
                        partition = %id,
                        table = partition.definition.table_name,
                        error = &error as &dyn std::error::Error,
                        "failed to archive a partition: trying on"
                    );
                }
                let wait = backoff;
                backoff = (backoff * 2).min(shared.options.backoff_max);
                wait
            }
        };
        if is_last {
            return;
        }
        waited(wait, &mut stopping).await;
    }
}
