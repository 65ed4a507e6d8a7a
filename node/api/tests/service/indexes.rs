//! Local secondary indexes: reads of them, what they cost, and what an item must be to enter them.

use crate::client::Service;
use cairn_model::{
    index::{IndexProjection, LocalIndex, ProjectionType},
    table::{KeyAttribute, ScalarType},
};
use serde_json::{Value, json};

fn index(
    slot: u8,
    name: &str,
    sort: (&str, ScalarType),
    projection_type: ProjectionType,
    included: &[&str],
) -> LocalIndex {
    LocalIndex {
        index_name: name.to_owned(),
        slot,
        sort: KeyAttribute { name: sort.0.to_owned(), scalar_type: sort.1 },
        projection: IndexProjection {
            projection_type,
            non_key_attributes: included.iter().map(|name| (*name).to_owned()).collect(),
        },
    }
}

/// The table `users` (Id, Game) with the indexes `all` by Score, `keys` by Mark and `some` by Score with Name.
async fn indexed() -> Service {
    let service = Service::with_users().await;
    let score = ("Score", ScalarType::N);
    let indexes = vec![
        index(1, "all", score, ProjectionType::All, &[]),
        index(2, "keys", ("Mark", ScalarType::S), ProjectionType::KeysOnly, &[]),
        index(3, "some", score, ProjectionType::Include, &["Name"]),
    ];
    service.catalog.set_local_indexes("users", indexes);
    service
}

fn game(id: &str, game: u32, score: i32) -> Value {
    json!({
        "Id": {"S": id}, "Game": {"N": game.to_string()}, "Score": {"N": score.to_string()},
        "Mark": {"S": format!("m{score}")}, "Name": {"S": "x"}, "More": {"S": "y"}
    })
}

/// Scores that many games have, some below 0, and a game without one.
async fn games_with_scores() -> Service {
    let service = indexed().await;
    for id in ["anna", "ben"] {
        for (number, score) in [(0, 7), (1, -3), (2, 7), (3, 0), (4, 20)] {
            service.put(game(id, number, score)).await;
        }
        service.put(json!({"Id": {"S": id}, "Game": {"N": "9"}})).await;
    }
    service
}

fn query(index: &str, condition: &str, values: Value) -> Value {
    json!({
        "TableName": "users", "IndexName": index, "KeyConditionExpression": condition,
        "ExpressionAttributeValues": values
    })
}

fn anna(index: &str) -> Value {
    query(index, "Id = :id", json!({":id": {"S": "anna"}}))
}

