//! A router's API in the test's process.

use super::{Caller, group::ACCOUNT};
use cairn_api::{Api, ApiConfig, Authentication, Backends};
use cairn_server::{
    environment::SystemEnvironment,
    internal::client::NodeClient,
    router::{
        archives::Archives, backups::ClusterBackups, catalog::KubernetesCatalog, exports::cluster_exports,
        fleet::Fleet, imports::ClusterImports, nodes::Nodes, partitions::RemotePartitions, tables::Tables,
        writes::ApiWrites,
    },
};
use std::sync::Arc;
use tokio::net::TcpListener;

/// The backends of a router in `east`, over the storage nodes and the archives that `fleet` names; and the tables that it knows, which
/// are none.
pub fn backends(
    client: Arc<NodeClient>,
    nodes: Arc<Nodes>,
    fleet: Arc<Fleet>,
    kubernetes: kube::Client,
    writes: ApiWrites,
) -> (Backends, Arc<Tables>) {
    let region = || "east".to_owned();
    let tables = Tables::new(region(), nodes.shared_routes(), Vec::new());
    tables.replace(None, Vec::new());
    let catalog = Arc::new(KubernetesCatalog::new(kubernetes.clone(), tables.clone(), writes));
    let archives = Arc::new(Archives::new(client.clone(), fleet, None));
    let imports = ClusterImports::new(region(), archives.clone(), catalog.clone(), tables.clone());
    let backups =
        Arc::new(ClusterBackups::new(region(), archives.clone(), kubernetes, catalog.clone(), tables.clone(), writes));
    let backends = Backends {
        catalog,
        partitions: Arc::new(RemotePartitions::new(client, nodes, None)),
        exports: Some(cluster_exports(archives, tables.clone(), backups.clone(), region())),
        backups: Some(backups),
        imports: Some(Arc::new(imports)),
        global_tables: None,
        authentication: Authentication::AcceptAny { account: ACCOUNT.to_owned() },
        environment: Arc::new(SystemEnvironment),
    };
    (backends, tables)
}

/// Serves until the test ends.
pub async fn serve(config: ApiConfig, backends: Backends) -> Caller {
    let api = Api::new(config, backends, &prometheus::Registry::new()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(cairn_api::serve(listener, Arc::new(api), std::future::pending()));
    Caller::new(&endpoint)
}
