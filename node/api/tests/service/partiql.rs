//! ExecuteStatement and BatchExecuteStatement.

use crate::client::Service;
use cairn_model::{ErrorKind, ServiceError};
use cairn_replication::operation::PartitionRequest;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

async fn execute(service: &Service, statement: &str) -> Value {
    service.ok("ExecuteStatement", json!({"Statement": statement})).await
}

async fn refused(service: &Service, statement: &str) -> (String, String) {
    service.error("ExecuteStatement", json!({"Statement": statement})).await
}

/// Two partitions of `users` with five games each.
async fn five_games() -> Service {
    let service = Service::with_users().await;
    for game in 0..5 {
        for id in ["anna", "ben"] {
            let statement = format!("INSERT INTO users VALUE {{'Id': '{id}', 'Game': {game}, 'Score': {}}}", game * 10);
            execute(&service, &statement).await;
        }
    }
    service
}

fn games(answer: &Value) -> Vec<String> {
    let name =
        |item: &Value| format!("{}{}", &item["Id"]["S"].as_str().unwrap()[..1], item["Game"]["N"].as_str().unwrap());
    answer["Items"].as_array().unwrap().iter().map(name).collect()
}

/// Which requests the partitions are asked, from now on.
fn watched(service: &Service) -> Arc<Mutex<Vec<&'static str>>> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let watched = seen.clone();
    service.partitions.refuse(move |request| {
        watched.lock().unwrap().push(match request {
            PartitionRequest::Get(_) => "get",
            PartitionRequest::Write(_) => "write",
            PartitionRequest::Range(range) if range.lower == std::ops::Bound::Unbounded => "scan",
            PartitionRequest::Range(_) => "query",
            PartitionRequest::Stream(_) => "stream",
            PartitionRequest::Feed(_) => "feed",
            PartitionRequest::Transact(_) | PartitionRequest::TransactGet(_) => "transaction",
        });
        None
    });
    seen
}

#[tokio::test]
async fn what_is_inserted_is_selected_with_every_type_a_statement_can_write() {
    let service = Service::with_users().await;
    let answer = service
        .ok(
            "ExecuteStatement",
            json!({
                "Statement": "INSERT INTO \"users\" VALUE {'Id': 'anna', 'Game': 7, 'Yes': true, 'Nothing': null, \
                    'Texts': <<'b', 'a'>>, 'List': ['it''s', []], 'Map': {'k': {'d': 1.5}}, 'Bytes': ?}",
                "Parameters": [{"B": "AAEC"}], "ReturnConsumedCapacity": "TOTAL"
            }),
        )
        .await;
    assert_eq!(answer, json!({"Items": [], "ConsumedCapacity": {"TableName": "users", "CapacityUnits": 1.0}}));
    let answer = execute(&service, "SELECT * FROM users WHERE Id = 'anna' AND Game = 7").await;
    let item = json!({
        "Id": {"S": "anna"}, "Game": {"N": "7"}, "Yes": {"BOOL": true}, "Nothing": {"NULL": true},
        "Texts": {"SS": ["a", "b"]}, "List": {"L": [{"S": "it's"}, {"L": []}]},
        "Map": {"M": {"k": {"M": {"d": {"N": "1.5"}}}}}, "Bytes": {"B": "AAEC"}
    });
    assert_eq!(answer, json!({"Items": [item]}));
}

#[tokio::test]
async fn an_insert_of_an_item_that_is_there_is_a_duplicate() {
    let service = five_games().await;
    let (name, text) = refused(&service, "INSERT INTO users VALUE {'Id': 'anna', 'Game': 1}").await;
    assert_eq!((name.as_str(), text.as_str()), ("DuplicateItemException", "Duplicate primary key exists in table"));
    let answer = execute(&service, "SELECT Score FROM users WHERE Id = 'anna' AND Game = 1").await;
    assert_eq!(answer["Items"], json!([{"Score": {"N": "10"}}]));
}

