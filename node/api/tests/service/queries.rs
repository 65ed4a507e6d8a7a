//! Query and Scan.

use crate::client::Service;
use serde_json::{Value, json};

async fn five_games() -> Service {
    let service = Service::with_users().await;
    for game in 0..5 {
        for id in ["anna", "ben"] {
            service.put(json!({"Id": {"S": id}, "Game": {"N": game.to_string()}, "Score": {"N": "10"}})).await;
        }
    }
    service
}

fn query(condition: &str, values: Value) -> Value {
    json!({"TableName": "users", "KeyConditionExpression": condition, "ExpressionAttributeValues": values})
}

fn games(answer: &Value) -> Vec<&str> {
    answer["Items"].as_array().unwrap().iter().map(|item| item["Game"]["N"].as_str().unwrap()).collect()
}

fn with(mut request: Value, more: Value) -> Value {
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

#[tokio::test]
async fn a_query_reads_one_partition_key_in_order() {
    let service = five_games().await;
    let anna = query("Id = :id", json!({":id": {"S": "anna"}}));
    let answer = service.ok("Query", anna.clone()).await;
    assert_eq!(games(&answer), ["0", "1", "2", "3", "4"]);
    assert_eq!((&answer["Count"], &answer["ScannedCount"]), (&json!(5), &json!(5)));
    assert!(answer.get("LastEvaluatedKey").is_none());
    let answer = service.ok("Query", with(anna, json!({"ScanIndexForward": false}))).await;
    assert_eq!(games(&answer), ["4", "3", "2", "1", "0"]);
    let between =
        query("Id = :id AND Game BETWEEN :a AND :b", json!({":id": {"S": "ben"}, ":a": {"N": "1"}, ":b": {"N": "3"}}));
    assert_eq!(games(&service.ok("Query", between).await), ["1", "2", "3"]);
}

#[tokio::test]
async fn pages_follow_each_other_in_both_directions() {
    let service = five_games().await;
    for (forward, expected) in [(true, ["0", "1", "2", "3", "4"]), (false, ["4", "3", "2", "1", "0"])] {
        let mut request =
            with(query("Id = :id", json!({":id": {"S": "anna"}})), json!({"Limit": 2, "ScanIndexForward": forward}));
        let mut found = Vec::new();
        loop {
            let answer = service.ok("Query", request.clone()).await;
            found.extend(games(&answer).into_iter().map(str::to_owned));
            match answer.get("LastEvaluatedKey") {
                Some(last) => request["ExclusiveStartKey"] = last.clone(),
                None => break,
            }
        }
        assert_eq!(found, expected);
    }
}

#[tokio::test]
async fn a_filter_lowers_the_count_but_not_the_scanned_count() {
    let service = five_games().await;
    let request = with(
        query("Id = :id", json!({":id": {"S": "anna"}, ":ten": {"N": "10"}})),
        json!({"FilterExpression": "Score <> :ten", "ReturnConsumedCapacity": "TOTAL"}),
    );
    let answer = service.ok("Query", request).await;
    assert_eq!(
        answer,
        json!({
            "Items": [], "Count": 0, "ScannedCount": 5,
            "ConsumedCapacity": {"TableName": "users", "CapacityUnits": 0.5}
        })
    );
}

#[tokio::test]
async fn count_returns_no_items() {
    let service = five_games().await;
    let request = with(query("Id = :id", json!({":id": {"S": "anna"}})), json!({"Select": "COUNT"}));
    assert_eq!(service.ok("Query", request).await, json!({"Count": 5, "ScannedCount": 5}));
}

#[tokio::test]
async fn segments_together_scan_every_item_once() {
    let service = five_games().await;
    let mut found = Vec::new();
    for segment in 0..3 {
        let mut request = json!({"TableName": "users", "Segment": segment, "TotalSegments": 3, "Limit": 2});
        loop {
            let answer = service.ok("Scan", request.clone()).await;
            found.extend(answer["Items"].as_array().unwrap().iter().map(ToString::to_string));
            match answer.get("LastEvaluatedKey") {
                Some(last) => request["ExclusiveStartKey"] = last.clone(),
                None => break,
            }
        }
    }
    found.sort();
    found.dedup();
    assert_eq!(found.len(), 10);
}

#[tokio::test]
async fn a_page_ends_at_one_megabyte() {
    let service = Service::with_users().await;
    for game in 0..6 {
        let item = json!({"Id": {"S": "a"}, "Game": {"N": game.to_string()}, "V": {"S": "x".repeat(300_000)}});
        service.put(item).await;
    }
    let answer = service.ok("Scan", json!({"TableName": "users", "ReturnConsumedCapacity": "TOTAL"})).await;
    assert_eq!(answer["Count"], 4);
    assert_eq!(answer["LastEvaluatedKey"], json!({"Id": {"S": "a"}, "Game": {"N": "3"}}));
    assert_eq!(answer["ConsumedCapacity"]["CapacityUnits"], 146.5);
}

#[tokio::test]
async fn a_starting_key_must_lie_where_the_query_reads() {
    let service = five_games().await;
    let anna = || query("Id = :id AND Game > :two", json!({":id": {"S": "anna"}, ":two": {"N": "2"}}));
    let start = |id: &str, game: &str| json!({"ExclusiveStartKey": {"Id": {"S": id}, "Game": {"N": game}}});
    let text = service.invalid("Query", with(anna(), start("anna", "1"))).await;
    assert_eq!(text, "The provided starting key does not match the range key predicate");
    let text = service.invalid("Query", with(anna(), start("ben", "1"))).await;
    assert_eq!(text, "The provided starting key does not match the range key predicate");
    let text = service.invalid("Query", with(anna(), start("ben", "3"))).await;
    assert_eq!(text, "The query can return at most one row and cannot be restarted");
    let whole = query("Id = :id", json!({":id": {"S": "anna"}}));
    let text = service.invalid("Query", with(whole, start("ben", "3"))).await;
    assert_eq!(text, "The provided starting key is outside query boundaries based on provided conditions");
    let text = service.invalid("Query", with(anna(), json!({"ExclusiveStartKey": {"Id": {"S": "anna"}}}))).await;
    assert_eq!(text, "The provided starting key is invalid");
    let text = service.invalid("Query", with(anna(), json!({"ExclusiveStartKey": {"Id": {"SS": []}}}))).await;
    assert_eq!(text, "One or more parameter values were invalid: An string set  may not be empty");
    let scan = |start| json!({"TableName": "users", "ExclusiveStartKey": start});
    let text = service.invalid("Scan", scan(json!({"Id": {"S": "anna"}}))).await;
    assert_eq!(text, "The provided starting key is invalid");
    let text = service.invalid("Scan", scan(json!({"Id": {"SS": []}}))).await;
    assert!(text.starts_with("The provided starting key is invalid: One or more"), "{text}");
    let answer = service.ok("Query", with(anna(), start("anna", "4"))).await;
    assert_eq!(answer["Count"], 0);
}

#[tokio::test]
async fn parameters_that_do_not_fit_are_refused_in_dynamodbs_words() {
    let service = five_games().await;
    let anna = || query("Id = :id", json!({":id": {"S": "anna"}}));
    for (more, expected) in [
        (
            json!({"Limit": 0}),
            "1 validation error detected: Value at 'Limit' failed to satisfy constraint: Member must have value \
             greater than or equal to 1",
        ),
        (
            json!({"Select": "SPECIFIC_ATTRIBUTES"}),
            "1 validation error detected: Must specify the AttributesToGet or ProjectionExpression when choosing to \
             get SPECIFIC_ATTRIBUTES",
        ),
        (
            json!({"Select": "COUNT", "ProjectionExpression": "Score"}),
            "1 validation error detected: Cannot specify the ProjectionExpression when choosing to get only the Count",
        ),
        (
            json!({"Select": "ALL_PROJECTED_ATTRIBUTES"}),
            "1 validation error detected: ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName",
        ),
        (json!({"IndexName": "by-score"}), "The table does not have the specified index: by-score"),
        (
            json!({"FilterExpression": "Game = :id"}),
            "Filter Expression can only contain non-primary key attributes: Primary key attribute: Game",
        ),
        (
            json!({"ProjectionExpression": "Game.x"}),
            "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: Key: Game",
        ),
    ] {
        assert_eq!(service.invalid("Query", with(anna(), more)).await, expected);
    }
    let text = service.invalid("Query", json!({"TableName": "users"})).await;
    assert_eq!(text, "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.");
}

#[tokio::test]
async fn a_key_condition_that_fits_no_table_is_told_before_the_table_is_looked_up() {
    let service = Service::with_users().await;
    let query = |condition: &str| {
        json!({"TableName": "absent", "KeyConditionExpression": condition,
               "ExpressionAttributeValues": {":p": {"S": "a"}, ":n": {"N": "1"}}})
    };
    for (condition, expected) in [
        (
            "p = :p AND begins_with(s, :n)",
            "Invalid KeyConditionExpression: Incorrect operand type for operator or function; operator or function: \
             begins_with, operand type: N",
        ),
        ("p = :p", "Value provided in ExpressionAttributeValues unused in expressions: keys: {:n}"),
    ] {
        assert_eq!(service.invalid("Query", query(condition)).await, expected);
    }
    let (name, _) = service.error("Query", query("p = :p AND s = :n")).await;
    assert_eq!(name, "ResourceNotFoundException");
}

#[tokio::test]
async fn a_scan_tells_of_a_filter_s_values_in_dynamodbs_older_words() {
    let service = Service::with_users().await;
    for (value, fault) in [
        (json!({"N": ""}), "The parameter cannot be converted to a numeric value"),
        (json!({"NS": ["2", "1", "2"]}), "Input collection contains duplicates"),
    ] {
        let request = json!({
            "TableName": "users", "FilterExpression": "Score = :v", "ExpressionAttributeValues": {":v": value}
        });
        assert_eq!(
            service.invalid("Scan", request).await,
            format!("ExpressionAttributeValues contains invalid value: {fault} for key :v")
        );
    }
}

#[tokio::test]
async fn segments_that_do_not_fit_are_refused_in_dynamodbs_words() {
    let service = five_games().await;
    for (request, expected) in [
        (
            json!({"Segment": 0}),
            "The TotalSegments parameter is required but was not present in the request when Segment parameter is \
             present",
        ),
        (
            json!({"TotalSegments": 2}),
            "The Segment parameter is required but was not present in the request when parameter TotalSegments is \
             present",
        ),
        (
            json!({"Segment": 2, "TotalSegments": 2}),
            "The Segment parameter is zero-based and must be less than parameter TotalSegments",
        ),
        (
            json!({"Segment": 0, "TotalSegments": 1_000_001}),
            "1 validation error detected: Value at 'TotalSegments' failed to satisfy constraint: Member must have \
             value less than or equal to 1000000",
        ),
    ] {
        let request = with(json!({"TableName": "users"}), request);
        assert_eq!(service.invalid("Scan", request).await, expected);
    }
}
