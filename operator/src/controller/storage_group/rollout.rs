//! A rollout takes one pod at a time, across all zones of a group, the next when the last is Ready.

use super::members::ExpectedNode;
use cairn_crds::storage_group::StorageNodeStatus;
use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::Pod};
use kube::ResourceExt;

const REVISION_LABEL: &str = "controller-revision-hash";

/// What a rollout wants next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Every pod is there, Ready and of the newest revision.
    Done,
    /// Something is under way.
    Wait(String),
    /// This pod goes next.
    Replace(String),
}

/// Decides the next step from what is there; the statuses are those of the nodes, in their order.
pub fn next(nodes: &[ExpectedNode], statuses: &[StorageNodeStatus], sets: &[StatefulSet], pods: &[Pod]) -> Step {
    let mut outdated = Vec::new();
    let mut waiting = Vec::new();
    for (node, status) in nodes.iter().zip(statuses) {
        let Some(pod) = pods.iter().find(|pod| pod.name_any() == node.pod_name) else {
            waiting.push(node.pod_name.as_str());
            continue;
        };
        let Some(revision) = newest_revision(sets, &node.pod_name) else {
            return Step::Wait("the StatefulSets are being looked at".to_owned());
        };
        let is_outdated = pod.labels().get(REVISION_LABEL).is_some_and(|own| own != revision);
        match (is_outdated, status.ready) {
            // It is down as it is: replacing it takes nothing away, and may be the cure.
            (true, false) if pod.metadata.deletion_timestamp.is_none() => {
                return Step::Replace(node.pod_name.clone());
            }
            (_, false) => waiting.push(node.pod_name.as_str()),
            (true, true) => outdated.push(node.pod_name.as_str()),
            (false, true) => {}
        }
    }
    match (waiting.is_empty(), outdated.first()) {
        (false, _) => Step::Wait(format!("waiting for {} to be ready (kubectl describe pod)", waiting.join(", "))),
        (true, Some(next)) => Step::Replace((*next).to_owned()),
        (true, None) => Step::Done,
    }
}

/// The revision that the pod's set wants; none while its controller has not seen the set's newest form.
fn newest_revision<'a>(sets: &'a [StatefulSet], pod: &str) -> Option<&'a str> {
    let set = sets.iter().find(|set| pod.rsplit_once('-').is_some_and(|(name, _)| name == set.name_any()))?;
    let status = set.status.as_ref()?;
    if status.observed_generation < set.metadata.generation {
        return None;
    }
    status.update_revision.as_deref()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{build::fixture, controller::storage_group::members};
    use cairn_crds::StorageGroup;
    use serde_json::json;

    fn world(pods: [(&str, bool); 3]) -> (Vec<ExpectedNode>, Vec<StatefulSet>, Vec<Pod>) {
        let mut group = StorageGroup::new("default", fixture::spec());
        group.metadata.namespace = Some("game".into());
        let zones = ["a", "b", "c"].map(str::to_owned);
        let nodes = members::expected(&group, &zones, &fixture::config());
        let sets = nodes.iter().map(|node| {
            let name = node.pod_name.trim_end_matches("-0");
            serde_json::from_value(json!({
                "metadata": {"name": name, "generation": 2},
                "status": {"replicas": 1, "observedGeneration": 2, "updateRevision": "new"},
            }))
            .unwrap()
        });
        let pods_there = nodes.iter().zip(pods).filter(|(_, (revision, _))| !revision.is_empty()).map(
            |(node, (revision, ready))| {
                serde_json::from_value(json!({
                    "metadata": {"name": node.pod_name, "labels": {REVISION_LABEL: revision}},
                    "status": {"conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}]},
                }))
                .unwrap()
            },
        );
        (nodes.clone(), sets.collect(), pods_there.collect())
    }

    fn step(pods: [(&str, bool); 3]) -> Step {
        let (nodes, sets, pods) = world(pods);
        next_of(&nodes, &sets, &pods)
    }

    fn next_of(nodes: &[ExpectedNode], sets: &[StatefulSet], pods: &[Pod]) -> Step {
        let statuses = members::statuses(nodes, &[None, None, None], pods, &[]);
        next(nodes, &statuses, sets, pods)
    }

    #[test]
    fn a_rollout_takes_one_pod_and_then_the_next() {
        let (nodes, ..) = world([("old", true); 3]);
        assert_eq!(step([("old", true), ("old", true), ("old", true)]), Step::Replace(nodes[0].pod_name.clone()));
        assert_eq!(step([("new", true), ("old", true), ("old", true)]), Step::Replace(nodes[1].pod_name.clone()));
        assert_eq!(step([("new", true), ("new", true), ("new", true)]), Step::Done);
    }

    #[test]
    fn a_rollout_waits_for_a_pod_that_is_not_ready() {
        assert!(matches!(step([("new", false), ("old", true), ("old", true)]), Step::Wait(_)));
        assert!(matches!(step([("", false), ("old", true), ("old", true)]), Step::Wait(_)));
        assert!(matches!(step([("old", true), ("old", true), ("new", false)]), Step::Wait(_)));
    }

    #[test]
    fn a_broken_pod_of_an_old_revision_goes_first() {
        let (nodes, ..) = world([("old", true); 3]);
        assert_eq!(step([("old", true), ("old", false), ("old", true)]), Step::Replace(nodes[1].pod_name.clone()));
    }

    #[test]
    fn nothing_goes_while_the_newest_revision_is_unknown() {
        let (nodes, mut sets, pods) = world([("old", true); 3]);
        sets[0].metadata.generation = Some(3);
        assert!(matches!(next_of(&nodes, &sets, &pods), Step::Wait(_)));
    }
}