#[tokio::test]
async fn a_select_is_a_get_a_query_or_a_scan_by_what_it_says_of_the_keys() {
    let service = five_games().await;
    let seen = watched(&service);
    for (clause, requests, found) in [
        ("WHERE Id = 'anna' AND Game = 1", vec!["get"], vec!["a1"]),
        ("WHERE 2 = Game AND Id = 'anna' AND Score = 20", vec!["get"], vec!["a2"]),
        ("WHERE Id = 'anna' AND Game = 1 AND Score > 10", vec!["get"], vec![]),
        ("WHERE Id = 'anna' AND Game > 1 AND Game <= 3", vec!["query"], vec!["a2", "a3"]),
        ("WHERE Id = 'anna' AND Game BETWEEN 1 AND 3 AND Score <> 20", vec!["query"], vec!["a1", "a3"]),
        ("WHERE Id IN ['ben', 'anna'] AND Game = 4", vec!["query", "query"], vec!["b4", "a4"]),
        ("WHERE Id = 'anna' AND Game IN [3, 1]", vec!["query", "query"], vec!["a1", "a3"]),
        ("WHERE Id = 'anna' AND (Game = 4 OR Game < 1) AND Score = 40", vec!["query", "query"], vec!["a4"]),
        ("WHERE Id = 'anna' AND Game = 0 OR Id = 'ben' AND Game = 1", vec!["query", "query"], vec!["a0", "b1"]),
        ("WHERE Id = 'anna' ORDER BY Game DESC", vec!["query"], vec!["a4", "a3", "a2", "a1", "a0"]),
        ("WHERE Game = 3 AND begins_with(Id, 'b')", vec!["scan"], vec!["b3"]),
        ("WHERE Id = 'anna' AND Game > 3 AND Game < 2", vec!["query"], vec![]),
        ("WHERE Id = 'nobody' AND Game = 1", vec!["get"], vec![]),
    ] {
        let answer = execute(&service, &format!("SELECT * FROM users {clause}")).await;
        assert_eq!(games(&answer), found, "{clause}");
        assert_eq!(*seen.lock().unwrap(), requests, "{clause}");
        seen.lock().unwrap().clear();
    }
}

#[tokio::test]
async fn a_select_s_paths_are_returned_under_their_last_names() {
    let service = Service::with_users().await;
    execute(&service, "INSERT INTO users VALUE {'Id': 'a', 'Game': 1, 'm': {'x': {'y': [1, 2]}}, 'l': ['p']}").await;
    for clause in [
        "WHERE Id = 'a' AND Game = 1",
        "WHERE Id = 'a'",
        "WHERE l[0] = 'p'",
        "WHERE Id = 'a' AND Game = 1 AND m.x.y[0] = 1",
    ] {
        let answer = execute(&service, &format!("SELECT Id, m.x.y[1], l[0], m.gone FROM users {clause}")).await;
        assert_eq!(answer["Items"], json!([{"Id": {"S": "a"}, "y[1]": {"N": "2"}, "l[0]": {"S": "p"}}]), "{clause}");
    }
}

#[tokio::test]
async fn pages_follow_each_other_across_partitions_in_both_directions() {
    let service = five_games().await;
    for (clause, expected) in [
        ("", vec![]),
        ("WHERE Id IN ['ben', 'anna']", vec!["b0", "b1", "b2", "b3", "b4", "a0", "a1", "a2", "a3", "a4"]),
        ("WHERE Id IN ['anna', 'ben'] AND Game > 2 ORDER BY Id DESC, Game DESC", vec!["b4", "b3", "a4", "a3"]),
        (
            "WHERE Id IN ['ben', 'anna'] AND Game IN [4, 0, 2] ORDER BY Id, Game DESC",
            vec!["a4", "a2", "a0", "b4", "b2", "b0"],
        ),
        (
            "WHERE Id = 'ben' AND Game = 3 OR Id = 'anna' AND Game > 2 OR Id = 'ben' AND Game < 2",
            vec!["b0", "b1", "b3", "a3", "a4"],
        ),
        (
            "WHERE (Id = 'anna' AND Game > 2) OR (Id = 'ben' AND Game IN [3, 0]) ORDER BY Id DESC, Game DESC",
            vec!["b3", "b0", "a4", "a3"],
        ),
        (
            "WHERE Id = 'anna' AND Game <> 1 OR Id = 'anna' AND Game = 2 OR Id = 'ben' AND Game = 0 AND Score = 0",
            vec!["a0", "a2", "a3", "a4", "b0"],
        ),
    ] {
        for limit in 1..4 {
            let mut request = json!({"Statement": format!("SELECT * FROM users {clause}"), "Limit": limit});
            let mut found = Vec::new();
            loop {
                let answer = service.ok("ExecuteStatement", request.clone()).await;
                assert!(answer["Items"].as_array().unwrap().len() <= limit);
                found.extend(games(&answer));
                match answer.get("NextToken") {
                    Some(token) => request["NextToken"] = token.clone(),
                    None => break,
                }
            }
            if expected.is_empty() {
                found.sort();
                found.dedup();
                assert_eq!(found.len(), 10);
            } else {
                assert_eq!(found, expected, "{clause} by {limit}");
            }
        }
    }
}

