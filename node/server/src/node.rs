//! A storage node's engine, log and driver over its data folder, as the roles `dev` and `storage` both have it.

use crate::{
    disk::Disk,
    node_gauges::NodeGauges,
    throttle::{Demand, Throttle, ThroughputLimits},
};
use anyhow::Context;
use cairn_engine::{Engine, FjallOptions, FjallStore, Folder, FolderError, Owner};
use cairn_model::{
    TableDefinition,
    consumption::Consumption,
    ids::{NodeId, PartitionId},
    node::ReplicaReport,
};
use cairn_replication::{
    CoreConfig, Host, HostConfig, Metrics, SystemClock, Transport,
    feed::FeedBatch,
    log::{EngineLog, OnDamage},
    operation::{PartitionError, PartitionRequest},
    wire::PartitionAnswer,
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// What a write is told while the volume is nearly full.
pub(crate) const DISK_FULL: &str =
    "the storage node's volume is nearly full and takes no writes: grow it or delete data";

/// The length of a tick: a leader that dies is replaced one or two seconds later.
const TICK: Duration = Duration::from_millis(100);
const DISK_INTERVAL: Duration = Duration::from_secs(1);
/// For a peer to take over the leadership of a node that stops.
const HAND_OVER_DEADLINE: Duration = Duration::from_secs(3);
/// Between two looks at whether another process still uses the folder.
const LOCK_INTERVAL: Duration = Duration::from_millis(100);

/// How a node deletes expired items.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct ExpiryArguments {
    /// How often expired items are looked for while there are none.
    #[arg(
        long,
        env = "CAIRN_TTL_INTERVAL_MS",
        value_name = "MILLISECONDS",
        default_value_t = 1_000,
        value_parser = clap::value_parser!(u64).range(10..=3_600_000)
    )]
    pub(crate) ttl_interval_ms: u64,
}

/// A data folder that is this node's, opened and checked, before the node takes part in anything.
pub(crate) struct OpenFolder {
    path: PathBuf,
    folder: Folder,
    engine: Arc<Engine<FjallStore>>,
    log: EngineLog,
}

impl OpenFolder {
    /// Opens the folder; refuses it with a message that names the file and says what to do.
    ///
    /// A damaged log is refused, or set aside if its replicas can be replaced from peers. A folder that another
    /// process uses is waited for as long as `patience`.
    pub(crate) async fn open(
        path: PathBuf,
        owner: Owner,
        memory_limit: Option<u64>,
        on_damage: OnDamage,
        patience: Duration,
    ) -> anyhow::Result<Self> {
        tokio::task::spawn_blocking(move || Self::open_blocking(path, &owner, memory_limit, on_damage, patience))
            .await?
    }

    fn open_blocking(
        path: PathBuf,
        owner: &Owner,
        memory_limit: Option<u64>,
        on_damage: OnDamage,
        patience: Duration,
    ) -> anyhow::Result<Self> {
        let folder = lock_folder(&path, owner, patience)?;
        let options = memory_limit.map_or_else(FjallOptions::default, FjallOptions::for_memory);
        let store = FjallStore::open(&folder.items(), &folder.marker(), options)?;
        let engine = Engine::open(store)
            .with_context(|| format!("failed to read the data in {} (nothing was changed)", path.display()))?;
        let engine = Arc::new(engine);
        let opened = EngineLog::open(&folder.log(), &engine, on_damage)?;
        Ok(Self { path, folder, engine, log: opened.log })
    }

    pub(crate) fn node_id(&self) -> NodeId {
        self.folder.node_id()
    }

    /// Takes up the replicas and takes part from now on. With an archive, the log is kept until that has it; with limits,
    /// tables are held to them.
    pub(crate) fn start(
        self,
        transport: Arc<dyn Transport>,
        registry: &prometheus::Registry,
        has_archive: bool,
        limits: Option<ThroughputLimits>,
        expiry: ExpiryArguments,
    ) -> anyhow::Result<Arc<Node>> {
        let id = self.folder.node_id();
        let mut core = CoreConfig::new(id, uuid::Uuid::new_v4().as_u64_pair().0);
        let metrics = Metrics::new()?;
        metrics.register(registry)?;
        core.metrics = Some(metrics);
        core.has_archive = has_archive;
        core.expiry_interval_ms = expiry.ttl_interval_ms;
        let short_of_room = core.short_of_room.clone();
        let config = HostConfig {
            core,
            tick: TICK,
            on_fatal: Box::new(|error| {
                tracing::error!(
                    error,
                    "the disk can't be trusted any more; the process ends, and starts from what is durable"
                );
                std::process::abort();
            }),
        };
        let clock = Arc::new(SystemClock);
        let throttle = limits.map(|limits| Throttle::new(clock.clone(), limits));
        let host = Host::start(config, self.engine, self.log, clock, transport)?;
        let disk = Arc::new(Disk::new(self.path, short_of_room));
        registry.register(Box::new(NodeGauges::new(host.clone(), disk.clone())?))?;
        let node = Arc::new(Node { id, host, throttle, disk, _folder: self.folder });
        let disk = Arc::downgrade(&node.disk);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(DISK_INTERVAL).await;
                let Some(disk) = disk.upgrade() else { return };
                if tokio::task::spawn_blocking(move || disk.look()).await.is_err() {
                    return;
                }
            }
        });
        Ok(node)
    }
}

