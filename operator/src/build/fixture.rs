//! A group and a configuration for the builders' tests.

use crate::{config::Config, controller::storage_group::validate::ValidatedGroup};
use cairn_crds::StorageGroupSpec;
use clap::Parser;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

pub(crate) fn config() -> Config {
    Config::parse_from([
        "cairn-operator",
        "--region=east",
        "--release-namespace=cairn-system",
        "--image=localhost/cairn:dev",
        "--group-defaults=group.yaml",
    ])
}

pub(crate) fn spec() -> StorageGroupSpec {
    serde_yaml_ng::from_str("{volume: {size: 10Gi}, resources: {limits: {memory: 1Gi}}}").unwrap()
}

pub(crate) fn group() -> ValidatedGroup {
    ValidatedGroup {
        namespace: "game".into(),
        name: "default".into(),
        owner: OwnerReference {
            api_version: "cairn.dev/v1alpha1".into(),
            kind: "StorageGroup".into(),
            name: "default".into(),
            uid: "0".into(),
            controller: Some(true),
            block_owner_deletion: Some(true),
        },
        spec: spec(),
        zones: ["zone-a", "zone-b", "zone-c"].map(str::to_owned).to_vec(),
        removes_claims: false,
    }
}
