//! What a bare API server lacks: kubelets that run pods, and storage nodes that answer and take orders.

use cairn_model::{
    archive::{ArchiveAnswer, ArchiveCall},
    descriptor::{Member, MemberRole},
    ids::{NodeId, PartitionId, ReplicaId},
    node::{NodeReport, Order, OrderOutcome, ReplicaReport, ReplicaState, RetiredReport},
};
use cairn_operator::node_client::{NodeError, Nodes, Target};
use futures::future::BoxFuture;
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{PersistentVolumeClaim, Pod},
};
use kube::{
    Api, Client, ResourceExt,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use serde_json::json;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// What an archive answers, beside the node at an address.
type Archive = dyn Fn(&str, &ArchiveCall) -> ArchiveAnswer + Send + Sync;

/// Storage nodes by address, and their archives.
#[derive(Clone, Default)]
pub(crate) struct Fleet {
    nodes: Arc<Mutex<BTreeMap<String, NodeReport>>>,
    archives: Arc<Mutex<Option<Arc<Archive>>>>,
    frozen_archives: Arc<AtomicBool>,
    refused_drops: Arc<AtomicBool>,
    drops: Arc<Mutex<Vec<(String, Order)>>>,
}

impl Fleet {
    /// Looks at a node, or changes it.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut BTreeMap<String, NodeReport>) -> T) -> T {
        look(&mut self.nodes.lock().unwrap())
    }

    /// Has archives answer so; before, there are none.
    pub(crate) fn archive(&self, answers: impl Fn(&str, &ArchiveCall) -> ArchiveAnswer + Send + Sync + 'static) {
        *self.archives.lock().unwrap() = Some(Arc::new(answers));
    }

    /// Has archives take calls and never answer.
    pub(crate) fn freeze_archives(&self) {
        self.frozen_archives.store(true, Ordering::Relaxed);
    }

    /// Has nodes take drops, or put them off.
    pub(crate) fn take_drops(&self, is_taken: bool) {
        self.refused_drops.store(!is_taken, Ordering::Relaxed);
    }

    /// The drops that were taken, in their order, each with the address of the node.
    pub(crate) fn drops(&self) -> Vec<(String, Order)> {
        self.drops.lock().unwrap().clone()
    }

    fn come_up(&self, namespace: &str, group: &str, zone: &str, pod: &str) {
        let address = format!("{pod}.cairn-{group}.{namespace}.svc.cluster.local:7400");
        self.with(|nodes| {
            nodes.entry(address).or_insert_with(|| NodeReport {
                node_id: NodeId(uuid::Uuid::new_v4().into_bytes()),
                region: "east".into(),
                account: namespace.into(),
                group: group.into(),
                zone: zone.into(),
                version: "0".into(),
                replicas: Vec::new(),
                disk_free_bytes: 1,
                disk_total_bytes: 2,
                disk_full: false,
                retired: Vec::new(),
                consumption: None,
            });
        });
    }

    fn take(&self, target: &Target, order: &Order) -> OrderOutcome {
        self.with(|nodes| match order {
            Order::Bootstrap { descriptor, definition } => {
                for member in &descriptor.members {
                    let Some(node) = nodes.get_mut(&member.address).filter(|node| node.node_id == member.node_id)
                    else {
                        continue;
                    };
                    let leads = member.address == target.address;
                    let state = if leads { ReplicaState::Leader } else { ReplicaState::Follower };
                    node.replicas.push(ReplicaReport {
                        term: 1,
                        applied_index: 1,
                        caught_up: true,
                        item_count: 7,
                        size_bytes: 700,
                        ..ReplicaReport::new(member.replica_id, state, descriptor.clone(), definition.clone())
                    });
                }
                OrderOutcome::Done
            }
            Order::UpdateDefinition { partition_id, definition } => {
                let held = replicas(nodes).find(|r| r.descriptor.partition_id == *partition_id).unwrap();
                let flaw = definition.replicas.as_ref().and_then(|r| r.flaw(held.definition.replicas.as_ref()));
                let has_other_indexes = definition.local_indexes != held.definition.local_indexes;
                if definition.schema_version != held.definition.schema_version + 1
                    || flaw.is_some()
                    || has_other_indexes
                {
                    let message = format!("of version {}: {flaw:?}", definition.schema_version);
                    return OrderOutcome::Refused { message };
                }
                for replica in replicas(nodes).filter(|r| r.descriptor.partition_id == *partition_id) {
                    replica.definition = definition.clone();
                }
                OrderOutcome::Done
            }
            Order::ReplaceReplica { partition_id, replace, node_id, zone, address } => {
                let held = replicas(nodes).find(|r| r.descriptor.partition_id == *partition_id).unwrap().clone();
                let mut descriptor = held.descriptor.clone();
                descriptor.epoch += 1;
                descriptor.members.retain(|member| member.replica_id != *replace);
                let replica_id = ReplicaId(descriptor.next_replica_id);
                descriptor.next_replica_id += 1;
                descriptor.members.push(Member {
                    replica_id,
                    node_id: *node_id,
                    zone: zone.clone(),
                    address: address.clone(),
                    role: MemberRole::Voter,
                });
                for replica in replicas(nodes).filter(|r| r.descriptor.partition_id == *partition_id) {
                    replica.descriptor = descriptor.clone();
                }
                let state = ReplicaState::Follower;
                let node = nodes.get_mut(address).unwrap();
                node.replicas.push(ReplicaReport { replica_id, descriptor, state, ..held });
                OrderOutcome::Done
            }
            Order::DropPartition { partition_id, deleted_at_ms, .. } => {
                let outcome = match self.refused_drops.load(Ordering::Relaxed) {
                    true => OrderOutcome::InProgress { message: "not now".into() },
                    false => drop_partition(nodes, &target.address, *partition_id, *deleted_at_ms),
                };
                if outcome == OrderOutcome::Done {
                    self.drops.lock().unwrap().push((target.address.clone(), order.clone()));
                }
                outcome
            }
        })
    }
}

