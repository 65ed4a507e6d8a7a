//! The role `storage`: a storage node of a group, in a pod with a volume.

use crate::{
    admin::{self, Readiness},
    archive::{
        HostAdopter, HostReader, HostSource,
        socket::{self, Offer},
    },
    indexes::{Feeders, sink::NodeSink},
    internal::{
        client::{GroupName, NodeClient},
        server::{self, Callers},
        transport::PeerTransport,
    },
    listen::bind,
    memory::MemoryArguments,
    node::{DISK_FULL, ExpiryArguments, Node, OpenFolder},
    regions::{
        Readers, RegionSource,
        message::{PartitionCall as RegionCall, RegionAnswer},
        standing::Standings,
    },
    shutdown,
    throttle::{Demand, ThroughputLimits},
    tls::Tls,
};
use cairn_engine::Owner;
use cairn_model::{
    ServiceError,
    node::{NodeReport, ReplicaReport, ReplicaState},
};
use cairn_replication::{
    Host, SystemClock,
    log::OnDamage,
    operation::{PartitionError, PartitionRequest},
    wire::{PartitionAnswer, PartitionCall},
};
use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

/// For the process of the pod before this one, deleted by force, to end; an exit here would cost the kubelet's back-off.
const PREDECESSOR_DEADLINE: Duration = Duration::from_secs(60);

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The volume's folder.
    #[arg(long, env = "CAIRN_DATA")]
    data: PathBuf,
    #[arg(long, env = "CAIRN_REGION")]
    region: String,
    /// The account: the namespace of the group.
    #[arg(long, env = "CAIRN_ACCOUNT")]
    account: String,
    /// The storage group this node belongs to.
    #[arg(long, env = "CAIRN_GROUP")]
    group: String,
    #[arg(long, env = "CAIRN_ZONE")]
    zone: String,
    /// Host and port under which the other nodes and the routers reach this one.
    #[arg(long, env = "CAIRN_ADVERTISE")]
    advertise: String,
    /// Where other nodes, routers and the operator connect.
    #[arg(long, env = "CAIRN_LISTEN", default_value = "0.0.0.0:7400")]
    listen: SocketAddr,
    /// Health, readiness and metrics.
    #[arg(long, env = "CAIRN_ADMIN", default_value = "0.0.0.0:8080")]
    admin: SocketAddr,
    /// Folder with tls.crt, tls.key and ca.crt.
    #[arg(long, env = "CAIRN_TLS_DIR")]
    tls_dir: PathBuf,
    /// The namespace of the routers and the operator, whose calls are answered.
    #[arg(long, env = "CAIRN_RELEASE_NAMESPACE")]
    release_namespace: String,
    /// Listen there for the archive beside this node, and keep the log of tables with continuous backups until it has it.
    #[arg(long, env = "CAIRN_ARCHIVE_SOCKET", value_name = "PATH")]
    archive_socket: Option<PathBuf>,
    /// Serve whatever tables ask for, whatever their throughput is: nothing is counted then, and auto-scaling stands still.
    #[arg(long, env = "CAIRN_NO_THROTTLING")]
    no_throttling: bool,
    #[command(flatten)]
    memory: MemoryArguments,
    /// Hold tables on demand to what DynamoDB gives them at once, too: 12,000 reads and 4,000 writes a second or what they are
    /// warmed to, and later twice their previous peak.
    #[arg(long, env = "CAIRN_ON_DEMAND_LIMITS", conflicts_with = "no_throttling")]
    on_demand_limits: bool,
    #[command(flatten)]
    expiry: ExpiryArguments,
}

/// What the internal port stands on.
#[derive(Debug)]
pub struct StorageNode {
    node: Arc<Node>,
    owner: Owner,
    zone: String,
    source: RegionSource,
    standings: Arc<Standings>,
}

impl StorageNode {
    pub fn host(&self) -> &Host {
        self.node.host()
    }

    /// Serves a router's request, unless it would fill a disk that is nearly full.
    pub async fn request(&self, call: PartitionCall) -> PartitionAnswer {
        if call.request.brings_data() && self.node.disk().full() {
            return Err(PartitionError::Overloaded { reason: DISK_FULL.to_owned() });
        }
        let demand = Demand::of(&call.request);
        self.node.request(call.partition, call.epoch, call.request, demand).await
    }

    /// Takes what a table's log changes in an index.
    pub(crate) async fn feed(&self, call: PartitionCall) -> PartitionAnswer {
        match call.request {
            PartitionRequest::Feed(batch) => self.node.feed(call.partition, batch).await,
            _ => Err(ServiceError::validation("only batches for indexes come this way").into()),
        }
    }

