//! A router whose view of the tables is a moment behind what the API server has.

use crate::{setting::Setting, support::api_server::active_table};
use cairn_api::Environment;
use cairn_model::ids::TableId;
use cairn_server::{environment::SystemEnvironment, router::writes::ApiWrites};
use futures::future::join_all;
use serde_json::{Map, Value, json};

fn protect() -> Value {
    json!({"TableName": "users", "DeletionProtectionEnabled": true})
}

fn expire_by(attribute: &str) -> Value {
    json!({"TableName": "users", "TimeToLiveSpecification": {"AttributeName": attribute, "Enabled": true}})
}

fn spec(setting: &Setting) -> Value {
    setting.api_server.get("tables", "users").unwrap()["spec"].clone()
}

/// The table `users` becomes another, which the router is not told of yet.
fn change(setting: &Setting, spec: Value) {
    let mut table = setting.api_server.get("tables", "users").unwrap();
    table["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    setting.api_server.put("tables", "users", table, "cairn-api");
}

/// As is with an index by team, noted with this status, for which `None` is that it is not noted at all.
fn index(setting: &Setting, status: Option<&str>) {
    let (by_team, team) = (
        json!({
            "indexName": "by-team", "keySchema": [{"attributeName": "Team", "keyType": "HASH"}],
            "projection": {"projectionType": "ALL"},
        }),
        json!({"attributeName": "Team", "attributeType": "S"}),
    );
    let id = json!({"attributeName": "Id", "attributeType": "S"});
    change(setting, json!({"attributeDefinitions": [id, team], "globalSecondaryIndexes": [by_team]}));
    let mut noted = setting.api_server.get("tables", "users").unwrap()["status"].clone();
    if let Some(status) = status {
        let mut index = by_team;
        let more = json!({
            "indexId": TableId([9; 16]).to_string(), "slot": 0, "indexStatus": status, "placements": [],
            "attributeDefinitions": [team],
        });
        index.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        noted["globalSecondaryIndexes"] = json!([index]);
    }
    setting.api_server.set_status("tables", "users", noted);
}

/// Reads of the index by team.
fn reads_of_index() -> [(&'static str, Value); 3] {
    let query = json!({
        "TableName": "users", "IndexName": "by-team", "KeyConditionExpression": "Team = :team",
        "ExpressionAttributeValues": {":team": {"S": "red"}},
    });
    let select = json!({"Statement": "SELECT * FROM users.\"by-team\" WHERE Team = 'red'"});
    [("Query", query), ("Scan", json!({"TableName": "users", "IndexName": "by-team"})), ("ExecuteStatement", select)]
}

/// The partitions, which are none here, are asked for what the operation wants.
async fn reaches_the_partitions(setting: &Setting, operation: &str, body: Value) {
    let (status, answer) = setting.caller.call(operation, body).await.unwrap();
    // A transaction that reached none of them says that nothing was done.
    assert!(matches!(status, 500 | 503), "{operation}: {answer}");
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
    reaches_the_partitions(&setting, "GetItem", get).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_was_made_just_now_is_read() {
    for known in [None, Some("CREATING")] {
        for (operation, body) in reads_of_index() {
            let setting = Setting::new(ApiWrites::Own).await;
            if known.is_some() {
                index(&setting, known);
                setting.watch();
            }
            let refusal = setting.error(operation, body.clone()).await;
            assert_eq!(refusal.0, "ValidationException", "{operation}: {refusal:?}");
            index(&setting, Some("ACTIVE"));
            reaches_the_partitions(&setting, operation, body).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_is_no_longer_under_way_is_in_nobodys_way() {
    let create = json!({"Create": {
        "IndexName": "by-rank", "KeySchema": [{"AttributeName": "Rank", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
    }});
    let update = |update: Value| {
        json!({
            "TableName": "users", "GlobalSecondaryIndexUpdates": [update],
            "AttributeDefinitions": [{"AttributeName": "Rank", "AttributeType": "S"}],
        })
    };
    let delete = json!({"Delete": {"IndexName": "by-team"}});
    for (operation, body) in [
        ("UpdateTable", update(create)),
        ("UpdateTable", update(delete)),
        ("DeleteTable", json!({"TableName": "users"})),
    ] {
        let setting = Setting::new(ApiWrites::Own).await;
        index(&setting, Some("CREATING"));
        setting.watch();
        setting.error(operation, body.clone()).await;
        index(&setting, Some("ACTIVE"));
        setting.caller.ok(operation, body).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_another_router_asked_for_just_now_can_be_deleted() {
    let setting = Setting::new(ApiWrites::Own).await;
    index(&setting, Some("ACTIVE"));
    let delete = json!({"TableName": "users", "GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": "by-team"}}]});
    setting.caller.ok("UpdateTable", delete).await;
    assert_eq!(spec(&setting)["globalSecondaryIndexes"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_goes_by_the_protection_of_now() {
    let setting = Setting::new(ApiWrites::Own).await;
    let delete = json!({"TableName": "users"});
    change(&setting, json!({"deletionProtectionEnabled": true}));
    let (name, text) = setting.error("DeleteTable", delete.clone()).await;
    assert_eq!(name, "ValidationException");
    assert!(text.contains("protected against deletion"), "{text}");
    assert!(setting.api_server.get("tables", "users").is_some());
    change(&setting, json!({"deletionProtectionEnabled": false}));
    setting.caller.ok("DeleteTable", delete).await;
    assert!(setting.api_server.get("tables", "users").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_deleted_that_has_the_name_of_one_that_was() {
    let setting = Setting::new(ApiWrites::Own).await;
    setting.api_server.set_deleting("tables", "users");
    setting.watch();
    setting.api_server.remove("tables", "users");
    setting.api_server.put("tables", "users", active_table(TableId([8; 16]), json!({}), json!({})), "cairn-api");
    setting.caller.ok("DeleteTable", json!({"TableName": "users"})).await;
    assert!(setting.api_server.get("tables", "users").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_of_a_table_that_is_gone_is_free_at_once() {
    let setting = Setting::new(ApiWrites::Own).await;
    setting.api_server.remove("tables", "users");
    let create = json!({
        "TableName": "users", "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "Name", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "Name", "KeyType": "HASH"}],
    });
    setting.caller.ok("CreateTable", create.clone()).await;
    assert_eq!(spec(&setting)["keySchema"][0]["attributeName"], "Name");
    let (name, _) = setting.error("CreateTable", create).await;
    assert_eq!(name, "ResourceInUseException");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_gone_is_not_shown() {
    let setting = Setting::new(ApiWrites::Own).await;
    setting.api_server.remove("tables", "users");
    let (name, _) = setting.error("DescribeTable", json!({"TableName": "users"})).await;
    assert_eq!(name, "ResourceNotFoundException");
    assert_eq!(setting.caller.ok("ListTables", json!({})).await["TableNames"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_router_changed_just_now_is_shown() {
    let setting = Setting::new(ApiWrites::Own).await;
    change(
        &setting,
        json!({
            "deletionProtectionEnabled": true, "timeToLive": {"attributeName": "ends"},
            "tags": [{"key": "team", "value": "red"}],
            "streamSpecification": {"streamEnabled": true, "streamViewType": "KEYS_ONLY"},
        }),
    );
    let users = json!({"TableName": "users"});
    let expiry = setting.caller.ok("DescribeTimeToLive", users.clone()).await;
    assert_eq!(expiry["TimeToLiveDescription"]["AttributeName"], "ends");
    change(&setting, json!({"timeToLive": {"attributeName": "expires"}, "tags": [{"key": "team", "value": "blue"}]}));
    let arn = json!({"ResourceArn": "arn:aws:dynamodb:east:game:table/users"});
    let tags = setting.caller.ok("ListTagsOfResource", arn).await["Tags"].clone();
    assert_eq!(tags, json!([{"Key": "team", "Value": "blue"}]));
    note(&setting, "UPDATING");
    assert_eq!(setting.described().await["TableStatus"], "UPDATING");
}

/// The operator notes that it has seen the resource of `users` as it is.
fn observe(setting: &Setting) {
    let table = setting.api_server.get("tables", "users").unwrap();
    let mut status = table["status"].clone();
    status["observedGeneration"] = table["metadata"]["generation"].clone();
    setting.api_server.set_status("tables", "users", status);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_updating_from_its_change_until_the_operator_has_seen_to_it() {
    let setting = Setting::new(ApiWrites::Own).await;
    observe(&setting);
    setting
        .caller
        .ok(
            "TagResource",
            json!({
                "ResourceArn": "arn:aws:dynamodb:east:game:table/users", "Tags": [{"Key": "team", "Value": "red"}],
            }),
        )
        .await;
    setting.caller.ok("UpdateTimeToLive", expire_by("ends")).await;
    setting.caller.ok("UpdateTable", protect()).await;
    assert_eq!(setting.described().await["TableStatus"], "ACTIVE", "as DynamoDB shows it");
    assert_eq!(setting.error("DeleteTable", json!({"TableName": "users"})).await.0, "ValidationException");
    let stream = json!({"StreamEnabled": true, "StreamViewType": "KEYS_ONLY"});
    setting.caller.ok("UpdateTable", json!({"TableName": "users", "StreamSpecification": stream})).await;
    assert_eq!(setting.described().await["TableStatus"], "UPDATING");
    let class = json!({"TableName": "users", "TableClass": "STANDARD_INFREQUENT_ACCESS"});
    assert_eq!(setting.error("UpdateTable", class.clone()).await.0, "ResourceInUseException");
    observe(&setting);
    assert_eq!(setting.described().await["TableStatus"], "ACTIVE");
    setting.caller.ok("UpdateTable", class).await;
    assert_eq!(setting.described().await["TableStatus"], "UPDATING");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_to_take_more_at_once_is_active_and_its_warm_throughput_is_updating() {
    let setting = Setting::new(ApiWrites::Own).await;
    observe(&setting);
    setting.watch();
    let warm = json!({"TableName": "users", "WarmThroughput": {"ReadUnitsPerSecond": 20_000}});
    let answer = setting.caller.ok("UpdateTable", warm).await["TableDescription"].clone();
    for table in [answer, setting.described().await] {
        assert_eq!(table["TableStatus"], "ACTIVE");
        assert_eq!(table["WarmThroughput"]["Status"], "UPDATING");
        assert_eq!(table["WarmThroughput"]["ReadUnitsPerSecond"], 12_000, "as it was until it is so");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn recovery_that_another_router_turned_on_just_now_is_turned_off() {
    let setting = Setting::new(ApiWrites::Own).await;
    change(&setting, json!({"continuousBackups": {"pointInTimeRecoveryEnabled": true}}));
    let off = json!({"TableName": "users", "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": false}});
    setting.caller.ok("UpdateContinuousBackups", off).await;
    assert_ne!(spec(&setting)["continuousBackups"]["pointInTimeRecoveryEnabled"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_for_several_tables_that_were_made_just_now_find_all_of_them() {
    let names: Vec<String> = (0..5).map(|n| format!("new-{n}")).collect();
    let of_each = |request: &dyn Fn(&str) -> Value| names.iter().map(|name| request(name)).collect::<Vec<Value>>();
    let by_name = |request: Value| names.iter().map(|name| (name.clone(), request.clone())).collect::<Map<_, _>>();
    let key = json!({"Id": {"S": "ada"}});
    let operations = [
        ("BatchGetItem", json!({"RequestItems": by_name(json!({"Keys": [key]}))})),
        ("BatchWriteItem", json!({"RequestItems": by_name(json!([{"DeleteRequest": {"Key": key}}]))})),
        (
            "TransactGetItems",
            json!({"TransactItems": of_each(&|name| json!({"Get": {"TableName": name, "Key": key}}))}),
        ),
        (
            "TransactWriteItems",
            json!({"TransactItems": of_each(&|name| json!({"Delete": {"TableName": name, "Key": key}}))}),
        ),
        (
            "ExecuteTransaction",
            json!({"TransactStatements": of_each(&|name| {
                json!({"Statement": format!("DELETE FROM \"{name}\" WHERE Id = 'ada'")})
            })}),
        ),
    ];
    for (operation, body) in operations {
        let setting = Setting::new(ApiWrites::Own).await;
        for (n, name) in (10..).zip(&names) {
            let made = active_table(TableId([n; 16]), json!({}), json!({}));
            setting.api_server.put("tables", name, made, "cairn-api");
        }
        reaches_the_partitions(&setting, operation, body).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_found_once_the_api_server_answers_again() {
    let setting = Setting::new(ApiWrites::Own).await;
    setting.api_server.put("tables", "scores", active_table(TableId([8; 16]), json!({}), json!({})), "cairn-api");
    setting.api_server.set_broken(true);
    let scan = json!({"TableName": "scores"});
    assert_eq!(setting.error("Scan", scan.clone()).await.0, "ResourceNotFoundException");
    setting.api_server.set_broken(false);
    reaches_the_partitions(&setting, "Scan", scan).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_serves_while_the_api_server_is_in_trouble() {
    let setting = Setting::new(ApiWrites::Own).await;
    setting.api_server.set_broken(true);
    assert_eq!(setting.described().await["TableStatus"], "ACTIVE");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_for_tables_that_are_not_there_do_not_trouble_the_api_server() {
    let setting = Setting::new(ApiWrites::Own).await;
    let of = |name: String| setting.error("DescribeTable", json!({"TableName": name}));
    let before = setting.api_server.got();
    let began = SystemEnvironment.monotonic();
    let answers = join_all((0..50).map(|_| of("nobody".to_owned()))).await;
    assert!(answers.iter().all(|(name, _)| name == "ResourceNotFoundException"));
    let (asked, took) = (setting.api_server.got() - before, SystemEnvironment.monotonic() - began);
    assert!(asked as u128 <= 2 + took.as_millis() / 100, "ten look-ups a second, not {asked} in {took:?}");
    let answers = join_all((0..200).map(|n| of(format!("nobody-{n}")))).await;
    assert!(answers.iter().all(|(name, _)| name == "ResourceNotFoundException"));
    let (asked, took) = (setting.api_server.got() - before, SystemEnvironment.monotonic() - began);
    assert!(
        asked as u64 <= 25 * (1 + took.as_secs_f32().ceil() as u64),
        "25 look-ups a second, not {asked} in {took:?}"
    );
}