#[tokio::test]
async fn a_page_ends_at_one_megabyte_over_all_partitions() {
    let service = Service::with_users().await;
    for id in ["a", "b"] {
        for game in 0..3 {
            let item = json!({"Id": {"S": id}, "Game": {"N": game.to_string()}, "V": {"S": "x".repeat(300_000)}});
            service.put(item).await;
        }
    }
    let mut request = json!({"Statement": "SELECT Id, Game FROM users WHERE Id IN ['a', 'b']"});
    let first = service.ok("ExecuteStatement", request.clone()).await;
    assert_eq!(games(&first), ["a0", "a1", "a2", "b0"]);
    assert_eq!(first["LastEvaluatedKey"], json!({"Id": {"S": "b"}, "Game": {"N": "0"}}));
    request["NextToken"] = first["NextToken"].clone();
    let second = service.ok("ExecuteStatement", request).await;
    assert_eq!(games(&second), ["b1", "b2"]);
    assert!(second.get("NextToken").is_none());
}

#[tokio::test]
async fn a_token_is_for_its_statement_and_its_parameters_only() {
    let service = five_games().await;
    let page = |statement: &str, parameter: &str, token: Option<&Value>| {
        let mut request = json!({"Statement": statement, "Parameters": [{"S": parameter}], "Limit": 2});
        if let Some(token) = token {
            request["NextToken"] = token.clone();
        }
        request
    };
    let statement = "SELECT * FROM users WHERE Id = ?";
    let token = service.ok("ExecuteStatement", page(statement, "anna", None)).await["NextToken"].clone();
    let other = "SELECT * FROM users WHERE Id = ? AND Score > 0";
    for request in [page(statement, "ben", Some(&token)), page(other, "anna", Some(&token))] {
        assert_eq!(service.invalid("ExecuteStatement", request).await, "NextToken does not match request");
    }
    let damaged = Value::from(token.as_str().unwrap().replacen(['A', 'B', 'C'], "D", 3));
    for token in [damaged, json!("nonsense"), json!("AAAA")] {
        let text = service.invalid("ExecuteStatement", page(statement, "anna", Some(&token))).await;
        assert_eq!(text, "Invalid NextToken");
    }
    let write = page("DELETE FROM users WHERE Id = ? AND Game = 1", "anna", Some(&token));
    assert_eq!(service.invalid("ExecuteStatement", write).await, "NextToken is only valid on a SELECT statement");
}

#[tokio::test]
async fn an_update_changes_an_item_that_is_there_and_returns_what_was_asked_for() {
    let service = five_games().await;
    let update = |more: &str| format!("UPDATE users SET Score = Score + 1 WHERE Id = 'anna' AND Game = 1{more}");
    assert_eq!(execute(&service, &update("")).await, json!({"Items": []}));
    for (returning, expected) in [
        ("ALL OLD", json!({"Id": {"S": "anna"}, "Game": {"N": "1"}, "Score": {"N": "11"}})),
        ("MODIFIED OLD", json!({"Score": {"N": "12"}})),
        ("ALL NEW", json!({"Id": {"S": "anna"}, "Game": {"N": "1"}, "Score": {"N": "14"}})),
        ("MODIFIED NEW", json!({"Score": {"N": "15"}})),
    ] {
        let answer = execute(&service, &update(&format!(" RETURNING {returning} *"))).await;
        assert_eq!(answer, json!({"Items": [expected]}), "{returning}");
    }
    let statement = "UPDATE users SET Tags = ? REMOVE Score WHERE Id = 'anna' AND Game = 1";
    service.ok("ExecuteStatement", json!({"Statement": statement, "Parameters": [{"SS": ["x"]}]})).await;
    let statement = "UPDATE users SET Tags = set_add(Tags, <<'y'>>) WHERE Id = 'anna' AND Game = 1 RETURNING ALL NEW *";
    let answer = execute(&service, statement).await;
    assert_eq!(answer["Items"], json!([{"Id": {"S": "anna"}, "Game": {"N": "1"}, "Tags": {"SS": ["x", "y"]}}]));
}

