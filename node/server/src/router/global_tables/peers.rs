//! The peer bundles of an account: ConfigMaps that say how other clusters are reached and known, each named as its region.

use crate::router::writes::answered;
use cairn_crds::{
    PEER_BUNDLE, PEER_CA_KEY, PEER_CLUSTER_ID_KEY, PEER_ENDPOINT_KEY, PEER_LABEL, PEER_MANIFEST_KEY, PEER_REGION_KEY,
};
use cairn_model::{ErrorKind, ServiceError, table::REGION_BYTES_MAX};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client, ResourceExt};

/// Whether the account can have replicas in that region.
pub(super) async fn check(client: &Client, account: &str, region: &str) -> Result<(), ServiceError> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), account);
    let read = if is_region(region) { answered(api.get_opt(region)).await } else { Ok(None) };
    let found = match read {
        Err(error) if error.kind == ErrorKind::AccessDeniedException => {
            return Err(ServiceError::validation(
                "This cluster has no other regions: its release of Cairn was installed without peers.enabled",
            ));
        }
        found => found?,
    };
    let flaw = match &found {
        None => "there is none".to_owned(),
        Some(bundle) => match flaw(bundle, region) {
            None => return Ok(()),
            Some(flaw) => flaw,
        },
    };
    let region: String = region.chars().take(REGION_BYTES_MAX).collect();
    let key = PEER_MANIFEST_KEY.replace('.', "\\.");
    Err(ServiceError::validation(format!(
        "The region {region} is not known to this account: it takes the region's peer bundle, as the ConfigMap {region} \
         in the namespace {account}, and {flaw}. On that region's cluster, `kubectl -n NAMESPACE_OF_CAIRN get configmap \
         {PEER_BUNDLE} -o jsonpath='{{.data.{key}}}'` prints it; here, `kubectl -n {account} apply -f -` takes it in."
    )))
}

/// What is wrong with the bundle of a region.
fn flaw(bundle: &ConfigMap, region: &str) -> Option<String> {
    let value = |key: &str| bundle.data.as_ref()?.get(key).filter(|value| !value.is_empty());
    if bundle.labels().get(PEER_LABEL).is_none_or(|value| value != "true") {
        return Some(format!("the one that is there has not the label {PEER_LABEL}=true"));
    }
    let keys = [PEER_REGION_KEY, PEER_CLUSTER_ID_KEY, PEER_ENDPOINT_KEY, PEER_CA_KEY];
    if let Some(missing) = keys.into_iter().find(|key| value(key).is_none()) {
        return Some(format!("the one that is there has no {missing}"));
    }
    let of = value(PEER_REGION_KEY)?;
    (of != region).then(|| format!("the one that is there is of the region {of}"))
}

/// Whether the name can be a region's, and so a ConfigMap's.
fn is_region(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=REGION_BYTES_MAX).contains(&name.len())
        && name.bytes().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}
