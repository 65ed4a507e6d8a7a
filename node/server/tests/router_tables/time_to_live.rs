//! UpdateTimeToLive and DescribeTimeToLive: what of it lies in the `Table` resource.

use crate::setting::Setting;
use cairn_server::router::writes::ApiWrites;
use serde_json::{Value, json};

fn update(attribute: &str, enabled: bool) -> Value {
    json!({"TableName": "users", "TimeToLiveSpecification": {"AttributeName": attribute, "Enabled": enabled}})
}

async fn described(setting: &Setting) -> Value {
    let answer = setting.caller.ok("DescribeTimeToLive", json!({"TableName": "users"})).await;
    answer["TimeToLiveDescription"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_writes_it_into_the_spec_and_takes_it_out_again() {
    let setting = Setting::new(ApiWrites::Own).await;
    assert_eq!(described(&setting).await, json!({"TimeToLiveStatus": "DISABLED"}));
    let answer = setting.caller.ok("UpdateTimeToLive", update("ends", true)).await;
    assert_eq!(answer, json!({"TimeToLiveSpecification": {"AttributeName": "ends", "Enabled": true}}));
    let spec = || setting.api_server.get("tables", "users").unwrap()["spec"]["timeToLive"].clone();
    assert_eq!(spec(), json!({"attributeName": "ends", "enabled": true}));
    assert_eq!(described(&setting).await["AttributeName"], "ends");
    setting.caller.ok("UpdateTimeToLive", update("ends", false)).await;
    assert_eq!(spec(), json!({"attributeName": "ends", "enabled": false}));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_manifest_says_is_told_too() {
    let setting = Setting::new(ApiWrites::Own).await;
    let mut table = setting.api_server.get("tables", "users").unwrap();
    table["spec"]["timeToLive"] = json!({"attributeName": "ends"});
    setting.api_server.put("tables", "users", table, "cairn-api");
    setting.watch();
    assert_eq!(described(&setting).await, json!({"TimeToLiveStatus": "ENABLED", "AttributeName": "ends"}));
    let (name, text) = setting.error("UpdateTimeToLive", update("other", true)).await;
    assert_eq!(name, "ValidationException");
    assert!(text.ends_with("current AttributeName is ends"), "{text}");
}
