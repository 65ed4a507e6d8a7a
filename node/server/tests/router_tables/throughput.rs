//! When the throughput went up and down, as the operator notes it in the `Table` resource's status.

use crate::setting::Setting;
use cairn_server::{environment::wall_ms, router::writes::ApiWrites};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

/// The table `users`, provisioned, that went down so many times, just now for the last time.
async fn decreased(count: u64) -> Setting {
    let setting = Setting::new(ApiWrites::Own).await;
    let units = json!({"readCapacityUnits": 10, "writeCapacityUnits": 10});
    let mut table = setting.api_server.get("tables", "users").unwrap();
    table["spec"]["billingMode"] = json!("PROVISIONED");
    table["spec"]["provisionedThroughput"] = units.clone();
    let now = Timestamp::from_second(i64::try_from(wall_ms() / 1_000).unwrap()).unwrap().to_string();
    table["status"]["throughput"] = json!({
        "provisionedThroughput": units, "lastDecreaseDateTime": now, "lastIncreaseDateTime": "2026-01-01T00:00:01Z",
        "numberOfDecreases": count,
    });
    setting.api_server.put("tables", "users", table, "cairn-api");
    setting.watch();
    setting
}

fn update(read: u64) -> Value {
    let units = json!({"ReadCapacityUnits": read, "WriteCapacityUnits": 10});
    json!({"TableName": "users", "ProvisionedThroughput": units})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_description_has_what_the_status_says() {
    let setting = decreased(3).await;
    let throughput = setting.described().await["ProvisionedThroughput"].clone();
    assert_eq!(throughput["NumberOfDecreasesToday"], 3);
    assert_eq!(throughput["LastIncreaseDateTime"], 1_767_225_601.0);
    assert!(throughput["LastDecreaseDateTime"].is_f64());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decrease_too_many_is_refused_before_anything_is_written() {
    let setting = decreased(4).await;
    let (name, text) = setting.error("UpdateTable", update(9)).await;
    assert_eq!(name, "LimitExceededException");
    assert!(text.contains("Number of decreases today: 4."), "{text}");
    let spec = || setting.api_server.get("tables", "users").unwrap()["spec"]["provisionedThroughput"].clone();
    assert_eq!(spec()["readCapacityUnits"], 10);
    setting.caller.ok("UpdateTable", update(11)).await;
    assert_eq!(spec()["readCapacityUnits"], 11);
}
