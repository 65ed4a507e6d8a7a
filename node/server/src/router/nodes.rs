//! Asks the storage nodes what they hold, keeps the answers on disk, and makes the map of the fleet of them.

use super::{
    fleet::Fleet,
    routes::{KnownNode, Route, Routes},
};
use crate::internal::client::{GroupName, NodeClient};
use arc_swap::ArcSwap;
use cairn_model::{
    descriptor::Member,
    ids::{PartitionId, ReplicaId},
    node::NodeReport,
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::sync::Notify;

/// How often all nodes are asked when nothing presses.
const REFRESH_INTERVAL: Duration = Duration::from_secs(2);
/// The shortest time between two rounds, however many requests ask for one.
const REFRESH_INTERVAL_MIN: Duration = Duration::from_millis(50);
const REPORT_DEADLINE: Duration = Duration::from_secs(1);
/// Nodes asked at once.
const ASKED_AT_ONCE: usize = 32;
const FILE_VERSION: u32 = 1;

/// What is known of the storage nodes.
#[derive(Debug)]
pub struct Nodes {
    client: Arc<NodeClient>,
    fleet: Arc<Fleet>,
    file: PathBuf,
    known: Mutex<BTreeMap<String, KnownNode>>,
    routes: Arc<ArcSwap<Routes>>,
    /// Leaders that answers told of since the last round of reports.
    leaders: Mutex<HashMap<PartitionId, ReplicaId>>,
    /// Addresses that did not answer and have not reported since.
    suspects: Mutex<HashSet<String>>,
    wanted: Notify,
    refreshed: Notify,
    saved: Mutex<Vec<u8>>,
}

#[derive(Serialize, Deserialize)]
struct MapFile {
    version: u32,
    nodes: Vec<KnownNode>,
}

impl Nodes {
    /// Starts from what the folder holds of an earlier run, so that requests are served with nobody else up.
    pub fn new(client: Arc<NodeClient>, fleet: Arc<Fleet>, state_dir: &Path) -> Arc<Self> {
        let file = state_dir.join("nodes.json");
        let known = match read(&file) {
            Ok(nodes) => nodes,
            Err(error) => {
                tracing::info!(%error, "no map from an earlier run; asking the nodes");
                BTreeMap::new()
            }
        };
        let routes = Routes::from_reports(known.values());
        Arc::new(Self {
            client,
            fleet,
            file,
            known: Mutex::new(known),
            routes: Arc::new(ArcSwap::from_pointee(routes)),
            leaders: Mutex::default(),
            suspects: Mutex::default(),
            wanted: Notify::new(),
            refreshed: Notify::new(),
            saved: Mutex::default(),
        })
    }

    pub fn routes(&self) -> Arc<Routes> {
        self.routes.load_full()
    }

    /// The map, for those who only read it.
    pub fn shared_routes(&self) -> Arc<ArcSwap<Routes>> {
        self.routes.clone()
    }

    pub fn leader_hint(&self, partition: PartitionId) -> Option<ReplicaId> {
        self.leaders.lock().get(&partition).copied()
    }

    pub fn learn_leader(&self, partition: PartitionId, leader: ReplicaId) {
        self.leaders.lock().insert(partition, leader);
    }

    /// Forgets the hint that led nowhere.
    pub fn forget_leader(&self, partition: PartitionId) {
        self.leaders.lock().remove(&partition);
    }

    /// Notes that the address did not answer: it is tried last until it reports again.
    pub fn suspect(&self, address: &str) {
        self.suspects.lock().insert(address.to_owned());
    }

    pub fn is_suspect(&self, address: &str) -> bool {
        self.suspects.lock().contains(address)
    }

    /// The replicas of a partition, the most likely leader first, and last those that did not answer.
    pub fn leader_first<'a>(&self, route: &'a Route) -> Vec<&'a Member> {
        let mut members: Vec<&Member> = route.descriptor.members.iter().collect();
        let leader = self.leader_hint(route.descriptor.partition_id).or(route.leader);
        members.sort_by_key(|member| (self.is_suspect(&member.address), Some(member.replica_id) != leader));
        members
    }

    /// Asks for a round of reports and waits for its end, `patience` at most.
    pub async fn refresh(&self, patience: Duration) {
        let refreshed = self.refreshed.notified();
        self.wanted.notify_one();
        let _ = tokio::time::timeout(patience, refreshed).await;
    }

    /// Asks the nodes, again and again, until the task is dropped.
    pub async fn run(self: Arc<Self>) {
        loop {
            self.round().await;
            self.refreshed.notify_waiters();
            tokio::time::sleep(REFRESH_INTERVAL_MIN).await;
            let _ = tokio::time::timeout(REFRESH_INTERVAL, self.wanted.notified()).await;
        }
    }

    async fn round(&self) {
        use futures::StreamExt;
        let targets: Vec<(GroupName, String)> = self
            .fleet
            .groups()
            .iter()
            .flat_map(|group| {
                let name = GroupName { account: group.account.clone(), group: group.group.clone() };
                group.nodes.iter().map(move |node| (name.clone(), node.address.clone())).collect::<Vec<_>>()
            })
            .collect();
        let mut reports = futures::stream::iter(targets.clone().into_iter().map(|(group, address)| async move {
            let report = self.report(&group, &address).await;
            (address, report)
        }))
        .buffer_unordered(ASKED_AT_ONCE);
        while let Some((address, report)) = reports.next().await {
            // A node that does not answer holds what it held: its last report stays.
            if let Some(report) = report {
                self.suspects.lock().remove(&address);
                self.known.lock().insert(address.clone(), KnownNode { address, report });
            }
        }
        drop(reports);
        let nodes: Vec<KnownNode> = {
            let mut known = self.known.lock();
            if !targets.is_empty() {
                known.retain(|address, _| targets.iter().any(|(_, target)| target == address));
                self.suspects.lock().retain(|address| targets.iter().any(|(_, target)| target == address));
            }
            known.values().cloned().collect()
        };
        self.routes.store(Arc::new(Routes::from_reports(&nodes)));
        self.save(nodes);
    }

    async fn report(&self, group: &GroupName, address: &str) -> Option<NodeReport> {
        let body = match self.client.get(group, address, "/v1/node", REPORT_DEADLINE).await {
            Ok(body) => body,
            Err(error) => {
                tracing::debug!(%error, "a storage node gave no report");
                return None;
            }
        };
        match serde_json::from_slice(&body) {
            Ok(report) => Some(report),
            Err(error) => {
                tracing::warn!(address, %error, "failed to parse a storage node's report");
                None
            }
        }
    }

    /// Writes the map where its shape changed; counters alone are not worth a write.
    fn save(&self, mut nodes: Vec<KnownNode>) {
        for node in &mut nodes {
            node.report.disk_free_bytes = 0;
            for replica in &mut node.report.replicas {
                (replica.applied_index, replica.item_count, replica.size_bytes) = (0, 0, 0);
                replica.regions = Vec::new();
                replica.left_transactions = Vec::new();
                replica.fed_by.iter_mut().for_each(|fed| fed.through = 0);
            }
        }
        let Ok(json) = serde_json::to_vec(&MapFile { version: FILE_VERSION, nodes }) else { return };
        let mut saved = self.saved.lock();
        if *saved == json {
            return;
        }
        match write(&self.file, &json) {
            Ok(()) => *saved = json,
            Err(error) => tracing::warn!(file = %self.file.display(), %error, "failed to save the map of the fleet"),
        }
    }
}

fn read(file: &Path) -> anyhow::Result<BTreeMap<String, KnownNode>> {
    let map: MapFile = serde_json::from_slice(&std::fs::read(file)?)?;
    anyhow::ensure!(map.version == FILE_VERSION, "{} has version {}", file.display(), map.version);
    Ok(map.nodes.into_iter().map(|node| (node.address.clone(), node)).collect())
}

/// Replaces the file whole: a reader never finds half of one.
fn write(file: &Path, json: &[u8]) -> std::io::Result<()> {
    let new = file.with_extension("new");
    std::fs::write(&new, json)?;
    std::fs::rename(new, file)
}
