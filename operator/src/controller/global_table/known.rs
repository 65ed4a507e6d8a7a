//! What is known of GlobalTables and of other clusters' peer bundles: one watch of each, and whoever depends on them is woken once it
//! is known.

use super::{
    bundle,
    claims::{self, Claim, Claimed},
};
use crate::{
    context::{GuardedGlobalTable, GuardedTable, Shared},
    error::chain,
};
use cairn_crds::{GlobalTable, GlobalTableReplica, PEER_ENDPOINT_KEY, PEER_LABEL, Table};
use futures::{
    SinkExt, Stream, StreamExt,
    channel::mpsc::{Receiver, Sender, channel},
    future::BoxFuture,
};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Resource, ResourceExt,
    runtime::{
        WatchStreamExt,
        reflector::{self, ObjectRef, Store},
        watcher::{self, Event, watcher},
    },
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// Wakings that nobody has taken up yet; the watch waits for room.
const WAKINGS_MAX: usize = 64;

/// The GlobalTables and the peer bundles of one watch: of one namespace, or of all.
#[derive(Clone, Debug)]
pub struct Known {
    global_tables: Store<GuardedGlobalTable>,
    peers: Store<ConfigMap>,
    synced: Arc<Synced>,
}

/// Whether each has been listed in full. kube wakes only one of those who wait until a store is ready.
#[derive(Debug, Default)]
struct Synced {
    global_tables: AtomicBool,
    peers: AtomicBool,
}

impl Known {
    /// Before that, nothing that is missing means anything.
    pub fn is_synced(&self) -> bool {
        self.synced.global_tables.load(Ordering::Acquire) && self.synced.peers.load(Ordering::Acquire)
    }

    /// The claim on a table.
    pub fn claim(&self, table: &Table) -> Claim {
        let claimed = Claimed {
            table_name: &table.table_name(),
            uid: table.metadata.uid.as_deref(),
            had: table.status.as_ref().and_then(|status| status.global_table.as_deref()),
        };
        claims::of(claimed, &self.global_tables_in(&table.account()))
    }

    /// The peer bundles that the GlobalTable names, by the names of their ConfigMaps.
    pub fn peers_of(&self, global: &GlobalTable) -> BTreeMap<String, Arc<ConfigMap>> {
        let namespace = global.account();
        let named = global.spec.replicas.iter().map(|replica| replica.peer_name());
        named.filter_map(|name| Some((name.to_owned(), self.peer(&namespace, name)?))).collect()
    }

    /// The ports of the other clusters that the namespace's GlobalTables name.
    pub fn ports(&self, namespace: &str) -> BTreeSet<u16> {
        let globals = self.global_tables_in(namespace);
        let replicas = globals.iter().filter_map(|global| global.0.as_ref().ok()).flat_map(|g| &g.spec.replicas);
        let endpoint = |replica: &GlobalTableReplica| match &replica.endpoint {
            Some(endpoint) => Some(endpoint.clone()),
            None => self.peer(namespace, replica.peer_name())?.data.as_ref()?.get(PEER_ENDPOINT_KEY).cloned(),
        };
        replicas.filter_map(|replica| bundle::port(endpoint(replica)?.trim())).collect()
    }

    fn global_tables_in(&self, namespace: &str) -> Vec<Arc<GuardedGlobalTable>> {
        let all = self.global_tables.state().into_iter();
        all.filter(|global| global.namespace().as_deref() == Some(namespace)).collect()
    }

    fn peer(&self, namespace: &str, name: &str) -> Option<Arc<ConfigMap>> {
        self.peers.get(&ObjectRef::new(name).within(namespace))
    }
}

/// The watches, and who is woken by them.
pub struct Watch {
    pub known: Known,
    /// The store of GlobalTables, for their controller; and their events, which fill it.
    pub store: Store<GuardedGlobalTable>,
    pub changes: BoxStream<Result<GuardedGlobalTable, watcher::Error>>,
    /// GlobalTables whose bundles have changed.
    pub wake_global_tables: Receiver<ObjectRef<GuardedGlobalTable>>,
    /// Tables whose regions may have changed.
    pub wake_tables: Receiver<ObjectRef<GuardedTable>>,
    /// Fills the store of bundles.
    pub peers: BoxFuture<'static, ()>,
}

type BoxStream<T> = futures::stream::BoxStream<'static, T>;

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

