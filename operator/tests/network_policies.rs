//! What the policies of storage pods say for every pair that must talk and every pair that must not, worked out as Kubernetes
//! defines it: the test cluster's network does not enforce them.

#![allow(clippy::unwrap_used)]

use cairn_crds::StorageGroupSpec;
use cairn_operator::{
    build::{names, network_policy},
    config::Config,
    controller::storage_group::validate::ValidatedGroup,
};
use clap::Parser;
use k8s_openapi::{
    api::networking::v1::{NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort},
    apimachinery::pkg::{
        apis::meta::v1::{LabelSelector, OwnerReference},
        util::intstr::IntOrString,
    },
};
use std::collections::BTreeMap;

/// One end of a connection. One without labels is outside of the cluster.
#[derive(Clone)]
struct End {
    namespace: &'static str,
    labels: BTreeMap<String, String>,
}

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

fn storage(namespace: &'static str, name: &str) -> End {
    End { namespace, labels: names::zone_selector(name, "zone-a", &config()) }
}

fn release(namespace: &'static str, component: &str, instance: &str) -> End {
    let labels = names::labels_of([
        ("app.kubernetes.io/name", "cairn"),
        ("app.kubernetes.io/component", component),
        ("app.kubernetes.io/instance", instance),
    ]);
    End { namespace, labels }
}

fn other(namespace: &'static str) -> End {
    End { namespace, labels: names::labels_of([("app", "shop")]) }
}

/// The policies of two groups of the account `game` and one of `shop`.
fn policies() -> Vec<NetworkPolicy> {
    [("game", "default"), ("game", "analytics"), ("shop", "default")]
        .map(|(namespace, name)| network_policy::build(&group(namespace, name), &config()))
        .to_vec()
}

/// Whether a connection passes: let out by the policies of where it begins, and in by those of where it ends.
fn passes(from: &End, to: &End, protocol: &str, port: i32) -> bool {
    let policies = policies();
    let of = |end: &End, direction: &str| {
        let selects = |policy: &&NetworkPolicy| {
            let spec = policy.spec.as_ref().unwrap();
            policy.metadata.namespace.as_deref() == Some(end.namespace)
                && spec.policy_types.iter().flatten().any(|kind| kind == direction)
                && matches(spec.pod_selector.as_ref().unwrap(), &end.labels)
        };
        policies.iter().filter(selects).cloned().collect::<Vec<_>>()
    };
    let peer_matches = |peers: Option<&Vec<NetworkPolicyPeer>>, own_namespace: &str, end: &End| {
        peers.is_none_or(|peers| peers.is_empty() || peers.iter().any(|peer| is_peer(peer, own_namespace, end)))
    };
    let port_matches = |ports: Option<&Vec<NetworkPolicyPort>>| {
        ports.is_none_or(|ports| {
            ports.is_empty()
                || ports
                    .iter()
                    .any(|open| open.protocol.as_deref() == Some(protocol) && open.port == Some(IntOrString::Int(port)))
        })
    };
    let outs = of(from, "Egress");
    let is_let_out = outs.is_empty()
        || outs
            .iter()
            .flat_map(|policy| policy.spec.as_ref().unwrap().egress.iter().flatten())
            .any(|rule| peer_matches(rule.to.as_ref(), from.namespace, to) && port_matches(rule.ports.as_ref()));
    let ins = of(to, "Ingress");
    let is_let_in = ins.is_empty()
        || ins
            .iter()
            .flat_map(|policy| policy.spec.as_ref().unwrap().ingress.iter().flatten())
            .any(|rule| peer_matches(rule.from.as_ref(), to.namespace, from) && port_matches(rule.ports.as_ref()));
    is_let_out && is_let_in
}

/// A peer without a namespace selector means pods of the policy's own namespace.
fn is_peer(peer: &NetworkPolicyPeer, own_namespace: &str, end: &End) -> bool {
    let in_namespace = match &peer.namespace_selector {
        None => end.namespace == own_namespace,
        Some(selector) => matches(selector, &names::labels_of([("kubernetes.io/metadata.name", end.namespace)])),
    };
    in_namespace && peer.pod_selector.as_ref().is_none_or(|selector| matches(selector, &end.labels))
}

fn matches(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    assert!(selector.match_expressions.is_none(), "this test reads labels only");
    selector.match_labels.iter().flatten().all(|(key, value)| labels.get(key) == Some(value))
}

#[test]
fn those_that_must_talk_can() {
    let node = storage("game", "default");
    for (from, to) in [
        (node.clone(), node.clone()),
        (release("cairn-system", "router", "cairn"), node.clone()),
        (release("cairn-system", "operator", "cairn"), node.clone()),
    ] {
        assert!(passes(&from, &to, "TCP", names::NODE_PORT), "{:?} to {:?}", from.labels, to.labels);
    }
    let names_server = other("kube-system");
    assert!(passes(&node, &names_server, "UDP", 53) && passes(&node, &names_server, "TCP", 53));
    assert!(passes(&other("monitoring"), &node, "TCP", names::ADMIN_PORT));
}

#[test]
fn those_that_must_not_talk_can_not() {
    let node = storage("game", "default");
    for (from, to) in [
        (storage("game", "analytics"), node.clone()),
        (storage("shop", "default"), node.clone()),
        (other("game"), node.clone()),
        (other("cairn-system"), node.clone()),
        // Whoever can name their pods like the release's, elsewhere.
        (release("game", "router", "cairn"), node.clone()),
        (release("cairn-system", "router", "another"), node.clone()),
        (node.clone(), storage("shop", "default")),
        (node.clone(), release("cairn-system", "router", "cairn")),
    ] {
        assert!(!passes(&from, &to, "TCP", names::NODE_PORT), "{:?} to {:?}", from.labels, to.labels);
    }
}

#[test]
fn a_storage_node_reaches_neither_the_api_server_nor_the_world() {
    let node = storage("game", "default");
    let outside = End { namespace: "", labels: BTreeMap::new() };
    for port in [80, 443, 6443, 8080] {
        assert!(!passes(&node, &outside, "TCP", port), "{port}");
    }
}
