//! The nodes a group should have, and what is known of each.

use crate::{
    build::{names, pod::CONTAINER},
    config::Config,
    node_client::Target,
};
use cairn_crds::{StorageGroup, storage_group::StorageNodeStatus};
use cairn_model::{
    identity::{Identity, Role},
    node::NodeReport,
};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use std::{net::IpAddr, sync::Arc};

/// A node that a group should have: the pod it runs in and where it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedNode {
    pub pod_name: String,
    pub zone: String,
    pub target: Target,
}

/// The nodes of a group in these zones, zone by zone.
pub fn expected(group: &StorageGroup, zones: &[String], config: &Config) -> Vec<ExpectedNode> {
    let (namespace, name) = (group.namespace().unwrap_or_default(), group.name_any());
    let identity = Identity {
        region: config.region.clone(),
        namespace: namespace.clone(),
        group: name.clone(),
        role: Role::Storage,
    };
    let mut nodes = Vec::new();
    for zone in zones {
        for ordinal in 0..group.spec.nodes_per_zone {
            let pod_name = format!("{}-{ordinal}", names::stateful_set(&name, zone));
            let address = names::address(&namespace, &name, &pod_name, &config.cluster_domain);
            let target = Target { address, identity: identity.clone() };
            nodes.push(ExpectedNode { pod_name, zone: zone.clone(), target });
        }
    }
    nodes
}

/// The nodes of a group in the zones recorded for it; none before any are.
pub fn recorded(group: &StorageGroup, config: &Config) -> Vec<ExpectedNode> {
    let zones = group.status.as_ref().map(|status| status.zones.as_slice()).unwrap_or_default();
    expected(group, zones, config)
}

/// Whether the node in the pod is ready: that is, caught up in every partition it holds.
///
/// A pod of which only the archive does not run is not Ready either, and says nothing of the node. Then the node must have
/// answered itself: of one cut off from the cluster the API server may know no more than that.
fn is_ready(pod: &Pod, has_answered: bool) -> bool {
    let Some(status) = pod.status.as_ref().filter(|_| pod.metadata.deletion_timestamp.is_none()) else { return false };
    let has = |type_: &str, value: &str| {
        status.conditions.iter().flatten().any(|condition| condition.type_ == type_ && condition.status == value)
    };
    let is_well =
        || status.container_statuses.iter().flatten().any(|container| container.name == CONTAINER && container.ready);
    has("Ready", "True") || (has_answered && has("ContainersReady", "False") && is_well())
}

/// Where the pod is, once it is anywhere.
pub fn ip(pod: &Pod) -> Option<IpAddr> {
    pod.status.as_ref()?.pod_ip.as_ref()?.parse().ok()
}

/// Whether a node refuses writes for want of room, with the reason and the message of the condition.
pub fn fullness(nodes: &[ExpectedNode], reports: &[Option<Arc<NodeReport>>]) -> (bool, &'static str, String) {
    let is_full = |report: &Option<Arc<NodeReport>>| report.as_ref().is_some_and(|report| report.disk_full);
    let full: Vec<_> = nodes
        .iter()
        .zip(reports)
        .filter(|(_, report)| is_full(report))
        .map(|(node, _)| node.pod_name.as_str())
        .collect();
    if full.is_empty() {
        return (false, "Room", String::new());
    }
    let message = format!("{} refuses writes, for its volume is nearly full: raise spec.volume.size", full.join(", "));
    (true, "VolumeNearlyFull", message)
}

/// What is said of nodes that are ready and do not answer.
pub fn silence(nodes: &[ExpectedNode], reports: &[Option<Arc<NodeReport>>]) -> Option<String> {
    let silent = nodes.iter().zip(reports).filter(|(_, report)| report.is_none());
    let silent: Vec<_> = silent.map(|(node, _)| node.pod_name.as_str()).collect();
    let told = "ready, but no answer to the operator: look into the log of the pod and of the operator, and whether a NetworkPolicy is \
                in the way";
    (!silent.is_empty()).then(|| format!("{}: {told}", silent.join(", ")))
}

/// What the status says of each node. One that does not answer keeps the identity it had.
pub fn statuses(
    nodes: &[ExpectedNode],
    reports: &[Option<Arc<NodeReport>>],
    pods: &[Pod],
    before: &[StorageNodeStatus],
) -> Vec<StorageNodeStatus> {
    nodes
        .iter()
        .zip(reports)
        .map(|(node, report)| {
            let known = before.iter().find(|known| known.address == node.target.address);
            StorageNodeStatus {
                node_id: report
                    .as_ref()
                    .map(|report| report.node_id.to_string())
                    .or_else(|| known.and_then(|known| known.node_id.clone())),
                zone: node.zone.clone(),
                address: node.target.address.clone(),
                ready: pods.iter().any(|pod| pod.name_any() == node.pod_name && is_ready(pod, report.is_some())),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{build::fixture, controller::table::fixture as table_fixture};
    use serde_json::json;

    #[test]
    fn a_full_volume_is_told_with_what_to_do() {
        let (nodes, mut reports) = (table_fixture::nodes(), table_fixture::reports_of_one_table(3));
        Arc::make_mut(&mut reports[1]).disk_full = true;
        let reports: Vec<_> = reports.into_iter().map(Some).collect();
        let (is_full, _, message) = fullness(&nodes, &reports);
        assert!(is_full && message.contains(&nodes[1].pod_name) && message.contains("spec.volume.size"), "{message}");
        assert!(!fullness(&nodes, &[]).0);
    }

    #[test]
    fn nodes_that_do_not_answer_are_told_with_where_to_look() {
        let (nodes, reports) = (table_fixture::nodes(), table_fixture::reports_of_one_table(3));
        let mut reports: Vec<_> = reports.into_iter().map(Some).collect();
        assert_eq!(silence(&nodes, &reports), None);
        reports[1] = None;
        let message = silence(&nodes, &reports).unwrap();
        assert!(message.starts_with(&nodes[1].pod_name) && message.contains("NetworkPolicy"), "{message}");
    }

    #[test]
    fn a_node_is_ready_while_only_its_archive_is_down() {
        let pod = |ready: &str, containers_ready: &str, node_is_ready: bool| {
            let condition = |type_: &str, status: &str| json!({"type": type_, "status": status});
            let node =
                json!({"name": "storage", "ready": node_is_ready, "image": "", "imageID": "", "restartCount": 0});
            serde_json::from_value::<Pod>(json!({"status": {
                "conditions": [condition("Ready", ready), condition("ContainersReady", containers_ready)],
                "containerStatuses": [node],
            }}))
            .unwrap()
        };
        assert!(is_ready(&pod("True", "True", true), false));
        assert!(is_ready(&pod("False", "False", true), true));
        assert!(!is_ready(&pod("False", "False", true), false), "it may be cut off");
        assert!(!is_ready(&pod("False", "True", true), true), "its kubelet is gone");
        assert!(!is_ready(&pod("False", "False", false), true));
    }

    #[test]
    fn a_node_is_reached_by_its_pods_name() {
        let mut group = StorageGroup::new("default", fixture::spec());
        group.metadata.namespace = Some("game".into());
        group.spec.nodes_per_zone = 2;
        let nodes = expected(&group, &["zone-a".to_owned(), "zone-b".to_owned()], &fixture::config());
        assert_eq!(nodes.len(), 4);
        let set = names::stateful_set("default", "zone-a");
        assert_eq!(nodes[1].target.address, format!("{set}-1.cairn-default.game.svc.cluster.local:7400"));
        assert_eq!(nodes[1].target.identity.to_string(), "cairn://east/game/default/storage");
    }
}