/// Watches both kinds. `tables` are the tables that may have to be woken.
pub fn watch(
    shared: &Arc<Shared>,
    global_tables: Api<GuardedGlobalTable>,
    peers: Api<ConfigMap>,
    tables: Store<GuardedTable>,
) -> Watch {
    let (store, writer) = reflector::store();
    let (peer_store, peer_writer) = reflector::store();
    let known = Known { global_tables: store.clone(), peers: peer_store, synced: Arc::default() };
    let (tables_sender, wake_tables) = channel(WAKINGS_MAX);
    let (globals_sender, wake_global_tables) = channel(WAKINGS_MAX);
    let waker = Waker { known: known.clone(), tables, tables_sender, globals_sender };

    let events = reflector::reflector(writer, watcher(global_tables, watcher::Config::default()).default_backoff());
    let labelled = watcher::Config::default().labels(&format!("{PEER_LABEL}=true"));
    let peer_events = reflector::reflector(peer_writer, watcher(peers, labelled).default_backoff());
    Watch {
        known,
        store,
        changes: changes(Arc::clone(shared), events, waker.clone()).boxed(),
        wake_global_tables,
        wake_tables,
        peers: Box::pin(follow_peers(peer_events, waker)),
    }
}

/// Wakes those who depend on what the stores have.
#[derive(Clone)]
struct Waker {
    known: Known,
    tables: Store<GuardedTable>,
    tables_sender: Sender<ObjectRef<GuardedTable>>,
    globals_sender: Sender<ObjectRef<GuardedGlobalTable>>,
}

impl Waker {
    /// Whoever is gone has no use for it: sending fails then, and that is all.
    async fn wake_tables_of(&mut self, global: &GlobalTable) {
        let (namespace, table_name) = (global.namespace(), global.table_name());
        let named = |table: &GuardedTable| {
            table.namespace() == namespace && table.0.as_ref().is_ok_and(|table| table.table_name() == table_name)
        };
        for table in self.tables.state().iter().filter(|table| named(table)) {
            let _ = self.tables_sender.send(ObjectRef::from_obj(table.as_ref())).await;
        }
    }

    async fn wake_users_of(&mut self, peer: &ConfigMap) {
        let name = peer.name_any();
        for global in self.known.global_tables_in(&peer.namespace().unwrap_or_default()) {
            let Ok(read) = &global.0 else { continue };
            if read.spec.replicas.iter().any(|replica| replica.peer_name() == name) {
                let _ = self.globals_sender.send(ObjectRef::from_obj(global.as_ref())).await;
                self.wake_tables_of(read).await;
            }
        }
    }
}

/// The events of GlobalTables as their controller takes them; those who depend on them are woken first.
fn changes(
    shared: Arc<Shared>,
    events: impl Stream<Item = Result<Event<GuardedGlobalTable>, watcher::Error>> + Send + 'static,
    waker: Waker,
) -> impl Stream<Item = Result<GuardedGlobalTable, watcher::Error>> + Send + 'static {
    let followed = events.then(move |event| {
        let (mut waker, shared) = (waker.clone(), Arc::clone(&shared));
        async move {
            match &event {
                Ok(Event::Apply(global) | Event::Delete(global)) => {
                    if matches!(&event, Ok(Event::Delete(_))) {
                        shared
                            .metrics
                            .global_table_is_gone(&global.namespace().unwrap_or_default(), &global.name_any());
                    }
                    if let Ok(read) = &global.0 {
                        waker.wake_tables_of(read).await;
                    }
                }
                Ok(Event::InitDone) => {
                    waker.known.synced.global_tables.store(true, Ordering::Release);
                    for global in waker.known.global_tables.state() {
                        if let Ok(read) = &global.0 {
                            waker.wake_tables_of(read).await;
                        }
                    }
                }
                Ok(_) => {}
                Err(error) => note_broken(&GlobalTable::kind(&()), error),
            }
            event
        }
    });
    followed.applied_objects()
}

async fn follow_peers(events: impl Stream<Item = Result<Event<ConfigMap>, watcher::Error>> + Send, mut waker: Waker) {
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Apply(peer) | Event::Delete(peer)) => waker.wake_users_of(&peer).await,
            Ok(Event::InitDone) => {
                waker.known.synced.peers.store(true, Ordering::Release);
                for peer in waker.known.peers.state() {
                    waker.wake_users_of(&peer).await;
                }
            }
            Ok(_) => {}
            Err(error) => note_broken("ConfigMap", &error),
        }
    }
}

fn note_broken(kind: &str, error: &watcher::Error) {
    tracing::warn!(kind, error = %chain(error), "a watch broke off");
}
