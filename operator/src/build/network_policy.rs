//! The NetworkPolicy of a group's storage pods: their own group, the release's routers and its operator; names; nothing else.

use super::names;
use crate::{config::Config, controller::storage_group::validate::ValidatedGroup};
use k8s_openapi::{
    api::networking::v1::{
        NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort,
        NetworkPolicySpec,
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};

pub fn build(group: &ValidatedGroup, config: &Config) -> NetworkPolicy {
    let own = NetworkPolicyPeer {
        pod_selector: Some(names::label_selector(names::selector(&group.name, config))),
        ..NetworkPolicyPeer::default()
    };
    let callers = vec![own.clone(), release_peer("router", config), release_peer("operator", config)];
    NetworkPolicy {
        metadata: names::metadata(names::group_object(&group.name), group, config),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(names::label_selector(names::selector(&group.name, config))),
            policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
            ingress: Some(vec![
                NetworkPolicyIngressRule { from: Some(callers), ports: Some(vec![port("TCP", names::NODE_PORT)]) },
                // Metrics, from wherever they are collected; what the port says is no secret.
                NetworkPolicyIngressRule { from: None, ports: Some(vec![port("TCP", names::ADMIN_PORT)]) },
            ]),
            egress: Some(vec![
                NetworkPolicyEgressRule { to: Some(vec![own]), ports: Some(vec![port("TCP", names::NODE_PORT)]) },
                NetworkPolicyEgressRule { to: None, ports: Some(vec![port("UDP", 53), port("TCP", 53)]) },
            ]),
        }),
    }
}

fn release_peer(component: &str, config: &Config) -> NetworkPolicyPeer {
    let selector =
        |labels| Some(LabelSelector { match_labels: Some(names::labels_of(labels)), match_expressions: None });
    NetworkPolicyPeer {
        namespace_selector: selector(vec![("kubernetes.io/metadata.name", config.release_namespace.as_str())]),
        pod_selector: selector(vec![
            ("app.kubernetes.io/name", "cairn"),
            ("app.kubernetes.io/component", component),
            ("app.kubernetes.io/instance", config.release_name.as_str()),
        ]),
        ip_block: None,
    }
}

fn port(protocol: &str, port: i32) -> NetworkPolicyPort {
    NetworkPolicyPort { protocol: Some(protocol.to_owned()), port: Some(IntOrString::Int(port)), end_port: None }
}
