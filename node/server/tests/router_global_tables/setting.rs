//! A router's API over an API server that is none and a map of the fleet that a test writes.

use crate::support::{
    Caller,
    api_server::{ApiServer, active_table},
    group::definition,
    router,
};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use cairn_api::{ApiConfig, Authentication, Backends, Partitions, Room, RoutingKey, TableView, errors};
use cairn_model::{
    ServiceError,
    descriptor::{KeyRange, PartitionDescriptor},
    ids::{NodeId, PartitionId, ReplicaId, TableId},
    node::{Counts, NodeReport, ReplicaReport, ReplicaState},
    region::{RegionReport, RegionState},
    table::GlobalReplicas,
    transaction::LeftTransaction,
};
use cairn_replication::operation::{PartitionOutcome, PartitionRequest};
use cairn_server::{
    environment::SystemEnvironment,
    router::{
        catalog::KubernetesCatalog,
        global_tables::ClusterGlobalTables,
        routes::{KnownNode, Routes},
        tables::Tables,
        writes::ApiWrites,
    },
};
use serde_json::{Value, json};
use std::sync::Arc;

const TABLE: TableId = TableId([7; 16]);

pub struct Setting {
    pub caller: Caller,
    pub api_server: ApiServer,
    tables: Arc<Tables>,
    routes: Arc<ArcSwap<Routes>>,
    global_tables: Arc<ClusterGlobalTables>,
}

struct NoPartitions;

#[async_trait]
impl Partitions for NoPartitions {
    async fn request(
        &self,
        _: &TableView,
        _: RoutingKey<'_>,
        _: PartitionRequest,
        _: &Room,
    ) -> Result<PartitionOutcome, ServiceError> {
        Err(errors::internal())
    }

    async fn counts(&self, _: &TableView) -> Option<Counts> {
        None
    }

    fn left_transactions(&self) -> Vec<(String, Vec<LeftTransaction>)> {
        Vec::new()
    }
}

impl Setting {
    /// The table `users`, made by the API; the peer bundles of west and north are taken in.
    pub async fn new(writes: ApiWrites) -> Self {
        let setting = Self::unlisted(writes).await;
        setting.api_server.put("tables", "users", active_table(TABLE, json!({}), json!({})), "cairn-api");
        for region in ["west", "north"] {
            setting.bundle(region, json!({"region": region}));
        }
        setting.watch();
        setting.hold(&[], vec![]);
        setting
    }

    /// A router that the API server has told of nothing yet.
    pub async fn unlisted(writes: ApiWrites) -> Self {
        let (api_server, kubernetes) = ApiServer::start().await;
        let routes: Arc<ArcSwap<Routes>> = Arc::default();
        let tables = Tables::new("east".to_owned(), routes.clone(), Vec::new());
        let known = (tables.clone(), routes.clone());
        let global_tables = ClusterGlobalTables::new("east".to_owned(), kubernetes.clone(), known, Vec::new(), writes);
        let backends = Backends {
            catalog: Arc::new(KubernetesCatalog::new(kubernetes, tables.clone(), writes)),
            partitions: Arc::new(NoPartitions),
            backups: None,
            exports: None,
            imports: None,
            global_tables: Some(global_tables.clone()),
            authentication: Authentication::AcceptAny { account: "game".to_owned() },
            environment: Arc::new(SystemEnvironment),
        };
        let caller = router::serve(ApiConfig::new("east"), backends).await;
        Self { caller, api_server, tables, routes, global_tables }
    }

    /// The router is told of the resources as they are.
    pub fn watch(&self) {
        let all = |plural: &str| self.api_server.all(plural);
        let tables = all("tables").into_iter().map(|table| serde_json::from_value(table).unwrap());
        self.tables.replace(None, tables.collect());
        let declared = all("globaltables").into_iter().map(|resource| serde_json::from_value(resource).unwrap());
        self.global_tables.replace(None, declared.collect());
    }

