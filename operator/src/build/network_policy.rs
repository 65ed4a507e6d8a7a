//! The NetworkPolicy of a group's storage pods: their own group, the release's routers and its operator; names; the bucket; other
//! clusters that keep the same tables; nothing else.

use super::names;
use crate::{config::Config, controller::storage_group::validate::ValidatedGroup, node_client::ARCHIVE_PORT};
use cairn_crds::storage_group::Archive;
use k8s_openapi::{
    api::networking::v1::{
        NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort,
        NetworkPolicySpec,
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use std::collections::BTreeSet;

const HTTP_PORT: i32 = 80;
const HTTPS_PORT: i32 = 443;

/// `peer_ports` are those of the other clusters that the group's tables are kept in.
pub fn build(group: &ValidatedGroup, peer_ports: &BTreeSet<u16>, config: &Config) -> NetworkPolicy {
    let own = NetworkPolicyPeer {
        pod_selector: Some(names::label_selector(names::selector(&group.name, config))),
        ..NetworkPolicyPeer::default()
    };
    let release = vec![release_peer("router", config), release_peer("operator", config)];
    let nodes_callers = std::iter::once(&own).chain(&release).cloned().collect();
    let mut ingress = vec![
        NetworkPolicyIngressRule { from: Some(nodes_callers), ports: Some(vec![port("TCP", names::NODE_PORT)]) },
        // Metrics, from wherever they are collected; what the port says is no secret.
        NetworkPolicyIngressRule { from: None, ports: Some(vec![port("TCP", names::ADMIN_PORT)]) },
    ];
    let mut egress = vec![
        NetworkPolicyEgressRule { to: Some(vec![own]), ports: Some(vec![port("TCP", names::NODE_PORT)]) },
        NetworkPolicyEgressRule { to: None, ports: Some(vec![port("UDP", 53), port("TCP", 53)]) },
    ];
    if let Some(archive) = &group.spec.archive {
        ingress.extend([
            NetworkPolicyIngressRule { from: Some(release), ports: Some(vec![port("TCP", i32::from(ARCHIVE_PORT))]) },
            NetworkPolicyIngressRule { from: None, ports: Some(vec![port("TCP", names::ARCHIVE_ADMIN_PORT)]) },
        ]);
        egress.extend(to_bucket(archive, config));
    }
    if !peer_ports.is_empty() {
        // Where they are, nobody here knows; certificates say who they are.
        let ports = peer_ports.iter().map(|number| port("TCP", i32::from(*number))).collect();
        egress.push(NetworkPolicyEgressRule { to: None, ports: Some(ports) });
    }
    NetworkPolicy {
        metadata: names::metadata(names::group_object(&group.name), group, config),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(names::label_selector(names::selector(&group.name, config))),
            policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
            ingress: Some(ingress),
            egress: Some(egress),
        }),
    }
}

/// The bucket may be inside the cluster or outside, at an address that nobody here knows: its port is what is known.
fn to_bucket(archive: &Archive, config: &Config) -> Vec<NetworkPolicyEgressRule> {
    let (host, bucket_port) = archive.endpoint.as_deref().map_or(("", HTTPS_PORT), host_and_port);
    let mut rules = vec![NetworkPolicyEgressRule { to: None, ports: Some(vec![port("TCP", bucket_port)]) }];
    if is_service(host, config) {
        // Policies see a connection behind the Service's translation, where it has the pods' port.
        let any_pod =
            NetworkPolicyPeer { namespace_selector: Some(LabelSelector::default()), ..NetworkPolicyPeer::default() };
        let any_port = NetworkPolicyPort { protocol: Some("TCP".to_owned()), ..NetworkPolicyPort::default() };
        rules.push(NetworkPolicyEgressRule { to: Some(vec![any_pod]), ports: Some(vec![any_port]) });
    }
    rules
}

fn host_and_port(endpoint: &str) -> (&str, i32) {
    let (scheme, authority) = endpoint.trim_end_matches('/').split_once("://").unwrap_or(("https", endpoint));
    let default = if scheme == "http" { HTTP_PORT } else { HTTPS_PORT };
    // The last colon of `[fd00::1]` comes before no port.
    match authority.rsplit_once(':').map(|(host, port)| (host, port.parse())) {
        Some((host, Ok(port))) => (host, port),
        _ => (authority, default),
    }
}

/// Whether the host is a Service of this cluster, by its name; of the group's own namespace where it has no dot.
fn is_service(host: &str, config: &Config) -> bool {
    let host = host.trim_end_matches('.');
    let is_neighbour = !host.is_empty() && !host.contains(['.', ':']);
    is_neighbour || host.ends_with(".svc") || host.ends_with(&format!(".svc.{}", config.cluster_domain))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_of_an_endpoint_is_its_own_or_its_schemes() {
        for (endpoint, expected) in [
            ("https://store:9000", ("store", 9000)),
            ("http://store.backups.svc:9000/", ("store.backups.svc", 9000)),
            ("https://store", ("store", 443)),
            ("http://store/", ("store", 80)),
            ("https://[fd00::1]:9000", ("[fd00::1]", 9000)),
            ("https://[fd00::1]", ("[fd00::1]", 443)),
        ] {
            assert_eq!(host_and_port(endpoint), expected, "{endpoint}");
        }
    }
}
