//! The role `dev`: router and storage node in one process with one zone, its tables in a folder.

mod asking;
mod backups;
mod exports;
mod files;
mod imports;
mod indexes;
mod partitions;
mod records;
mod tables;
mod tending;

use crate::{
    admin,
    archive::{ArchiveArguments, HostSource, LAST_SHIPMENT_DEADLINE},
    environment::SystemEnvironment,
    exports::ArchivedExports,
    indexes::{Feeders, sink::NodeSink},
    listen::{self, ClientArguments, bind},
    memory::MemoryArguments,
    node::{ExpiryArguments, Node, OpenFolder},
    router::fleet,
    throttle::ThroughputLimits,
};
use anyhow::Context;
use backups::{CLUSTER, LocalBackups, SharedBackups};
use bytes::Bytes;
use cairn_api::{AccessKey, Api, ApiConfig, Authentication, Backends, Backups, Credentials, Exports, Imports, Limits};
use cairn_archive::{Bucket, Shipper, ShipperOptions};
use cairn_engine::Owner;
use cairn_model::descriptor::Member;
use cairn_replication::{SystemClock, Transport, log::OnDamage};
use exports::LocalExports;
use imports::SharedImports;
use records::Records;
use std::{collections::HashMap, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};
use tables::{ACCOUNT, LocalTables};
use tokio::{sync::watch, task::JoinHandle};

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Where clients connect. Anything but a loopback address needs --credentials.
    #[arg(long, env = "CAIRN_LISTEN", default_value = "127.0.0.1:8000")]
    listen: SocketAddr,
    #[command(flatten)]
    clients: ClientArguments,
    /// The folder of the tables; made if it is not there.
    #[arg(long, env = "CAIRN_DATA", default_value = "cairn-data")]
    data: PathBuf,
    /// The region's name in signatures and ARNs.
    #[arg(long, env = "CAIRN_REGION", default_value = "us-east-1")]
    region: String,
    /// Access keys to verify signatures against:
    /// {"version": 1, "keys": [{"accessKeyId": "…", "secretAccessKey": "…", "account": "local"}]}.
    /// Without it, any credentials are accepted.
    #[arg(long, env = "CAIRN_CREDENTIALS")]
    credentials: Option<PathBuf>,
    /// Health, readiness and metrics; not served where it is not given.
    #[arg(long, env = "CAIRN_ADMIN")]
    admin: Option<SocketAddr>,
    /// Hold tables to their provisioned and on-demand throughput, as DynamoDB does: what is on demand takes 12,000 reads and 4,000
    /// writes a second at first, or what it is warmed to, and later twice its previous peak.
    #[arg(long, env = "CAIRN_THROTTLE")]
    throttle: bool,
    #[command(flatten)]
    archive: ArchiveArguments,
    /// The shortest span of an incremental export; DynamoDB's is 900.
    #[arg(long, env = "CAIRN_EXPORT_SPAN_MIN_SECONDS", value_name = "SECONDS", default_value_t = 900)]
    export_span_min_seconds: u64,
    #[command(flatten)]
    expiry: ExpiryArguments,
    #[command(flatten)]
    memory: MemoryArguments,
}

/// There is nobody to send to.
#[derive(Debug)]
struct NoPeers;

impl Transport for NoPeers {
    fn send(&self, _to: &Member, _frame: Bytes) {}
}

#[derive(Debug)]
struct Keys(HashMap<String, Arc<AccessKey>>);

impl Credentials for Keys {
    fn access_key(&self, id: &str) -> Option<Arc<AccessKey>> {
        self.0.get(id).cloned()
    }
}