#[tokio::test]
async fn an_update_of_what_is_not_there_or_not_as_said_fails_its_condition() {
    let service = five_games().await;
    for clause in ["Id = 'anna' AND Game = 9", "Id = 'anna' AND Game = 1 AND Score > 10"] {
        let (name, text) = refused(&service, &format!("UPDATE users SET V = 1 WHERE {clause}")).await;
        assert_eq!(
            (name.as_str(), text.as_str()),
            ("ConditionalCheckFailedException", "The conditional request failed"),
            "{clause}"
        );
    }
    assert_eq!(games(&execute(&service, "SELECT * FROM users WHERE Id = 'anna' AND Game = 9").await), [""; 0]);
    let request = json!({
        "Statement": "UPDATE users SET V = 1 WHERE Id = 'anna' AND Game = 1 AND Score > 10",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD"
    });
    let answer = service.call("ExecuteStatement", request.to_string()).await;
    assert_eq!(answer.json()["Item"], json!({"Id": {"S": "anna"}, "Game": {"N": "1"}, "Score": {"N": "10"}}));
}

#[tokio::test]
async fn a_delete_takes_what_is_there_and_lets_be_what_is_not() {
    let service = five_games().await;
    let delete = |clause: &str| format!("DELETE FROM users WHERE Id = 'anna' AND Game = 1{clause} RETURNING ALL OLD *");
    let (name, _) = refused(&service, &delete(" AND Score = 11")).await;
    assert_eq!(name, "ConditionalCheckFailedException");
    let answer = execute(&service, &delete(" AND Score = 10")).await;
    assert_eq!(answer["Items"], json!([{"Id": {"S": "anna"}, "Game": {"N": "1"}, "Score": {"N": "10"}}]));
    assert_eq!(execute(&service, &delete(" AND Score = 10")).await, json!({"Items": []}));
}

/// As by a Query; a store may not even look for what is longer than its keys can be.
#[tokio::test]
async fn a_sort_key_that_no_item_can_have_is_not_looked_for() {
    let service = Service::start().await;
    service.create("texts", &[("Id", "S"), ("Place", "S")]).await;
    for condition in ["Place = ?", "Place > ?", "Place BETWEEN 'a' AND ?", "begins_with(Place, ?)", "Place IN ['a', ?]"]
    {
        let statement = format!("SELECT * FROM texts WHERE Id = 'a' AND {condition}");
        let select = |bytes| json!({"Statement": statement, "Parameters": [{"S": "x".repeat(bytes)}]});
        assert_eq!(service.ok("ExecuteStatement", select(1_024)).await, json!({"Items": []}), "{condition}");
        for bytes in [1_025, 100_000] {
            assert_eq!(
                service.invalid("ExecuteStatement", select(bytes)).await,
                "One or more parameter values were invalid: Aggregated size of all range keys has exceeded the size limit of \
                 1024 bytes",
                "{condition}"
            );
        }
    }
}

#[tokio::test]
async fn each_branch_of_a_condition_costs_what_it_asks_for() {
    let service = Service::with_users().await;
    for (id, game) in [("a", 1), ("a", 2), ("b", 1), ("b", 2)] {
        let item = json!({"Id": {"S": id}, "Game": {"N": game.to_string()}, "V": {"S": "x".repeat(9_000)}});
        service.put(item).await;
    }
    for (clause, units, found) in [
        ("(Id = 'a' AND Game = 1) OR (Id = 'b' AND Game = 2)", 3.0, &["a1", "b2"][..]),
        ("Id = 'a' AND Game = 1 OR Id = 'b'", 4.0, &["a1", "b1", "b2"]),
        ("Id = 'a' AND Game = 1 OR Id = 'b' AND Game > 5", 2.0, &["a1"]),
        ("Id IN ['a', 'b'] AND (Id = 'a' AND Game = 2 OR Id = 'b' AND Game = 1)", 3.0, &["a2", "b1"]),
        ("Id = 'a' AND Game = 1 OR Id = 'a' AND Game > 3 AND Game < 2", 1.5, &["a1"]),
        ("Id = 'a' AND Id = 'b'", 0.5, &[]),
    ] {
        let request = json!({
            "Statement": format!("SELECT Id, Game FROM users WHERE {clause}"), "ReturnConsumedCapacity": "TOTAL"
        });
        let answer = service.ok("ExecuteStatement", request).await;
        assert_eq!(games(&answer), found, "{clause}");
        assert_eq!(answer["ConsumedCapacity"], json!({"TableName": "users", "CapacityUnits": units}), "{clause}");
    }
}

