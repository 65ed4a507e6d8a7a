//! The controller of the routers' Secret: the access keys of all accounts, and where all groups' nodes are.

pub mod claims;

use super::storage_group::members;
use crate::{
    build::fleet_secret::{self, FleetGroup, FleetNode},
    context::{GuardedGroup, Shared},
    error::{Result, While, status_code},
};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    ResourceExt,
    runtime::{events::EventType, reflector::Store},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// Changes come with a ring; this is for those that were not heard.
const CHECK_PERIOD: Duration = Duration::from_secs(60);
/// Rings that come together are answered together.
const GATHER: Duration = Duration::from_millis(50);
const RETRY: Duration = Duration::from_secs(2);

/// What one watch knows: the groups and the labelled Secrets of one namespace, or of all.
#[derive(Clone, Debug)]
pub struct Watched {
    pub groups: Store<GuardedGroup>,
    pub secrets: Store<Secret>,
}

/// Keeps the Secret as it should be, for as long as the operator leads.
pub async fn run(shared: Arc<Shared>, watched: Vec<Watched>) {
    for watch in &watched {
        // Before everything is known, keys would be taken from routers that have them.
        let known = futures::future::join(watch.groups.wait_until_ready(), watch.secrets.wait_until_ready());
        if let (Err(error), _) | (_, Err(error)) = known.await {
            tracing::error!(%error, "a watch ended before it began");
            return;
        }
    }
    let mut told = BTreeMap::new();
    loop {
        let delay = match reconcile(&shared, &watched, &mut told).await {
            Ok(()) => CHECK_PERIOD,
            Err(error) => {
                tracing::warn!(error = %crate::error::chain(&error), "failed to write the routers' Secret");
                RETRY
            }
        };
        if tokio::time::timeout(delay, shared.fleet_changed.notified()).await.is_ok() {
            tokio::time::sleep(GATHER).await;
        }
    }
}

/// `told` remembers which refusals were told of, by the Secret's uid and version, so that each is told once.
async fn reconcile(shared: &Shared, watched: &[Watched], told: &mut BTreeMap<String, String>) -> Result<()> {
    let api = shared.api::<Secret>(&shared.config.release_namespace);
    let name = shared.config.fleet_secret();
    let present = match api.get(&name).await {
        Ok(secret) => Some(secret),
        Err(error) if status_code(&error) == Some(404) => None,
        Err(error) => return Err(error).while_doing(|| format!("read the Secret {name}")),
    };
    let held = present.as_ref().map(fleet_secret::read_keys).unwrap_or_default();
    let secrets: Vec<_> = watched.iter().flat_map(|watch| watch.secrets.state()).collect();
    let claims = claims::settle(&secrets, &held);
    for (secret, problem) in &claims.refused {
        let key = secret.uid().unwrap_or_default();
        if told.get(&key) != Some(problem) {
            let name = format!("{}/{}", secret.namespace().unwrap_or_default(), secret.name_any());
            tracing::warn!(secret = name, problem, "an access key is refused");
            shared.event(secret.as_ref(), EventType::Warning, "CredentialsRefused", problem.as_str()).await;
            told.insert(key, problem.clone());
        }
    }
    told.retain(|uid, _| claims.refused.iter().any(|(secret, _)| secret.uid().as_ref() == Some(uid)));
    forget_gone(shared, watched);
    let wanted = fleet_secret::build(claims.keys, groups(shared, watched), &shared.config)?;
    if present.is_none_or(|present| present.data != wanted.data) {
        shared.apply(&wanted).await?;
        tracing::info!(secret = name, "the routers' Secret is written");
    }
    Ok(())
}

/// Whoever deletes a group does not ask its controller, which so can't forget what it knows of its archives.
fn forget_gone(shared: &Shared, watched: &[Watched]) {
    let groups = watched.iter().flat_map(|watch| watch.groups.state());
    let present = groups.map(|group| (group.namespace().unwrap_or_default(), group.name_any())).collect();
    shared.archives.forget_others(&present);
    for (account, group) in shared.group_archives.forget_others(&present) {
        shared.metrics.forget_archive(&account, &group);
    }
}

fn groups(shared: &Shared, watched: &[Watched]) -> Vec<FleetGroup> {
    let groups = watched.iter().flat_map(|watch| watch.groups.state());
    groups
        .filter_map(|group| {
            let group = group.0.as_ref().ok()?;
            let nodes = members::recorded(group, &shared.config)
                .into_iter()
                .map(|node| FleetNode {
                    archive: group.spec.archive.is_some().then(|| node.target.archive().address),
                    address: node.target.address,
                    zone: node.zone,
                })
                .collect::<Vec<_>>();
            let account = group.namespace().unwrap_or_default();
            (!nodes.is_empty()).then(|| FleetGroup { account, group: group.name_any(), nodes })
        })
        .collect()
}
