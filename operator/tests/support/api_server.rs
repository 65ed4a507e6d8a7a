//! A bare etcd and kube-apiserver on loopback, for as long as the tests of this process run.

use k8s_openapi::{
    api::core::v1::{Namespace, Node},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Client, Config,
    api::{Api, Patch, PatchParams, PostParams},
    config::AuthInfo,
};
use serde_json::json;
use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;

/// Ended when dropped.
pub(crate) struct ApiServer {
    processes: Vec<Child>,
    pub(crate) client: Client,
    folder: TempDir,
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        for process in self.processes.iter_mut().rev() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl ApiServer {
    /// None, with a line that says why, where the programs are not there and nobody said that they are.
    pub(crate) async fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            eprintln!(
                "skipped: no etcd and kube-apiserver in ~/.cache/cairn/bin, where e2e/cluster/build-tools puts them"
            );
            return None;
        };
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = TempDir::new().unwrap();
        let [client_port, peer_port, api_port] = free_ports();
        let etcd = format!("http://127.0.0.1:{client_port}");
        let peer = format!("http://127.0.0.1:{peer_port}");
        let mut processes = vec![spawn(
            &programs.join("etcd"),
            folder.path(),
            &[
                format!("--data-dir={}", folder.path().join("etcd").display()),
                "--unsafe-no-fsync".into(),
                format!("--listen-client-urls={etcd}"),
                format!("--advertise-client-urls={etcd}"),
                format!("--listen-peer-urls={peer}"),
                format!("--initial-advertise-peer-urls={peer}"),
                format!("--initial-cluster=default={peer}"),
            ],
        )];
        let key = folder.path().join("sa.key");
        let public_key = folder.path().join("sa.pub");
        let pair = rcgen::KeyPair::generate().unwrap();
        std::fs::write(&key, pair.serialize_pem()).unwrap();
        std::fs::write(&public_key, pair.public_key_pem()).unwrap();
        let tokens = folder.path().join("tokens");
        std::fs::write(&tokens, "secret,admin,0,system:masters\n").unwrap();
        processes.push(spawn(
            &programs.join("kube-apiserver"),
            folder.path(),
            &[
                format!("--etcd-servers={etcd}"),
                format!("--secure-port={api_port}"),
                "--bind-address=127.0.0.1".into(),
                "--advertise-address=10.99.0.1".into(),
                "--endpoint-reconciler-type=none".into(),
                "--service-cluster-ip-range=10.99.0.0/24".into(),
                "--authorization-mode=RBAC".into(),
                "--disable-admission-plugins=ServiceAccount".into(),
                format!("--cert-dir={}", folder.path().join("certs").display()),
                format!("--token-auth-file={}", tokens.display()),
                format!("--service-account-key-file={}", public_key.display()),
                format!("--service-account-signing-key-file={}", key.display()),
                "--service-account-issuer=https://kubernetes.default.svc.cluster.local".into(),
            ],
        ));
        let mut config = Config::new(format!("https://127.0.0.1:{api_port}").parse().unwrap());
        config.accept_invalid_certs = true;
        config.auth_info = AuthInfo { token: Some("secret".to_owned().into()), ..AuthInfo::default() };
        let server = Self { processes, client: Client::try_from(config).unwrap(), folder };
        server.prepare().await;
        Some(server)
    }

    /// The kinds, a node in each of three zones.
    async fn prepare(&self) {
        let mut is_up = false;
        for _ in 0..3_000 {
            is_up = self.client.apiserver_version().await.is_ok() && self.create_namespace("warm").await;
            if is_up {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let log = std::fs::read_to_string(self.folder.path().join("kube-apiserver.log")).unwrap();
        assert!(is_up, "kube-apiserver did not come up within five minutes: {log}");
        let definitions: Api<CustomResourceDefinition> = Api::all(self.client.clone());
        for file in cairn_crds::schema::definitions().unwrap() {
            let name = file.definition.metadata.name.clone().unwrap();
            let apply = PatchParams::apply("tests").force();
            definitions.patch(&name, &apply, &Patch::Apply(&file.definition)).await.unwrap();
        }
        let nodes: Api<Node> = Api::all(self.client.clone());
        for zone in ["zone-a", "zone-b", "zone-c"] {
            let node = json!({"metadata": {"name": zone, "labels": {
                "topology.kubernetes.io/zone": zone, "kubernetes.io/hostname": zone}}});
            nodes.create(&PostParams::default(), &serde_json::from_value(node).unwrap()).await.unwrap();
        }
        let tables: Api<cairn_crds::Table> = Api::all(self.client.clone());
        for _ in 0..100 {
            if tables.list(&kube::api::ListParams::default()).await.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub(crate) async fn create_namespace(&self, name: &str) -> bool {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let namespace = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
        namespaces.create(&PostParams::default(), &namespace).await.is_ok()
    }
}

/// The folder with etcd and kube-apiserver. `CAIRN_TOOLS` says that they are there: then tests fail without them.
fn programs() -> Option<PathBuf> {
    let named = std::env::var_os("CAIRN_TOOLS").map(PathBuf::from);
    let is_named = named.is_some();
    let folder = named.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/cairn/bin")))?;
    let missing = ["etcd", "kube-apiserver"].into_iter().find(|program| !folder.join(program).exists());
    assert!(!is_named || missing.is_none(), "CAIRN_TOOLS is {}, which has no {missing:?}", folder.display());
    missing.is_none().then_some(folder)
}

fn spawn(program: &Path, folder: &Path, args: &[String]) -> Child {
    let log = std::fs::File::create(folder.join(program.file_name().unwrap()).with_extension("log")).unwrap();
    let log_too = log.try_clone().unwrap();
    Command::new(program).args(args).stdin(Stdio::null()).stdout(log).stderr(log_too).spawn().unwrap()
}

fn free_ports() -> [u16; 3] {
    let listeners: Vec<_> = (0..3).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    [0, 1, 2].map(|at: usize| listeners[at].local_addr().unwrap().port())
}
