//! What becomes of a table's definition.

use crate::{
    scene::{FLAGS, Scene},
    support::{World, api_server::ApiServer, wait},
};
use cairn_crds::{GlobalTable, Table};
use cairn_model::table::{GlobalReplicas, TableClass};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::json;
use std::time::Duration;

/// Long enough for an operator to do what it must not.
const A_WHILE: Duration = Duration::from_secs(3);

async fn change_class(scene: &Scene) -> u64 {
    let patch = Patch::Merge(json!({"spec": {"tableClass": "STANDARD_INFREQUENT_ACCESS"}}));
    scene.world.api::<Table>().patch("users", &PatchParams::default(), &patch).await.unwrap();
    wait("the table's class to change", || async {
        let definition = scene.definition();
        (definition.table_class == Some(TableClass::StandardInfrequentAccess)).then_some(definition.schema_version)
    })
    .await
}

pub(crate) async fn this_clusters_bundle_is_published_and_taken_back(server: &ApiServer) {
    let scene = Scene::new(server, "published").await;
    let bundle =
        wait("the bundle", || async { scene.world.api::<ConfigMap>().get_opt("cairn-peer").await.unwrap()?.data })
            .await;
    let cluster: Namespace = Api::all(server.client.clone()).get("kube-system").await.unwrap();
    assert_eq!(bundle["clusterId"], cluster.uid().unwrap());
    assert_eq!((bundle["region"].as_str(), bundle["endpoint"].as_str()), ("east", "https://east.example:8443"));
    assert!(bundle["ca.crt"].starts_with("-----BEGIN CERTIFICATE-----") && !bundle["ca.crt"].contains("KEY"));
    let manifest: ConfigMap = serde_yaml_ng::from_str(&bundle["manifest.yaml"]).unwrap();
    assert_eq!((manifest.name_any().as_str(), manifest.labels()["cairn.dev/peer"].as_str()), ("east", "true"));
    drop(scene);
    let world = World::resume(server, "published", crate::support::fake::Fleet::default());
    wait("the bundle to go", || async {
        world.api::<ConfigMap>().get_opt("cairn-peer").await.unwrap().is_none().then_some(())
    })
    .await;
}

pub(crate) async fn a_table_joins_the_regions_that_are_listed_and_have_a_bundle(server: &ApiServer) {
    let scene = Scene::new(server, "joining").await;
    assert_eq!(scene.definition().replicas, None);
    scene.introduce("west").await;
    scene.declare_users(&["west", "north"]).await;
    assert_eq!(scene.wait_members(&["east", "west"]).await, 1);
    let held = scene.definition();
    assert_eq!(held.schema_version, 2);
    let replicas = held.replicas.unwrap();
    assert_eq!((replicas.region.as_str(), replicas.peers["west"].cluster_id.as_str()), ("east", "west-cluster"));
    let cluster: Namespace = Api::all(server.client.clone()).get("kube-system").await.unwrap();
    assert_eq!(replicas.cluster_id, cluster.uid().unwrap());
    assert_eq!(scene.world.table("users").await.status.unwrap().global_table.as_deref(), Some("users"));
    assert!(scene.wait_reason("users", "PeerMissing").await.contains("north"));
    scene.introduce("north").await;
    assert_eq!(scene.wait_members(&["east", "north", "west"]).await, 2);
    assert_eq!(change_class(&scene).await, 4);
    assert_eq!(scene.members().1, 2, "what is not of the members does not count them up");
}

pub(crate) async fn a_bundle_that_changes_reaches_the_nodes_and_one_that_is_gone_does_not(server: &ApiServer) {
    let scene = Scene::new(server, "bundles").await;
    scene.introduce("west").await;
    scene.declare_users(&["west"]).await;
    scene.wait_members(&["east", "west"]).await;
    let before = scene.definition().replicas.unwrap();
    scene.introduce("west").await;
    let after =
        wait("the new certificate", || async { scene.definition().replicas.filter(|replicas| replicas.epoch == 2) })
            .await;
    assert_ne!(before.peers["west"].ca, after.peers["west"].ca);
    scene.forget("west").await;
    let message = scene.wait_reason("users", "PeerMissing").await;
    assert!(message.contains("ConfigMap bundles/west") && message.contains("go on with what they have"), "{message}");
    change_class(&scene).await;
    assert_eq!(scene.definition().replicas, Some(after.clone()));
    scene.bundle("west", "true", &[("endpoint", "http://west")]).await;
    assert!(scene.wait_reason("users", "PeerInvalid").await.contains("key endpoint"));
    assert_eq!(scene.definition().replicas, Some(after));
}

