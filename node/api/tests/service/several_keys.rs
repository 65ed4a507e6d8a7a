//! Global secondary indexes with several attributes of their partition key and of their sort key.

use crate::{
    client::Service,
    global_indexes::{definition, with},
};
use cairn_api::Catalog;
use serde_json::{Value, json};

const ATTRIBUTES: &[(&str, &str)] = &[("Team", "S"), ("Zone", "N"), ("Rank", "N"), ("Nick", "S"), ("Mark", "B")];
const KEYS: &[(&str, &str)] =
    &[("Team", "HASH"), ("Zone", "HASH"), ("Rank", "RANGE"), ("Nick", "RANGE"), ("Mark", "RANGE")];

fn key_schema(keys: &[(&str, &str)]) -> Value {
    keys.iter().map(|(name, key_type)| json!({"AttributeName": name, "KeyType": key_type})).collect()
}

fn index(name: &str, keys: &[(&str, &str)], projection_type: &str) -> Value {
    json!({"IndexName": name, "KeySchema": key_schema(keys), "Projection": {"ProjectionType": projection_type}})
}

/// The table `scores` (User, At) with the indexes `placed`, by all of [`KEYS`], and `keys`, of which only keys are shown.
async fn indexed() -> Service {
    let service = Service::start().await;
    let indexes = [index("placed", KEYS, "ALL"), index("keys", &KEYS[..3], "KEYS_ONLY")];
    service.ok("CreateTable", definition(ATTRIBUTES, &indexes)).await;
    service
}

fn score(user: &str, zone: i32, rank: i32, nick: &str, mark: &str) -> Value {
    json!({
        "User": {"S": user}, "At": {"N": "1"}, "Team": {"S": "red"}, "Zone": {"N": zone.to_string()},
        "Rank": {"N": rank.to_string()}, "Nick": {"S": nick}, "Mark": {"B": mark}, "More": {"S": "y"}
    })
}

/// In zone 1, by Rank, Nick and Mark: ben, anna, dora, carl, emil. Fay is in another zone, and gus has no mark.
async fn with_scores() -> Service {
    let service = indexed().await;
    for item in [
        score("anna", 1, 7, "b", "AAA="),
        score("ben", 1, -20, "z", "AAA="),
        score("carl", 1, 10, "ab", "AAA="),
        score("dora", 1, 10, "a", "/w=="),
        score("emil", 1, 10, "ab", "AAAB"),
        score("fay", 2, 7, "b", "AAA="),
    ] {
        put(&service, item).await;
    }
    let mut without = score("gus", 1, 7, "b", "AAA=");
    without.as_object_mut().unwrap().remove("Mark");
    put(&service, without).await;
    service
}

async fn put(service: &Service, item: Value) {
    service.ok("PutItem", json!({"TableName": "scores", "Item": item})).await;
}

/// Of the index `placed`, with what of the values the condition names.
fn query(condition: &str) -> Value {
    let values = [
        (":t", json!({"S": "red"})),
        (":z", json!({"N": "1"})),
        (":r", json!({"N": "10"})),
        (":l", json!({"N": "-1"})),
        (":n", json!({"S": "ab"})),
        (":a", json!({"S": "a"})),
        (":m", json!({"B": "AAA="})),
    ];
    let named: serde_json::Map<String, Value> = values
        .into_iter()
        .filter(|(name, _)| condition.contains(name))
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    let names: serde_json::Map<String, Value> = ["Zone", "Rank"]
        .into_iter()
        .filter(|name| condition.contains(&format!("#{name}")))
        .map(|name| (format!("#{name}"), json!(name)))
        .collect();
    let mut query = json!({
        "TableName": "scores", "IndexName": "placed", "KeyConditionExpression": condition,
        "ExpressionAttributeValues": named
    });
    if !names.is_empty() {
        query["ExpressionAttributeNames"] = json!(names);
    }
    query
}

fn partition(more: &str) -> Value {
    query(&format!("Team = :t AND #Zone = :z{more}"))
}

