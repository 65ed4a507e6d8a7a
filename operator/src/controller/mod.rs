//! The controllers, and what they share: how a reconcile is timed, retried and told about.

pub mod backup;
pub mod certificates;
pub mod fleet;
pub mod global_table;
pub mod peer_bundle;
pub mod scheduled_backup;
pub mod storage_group;
pub mod table;

use crate::{
    context::Shared,
    error::{Error, Result, While},
};
use cairn_crds::condition::{self, Progress};
use k8s_openapi::{
    NamespaceResourceScope,
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
};
use kube::{
    Resource, ResourceExt,
    api::{Patch, PatchParams},
    core::DeserializeGuard,
    runtime::{controller::Action, events::EventType},
};
use serde::de::DeserializeOwned;
use std::{fmt::Debug, future::Future, time::Duration};

const CONFLICT_DELAY: Duration = Duration::from_millis(100);
const ERROR_DELAY: Duration = Duration::from_secs(2);

/// Why an object can't become what it asks for until a person changes something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The reason of its conditions, such as `NameTaken`.
    pub reason: &'static str,
    /// What to change.
    pub message: String,
}

impl Refusal {
    pub fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    /// With something more to say.
    #[must_use]
    pub fn and(self, more: &str) -> Self {
        Self { message: format!("{}; {more}", self.message), ..self }
    }

    pub fn progress(&self) -> Progress {
        Progress::stalled(self.reason, self.message.clone())
    }
}

/// Runs one reconcile of an object that could be read; one that could not is waited for to change, and stops nobody else.
async fn guarded<K, F>(shared: &Shared, object: &DeserializeGuard<K>, reconcile: impl FnOnce(K) -> F) -> Result<Action>
where
    K: Resource<DynamicType = ()> + Clone,
    F: Future<Output = Result<Action>>,
{
    let kind = K::kind(&());
    let read = match &object.0 {
        Ok(read) => read.clone(),
        Err(invalid) => {
            let name = format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any());
            tracing::warn!(%kind, name, error = invalid.error, "an object can't be read");
            let note = format!("the object can't be read: {}", invalid.error);
            shared.event(object, EventType::Warning, "Unreadable", note).await;
            return Ok(Action::await_change());
        }
    };
    let started = shared.now();
    let outcome = reconcile(read).await;
    let took = Duration::try_from(shared.now().duration_since(started)).unwrap_or_default();
    shared.metrics.reconciled(&kind, outcome.is_ok(), took);
    outcome
}

/// When to try again after an error. A conflict only means that something newer is there to be read.
fn retry(error: &Error, kind: &str, name: &str) -> Action {
    if error.is_conflict() {
        return Action::requeue(CONFLICT_DELAY);
    }
    tracing::warn!(kind, name, error = %crate::error::chain(error), "a reconcile failed");
    Action::requeue(ERROR_DELAY)
}

/// Writes how far the object is into its conditions, and tells about it when the reason is new.
async fn set_progress<K>(
    shared: &Shared,
    object: &K,
    conditions: &mut Vec<Condition>,
    progress: &Progress,
    generation: Option<i64>,
) where
    K: Resource<DynamicType = ()>,
{
    let reason_before = conditions.iter().find(|c| c.type_ == condition::READY).map(|c| c.reason.clone());
    condition::set_progress(conditions, progress, generation, &Time(shared.now()));
    if reason_before.as_deref() == Some(progress.reason()) {
        return;
    }
    let (type_, note) = match progress {
        Progress::Ready => (EventType::Normal, "it is as its spec says"),
        Progress::Reconciling { message, .. } => (EventType::Normal, message.as_str()),
        Progress::Stalled { message, .. } => (EventType::Warning, message.as_str()),
    };
    shared.event(object, type_, progress.reason(), note).await;
}

/// Writes an object's finalizers, over the version that was read.
async fn patch_finalizers<K>(shared: &Shared, object: &K, finalizers: &[String]) -> Result<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let version = object.resource_version();
    let patch = serde_json::json!({"metadata": {"finalizers": finalizers, "resourceVersion": version}});
    let patched = shared.api::<K>(&namespace).patch(&name, &PatchParams::default(), &Patch::Merge(&patch)).await;
    patched.while_doing(|| format!("write the finalizers of {} {namespace}/{name}", K::kind(&())))
}
