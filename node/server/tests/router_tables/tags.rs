//! Tags, which are the `Table` resource's, whoever wrote them.

use crate::{setting::Setting, support::api_server::active_table};
use cairn_model::ids::TableId;
use cairn_server::router::writes::ApiWrites;
use serde_json::{Value, json};

const ARN: &str = "arn:aws:dynamodb:east:game:table/users";

fn put(key: &str, value: &str) -> Value {
    json!({"ResourceArn": ARN, "Tags": [{"Key": key, "Value": value}]})
}

fn remove(key: &str) -> Value {
    json!({"ResourceArn": ARN, "TagKeys": [key]})
}

/// The table `users` with these tags, managed by whom.
fn declare(setting: &Setting, tags: Value, manager: &str) {
    let table = active_table(TableId([7; 16]), json!({"tags": tags}), json!({}));
    setting.api_server.remove("tables", "users");
    setting.api_server.put("tables", "users", table, manager);
    setting.watch();
}

async fn listed(setting: &Setting) -> Value {
    setting.caller.ok("ListTagsOfResource", json!({"ResourceArn": ARN})).await["Tags"].clone()
}

fn declared(setting: &Setting) -> Value {
    setting.api_server.get("tables", "users").unwrap()["spec"]["tags"].clone()
}

/// The keys of the tags that a manager owns.
fn owned(setting: &Setting, manager: &str) -> Vec<String> {
    let table = setting.api_server.get("tables", "users").unwrap();
    let entries = table["metadata"]["managedFields"].as_array().unwrap();
    let entry = entries.iter().find(|entry| entry["manager"] == manager).unwrap();
    let tags = entry["fieldsV1"]["f:spec"]["f:tags"].as_object();
    tags.into_iter().flatten().map(|(key, _)| key.clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tags_of_a_manifest_are_listed() {
    let setting = Setting::new(ApiWrites::Own).await;
    assert_eq!(listed(&setting).await, json!([]));
    declare(&setting, json!([{"key": "team", "value": "music"}, {"key": "env", "value": ""}]), "argocd");
    assert_eq!(listed(&setting).await, json!([{"Key": "env", "Value": ""}, {"Key": "team", "Value": "music"}]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_writes_tags_as_a_manifest_would_have_them() {
    let setting = Setting::new(ApiWrites::Own).await;
    setting.caller.ok("TagResource", put("env", "prod")).await;
    setting.caller.ok("TagResource", put("team", "music")).await;
    assert_eq!(declared(&setting), json!([{"key": "env", "value": "prod"}, {"key": "team", "value": "music"}]));
    assert_eq!(listed(&setting).await.as_array().unwrap().len(), 2, "though the watch has not told of it yet");
    setting.caller.ok("UntagResource", remove("env")).await;
    setting.caller.ok("UntagResource", remove("never set")).await;
    assert_eq!(declared(&setting), json!([{"key": "team", "value": "music"}]));
    setting.caller.ok("UntagResource", remove("team")).await;
    assert_eq!(declared(&setting), Value::Null);
    setting.caller.ok("UpdateTable", json!({"TableName": "users", "DeletionProtectionEnabled": true})).await;
    assert_eq!(declared(&setting), Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_made_with_its_tags_and_keeps_them_through_other_changes() {
    let setting = Setting::new(ApiWrites::Own).await;
    let request = json!({
        "TableName": "scores", "BillingMode": "PAY_PER_REQUEST", "Tags": [{"Key": "env", "Value": "prod"}],
        "AttributeDefinitions": [{"AttributeName": "Id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "Id", "KeyType": "HASH"}],
    });
    setting.caller.ok("CreateTable", request).await;
    let tags = json!([{"key": "env", "value": "prod"}]);
    assert_eq!(setting.api_server.get("tables", "scores").unwrap()["spec"]["tags"], tags);
    declare(&setting, tags.clone(), "cairn-api");
    setting.caller.ok("UpdateTable", json!({"TableName": "users", "DeletionProtectionEnabled": true})).await;
    assert_eq!(declared(&setting), tags);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_meanwhile_is_kept_and_no_change_is_tried_for_ever() {
    let setting = Setting::new(ApiWrites::Own).await;
    let mut changed = setting.api_server.get("tables", "users").unwrap();
    changed["spec"]["tags"] = json!([{"key": "team", "value": "music"}]);
    setting.api_server.put("tables", "users", changed, "cairn-api");
    setting.api_server.conflict(2);
    setting.caller.ok("TagResource", put("env", "prod")).await;
    assert_eq!(declared(&setting).as_array().unwrap().len(), 2);
    setting.api_server.conflict(3);
    let (status, answer) = setting.caller.call("TagResource", put("env", "test")).await.unwrap();
    assert_eq!(status, 500, "{answer}");
    setting.api_server.set_deleting("tables", "users");
    let (name, text) = setting.error("TagResource", put("env", "test")).await;
    assert_eq!(name, "ResourceInUseException");
    assert_eq!(text, "Attempt to change a resource which is still in use: Table is being deleted: users");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tags_of_a_table_that_somebody_else_manages_are_left_to_them() {
    let setting = Setting::new(ApiWrites::Own).await;
    declare(&setting, json!([{"key": "env", "value": "prod"}]), "argocd");
    for (operation, request) in [("TagResource", put("team", "music")), ("UntagResource", remove("env"))] {
        let (name, text) = setting.error(operation, request).await;
        assert_eq!(name, "AccessDeniedException");
        assert_eq!(text, "Table users is managed by argocd: change it there, or set api.writes to all");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_api_writes_all_the_api_adds_to_the_tags_of_others_and_does_not_touch_theirs() {
    let setting = Setting::new(ApiWrites::All).await;
    declare(&setting, json!([{"key": "env", "value": "prod"}]), "argocd");
    setting.caller.ok("TagResource", put("team", "music")).await;
    assert_eq!(listed(&setting).await, json!([{"Key": "env", "Value": "prod"}, {"Key": "team", "Value": "music"}]));
    assert_eq!(owned(&setting, "cairn-api"), [r#"k:{"key":"team"}"#], "env stays argocd's alone");
    setting.caller.ok("UpdateTable", json!({"TableName": "users", "DeletionProtectionEnabled": true})).await;
    assert_eq!(owned(&setting, "cairn-api"), [r#"k:{"key":"team"}"#]);
    for (operation, request) in [("TagResource", put("env", "test")), ("UntagResource", remove("env"))] {
        let (name, text) = setting.error(operation, request).await;
        assert_eq!(name, "AccessDeniedException");
        assert_eq!(text, "The tag env of Table users is managed by argocd: change it there");
    }
    setting.caller.ok("TagResource", put("env", "prod")).await;
    setting.caller.ok("UntagResource", remove("team")).await;
    assert_eq!(declared(&setting), json!([{"key": "env", "value": "prod"}]));
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_are_not_guessed_at_before_the_api_server_has_told_of_the_table() {
    let setting = Setting::unlisted(ApiWrites::Own).await;
    setting.hold(&[], vec![]);
    let request = json!({"ResourceArn": ARN});
    let (status, answer) = setting.caller.call("ListTagsOfResource", request).await.unwrap();
    assert_eq!(status, 500, "{answer}");
    assert!(answer["message"].as_str().unwrap().contains("in its Table resource"), "{answer}");
}