    /// A ConfigMap of that name, a whole peer bundle but for what is given.
    pub fn bundle(&self, name: &str, but: Value) {
        let mut data =
            json!({"clusterId": "c", "endpoint": "https://peer:8443", "ca.crt": "-----BEGIN", "region": name});
        data.as_object_mut().unwrap().extend(but.as_object().unwrap().clone());
        let metadata = json!({"labels": {"cairn.dev/peer": "true"}});
        let bundle = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data});
        self.api_server.put("configmaps", name, bundle, "kubectl");
    }

    /// A GlobalTable of `users` that somebody else made.
    pub fn declare(&self, name: &str, regions: &[&str], manager: &str) {
        self.api_server.put("globaltables", name, declared(regions), manager);
        self.watch();
    }

    /// The operator has seen what is declared, and notes this of the replicas.
    pub fn observe(&self, name: &str, replicas: Value) {
        let generation = self.api_server.get("globaltables", name).unwrap()["metadata"]["generation"].clone();
        let status = json!({"observedGeneration": generation, "replicas": replicas, "tableId": TABLE.to_string()});
        self.api_server.set_status("globaltables", name, status);
        let mut status = self.api_server.get("tables", "users").unwrap()["status"].clone();
        status["globalTable"] = json!(name);
        self.api_server.set_status("tables", "users", status);
        self.watch();
    }

    /// The storage node has these other members of `users`, and reports this of them.
    pub fn hold(&self, others: &[&str], regions: Vec<RegionReport>) {
        let mut held = definition(TABLE);
        held.table_name = "users".to_owned();
        if !others.is_empty() {
            let mut replicas = GlobalReplicas::in_region("east");
            replicas.members.extend(others.iter().map(|region| (*region).to_owned()));
            held.replicas = Some(replicas);
        }
        let descriptor = PartitionDescriptor::first(PartitionId([1; 16]), TABLE, KeyRange::default(), Vec::new());
        let state = if regions.is_empty() { ReplicaState::Follower } else { ReplicaState::Leader };
        let replica = ReplicaReport {
            item_count: 3,
            size_bytes: 30,
            regions,
            ..ReplicaReport::new(ReplicaId(1), state, descriptor, held)
        };
        let report = NodeReport {
            node_id: NodeId([1; 16]),
            region: "east".to_owned(),
            account: "game".to_owned(),
            group: "default".to_owned(),
            zone: "z".to_owned(),
            version: "0".to_owned(),
            replicas: vec![replica],
            disk_free_bytes: 1,
            disk_total_bytes: 1,
            disk_full: false,
            retired: Vec::new(),
            consumption: None,
        };
        let node = KnownNode { address: "127.0.0.1:1".to_owned(), report };
        self.routes.store(Arc::new(Routes::from_reports([&node])));
    }

    pub async fn create(&self, region: &str) -> Value {
        self.caller.ok("UpdateTable", update("Create", region)).await["TableDescription"].clone()
    }

    pub async fn delete(&self, region: &str) -> Value {
        self.caller.ok("UpdateTable", update("Delete", region)).await["TableDescription"].clone()
    }

    pub async fn described(&self) -> Value {
        self.caller.ok("DescribeTable", json!({"TableName": "users"})).await["Table"].clone()
    }

    /// The names of the regions that the only GlobalTable declares.
    pub fn declared(&self) -> Vec<String> {
        let resource = self.api_server.one("globaltables");
        let replicas = resource["spec"]["replicas"].as_array().unwrap();
        let mut names: Vec<String> =
            replicas.iter().map(|replica| replica["regionName"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    }

    /// The name and the text of the error of a call that must fail.
    pub async fn error(&self, operation: &str, body: Value) -> (String, String) {
        let (status, answer) = self.caller.call(operation, body).await.unwrap();
        assert_eq!(status, 400, "{operation}: {answer}");
        let name = answer["__type"].as_str().unwrap().rsplit('#').next().unwrap().to_owned();
        let text = answer.get("message").or(answer.get("Message")).and_then(Value::as_str).unwrap_or_default();
        (name, text.to_owned())
    }
}

/// A GlobalTable of `users`.
pub fn declared(regions: &[&str]) -> Value {
    let replicas: Vec<Value> = regions.iter().map(|region| json!({"regionName": region})).collect();
    json!({
        "apiVersion": "cairn.dev/v1alpha1", "kind": "GlobalTable", "metadata": {},
        "spec": {"tableName": "users", "replicas": replicas},
    })
}

/// An UpdateTable of `users` with one action.
pub fn update(action: &str, region: &str) -> Value {
    json!({"TableName": "users", "ReplicaUpdates": [{action: {"RegionName": region}}]})
}

/// What a leader reports of a region.
pub fn report(region: &str, state: RegionState) -> RegionReport {
    RegionReport {
        region: region.to_owned(),
        state,
        problem: None,
        last_success_ms: None,
        latency_ms: None,
        pending_records: None,
        copy: None,
        clock_offset_ms: None,
        set_aside: 0,
    }
}
