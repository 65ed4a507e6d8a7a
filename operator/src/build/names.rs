//! Names, labels and addresses of a group's objects. The contract between chart, operator and nodes: frozen.

use crate::{FIELD_MANAGER, config::Config, controller::storage_group::validate::ValidatedGroup};
use cairn_crds::short_hash;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use std::collections::BTreeMap;

pub const NODE_PORT: i32 = 7400;
pub const ADMIN_PORT: i32 = 8080;
/// Of the archive, which has its ports beside the node's on one address.
pub const ARCHIVE_ADMIN_PORT: i32 = 8081;
/// The user, and the group, that pods run as.
pub const USER_ID: i64 = 65532;
/// Of mounted Secrets: for that user's group alone.
pub const FILE_MODE: i32 = 0o440;

pub const GROUP_LABEL: &str = "cairn.dev/group";
pub const ZONE_LABEL: &str = "cairn.dev/zone";
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";

/// The name of a group's Service, PodDisruptionBudget, NetworkPolicy and ServiceAccount.
pub fn group_object(group: &str) -> String {
    format!("cairn-{group}")
}

/// The name of a group's StatefulSet in a zone.
pub fn stateful_set(group: &str, zone: &str) -> String {
    format!("cairn-{group}-{}", short_hash(zone))
}

/// The name of the Secret with a group's certificate.
pub fn tls_secret(group: &str) -> String {
    format!("cairn-{group}-tls")
}

/// The name of the claim of a pod's volume.
pub fn claim(pod: &str) -> String {
    format!("data-{pod}")
}

/// The host and port a node is reached under.
pub fn address(namespace: &str, group: &str, pod: &str, cluster_domain: &str) -> String {
    format!("{pod}.{}.{namespace}.svc.{cluster_domain}:{NODE_PORT}", group_object(group))
}

/// What selects all storage pods of a group.
pub fn selector(group: &str, config: &Config) -> BTreeMap<String, String> {
    labels_of([
        ("app.kubernetes.io/name", "cairn"),
        ("app.kubernetes.io/component", "storage"),
        ("app.kubernetes.io/instance", &config.release_name),
        (GROUP_LABEL, group),
    ])
}

/// What selects the storage pods of a group in a zone.
pub fn zone_selector(group: &str, zone: &str, config: &Config) -> BTreeMap<String, String> {
    let mut labels = selector(group, config);
    labels.insert(ZONE_LABEL.to_owned(), zone.to_owned());
    labels
}

/// A selector of pods by their labels.
pub fn label_selector(labels: BTreeMap<String, String>) -> LabelSelector {
    LabelSelector { match_labels: Some(labels), match_expressions: None }
}

/// The metadata of an object of a group, which goes when the group goes.
pub fn metadata(name: String, group: &ValidatedGroup, config: &Config) -> ObjectMeta {
    let mut labels = selector(&group.name, config);
    labels.insert(MANAGED_BY_LABEL.to_owned(), FIELD_MANAGER.to_owned());
    ObjectMeta {
        name: Some(name),
        namespace: Some(group.namespace.clone()),
        labels: Some(labels),
        owner_references: Some(vec![group.owner.clone()]),
        ..ObjectMeta::default()
    }
}

/// The metadata of an object of the release, in its namespace.
pub fn release_metadata(config: &Config, name: String) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(config.release_namespace.clone()),
        labels: Some(labels_of([
            ("app.kubernetes.io/name", "cairn"),
            ("app.kubernetes.io/instance", config.release_name.as_str()),
            (MANAGED_BY_LABEL, FIELD_MANAGER),
        ])),
        ..ObjectMeta::default()
    }
}

/// A map of labels.
pub fn labels_of<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> BTreeMap<String, String> {
    labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}
