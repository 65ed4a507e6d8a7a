//! DescribeTable: what is declared, what the nodes hold and what they report, put together.

use crate::setting::{Setting, report};
use cairn_model::region::{CopyProgress, RegionProblem, RegionReport, RegionState, RegionTrouble};
use cairn_server::router::writes::ApiWrites;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_goes_from_declared_over_copied_to_active() {
    let setting = Setting::new(ApiWrites::Own).await;
    setting.create("west").await;
    let table = setting.described().await;
    assert_eq!(table["TableStatus"], "UPDATING");
    assert!(table["Replicas"][0]["ReplicaStatusDescription"].as_str().unwrap().starts_with("Joining: "));

    setting.observe("users", json!([]));
    let copy = Some(CopyProgress { items: 40, items_of: 100 });
    setting.hold(&["west"], vec![RegionReport { copy, ..report("west", RegionState::Copying) }]);
    let table = setting.described().await;
    assert_eq!(table["TableStatus"], "ACTIVE");
    assert_eq!(
        table["Replicas"],
        json!([{
            "RegionName": "west", "ReplicaStatus": "CREATING", "ReplicaStatusPercentProgress": "40",
            "ReplicaStatusDescription": "Copying: 40 of about 100 items are here",
        }])
    );

    setting.hold(&["west"], vec![report("west", RegionState::Replicating)]);
    let table = setting.described().await;
    assert_eq!(table["Replicas"], json!([{"RegionName": "west", "ReplicaStatus": "ACTIVE"}]));
    assert_eq!(table["GlobalTableVersion"], "2019.11.21");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_that_lets_this_one_in_no_more_is_not_authorized_and_says_why() {
    let setting = Setting::new(ApiWrites::Own).await;
    setting.declare("users", &["west"], "kubectl");
    let problem = Some(RegionProblem { reason: RegionTrouble::NotListed, message: "west does not list east".into() });
    setting.hold(&["west"], vec![RegionReport { problem, ..report("west", RegionState::Replicating) }]);
    let replica = setting.described().await["Replicas"][0].clone();
    assert_eq!(replica["ReplicaStatus"], "REPLICATION_NOT_AUTHORIZED");
    assert_eq!(replica["ReplicaStatusDescription"], "NotListed: west does not list east");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_no_leader_reports_what_the_operator_noted_counts() {
    let setting = Setting::new(ApiWrites::Own).await;
    setting.declare("users", &["north", "west"], "kubectl");
    let noted = |region: &str, status: &str| json!({"regionName": region, "replicaStatus": status});
    setting.observe("users", json!([noted("west", "ACTIVE"), noted("north", "CREATING")]));
    setting.hold(&["west"], vec![]);
    let replicas = setting.described().await["Replicas"].clone();
    assert_eq!(
        replicas,
        json!([
            {"RegionName": "north", "ReplicaStatus": "CREATING"}, {"RegionName": "west", "ReplicaStatus": "ACTIVE"}
        ])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_declared_no_more_is_deleting_until_the_nodes_have_it_no_more() {
    let setting = Setting::new(ApiWrites::Own).await;
    setting.declare("users", &["north"], "kubectl");
    setting.observe("users", json!([]));
    let both = vec![report("north", RegionState::Replicating), report("west", RegionState::Replicating)];
    setting.hold(&["north", "west"], both.clone());
    let table = setting.described().await;
    assert_eq!(table["TableStatus"], "ACTIVE");
    assert_eq!(
        table["Replicas"],
        json!([
            {"RegionName": "north", "ReplicaStatus": "ACTIVE"}, {"RegionName": "west", "ReplicaStatus": "DELETING"}
        ])
    );
    setting.hold(&["north"], both);
    assert_eq!(setting.described().await["Replicas"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_that_took_part_stays_active_while_it_is_away() {
    let setting = Setting::new(ApiWrites::Own).await;
    setting.declare("users", &["west"], "kubectl");
    let problem = Some(RegionProblem { reason: RegionTrouble::Unreachable, message: "no answer".into() });
    setting.hold(&["west"], vec![RegionReport { problem, ..report("west", RegionState::Connecting) }]);
    assert_eq!(setting.described().await["Replicas"][0]["ReplicaStatus"], "CREATING");
    setting.observe("users", json!([{"regionName": "west", "replicaStatus": "ACTIVE"}]));
    let replica = setting.described().await["Replicas"][0].clone();
    assert_eq!(
        (&replica["ReplicaStatus"], &replica["ReplicaStatusDescription"]),
        (&json!("ACTIVE"), &json!("Unreachable: no answer"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_nodes_hold_and_nobody_ever_declared_stays() {
    let setting = Setting::new(ApiWrites::Own).await;
    setting.hold(&["west"], vec![report("west", RegionState::Replicating)]);
    let table = setting.described().await;
    assert_eq!(table["TableStatus"], "ACTIVE");
    assert_eq!(table["Replicas"], json!([{"RegionName": "west", "ReplicaStatus": "ACTIVE"}]));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_api_server_down_from_the_start_replicas_are_what_the_nodes_report() {
    let setting = Setting::unlisted(ApiWrites::Own).await;
    setting.hold(&["west"], vec![report("west", RegionState::Replicating)]);
    let table = setting.described().await;
    assert_eq!(table["TableStatus"], "ACTIVE");
    assert_eq!(table["Replicas"], json!([{"RegionName": "west", "ReplicaStatus": "ACTIVE"}]));
    let listed = setting.caller.ok("ListGlobalTables", json!({})).await;
    let group = json!([{"RegionName": "east"}, {"RegionName": "west"}]);
    assert_eq!(listed, json!({"GlobalTables": [{"GlobalTableName": "users", "ReplicationGroup": group}]}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_one_region_has_no_replicas() {
    let setting = Setting::new(ApiWrites::Own).await;
    let table = setting.described().await;
    assert_eq!((table.get("Replicas"), table.get("GlobalTableVersion")), (None, None));
    setting.declare("users", &[], "kubectl");
    assert_eq!(setting.described().await.get("Replicas"), None);
}
