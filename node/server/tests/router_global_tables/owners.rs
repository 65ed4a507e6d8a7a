//! Whose resources the API changes.

use crate::setting::{Setting, update};
use cairn_server::router::writes::ApiWrites;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_that_somebody_else_manages_is_left_to_them() {
    let setting = Setting::new(ApiWrites::Own).await;
    setting.declare("of-argo", &["west"], "argocd");
    for request in [update("Create", "north"), update("Delete", "west")] {
        let (name, text) = setting.error("UpdateTable", request).await;
        assert_eq!(name, "AccessDeniedException");
        assert_eq!(text, "GlobalTable of-argo is managed by argocd: change it there, or set api.writes to all");
    }
    assert_eq!(setting.declared(), ["west"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_api_writes_all_the_api_adds_to_what_others_declare_and_takes_out_what_it_added() {
    let setting = Setting::new(ApiWrites::All).await;
    setting.declare("of-argo", &["west"], "argocd");
    setting.create("north").await;
    assert_eq!(setting.declared(), ["north", "west"]);
    let resource = setting.api_server.one("globaltables");
    let entries = resource["metadata"]["managedFields"].as_array().unwrap();
    let own = entries.iter().find(|entry| entry["manager"] == "cairn-api").unwrap();
    assert_eq!(own["fieldsV1"]["f:spec"]["f:replicas"].as_object().unwrap().len(), 1, "west stays argocd's alone");
    assert!(resource["metadata"].get("ownerReferences").is_none(), "it does not go with the table");

    let (name, text) = setting.error("UpdateTable", update("Delete", "west")).await;
    assert_eq!(name, "AccessDeniedException");
    assert_eq!(text, "The replica west of GlobalTable of-argo is managed by argocd: take it out there");
    setting.delete("north").await;
    assert_eq!(setting.declared(), ["west"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_api_writes_none_no_replica_is_changed() {
    let setting = Setting::new(ApiWrites::None).await;
    let (name, text) = setting.error("UpdateTable", update("Create", "west")).await;
    assert_eq!(name, "AccessDeniedException");
    assert!(text.contains("GlobalTables are not changed through this API (api.writes is none)"), "{text}");
    assert!(setting.api_server.all("globaltables").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_of_the_tables_name_that_is_of_another_table_is_not_touched() {
    let setting = Setting::new(ApiWrites::Own).await;
    let other = json!({
        "apiVersion": "cairn.dev/v1alpha1", "kind": "GlobalTable", "metadata": {},
        "spec": {"tableName": "scores", "replicas": []},
    });
    setting.api_server.put("globaltables", "users", other, "cairn-api");
    setting.watch();
    let (name, text) = setting.error("UpdateTable", update("Create", "west")).await;
    assert_eq!(name, "ValidationException");
    assert_eq!(text, "The GlobalTable users in the namespace game is of the table scores: rename it");
}
