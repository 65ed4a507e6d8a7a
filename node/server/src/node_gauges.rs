//! What a storage node shows of itself on `/metrics` besides what its parts count.

use crate::disk::Disk;
use cairn_model::node::{ReplicaReport, ReplicaState};
use cairn_replication::Host;
use prometheus::{
    IntGauge, IntGaugeVec, Opts,
    core::{Collector, Desc},
    proto::MetricFamily,
};
use std::sync::Arc;

const ROLES: [&str; 5] = ["leader", "follower", "candidate", "learner", "damaged"];

/// Measured when it is asked for.
pub(crate) struct NodeGauges {
    host: Host,
    disk: Arc<Disk>,
    replicas: IntGaugeVec,
    behind: IntGauge,
    disk_free_bytes: IntGauge,
    disk_full: IntGauge,
}

impl NodeGauges {
    pub(crate) fn new(host: Host, disk: Arc<Disk>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            host,
            disk,
            replicas: IntGaugeVec::new(Opts::new("cairn_replicas", "Replicas on this node, by role."), &["role"])?,
            behind: IntGauge::new("cairn_replicas_behind", "Replicas on this node that have not caught up.")?,
            disk_free_bytes: IntGauge::new("cairn_disk_free_bytes", "Bytes free on the volume.")?,
            disk_full: IntGauge::new(
                "cairn_disk_full",
                "1 while writes are refused because the volume is nearly full.",
            )?,
        })
    }
}

fn role(replica: &ReplicaReport) -> &'static str {
    match replica.state {
        ReplicaState::Leader => "leader",
        ReplicaState::Follower => "follower",
        ReplicaState::Candidate => "candidate",
        ReplicaState::Learner => "learner",
        ReplicaState::Damaged(_) => "damaged",
    }
}

impl Collector for NodeGauges {
    fn desc(&self) -> Vec<&Desc> {
        let gauges = [&self.behind, &self.disk_free_bytes, &self.disk_full];
        self.replicas.desc().into_iter().chain(gauges.into_iter().flat_map(Collector::desc)).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let replicas = self.host.replicas();
        let count = |matches: &dyn Fn(&&ReplicaReport) -> bool| replicas.iter().filter(matches).count() as i64;
        for name in ROLES {
            self.replicas.with_label_values(&[name]).set(count(&|replica| role(replica) == name));
        }
        self.behind.set(count(&|replica| !replica.caught_up));
        self.disk_free_bytes.set(i64::try_from(self.disk.free_bytes()).unwrap_or(i64::MAX));
        self.disk_full.set(i64::from(self.disk.full()));
        let gauges = [&self.behind, &self.disk_free_bytes, &self.disk_full];
        self.replicas.collect().into_iter().chain(gauges.into_iter().flat_map(Collector::collect)).collect()
    }
}