fn lock_folder(path: &Path, owner: &Owner, patience: Duration) -> Result<Folder, FolderError> {
    let new_id = NodeId(uuid::Uuid::new_v4().into_bytes());
    let mut waited = Duration::ZERO;
    loop {
        match Folder::open(path, owner, new_id) {
            Err(FolderError::InUse { .. }) if waited < patience => {
                if waited.is_zero() {
                    tracing::warn!(folder = %path.display(), "another process still uses the data folder; waiting for its end");
                }
                std::thread::sleep(LOCK_INTERVAL);
                waited += LOCK_INTERVAL;
            }
            opened => return opened,
        }
    }
}

/// A running storage node.
#[derive(Debug)]
pub(crate) struct Node {
    id: NodeId,
    host: Host,
    throttle: Option<Throttle>,
    disk: Arc<Disk>,
    /// Holds the folder's lock.
    _folder: Folder,
}

impl Node {
    pub(crate) fn id(&self) -> NodeId {
        self.id
    }

    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    pub(crate) fn disk(&self) -> &Arc<Disk> {
        &self.disk
    }

    /// Brings a batch of a table's log into a partition of an index here, unless it would fill a disk that is nearly full.
    pub(crate) async fn feed(&self, partition: PartitionId, batch: FeedBatch) -> PartitionAnswer {
        if self.disk.full() {
            return Err(PartitionError::Overloaded { reason: DISK_FULL.to_owned() });
        }
        // Whoever leads the table need not know the index's members as they are: a batch is of no epoch.
        self.host.request(partition, 0, PartitionRequest::Feed(batch)).await
    }

    /// Asks a partition, as [`Host::request`] does, within its table's throughput. `demand`: what the client asked for.
    pub(crate) async fn request(
        &self,
        partition: PartitionId,
        epoch: u64,
        request: PartitionRequest,
        demand: Option<Demand>,
    ) -> PartitionAnswer {
        let limited = || Some((self.throttle.as_ref()?, demand?, self.limited(partition)?));
        let Some((throttle, demand, definition)) = limited() else {
            return self.host.request(partition, epoch, request).await;
        };
        // Whoever does not lead says so, whatever it has left for reads of its own.
        if demand.needs_leader() && self.host.leader(partition).is_none_or(|leader| leader.node_id != self.id) {
            return self.host.request(partition, epoch, request).await;
        }
        throttle.admit(partition, &definition, demand, |id| self.is_metered(id))?;
        let answer = self.host.request(partition, epoch, request).await;
        throttle.settle(partition, &definition, demand, &answer);
        answer
    }

    /// The definition of a partition's table, if that has a limit.
    fn limited(&self, partition: PartitionId) -> Option<Arc<TableDefinition>> {
        let throttle = self.throttle.as_ref()?;
        self.host.definition_if(partition, |definition| throttle.limits(definition))
    }

    /// Whether a partition with a limit is here, or a table is whose global index it is.
    fn is_metered(&self, partition: PartitionId) -> bool {
        let of_index = |report: &ReplicaReport| {
            let mut at = report.definition.global_indexes.iter().flat_map(|index| &index.partitions);
            at.any(|at| at.partition_id == partition)
        };
        self.limited(partition).is_some() || self.host.reports().iter().any(of_index)
    }

    /// What limited tables consumed of this node in the last minutes; none where nothing is throttled.
    pub(crate) fn consumption(&self) -> Option<Consumption> {
        self.throttle.as_ref().map(Throttle::consumption)
    }

    /// Gives leadership away, makes everything durable, and stops.
    pub(crate) async fn stop(&self) {
        let _ = tokio::time::timeout(HAND_OVER_DEADLINE, self.host.hand_over()).await;
        self.host.stop().await;
    }
}
