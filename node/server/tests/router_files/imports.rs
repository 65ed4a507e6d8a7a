//! Tables that are declared with the files that they are made of, and with all that a table can have.

use crate::{
    setting::{Setting, eventually},
    support::indexed::{by_key, expected, global_indexes, import, item, local_index, queried, scanned},
};
use cairn_server::environment::wall_ms;
use serde_json::{Value, json};

/// As a manifest has it.
fn declared(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let lower = |name: &String| name[..1].to_lowercase() + &name[1..];
            members.iter().map(|(name, value)| (lower(name), declared(value))).collect()
        }
        Value::Array(elements) => elements.iter().map(declared).collect(),
        other => other.clone(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declared_import_has_its_local_and_global_indexes_and_what_has_expired_goes() {
    let setting = Setting::new().await;
    let mut items: Vec<Value> = (0..80).map(|n| item(&format!("item-{}", n % 9), n, n)).collect();
    let mut lines: String = items.iter().map(|item| format!("{}\n", json!({"Item": item}))).collect();
    // The last of a key wins, also in the indexes.
    items[0] = item("item-0", 0, 35);
    let mut odd = item("odd", 0, 1);
    odd["Rank"] = json!({"S": "first"});
    let mut over = item("over", 0, 1);
    over["Ends"] = json!({"N": (wall_ms() / 1_000 - 60).to_string()});
    for item in [&items[0], &odd, &over] {
        lines.push_str(&format!("{}\n", json!({"Item": item})));
    }
    setting.put_source("items.json", &lines);
    let request = import("users", ["source", "items"], json!({}));
    let begun = setting.caller.ok("ImportTable", request).await["ImportTableDescription"].clone();
    // ImportTable knows neither.
    setting.declare(
        "users",
        json!({
            "localSecondaryIndexes": [declared(&local_index())],
            "timeToLive": {"attributeName": "Ends", "enabled": true},
        }),
    );
    setting.import("users").await;
    let described = setting.caller.ok("DescribeImport", json!({"ImportArn": begun["ImportArn"]})).await;
    let import = &described["ImportTableDescription"];
    let counts = ["ProcessedItemCount", "ImportedItemCount", "ErrorCount"].map(|name| import[name].as_u64().unwrap());
    assert_eq!((&import["ImportStatus"], counts), (&json!("FAILED"), [83, 82, 1]), "{import}");

    let items = by_key(items);
    eventually("what has expired is gone", async || by_key(scanned(&setting.caller, "users", None).await) == items)
        .await;
    for index in [local_index()].iter().chain(&global_indexes()) {
        let name = index["IndexName"].as_str().unwrap();
        let expected = expected(index, &items);
        eventually(&format!("{name} has what the items say"), async || {
            let scanned = by_key(scanned(&setting.caller, "users", Some(name)).await);
            scanned == expected && queried(&setting.caller, "users", index, &items).await == expected
        })
        .await;
    }
    let table = setting.caller.ok("DescribeTable", json!({"TableName": "users"})).await["Table"].clone();
    assert_eq!((&table["ItemCount"], &table["LocalSecondaryIndexes"][0]["ItemCount"]), (&json!(80), &json!(80)));
}
