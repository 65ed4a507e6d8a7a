//! The role `archive`: beside a storage node in its pod, it ships what that commits into a bucket, and brings tables back.

use super::{
    ArchiveArguments, LAST_SHIPMENT_DEADLINE, SocketNode,
    exports::{Exporter, ExporterOptions},
    service::{ArchivePort, ArchiveService, BucketKeeper, BucketSettings, Reach},
};
use crate::{
    admin,
    internal::{listener, server::Callers},
    listen::bind,
    shutdown,
    tls::Tls,
};
use anyhow::Context;
use cairn_model::archive::ArchiveOwner;
use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};
use tokio::sync::watch;

/// How often the files of the credentials and the authorities are looked at, and a bucket that can't be used.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Where the storage node beside this one listens for its archive.
    #[arg(long, env = "CAIRN_ARCHIVE_SOCKET")]
    socket: PathBuf,
    /// The region's name, which in the bucket stands for the cluster.
    #[arg(long, env = "CAIRN_REGION")]
    region: String,
    /// The account: the namespace of the group.
    #[arg(long, env = "CAIRN_ACCOUNT")]
    account: String,
    /// The storage group of the node beside this.
    #[arg(long, env = "CAIRN_GROUP")]
    group: String,
    /// Tells this archive from the others of the account, in the bucket.
    #[arg(long, env = "HOSTNAME")]
    name: String,
    /// Where routers and the operator connect.
    #[arg(long, env = "CAIRN_LISTEN", default_value = "0.0.0.0:7401")]
    listen: SocketAddr,
    /// Health, readiness and metrics.
    #[arg(long, env = "CAIRN_ADMIN", default_value = "0.0.0.0:8081")]
    admin: SocketAddr,
    /// Folder with tls.crt, tls.key and ca.crt: those of the node beside this.
    #[arg(long, env = "CAIRN_TLS_DIR")]
    tls_dir: PathBuf,
    /// The namespace of the routers and the operator, whose calls are answered.
    #[arg(long, env = "CAIRN_RELEASE_NAMESPACE")]
    release_namespace: String,
    /// Folder with the files accessKeyId and secretAccessKey, which may come and change later.
    #[arg(long, env = "CAIRN_ARCHIVE_CREDENTIALS_DIR")]
    credentials_dir: Option<PathBuf>,
    #[command(flatten)]
    archive: ArchiveArguments,
}

/// Runs until a signal ends it, whatever becomes of the bucket and of the node.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let config = arguments.archive.config().context("--archive URL is missing: it names the bucket")?;
    let registry = prometheus::Registry::new();
    let metrics = cairn_archive::Metrics::new()?;
    metrics.register(&registry)?;
    let tls = Tls::from_dir(&arguments.tls_dir)?;
    let identity = tls.storage_identity(&arguments.region, &arguments.account, &arguments.group)?;
    let own = ArchiveOwner { region: arguments.region, account: arguments.account };
    let node = Arc::new(SocketNode::start(arguments.socket));
    let reach = Reach::new();
    let access = reach.clone();
    let exporter = Arc::new(Exporter::new(
        own.clone(),
        arguments.name.clone(),
        node.clone(),
        Box::new(move || access.access()),
        ExporterOptions::default(),
    ));
    let service = ArchiveService::new(own.clone(), node.clone(), node.clone(), reach.clone(), exporter.clone());

    let listener = bind(arguments.listen).await?;
    let admin = bind(arguments.admin).await?;
    // A pod is not unready because a bucket is.
    tokio::spawn(admin::serve(admin, registry, Arc::new(|| None)));
    let callers = Callers { own: identity, release_namespace: arguments.release_namespace };
    tokio::spawn(listener::serve(listener, tls, Arc::new(ArchivePort::new(callers, Arc::new(service)))));
    let (stop, stopped) = watch::channel(false);
    let settings = BucketSettings { config, credentials_dir: arguments.credentials_dir };
    let keeper = BucketKeeper {
        settings,
        own,
        node: arguments.name,
        source: node,
        metrics,
        reach,
        look_interval: LOOK_INTERVAL,
    };
    let exporting = tokio::spawn(exporter.run(stopped.clone()));
    let keeping = tokio::spawn(keeper.run(stopped));
    tracing::info!(listen = %arguments.listen, "serving");
    shutdown::requested().await;
    let _ = stop.send(true);
    let _ = tokio::time::timeout(LAST_SHIPMENT_DEADLINE, async { tokio::join!(keeping, exporting) }).await;
    Ok(())
}
