//! What a set of NetworkPolicies lets through.

use cairn_operator::build::names;
use k8s_openapi::{
    api::networking::v1::{IPBlock, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort},
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use std::{collections::BTreeMap, net::Ipv4Addr};

/// One end of a connection.
#[derive(Clone, Debug)]
pub(crate) enum End {
    Pod {
        namespace: String,
        labels: BTreeMap<String, String>,
    },
    /// What is no pod, or a pod in its node's network.
    Host(Ipv4Addr),
    /// The node that the other end runs on, so its kubelet too: no policy stands between a pod and its node.
    OwnNode,
}

impl End {
    pub(crate) fn pod<'a>(namespace: &str, labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self::Pod { namespace: namespace.to_owned(), labels: names::labels_of(labels) }
    }
}

#[derive(Clone, Copy)]
enum Direction {
    Ingress,
    Egress,
}

/// A connection's port at the end that listens. Policies see it behind a Service's translation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Port(pub(crate) &'static str, pub(crate) i32);

/// Whether a connection passes: let out by the policies of where it begins, and in by those of where it ends.
pub(crate) fn passes(policies: &[NetworkPolicy], from: &End, to: &End, port: Port) -> bool {
    if matches!(from, End::OwnNode) || matches!(to, End::OwnNode) {
        return true;
    }
    lets(policies, Direction::Egress, from, to, port) && lets(policies, Direction::Ingress, to, from, port)
}

/// Whether the policies of one end let the other in, or a connection out to it. An end that none selects is open.
fn lets(policies: &[NetworkPolicy], direction: Direction, of: &End, other: &End, port: Port) -> bool {
    let End::Pod { namespace, labels } = of else { return true };
    let selecting = policies
        .iter()
        .filter(|policy| policy.metadata.namespace.as_ref() == Some(namespace))
        .filter_map(|policy| policy.spec.as_ref())
        .filter(|spec| spec.pod_selector.as_ref().is_none_or(|selector| matches_labels(selector, labels)));
    let mut rules = Vec::new();
    let mut is_open = true;
    for spec in selecting {
        let types = spec.policy_types.iter().flatten();
        match direction {
            Direction::Ingress if spec.policy_types.is_none() || types.clone().any(|kind| kind == "Ingress") => {
                is_open = false;
                rules.extend(spec.ingress.iter().flatten().map(|rule| (rule.from.as_deref(), rule.ports.as_deref())));
            }
            Direction::Egress if types.clone().any(|kind| kind == "Egress") => {
                is_open = false;
                rules.extend(spec.egress.iter().flatten().map(|rule| (rule.to.as_deref(), rule.ports.as_deref())));
            }
            Direction::Egress => assert!(spec.policy_types.is_some(), "policies name their types"),
            Direction::Ingress => {}
        }
    }
    is_open
        || rules.into_iter().any(|(peers, ports)| {
            let (peers, ports) = (peers.unwrap_or_default(), ports.unwrap_or_default());
            (peers.is_empty() || peers.iter().any(|peer| is_peer(peer, namespace, other)))
                && (ports.is_empty() || ports.iter().any(|open| is_port(open, port)))
        })
}

/// A peer without a namespace selector means pods of the policy's own namespace.
fn is_peer(peer: &NetworkPolicyPeer, own_namespace: &str, end: &End) -> bool {
    match end {
        End::Pod { namespace, labels } => {
            let in_namespace = match &peer.namespace_selector {
                None => namespace == own_namespace,
                Some(selector) => {
                    matches_labels(selector, &names::labels_of([("kubernetes.io/metadata.name", namespace.as_str())]))
                }
            };
            peer.ip_block.is_none()
                && in_namespace
                && peer.pod_selector.as_ref().is_none_or(|selector| matches_labels(selector, labels))
        }
        End::Host(address) => peer.ip_block.as_ref().is_some_and(|block| is_in(block, *address)),
        End::OwnNode => true,
    }
}

fn is_in(block: &IPBlock, address: Ipv4Addr) -> bool {
    let covers = |cidr: &str| {
        let (network, bits) = cidr.split_once('/').unwrap();
        let (network, bits): (Ipv4Addr, u32) = (network.parse().unwrap(), bits.parse().unwrap());
        let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
        network.to_bits() & mask == address.to_bits() & mask
    };
    covers(&block.cidr) && !block.except.iter().flatten().any(|cidr| covers(cidr))
}

fn is_port(open: &NetworkPolicyPort, Port(protocol, port): Port) -> bool {
    let is_number = match (&open.port, open.end_port) {
        (None, _) => true,
        (Some(IntOrString::Int(first)), last) => (*first..=last.unwrap_or(*first)).contains(&port),
        (Some(IntOrString::String(name)), _) => panic!("not every network knows ports by name: {name}"),
    };
    is_number && open.protocol.as_deref().unwrap_or("TCP") == protocol
}

fn matches_labels(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    let has_all = selector.match_labels.iter().flatten().all(|(key, value)| labels.get(key) == Some(value));
    has_all
        && selector.match_expressions.iter().flatten().all(|expression| {
            let value = labels.get(&expression.key);
            let is_among = value.is_some_and(|value| expression.values.iter().flatten().any(|among| among == value));
            match expression.operator.as_str() {
                "In" => is_among,
                "NotIn" => !is_among,
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                other => panic!("there is no operator {other}"),
            }
        })
}