/// Runs until a signal ends it.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let authentication = match &arguments.credentials {
        Some(file) => {
            let json = std::fs::read(file).with_context(|| format!("failed to read {}", file.display()))?;
            let keys = fleet::parse_credentials(&json).with_context(|| format!("in {}", file.display()))?;
            if let Some((id, _)) = keys.iter().find(|(_, key)| key.account != ACCOUNT) {
                anyhow::bail!("in {}: the access key {id} must have the account {ACCOUNT:?}", file.display());
            }
            Authentication::Verify(Arc::new(Keys(keys)))
        }
        None => {
            anyhow::ensure!(
                arguments.listen.ip().is_loopback(),
                "{} is not a loopback address, and without --credentials anyone who reaches it could read and write: \
                 give --credentials FILE or listen on 127.0.0.1",
                arguments.listen
            );
            Authentication::AcceptAny { account: ACCOUNT.to_owned() }
        }
    };
    let listener = bind(arguments.listen).await?;
    let listen = listener.local_addr()?;
    let registry = prometheus::Registry::new();
    let client_tls = arguments.clients.tls(&registry)?;
    let memory_limit = arguments.memory.limit_bytes();
    let owner = Owner { region: arguments.region.clone(), account: ACCOUNT.to_owned(), group: "dev".to_owned() };
    let folder =
        OpenFolder::open(arguments.data.clone(), owner, memory_limit, OnDamage::Refuse, Duration::ZERO).await?;
    let config = arguments.archive.config();
    let bucket = match &config {
        Some(config) => Some(Bucket::open(config).await?),
        None => None,
    };
    let (limits, expiry) = (arguments.throttle.then_some(ThroughputLimits::AsDynamodb), arguments.expiry);
    let node = folder.start(Arc::new(NoPeers), &registry, bucket.is_some(), limits, expiry)?;
    let there = node.host().replicas().into_iter().map(|replica| replica.definition.table_id).collect();
    let records = Records::open(&arguments.data, there).await?;
    let tables = LocalTables::new(node.clone(), arguments.region.clone(), records);
    tables.indexes_lead().await;
    let sink = NodeSink { node: node.clone(), others: None };
    let seed = uuid::Uuid::new_v4().as_u64_pair().0;
    tokio::spawn(Feeders::new(node.clone(), sink, Arc::new(SystemClock), seed, &registry)?.run());
    let (stop, stopped) = watch::channel(false);
    let exporting = stopped.clone();
    let backups = match bucket.clone() {
        Some(bucket) => Some(archive(bucket, &node, &tables, &arguments.region, &registry, stopped)?),
        None => None,
    };
    let imports = match (&bucket, &config) {
        (Some(bucket), Some(config)) => {
            let (data, bucket, region) = (&arguments.data, bucket.clone(), arguments.region.clone());
            Some(SharedImports::start(data, node.clone(), config.clone(), bucket, tables.clone(), region).await?)
        }
        _ => None,
    };
    let exports = match (&backups, bucket, config) {
        (Some((backups, _)), Some(bucket), Some(config)) => {
            let exports = LocalExports::start(&node, bucket, config, exporting);
            Some(ArchivedExports::new(exports, Arc::new(backups.clone()), arguments.region.clone()))
        }
        _ => None,
    };
    let backends = Backends {
        catalog: match &backups {
            Some((backups, _)) => Arc::new(backups.clone()),
            None => tables.clone(),
        },
        partitions: tables,
        backups: backups.as_ref().map(|(backups, _)| Arc::new(backups.clone()) as Arc<dyn Backups>),
        exports: exports.map(|exports| Arc::new(exports) as Arc<dyn Exports>),
        imports: imports.map(|imports| Arc::new(imports) as Arc<dyn Imports>),
        global_tables: None,
        authentication,
        environment: Arc::new(SystemEnvironment),
    };
    // The other half is the node's.
    let limits = memory_limit.map(|bytes| Limits::for_memory(bytes / 2));
    let config = ApiConfig {
        limits: limits.unwrap_or_default(),
        export_span_min: Duration::from_secs(arguments.export_span_min_seconds),
        ..ApiConfig::new(arguments.region.clone())
    };
    let api = Arc::new(Api::new(config, backends, &registry)?);
    if let Some(address) = arguments.admin {
        let admin = bind(address).await?;
        tokio::spawn(admin::serve(admin, registry, Arc::new(|| None)));
    }
    welcome(&arguments, listen);
    listen::serve(listener, client_tls, api).await?;
    let _ = stop.send(true);
    if let Some((_, shipping)) = backups {
        let _ = tokio::time::timeout(LAST_SHIPMENT_DEADLINE, shipping).await;
    }
    node.stop().await;
    Ok(())
}

/// Ships what the node commits from now on, until `stopped`.
fn archive(
    bucket: Bucket,
    node: &Arc<Node>,
    tables: &Arc<LocalTables>,
    region: &str,
    registry: &prometheus::Registry,
    mut stopped: watch::Receiver<bool>,
) -> anyhow::Result<(SharedBackups, JoinHandle<()>)> {
    let metrics = cairn_archive::Metrics::new()?;
    metrics.register(registry)?;
    let shipper = Arc::new(Shipper::new(
        bucket.clone(),
        CLUSTER.to_owned(),
        node.id().to_string(),
        Arc::new(HostSource(node.host().clone())),
        Arc::new(SystemClock),
        ShipperOptions::default(),
        metrics,
    ));
    let backups = LocalBackups::new(node.clone(), tables.clone(), bucket, shipper.clone(), region.to_owned());
    let shipping = tokio::spawn(async move {
        shipper
            .run(async move {
                let _ = stopped.wait_for(|stopped| *stopped).await;
            })
            .await;
    });
    Ok((SharedBackups(backups), shipping))
}

#[allow(clippy::print_stdout)] // this is what the user is told
fn welcome(arguments: &Arguments, listen: SocketAddr) {
    let keys = if arguments.credentials.is_some() {
        "  export AWS_ACCESS_KEY_ID=…  AWS_SECRET_ACCESS_KEY=…       # one of the credentials file's"
    } else {
        "  export AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any    # any credentials are accepted"
    };
    println!(
        "Cairn serves DynamoDB's API on {scheme}://{listen}, with its tables in {}.\n\
         Point the AWS CLI or an SDK at it:\n\n\
         \x20 export AWS_ENDPOINT_URL={scheme}://{listen} AWS_REGION={region} AWS_DEFAULT_REGION={region}\n{keys}\n\
         \x20 aws dynamodb list-tables\n\n\
         Every write is on the disk before it is answered. Stop with Ctrl-C.",
        arguments.data.display(),
        scheme = arguments.clients.scheme(),
        region = arguments.region,
    );
}
