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
use std::net::Ipv4Addr;

const NODE: Port = Port("TCP", names::NODE_PORT);

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

fn group(namespace: &str, name: &str) -> ValidatedGroup {
    let spec: StorageGroupSpec = serde_yaml_ng::from_str("{volume: {size: 1Gi}}").unwrap();
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

/// The policies of two groups of the account `game` and one of `shop`.
pub(crate) fn policies() -> Vec<NetworkPolicy> {
    [("game", "default"), ("game", "analytics"), ("shop", "default")]
        .map(|(namespace, name)| network_policy::build(&group(namespace, name), &config()))
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
fn a_storage_node_reaches_neither_the_api_server_nor_the_world() {
    let node = pod("game", "default");
    let outside = End::Host(Ipv4Addr::new(172, 18, 0, 2));
    for port in [80, 443, 6443, 8080] {
        assert!(!passes(&policies(), &node, &outside, Port("TCP", port)), "{port}");
    }
}
