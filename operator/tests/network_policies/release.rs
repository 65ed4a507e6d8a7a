//! The chart's policies, beside those of storage pods: every connection there could be, and who may make it.

use crate::{
    evaluation::{End, Port, passes},
    storage::{BUCKET, PEER, other_pod, pod, policies, release_pod},
};
use k8s_openapi::api::{
    apps::v1::Deployment,
    batch::v1::Job,
    core::v1::PodTemplateSpec,
    networking::v1::{NetworkPolicy, NetworkPolicySpec},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::{collections::BTreeMap, env, net::Ipv4Addr, process::Command};

const NAMESPACE: &str = "cairn-system";
const API_SERVER: Ipv4Addr = Ipv4Addr::new(172, 18, 0, 2);
const WORLD: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);

const HTTP: Port = Port("TCP", 8000);
const ADMIN: Port = Port("TCP", 8080);
/// Of routers that other clusters may call.
const PEERS: Port = Port("TCP", 8443);
const NODE: Port = Port("TCP", 7400);
/// Of the archives, which only the group `default` of the account `game` has.
const ARCHIVE: Port = Port("TCP", 7401);
const ARCHIVE_ADMIN: Port = Port("TCP", 8081);

/// The release's own pods, which only say what they must.
const RELEASE: [&str; 3] = ["router", "operator", "check"];
const STORAGE: [&str; 4] = ["storage", "storage beside", "other group", "other account"];
/// Pods that nobody restricts; some of them pretend.
const PODS: [&str; 6] = ["client", "prometheus", "name server", "neighbour", "other release", "impostor"];
const OUTSIDE: [&str; 2] = ["API server", "world"];
const OWN_NODE: &str = "own node";

/// Who may open a connection to an end's port; the end's own node may always.
struct Row {
    to: &'static str,
    port: Port,
    from: Vec<&'static str>,
}

fn row(to: &'static str, port: Port, from: &[&[&'static str]]) -> Row {
    Row { to, port, from: from.concat() }
}

struct Cluster {
    policies: Vec<NetworkPolicy>,
    ends: BTreeMap<&'static str, End>,
}

impl Cluster {
    /// One with three storage groups and the chart installed with the values given.
    fn new(values: &Value) -> Self {
        let rendered = render(values);
        let end = |template: PodTemplateSpec| End::Pod {
            namespace: NAMESPACE.to_owned(),
            labels: template.metadata.unwrap().labels.unwrap(),
        };
        let ends = BTreeMap::from([
            ("router", end(deployment(&rendered, "cairn-router"))),
            ("operator", end(deployment(&rendered, "cairn-operator"))),
            ("check", end(find::<Job>(&rendered, "cairn-uninstall-check").spec.unwrap().template)),
            ("storage", pod("game", "default")),
            ("storage beside", pod("game", "default")),
            ("other group", pod("game", "analytics")),
            ("other account", pod("shop", "default")),
            ("client", other_pod("web")),
            ("prometheus", other_pod("monitoring")),
            ("name server", other_pod("kube-system")),
            ("neighbour", other_pod(NAMESPACE)),
            ("other release", release_pod(NAMESPACE, "router", "another")),
            ("impostor", release_pod("web", "router", "cairn")),
            ("API server", End::Host(API_SERVER)),
            ("world", End::Host(WORLD)),
            (OWN_NODE, End::OwnNode),
        ]);
        let of_release = rendered.iter().filter(|object| object["kind"] == "NetworkPolicy").map(read);
        Self { policies: of_release.chain(policies()).collect(), ends }
    }

    fn passes(&self, from: &str, to: &str, port: Port) -> bool {
        passes(&self.policies, &self.ends[from], &self.ends[to], port)
    }