fn with(mut request: Value, more: Value) -> Value {
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

fn games(answer: &Value) -> Vec<&str> {
    answer["Items"].as_array().unwrap().iter().map(|item| item["Game"]["N"].as_str().unwrap()).collect()
}

/// All pages of a request, as the games in them.
async fn paged(service: &Service, operation: &str, mut request: Value) -> Vec<String> {
    let mut found = Vec::new();
    loop {
        let answer = service.ok(operation, request.clone()).await;
        found.extend(games(&answer).into_iter().map(str::to_owned));
        match answer.get("LastEvaluatedKey") {
            Some(last) => request["ExclusiveStartKey"] = last.clone(),
            None => return found,
        }
    }
}

#[tokio::test]
async fn a_query_of_an_index_reads_in_the_order_of_its_sort_key() {
    let service = games_with_scores().await;
    assert_eq!(games(&service.ok("Query", anna("all")).await), ["1", "3", "0", "2", "4"]);
    let backward = with(anna("all"), json!({"ScanIndexForward": false, "ConsistentRead": true}));
    assert_eq!(games(&service.ok("Query", backward).await), ["4", "2", "0", "3", "1"]);
}

#[tokio::test]
async fn a_condition_on_an_indexs_sort_key_takes_all_items_of_a_value_or_none() {
    let service = games_with_scores().await;
    for (condition, expected) in [
        ("Score = :s", &["0", "2"][..]),
        ("Score < :s", &["1", "3"]),
        ("Score <= :s", &["1", "3", "0", "2"]),
        ("Score > :s", &["4"]),
        ("Score >= :s", &["0", "2", "4"]),
        ("Score BETWEEN :low AND :s", &["1", "3", "0", "2"]),
    ] {
        let mut values = json!({":id": {"S": "anna"}, ":s": {"N": "7"}});
        if condition.contains(":low") {
            values[":low"] = json!({"N": "-3"});
        }
        let request = query("some", &format!("Id = :id AND {condition}"), values);
        assert_eq!(games(&service.ok("Query", request).await), expected, "{condition}");
    }
    let prefix = query("keys", "Id = :id AND begins_with(Mark, :m)", json!({":id": {"S": "ben"}, ":m": {"S": "m7"}}));
    assert_eq!(games(&service.ok("Query", prefix).await), ["0", "2"]);
}

#[tokio::test]
async fn pages_of_an_index_follow_each_other_through_items_of_one_value() {
    let service = games_with_scores().await;
    for (forward, expected) in [(true, ["1", "3", "0", "2", "4"]), (false, ["4", "2", "0", "3", "1"])] {
        let request = with(anna("some"), json!({"Limit": 1, "ScanIndexForward": forward}));
        assert_eq!(paged(&service, "Query", request).await, expected);
    }
    let sevens = query("some", "Id = :id AND Score = :s", json!({":id": {"S": "ben"}, ":s": {"N": "7"}}));
    let last = service.ok("Query", with(sevens.clone(), json!({"Limit": 1}))).await["LastEvaluatedKey"].clone();
    assert_eq!(last, json!({"Id": {"S": "ben"}, "Game": {"N": "0"}, "Score": {"N": "7"}}));
    assert_eq!(paged(&service, "Query", with(sevens, json!({"Limit": 1}))).await, ["0", "2"]);
}

#[tokio::test]
async fn a_scan_of_an_index_reads_what_is_in_it_in_segments_too() {
    let service = games_with_scores().await;
    let scan = json!({"TableName": "users", "IndexName": "keys"});
    assert_eq!(service.ok("Scan", scan.clone()).await["Count"], 10);
    let mut found = Vec::new();
    for segment in 0..3 {
        let request = with(scan.clone(), json!({"Segment": segment, "TotalSegments": 3, "Limit": 2}));
        found.extend(paged(&service, "Scan", request).await);
    }
    assert_eq!(found.len(), 10);
}

#[tokio::test]
async fn an_index_shows_what_it_projects_unless_more_is_asked_for() {
    let service = games_with_scores().await;
    let first = async |request: Value| service.ok("Query", request).await["Items"][0].clone();
    let names = |item: Value| item.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(first(anna("keys")).await), ["Game", "Id", "Mark"]);
    assert_eq!(names(first(anna("some")).await), ["Game", "Id", "Name", "Score"]);
    assert_eq!(names(first(anna("all")).await).len(), 6);
    let projected = json!({"Select": "ALL_PROJECTED_ATTRIBUTES"});
    assert_eq!(names(first(with(anna("some"), projected)).await), ["Game", "Id", "Name", "Score"]);
    assert_eq!(names(first(with(anna("keys"), json!({"Select": "ALL_ATTRIBUTES"}))).await).len(), 6);
    assert_eq!(names(first(with(anna("keys"), json!({"ProjectionExpression": "More, Game"}))).await), ["Game", "More"]);
    let legacy = json!({
        "TableName": "users", "IndexName": "keys", "AttributesToGet": ["Name"],
        "KeyConditions": {"Id": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "anna"}]}}
    });
    assert_eq!(names(first(legacy).await), ["Name"]);
    let count = service.ok("Query", with(anna("keys"), json!({"Select": "COUNT"}))).await;
    assert_eq!(count, json!({"Count": 5, "ScannedCount": 5}));
}

