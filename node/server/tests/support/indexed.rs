//! Tables with an index of each kind and projection, transactions that write them, and what their indexes have to show.

use super::Caller;
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// Items by the two parts of their keys.
pub type Items = BTreeMap<(String, String), Value>;

pub const PAIRS: u64 = 12;

pub fn attributes(attributes: &[(&str, &str)]) -> Value {
    attributes.iter().map(|(name, of_type)| json!({"AttributeName": name, "AttributeType": of_type})).collect()
}

pub fn keys(names: &[&str]) -> Value {
    let element = |(name, key_type): (&&str, &str)| json!({"AttributeName": name, "KeyType": key_type});
    names.iter().zip(["HASH", "RANGE"]).map(element).collect()
}

pub fn index(name: &str, of_keys: &[&str], projection: &str) -> Value {
    let mut index =
        json!({"IndexName": name, "KeySchema": keys(of_keys), "Projection": {"ProjectionType": projection}});
    if projection == "INCLUDE" {
        index["Projection"]["NonKeyAttributes"] = json!(["Version"]);
    }
    index
}

pub fn local_index() -> Value {
    index("by-version", &["Id", "Rank"], "INCLUDE")
}

/// Of each projection one; the last has few of the items.
pub fn global_indexes() -> [Value; 3] {
    [
        index("by-team", &["Team", "Rank"], "ALL"),
        index("by-rank", &["Rank"], "KEYS_ONLY"),
        index("by-flag", &["Flag", "Id"], "INCLUDE"),
    ]
}

pub const ATTRIBUTES: [(&str, &str); 5] = [("Id", "S"), ("At", "N"), ("Team", "S"), ("Rank", "N"), ("Flag", "S")];

