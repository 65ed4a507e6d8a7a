//! GlobalTables and peer bundles for the tests.

use crate::pki::Authority;
use cairn_crds::{
    GlobalTable, GlobalTableReplica, GlobalTableSpec, PEER_CA_KEY, PEER_CLUSTER_ID_KEY, PEER_ENDPOINT_KEY,
    PEER_REGION_KEY,
};
use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::ConfigMap,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
};
use std::sync::OnceLock;

/// An authority's, the same each time.
pub(crate) fn certificate() -> &'static str {
    static CERTIFICATE: OnceLock<String> = OnceLock::new();
    CERTIFICATE.get_or_init(|| Authority::generate("tests", Timestamp::UNIX_EPOCH).unwrap().0)
}

pub(crate) fn replica(region: &str) -> GlobalTableReplica {
    GlobalTableReplica { region_name: region.to_owned(), endpoint: None, peer_ref: None }
}

/// Of the account `game`, made at this second.
pub(crate) fn global(name: &str, made: i64, regions: &[&str]) -> GlobalTable {
    let replicas = regions.iter().map(|region| replica(region)).collect();
    let mut global = GlobalTable::new(name, GlobalTableSpec { table_name: None, replicas });
    global.metadata.namespace = Some("game".into());
    global.metadata.creation_timestamp = Some(Time(Timestamp::from_second(made).unwrap()));
    global
}

/// The peer bundle of a region, in the account `game`, under the region's name.
pub(crate) fn bundle(region: &str) -> ConfigMap {
    let data = [
        (PEER_REGION_KEY, region.to_owned()),
        (PEER_CLUSTER_ID_KEY, format!("{region}-cluster")),
        (PEER_ENDPOINT_KEY, format!("https://{region}.example:8443")),
        (PEER_CA_KEY, certificate().to_owned()),
    ];
    ConfigMap {
        metadata: ObjectMeta { name: Some(region.to_owned()), namespace: Some("game".into()), ..ObjectMeta::default() },
        data: Some(data.map(|(key, value)| (key.to_owned(), value)).into()),
        ..ConfigMap::default()
    }
}
