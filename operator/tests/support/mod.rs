//! A world for the controllers: a real API server, pods that are there and nodes that answer.

#![allow(dead_code, reason = "each test file uses a part of it")]

pub(crate) mod api_server;
pub(crate) mod bucket;
pub(crate) mod fake;

use api_server::ApiServer;
use cairn_crds::{StorageGroup, StorageGroupSpec, Table};
use cairn_operator::{config::Config, context::Shared, metrics::Metrics, pki::Authority, run};
use clap::Parser;
use fake::Fleet;
use jiff::{SignedDuration, Timestamp};
use kube::{Api, Client, api::PostParams};
use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

/// One namespace of accounts with its own operator, which is also the release's.
pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) namespace: String,
    pub(crate) fleet: Fleet,
    /// How many seconds the operator's clock is ahead.
    pub(crate) ahead: Arc<AtomicI64>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

impl World {
    pub(crate) async fn new(server: &ApiServer, namespace: &str) -> Self {
        Self::with_defaults(server, namespace, "{volume: {size: 1Gi}}", &[]).await
    }

    pub(crate) async fn with_defaults(server: &ApiServer, namespace: &str, defaults: &str, flags: &[&str]) -> Self {
        assert!(server.create_namespace(namespace).await);
        Self::begin(server, namespace, defaults, flags, Fleet::default())
    }

    /// A new operator in a namespace that is there, over nodes that are there.
    pub(crate) fn resume(server: &ApiServer, namespace: &str, fleet: Fleet) -> Self {
        Self::resume_with(server, namespace, fleet, &[])
    }

    pub(crate) fn resume_with(server: &ApiServer, namespace: &str, fleet: Fleet, flags: &[&str]) -> Self {
        Self::begin(server, namespace, "{volume: {size: 1Gi}}", flags, fleet)
    }

    fn begin(server: &ApiServer, namespace: &str, defaults: &str, flags: &[&str], fleet: Fleet) -> Self {
        let mut args = vec![
            "cairn-operator".to_owned(),
            "--region=east".to_owned(),
            format!("--release-namespace={namespace}"),
            "--image=localhost/cairn:dev".to_owned(),
            "--group-defaults=none".to_owned(),
            format!("--watch-namespaces={namespace}"),
        ];
        args.extend(flags.iter().map(|flag| (*flag).to_owned()));
        let config = Config::parse_from(args);
        let defaults: StorageGroupSpec = serde_yaml_ng::from_str(defaults).unwrap();
        let (certificate, key) = Authority::generate("tests", Timestamp::now()).unwrap();
        let authority = Authority::from_pem("tests", &certificate, &key).unwrap();
        let nodes = Arc::new(fleet.clone());
        let ahead = Arc::new(AtomicI64::new(0));
        let mut shared =
            Shared::new(server.client.clone(), config, defaults, Metrics::new().unwrap(), authority, nodes);
        let seconds = Arc::clone(&ahead);
        shared.clock = Box::new(move || Timestamp::now() + SignedDuration::from_secs(seconds.load(Ordering::SeqCst)));
        let tasks = vec![
            tokio::spawn(run::control(Arc::new(shared))),
            tokio::spawn(fake::run_pods(server.client.clone(), namespace.to_owned(), fleet.clone())),
        ];
        Self { client: server.client.clone(), namespace: namespace.to_owned(), fleet, ahead, tasks }
    }

    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub(crate) async fn create_table(&self, name: &str, more: &str) -> Table {
        let table: Table = serde_yaml_ng::from_str(&format!(
            "{{apiVersion: cairn.dev/v1alpha1, kind: Table, metadata: {{name: {name}}}, spec: {{attributeDefinitions: [{{attributeName: Id, attributeType: S}}], keySchema: [{{attributeName: Id, keyType: HASH}}], billingMode: PAY_PER_REQUEST{more}}}}}"
        ))
        .unwrap();
        self.api::<Table>().create(&PostParams::default(), &table).await.unwrap()
    }

    pub(crate) async fn table(&self, name: &str) -> Table {
        self.api::<Table>().get(name).await.unwrap()
    }

    pub(crate) async fn group(&self, name: &str) -> StorageGroup {
        self.api::<StorageGroup>().get(name).await.unwrap()
    }

    pub(crate) async fn wait_active(&self, name: &str) -> Table {
        wait("the table to become ACTIVE", || async {
            let table = self.table(name).await;
            let status = table.status.clone().unwrap_or_default();
            (status.table_status == Some(cairn_model::table::TableStatus::Active)).then_some(table)
        })
        .await
    }

    /// Waits until the table's Ready condition has the reason; answers with its message.
    pub(crate) async fn wait_reason(&self, name: &str, reason: &str) -> String {
        wait(&format!("the reason {reason}"), || async {
            let status = self.table(name).await.status.unwrap_or_default();
            status.conditions.into_iter().find(|c| c.type_ == "Ready" && c.reason == reason).map(|c| c.message)
        })
        .await
    }
}

/// Asks until there is an answer.
pub(crate) async fn wait<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    for _ in 0..2_400 {
        if let Some(answer) = ask().await {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("waited two minutes for {what}");
}
