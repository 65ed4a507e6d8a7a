//! The policies of storage pods, which the operator builds.

use crate::evaluation::{End, Port, passes};
use cairn_crds::StorageGroupSpec;
use cairn_operator::{
    build::{names, network_policy},
    config::Config,
    controller::storage_group::validate::ValidatedGroup,
};
use clap::Parser;
use k8s_openapi::{api::networking::v1::NetworkPolicy, apimachinery::pkg::apis::meta::v1::OwnerReference};
use std::{collections::BTreeSet, net::Ipv4Addr};

const NODE: Port = Port("TCP", names::NODE_PORT);
const ARCHIVE: Port = Port("TCP", 7401);
const ARCHIVE_ADMIN: Port = Port("TCP", names::ARCHIVE_ADMIN_PORT);
/// Where the bucket of the account `game` listens.
pub(crate) const BUCKET: Port = Port("TCP", 9000);

fn config() -> Config {
    Config::parse_from([
        "cairn-operator",
        "--region=east",
        "--release-namespace=cairn-system",
        "--release-name=cairn",
        "--image=cairn",
        "--group-defaults=none",
    ])
}

fn group(namespace: &str, name: &str, archive: &str) -> ValidatedGroup {
    let spec: StorageGroupSpec = serde_yaml_ng::from_str(&format!("{{volume: {{size: 1Gi}}{archive}}}")).unwrap();
    ValidatedGroup {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        owner: OwnerReference::default(),
        spec,
        zones: vec!["zone-a".to_owned()],
        removes_claims: false,
    }
}

pub(crate) fn pod(namespace: &str, name: &str) -> End {
    End::Pod { namespace: namespace.to_owned(), labels: names::zone_selector(name, "zone-a", &config()) }
}

/// A pod that says it is one of a release.
pub(crate) fn release_pod(namespace: &str, component: &str, instance: &str) -> End {
    let labels = [
        ("app.kubernetes.io/name", "cairn"),
        ("app.kubernetes.io/component", component),
        ("app.kubernetes.io/instance", instance),
    ];
    End::pod(namespace, labels)
}

pub(crate) fn other_pod(namespace: &str) -> End {
    End::pod(namespace, [("app", "shop")])
}

/// Where the routers of the other cluster listen that tables of the account `shop` are kept in.
pub(crate) const PEER: Port = Port("TCP", 30443);

/// The policies of two groups of the account `game`, one of them with an archive, and one of `shop`.
pub(crate) fn policies() -> Vec<NetworkPolicy> {
    policies_with("https://store.example:9000")
}

fn policies_with(endpoint: &str) -> Vec<NetworkPolicy> {
    let archive = format!(", archive: {{url: 's3://backups', endpoint: '{endpoint}'}}");
    [("game", "default", archive.as_str()), ("game", "analytics", ""), ("shop", "default", "")]
        .map(|(namespace, name, archive)| {
            let peers = if namespace == "shop" { BTreeSet::from([30443]) } else { BTreeSet::new() };
            network_policy::build(&group(namespace, name, archive), &peers, &config())
        })
        .to_vec()
}

#[test]
fn those_that_must_talk_can() {
    let node = pod("game", "default");
    for (from, to) in [
        (node.clone(), node.clone()),
        (release_pod("cairn-system", "router", "cairn"), node.clone()),
        (release_pod("cairn-system", "operator", "cairn"), node.clone()),
    ] {
        assert!(passes(&policies(), &from, &to, NODE), "{from:?} to {to:?}");
    }
    let name_server = other_pod("kube-system");
    assert!(["UDP", "TCP"].iter().all(|protocol| passes(&policies(), &node, &name_server, Port(protocol, 53))));
    assert!(passes(&policies(), &other_pod("monitoring"), &node, Port("TCP", names::ADMIN_PORT)));
}

#[test]
fn those_that_must_not_talk_can_not() {
    let node = pod("game", "default");
    for (from, to) in [
        (pod("game", "analytics"), node.clone()),
        (pod("shop", "default"), node.clone()),
        (other_pod("game"), node.clone()),
        (other_pod("cairn-system"), node.clone()),
        // Whoever can name their pods like the release's, elsewhere.
        (release_pod("game", "router", "cairn"), node.clone()),
        (release_pod("cairn-system", "router", "another"), node.clone()),
        (node.clone(), pod("shop", "default")),
        (node.clone(), release_pod("cairn-system", "router", "cairn")),
    ] {
        assert!(!passes(&policies(), &from, &to, NODE), "{from:?} to {to:?}");
    }
}

#[test]
fn an_archive_is_asked_by_routers_and_the_operator_alone() {
    let archive = pod("game", "default");
    for component in ["router", "operator"] {
        let from = release_pod("cairn-system", component, "cairn");
        assert!(passes(&policies(), &from, &archive, ARCHIVE), "{component}");
        assert!(!passes(&policies(), &from, &pod("game", "analytics"), ARCHIVE), "it has none");
    }
    for from in [archive.clone(), pod("game", "analytics"), pod("shop", "default"), other_pod("game")] {
        assert!(!passes(&policies(), &from, &archive, ARCHIVE), "{from:?}");
    }
    assert!(passes(&policies(), &other_pod("monitoring"), &archive, ARCHIVE_ADMIN));
    assert!(!passes(&policies(), &other_pod("monitoring"), &pod("game", "analytics"), ARCHIVE_ADMIN));
}

#[test]
fn only_a_group_with_an_archive_reaches_the_buckets_port() {
    let outside = End::Host(Ipv4Addr::new(203, 0, 113, 7));
    for bucket in [outside.clone(), other_pod("backups")] {
        assert!(passes(&policies(), &pod("game", "default"), &bucket, BUCKET), "{bucket:?}");
        assert!(!passes(&policies(), &pod("game", "analytics"), &bucket, BUCKET), "{bucket:?}");
        assert!(!passes(&policies(), &pod("game", "default"), &bucket, Port("TCP", 443)), "{bucket:?}");
    }
    let https = policies_with("https://store.example");
    assert!(passes(&https, &pod("game", "default"), &outside, Port("TCP", 443)));
}

#[test]
fn a_service_may_send_the_connection_to_another_port_of_its_pods() {
    for endpoint in ["https://store.backups.svc", "http://store.backups.svc.cluster.local", "http://store"] {
        let policies = policies_with(endpoint);
        assert!(passes(&policies, &pod("game", "default"), &other_pod("backups"), BUCKET), "{endpoint}");
        let outside = End::Host(Ipv4Addr::new(203, 0, 113, 7));
        assert!(!passes(&policies, &pod("game", "default"), &outside, BUCKET), "{endpoint}");
    }
}

#[test]
fn a_storage_node_reaches_neither_the_api_server_nor_the_world() {
    let node = pod("game", "analytics");
    let outside = End::Host(Ipv4Addr::new(172, 18, 0, 2));
    for port in [80, 443, 6443, 8080] {
        assert!(!passes(&policies(), &node, &outside, Port("TCP", port)), "{port}");
    }
}

#[test]
fn only_a_group_with_regions_in_other_clusters_reaches_their_port() {
    let outside = End::Host(Ipv4Addr::new(203, 0, 113, 7));
    assert!(passes(&policies(), &pod("shop", "default"), &outside, PEER));
    assert!(!passes(&policies(), &pod("shop", "default"), &outside, Port("TCP", 443)));
    for name in ["default", "analytics"] {
        assert!(!passes(&policies(), &pod("game", name), &outside, PEER), "{name}");
    }
    assert!(!passes(&policies(), &outside, &pod("shop", "default"), NODE), "nobody is let in");
}
