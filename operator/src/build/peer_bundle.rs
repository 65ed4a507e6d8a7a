//! The ConfigMap with this cluster's peer bundle: what other clusters need to know it by, and the manifest that tells them. All of it is
//! public.

use super::names;
use crate::{
    config::Config,
    error::{Error, Result},
};
use cairn_crds::{
    PEER_BUNDLE, PEER_CA_KEY, PEER_CLUSTER_ID_KEY, PEER_ENDPOINT_KEY, PEER_LABEL, PEER_MANIFEST_KEY, PEER_REGION_KEY,
};
use k8s_openapi::{api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use std::collections::BTreeMap;

pub fn build(cluster_id: &str, endpoint: &str, authority_pem: &str, config: &Config) -> Result<ConfigMap> {
    let mut data: BTreeMap<String, String> = [
        (PEER_REGION_KEY, config.region.as_str()),
        (PEER_CLUSTER_ID_KEY, cluster_id),
        (PEER_ENDPOINT_KEY, endpoint),
        (PEER_CA_KEY, authority_pem),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into();
    let manifest = ConfigMap {
        metadata: ObjectMeta {
            name: Some(config.region.clone()),
            labels: Some(names::labels_of([(PEER_LABEL, "true")])),
            ..ObjectMeta::default()
        },
        data: Some(data.clone()),
        ..ConfigMap::default()
    };
    let manifest = serde_yaml_ng::to_string(&manifest)
        .map_err(|source| Error::Yaml { action: "write the peer bundle's manifest".to_owned(), source })?;
    data.insert(PEER_MANIFEST_KEY.to_owned(), manifest);
    Ok(ConfigMap {
        metadata: names::release_metadata(config, PEER_BUNDLE.to_owned()),
        data: Some(data),
        ..ConfigMap::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        build::fixture,
        controller::global_table::{
            bundle,
            fixture::{certificate, replica},
        },
    };

    #[test]
    fn the_manifest_is_a_bundle_that_the_other_side_takes() {
        let built = build("east-cluster", "https://east.example:8443", certificate(), &fixture::config()).unwrap();
        assert_eq!(built.metadata.namespace.as_deref(), Some("cairn-system"));
        let data = built.data.unwrap();
        assert_eq!(data[PEER_REGION_KEY], "east");
        let manifest: ConfigMap = serde_yaml_ng::from_str(&data[PEER_MANIFEST_KEY]).unwrap();
        assert_eq!((manifest.metadata.name.as_deref(), &manifest.metadata.namespace), (Some("east"), &None));
        assert_eq!(manifest.metadata.labels.as_ref().unwrap()[PEER_LABEL], "true");
        let peer = bundle::read(&manifest, &replica("east"), "west-cluster").unwrap();
        assert_eq!((peer.cluster_id.as_str(), peer.endpoint.as_str()), ("east-cluster", "https://east.example:8443"));
        assert_eq!(peer.ca.trim(), certificate().trim());
    }
}
