//! What a GlobalTable's status tells.

use crate::{scene::Scene, support::api_server::ApiServer};
use cairn_crds::{GlobalTable, condition};
use cairn_model::region::{CopyProgress, RegionProblem, RegionReport, RegionState, RegionTrouble};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::json;

fn report(region: &str, state: RegionState, trouble: Option<RegionTrouble>) -> RegionReport {
    RegionReport {
        region: region.into(),
        state,
        problem: trouble.map(|reason| RegionProblem { reason, message: format!("{region} says no") }),
        last_success_ms: Some(1_763_719_200_000),
        latency_ms: Some(123),
        pending_records: Some(4),
        copy: (state == RegionState::Copying).then_some(CopyProgress { items: 40, items_of: 100 }),
        clock_offset_ms: None,
        set_aside: 0,
    }
}

pub(crate) async fn what_is_wrong_with_a_bundle_is_told_with_what_to_do(server: &ApiServer) {
    let scene = Scene::new(server, "wrong").await;
    scene.declare_users(&["west"]).await;
    let missing = scene.wait_reason("users", "PeerMissing").await;
    assert!(missing.contains("ConfigMap wrong/west") && missing.contains("cairn-peer"), "{missing}");
    let status = scene.status("users").await;
    assert!(condition::is_true(&status.conditions, "Stalled"));
    assert_eq!(status.regions.as_deref(), Some("west CREATING (PeerMissing)"));
    scene.bundle("west", "", &[]).await;
    assert!(scene.wait_reason("users", "PeerUnlabelled").await.contains("label configmap west cairn.dev/peer=true"));
    scene.bundle("west", "true", &[("region", "north")]).await;
    let other = scene.wait_reason("users", "PeerInvalid").await;
    assert!(other.contains("key region") && other.contains("\"north\", not of \"west\""), "{other}");
    let cluster: Namespace = Api::all(server.client.clone()).get("kube-system").await.unwrap();
    scene.bundle("west", "true", &[("clusterId", &cluster.uid().unwrap())]).await;
    assert!(scene.wait_reason("users", "OwnCluster").await.contains("ConfigMap wrong/west, key clusterId"));
    assert_eq!(scene.members().0, ["east"]);
    scene.list(&["west", "east"]).await;
    scene.introduce("west").await;
    assert!(scene.wait_reason("users", "OwnRegion").await.contains("spec.replicas[regionName=east]"));
    assert!(scene.wait_event("OwnRegion").await.contains("own region"));
    scene.wait_members(&["east", "west"]).await;
}

pub(crate) async fn the_second_claim_on_a_table_is_refused(server: &ApiServer) {
    let scene = Scene::new(server, "claims").await;
    scene.introduce("west").await;
    scene.introduce("north").await;
    scene.declare_users(&["west"]).await;
    scene.wait_members(&["east", "west"]).await;
    // Times of objects have whole seconds.
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    scene.declare("another", json!({"tableName": "users", "replicas": [{"regionName": "north"}]})).await;
    assert!(scene.wait_reason("another", "NameTaken").await.contains("the GlobalTable users already"));
    assert_eq!(scene.members().0, ["east", "west"]);
    scene.undeclare("users").await;
    scene.wait_members(&["east", "north"]).await;
    scene.wait_reason("another", "Connecting").await;
}

pub(crate) async fn the_regions_standing_is_told_and_active_stays(server: &ApiServer) {
    let scene = Scene::new(server, "standing").await;
    scene.introduce("west").await;
    scene.introduce("north").await;
    // While one of them is not there yet, the status is looked at every few seconds.
    scene.declare_users(&["west", "north"]).await;
    scene.wait_members(&["east", "north", "west"]).await;
    scene.wait_reason("users", "Connecting").await;
    let waiting = report("north", RegionState::Connecting, None);
    let regions = |west| vec![west, waiting.clone()];

    scene.report(&regions(report("west", RegionState::Copying, None)));
    scene.wait_reason("users", "Copying").await;
    let status = scene.status("users").await;
    assert_eq!(status.regions.as_deref(), Some("west CREATING 40%, north CREATING"));
    assert_eq!(status.replicas[0].replica_status_percent_progress.as_deref(), Some("40"));

    scene.report(&regions(report("west", RegionState::Replicating, None)));
    let status = scene.wait_status("west to be ACTIVE", |s| s.replicas[0].replica_status == "ACTIVE").await;
    assert_eq!((status.latency.as_deref(), status.pending_records), (Some("120ms"), Some(8)));
    assert!(status.last_success.is_some());
    assert!(scene.wait_event("RegionJoined").await.contains("west"));

    scene.report(&regions(report("west", RegionState::Connecting, Some(RegionTrouble::Unreachable))));
    assert!(scene.wait_reason("users", "Unreachable").await.contains("west: west says no"));
    let status = scene.status("users").await;
    assert_eq!(status.regions.as_deref(), Some("west ACTIVE (Unreachable), north CREATING"));
    assert_eq!(status.replicas[0].replica_status_description.as_deref(), Some("Unreachable: west says no"));

    scene.report(&regions(report("west", RegionState::Replicating, Some(RegionTrouble::NotListed))));
    scene.wait_status("the denial", |s| s.replicas[0].replica_status == "REPLICATION_NOT_AUTHORIZED").await;
    assert!(condition::is_true(&scene.status("users").await.conditions, "Stalled"));

    let skewed = report("west", RegionState::Replicating, Some(RegionTrouble::ClockSkew));
    scene.report(&[skewed, report("north", RegionState::Replicating, None)]);
    scene.wait_reason("users", "Ready").await;
    let status = scene.status("users").await;
    assert_eq!(status.regions.as_deref(), Some("west ACTIVE, north ACTIVE"));
    let clocks = status.conditions.iter().find(|condition| condition.type_ == "ClocksAgree").unwrap();
    assert_eq!((clocks.status.as_str(), clocks.message.as_str()), ("False", "west: west says no"));

    let version = scene.world.api::<GlobalTable>().get("users").await.unwrap().resource_version();
    for second in 0..3 {
        let annotation = Patch::Merge(json!({"metadata": {"annotations": {"tests/second": second.to_string()}}}));
        scene.world.api::<GlobalTable>().patch("users", &PatchParams::default(), &annotation).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    let global = scene.world.api::<GlobalTable>().get("users").await.unwrap();
    assert_ne!(global.resource_version(), version);
    let written = global.managed_fields().iter().filter(|field| field.subresource.as_deref() == Some("status"));
    let newest = written.filter_map(|field| field.time.clone()).max_by_key(|time| time.0).unwrap();
    let patched = global.managed_fields().iter().filter(|field| field.subresource.is_none());
    let last = patched.filter_map(|field| field.time.clone()).max_by_key(|time| time.0).unwrap();
    assert!(newest.0 < last.0, "a status that says nothing new is not written");
}