pub(crate) async fn a_region_leaves_when_it_is_listed_no_more_and_all_do_with_the_global_table(server: &ApiServer) {
    let scene = Scene::new(server, "leaving").await;
    scene.introduce("west").await;
    scene.introduce("north").await;
    scene.declare_users(&["west", "north"]).await;
    scene.wait_members(&["east", "north", "west"]).await;
    scene.wait_status("both regions", |status| status.replicas.len() == 2).await;
    scene.list(&["north"]).await;
    assert_eq!(scene.wait_members(&["east", "north"]).await, 2);
    assert!(scene.wait_event("RegionLeft").await.contains("west"));
    scene.undeclare("users").await;
    wait("the table to stand alone", || async { scene.definition().replicas.is_none().then_some(()) }).await;
    wait("the GlobalTable to be forgotten", || async {
        scene.world.table("users").await.status.unwrap().global_table.is_none().then_some(())
    })
    .await;
    scene.world.wait_active("users").await;
    scene.world.wait_reason("users", "Ready").await;
}

pub(crate) async fn a_new_operator_changes_nothing(server: &ApiServer) {
    let scene = Scene::new(server, "restart").await;
    scene.introduce("west").await;
    scene.declare_users(&["west"]).await;
    scene.wait_members(&["east", "west"]).await;
    scene.world.wait_reason("users", "Ready").await;
    let (before, fleet) = (scene.definition(), scene.world.fleet.clone());
    drop(scene);
    let world = World::resume_with(server, "restart", fleet.clone(), &FLAGS);
    tokio::time::sleep(A_WHILE).await;
    let scene = Scene { world };
    assert_eq!(scene.definition(), before);
    // What is deleted while no operator runs is deleted all the same.
    let tables = scene.world.api::<GlobalTable>();
    drop(scene);
    tables.delete("users", &DeleteParams::default()).await.unwrap();
    let scene = Scene { world: World::resume_with(server, "restart", fleet, &FLAGS) };
    wait("the table to stand alone", || async { scene.definition().replicas.is_none().then_some(()) }).await;
}

/// As after an etcd that was lost, with the Table applied again and its GlobalTable not yet.
pub(crate) async fn what_nodes_hold_and_nobody_declares_stays(server: &ApiServer) {
    let scene = Scene::new(server, "held").await;
    let mut replicas = GlobalReplicas::in_region("east");
    replicas.members.insert("west".into());
    scene.world.fleet.with(|nodes| {
        for replica in nodes.values_mut().flat_map(|node| &mut node.replicas) {
            replica.definition.replicas = Some(replicas.clone());
            replica.definition.schema_version += 1;
        }
    });
    change_class(&scene).await;
    assert_eq!(scene.definition().replicas, Some(replicas));
    let condition = wait("the condition", || async {
        let conditions = scene.world.table("users").await.status.unwrap().conditions;
        conditions.into_iter().find(|condition| condition.type_ == "GlobalTableDeclared")
    })
    .await;
    assert!(condition.message.contains("the regions west"), "{condition:?}");
    scene.introduce("west").await;
    scene.declare_users(&["west"]).await;
    wait("the bundle to reach the nodes", || async {
        scene.definition().replicas.filter(|replicas| replicas.peers.contains_key("west"))
    })
    .await;
    wait("the condition to go", || async {
        let conditions = scene.world.table("users").await.status.unwrap().conditions;
        conditions.iter().all(|condition| condition.type_ != "GlobalTableDeclared").then_some(())
    })
    .await;
}

pub(crate) async fn a_table_made_with_a_global_table_gets_its_regions_by_an_update(server: &ApiServer) {
    let scene = Scene::new(server, "first").await;
    scene.introduce("west").await;
    scene.declare("scores", json!({"tableName": "Scores", "replicas": [{"regionName": "west"}]})).await;
    assert!(scene.wait_reason("scores", "TableMissing").await.contains("no Table Scores"));
    scene.world.create_table("scores", ", tableName: Scores").await;
    let definition = wait("the regions", || async {
        scene.world.fleet.with(|nodes| {
            let mut all = nodes.values().flat_map(|node| node.replicas.clone());
            all.find(|replica| replica.definition.table_name == "Scores" && replica.definition.replicas.is_some())
        })
    })
    .await
    .definition;
    assert_eq!((definition.schema_version, definition.replicas.unwrap().epoch), (2, 1));
    scene.world.wait_active("scores").await;
    scene.wait_reason("scores", "Connecting").await;
    scene.world.api::<Table>().delete("scores", &DeleteParams::default()).await.unwrap();
    scene.wait_reason("scores", "TableMissing").await;
    let status = scene.status("scores").await;
    assert_eq!((status.replicas, status.regions), (Vec::new(), None), "nothing is told of a table that is gone");
}
