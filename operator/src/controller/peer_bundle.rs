//! Keeps this cluster's peer bundle as it should be: there while other clusters may reach this one, with the present certificate.

use crate::{
    FIELD_MANAGER,
    build::{names::MANAGED_BY_LABEL, peer_bundle},
    context::Shared,
    error::{Result, While, chain, status_code},
};
use cairn_crds::PEER_BUNDLE;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{ResourceExt, api::DeleteParams};
use std::{sync::Arc, time::Duration};

const CHECK_PERIOD: Duration = Duration::from_secs(60);
const RETRY: Duration = Duration::from_secs(5);

/// Runs for as long as the operator leads.
pub async fn run(shared: Arc<Shared>) {
    loop {
        let delay = match check(&shared).await {
            Ok(()) => CHECK_PERIOD,
            Err(error) => {
                tracing::warn!(error = %chain(&error), "failed to look after the peer bundle");
                RETRY
            }
        };
        tokio::time::sleep(delay).await;
    }
}

async fn check(shared: &Shared) -> Result<()> {
    let api = shared.api::<ConfigMap>(&shared.config.release_namespace);
    let present = api.get_opt(PEER_BUNDLE).await.while_doing(|| format!("read the ConfigMap {PEER_BUNDLE}"))?;
    let Some(endpoint) = shared.config.peer_endpoint() else {
        let is_ours = |map: &ConfigMap| map.labels().get(MANAGED_BY_LABEL).is_some_and(|by| by == FIELD_MANAGER);
        if present.as_ref().is_some_and(is_ours) {
            match api.delete(PEER_BUNDLE, &DeleteParams::default()).await {
                Err(error) if status_code(&error) != Some(404) => {
                    return Err(error).while_doing(|| format!("delete the ConfigMap {PEER_BUNDLE}"));
                }
                _ => tracing::info!(config_map = PEER_BUNDLE, "other clusters can't reach this one any more"),
            }
        }
        return Ok(());
    };
    let authority = shared.authority();
    let wanted = peer_bundle::build(shared.cluster_id().await?, endpoint, authority.certificate_pem(), &shared.config)?;
    if present.is_none_or(|present| present.data != wanted.data) {
        shared.apply(&wanted).await?;
        tracing::info!(config_map = PEER_BUNDLE, "the peer bundle is written");
    }
    Ok(())
}