#[tokio::test]
async fn statements_cost_what_the_operations_they_become_cost() {
    let service = Service::with_users().await;
    let big = "x".repeat(9_000);
    for (statement, units) in [
        ("INSERT INTO users VALUE {'Id': 'a', 'Game': 1, 'V': ?}", 9.0),
        ("INSERT INTO users VALUE {'Id': 'b', 'Game': 1, 'V': ?}", 9.0),
        ("SELECT Id FROM users WHERE Id = 'a' AND Game = 1", 1.5),
        ("SELECT Id FROM users WHERE Id = 'a'", 1.5),
        ("SELECT Id FROM users WHERE Id IN ('a', 'b')", 3.0),
        ("SELECT Id FROM users", 2.5),
        ("SELECT Id FROM users WHERE Id = 'gone'", 0.5),
        ("UPDATE users REMOVE V WHERE Id = 'a' AND Game = 1", 9.0),
        ("DELETE FROM users WHERE Id = 'a' AND Game = 1", 1.0),
    ] {
        let request = json!({
            "Statement": statement, "Parameters": [{"S": big.as_str()}], "ReturnConsumedCapacity": "TOTAL"
        });
        let answer = service.ok("ExecuteStatement", request).await;
        assert_eq!(answer["ConsumedCapacity"], json!({"TableName": "users", "CapacityUnits": units}), "{statement}");
    }
    let request = json!({
        "Statement": "SELECT * FROM users WHERE Id = 'b' AND Game = 1", "ConsistentRead": true,
        "ReturnConsumedCapacity": "INDEXES"
    });
    let answer = service.ok("ExecuteStatement", request).await;
    assert_eq!(
        answer["ConsumedCapacity"],
        json!({"TableName": "users", "CapacityUnits": 3.0, "Table": {"CapacityUnits": 3.0}})
    );
}

#[tokio::test]
async fn statements_that_do_not_fit_their_table_are_refused_in_dynamodbs_words() {
    let service = five_games().await;
    let mandatory = "Where clause does not contain a mandatory equality on all key attributes";
    let key_type = "Key attribute's data type should match its data type in table's schema: Key Game";
    for (statement, expected) in [
        ("UPDATE users SET V = 1", mandatory),
        ("UPDATE users SET V = 1 WHERE Id = 'anna'", mandatory),
        ("DELETE FROM users WHERE Id = 'anna' AND Game > 1", mandatory),
        (
            "UPDATE users SET Game = 2 WHERE Id = 'anna' AND Game = 1",
            "One or more parameter values were invalid: Cannot update attribute Game. This attribute is part of the key",
        ),
        ("INSERT INTO users VALUE {'Id': 'anna', 'Game': 'x'}", key_type),
        ("SELECT * FROM users WHERE Id = 'anna' AND Game = 'x'", key_type),
        (
            "INSERT INTO users VALUE {'Id': 'anna'}",
            "One or more parameter values were invalid: Missing the key Game in the item",
        ),
        (
            "SELECT * FROM users WHERE Id = ''",
            "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty \
             string value. Key: Id",
        ),
        ("SELECT * FROM users.\"by-score\"", "The table does not have the specified index"),
        ("SELECT * FROM users ORDER BY Game", "Must have WHERE clause in the statement when using ORDER BY clause."),
        (
            "SELECT FROM users",
            "Statement wasn't well formed, can't be processed: Expected identifier or an expression but found unexpected \
             keyword 'from' in a select list.",
        ),
        (
            "UPDATE users SET Score = Gone + 1 WHERE Id = 'anna' AND Game = 1",
            "The provided expression refers to an attribute that does not exist in the item",
        ),
    ] {
        let text = service.invalid("ExecuteStatement", json!({"Statement": statement})).await;
        assert_eq!(text, expected, "{statement}");
    }
    let (name, text) = refused(&service, "SELECT * FROM absent").await;
    assert_eq!((name.as_str(), text.as_str()), ("ResourceNotFoundException", "Requested resource not found"));
}

