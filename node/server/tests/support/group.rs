//! Three storage nodes as processes on loopback with certificates of their own, and the way to them that a router has.

use bytes::Bytes;
use cairn_api::{Partitions, Room, RoutingKey, TableView};
use cairn_model::{
    ServiceError, TableDefinition,
    descriptor::{KeyRange, Member, MemberRole, PartitionDescriptor},
    identity::INTERNAL_NAME,
    ids::{PartitionId, ReplicaId, TableId},
    node::{NodeReport, Order, OrderOutcome, ReplicaReport, ReplicaState},
    table::{KeyAttribute, KeySchema, ScalarType, TableStatus},
};
use cairn_replication::{
    operation::{PartitionOutcome, PartitionRequest},
    wire::{self, PartitionAnswer, PartitionCall},
};
use cairn_server::{
    internal::client::{GroupName, NodeClient},
    router::{fleet::Fleet, nodes::Nodes, partitions::RemotePartitions},
    tls::Tls,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use serde_json::json;
use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tempfile::TempDir;

pub const ACCOUNT: &str = "game";
pub const GROUP: &str = "default";
/// Of one call; a node that is down refuses it at once.
const DEADLINE: Duration = Duration::from_secs(20);

/// A group of nodes, an operator's client and a router's.
pub struct Group {
    folder: TempDir,
    pub region: String,
    /// Of the nodes' certificates.
    account: String,
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// Whether the nodes listen for archives beside them.
    archived: bool,
    host: Ipv4Addr,
    ports: Vec<u16>,
    nodes: Vec<Option<Child>>,
    pub operator: Arc<NodeClient>,
    pub router: RemotePartitions,
    /// What the router knows of the nodes.
    pub map: Arc<Nodes>,
    /// To ask one node what the router would ask any.
    pub as_router: Arc<NodeClient>,
}

impl Group {
    pub async fn start() -> Self {
        Self::start_nodes("east", ACCOUNT, 3, false).await
    }

    /// Starts nodes that listen at [`Self::socket`].
    pub async fn start_archived() -> Self {
        Self::start_nodes("east", ACCOUNT, 3, true).await
    }

    /// Starts so many nodes of an account of another region, or of this one.
    pub async fn start_in(region: &str, account: &str, nodes: usize) -> Self {
        Self::start_nodes(region, account, nodes, false).await
    }

    async fn start_nodes(region: &str, account: &str, count: usize, archived: bool) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let issuer = issuer();
        for (name, holder) in [
            ("storage", format!("{account}/default/storage")),
            ("stranger", "shop/default/storage".to_owned()),
            ("router", "cairn-system/-/router".to_owned()),
            ("operator", "cairn-system/-/operator".to_owned()),
        ] {
            write_certificate(&folder.path().join(name), &issuer, &format!("cairn://{region}/{holder}"));
        }
        let host = loopback();
        // Held until all are known, so that they differ.
        let listeners: Vec<_> = (0..count).map(|_| std::net::TcpListener::bind((host, 0)).unwrap()).collect();
        let ports: Vec<u16> = listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
        drop(listeners);
        let operator = client_in(region, &folder.path().join("operator"));
        let fleet = Arc::new(Fleet::default());
        let nodes: Vec<_> =
            ports.iter().map(|port| json!({"address": format!("{host}:{port}"), "zone": "z"})).collect();
        let groups = json!({"version": 1, "groups": [{"account": account, "group": GROUP, "nodes": nodes}]});
        fleet.update(br#"{"version": 1}"#, groups.to_string().as_bytes()).unwrap();
        let as_router = client_in(region, &folder.path().join("router"));
        let map = Nodes::new(as_router.clone(), fleet, folder.path());
        tokio::spawn(map.clone().run());
        let router = RemotePartitions::new(as_router.clone(), map.clone(), None);
        let nodes = (0..count).map(|_| None).collect();
        let (region, account) = (region.to_owned(), account.to_owned());
        let mut group =
            Self { folder, region, account, issuer, archived, host, ports, nodes, operator, router, map, as_router };
        (0..count).for_each(|node| group.start_node(node));
        for node in 0..count {
            group.report(node).await;
        }
        group
    }

    pub fn name(&self) -> GroupName {
        GroupName { account: self.account.clone(), group: GROUP.to_owned() }
    }

    pub fn address(&self, node: usize) -> String {
        format!("{}:{}", self.host, self.ports[node])
    }

    pub fn start_node(&mut self, node: usize) {
        let folder = self.folder.path();
        let socket = self.archived.then(|| self.socket(node));
        let child = Command::new(env!("CARGO_BIN_EXE_cairn"))
            .args(["storage", "--region", &self.region, "--account", &self.account, "--group", GROUP])
            .args(["--zone", &format!("zone-{node}"), "--release-namespace", "cairn-system"])
            .args(["--advertise", &self.address(node), "--listen", &self.address(node), "--admin", "127.0.0.1:0"])
            .arg("--data")
            .arg(folder.join(format!("data-{node}")))
            .arg("--tls-dir")
            .arg(folder.join("storage"))
            .args(socket.iter().flat_map(|socket| [Path::new("--archive-socket"), socket]))
            .env("CAIRN_LOG", "warn")
            .spawn()
            .unwrap();
        self.nodes[node] = Some(child);
    }

    /// Where the archive beside the node finds it.
    pub fn socket(&self, node: usize) -> PathBuf {
        self.folder.path().join(format!("archive-{node}.sock"))
    }

    /// The authority of its certificates, in PEM.
    pub fn ca(&self) -> String {
        self.issuer.pem()
    }

    /// The folder with the certificate of this name.
    pub fn tls_dir(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn kill_node(&mut self, node: usize) {
        let mut child = self.nodes[node].take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Starts the node's process a second time, and gives back the one that runs already.
    pub fn replace_node(&mut self, node: usize) -> Child {
        let before = self.nodes[node].take().unwrap();
        self.start_node(node);
        before
    }

    /// Whether the node's process has not ended.
    pub fn runs(&mut self, node: usize) -> bool {
        self.nodes[node].as_mut().unwrap().try_wait().unwrap().is_none()
    }

    /// A client that shows the certificate of another group's storage node.
    pub fn stranger(&self) -> Arc<NodeClient> {
        client_in(&self.region, &self.folder.path().join("stranger"))
    }

    /// The node's own report, waited for while it starts.
    pub async fn report(&self, node: usize) -> NodeReport {
        for _ in 0..100 {
            if let Ok(body) = self.operator.get(&self.name(), &self.address(node), "/v1/node", DEADLINE).await {
                return serde_json::from_slice(&body).unwrap();
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("node {node} does not report");
    }

    /// Which of the nodes leads any partition, once one does.
    pub async fn leader(&self) -> usize {
        self.leader_that(|_| true).await
    }

    /// Which of the nodes leads this partition, once one does.
    pub async fn leader_of(&self, partition: PartitionId) -> usize {
        self.leader_that(|id| id == partition).await
    }

    async fn leader_that(&self, wanted: impl Fn(PartitionId) -> bool) -> usize {
        for _ in 0..100 {
            for (node, child) in self.nodes.iter().enumerate() {
                if child.is_none() {
                    continue;
                }
                let leads = |replica: &ReplicaReport| {
                    replica.state == ReplicaState::Leader && wanted(replica.descriptor.partition_id)
                };
                if self.report(node).await.replicas.iter().any(leads) {
                    return node;
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("nobody leads");
    }

    /// Bootstraps a table with the partition key `Id` of type S on all three nodes, at the first.
    pub async fn create_table(&self) -> TableView {
        self.create_table_of(definition(TableId([7; 16]))).await
    }

    pub async fn create_table_of(&self, definition: TableDefinition) -> TableView {
        self.create_partition(PartitionId([8; 16]), definition).await
    }

    /// The same, under a partition id of its own.
    pub async fn create_partition(&self, partition: PartitionId, definition: TableDefinition) -> TableView {
        let descriptor = self.descriptor(partition, definition.table_id).await;
        let outcome = self.order(0, &Order::Bootstrap { descriptor, definition: definition.clone() }).await;
        assert!(matches!(outcome, OrderOutcome::Done | OrderOutcome::InProgress { .. }), "{outcome:?}");
        view(definition)
    }

    /// A partition's first, with a voter on each of the nodes.
    pub async fn descriptor(&self, partition_id: PartitionId, table_id: TableId) -> PartitionDescriptor {
        let mut members = Vec::new();
        for node in 0..self.ports.len() {
            members.push(Member {
                replica_id: ReplicaId(node as u64 + 1),
                node_id: self.report(node).await.node_id,
                zone: format!("zone-{node}"),
                address: self.address(node),
                role: MemberRole::Voter,
            });
        }
        PartitionDescriptor::first(partition_id, table_id, KeyRange::default(), members)
    }

    /// What this one node answers, as to a router.
    pub async fn request_at(&self, node: usize, call: &PartitionCall) -> PartitionAnswer {
        let body = wire::encode_call(call).unwrap();
        let answer = self.as_router.post(&group_name(), &self.address(node), "/v1/partition", body, DEADLINE).await;
        wire::decode_answer(answer.unwrap()).unwrap()
    }

    pub async fn order(&self, node: usize, order: &Order) -> OrderOutcome {
        let body = Bytes::from(serde_json::to_vec(order).unwrap());
        let answer = self.operator.post(&self.name(), &self.address(node), "/v1/orders", body, DEADLINE).await.unwrap();
        serde_json::from_slice(&answer).unwrap()
    }

    pub async fn request(
        &self,
        table: &TableView,
        key: &[u8],
        request: PartitionRequest,
    ) -> Result<PartitionOutcome, ServiceError> {
        self.router.request(table, RoutingKey(key), request, &Room::within(usize::MAX / 8)).await
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for child in self.nodes.iter_mut().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// An address of a group's own: a port that is free is not taken by anybody else before its node listens there.
fn loopback() -> Ipv4Addr {
    static GROUPS: AtomicU32 = AtomicU32::new(0);
    let number = (std::process::id() << 10) | (GROUPS.fetch_add(1, Ordering::Relaxed) & 0x3ff);
    Ipv4Addr::from_bits(0x7f00_0000 | (number & 0x00ff_ffff).max(2))
}

pub fn group_name() -> GroupName {
    GroupName { account: ACCOUNT.to_owned(), group: GROUP.to_owned() }
}

pub fn definition(table_id: TableId) -> TableDefinition {
    TableDefinition::new(
        ACCOUNT.to_owned(),
        "counters",
        table_id,
        KeySchema { partition: KeyAttribute { name: "Id".to_owned(), scalar_type: ScalarType::S }, sort: None },
    )
}

/// A table as a router takes requests for it.
pub fn view(definition: TableDefinition) -> TableView {
    TableView {
        definition,
        status: TableStatus::Active,
        is_warming: false,
        item_count: 0,
        size_bytes: 0,
        arn: String::new(),
        global_indexes: Vec::new(),
    }
}

pub fn client(tls_dir: &Path) -> Arc<NodeClient> {
    client_in("east", tls_dir)
}

fn client_in(region: &str, tls_dir: &Path) -> Arc<NodeClient> {
    NodeClient::new(Tls::from_dir(tls_dir).unwrap(), region.to_owned())
}

pub fn issuer() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

pub fn write_certificate(dir: &Path, issuer: &CertifiedIssuer<'_, KeyPair>, uri: &str) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![INTERNAL_NAME.to_owned()]).unwrap();
    params.subject_alt_names.push(SanType::URI(uri.try_into().unwrap()));
    let certificate = params.signed_by(&key, issuer).unwrap();
    std::fs::create_dir_all(dir).unwrap();
    std::fs::write(dir.join("tls.crt"), certificate.pem()).unwrap();
    std::fs::write(dir.join("tls.key"), key.serialize_pem()).unwrap();
    std::fs::write(dir.join("ca.crt"), issuer.pem()).unwrap();
}
