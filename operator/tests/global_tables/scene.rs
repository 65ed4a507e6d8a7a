//! A namespace whose operator lets other clusters in, with a table `users`, and what can be asked and done there.

use crate::support::{World, api_server::ApiServer, wait};
use cairn_crds::{GlobalTable, GlobalTableResourceStatus};
use cairn_model::{node::ReplicaState, region::RegionReport, table::TableDefinition};
use cairn_operator::pki::Authority;
use k8s_openapi::api::{core::v1::ConfigMap, events::v1::Event};
use kube::{
    Api,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

pub(crate) const FLAGS: [&str; 2] = ["--peers", "--peer-endpoint=https://east.example:8443"];

pub(crate) struct Scene {
    pub(crate) world: World,
}

impl Scene {
    /// With a table `users` that is ACTIVE.
    pub(crate) async fn new(server: &ApiServer, namespace: &str) -> Self {
        let world = World::with_defaults(server, namespace, "{volume: {size: 1Gi}}", &FLAGS).await;
        world.create_table("users", "").await;
        world.wait_active("users").await;
        Self { world }
    }

    pub(crate) async fn declare(&self, name: &str, spec: Value) {
        let global = json!({"apiVersion": "cairn.dev/v1alpha1", "kind": "GlobalTable", "metadata": {"name": name}, "spec": spec});
        let global: GlobalTable = serde_json::from_value(global).unwrap();
        self.world.api::<GlobalTable>().create(&PostParams::default(), &global).await.unwrap();
    }

    /// `users`, with these regions.
    pub(crate) async fn declare_users(&self, regions: &[&str]) {
        self.declare("users", json!({"replicas": listed(regions)})).await;
    }

    pub(crate) async fn list(&self, regions: &[&str]) {
        let patch = Patch::Merge(json!({"spec": {"replicas": listed(regions)}}));
        self.world.api::<GlobalTable>().patch("users", &PatchParams::default(), &patch).await.unwrap();
    }

    pub(crate) async fn undeclare(&self, name: &str) {
        self.world.api::<GlobalTable>().delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// Applies the peer bundle of a region.
    pub(crate) async fn introduce(&self, region: &str) {
        self.bundle(region, "true", &[]).await;
    }

    /// The same with other values; an empty label's value leaves the label out.
    pub(crate) async fn bundle(&self, region: &str, label: &str, changes: &[(&str, &str)]) {
        let mut data = json!({
            "region": region,
            "clusterId": format!("{region}-cluster"),
            "endpoint": format!("https://{region}.example:8443"),
            "ca.crt": Authority::generate(region, jiff::Timestamp::UNIX_EPOCH).unwrap().0,
        });
        for (key, value) in changes {
            data[*key] = json!(value);
        }
        let labels = if label.is_empty() { json!({}) } else { json!({"cairn.dev/peer": label}) };
        let bundle = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": region, "labels": labels}, "data": data});
        let apply = PatchParams::apply("tests").force();
        self.world.api::<ConfigMap>().patch(region, &apply, &Patch::Apply(&bundle)).await.unwrap();
    }

    pub(crate) async fn forget(&self, region: &str) {
        self.world.api::<ConfigMap>().delete(region, &DeleteParams::default()).await.unwrap();
    }

    /// The table's definition, as all nodes have it.
    pub(crate) fn definition(&self) -> TableDefinition {
        self.world.fleet.with(|nodes| {
            let mut all = nodes.values().flat_map(|node| &node.replicas).map(|replica| replica.definition.clone());
            let first = all.next().unwrap();
            assert!(all.all(|other| other == first));
            first
        })
    }

    /// The members of the table's definition, and the epoch.
    pub(crate) fn members(&self) -> (Vec<String>, u64) {
        let replicas = self.definition().replicas;
        replicas.map(|held| (held.members.into_iter().collect(), held.epoch)).unwrap_or_default()
    }

    pub(crate) async fn wait_members(&self, members: &[&str]) -> u64 {
        wait(&format!("the members {members:?}"), || async {
            let (held, epoch) = self.members();
            (held == members).then_some(epoch)
        })
        .await
    }

    /// Has the leader report so of the regions.
    pub(crate) fn report(&self, regions: &[RegionReport]) {
        self.world.fleet.with(|nodes| {
            let replicas = nodes.values_mut().flat_map(|node| &mut node.replicas);
            for leader in replicas.filter(|replica| replica.state == ReplicaState::Leader) {
                leader.regions = regions.to_vec();
            }
        });
    }

    pub(crate) async fn status(&self, name: &str) -> GlobalTableResourceStatus {
        self.world.api::<GlobalTable>().get(name).await.unwrap().status.unwrap_or_default()
    }

    pub(crate) async fn wait_status(
        &self,
        what: &str,
        is: impl Fn(&GlobalTableResourceStatus) -> bool,
    ) -> GlobalTableResourceStatus {
        wait(what, || async { Some(self.status("users").await).filter(&is) }).await
    }

    /// Waits until the Ready condition has the reason; answers with its message.
    pub(crate) async fn wait_reason(&self, name: &str, reason: &str) -> String {
        wait(&format!("the reason {reason}"), || async {
            let conditions = self.status(name).await.conditions;
            conditions.into_iter().find(|c| c.type_ == "Ready" && c.reason == reason).map(|c| c.message)
        })
        .await
    }

    pub(crate) async fn wait_event(&self, reason: &str) -> String {
        let events: Api<Event> = self.world.api();
        wait(&format!("the event {reason}"), || async {
            let events = events.list(&ListParams::default()).await.unwrap();
            events.into_iter().find(|event| event.reason.as_deref() == Some(reason))?.note
        })
        .await
    }
}

fn listed(regions: &[&str]) -> Value {
    regions.iter().map(|region| json!({"regionName": region})).collect()
}