#[tokio::test]
async fn reads_of_an_index_are_charged_to_it_and_what_they_fetch_to_the_table() {
    let service = indexed().await;
    for number in 0..3 {
        let large = json!({"Big": {"S": "x".repeat(5_000)}});
        service.put(with(game("anna", number, 1), large)).await;
    }
    let capacity = async |index: &str, more: Value| {
        let request = with(with(anna(index), json!({"ReturnConsumedCapacity": "INDEXES"})), more);
        service.ok("Query", request).await["ConsumedCapacity"].clone()
    };
    assert_eq!(
        capacity("keys", json!({})).await,
        json!({
            "TableName": "users", "CapacityUnits": 0.5, "Table": {"CapacityUnits": 0.0},
            "LocalSecondaryIndexes": {"keys": {"CapacityUnits": 0.5}}
        })
    );
    // Two units an item, each rounded up.
    assert_eq!(
        capacity("keys", json!({"Select": "ALL_ATTRIBUTES"})).await,
        json!({
            "TableName": "users", "CapacityUnits": 3.5, "Table": {"CapacityUnits": 3.0},
            "LocalSecondaryIndexes": {"keys": {"CapacityUnits": 0.5}}
        })
    );
    let consistent = json!({"ProjectionExpression": "More", "ConsistentRead": true});
    assert_eq!(capacity("keys", consistent).await["CapacityUnits"], 7.0);
    // An index of everything has nothing to fetch.
    let all = capacity("all", json!({"Select": "ALL_ATTRIBUTES"})).await;
    assert_eq!(all["LocalSecondaryIndexes"], json!({"all": {"CapacityUnits": 2.0}}));
    assert_eq!(all["Table"], json!({"CapacityUnits": 0.0}));
    let total = capacity("keys", json!({"Select": "ALL_ATTRIBUTES", "ReturnConsumedCapacity": "TOTAL"})).await;
    assert_eq!(total, json!({"TableName": "users", "CapacityUnits": 3.5}));
}

#[tokio::test]
async fn writes_are_charged_for_the_indexes_that_they_change() {
    let service = indexed().await;
    let indexes = json!({"TableName": "users", "ReturnConsumedCapacity": "INDEXES"});
    let units = |answer: &Value| {
        let of = |index: &str| answer["ConsumedCapacity"]["LocalSecondaryIndexes"][index]["CapacityUnits"].as_f64();
        (answer["ConsumedCapacity"]["CapacityUnits"].as_f64().unwrap(), [of("all"), of("keys"), of("some")])
    };
    let put = |item: Value| with(indexes.clone(), json!({"Item": item}));
    let answer = service.ok("PutItem", put(game("anna", 1, 1))).await;
    assert_eq!(units(&answer), (4.0, [Some(1.0), Some(1.0), Some(1.0)]));
    assert_eq!(answer["ConsumedCapacity"]["Table"], json!({"CapacityUnits": 1.0}));
    let update = |expression: &str, value: Value| {
        let key = json!({"Id": {"S": "anna"}, "Game": {"N": "1"}});
        let more = json!({"Key": key, "UpdateExpression": expression, "ExpressionAttributeValues": {":v": value}});
        with(indexes.clone(), more)
    };
    // Only what shows it is changed; a new key is a deletion and a write; the same item again is nothing.
    let answer = service.ok("UpdateItem", update("SET More = :v", json!({"S": "z"}))).await;
    assert_eq!(units(&answer), (2.0, [Some(1.0), None, None]));
    let answer = service.ok("UpdateItem", update("SET Score = :v", json!({"N": "2"}))).await;
    assert_eq!(units(&answer), (5.0, [Some(2.0), None, Some(2.0)]));
    let same = with(with(game("anna", 1, 2), json!({"More": {"S": "z"}})), json!({"Mark": {"S": "m1"}}));
    let answer = service.ok("PutItem", put(same)).await;
    assert_eq!(units(&answer), (1.0, [None; 3]));
    assert!(answer["ConsumedCapacity"].get("LocalSecondaryIndexes").is_none());
    let statement = "UPDATE users REMOVE Score WHERE Id = 'anna' AND Game = 1";
    let answer =
        service.ok("ExecuteStatement", json!({"Statement": statement, "ReturnConsumedCapacity": "INDEXES"})).await;
    assert_eq!(units(&answer), (3.0, [Some(1.0), None, Some(1.0)]));
    let batch = json!({
        "RequestItems": {"users": [
            {"PutRequest": {"Item": game("ben", 1, 1)}},
            {"DeleteRequest": {"Key": {"Id": {"S": "anna"}, "Game": {"N": "1"}}}}
        ]},
        "ReturnConsumedCapacity": "INDEXES"
    });
    let answer = service.ok("BatchWriteItem", batch).await;
    assert_eq!(
        answer["ConsumedCapacity"],
        json!([{
            "TableName": "users", "CapacityUnits": 6.0, "Table": {"CapacityUnits": 2.0},
            "LocalSecondaryIndexes": {
                "all": {"CapacityUnits": 1.0}, "keys": {"CapacityUnits": 2.0}, "some": {"CapacityUnits": 1.0}
            }
        }])
    );
}

