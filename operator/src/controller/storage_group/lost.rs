//! Pods bound to a volume on a Kubernetes node that is gone: replaced, claim and all, where every partition has a quorum elsewhere.

use super::{members::ExpectedNode, view::View};
use crate::{
    build::names,
    context::Context,
    error::{Result, While, status_code},
};
use cairn_crds::storage_group::StorageNodeStatus;
use cairn_model::{
    descriptor::MemberRole,
    ids::NodeId,
    node::{NodeReport, ReplicaReport, ReplicaState},
};
use k8s_openapi::api::core::v1::{Node, PersistentVolume, PersistentVolumeClaim, Pod};
use kube::{Api, ResourceExt, api::DeleteParams};
use std::{collections::BTreeMap, sync::Arc};

const HOST_LABEL: &str = "kubernetes.io/hostname";

/// A pod whose volume lies on a node that is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    pub pod_name: String,
    pub gone_node: String,
}

/// Finds the first such pod that may be replaced, and replaces it.
pub async fn replace(
    ctx: &Context,
    namespace: &str,
    expected: &[ExpectedNode],
    answers: &[Option<Arc<NodeReport>>],
    statuses: &[StorageNodeStatus],
    view: &View,
) -> Result<Option<Lost>> {
    for (node, status) in expected.iter().zip(statuses) {
        if status.ready {
            continue;
        }
        let Some(claim) = view.claims.iter().find(|claim| claim.name_any() == names::claim(&node.pod_name)) else {
            continue;
        };
        let Some(gone_node) = gone_host(ctx, claim, &view.nodes).await? else { continue };
        if !has_place(&ctx.config.zone_label, &node.zone, &view.nodes) {
            continue;
        }
        let node_id = status.node_id.as_ref().and_then(|id| id.parse().ok());
        if !every_partition_stands_without(node_id, answers) {
            tracing::warn!(pod = node.pod_name, gone_node, "not replaced: a partition has no quorum without it");
            continue;
        }
        delete(&ctx.api::<PersistentVolumeClaim>(namespace), &claim.name_any()).await?;
        delete(&ctx.api::<Pod>(namespace), &node.pod_name).await?;
        return Ok(Some(Lost { pod_name: node.pod_name.clone(), gone_node }));
    }
    Ok(None)
}

/// The node that the claim's volume is tied to, if that node is gone. A volume that can be attached elsewhere is tied to none.
async fn gone_host(ctx: &Context, claim: &PersistentVolumeClaim, nodes: &[Node]) -> Result<Option<String>> {
    let Some(name) = claim.spec.as_ref().and_then(|spec| spec.volume_name.as_ref()) else { return Ok(None) };
    let volume = match Api::<PersistentVolume>::all(ctx.client.clone()).get(name).await {
        Ok(volume) => volume,
        Err(error) if status_code(&error) == Some(404) => return Ok(None),
        Err(error) => return Err(error).while_doing(|| format!("read the volume {name}")),
    };
    Ok(hosts(&volume).filter(|hosts| !hosts.iter().any(|host| is_there(host, nodes))).and_then(|mut hosts| hosts.pop()))
}

/// The hosts that a volume's node affinity names; none where it is tied to no host.
fn hosts(volume: &PersistentVolume) -> Option<Vec<String>> {
    let required = volume.spec.as_ref()?.node_affinity.as_ref()?.required.as_ref()?;
    let mut hosts = Vec::new();
    for term in &required.node_selector_terms {
        let expression = term.match_expressions.iter().flatten().find(|e| e.key == HOST_LABEL && e.operator == "In")?;
        hosts.extend(expression.values.clone().unwrap_or_default());
    }
    (!hosts.is_empty()).then_some(hosts)
}

fn is_there(host: &str, nodes: &[Node]) -> bool {
    nodes.iter().any(|node| node.labels().get(HOST_LABEL).is_some_and(|label| label == host) || node.name_any() == host)
}

