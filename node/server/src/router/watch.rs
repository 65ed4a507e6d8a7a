//! Watches the API server while it answers: Tables, and the one Secret that tells of the fleet.

use super::{
    fleet::{CREDENTIALS_FILE, FLEET_FILE, Fleet},
    tables::Tables,
};
use cairn_crds::Table;
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client,
    runtime::{WatchStreamExt, watcher},
};
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// How often the mounted folder is looked at while the API server has not told the Secret.
const DIR_INTERVAL: Duration = Duration::from_secs(2);

/// Keeps the tables in step with one namespace's resources, or with all; until the task is dropped.
pub(super) async fn tables(client: Client, namespace: Option<String>, tables: Arc<Tables>) {
    let api: Api<Table> = match &namespace {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    };
    let mut listed = Vec::new();
    let mut events = std::pin::pin!(watcher(api, watcher::Config::default()).default_backoff());
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Init) => listed.clear(),
            Ok(watcher::Event::InitApply(table)) => listed.push(table),
            Ok(watcher::Event::InitDone) => tables.replace(namespace.as_deref(), std::mem::take(&mut listed)),
            Ok(watcher::Event::Apply(table)) => tables.put(table),
            Ok(watcher::Event::Delete(table)) => tables.remove(&table),
            Err(error) => tracing::warn!(%error, "failed to watch the Tables; serving with what is known"),
        }
    }
}

/// Where the fleet's Secret is found.
#[derive(Clone, Debug)]
pub(super) struct FleetSource {
    pub namespace: String,
    pub secret: String,
    /// The same Secret, mounted: what there is while the API server is down.
    pub dir: PathBuf,
}

/// Keeps the fleet in step with its Secret; until the task is dropped.
pub(super) async fn fleet(client: Client, source: FleetSource, fleet: Arc<Fleet>) {
    let watched = Arc::new(AtomicBool::new(false));
    tokio::join!(watch_secret(client, &source, &fleet, &watched), async {
        // What the watch tells is newer than the mount, which a kubelet renews now and then.
        while !watched.load(Ordering::Relaxed) {
            if let Err(error) = fleet.update_from_dir(&source.dir) {
                tracing::debug!(%error, "no fleet in the mounted Secret yet");
            }
            tokio::time::sleep(DIR_INTERVAL).await;
        }
    });
}

async fn watch_secret(client: Client, source: &FleetSource, fleet: &Fleet, watched: &AtomicBool) {
    let api: Api<Secret> = Api::namespaced(client, &source.namespace);
    let config = watcher::Config::default().fields(&format!("metadata.name={}", source.secret));
    let mut secrets = std::pin::pin!(watcher(api, config).default_backoff().applied_objects());
    loop {
        match secrets.try_next().await {
            Ok(Some(secret)) => {
                let data = secret.data.unwrap_or_default();
                let (Some(credentials), Some(nodes)) = (data.get(CREDENTIALS_FILE), data.get(FLEET_FILE)) else {
                    tracing::warn!(
                        secret = source.secret,
                        "the fleet's Secret lacks {CREDENTIALS_FILE} or {FLEET_FILE}"
                    );
                    continue;
                };
                match fleet.update(&credentials.0, &nodes.0) {
                    Ok(()) => watched.store(true, Ordering::Relaxed),
                    Err(error) => tracing::warn!(%error, "failed to take over the fleet's Secret"),
                }
            }
            Ok(None) => return,
            Err(error) => tracing::warn!(%error, "failed to watch the fleet's Secret; serving with what is known"),
        }
    }
}