#[tokio::test]
async fn a_parameter_s_numbers_are_refused_as_javas_decimals_are() {
    let service = Service::with_users().await;
    let unreadable = "The parameter cannot be converted to a numeric value";
    for (number, expected) in [
        ("", unreadable.to_owned()),
        ("1e2147483648", format!("{unreadable}: 1e2147483648")),
        (
            "1e2147483647",
            "Number underflow. Attempting to store a number with magnitude smaller than supported range".to_owned(),
        ),
    ] {
        for parameter in [json!({"N": number}), json!({"L": [{"M": {"x": {"NS": ["1", number]}}}]})] {
            let statement = json!({"Statement": "SELECT * FROM users WHERE Score = ?", "Parameters": [parameter]});
            assert_eq!(service.invalid("ExecuteStatement", statement.clone()).await, expected, "{number}");
            let request = json!({"TransactStatements": [statement]});
            assert_eq!(service.invalid("ExecuteTransaction", request).await, expected, "{number}");
        }
    }
}

#[tokio::test]
async fn a_request_s_members_are_refused_together() {
    let service = Service::with_users().await;
    let request = json!({
        "Statement": "", "Parameters": [], "Limit": 0, "ReturnConsumedCapacity": "SOME",
        "ReturnValuesOnConditionCheckFailure": "SOME"
    });
    assert_eq!(
        service.invalid("ExecuteStatement", request).await,
        "5 validation errors detected: Value 'SOME' at 'returnValuesOnConditionCheckFailure' failed to satisfy \
         constraint: Member must satisfy enum value set: [ALL_OLD, NONE]; Value '0' at 'limit' failed to satisfy \
         constraint: Member must have value greater than or equal to 1; Value '' at 'statement' failed to satisfy \
         constraint: Member must have length greater than or equal to 1; Value 'SOME' at 'returnConsumedCapacity' \
         failed to satisfy constraint: Member must satisfy enum value set: [INDEXES, TOTAL, NONE]; Value '[]' at \
         'parameters' failed to satisfy constraint: Member must have length greater than or equal to 1"
    );
    assert_eq!(
        service.invalid("ExecuteStatement", json!({})).await,
        "1 validation error detected: Value null at 'statement' failed to satisfy constraint: Member must not be null"
    );
    let long = format!("SELECT * FROM users WHERE Id = '{}'", "x".repeat(8_192));
    let text = service.invalid("ExecuteStatement", json!({"Statement": long})).await;
    assert!(
        text.ends_with(
            "at 'statement' failed to satisfy constraint: Member must have length less than or equal to 8192"
        )
    );
}

#[tokio::test]
async fn a_batch_of_reads_answers_each_in_its_place() {
    let service = five_games().await;
    let request = json!({
        "Statements": [
            {"Statement": "SELECT Score FROM users WHERE Id = 'anna' AND Game = 2"},
            {"Statement": "SELECT * FROM users WHERE Id = ? AND Game = 9", "Parameters": [{"S": "anna"}]},
            {"Statement": "SELECT * FROM users WHERE Id = 'anna'"},
            {"Statement": "SELECT * FROM absent WHERE Id = 'anna'"},
            {"Statement": "SELECT"},
            {"Statement": "SELECT * FROM users WHERE Id = 'ben' AND Game = 1", "ConsistentRead": true}
        ],
        "ReturnConsumedCapacity": "TOTAL"
    });
    let answer = service.ok("BatchExecuteStatement", request).await;
    assert_eq!(
        answer,
        json!({
            "Responses": [
                {"Item": {"Score": {"N": "20"}}, "TableName": "users"},
                {"TableName": "users"},
                {"Error": {
                    "Code": "ValidationError",
                    "Message": "Select statements within BatchExecuteStatement must specify the primary key in the where clause."
                }},
                {"Error": {"Code": "ResourceNotFound", "Message": "Requested resource not found"}, "TableName": "absent"},
                {"Error": {
                    "Code": "ValidationError",
                    "Message": "Statement wasn't well formed, can't be processed: Unexpected term"
                }},
                {"Item": {"Id": {"S": "ben"}, "Game": {"N": "1"}, "Score": {"N": "10"}}, "TableName": "users"}
            ],
            "ConsumedCapacity": [{"TableName": "users", "CapacityUnits": 2.0}]
        })
    );
}

