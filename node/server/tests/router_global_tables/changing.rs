//! UpdateTable and the operations of 2017: which resources they write.

use crate::setting::{Setting, declared, report, update};
use cairn_model::region::RegionState;
use cairn_server::router::writes::ApiWrites;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn the_first_replica_makes_a_resource_that_goes_with_the_table() {
    let setting = Setting::new(ApiWrites::Own).await;
    let answer = setting.create("west").await;
    assert_eq!(answer["TableStatus"], "UPDATING");
    assert_eq!(answer["Replicas"][0]["RegionName"], "west");
    assert_eq!(answer["Replicas"][0]["ReplicaStatus"], "CREATING");
    let resource = setting.api_server.one("globaltables");
    assert_eq!(resource["metadata"]["name"], "users");
    assert_eq!(resource["spec"], json!({"tableName": "users", "replicas": [{"regionName": "west"}]}));
    let owner = &resource["metadata"]["ownerReferences"][0];
    let table = setting.api_server.one("tables");
    assert_eq!((&owner["kind"], &owner["uid"]), (&json!("Table"), &table["metadata"]["uid"]));
    assert_eq!(resource["metadata"]["managedFields"][0]["manager"], "cairn-api");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_replicas_are_added_to_the_same_resource_and_taken_out_of_it() {
    let setting = Setting::new(ApiWrites::Own).await;
    setting.create("west").await;
    setting.create("north").await;
    assert_eq!(setting.declared(), ["north", "west"]);
    setting.delete("west").await;
    assert_eq!(setting.declared(), ["north"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_last_replica_the_resource_goes() {
    let setting = Setting::new(ApiWrites::Own).await;
    setting.create("west").await;
    setting.observe("users", json!([]));
    setting.hold(&["west"], vec![report("west", RegionState::Replicating)]);
    let answer = setting.delete("west").await;
    assert_eq!(answer["Replicas"], json!([{"RegionName": "west", "ReplicaStatus": "DELETING"}]));
    assert!(setting.api_server.all("globaltables").is_empty());
    let (name, _) = setting.error("UpdateTable", update("Delete", "west")).await;
    assert_eq!(name, "ResourceInUseException", "the nodes still have it");
    assert_eq!(setting.described().await["TableStatus"], "UPDATING");
    setting.hold(&[], vec![]);
    assert!(setting.described().await.get("Replicas").is_none());
    setting.create("west").await;
    assert_eq!(setting.declared(), ["west"], "it can come back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_whose_peer_bundle_is_not_there_is_refused_with_the_way_to_take_it_in() {
    let setting = Setting::new(ApiWrites::Own).await;
    let (name, text) = setting.error("UpdateTable", update("Create", "south")).await;
    assert_eq!(name, "ValidationException");
    assert_eq!(
        text,
        "The region south is not known to this account: it takes the region's peer bundle, as the ConfigMap south in the \
         namespace game, and there is none. On that region's cluster, `kubectl -n NAMESPACE_OF_CAIRN get configmap \
         cairn-peer -o jsonpath='{.data.manifest\\.yaml}'` prints it; here, `kubectl -n game apply -f -` takes it in."
    );
    assert!(setting.api_server.all("globaltables").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_whole_peer_bundle_of_the_region_is_not_taken_for_one() {
    let setting = Setting::new(ApiWrites::Own).await;
    let unlabelled = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}, "data": {"region": "plain"}});
    setting.api_server.put("configmaps", "plain", unlabelled, "kubectl");
    let (name, text) = setting.error("UpdateTable", update("Create", "plain")).await;
    assert_eq!(name, "ValidationException");
    assert!(text.contains("the one that is there has not the label cairn.dev/peer=true"), "{text}");
    for (but, expected) in [
        (json!({"ca.crt": ""}), "the one that is there has no ca.crt"),
        (json!({"region": "west"}), "the one that is there is of the region west"),
    ] {
        setting.bundle("south", but);
        let (name, text) = setting.error("UpdateTable", update("Create", "south")).await;
        assert_eq!(name, "ValidationException");
        assert!(text.contains(expected), "{text}");
    }
    for name in ["", "South", "a/b", "-a", "..", &"a".repeat(64)] {
        let (error, text) = setting.error("UpdateTable", update("Create", name)).await;
        assert_eq!(error, "ValidationException", "{name:?}");
        assert!(text.contains("is not known to this account"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_router_added_meanwhile_is_kept() {
    let setting = Setting::new(ApiWrites::Own).await;
    setting.create("west").await;
    let mut changed = setting.api_server.one("globaltables");
    changed["spec"]["replicas"] = json!([{"regionName": "west"}, {"regionName": "south"}]);
    setting.api_server.put("globaltables", "users", changed, "cairn-api");
    setting.create("north").await;
    assert_eq!(setting.declared(), ["north", "south", "west"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_router_changed_in_the_same_way_meanwhile_is_not_changed_again() {
    let group = json!([{"RegionName": "east"}, {"RegionName": "west"}]);
    let create = json!({"GlobalTableName": "users", "ReplicationGroup": group});
    for (operation, body, error) in [
        ("UpdateTable", update("Create", "west"), "ValidationException"),
        ("CreateGlobalTable", create, "GlobalTableAlreadyExistsException"),
    ] {
        let setting = Setting::new(ApiWrites::Own).await;
        setting.api_server.put("globaltables", "users", declared(&["west"]), "cairn-api");
        assert_eq!(setting.error(operation, body).await.0, error);
    }
    let setting = Setting::new(ApiWrites::Own).await;
    setting.declare("users", &["north", "west"], "cairn-api");
    setting.api_server.put("globaltables", "users", declared(&["north"]), "cairn-api");
    assert_eq!(setting.error("UpdateTable", update("Delete", "west")).await.0, "ValidationException");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_that_is_deleted_meanwhile_is_not_made_anew_with_what_it_had() {
    let setting = Setting::new(ApiWrites::Own).await;
    setting.declare("users", &["west"], "cairn-api");
    setting.api_server.overtake(|server| server.remove("globaltables", "users"));
    setting.create("north").await;
    assert_eq!(setting.declared(), ["north"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_at_the_same_time_is_met_by_trying_again_and_not_for_ever() {
    let setting = Setting::new(ApiWrites::Own).await;
    setting.api_server.conflict(2);
    setting.create("west").await;
    assert_eq!(setting.declared(), ["west"]);
    setting.api_server.conflict(3);
    assert_eq!(setting.error("UpdateTable", update("Create", "north")).await.0, "ResourceInUseException");
    assert_eq!(setting.declared(), ["west"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_nodes_hold_without_a_resource_stays_when_one_is_made() {
    let setting = Setting::new(ApiWrites::Own).await;
    setting.hold(&["south", "west"], vec![report("west", RegionState::Replicating)]);
    setting.create("north").await;
    assert_eq!(setting.declared(), ["north", "south", "west"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn regions_that_no_resource_names_are_left_by_one_that_does() {
    let setting = Setting::new(ApiWrites::Own).await;
    setting.hold(&["west"], vec![report("west", RegionState::Replicating)]);
    let (name, text) = setting.error("UpdateTable", update("Delete", "west")).await;
    assert_eq!(name, "ValidationException");
    assert!(text.ends_with("apply one that does, and to leave them delete it then"), "{text}");
    assert!(setting.api_server.all("globaltables").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_made_before_it_is_known_what_is_there() {
    let setting = Setting::unlisted(ApiWrites::Own).await;
    setting.bundle("west", json!({}));
    setting.hold(&[], vec![]);
    let (status, answer) = setting.caller.call("UpdateTable", update("Create", "west")).await.unwrap();
    assert_eq!(status, 500, "{answer}");
    assert!(setting.api_server.all("globaltables").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_that_only_the_api_server_knows_of_is_changed_and_not_made_anew() {
    let setting = Setting::new(ApiWrites::Own).await;
    setting.create("west").await;
    let mut resource = setting.api_server.one("globaltables");
    let later = Setting::new(ApiWrites::Own).await;
    let table = later.api_server.one("tables");
    resource["metadata"]["ownerReferences"][0]["uid"] = table["metadata"]["uid"].clone();
    later.api_server.put("globaltables", "users", resource, "cairn-api");
    later.create("north").await;
    assert_eq!(later.declared(), ["north", "west"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_of_a_table_before_of_the_name_is_not_changed() {
    let setting = Setting::new(ApiWrites::Own).await;
    setting.create("west").await;
    let resource = setting.api_server.one("globaltables");
    let later = Setting::new(ApiWrites::Own).await;
    later.api_server.put("globaltables", "users", resource, "cairn-api");
    let (name, _) = later.error("UpdateTable", update("Create", "north")).await;
    assert_eq!(name, "ResourceInUseException");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_that_is_being_deleted_is_not_changed() {
    let setting = Setting::new(ApiWrites::Own).await;
    setting.create("west").await;
    setting.api_server.set_deleting("globaltables", "users");
    setting.watch();
    let (name, text) = setting.error("UpdateTable", update("Create", "north")).await;
    assert_eq!(name, "ResourceInUseException");
    assert_eq!(text, "The resource which you are attempting to change is in use.");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_global_table_of_2017_is_the_same_resource() {
    let setting = Setting::new(ApiWrites::Own).await;
    let group = json!([{"RegionName": "east"}, {"RegionName": "north"}, {"RegionName": "west"}]);
    let request = json!({"GlobalTableName": "users", "ReplicationGroup": group});
    let answer = setting.caller.ok("CreateGlobalTable", request).await["GlobalTableDescription"].clone();
    assert_eq!(
        (&answer["GlobalTableStatus"], answer["ReplicationGroup"].as_array().unwrap().len()),
        (&json!("CREATING"), 3)
    );
    assert_eq!(setting.declared(), ["north", "west"]);
    let updates = json!([{"Delete": {"RegionName": "north"}}, {"Delete": {"RegionName": "west"}}]);
    let request = json!({"GlobalTableName": "users", "ReplicaUpdates": updates});
    let answer = setting.caller.ok("UpdateGlobalTable", request).await["GlobalTableDescription"].clone();
    assert_eq!(answer["ReplicationGroup"], json!([{"RegionName": "east", "ReplicaStatus": "ACTIVE"}]));
    assert_eq!(answer["GlobalTableStatus"], "DELETING");
    assert!(setting.api_server.all("globaltables").is_empty());
}