/// Of a table with an index of each kind and projection, and a stream.
pub fn definition() -> Value {
    json!({
        "AttributeDefinitions": attributes(&ATTRIBUTES),
        "KeySchema": keys(&["Id", "At"]),
        "BillingMode": "PAY_PER_REQUEST",
        "LocalSecondaryIndexes": [local_index()],
        "GlobalSecondaryIndexes": global_indexes(),
        "StreamSpecification": {"StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    })
}

/// ImportTable of what [`item`] makes, from DynamoDB JSON under a prefix of a bucket, with the global indexes; and with what is given.
pub fn import(table_name: &str, [bucket, prefix]: [&str; 2], more: Value) -> Value {
    let mut request = json!({
        "S3BucketSource": {"S3Bucket": bucket, "S3KeyPrefix": prefix},
        "InputFormat": "DYNAMODB_JSON",
        "TableCreationParameters": {
            "TableName": table_name,
            "AttributeDefinitions": attributes(&ATTRIBUTES),
            "KeySchema": keys(&["Id", "At"]),
            "BillingMode": "PAY_PER_REQUEST",
            "GlobalSecondaryIndexes": global_indexes(),
        },
    });
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

pub fn item(id: &str, at: u64, version: u64) -> Value {
    let mut item = json!({
        "Id": {"S": id}, "At": {"N": at.to_string()}, "Version": {"N": version.to_string()},
        "Team": {"S": format!("team-{}", version % 3)}, "Rank": {"N": (version % 7).to_string()},
        "Ends": {"N": "9999999999"}, "Rest": {"L": [{"S": "r".repeat(200)}]},
    });
    if version.is_multiple_of(5) {
        item["Flag"] = json!({"S": "up"});
    }
    item
}

/// Writes or deletes both items of a pair in `users`, together with an item of `orders`, until it is told to stop; some of it is
/// refused where all others are prepared.
pub async fn write_pairs(caller: Caller, ended: Arc<AtomicBool>) -> u64 {
    let mut version = 0;
    while !ended.load(Ordering::Relaxed) {
        version += 1;
        let pair = format!("pair-{}", version % PAIRS);
        let action = |at: u64| match version % 7 {
            0 => json!({"Delete": {"TableName": "users", "Key": {"Id": {"S": pair}, "At": {"N": at.to_string()}}}}),
            _ => json!({"Put": {"TableName": "users", "Item": item(&pair, at, version)}}),
        };
        let mut order = json!({"TableName": "orders", "Item": {"Id": {"S": pair}, "V": {"N": version.to_string()}}});
        let is_refused = version % 6 == 1;
        if is_refused {
            order["ConditionExpression"] = json!("attribute_exists(Nothing)");
        }
        let actions = json!([action(0), {"Put": order}, action(1)]);
        let (status, answer) = caller.call("TransactWriteItems", json!({"TransactItems": actions})).await.unwrap();
        assert_eq!(status, if is_refused { 400 } else { 200 }, "{answer}");
    }
    version
}

pub fn text(item: &Value, name: &str, of_type: &str) -> String {
    item[name][of_type].as_str().unwrap().to_owned()
}

pub fn by_key(items: impl IntoIterator<Item = Value>) -> Items {
    let mut by_key = Items::new();
    for item in items {
        let key = (text(&item, "Id", "S"), text(&item, "At", "N"));
        assert!(by_key.insert(key, item).is_none(), "an item is there twice");
    }
    by_key
}

pub async fn scanned(caller: &Caller, table: &str, index: Option<&str>) -> Vec<Value> {
    // A global index can't be read consistently.
    let mut scan =
        Map::from_iter([("TableName".to_owned(), json!(table)), ("ConsistentRead".to_owned(), json!(index.is_none()))]);
    scan.extend(index.map(|index| ("IndexName".to_owned(), json!(index))));
    let scan = caller.ok("Scan", Value::Object(scan)).await;
    assert!(scan.get("LastEvaluatedKey").is_none(), "it all fits in a page");
    scan["Items"].as_array().unwrap().clone()
}

/// What an index has by what is said of it and what the items say.
pub fn expected(index: &Value, items: &Items) -> Items {
    let names = |elements: &Value, member: &str| -> Vec<String> {
        let elements = elements.as_array().into_iter().flatten();
        elements.map(|element| element[member].as_str().unwrap().to_owned()).collect()
    };
    let of_keys = names(&index["KeySchema"], "AttributeName");
    let mut shown: BTreeSet<String> = of_keys.iter().cloned().chain(["Id".to_owned(), "At".to_owned()]).collect();
    let included = index["Projection"]["NonKeyAttributes"].as_array().into_iter().flatten();
    shown.extend(included.map(|name| name.as_str().unwrap().to_owned()));
    let is_all = index["Projection"]["ProjectionType"] == "ALL";
    let has = items.iter().filter(|(_, item)| of_keys.iter().all(|name| item.get(name).is_some()));
    let projected = has.map(|(key, item)| {
        let attributes = item.as_object().unwrap().clone().into_iter();
        let item = attributes.filter(|(name, _)| is_all || shown.contains(name)).collect();
        (key.clone(), Value::Object(item))
    });
    projected.collect()
}

/// Query of an index by each value that its partition key has.
pub async fn queried(caller: &Caller, table: &str, index: &Value, items: &Items) -> Items {
    let hash = index["KeySchema"][0]["AttributeName"].as_str().unwrap();
    let values: BTreeSet<String> = items.values().filter_map(|item| Some(item.get(hash)?.to_string())).collect();
    let mut found = Vec::new();
    for value in values {
        let query = json!({
            "TableName": table, "IndexName": index["IndexName"], "KeyConditionExpression": "#h = :h",
            "ExpressionAttributeNames": {"#h": hash},
            "ExpressionAttributeValues": {":h": serde_json::from_str::<Value>(&value).unwrap()},
        });
        found.extend(caller.ok("Query", query).await["Items"].as_array().unwrap().clone());
    }
    by_key(found)
}

/// Each pair is there with both items of one transaction, or is not there.
pub fn assert_pairs_whole(items: &Items) {
    for pair in 0..PAIRS {
        let version =
            |at: &str| items.get(&(format!("pair-{pair}"), at.to_owned())).map(|item| item["Version"].clone());
        assert_eq!(version("0"), version("1"), "half of a transaction wrote pair {pair}");
    }
}