#[tokio::test]
async fn the_metrics_of_a_table_count_its_indexes() {
    let service = indexed().await;
    service.put(game("anna", 1, 1)).await;
    service.ok("Query", with(anna("keys"), json!({"Select": "ALL_ATTRIBUTES", "ConsistentRead": true}))).await;
    assert_eq!(service.of_users("cairn_consumed_write_capacity_units_total"), Some(4.0));
    assert_eq!(service.of_users("cairn_consumed_read_capacity_units_total"), Some(2.0));
}

#[tokio::test]
async fn writes_tell_the_size_of_the_items_collection_where_there_are_local_indexes() {
    let service = indexed().await;
    let expected = |id: &str| json!({"ItemCollectionKey": {"Id": {"S": id}}, "SizeEstimateRangeGB": [0.0, 1.0]});
    let asked = json!({"TableName": "users", "ReturnItemCollectionMetrics": "SIZE"});
    let key = json!({"Id": {"S": "anna"}, "Game": {"N": "1"}});
    for (operation, more) in [
        ("PutItem", json!({"Item": game("anna", 1, 1)})),
        ("UpdateItem", json!({"Key": key, "UpdateExpression": "REMOVE More"})),
        ("DeleteItem", json!({"Key": key})),
    ] {
        let answer = service.ok(operation, with(asked.clone(), more)).await;
        assert_eq!(answer, json!({"ItemCollectionMetrics": expected("anna")}), "{operation}");
    }
    service.create("plain", &[("Id", "S")]).await;
    let batch = json!({
        "RequestItems": {
            "users": [
                {"PutRequest": {"Item": game("anna", 1, 1)}}, {"PutRequest": {"Item": game("anna", 2, 1)}},
                {"PutRequest": {"Item": game("ben", 1, 1)}}
            ],
            "plain": [{"PutRequest": {"Item": {"Id": {"S": "a"}}}}]
        },
        "ReturnItemCollectionMetrics": "SIZE"
    });
    let answer = service.ok("BatchWriteItem", batch).await;
    assert_eq!(answer["ItemCollectionMetrics"], json!({"users": [expected("anna"), expected("ben")]}));
    let none = json!({"TableName": "users", "Item": game("anna", 3, 1), "ReturnItemCollectionMetrics": "NONE"});
    assert_eq!(service.ok("PutItem", none).await, json!({}));
    let plain = json!({"TableName": "plain", "Item": {"Id": {"S": "a"}}, "ReturnItemCollectionMetrics": "SIZE"});
    assert_eq!(service.ok("PutItem", plain).await, json!({}));
}

#[tokio::test]
async fn an_attribute_that_can_be_no_index_key_is_refused_with_the_write() {
    let service = indexed().await;
    let item = |more: Value| with(json!({"Id": {"S": "a"}, "Game": {"N": "1"}}), more);
    let mismatch = "One or more parameter values were invalid: Type mismatch for Index Key Score Expected: N Actual: S \
                    IndexName: all";
    let empty = "One or more parameter values are not valid. A value specified for a secondary index key is not \
                 supported. The AttributeValue for a key attribute cannot contain an empty string value. IndexName: \
                 keys, IndexKey: Mark";
    let long = "One or more parameter values were invalid: Aggregated size of all range keys has exceeded the size limit \
                of 1024 bytes";
    for (more, expected) in [
        (json!({"Score": {"S": "7"}}), mismatch),
        (json!({"Mark": {"S": ""}}), empty),
        (json!({"Mark": {"S": "x".repeat(1_025)}}), long),
    ] {
        let put = json!({"TableName": "users", "Item": item(more.clone())});
        assert_eq!(service.invalid("PutItem", put).await, expected);
        let batch = json!({"RequestItems": {"users": [{"PutRequest": {"Item": item(more)}}]}});
        assert_eq!(service.invalid("BatchWriteItem", batch).await, expected);
    }
    let insert = json!({"Statement": "INSERT INTO users VALUE {'Id': 'a', 'Game': 1, 'Score': '7'}"});
    assert_eq!(service.invalid("ExecuteStatement", insert).await, mismatch);
    let key_first = json!({"TableName": "users", "Item": {"Id": {"S": "a"}, "Score": {"S": "7"}}});
    let text = service.invalid("PutItem", key_first).await;
    assert_eq!(text, "One or more parameter values were invalid: Missing the key Game in the item");
    service.put(item(json!({"Mark": {"S": "x".repeat(1_024)}}))).await;
}