/// Whether the zone has a node that a new pod could go to.
fn has_place(zone_label: &str, zone: &str, nodes: &[Node]) -> bool {
    nodes.iter().any(|node| node.labels().get(zone_label).is_some_and(|label| label == zone))
}

/// Whether, with the node gone for good, every partition that has a member on it keeps a quorum of members that are well.
///
/// What the partitions are is known from the other nodes: one of them must answer for each member's partition, or the partition is
/// not seen at all; so all other nodes must have answered.
fn every_partition_stands_without(lost: Option<NodeId>, answers: &[Option<Arc<NodeReport>>]) -> bool {
    let Some(lost) = lost else {
        // It never answered since the group was made, so no partition was ever placed on it.
        return true;
    };
    if answers.iter().filter(|answer| answer.is_none()).count() > 1 {
        return false;
    }
    let mut newest: BTreeMap<[u8; 16], &ReplicaReport> = BTreeMap::new();
    for replica in answers.iter().flatten().flat_map(|report| &report.replicas) {
        let held = newest.entry(replica.descriptor.partition_id.0).or_insert(replica);
        if replica.descriptor.epoch > held.descriptor.epoch {
            *held = replica;
        }
    }
    newest.values().all(|replica| {
        let members = &replica.descriptor.members;
        let voters = members.iter().filter(|member| member.role == MemberRole::Voter);
        let well = voters
            .clone()
            .filter(|member| member.node_id != lost)
            .filter(|member| {
                answers.iter().flatten().any(|report| {
                    report.node_id == member.node_id
                        && report.replicas.iter().any(|held| {
                            held.descriptor.partition_id == replica.descriptor.partition_id
                                && held.replica_id == member.replica_id
                                && held.caught_up
                                && !matches!(held.state, ReplicaState::Damaged(_))
                        })
                })
            })
            .count();
        !members.iter().any(|member| member.node_id == lost) || well > voters.count() / 2
    })
}

async fn delete<K>(api: &Api<K>, name: &str) -> Result<()>
where
    K: Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    match api.delete(name, &DeleteParams::default()).await {
        Ok(_) => Ok(()),
        Err(error) if status_code(&error) == Some(404) => Ok(()),
        Err(error) => Err(error).while_doing(|| format!("delete {name}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::table::fixture;

    #[test]
    fn a_node_goes_only_if_every_partition_stands_without_it() {
        let three = fixture::reports_of_one_table(3);
        let without_third: Vec<_> = vec![Some(Arc::clone(&three[0])), Some(Arc::clone(&three[1])), None];
        assert!(every_partition_stands_without(Some(three[2].node_id), &without_third));
        let only_first = vec![Some(Arc::clone(&three[0])), None, None];
        assert!(!every_partition_stands_without(Some(three[2].node_id), &only_first));
    }

    #[test]
    fn a_damaged_replica_is_no_part_of_a_quorum() {
        let three = fixture::reports_of_one_table(3);
        let mut second = (*three[1]).clone();
        second.replicas[0].state = ReplicaState::Damaged("bad record".into());
        let answers = vec![Some(Arc::clone(&three[0])), Some(Arc::new(second)), None];
        assert!(!every_partition_stands_without(Some(three[2].node_id), &answers));
    }

    #[test]
    fn only_a_volume_tied_to_a_host_is_lost_with_it() {
        let local: PersistentVolume = serde_json::from_value(serde_json::json!({"spec": {"nodeAffinity": {"required": {
            "nodeSelectorTerms": [{"matchExpressions": [{"key": HOST_LABEL, "operator": "In", "values": ["one"]}]}]}}}}))
        .unwrap();
        assert_eq!(hosts(&local), Some(vec!["one".to_owned()]));
        let zonal: PersistentVolume =
            serde_json::from_value(serde_json::json!({"spec": {"nodeAffinity": {"required": {
            "nodeSelectorTerms": [{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}]}}}}))
            .unwrap();
        assert_eq!(hosts(&zonal), None);
    }
}
