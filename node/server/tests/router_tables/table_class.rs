//! When the class changed, as the operator notes it in the `Table` resource's status.

use crate::setting::Setting;
use cairn_server::{environment::wall_ms, router::writes::ApiWrites};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

const INFREQUENT: &str = "STANDARD_INFREQUENT_ACCESS";

/// The table `users`, that is to have the first class and has the second, since just now, by the last of so many updates.
async fn updated(asked: &str, held: &str, updates: usize) -> Setting {
    let setting = Setting::new(ApiWrites::Own).await;
    let mut table = setting.api_server.get("tables", "users").unwrap();
    table["spec"]["tableClass"] = json!(asked);
    let now = Timestamp::from_second(i64::try_from(wall_ms() / 1_000).unwrap()).unwrap().to_string();
    table["status"]["tableClass"] = json!({"tableClass": held, "updateDateTimes": vec![now; updates]});
    setting.api_server.put("tables", "users", table, "cairn-api");
    setting.watch();
    setting
}

fn class(setting: &Setting) -> Value {
    setting.api_server.get("tables", "users").unwrap()["spec"]["tableClass"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_description_has_the_class_that_the_nodes_have_and_since_when() {
    let setting = updated("STANDARD", INFREQUENT, 1).await;
    let summary = setting.described().await["TableClassSummary"].clone();
    assert_eq!(summary["TableClass"], INFREQUENT);
    assert!(summary["LastUpdateDateTime"].is_f64());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_third_update_is_refused_before_anything_is_written() {
    let update = |class: &str| json!({"TableName": "users", "TableClass": class});
    let once = updated(INFREQUENT, INFREQUENT, 1).await;
    once.caller.ok("UpdateTable", update("STANDARD")).await;
    assert_eq!(class(&once), "STANDARD");
    let twice = updated(INFREQUENT, INFREQUENT, 2).await;
    let (name, text) = twice.error("UpdateTable", update("STANDARD")).await;
    assert_eq!(name, "LimitExceededException");
    assert!(text.contains("Updates to TableClass are limited to 2 times in 30 day(s)."), "{text}");
    assert_eq!(class(&twice), INFREQUENT);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_update_leaves_a_manifests_class_that_has_to_wait() {
    let setting = updated(INFREQUENT, "STANDARD", 2).await;
    setting.caller.ok("UpdateTable", json!({"TableName": "users", "DeletionProtectionEnabled": true})).await;
    assert_eq!(class(&setting), INFREQUENT);
}
