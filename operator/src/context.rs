//! What every reconcile has at hand: the API server, the nodes, the configuration, and what is known of the namespace.

use crate::{
    FIELD_MANAGER,
    config::Config,
    controller::{
        backup::presence::Presence, global_table::known::Known, storage_group::archive::Archives as GroupArchives,
        table::archives::Archives,
    },
    error::{Error, Result, While},
    metrics::Metrics,
    node_client::Reports,
    pki::Authority,
    rolling::Rolling,
};
use cairn_crds::{Backup, GlobalTable, ScheduledBackup, StorageGroup, StorageGroupSpec, Table, condition};
use jiff::Timestamp;
use k8s_openapi::{NamespaceResourceScope, api::core::v1::Namespace};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{Patch, PatchParams},
    core::DeserializeGuard,
    runtime::{
        events::{Event, EventType, Recorder},
        reflector::{ObjectRef, Store},
    },
};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    fmt::Debug,
    sync::{Arc, PoisonError, RwLock},
};
use tokio::sync::{Mutex, Notify, OnceCell};

/// A Table as it was read, or why it could not be.
pub type GuardedTable = DeserializeGuard<Table>;
/// A StorageGroup as it was read, or why it could not be.
pub type GuardedGroup = DeserializeGuard<StorageGroup>;
/// A Backup as it was read, or why it could not be.
pub type GuardedBackup = DeserializeGuard<Backup>;
/// A ScheduledBackup as it was read, or why it could not be.
pub type GuardedScheduledBackup = DeserializeGuard<ScheduledBackup>;
/// A GlobalTable as it was read, or why it could not be.
pub type GuardedGlobalTable = DeserializeGuard<GlobalTable>;

/// The longest note of an event.
const NOTE_BYTES_MAX: usize = 1_000;
/// It is there from a cluster's first moment to its last.
const CLUSTER_NAMESPACE: &str = "kube-system";

/// What time it is.
pub type Clock = Box<dyn Fn() -> Timestamp + Send + Sync>;

/// What all namespaces share.
pub struct Shared {
    pub client: Client,
    pub config: Config,
    pub group_defaults: StorageGroupSpec,
    pub reports: Reports,
    /// Of groups: how their archives are.
    pub group_archives: GroupArchives,
    /// Of tables: what archives said of them.
    pub archives: Archives,
    pub recorder: Recorder,
    pub metrics: Metrics,
    pub authority: RwLock<Arc<Authority>>,
    pub rolling: Rolling,
    /// Held while a table is given its id and its placements: two that claim one name must not both find it free.
    pub placing: Mutex<()>,
    /// Rung when a group or an access key changed, so that the routers' Secret is looked at.
    pub fleet_changed: Notify,
    /// When AVAILABLE backups were last seen in their buckets.
    pub presence: Presence,
    /// Who this cluster is, once it was asked for.
    pub cluster_id: OnceCell<String>,
    pub clock: Clock,
}

impl Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// The shared context with the objects of one watch: of one namespace, or of all.
#[derive(Clone, Debug)]
pub struct Context {
    pub shared: Arc<Shared>,
    pub tables: Store<GuardedTable>,
    pub groups: Store<GuardedGroup>,
    pub known: Known,
}

impl std::ops::Deref for Context {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.shared
    }
}

impl Shared {
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// The id of this cluster: the uid of its namespace `kube-system`, which lives as long as the cluster.
    pub async fn cluster_id(&self) -> Result<&str> {
        let ask = || async {
            let namespace = Api::<Namespace>::all(self.client.clone()).get(CLUSTER_NAMESPACE).await;
            let namespace = namespace.while_doing(|| format!("read the namespace {CLUSTER_NAMESPACE}"))?;
            namespace.uid().ok_or(Error::Incomplete { field: "metadata.uid" })
        };
        self.cluster_id.get_or_try_init(ask).await.map(String::as_str)
    }

    pub fn authority(&self) -> Arc<Authority> {
        Arc::clone(&self.authority.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn api<K>(&self, namespace: &str) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Applies an object that the operator built: all its fields are the operator's.
    pub async fn apply<K>(&self, object: &K) -> Result<K>
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + Serialize + DeserializeOwned + Debug,
        K::DynamicType: Default,
    {
        let namespace = object.namespace().unwrap_or_default();
        let name = object.name_any();
        self.api::<K>(&namespace)
            .patch(&name, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(object))
            .await
            .while_doing(|| format!("apply {} {namespace}/{name}", K::kind(&K::DynamicType::default())))
    }

    /// Tells people who look at the object. Failing to is no reason to stop.
    pub async fn event<K>(&self, object: &K, type_: EventType, reason: &str, note: impl Into<String>)
    where
        K: Resource,
        K::DynamicType: Default,
    {
        // The API server refuses a longer one.
        let note = condition::bounded(&note.into(), NOTE_BYTES_MAX).to_owned();
        let event = Event {
            type_,
            reason: reason.to_owned(),
            note: Some(note),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        if let Err(error) = self.recorder.publish(&event, &object.object_ref(&K::DynamicType::default())).await {
            tracing::warn!(error = %crate::error::chain(&error), reason, "failed to publish an event");
        }
    }
}

impl Context {
    /// The tables of a namespace that could be read.
    pub fn tables_in(&self, namespace: &str) -> Vec<Table> {
        self.tables
            .state()
            .into_iter()
            .filter_map(|table| table.0.as_ref().ok().cloned())
            .filter(|table| table.namespace().as_deref() == Some(namespace))
            .collect()
    }

    /// A group as it was last seen; none where it is not there or could not be read.
    pub fn group(&self, namespace: &str, name: &str) -> Option<StorageGroup> {
        let group = self.groups.get(&ObjectRef::new(name).within(namespace))?;
        group.0.as_ref().ok().cloned()
    }
}