#[tokio::test]
async fn a_read_of_a_batch_asks_for_its_key_and_nothing_else() {
    let service = five_games().await;
    let statements: Vec<_> = ["Score = 10", "Score = 11", "Id <> 'ben'"]
        .iter()
        .map(|clause| json!({"Statement": format!("SELECT * FROM users WHERE Id = 'anna' AND Game = 1 AND {clause}")}))
        .collect();
    for statement in statements {
        let answer = service.ok("BatchExecuteStatement", json!({"Statements": [statement]})).await;
        let text = "Select statements within BatchExecuteStatement must specify the primary key in the where clause.";
        assert_eq!(
            answer,
            json!({"Responses": [{"Error": {"Code": "ValidationError", "Message": text}}]}),
            "{statement}"
        );
    }
}

#[tokio::test]
async fn a_batch_of_writes_does_each_that_can_be_done() {
    let service = five_games().await;
    let request = json!({
        "Statements": [
            {"Statement": "INSERT INTO users VALUE {'Id': 'anna', 'Game': 9}"},
            {"Statement": "INSERT INTO users VALUE {'Id': 'anna', 'Game': 1}"},
            {
                "Statement": "UPDATE users SET V = 1 WHERE Id = 'anna' AND Game = 2 AND Score = 1",
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD"
            },
            {"Statement": "UPDATE users SET V = ? WHERE Id = 'anna' AND Game = 3", "Parameters": [{"N": "x"}]},
            {"Statement": "UPDATE users SET V = gone + 1 WHERE Id = 'anna' AND Game = 0"},
            {"Statement": "DELETE FROM users WHERE Id = 'anna' AND Game = 4 RETURNING ALL OLD *"}
        ],
        "ReturnConsumedCapacity": "TOTAL"
    });
    let answer = service.ok("BatchExecuteStatement", request).await;
    assert_eq!(
        answer,
        json!({
            "Responses": [
                {"TableName": "users"},
                {"Error": {"Code": "DuplicateItem", "Message": "Duplicate primary key exists in table"}, "TableName": "users"},
                {
                    "Error": {
                        "Code": "ConditionalCheckFailed", "Message": "The conditional request failed",
                        "Item": {"Id": {"S": "anna"}, "Game": {"N": "2"}, "Score": {"N": "20"}}
                    },
                    "TableName": "users"
                },
                {"Error": {
                    "Code": "ValidationError", "Message": "The parameter cannot be converted to a numeric value: x"
                }},
                {
                    "Error": {
                        "Code": "ValidationError",
                        "Message": "The provided expression refers to an attribute that does not exist in the item"
                    },
                    "TableName": "users"
                },
                {"Item": {"Id": {"S": "anna"}, "Game": {"N": "4"}, "Score": {"N": "40"}}, "TableName": "users"}
            ],
            "ConsumedCapacity": [{"TableName": "users", "CapacityUnits": 4.0}]
        })
    );
    assert_eq!(
        games(&execute(&service, "SELECT * FROM users WHERE Id = 'anna'").await),
        ["a0", "a1", "a2", "a3", "a9"]
    );
}