/// As nodes do it: with the time of its deletion, the table's stream ends on all of them first, and the leader goes last.
fn drop_partition(
    nodes: &mut BTreeMap<String, NodeReport>,
    address: &str,
    partition_id: PartitionId,
    deleted_at_ms: Option<u64>,
) -> OrderOutcome {
    let is_of = |replica: &ReplicaReport| replica.descriptor.partition_id == partition_id;
    let held = nodes[address].replicas.iter().find(|replica| is_of(replica)).cloned();
    if let (Some(held), Some(deleted_at_ms)) = (held, deleted_at_ms)
        && held.definition.stream.is_some()
    {
        let leads = held.state == ReplicaState::Leader;
        if held.definition.current_stream().is_some() {
            for replica in replicas(nodes).filter(|replica| leads && is_of(replica)) {
                replica.definition.schema_version += 1;
                replica.definition.set_stream(None, deleted_at_ms);
            }
            return OrderOutcome::InProgress { message: "the table's stream ends first".into() };
        }
        if leads && replicas(nodes).filter(|replica| is_of(replica)).count() > 1 {
            return OrderOutcome::InProgress { message: "the others drop their data first".into() };
        }
        let definition = held.definition.retired(deleted_at_ms);
        nodes.get_mut(address).unwrap().retired.push(RetiredReport { descriptor: held.descriptor, definition });
    }
    nodes.get_mut(address).unwrap().replicas.retain(|replica| !is_of(replica));
    OrderOutcome::Done
}

fn replicas(nodes: &mut BTreeMap<String, NodeReport>) -> impl Iterator<Item = &mut ReplicaReport> {
    nodes.values_mut().flat_map(|node| &mut node.replicas)
}

