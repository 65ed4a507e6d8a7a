//! The operator from start to end: what runs, and what ends it.

use crate::{
    admin,
    config::Config,
    context::{Context, GuardedBackup, GuardedGlobalTable, GuardedGroup, GuardedTable, Shared},
    controller::{
        backup::{self, presence::Presence},
        certificates,
        fleet::{self, Watched},
        global_table::{self, known},
        peer_bundle, scheduled_backup,
        storage_group::{self, archive::Archives as GroupArchives},
        table::{self, archives::Archives},
    },
    error::{Result, While},
    leader::Contender,
    metrics::Metrics,
    node_client::{NodeClient, Nodes, Reports, tls},
    rolling::Rolling,
    watches::{self, Scope, scopes},
};
use cairn_crds::{Backup, CREDENTIALS_LABEL, GlobalTable, StorageGroup, Table};
use futures::{StreamExt, future::BoxFuture};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{
    Api, Client, Resource,
    runtime::{
        Controller, WatchStreamExt, controller,
        events::{Recorder, Reporter},
        reflector, watcher,
    },
};
use serde::de::DeserializeOwned;
use std::{
    fmt::Debug,
    sync::{Arc, RwLock},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{Mutex, Notify, OnceCell},
};

/// How many objects of one kind are reconciled at once.
const CONCURRENCY: u16 = 16;

/// Runs until a signal, or until the lease is lost.
pub async fn run(config: Config) -> Result<()> {
    // The process has one provider of cryptography; a second call only says that it is there.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let group_defaults = config.read_group_defaults()?;
    let metrics = Metrics::new()?;
    let client = Client::try_default().await.while_doing(|| "configure the API server's client".to_owned())?;
    let admin = tokio::spawn(admin::serve(config.listen, metrics.clone()));

    let identity = format!("{}_{}", config.identity, uuid::Uuid::new_v4());
    let contender = Contender::new(client.clone(), &config.release_namespace, config.lease(), identity);
    let end = shutdown();
    tokio::pin!(end);
    tokio::select! {
        () = contender.acquire() => {}
        () = &mut end => return Ok(()),
        admin = admin => return admin.unwrap_or(Ok(())),
    }
    tracing::info!(lease = config.lease(), "this operator leads");
    metrics.set_leading(true);

    let lead = async {
        let (shared, own) = share(client, config, group_defaults, metrics).await?;
        lead(shared, own).await;
        Ok(())
    };
    tokio::select! {
        outcome = lead => outcome,
        error = contender.hold() => Err(error),
        () = &mut end => {
            if let Err(error) = contender.release().await {
                tracing::warn!(error = %crate::error::chain(&error), "failed to give the lease up; the next operator waits for its end");
            }
            Ok(())
        }
    }
}

struct Own {
    nodes: Arc<NodeClient>,
    certificate: crate::pki::IssuedCertificate,
}

async fn share(
    client: Client,
    config: Config,
    group_defaults: cairn_crds::StorageGroupSpec,
    metrics: Metrics,
) -> Result<(Arc<Shared>, Own)> {
    let now = jiff::Timestamp::now();
    let authority = certificates::authority(&client, &config, now).await?;
    let certificate = certificates::own_certificate(&authority, &config, now)?;
    let nodes = Arc::new(NodeClient::default());
    nodes.set_tls(tls::client_config(&certificate)?);
    let shared = Shared::new(client, config, group_defaults, metrics, authority, Arc::clone(&nodes) as Arc<dyn Nodes>);
    Ok((Arc::new(shared), Own { nodes, certificate }))
}

impl Shared {
    /// The context of an operator that asks nodes in the way given.
    pub fn new(
        client: Client,
        config: Config,
        group_defaults: cairn_crds::StorageGroupSpec,
        metrics: Metrics,
        authority: crate::pki::Authority,
        nodes: Arc<dyn Nodes>,
    ) -> Self {
        let reporter =
            Reporter { controller: "cairn.dev/operator".to_owned(), instance: Some(config.identity.clone()) };
        Self {
            recorder: Recorder::new(client.clone(), reporter),
            client,
            config,
            group_defaults,
            reports: Reports::new(nodes),
            group_archives: GroupArchives::default(),
            archives: Archives::default(),
            metrics,
            authority: RwLock::new(Arc::new(authority)),
            rolling: Rolling::default(),
            placing: Mutex::default(),
            fleet_changed: Notify::new(),
            presence: Presence::default(),
            cluster_id: OnceCell::new(),
            clock: Box::new(jiff::Timestamp::now),
        }
    }
}

