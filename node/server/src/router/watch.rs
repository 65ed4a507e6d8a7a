//! Watches the API server while it answers: Tables and GlobalTables, and the one Secret that tells of the fleet.

use super::{
    fleet::{CREDENTIALS_FILE, FLEET_FILE, Fleet},
    mirror::Watched,
};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::{NamespaceResourceScope, api::core::v1::Secret};
use kube::{
    Api, Client, Resource,
    runtime::{WatchStreamExt, watcher},
};
use serde::de::DeserializeOwned;
use std::{
    fmt::Debug,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// How often the mounted folder is looked at while the API server has not told the Secret.
const DIR_INTERVAL: Duration = Duration::from_secs(2);

/// Keeps `told` in step with the resources of these namespaces, or of all where none is named.
pub(super) fn start<K, T>(client: &Client, namespaces: &[String], told: &Arc<T>)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned + Send + 'static,
    T: Watched<K> + 'static,
{
    if namespaces.is_empty() {
        tokio::spawn(resources(Api::<K>::all(client.clone()), None, told.clone()));
    }
    for namespace in namespaces {
        let api: Api<K> = Api::namespaced(client.clone(), namespace);
        tokio::spawn(resources(api, Some(namespace.clone()), told.clone()));
    }
}

async fn resources<K, T>(api: Api<K>, namespace: Option<String>, told: Arc<T>)
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
    T: Watched<K>,
{
    let mut listed = Vec::new();
    let mut events = std::pin::pin!(watcher(api, watcher::Config::default()).default_backoff());
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Init) => listed.clear(),
            Ok(watcher::Event::InitApply(object)) => listed.push(object),
            Ok(watcher::Event::InitDone) => told.replace(namespace.as_deref(), std::mem::take(&mut listed)),
            Ok(watcher::Event::Apply(object)) => told.put(object),
            Ok(watcher::Event::Delete(object)) => told.remove(&object),
            Err(error) => {
                let kind = K::kind(&());
                tracing::warn!(%kind, %error, "failed to watch the resources; serving with what is known");
            }
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