fn users(answer: &Value) -> Vec<String> {
    answer["Items"].as_array().unwrap().iter().map(|item| item["User"]["S"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_table_is_described_with_all_keys_of_its_indexes() {
    let service = indexed().await;
    let table = service.ok("DescribeTable", json!({"TableName": "scores"})).await["Table"].clone();
    assert_eq!(table["GlobalSecondaryIndexes"][0]["KeySchema"], key_schema(KEYS));
    assert_eq!(table["GlobalSecondaryIndexes"][1]["KeySchema"], key_schema(&KEYS[..3]));
    assert_eq!(table["AttributeDefinitions"].as_array().unwrap().len(), 7);
}

#[tokio::test]
async fn an_index_has_up_to_four_attributes_of_a_kind() {
    let service = Service::start().await;
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let attributes = names.map(|name| (name, "S"));
    let kinds: Vec<_> =
        names.iter().enumerate().map(|(at, name)| (*name, if at < 4 { "HASH" } else { "RANGE" })).collect();
    service.ok("CreateTable", definition(&attributes, &[index("all", &kinds, "ALL")])).await;
    for (kind, others) in [("HASH", 5), ("RANGE", 6)] {
        let keys: Vec<_> =
            names[..others].iter().enumerate().map(|(at, name)| (*name, if at == 0 { "HASH" } else { kind })).collect();
        let other =
            with(definition(&attributes[..others], &[index("all", &keys, "ALL")]), json!({"TableName": "other"}));
        assert_eq!(
            service.invalid("CreateTable", other).await,
            format!(
                "One or more parameter values were invalid: The KeySchema exceeds the maximum allowed number of {kind} key \
                 attributes"
            )
        );
    }
}

#[tokio::test]
async fn items_come_in_the_order_of_the_sort_attributes_one_after_the_other_without_those_that_lack_one() {
    let service = with_scores().await;
    let order = ["ben", "anna", "dora", "carl", "emil"];
    assert_eq!(users(&service.ok("Query", partition("")).await), order);
    let mut backward = service.ok("Query", with(partition(""), json!({"ScanIndexForward": false}))).await;
    backward["Items"].as_array_mut().unwrap().reverse();
    assert_eq!(users(&backward), order);
    let scanned = service.ok("Scan", json!({"TableName": "scores", "IndexName": "placed"})).await;
    assert_eq!(scanned["Count"], 6);
}

#[tokio::test]
async fn conditions_on_the_first_sort_attributes_take_a_part_of_the_partition() {
    let service = with_scores().await;
    for (more, expected) in [
        (" AND #Rank = :r", &["dora", "carl", "emil"][..]),
        (" AND #Rank < :r", &["ben", "anna"]),
        (" AND #Rank BETWEEN :l AND :r", &["anna", "dora", "carl", "emil"]),
        (" AND Nick = :n AND #Rank = :r", &["carl", "emil"]),
        (" AND #Rank = :r AND Nick > :a", &["carl", "emil"]),
        (" AND #Rank = :r AND begins_with(Nick, :a)", &["dora", "carl", "emil"]),
        (" AND #Rank = :r AND Nick = :n AND Mark = :m", &["carl"]),
        (" AND #Rank = :r AND Nick = :n AND Mark > :m", &["emil"]),
        (" AND #Rank = :r AND Nick = :n AND begins_with(Mark, :m)", &["carl", "emil"]),
    ] {
        assert_eq!(users(&service.ok("Query", partition(more)).await), expected, "{more}");
    }
    let equal = |value: Value| json!({"ComparisonOperator": "EQ", "AttributeValueList": [value]});
    let legacy = json!({"TableName": "scores", "IndexName": "placed", "KeyConditions": {
        "Team": equal(json!({"S": "red"})), "Zone": equal(json!({"N": "1"})), "Rank": equal(json!({"N": "10"})),
        "Nick": {"ComparisonOperator": "GT", "AttributeValueList": [{"S": "a"}]}
    }});
    assert_eq!(users(&service.ok("Query", legacy).await), ["carl", "emil"]);
}

#[tokio::test]
async fn conditions_with_gaps_are_refused_in_dynamodbs_words() {
    let service = with_scores().await;
    let range = |names: &str, on: &str| {
        format!(
            "RANGE key attributes {names} must have equality conditions specified in the query because a condition is \
             present on key attribute {on}"
        )
    };
    for (request, expected) in [
        (
            query("Team = :t"),
            "HASH key attributes Zone must have equality conditions specified in the query".to_owned(),
        ),
        (partition(" AND Nick = :n"), range("Rank", "Nick")),
        (partition(" AND #Rank > :r AND Nick = :n"), range("Rank", "Nick")),
        (partition(" AND #Rank = :r AND Mark = :m"), range("Nick", "Mark")),
        (
            with(partition(""), json!({"FilterExpression": "Nick <> Team"})),
            "Filter Expression can only contain non-primary key attributes: Primary key attribute: Nick".to_owned(),
        ),
    ] {
        assert_eq!(service.invalid("Query", request).await, expected);
    }
}

#[tokio::test]
async fn a_page_ends_with_all_key_attributes_and_the_next_begins_there() {
    let service = with_scores().await;
    for (operation, base, expected) in [
        ("Query", partition(" AND #Rank = :r"), 3),
        ("Query", with(partition(""), json!({"ScanIndexForward": false})), 5),
        ("Scan", json!({"TableName": "scores", "IndexName": "placed"}), 6),
        ("Scan", json!({"TableName": "scores", "IndexName": "keys"}), 7),
    ] {
        let whole = users(&service.ok(operation, base.clone()).await);
        let mut request = with(base.clone(), json!({"Limit": 1}));
        let mut found = Vec::new();
        loop {
            let answer = service.ok(operation, request.clone()).await;
            found.extend(users(&answer));
            let Some(last) = answer.get("LastEvaluatedKey") else { break };
            let mut names: Vec<_> = last.as_object().unwrap().keys().cloned().collect();
            names.sort();
            let of_index = if base["IndexName"] == "keys" { vec!["Rank"] } else { vec!["Mark", "Nick", "Rank"] };
            let mut keys = [&["At", "Team", "User", "Zone"][..], &of_index].concat();
            keys.sort_unstable();
            assert_eq!(names, keys);
            request["ExclusiveStartKey"] = last.clone();
        }
        assert_eq!((found.len(), &found), (expected, &whole));
    }
}

#[tokio::test]
async fn a_start_key_must_have_all_key_attributes_and_lie_where_the_query_reads() {
    let service = with_scores().await;
    let mut start = score("carl", 1, 10, "ab", "AAA=");
    start.as_object_mut().unwrap().remove("More");
    let mut without = start.clone();
    without.as_object_mut().unwrap().remove("Zone");
    let from = |start: &Value| with(partition(" AND #Rank = :r"), json!({"ExclusiveStartKey": start}));
    assert_eq!(users(&service.ok("Query", from(&start)).await), ["emil"]);
    assert_eq!(service.invalid("Query", from(&without)).await, "The provided starting key is invalid");
    let elsewhere = with(start.clone(), json!({"Rank": {"N": "7"}}));
    assert_eq!(
        service.invalid("Query", from(&elsewhere)).await,
        "The provided starting key does not match the range key predicate"
    );
    let other_zone = with(start, json!({"Zone": {"N": "2"}}));
    assert_eq!(
        service.invalid("Query", with(partition(""), json!({"ExclusiveStartKey": other_zone}))).await,
        "The provided starting key is outside query boundaries based on provided conditions"
    );
}

#[tokio::test]
async fn an_index_of_keys_only_shows_all_keys_and_no_more() {
    let service = with_scores().await;
    let answer = service.ok("Query", with(partition(" AND #Rank < :l"), json!({"IndexName": "keys"}))).await;
    let expected = json!({
        "User": {"S": "ben"}, "At": {"N": "1"}, "Team": {"S": "red"}, "Zone": {"N": "1"}, "Rank": {"N": "-20"}
    });
    assert_eq!(answer["Items"], json!([expected]));
}

#[tokio::test]
async fn every_key_attribute_has_its_type_and_its_own_longest_value() {
    let service = indexed().await;
    let refused = |more: Value| {
        let item = with(score("anna", 1, 1, "a", "AAA="), more);
        let service = &service;
        async move { service.invalid("PutItem", json!({"TableName": "scores", "Item": item})).await }
    };
    assert_eq!(
        refused(json!({"Zone": {"S": "1"}})).await,
        "One or more parameter values were invalid: Type mismatch for Index Key Zone Expected: N Actual: S IndexName: keys"
    );
    assert_eq!(
        refused(json!({"Nick": {"S": ""}})).await,
        "One or more parameter values are not valid. A value specified for a secondary index key is not supported. The \
         AttributeValue for a key attribute cannot contain an empty string value. IndexName: placed, IndexKey: Nick"
    );
    assert_eq!(
        refused(json!({"Nick": {"S": "x".repeat(1025)}})).await,
        "One or more parameter values were invalid: Aggregated size of all range keys has exceeded the size limit of 1024 \
         bytes"
    );
    put(&service, with(score("anna", 1, 1, &"x".repeat(1024), "AAA="), json!({"Team": {"S": "y".repeat(2048)}}))).await;
    let scanned = service.ok("Scan", json!({"TableName": "scores", "IndexName": "placed"})).await;
    assert_eq!(users(&scanned), ["anna"]);
}

#[tokio::test]
async fn an_item_leaves_the_index_with_any_key_attribute_and_comes_back_with_it() {
    let service = with_scores().await;
    let update = |expression: &str, more: Value| {
        let key = json!({"User": {"S": "carl"}, "At": {"N": "1"}});
        with(json!({"TableName": "scores", "Key": key, "UpdateExpression": expression}), more)
    };
    for name in ["Team", "Zone", "Rank", "Nick", "Mark"] {
        let names = json!({"ExpressionAttributeNames": {"#x": name}});
        service.ok("UpdateItem", update("REMOVE #x", names.clone())).await;
        assert_eq!(users(&service.ok("Query", partition("")).await), ["ben", "anna", "dora", "emil"], "{name}");
        let values = json!({"ExpressionAttributeValues": {":x": score("carl", 1, 10, "ab", "AAA=")[name]}});
        service.ok("UpdateItem", update("SET #x = :x", with(names, values))).await;
    }
    assert_eq!(users(&service.ok("Query", partition("")).await), ["ben", "anna", "dora", "carl", "emil"]);
}

#[tokio::test]
async fn statements_read_the_table_and_no_index_with_several_keys_of_a_kind() {
    const REFUSED: &str =
        "PartiQL statements cannot be executed on tables with multi-attribute HASH keys or multi-attribute RANGE keys.";
    let service = with_scores().await;
    for statement in [
        "SELECT * FROM scores.placed WHERE Team = 'red' AND \"Zone\" = 1",
        "SELECT * FROM scores.placed WHERE Team = 5",
        "SELECT * FROM scores.placed",
        "SELECT * FROM scores.\"keys\" WHERE Team = 'red' ORDER BY \"Rank\"",
    ] {
        assert_eq!(service.invalid("ExecuteStatement", json!({"Statement": statement})).await, REFUSED, "{statement}");
    }
    let batch = json!({"Statements": [
        {"Statement": "SELECT * FROM scores.placed WHERE Team = 'red'"},
        {"Statement": "SELECT * FROM scores WHERE \"User\" = 'anna' AND \"At\" = 1"}
    ]});
    let answer = service.ok("BatchExecuteStatement", batch).await;
    assert_eq!(answer["Responses"][0]["Error"]["Message"], REFUSED);
    assert_eq!(answer["Responses"][1]["Item"]["User"], json!({"S": "anna"}));
}

#[tokio::test]
async fn an_index_with_several_keys_is_added_to_a_table() {
    let service = Service::start().await;
    let single = index("by-team", &[("Team", "HASH")], "ALL");
    service.ok("CreateTable", definition(&[("Team", "S")], &[single])).await;
    let defined: Value =
        ATTRIBUTES.iter().map(|(name, kind)| json!({"AttributeName": name, "AttributeType": kind})).collect();
    let added = json!({
        "TableName": "scores", "AttributeDefinitions": defined,
        "GlobalSecondaryIndexUpdates": [{"Create": index("placed", KEYS, "ALL")}]
    });
    let answer = service.ok("UpdateTable", added).await["TableDescription"].clone();
    assert_eq!(answer["GlobalSecondaryIndexes"][1]["KeySchema"], key_schema(KEYS));
    let definition = service.catalog.table("game", "scores").unwrap().definition.clone();
    assert!(definition.global_indexes[1].key_schema.keys().are_several());
}
