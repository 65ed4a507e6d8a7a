//! A router that another one, or a person with a manifest, comes before: between its look at the API server and its write.

use crate::{setting::Setting, support::api_server::active_table};
use cairn_model::ids::TableId;
use cairn_server::router::writes::ApiWrites;
use serde_json::{Value, json};

fn create() -> Value {
    json!({
        "TableName": "scores", "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "Name", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "Name", "KeyType": "HASH"}],
    })
}

/// Somebody makes `scores`, as this manager.
fn is_made_first(setting: &Setting, manager: &'static str) {
    setting.api_server.overtake(move |server| {
        server.put("tables", "scores", active_table(TableId([8; 16]), json!({}), json!({})), manager);
    });
}

/// `users` is deleted, as far as the API server is concerned.
fn is_deleted_first(setting: &Setting) {
    setting.api_server.overtake(|server| server.remove("tables", "users"));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_make_a_table_of_one_name_the_second_is_refused_and_changes_nothing() {
    for manager in ["cairn-api", "kubectl"] {
        let setting = Setting::new(ApiWrites::Own).await;
        is_made_first(&setting, manager);
        let (name, text) = setting.error("CreateTable", create()).await;
        assert_eq!((&*name, &*text), ("ResourceInUseException", "Table already exists: scores"), "{manager}");
        let made = setting.api_server.get("tables", "scores").unwrap();
        assert_eq!(
            (&made["metadata"]["generation"], &made["spec"]["keySchema"][0]["attributeName"]),
            (&json!(1), &json!("Id"))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_whose_answer_was_lost_is_not_told_that_its_own_table_is_in_its_way() {
    let setting = Setting::new(ApiWrites::Own).await;
    setting.api_server.lose_the_next_answer();
    let (status, answer) = setting.caller.call("CreateTable", create()).await.unwrap();
    assert_eq!(status, 500, "whether it is made can't be known: {answer}");
    assert!(setting.api_server.get("tables", "scores").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_change_makes_a_table_anew_that_is_deleted_meanwhile() {
    let arn = "arn:aws:dynamodb:east:game:table/users";
    for (operation, body) in [
        ("UpdateTable", json!({"TableName": "users", "DeletionProtectionEnabled": true})),
        (
            "UpdateTimeToLive",
            json!({"TableName": "users", "TimeToLiveSpecification": {"AttributeName": "ends", "Enabled": true}}),
        ),
        ("TagResource", json!({"ResourceArn": arn, "Tags": [{"Key": "team", "Value": "red"}]})),
    ] {
        let setting = Setting::new(ApiWrites::Own).await;
        is_deleted_first(&setting);
        assert_eq!(setting.error(operation, body).await.0, "ResourceNotFoundException", "{operation}");
        assert!(setting.api_server.all("tables").is_empty(), "{operation}");
    }
}