#[tokio::test]
async fn a_failed_statement_of_a_batch_costs_only_beside_one_of_its_table_that_was_done() {
    let service = five_games().await;
    service.create("more", &[("Id", "S")]).await;
    let insert =
        |table: &str, id: &str| json!({"Statement": format!("INSERT INTO {table} VALUE {{'Id': '{id}', 'Game': 1}}")});
    service.ok("ExecuteStatement", insert("more", "a")).await;
    for (there, units) in [
        ("anna", json!([{"TableName": "more", "CapacityUnits": 1.0}])),
        ("new", json!([{"TableName": "users", "CapacityUnits": 1.0}, {"TableName": "more", "CapacityUnits": 1.0}])),
    ] {
        let statements = [insert("users", there), insert("more", &format!("{there} too"))];
        let request = json!({"Statements": statements, "ReturnConsumedCapacity": "TOTAL"});
        let answer = service.ok("BatchExecuteStatement", request).await;
        assert_eq!(answer["ConsumedCapacity"], units, "{there}");
    }
    let request = json!({"Statements": [insert("more", "a"), insert("more", "b")], "ReturnConsumedCapacity": "TOTAL"});
    let answer = service.ok("BatchExecuteStatement", request).await;
    assert_eq!(answer["ConsumedCapacity"], json!([{"TableName": "more", "CapacityUnits": 2.0}]));
    // In the total alone, for the larger of what is there and what it would have put.
    let large = json!({"Id": {"S": "large"}, "V": {"S": "x".repeat(3_000)}});
    service.ok("PutItem", json!({"TableName": "more", "Item": large})).await;
    let statements = [insert("more", "a"), insert("more", "large"), insert("more", "c")];
    let request = json!({"Statements": statements, "ReturnConsumedCapacity": "INDEXES"});
    let answer = service.ok("BatchExecuteStatement", request).await;
    let units = json!([{"TableName": "more", "CapacityUnits": 5.0, "Table": {"CapacityUnits": 1.0}}]);
    assert_eq!(answer["ConsumedCapacity"], units);
}

#[tokio::test]
async fn a_statement_of_a_batch_that_met_an_overloaded_partition_says_so() {
    let service = five_games().await;
    service.partitions.refuse(|request| {
        matches!(request, PartitionRequest::Write(_))
            .then(|| ServiceError::new(ErrorKind::ThrottlingException, "Rate exceeded"))
    });
    let request = json!({"Statements": [{"Statement": "DELETE FROM users WHERE Id = 'anna' AND Game = 4"}]});
    assert_eq!(
        service.ok("BatchExecuteStatement", request).await,
        json!({"Responses": [{"Error": {"Code": "ThrottlingError", "Message": "Rate exceeded"}, "TableName": "users"}]})
    );
}

#[tokio::test]
async fn each_write_of_a_batch_of_statements_has_its_own_request_id() {
    let service = Service::with_users().await;
    let statement =
        |game: usize| json!({"Statement": format!("UPDATE users SET V = 1 WHERE Id = 'a' AND Game = {game}")});
    let body = json!({"Statements": [statement(1), statement(2)]}).to_string();
    for _ in 0..2 {
        service.call_with("BatchExecuteStatement", body.clone().into(), &[("amz-sdk-invocation-id", "one")]).await;
    }
    let ids = service.partitions.request_ids.lock().unwrap();
    assert_ne!(ids[0], ids[1]);
    assert_eq!(ids[..2], ids[2..]);
}

#[tokio::test]
async fn batches_of_statements_that_do_not_fit_are_refused_in_dynamodbs_words() {
    let service = five_games().await;
    let batch = |statements: &[&str]| {
        let statements: Vec<_> = statements.iter().map(|statement| json!({"Statement": statement})).collect();
        json!({"Statements": statements})
    };
    let read = "SELECT * FROM users WHERE Id = 'anna' AND Game = 1";
    let write = "DELETE FROM users WHERE Id = 'anna' AND Game = 1";
    for (request, expected) in [
        (batch(&[read, write]), "Read and write requests together in the same batch is not supported."),
        (batch(&[read, read]), "Provided list of item keys contains duplicates"),
        (
            batch(&[write, "INSERT INTO users VALUE {'Id': 'anna', 'Game': 1.0}"]),
            "Provided list of item keys contains duplicates",
        ),
        (
            json!({"Statements": []}),
            "1 validation error detected: Value '[]' at 'statements' failed to satisfy constraint: Member must have \
             length greater than or equal to 1",
        ),
        (
            json!({}),
            "1 validation error detected: Value null at 'statements' failed to satisfy constraint: Member must not be null",
        ),
        (
            json!({"Statements": [{"Statement": "", "Parameters": []}]}),
            "2 validation errors detected: Value '' at 'statements.1.member.statement' failed to satisfy constraint: \
             Member must have length greater than or equal to 1; Value '[]' at 'statements.1.member.parameters' failed \
             to satisfy constraint: Member must have length greater than or equal to 1",
        ),
    ] {
        assert_eq!(service.invalid("BatchExecuteStatement", request).await, expected);
    }
    let text = service.invalid("BatchExecuteStatement", batch(&[read; 26])).await;
    assert!(
        text.ends_with(
            "at 'statements' failed to satisfy constraint: Member must have length less than or equal to 25"
        )
    );
}
