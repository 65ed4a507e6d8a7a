//! Certificates: the release's authority, the routers', the operator's own and each group's; replaced before they end.

use super::storage_group::validate::ValidatedGroup;
use crate::{
    build::{names, tls_secret},
    config::Config,
    context::Shared,
    error::{Error, Result, While, status_code},
    node_client::{NodeClient, tls},
    pki::{Authority, CertificateView, IssuedCertificate},
};
use cairn_model::identity::{Identity, Role};
use jiff::Timestamp;
use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{Api, Client, api::PostParams};
use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

const CHECK_PERIOD: Duration = Duration::from_secs(60);

/// The authority in the release's Secret; made, once, where there is none. One of cert-manager's (`tls.crt`, `tls.key`) will do.
pub async fn authority(client: &Client, config: &Config, now: Timestamp) -> Result<Authority> {
    let name = config.authority_secret();
    let api: Api<Secret> = Api::namespaced(client.clone(), &config.release_namespace);
    let secret = match api.get(&name).await {
        Ok(secret) => secret,
        Err(error) if status_code(&error) == Some(404) => {
            let (certificate, key) = Authority::generate(&format!("cairn {}", config.release_name), now)?;
            match api.create(&PostParams::default(), &authority_secret(config, certificate, key)).await {
                Ok(secret) => secret,
                // Another operator was faster.
                Err(error) if status_code(&error) == Some(409) => {
                    api.get(&name).await.while_doing(|| format!("read the Secret {name}"))?
                }
                Err(error) => return Err(error).while_doing(|| format!("create the Secret {name}")),
            }
        }
        Err(error) => return Err(error).while_doing(|| format!("read the Secret {name}")),
    };
    let own = tls_secret::text(&secret, "ca.crt").zip(tls_secret::text(&secret, "ca.key"));
    let managed = || tls_secret::text(&secret, "tls.crt").zip(tls_secret::text(&secret, "tls.key"));
    let (certificate, key) = own.or_else(managed).ok_or_else(|| Error::Authority {
        secret: name.clone(),
        problem: "it has neither ca.crt and ca.key nor tls.crt and tls.key".to_owned(),
    })?;
    Authority::from_pem(&name, &certificate, &key)
}

fn authority_secret(config: &Config, certificate: String, key: String) -> Secret {
    let data = [("ca.crt", certificate), ("ca.key", key)];
    Secret {
        metadata: names::release_metadata(config, config.authority_secret()),
        data: Some(data.into_iter().map(|(name, pem)| (name.to_owned(), ByteString(pem.into_bytes()))).collect()),
        ..Secret::default()
    }
}

/// Who an end of the release's own is.
fn release_identity(config: &Config, role: Role) -> Identity {
    Identity { region: config.region.clone(), namespace: config.release_namespace.clone(), group: "-".to_owned(), role }
}

/// Sees to the release's own certificates, for as long as the operator leads.
pub async fn run(shared: Arc<Shared>, nodes: Arc<NodeClient>, mut own: IssuedCertificate) {
    loop {
        if let Err(error) = check(&shared, &nodes, &mut own).await {
            tracing::warn!(error = %crate::error::chain(&error), "failed to look after the certificates");
        }
        tokio::time::sleep(CHECK_PERIOD).await;
    }
}

async fn check(shared: &Shared, nodes: &NodeClient, own: &mut IssuedCertificate) -> Result<()> {
    let authority = Arc::new(authority(&shared.client, &shared.config, shared.now()).await?);
    *shared.authority.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&authority);
    let identity = release_identity(&shared.config, Role::Operator);
    if own.wants_replacing(&identity, authority.certificate_pem(), shared.now()) {
        *own = own_certificate(&authority, &shared.config, shared.now())?;
        nodes.set_tls(tls::client_config(own)?);
    }
    let metadata = names::release_metadata(&shared.config, shared.config.router_tls_secret());
    ensure(shared, metadata, &release_identity(&shared.config, Role::Router)).await
}

/// The certificate the operator calls nodes under; it never leaves its memory.
pub fn own_certificate(authority: &Authority, config: &Config, now: Timestamp) -> Result<IssuedCertificate> {
    authority.issue(&release_identity(config, Role::Operator), now)
}

/// Sees to a group's certificate.
pub async fn ensure_group(shared: &Shared, group: &ValidatedGroup) -> Result<()> {
    let identity = Identity {
        region: shared.config.region.clone(),
        namespace: group.namespace.clone(),
        group: group.name.clone(),
        role: Role::Storage,
    };
    let metadata = names::metadata(names::tls_secret(&group.name), group, &shared.config);
    ensure(shared, metadata, &identity).await
}

/// Issues the certificate of a Secret if it wants one. A Secret that someone else made is left to them.
async fn ensure(shared: &Shared, metadata: ObjectMeta, identity: &Identity) -> Result<()> {
    let (namespace, name) = (metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default());
    let api = shared.api::<Secret>(&namespace);
    let present = match api.get(&name).await {
        Ok(secret) => Some(secret),
        Err(error) if status_code(&error) == Some(404) => None,
        Err(error) => return Err(error).while_doing(|| format!("read the Secret {namespace}/{name}")),
    };
    let is_theirs = present.as_ref().is_some_and(|secret| !tls_secret::is_ours(secret));
    let mut certificate = present.as_ref().map(tls_secret::read);
    let authority = shared.authority();
    let is_good = certificate
        .as_ref()
        .is_some_and(|held| !held.wants_replacing(identity, authority.certificate_pem(), shared.now()));
    if !is_theirs && !is_good {
        let issued = authority.issue(identity, shared.now())?;
        shared.apply(&tls_secret::build(metadata, &issued)).await?;
        tracing::info!(namespace, secret = name, %identity, "a certificate is issued");
        certificate = Some(issued);
    }
    if let Some(view) = certificate.and_then(|held| CertificateView::from_pem(&held.certificate_pem).ok()) {
        shared.metrics.certificate_ends(&namespace, &name, view.not_after_seconds);
    }
    Ok(())
}