#[tokio::test]
async fn an_update_may_not_make_an_attribute_that_can_be_no_index_key() {
    let service = indexed().await;
    service.put(game("a", 1, 1)).await;
    let update = |expression: &str, value: Value| {
        json!({
            "TableName": "users", "Key": {"Id": {"S": "a"}, "Game": {"N": "1"}}, "UpdateExpression": expression,
            "ExpressionAttributeValues": {":v": value}
        })
    };
    let given = "One or more parameter values were invalid: Type mismatch for Index Key Score Expected: N Actual: S \
                 IndexName: all";
    for (request, expected) in [
        (update("SET Score = :v", json!({"S": "7"})), given),
        (
            update("ADD Mark :v", json!({"N": "7"})),
            "One or more parameter values were invalid: Type mismatch for Index Key \
         Mark Expected: S Actual: N IndexName: keys",
        ),
        (
            update("SET Score.x = :v", json!({"N": "7"})),
            "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: IndexKey: Score",
        ),
        (
            update("SET Score = if_not_exists(Gone, :v)", json!({"S": "7"})),
            "The update expression attempted to update the secondary index key to unsupported type",
        ),
        (
            update("SET Mark = :v", json!({"S": ""})),
            "One or more parameter values are not valid. The update expression attempted to update a secondary index key to \
             a value that is not supported. The AttributeValue for a key attribute cannot contain an empty string value.",
        ),
    ] {
        assert_eq!(service.invalid("UpdateItem", request).await, expected);
    }
    let legacy = json!({
        "TableName": "users", "Key": {"Id": {"S": "a"}, "Game": {"N": "1"}},
        "AttributeUpdates": {"Score": {"Value": {"S": "7"}}}
    });
    assert_eq!(service.invalid("UpdateItem", legacy).await, given);
    let statement = json!({"Statement": "UPDATE users SET Score = '7' WHERE Id = 'a' AND Game = 1"});
    assert_eq!(service.invalid("ExecuteStatement", statement).await, given);
}

#[tokio::test]
async fn what_does_not_fit_an_index_is_refused_in_dynamodbs_words() {
    let service = games_with_scores().await;
    let not_shown = "One or more parameter values were invalid: Secondary index keys does not project one or more filter \
                     attributes: [More]";
    let more_value = json!({":id": {"S": "anna"}, ":x": {"S": "x"}});
    let filtered =
        |index, filter| with(query(index, "Id = :id", more_value.clone()), json!({"FilterExpression": filter}));
    for (request, expected) in [
        (anna("absent"), "The table does not have the specified index: absent"),
        (
            query("some", "Id = :id AND Game = :g", json!({":id": {"S": "a"}, ":g": {"N": "1"}})),
            "Query condition missed key schema element: Score",
        ),
        (
            query("some", "Id = :id AND Score = :s", json!({":id": {"S": "a"}, ":s": {"S": "1"}})),
            "One or more parameter values were invalid: Condition parameter type does not match schema type",
        ),
        (
            filtered("some", "Score = :x"),
            "Filter Expression can only contain non-primary key attributes: Primary key attribute: Score",
        ),
        (filtered("keys", "More = :x"), not_shown),
        (
            with(anna("some"), json!({"ProjectionExpression": "Mark.x"})),
            "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: IndexKey: Mark",
        ),
    ] {
        assert_eq!(service.invalid("Query", request).await, expected);
    }
    let legacy = json!({
        "TableName": "users", "IndexName": "all", "KeyConditions": {
            "Id": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "anna"}]},
            "Score": {"ComparisonOperator": "GE", "AttributeValueList": [{"N": "7"}]}
        }
    });
    assert_eq!(games(&service.ok("Query", legacy).await), ["0", "2", "4"]);
    // The table's sort key is an attribute like others there; what is fetched can be asked about.
    let by_game = query("keys", "Id = :id", json!({":id": {"S": "anna"}, ":x": {"N": "1"}}));
    assert_eq!(
        games(&service.ok("Query", with(by_game, json!({"FilterExpression": "Game > :x"}))).await),
        ["3", "4", "2"]
    );
    let whole = with(filtered("keys", "More <> :x"), json!({"Select": "ALL_ATTRIBUTES"}));
    assert_eq!(service.ok("Query", whole).await["Count"], 5);
    let scan = json!({
        "TableName": "users", "IndexName": "keys", "FilterExpression": "attribute_exists(More)"
    });
    assert_eq!(service.ok("Scan", scan).await["Count"], 0);
    let scan = json!({"TableName": "users", "IndexName": "absent"});
    assert_eq!(service.invalid("Scan", scan).await, "The table does not have the specified index: absent");
}