async fn lead(shared: Arc<Shared>, own: Own) {
    let certificates = certificates::run(Arc::clone(&shared), own.nodes, own.certificate);
    futures::future::join(certificates, control(shared)).await;
}

/// Runs all controllers but the release's certificates, over every namespace that is watched.
pub async fn control(shared: Arc<Shared>) {
    let mut running: Vec<BoxFuture<'static, ()>> = Vec::new();
    let mut watched = Vec::new();
    for scope in scopes(&shared.config) {
        let scope = Scope { client: shared.client.clone(), namespace: scope };
        watched.push(start(&shared, &scope, &mut running));
    }
    running.push(Box::pin(peer_bundle::run(Arc::clone(&shared))));
    running.push(Box::pin(fleet::run(shared, watched)));
    futures::future::join_all(running).await;
}

fn start(shared: &Arc<Shared>, scope: &Scope, running: &mut Vec<BoxFuture<'static, ()>>) -> Watched {
    let any = watcher::Config::default;
    let settings = || controller::Config::default().concurrency(CONCURRENCY);
    let tables = Controller::<GuardedTable>::new(scope.guarded::<Table>(), any());
    let groups = Controller::<GuardedGroup>::new(scope.guarded::<StorageGroup>(), any());
    let backups = Controller::<GuardedBackup>::new(scope.guarded::<Backup>(), any());
    let globals = known::watch(shared, scope.guarded::<GlobalTable>(), scope.api::<ConfigMap>(), tables.store());
    let context = Arc::new(Context {
        shared: Arc::clone(shared),
        tables: tables.store(),
        groups: groups.store(),
        known: globals.known,
    });
    running.push(globals.peers);

    let tables = watches::tables(tables, scope).reconcile_on(globals.wake_tables);
    let groups = watches::groups(groups, scope);
    let keys = any().labels(&format!("{CREDENTIALS_LABEL}=true"));
    let watched = Watched {
        groups: watch(shared, scope.guarded::<StorageGroup>(), any(), running),
        secrets: watch(shared, scope.api::<Secret>(), keys, running),
    };

    let globals = Controller::<GuardedGlobalTable>::for_stream(globals.changes, globals.store)
        .reconcile_on(globals.wake_global_tables);
    let globals = watches::global_tables(globals, scope).with_config(settings());
    let of_globals = globals.run(global_table::reconcile, global_table::on_error, Arc::clone(&context));
    running.push(Box::pin(of_globals.for_each(|_| async {})));
    let schedules = watches::schedules(scope).with_config(settings());
    let of_schedules = schedules.run(scheduled_backup::reconcile, scheduled_backup::on_error, Arc::clone(&context));
    running.push(Box::pin(of_schedules.for_each(|_| async {})));
    let of_backups = backups.with_config(settings()).run(backup::reconcile, backup::on_error, Arc::clone(&context));
    running.push(Box::pin(of_backups.for_each(|_| async {})));
    let tables = tables.with_config(settings());
    let groups = groups.with_config(settings());
    running.push(Box::pin(tables.run(table::reconcile, table::on_error, Arc::clone(&context)).for_each(|_| async {})));
    running
        .push(Box::pin(groups.run(storage_group::reconcile, storage_group::on_error, context).for_each(|_| async {})));
    watched
}

/// Watches objects of which the routers' Secret is made, and rings when one changes. The store is nobody else's: kube wakes only
/// one of those who wait until a store is ready, and a controller waits for its own.
fn watch<K>(
    shared: &Arc<Shared>,
    api: Api<K>,
    config: watcher::Config,
    running: &mut Vec<BoxFuture<'static, ()>>,
) -> reflector::Store<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let (store, writer) = reflector::store();
    let events = reflector(writer, watcher(api, config).default_backoff());
    let shared = Arc::clone(shared);
    running.push(Box::pin(events.for_each(move |event| {
        if let Err(error) = event {
            tracing::warn!(kind = %K::kind(&()), error = %crate::error::chain(&error), "a watch broke off");
        }
        shared.fleet_changed.notify_one();
        futures::future::ready(())
    })));
    store
}

async fn shutdown() {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::warn!("signals can't be listened for");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("told to stop");
}