impl Nodes for Fleet {
    fn report<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, Result<NodeReport, NodeError>> {
        let report = self.with(|nodes| nodes.get(&target.address).cloned());
        Box::pin(async move { report.ok_or(NodeError::Timeout(Duration::ZERO)) })
    }

    fn order<'a>(&'a self, target: &'a Target, order: &'a Order) -> BoxFuture<'a, Result<OrderOutcome, NodeError>> {
        let is_there = self.with(|nodes| nodes.contains_key(&target.address));
        Box::pin(async move {
            if is_there { Ok(self.take(target, order)) } else { Err(NodeError::Timeout(Duration::ZERO)) }
        })
    }

    fn archive<'a>(
        &'a self,
        archive: &'a Target,
        call: &'a ArchiveCall,
    ) -> BoxFuture<'a, Result<ArchiveAnswer, NodeError>> {
        let answers = self.archives.lock().unwrap().clone();
        if self.frozen_archives.load(Ordering::Relaxed) {
            return Box::pin(std::future::pending());
        }
        Box::pin(async move { Ok(answers.ok_or(NodeError::NotRunning)?(&archive.address, call)) })
    }
}

/// Runs the pods of a namespace's StatefulSets, as the StatefulSet controller and the kubelets would: each is Ready at once.
pub(crate) async fn run_pods(client: Client, namespace: String, fleet: Fleet) {
    let sets: Api<StatefulSet> = Api::namespaced(client.clone(), &namespace);
    loop {
        for set in sets.list(&ListParams::default()).await.unwrap() {
            if set.metadata.deletion_timestamp.is_none() {
                run_set(&client, &namespace, &set, &fleet).await;
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn run_set(client: &Client, namespace: &str, set: &StatefulSet, fleet: &Fleet) {
    let sets: Api<StatefulSet> = Api::namespaced(client.clone(), namespace);
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), namespace);
    let spec = set.spec.clone().unwrap();
    // A hash of the template, as far as the tests change it.
    let template = serde_json::to_string(&spec.template).unwrap();
    let revision = format!("r{}", cairn_crds::short_hash(&template));
    let status =
        json!({"status": {"replicas": 1, "observedGeneration": set.metadata.generation, "updateRevision": revision}});
    let _ = sets.patch_status(&set.name_any(), &PatchParams::default(), &Patch::Merge(&status)).await;
    for ordinal in 0..spec.replicas.unwrap() {
        let name = format!("{}-{ordinal}", set.name_any());
        let claim_name = format!("data-{name}");
        if claims.get_opt(&claim_name).await.unwrap().is_none() {
            let template = spec.volume_claim_templates.clone().unwrap().remove(0);
            let mut claim = template;
            claim.metadata.name = Some(claim_name.clone());
            claims.create(&PostParams::default(), &claim).await.unwrap();
            let bound = json!({"status": {"phase": "Bound", "capacity": {"storage": "1Gi"}}});
            claims.patch_status(&claim_name, &PatchParams::default(), &Patch::Merge(&bound)).await.unwrap();
        }
        if pods.get_opt(&name).await.unwrap().is_some() {
            continue;
        }
        let mut labels = spec.template.metadata.clone().unwrap().labels.unwrap();
        labels.insert("controller-revision-hash".into(), revision.clone());
        let sidecars = spec.template.spec.clone().unwrap().init_containers.unwrap_or_default();
        let sidecars = sidecars.iter().map(
            |container| json!({"name": container.name, "image": "none", "restartPolicy": container.restart_policy}),
        );
        let pod = json!({
            "metadata": {"name": name, "labels": labels},
            "spec": {
                "initContainers": sidecars.collect::<Vec<_>>(),
                "containers": [{"name": "storage", "image": "none"}],
            },
        });
        if pods.create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.is_err() {
            continue;
        }
        fleet.come_up(namespace, &labels["cairn.dev/group"], &labels["cairn.dev/zone"], &name);
        let ready = json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
        let _ = pods.patch_status(&name, &PatchParams::default(), &Patch::Merge(&ready)).await;
    }
}