#[tokio::test]
async fn a_starting_key_of_an_index_has_the_tables_key_and_the_indexs() {
    let service = games_with_scores().await;
    let start = |id: &str, game: &str, score: Value| json!({"ExclusiveStartKey": {"Id": {"S": id}, "Game": {"N": game}, "Score": score}});
    let above = || query("some", "Id = :id AND Score > :s", json!({":id": {"S": "anna"}, ":s": {"N": "0"}}));
    let invalid = "The provided starting key is invalid";
    for (request, expected) in [
        (with(above(), json!({"ExclusiveStartKey": {"Id": {"S": "anna"}, "Game": {"N": "1"}}})), invalid),
        (with(above(), start("anna", "1", json!({"S": "7"}))), invalid),
        (
            with(above(), json!({"ExclusiveStartKey": {"Id": {"S": "anna"}, "Game": {"N": "1"}, "Mark": {"S": "7"}}})),
            invalid,
        ),
        (
            with(above(), start("anna", "1", json!({"N": "0"}))),
            "The provided starting key does not match the range key predicate",
        ),
        (
            with(above(), start("ben", "1", json!({"N": "7"}))),
            "The query can return at most one row and cannot be restarted",
        ),
        (
            with(anna("some"), start("ben", "1", json!({"N": "7"}))),
            "The provided starting key is outside query boundaries based on provided conditions",
        ),
    ] {
        assert_eq!(service.invalid("Query", request).await, expected);
    }
    // A key of an item that was never there is a place too.
    let answer = service.ok("Query", with(above(), start("anna", "1", json!({"N": "7"})))).await;
    assert_eq!(games(&answer), ["2", "4"]);
    let scan = |index: Value, start: Value| with(with(json!({"TableName": "users"}), index), start);
    let of_some = json!({"IndexName": "some"});
    let missing = json!({"ExclusiveStartKey": {"Id": {"S": "anna"}, "Game": {"N": "1"}}});
    assert_eq!(service.invalid("Scan", scan(of_some.clone(), missing)).await, invalid);
    let text = service.invalid("Scan", scan(of_some, start("anna", "1", json!({"S": "7"})))).await;
    assert_eq!(
        text,
        "One or more parameter values were invalid: Type mismatch for Index Key Score Expected: N Actual: S IndexName: some"
    );
    let of_table = json!({"ExclusiveStartKey": {"Id": {"S": "anna"}, "Game": {"S": "1"}}});
    assert_eq!(
        service.invalid("Scan", scan(json!({}), of_table)).await,
        "One or more parameter values were invalid: Type mismatch for Index Key Game Expected: N Actual: S IndexName: all"
    );
}

fn statement(text: &str) -> Value {
    json!({"Statement": text, "ReturnConsumedCapacity": "INDEXES"})
}

