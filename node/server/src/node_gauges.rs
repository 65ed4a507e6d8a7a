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
    unarchived_bytes: IntGauge,
    unarchived_bytes_max: IntGauge,
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
            unarchived_bytes: IntGauge::new(
                "cairn_log_unarchived_bytes",
                "Bytes of the logs on this node that are kept because the archive does not have them yet.",
            )?,
            unarchived_bytes_max: IntGauge::new(
                "cairn_log_unarchived_bytes_max",
                "As cairn_log_unarchived_bytes, of the replica that keeps most: at the limit of a log its oldest go all the same.",
            )?,
        })
    }

    fn gauges(&self) -> [&IntGauge; 5] {
        [&self.behind, &self.disk_free_bytes, &self.disk_full, &self.unarchived_bytes, &self.unarchived_bytes_max]
    }
}

fn gauged(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
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
        self.replicas.desc().into_iter().chain(self.gauges().into_iter().flat_map(Collector::desc)).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let replicas = self.host.replicas();
        let count = |matches: &dyn Fn(&&ReplicaReport) -> bool| replicas.iter().filter(matches).count() as i64;
        for name in ROLES {
            self.replicas.with_label_values(&[name]).set(count(&|replica| role(replica) == name));
        }
        self.behind.set(count(&|replica| !replica.caught_up));
        self.disk_free_bytes.set(gauged(self.disk.free_bytes()));
        self.disk_full.set(i64::from(self.disk.full()));
        let unarchived = || replicas.iter().map(|replica| replica.unarchived_bytes);
        self.unarchived_bytes.set(gauged(unarchived().sum()));
        self.unarchived_bytes_max.set(gauged(unarchived().max().unwrap_or(0)));
        self.replicas.collect().into_iter().chain(self.gauges().into_iter().flat_map(Collector::collect)).collect()
    }
}
