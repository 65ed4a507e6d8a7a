//! The role `router`: the stateless front door that all clients talk to.

pub mod archives;
pub mod backups;
pub mod catalog;
mod definition;
pub mod exports;
pub mod fleet;
pub mod global_tables;
pub mod imports;
mod indexes;
mod mirror;
pub mod nodes;
pub mod partitions;
pub mod peers;
mod resources;
pub mod routes;
pub mod tables;
mod watch;
pub mod writes;

use crate::{
    admin,
    environment::SystemEnvironment,
    internal::client::NodeClient,
    listen::{self, ClientArguments, bind},
    memory,
    tls::Tls,
};
use anyhow::Context;
use archives::Archives;
use backups::ClusterBackups;
use cairn_api::{Api, ApiConfig, Authentication, Backends, Limits};
use cairn_model::identity::Role;
use catalog::KubernetesCatalog;
use exports::cluster_exports;
use global_tables::ClusterGlobalTables;
use imports::ClusterImports;
use std::{net::SocketAddr, path::PathBuf, sync::Arc};
use writes::ApiWrites;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Where clients connect.
    #[arg(long, env = "CAIRN_LISTEN", default_value = "0.0.0.0:8000")]
    listen: SocketAddr,
    #[command(flatten)]
    clients: ClientArguments,
    /// Where storage nodes of other regions connect, whose tables are global with tables here; nobody does where this is not set.
    #[arg(long, env = "CAIRN_PEER_LISTEN")]
    peer_listen: Option<SocketAddr>,
    /// Health, readiness and metrics.
    #[arg(long, env = "CAIRN_ADMIN", default_value = "0.0.0.0:8080")]
    admin: SocketAddr,
    /// The region's name, which signatures and certificates carry.
    #[arg(long, env = "CAIRN_REGION")]
    region: String,
    /// The router's own zone: eventually consistent reads go there first.
    #[arg(long, env = "CAIRN_ZONE")]
    zone: Option<String>,
    /// Folder with tls.crt, tls.key and ca.crt.
    #[arg(long, env = "CAIRN_TLS_DIR")]
    tls_dir: PathBuf,
    /// Folder where the fleet's Secret is mounted.
    #[arg(long, env = "CAIRN_FLEET_DIR")]
    fleet_dir: PathBuf,
    /// The fleet's Secret, in the release's namespace; watched while the API server answers.
    #[arg(long, env = "CAIRN_FLEET_SECRET")]
    fleet_secret: String,
    /// Folder for the map of the fleet.
    #[arg(long, env = "CAIRN_STATE_DIR")]
    state_dir: PathBuf,
    #[arg(long, env = "CAIRN_RELEASE_NAMESPACE")]
    release_namespace: String,
    /// Namespaces whose tables are served; all where none is named.
    #[arg(long, env = "CAIRN_WATCH_NAMESPACES", value_delimiter = ',')]
    watch_namespaces: Vec<String>,
    /// Which tables, backups and global tables the API may create, change and delete.
    #[arg(long, env = "CAIRN_API_WRITES", value_enum, default_value = "own")]
    api_writes: ApiWrites,
}

/// Runs until a signal ends it.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let registry = prometheus::Registry::new();
    let tls = Tls::from_dir(&arguments.tls_dir)?;
    let own = tls.own_identity()?;
    anyhow::ensure!(
        own.role == Role::Router && own.region == arguments.region && own.namespace == arguments.release_namespace,
        "the certificate in {} is {own}'s, not that of a router of region {} in {}",
        arguments.tls_dir.display(),
        arguments.region,
        arguments.release_namespace
    );
    let client_tls = arguments.clients.tls(&registry)?;
    let fleet = Arc::new(fleet::Fleet::default());
    if let Err(error) = fleet.update_from_dir(&arguments.fleet_dir) {
        tracing::info!(%error, "no fleet yet; waiting for the operator");
    }
    std::fs::create_dir_all(&arguments.state_dir)
        .with_context(|| format!("failed to make the folder {}", arguments.state_dir.display()))?;
    let client = NodeClient::new(tls.clone(), arguments.region.clone());
    let nodes = nodes::Nodes::new(client.clone(), fleet.clone(), &arguments.state_dir);
    tokio::spawn(nodes.clone().run());
    if let Some(address) = arguments.peer_listen {
        tokio::spawn(peers::serve(bind(address).await?, tls, client.clone(), nodes.clone()));
        tracing::info!(listen = %address, "serving peers");
    }

    let config = kube::Config::infer().await.context("failed to find out how to reach the API server")?;
    let kubernetes = writes::client(config).context("failed to set up the API server's client")?;
    let namespaces: Vec<String> = arguments.watch_namespaces.into_iter().filter(|name| !name.is_empty()).collect();
    let tables = tables::Tables::new(arguments.region.clone(), nodes.shared_routes(), namespaces.clone());
    watch::start(&kubernetes, &namespaces, &tables);
    let global_tables = ClusterGlobalTables::new(
        arguments.region.clone(),
        kubernetes.clone(),
        (tables.clone(), nodes.shared_routes()),
        namespaces.clone(),
        arguments.api_writes,
    );
    watch::start(&kubernetes, &namespaces, &global_tables);
    let source = watch::FleetSource {
        namespace: arguments.release_namespace,
        secret: arguments.fleet_secret,
        dir: arguments.fleet_dir,
    };
    tokio::spawn(watch::fleet(kubernetes.clone(), source, fleet.clone()));

    let catalog = Arc::new(KubernetesCatalog::new(kubernetes.clone(), tables.clone(), arguments.api_writes));
    let archives = Arc::new(Archives::new(client.clone(), fleet.clone(), arguments.zone.clone()));
    let region = arguments.region.clone();
    let imports = ClusterImports::new(region.clone(), archives.clone(), catalog.clone(), tables.clone());
    let backups = Arc::new(ClusterBackups::new(
        region.clone(),
        archives.clone(),
        kubernetes,
        catalog.clone(),
        tables.clone(),
        arguments.api_writes,
    ));
    let exports = cluster_exports(archives, tables, backups.clone(), region);
    let backends = Backends {
        catalog,
        partitions: Arc::new(partitions::RemotePartitions::new(client, nodes, arguments.zone)),
        backups: Some(backups),
        exports: Some(exports),
        imports: Some(Arc::new(imports)),
        global_tables: Some(global_tables),
        authentication: Authentication::Verify(fleet),
        environment: Arc::new(SystemEnvironment),
    };
    let limits = memory::limit_bytes().map(Limits::for_memory).unwrap_or_default();
    let config = ApiConfig { limits, ..ApiConfig::new(arguments.region) };
    tracing::info!(?limits, "memory for clients");
    let api = Arc::new(Api::new(config, backends, &registry)?);
    let listener = bind(arguments.listen).await?;
    let admin = bind(arguments.admin).await?;
    tokio::spawn(admin::serve(admin, registry, Arc::new(|| None)));
    tracing::info!(listen = %arguments.listen, "serving");
    listen::serve(listener, client_tls, api).await?;
    Ok(())
}
