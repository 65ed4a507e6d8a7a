//! A router whose view of the tables is a moment behind what the API server has.

use crate::{setting::Setting, support::api_server::active_table};
use cairn_model::ids::TableId;
use cairn_server::router::writes::ApiWrites;
use futures::future::join_all;
use serde_json::{Value, json};

fn protect() -> Value {
    json!({"TableName": "users", "DeletionProtectionEnabled": true})
}

fn expire_by(attribute: &str) -> Value {
    json!({"TableName": "users", "TimeToLiveSpecification": {"AttributeName": attribute, "Enabled": true}})
}

fn spec(setting: &Setting) -> Value {
    setting.api_server.get("tables", "users").unwrap()["spec"].clone()
}

/// The operator writes the status of `users`, which the router is not told of yet.
fn note(setting: &Setting, table_status: &str) {
    let mut status = setting.api_server.get("tables", "users").unwrap()["status"].clone();
    status["tableStatus"] = json!(table_status);
    setting.api_server.set_status("tables", "users", status);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_changes_right_behind_each_other_are_both_made() {
    for status in ["ACTIVE", "UPDATING"] {
        let setting = Setting::new(ApiWrites::Own).await;
        setting.caller.ok("UpdateTable", protect()).await;
        note(&setting, status);
        setting.caller.ok("UpdateTimeToLive", expire_by("ends")).await;
        assert_eq!(spec(&setting)["timeToLive"], json!({"attributeName": "ends", "enabled": true}));
        assert_eq!(spec(&setting)["deletionProtectionEnabled"], true);
    }
    let setting = Setting::new(ApiWrites::Own).await;
    setting.caller.ok("UpdateTimeToLive", expire_by("ends")).await;
    note(&setting, "ACTIVE");
    setting.caller.ok("UpdateTable", protect()).await;
    assert_eq!(spec(&setting)["timeToLive"], json!({"attributeName": "ends", "enabled": true}));
    assert_eq!(spec(&setting)["deletionProtectionEnabled"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_updating_is_said_to_be_in_use_in_the_words_of_dynamodb() {
    let setting = Setting::new(ApiWrites::Own).await;
    setting.caller.ok("UpdateTable", protect()).await;
    note(&setting, "UPDATING");
    let (name, text) = setting.error("UpdateTable", protect()).await;
    assert_eq!(name, "ResourceInUseException");
    assert_eq!(text, "Attempt to change a resource which is still in use: Table is being changed: users");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_was_overtaken_is_checked_against_what_the_other_left() {
    let setting = Setting::new(ApiWrites::Own).await;
    let mut changed = setting.api_server.get("tables", "users").unwrap();
    changed["spec"]["timeToLive"] = json!({"attributeName": "ends"});
    setting.api_server.put("tables", "users", changed, "cairn-api");
    let (name, text) = setting.error("UpdateTimeToLive", expire_by("other")).await;
    assert_eq!(name, "ValidationException");
    assert!(text.ends_with("current AttributeName is ends"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_not_tried_for_ever() {
    let setting = Setting::new(ApiWrites::Own).await;
    setting.api_server.conflict(2);
    setting.caller.ok("UpdateTable", protect()).await;
    setting.api_server.conflict(3);
    let (status, answer) = setting.caller.call("UpdateTimeToLive", expire_by("ends")).await.unwrap();
    assert_eq!(status, 500, "{answer}");
    assert!(answer["message"].as_str().unwrap().contains("was not made"), "{answer}");
    assert_eq!(spec(&setting)["timeToLive"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_another_router_made_just_now_is_found() {
    let setting = Setting::new(ApiWrites::Own).await;
    setting.api_server.put("tables", "scores", active_table(TableId([8; 16]), json!({}), json!({})), "cairn-api");
    let table = setting.caller.ok("DescribeTable", json!({"TableName": "scores"})).await["Table"].clone();
    assert_eq!(table["TableStatus"], "ACTIVE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_statements_finds_it_too() {
    let setting = Setting::new(ApiWrites::Own).await;
    setting.api_server.put("tables", "scores", active_table(TableId([8; 16]), json!({}), json!({})), "cairn-api");
    let statements: Vec<Value> = ["scores", "nobody"]
        .map(|table| json!({"Statement": format!("SELECT * FROM {table} WHERE Id = 'ada'")}))
        .to_vec();
    let answer = setting.caller.ok("BatchExecuteStatement", json!({"Statements": statements})).await;
    let codes: Vec<&Value> =
        answer["Responses"].as_array().unwrap().iter().map(|response| &response["Error"]["Code"]).collect();
    assert_eq!(codes, ["InternalServerError", "ResourceNotFound"], "of the first its partitions were asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_became_active_just_now_takes_requests() {
    let setting = Setting::new(ApiWrites::Own).await;
    note(&setting, "CREATING");
    setting.watch();
    let get = json!({"TableName": "users", "Key": {"Id": {"S": "ada"}}});
    assert_eq!(setting.error("GetItem", get.clone()).await.0, "ResourceNotFoundException");
    note(&setting, "ACTIVE");
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let (status, answer) = setting.caller.call("GetItem", get).await.unwrap();
    assert_eq!(status, 500, "its partitions, which are none here, were asked: {answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_for_tables_that_are_not_there_do_not_trouble_the_api_server() {
    let setting = Setting::new(ApiWrites::Own).await;
    let of = |name: String| setting.error("DescribeTable", json!({"TableName": name}));
    let before = setting.api_server.got();
    let answers = join_all((0..50).map(|_| of("nobody".to_owned()))).await;
    assert!(answers.iter().all(|(name, _)| name == "ResourceNotFoundException"));
    let asked = setting.api_server.got() - before;
    assert!(asked <= 2, "one look-up a second, not {asked}");
    let answers = join_all((0..100).map(|n| of(format!("nobody-{n}")))).await;
    assert!(answers.iter().all(|(name, _)| name == "ResourceNotFoundException"));
    let asked = setting.api_server.got() - before;
    assert!(asked <= 30, "ten look-ups a second, not {asked}");
}