    /// What another region asks, by way of a router.
    pub(crate) async fn answer_region(&self, call: RegionCall) -> RegionAnswer {
        self.source.answer(call).await
    }

    fn replicas(&self) -> Vec<ReplicaReport> {
        let mut replicas = self.host().replicas();
        for replica in replicas.iter_mut().filter(|replica| replica.state == ReplicaState::Leader) {
            replica.regions = self.standings.of(replica.descriptor.partition_id);
        }
        replicas
    }

    pub fn report(&self) -> NodeReport {
        let disk = self.node.disk();
        NodeReport {
            node_id: self.node.id(),
            region: self.owner.region.clone(),
            account: self.owner.account.clone(),
            group: self.owner.group.clone(),
            zone: self.zone.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            replicas: self.replicas(),
            retired: self.host().retired(),
            disk_free_bytes: disk.free_bytes(),
            disk_total_bytes: disk.total_bytes(),
            disk_full: disk.full(),
            consumption: self.node.consumption(),
        }
    }

    /// Why a rollout should not go on to the next node yet: a replica that has not caught up, or can't.
    fn not_ready(&self) -> Option<String> {
        self.host().replicas().iter().find(|replica| !replica.caught_up).map(|replica| {
            let table = &replica.definition.table_name;
            match &replica.state {
                ReplicaState::Damaged(reason) => format!("the replica of table {table} is damaged: {reason}"),
                _ => format!("the replica of table {table} has not caught up"),
            }
        })
    }
}

/// Runs until a signal ends it.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let registry = prometheus::Registry::new();
    let tls = Tls::from_dir(&arguments.tls_dir)?;
    let own = tls.storage_identity(&arguments.region, &arguments.account, &arguments.group)?;
    let owner =
        Owner { region: arguments.region.clone(), account: arguments.account.clone(), group: arguments.group.clone() };
    let folder = OpenFolder::open(
        arguments.data,
        owner.clone(),
        arguments.memory.limit_bytes(),
        OnDamage::SetAside,
        PREDECESSOR_DEADLINE,
    )
    .await?;
    // Only now: the process before this one may have served there.
    let archive_socket = arguments.archive_socket.as_deref().map(socket::listen).transpose()?;
    let client = NodeClient::new(tls.clone(), arguments.region);
    let group = GroupName { account: arguments.account, group: arguments.group };
    let transport = PeerTransport::new(folder.node_id(), group.clone(), client.clone());
    let limits = if arguments.on_demand_limits { ThroughputLimits::AsDynamodb } else { ThroughputLimits::AsSet };
    let limits = (!arguments.no_throttling).then_some(limits);
    let node = folder.start(transport, &registry, archive_socket.is_some(), limits, arguments.expiry)?;
    let clock = Arc::new(SystemClock);
    let seed = uuid::Uuid::new_v4().as_u64_pair().0;
    let readers = Readers::new(node.clone(), tls.clone(), clock.clone(), seed, &registry)?;
    let sink = NodeSink { node: node.clone(), others: Some((client, group)) };
    let feeders = Feeders::new(node.clone(), sink, clock.clone(), seed, &registry)?;
    let storage = Arc::new(StorageNode {
        node: node.clone(),
        owner,
        zone: arguments.zone,
        source: RegionSource::new(node.host().clone(), node.id(), clock),
        standings: readers.standings(),
    });
    tokio::spawn(readers.run());
    tokio::spawn(feeders.run());

    if let Some(listener) = archive_socket {
        let host = node.host().clone();
        let reader = HostReader { host: host.clone(), disk: node.disk().clone() };
        let offer = Offer::new(Arc::new(HostSource(host)), Arc::new(HostAdopter(node.clone())), Arc::new(reader));
        tokio::spawn(socket::serve(listener, offer));
    }
    let listener = bind(arguments.listen).await?;
    let admin = bind(arguments.admin).await?;
    let readiness: Readiness = {
        let storage = storage.clone();
        Arc::new(move || storage.not_ready())
    };
    tokio::spawn(admin::serve(admin, registry, readiness));
    let callers = Callers { own, release_namespace: arguments.release_namespace };
    tokio::spawn(server::serve(listener, tls, callers, storage));
    tracing::info!(node = %node.id(), listen = %arguments.listen, advertise = arguments.advertise, "serving");
    shutdown::requested().await;
    node.stop().await;
    Ok(())
}