#[tokio::test]
async fn a_select_from_an_index_is_a_query_or_a_scan_of_it() {
    let service = games_with_scores().await;
    for (text, expected) in [
        ("SELECT * FROM users.\"some\" WHERE Id = 'anna' AND Score >= 7", &["0", "2", "4"][..]),
        ("SELECT * FROM users.\"some\" WHERE Id = 'anna' AND Score = 7", &["0", "2"]),
        ("SELECT * FROM users.\"some\" WHERE Id = 'anna' ORDER BY Score DESC", &["4", "2", "0", "3", "1"]),
        ("SELECT * FROM \"users\".\"keys\" WHERE Id = 'anna' AND Game > 2", &["3", "4"]),
    ] {
        assert_eq!(games(&service.ok("ExecuteStatement", statement(text)).await), expected, "{text}");
    }
    let scanned = service.ok("ExecuteStatement", statement("SELECT * FROM users.\"keys\"")).await;
    assert_eq!(games(&scanned).len(), 10);
    let mut request = statement("SELECT Game FROM users.\"some\" WHERE Id IN ['anna', 'ben'] AND Score = 7");
    request["Limit"] = 1.into();
    let mut found = Vec::new();
    loop {
        let answer = service.ok("ExecuteStatement", request.clone()).await;
        found.extend(games(&answer).into_iter().map(str::to_owned));
        match answer.get("NextToken") {
            Some(token) => request["NextToken"] = token.clone(),
            None => break,
        }
    }
    assert_eq!(found, ["0", "2", "0", "2"]);
}

#[tokio::test]
async fn a_select_from_an_index_shows_what_it_projects_and_fetches_what_is_named() {
    let service = games_with_scores().await;
    let answer = service.ok("ExecuteStatement", statement("SELECT * FROM users.\"keys\" WHERE Id = 'anna'")).await;
    assert_eq!(answer["Items"][0], json!({"Id": {"S": "anna"}, "Game": {"N": "1"}, "Mark": {"S": "m-3"}}));
    assert_eq!(answer["ConsumedCapacity"]["Table"], json!({"CapacityUnits": 0.0}));
    assert_eq!(answer["ConsumedCapacity"]["LocalSecondaryIndexes"], json!({"keys": {"CapacityUnits": 0.5}}));
    let answer = service.ok("ExecuteStatement", statement("SELECT More FROM users.\"keys\" WHERE Id = 'anna'")).await;
    assert_eq!(answer["Items"][0], json!({"More": {"S": "y"}}));
    assert_eq!(answer["ConsumedCapacity"]["Table"], json!({"CapacityUnits": 2.5}));
    let refused = statement("SELECT * FROM users.\"keys\" WHERE Id = 'anna' AND More = 'y'");
    assert_eq!(
        service.invalid("ExecuteStatement", refused).await,
        "One or more parameter values were invalid: Secondary index keys does not project one or more filter attributes: \
         [More]"
    );
    // A Scan matches nothing instead, and so does a branch of an OR beside one that asks for nothing else.
    for condition in ["More = 'y'", "(Id = 'anna' AND More = 'y') OR (Id = 'ben' AND Game > 100)"] {
        let scan = statement(&format!("SELECT * FROM users.\"keys\" WHERE {condition}"));
        assert_eq!(service.ok("ExecuteStatement", scan).await["Items"], json!([]), "{condition}");
    }
}

#[tokio::test]
async fn only_a_select_outside_a_batch_names_an_index() {
    let service = games_with_scores().await;
    let text = service.invalid("ExecuteStatement", statement("SELECT * FROM users.\"absent\"")).await;
    assert_eq!(text, "The table does not have the specified index");
    let text =
        service.invalid("ExecuteStatement", statement("DELETE FROM users.\"some\" WHERE Id = 'a' AND Score = 1")).await;
    assert_eq!(text, "This operation is not supported on an index");
    let batch = json!({"Statements": [{"Statement": "SELECT * FROM users.\"some\" WHERE Id = 'anna' AND Score = 0"}]});
    let answer = service.ok("BatchExecuteStatement", batch).await;
    assert_eq!(
        answer["Responses"][0]["Error"]["Message"],
        "Select statements within BatchExecuteStatement must specify the primary key in the where clause."
    );
}