    /// Holds every end against the row: those it names may, all others may not.
    fn check(&self, rows: &[Row]) {
        let mut wrong = Vec::new();
        for Row { to, port, from } in rows {
            for end in self.ends.keys().filter(|end| *end != to) {
                let may = *end == OWN_NODE || from.contains(end);
                if self.passes(end, to, *port) != may {
                    wrong.push(format!("{end} to {to} at {port:?}: {}", if may { "barred" } else { "let through" }));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

fn render(values: &Value) -> Vec<Value> {
    let helm = env::var_os("CAIRN_HELM").unwrap_or_else(|| "helm".into());
    let mut command = Command::new(helm);
    command
        .args(["template", "cairn", concat!(env!("CARGO_MANIFEST_DIR"), "/../charts/cairn")])
        .args(["--namespace", NAMESPACE, "--kube-version", "1.30.0"])
        .args(["--set", "region=east,image.repository=cairn"]);
    for (name, value) in values.as_object().unwrap() {
        command.arg("--set-json").arg(format!("{name}={value}"));
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_yaml_ng::Deserializer::from_slice(&output.stdout)
        .map(|document| Value::deserialize(document).unwrap())
        .filter(|object| !object.is_null())
        .collect()
}

fn read<K: DeserializeOwned>(object: &Value) -> K {
    serde_json::from_value(object.clone()).unwrap()
}

fn find<K: DeserializeOwned + k8s_openapi::Resource>(rendered: &[Value], name: &str) -> K {
    read(rendered.iter().find(|object| object["kind"] == K::KIND && object["metadata"]["name"] == name).unwrap())
}

fn deployment(rendered: &[Value], name: &str) -> PodTemplateSpec {
    find::<Deployment>(rendered, name).spec.unwrap().template
}

/// Who reaches storage pods is the operator's to say, whatever the chart's values are.
fn storage_rows() -> Vec<Row> {
    vec![
        row("storage", NODE, &[&["router", "operator", "storage beside"]]),
        row("other group", NODE, &[&["router", "operator"]]),
        row("other account", NODE, &[&["router", "operator"]]),
        row("storage", ARCHIVE, &[&["router", "operator"]]),
        row("other group", ARCHIVE, &[]),
    ]
}

#[test]
#[ignore = "renders the chart with helm, found by CAIRN_HELM or in PATH: cargo xtask test --only chart"]
fn with_policies_each_pair_that_must_talk_can_and_no_other() {
    let cluster = Cluster::new(&json!({"networkPolicy": {"enabled": true}}));
    cluster.check(&storage_rows());
    cluster.check(&[
        row("router", HTTP, &[&PODS]),
        row("router", ADMIN, &[&PODS]),
        row("router", NODE, &[]),
        row("router", PEERS, &[]),
        row("world", PEER, &[&["other account"], &PODS, &["API server"]]),
        row("operator", ADMIN, &[&PODS]),
        row("operator", HTTP, &[]),
        row("check", ADMIN, &[]),
        row("storage", ADMIN, &[&PODS, &OUTSIDE]),
        row("storage", ARCHIVE_ADMIN, &[&PODS, &OUTSIDE]),
        row("storage", HTTP, &[]),
        row("world", BUCKET, &[&["storage", "storage beside"], &PODS, &["API server"]]),
        row("name server", Port("UDP", 53), &[&RELEASE, &STORAGE, &PODS, &OUTSIDE]),
        row("name server", Port("TCP", 53), &[&RELEASE, &STORAGE, &PODS, &OUTSIDE]),
        row("API server", Port("TCP", 443), &[&RELEASE, &PODS, &["world"]]),
        row("API server", Port("TCP", 6443), &[&RELEASE, &PODS, &["world"]]),
        row("API server", Port("UDP", 6443), &[&PODS, &["world"]]),
        row("client", Port("TCP", 80), &[&PODS, &OUTSIDE]),
        row("world", Port("TCP", 80), &[&PODS, &["API server"]]),
    ]);
}

#[test]
#[ignore = "renders the chart with helm, found by CAIRN_HELM or in PATH: cargo xtask test --only chart"]
fn with_peers_named_only_they_talk() {
    let namespace = |name| json!({"matchLabels": {"kubernetes.io/metadata.name": name}});
    let cluster = Cluster::new(&json!({
        "watchNamespaces": ["game"],
        "networkPolicy": {
            "enabled": true,
            "clients": [
                {"namespaceSelector": namespace("web"), "podSelector": {"matchLabels": {"app": "shop"}}},
                {"ipBlock": {"cidr": "203.0.113.0/24", "except": ["203.0.113.128/25"]}},
            ],
            "metrics": [{"namespaceSelector": namespace("monitoring")}],
            "apiServers": [{"ipBlock": {"cidr": "172.18.0.2/32"}}],
        },
    }));
    cluster.check(&[
        row("router", HTTP, &[&["client", "world"]]),
        row("router", ADMIN, &[&["prometheus"]]),
        row("operator", ADMIN, &[&["prometheus"]]),
        row("storage", NODE, &[&["router", "operator", "storage beside"]]),
        row("other account", NODE, &[]),
        row("storage", ARCHIVE, &[&["router", "operator"]]),
        row("API server", Port("TCP", 6443), &[&RELEASE, &PODS, &["world"]]),
        row("world", Port("TCP", 443), &[&PODS, &["API server"]]),
    ]);
}

#[test]
#[ignore = "renders the chart with helm, found by CAIRN_HELM or in PATH: cargo xtask test --only chart"]
fn other_clusters_reach_the_routers_peer_port_and_nothing_else() {
    let peers = json!({"enabled": true, "endpoint": "https://east.example:8443"});
    let cluster = Cluster::new(&json!({"peers": peers, "networkPolicy": {"enabled": true}}));
    cluster.check(&storage_rows());
    // Storage pods and the release's own others are not let out to it: they have no business there.
    cluster.check(&[row("router", PEERS, &[&PODS, &OUTSIDE]), row("router", NODE, &[]), row("operator", PEERS, &[])]);
    let from = json!([{"ipBlock": {"cidr": "203.0.113.0/24"}}]);
    let cluster = Cluster::new(&json!({"peers": peers, "networkPolicy": {"enabled": true, "peers": from}}));
    cluster.check(&[row("router", PEERS, &[&["world"]])]);
}

#[test]
#[ignore = "renders the chart with helm, found by CAIRN_HELM or in PATH: cargo xtask test --only chart"]
fn a_selector_of_pods_alone_means_the_releases_namespace() {
    let clients = json!([{"podSelector": {"matchLabels": {"app": "shop"}}}]);
    let cluster = Cluster::new(&json!({"networkPolicy": {"enabled": true, "clients": clients}}));
    cluster.check(&[row("router", HTTP, &[&["neighbour"]])]);
}

#[test]
#[ignore = "renders the chart with helm, found by CAIRN_HELM or in PATH: cargo xtask test --only chart"]
fn by_default_storage_is_guarded_and_the_release_is_open() {
    let cluster = Cluster::new(&json!({}));
    cluster.check(&storage_rows());
    cluster.check(&[
        row("router", HTTP, &[&["operator", "check"], &PODS, &OUTSIDE]),
        row("router", ADMIN, &[&["operator", "check"], &PODS, &OUTSIDE]),
        row("operator", ADMIN, &[&["router", "check"], &PODS, &OUTSIDE]),
        row("API server", Port("TCP", 6443), &[&RELEASE, &PODS, &["world"]]),
    ]);
}

#[test]
#[ignore = "renders the chart with helm, found by CAIRN_HELM or in PATH: cargo xtask test --only chart"]
fn where_everything_is_denied_the_policies_let_all_through_that_must() {
    let mut cluster = Cluster::new(&json!({"networkPolicy": {"enabled": true}}));
    for namespace in [NAMESPACE, "game", "shop"] {
        let mut deny = NetworkPolicy::default();
        deny.metadata.namespace = Some(namespace.to_owned());
        deny.spec = Some(NetworkPolicySpec {
            policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
            ..NetworkPolicySpec::default()
        });
        cluster.policies.push(deny);
    }
    cluster.check(&storage_rows());
    for (from, to, port) in [
        ("client", "router", HTTP),
        ("prometheus", "router", ADMIN),
        ("prometheus", "operator", ADMIN),
        ("prometheus", "storage", ADMIN),
        ("prometheus", "storage", ARCHIVE_ADMIN),
        ("storage", "world", BUCKET),
        (OWN_NODE, "router", ADMIN),
        (OWN_NODE, "storage", ADMIN),
    ] {
        assert!(cluster.passes(from, to, port), "{from} to {to} at {port:?}");
    }
    for from in RELEASE {
        assert!(cluster.passes(from, "API server", Port("TCP", 6443)), "{from}");
        assert!(cluster.passes(from, "name server", Port("UDP", 53)), "{from}");
    }
    assert!(!cluster.passes("neighbour", "router", HTTP));
}

#[test]
#[ignore = "renders the chart with helm, found by CAIRN_HELM or in PATH: cargo xtask test --only chart"]
fn the_pods_listen_where_the_policies_let_in() {
    let rendered = render(&json!({"service": {"port": 80}}));
    let ports = |name| {
        let containers = deployment(&rendered, name).spec.unwrap().containers;
        let ports = containers.into_iter().flat_map(|container| container.ports.unwrap_or_default());
        ports.map(|port| port.container_port).collect::<Vec<_>>()
    };
    assert_eq!(ports("cairn-router"), [HTTP.1, ADMIN.1]);
    assert_eq!(ports("cairn-operator"), [ADMIN.1]);
    let with_peers = render(&json!({"peers": {"enabled": true}}));
    let router = deployment(&with_peers, "cairn-router").spec.unwrap().containers.remove(0);
    assert!(router.ports.unwrap().iter().any(|port| port.container_port == PEERS.1));
    assert!(router.env.unwrap().iter().any(|variable| variable.name == "CAIRN_PEER_LISTEN"));
}
