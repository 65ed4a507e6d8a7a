//! TransactWriteItems, TransactGetItems and ExecuteTransaction.

use crate::client::{NOW_MS, Service};
use cairn_model::{ErrorKind, ServiceError};
use cairn_replication::{
    operation::PartitionRequest,
    transaction::{TransactRequest, TransactStep},
};
use serde_json::{Value, json};

const CANCELED: &str = "Transaction cancelled, please refer cancellation reasons for specific reasons ";

fn key(game: usize) -> Value {
    json!({"Id": {"S": "a"}, "Game": {"N": game.to_string()}})
}

fn item(game: usize, score: usize) -> Value {
    json!({"Id": {"S": "a"}, "Game": {"N": game.to_string()}, "Score": {"N": score.to_string()}})
}

fn put(item: Value) -> Value {
    json!({"Put": {"TableName": "users", "Item": item}})
}

fn put_other(id: &str) -> Value {
    json!({"Put": {"TableName": "other", "Item": {"Id": {"S": id}}}})
}

fn check(game: usize, condition: &str) -> Value {
    json!({"ConditionCheck": {"TableName": "users", "Key": key(game), "ConditionExpression": condition}})
}

fn get(game: usize) -> Value {
    json!({"Get": {"TableName": "users", "Key": key(game)}})
}

fn write(actions: &[Value]) -> Value {
    json!({"TransactItems": actions})
}

async fn two_tables() -> Service {
    let service = Service::with_users().await;
    service.create("other", &[("Id", "S")]).await;
    service
}

impl Service {
    async fn refused(&self, operation: &str, request: Value) -> String {
        self.error(operation, request).await.1
    }

    /// The codes, and the whole answer.
    async fn canceled(&self, operation: &str, request: Value) -> (Vec<String>, Value) {
        let answer = self.call(operation, request.to_string()).await;
        let (name, message) = answer.error();
        assert_eq!(name, "TransactionCanceledException", "{message}");
        let answer = answer.json();
        let reasons = answer["CancellationReasons"].as_array().unwrap();
        let codes: Vec<String> = reasons.iter().map(|reason| reason["Code"].as_str().unwrap().to_owned()).collect();
        assert_eq!(message, format!("{CANCELED}[{}]", codes.join(", ")));
        (codes, answer)
    }

    async fn score(&self, game: usize) -> Value {
        self.ok("GetItem", json!({"TableName": "users", "Key": key(game)})).await["Item"]["Score"]["N"].clone()
    }
}

#[tokio::test]
async fn all_four_actions_are_done_across_tables_at_double_units() {
    let service = two_tables().await;
    service.put(item(1, 1)).await;
    service.put(item(2, 2)).await;
    service.put(item(3, 3)).await;
    let mut request = write(&[
        check(1, "Score = :one"),
        json!({"Update": {"TableName": "users", "Key": key(2), "UpdateExpression": "SET Score = Score + :n",
                          "ExpressionAttributeValues": {":n": {"N": "5"}}}}),
        json!({"Delete": {"TableName": "users", "Key": key(3)}}),
        put_other("x"),
    ]);
    request["TransactItems"][0]["ConditionCheck"]["ExpressionAttributeValues"] = json!({":one": {"N": "1"}});
    request["ReturnConsumedCapacity"] = json!("INDEXES");
    let answer = service.ok("TransactWriteItems", request).await;
    let units = |units: f64| json!({"CapacityUnits": units, "WriteCapacityUnits": units});
    let mut other = units(2.0);
    (other["Table"], other["TableName"]) = (units(2.0), json!("other"));
    let mut users = units(6.0);
    (users["Table"], users["TableName"]) = (units(6.0), json!("users"));
    assert_eq!(answer, json!({"ConsumedCapacity": [other, users]}));
    assert_eq!((service.score(2).await, service.score(3).await), (json!("7"), Value::Null));
    let get_other = json!({"TableName": "other", "Key": {"Id": {"S": "x"}}});
    assert_eq!(service.ok("GetItem", get_other).await["Item"]["Id"]["S"], "x");
    assert_eq!(service.ok("TransactWriteItems", write(&[put(item(9, 9))])).await, json!({}));
}

#[tokio::test]
async fn what_fails_in_one_table_is_done_in_none_and_every_action_has_its_reason() {
    let service = two_tables().await;
    service.put(item(1, 1)).await;
    let mut failing = check(1, "attribute_not_exists(Id)");
    failing["ConditionCheck"]["ReturnValuesOnConditionCheckFailure"] = json!("ALL_OLD");
    let (codes, answer) =
        service.canceled("TransactWriteItems", write(&[put_other("x"), failing, put(item(2, 2))])).await;
    assert_eq!(codes, ["None", "ConditionalCheckFailed", "None"]);
    let reasons = &answer["CancellationReasons"];
    assert_eq!(reasons[0], json!({"Code": "None"}));
    assert_eq!(reasons[1]["Message"], "The conditional request failed");
    assert_eq!(reasons[1]["Item"], item(1, 1));
    assert_eq!(answer["__type"], "com.amazonaws.dynamodb.v20120810#TransactionCanceledException");
    let scan = service.ok("Scan", json!({"TableName": "other"})).await;
    assert_eq!((scan["Count"].clone(), service.score(2).await), (json!(0), Value::Null));
    service.put(item(2, 3)).await;
    assert_eq!(service.score(2).await, json!("3"), "nothing stays locked");
}

#[tokio::test]
async fn an_update_that_can_not_be_is_a_reason() {
    let service = Service::with_users().await;
    service.put(json!({"Id": {"S": "a"}, "Game": {"N": "1"}, "Score": {"S": "x"}})).await;
    let update = json!({"Update": {"TableName": "users", "Key": key(1), "UpdateExpression": "ADD Score :n",
                                   "ExpressionAttributeValues": {":n": {"N": "5"}}}});
    let (codes, _) = service.canceled("TransactWriteItems", write(&[update])).await;
    assert_eq!(codes, ["ValidationError"]);
}

#[tokio::test]
async fn a_token_answers_the_same_request_with_read_units_and_no_other() {
    let service = two_tables().await;
    let add = json!({"Update": {"TableName": "users", "Key": key(1), "UpdateExpression": "ADD Score :n",
                                "ExpressionAttributeValues": {":n": {"N": "5"}}}});
    let mut request = write(&[add, put_other("x")]);
    request["ClientRequestToken"] = json!("once");
    service.ok("TransactWriteItems", request.clone()).await;
    request["ReturnConsumedCapacity"] = json!("TOTAL");
    let answer = service.ok("TransactWriteItems", request.clone()).await;
    let of = |table: &str| json!({"CapacityUnits": 2.0, "ReadCapacityUnits": 2.0, "TableName": table});
    assert_eq!(answer, json!({"ConsumedCapacity": [of("other"), of("users")]}));
    assert_eq!(service.score(1).await, json!("5"));
    request["TransactItems"][1] = put_other("y");
    let (name, _) = service.error("TransactWriteItems", request.clone()).await;
    assert_eq!(name, "IdempotentParameterMismatchException");
    request["ClientRequestToken"] = json!("twice");
    service.ok("TransactWriteItems", request).await;
    assert_eq!(service.score(1).await, json!("10"));
}

/// A coordinator that dies between two steps: requests for which `dies` is true are never answered.
async fn left_behind(service: &Service, dies: impl Fn(&TransactStep) -> bool + Send + 'static) {
    service.partitions.refuse(move |request| {
        let PartitionRequest::Transact(TransactRequest { step, .. }) = request else { return None };
        dies(step).then(|| ServiceError::new(ErrorKind::InternalServerError, "not known"))
    });
    let request = write(&[put(item(1, 1)), put_other("x")]);
    let answer = service.call("TransactWriteItems", request.to_string()).await;
    assert_eq!(answer.error().0, "InternalServerError");
    service.partitions.refuse(|_| None);
}

/// Nothing of the primary is heard of any more.
fn decides(step: &TransactStep) -> bool {
    matches!(step, TransactStep::DecideAfter { .. } | TransactStep::Resolve { .. } | TransactStep::Abort { .. })
}

fn get_other(id: &str) -> Value {
    json!({"Get": {"TableName": "other", "Key": {"Id": {"S": id}}}})
}

#[tokio::test]
async fn who_meets_a_transaction_is_told_so() {
    let service = two_tables().await;
    service.partitions.locked_since(NOW_MS);
    left_behind(&service, decides).await;
    let put_x = json!({"TableName": "other", "Item": {"Id": {"S": "x"}, "V": {"S": "y"}}});
    let (name, message) = service.error("PutItem", put_x).await;
    assert_eq!(
        (name.as_str(), message.as_str()),
        ("TransactionConflictException", "Transaction is ongoing for the item")
    );
    let (codes, answer) = service.canceled("TransactWriteItems", write(&[put(item(2, 2)), put_other("x")])).await;
    assert_eq!(codes, ["None", "TransactionConflict"]);
    assert_eq!(answer["CancellationReasons"][1]["Message"], "Transaction is ongoing for the item");
    let (codes, _) = service.canceled("TransactGetItems", write(&[get_other("x"), get(2)])).await;
    assert_eq!(codes, ["TransactionConflict", "None"]);
    let scan = service.ok("Scan", json!({"TableName": "other"})).await;
    assert_eq!(scan["Count"], 0, "a read that is none of a transaction goes on");
    assert_eq!(service.of_table("other", "cairn_transaction_conflicts_total"), Some(3.0));
}

#[tokio::test]
async fn a_write_of_a_batch_that_meets_a_transaction_comes_back_unprocessed() {
    let service = two_tables().await;
    service.partitions.locked_since(NOW_MS);
    left_behind(&service, decides).await;
    let item = |id: &str| json!({"Id": {"S": id}, "V": {"S": "y"}});
    let request = |items: &[Value]| {
        let puts: Vec<Value> = items.iter().map(|item| json!({"PutRequest": {"Item": item}})).collect();
        json!({"RequestItems": {"other": puts}})
    };
    let (met, free) = (item("x"), item("free"));
    let answer = service.ok("BatchWriteItem", request(&[met.clone(), free.clone()])).await;
    assert_eq!(answer["UnprocessedItems"], request(std::slice::from_ref(&met))["RequestItems"]);
    assert_eq!(service.ok("Scan", json!({"TableName": "other"})).await["Items"], json!([free]));
    let answer = service.ok("BatchWriteItem", request(std::slice::from_ref(&met))).await;
    assert_eq!(answer["UnprocessedItems"], request(&[met])["RequestItems"], "where nothing was done, too");
}

#[tokio::test]
async fn who_meets_what_a_dead_coordinator_left_ends_it_and_goes_on() {
    let service = two_tables().await;
    service.partitions.locked_since(NOW_MS - 10_000);
    left_behind(&service, decides).await;
    let x = json!({"Id": {"S": "x"}, "V": {"S": "y"}});
    service.ok("PutItem", json!({"TableName": "other", "Item": x})).await;
    assert_eq!(service.ok("Scan", json!({"TableName": "other"})).await["Items"], json!([x]));
    assert_eq!(service.score(1).await, Value::Null, "it was aborted in all of its tables");
}

#[tokio::test]
async fn what_was_committed_where_it_counts_is_finished_by_whoever_comes_next() {
    let service = two_tables().await;
    service.partitions.locked_since(NOW_MS - 10_000);
    left_behind(&service, |step| matches!(step, TransactStep::CommitDecided { .. })).await;
    let scan = json!({"TableName": "other"});
    assert_eq!(service.ok("Scan", scan.clone()).await["Count"], 0, "this table was not told");
    let items = service.ok("TransactGetItems", write(&[get(1), get_other("x")])).await;
    assert_eq!(items["Responses"], json!([{"Item": item(1, 1)}, {"Item": {"Id": {"S": "x"}}}]));
    assert_eq!(service.ok("Scan", scan).await["Count"], 1);
}

#[tokio::test]
async fn items_are_got_in_the_order_asked_for_at_double_units() {
    let service = two_tables().await;
    service.put(item(1, 1)).await;
    service.ok("PutItem", json!({"TableName": "other", "Item": {"Id": {"S": "x"}, "V": {"S": "y"}}})).await;
    let mut request = write(&[
        get(2),
        json!({"Get": {"TableName": "other", "Key": {"Id": {"S": "x"}}, "ProjectionExpression": "#v",
                       "ExpressionAttributeNames": {"#v": "V"}}}),
        get(1),
    ]);
    request["ReturnConsumedCapacity"] = json!("TOTAL");
    let answer = service.ok("TransactGetItems", request.clone()).await;
    assert_eq!(answer["Responses"], json!([{}, {"Item": {"V": {"S": "y"}}}, {"Item": item(1, 1)}]));
    request["TransactItems"][1]["Get"]["ExpressionAttributeNames"]["#v"] = json!("Gone");
    let nothing = service.ok("TransactGetItems", request).await;
    assert_eq!(nothing["Responses"], json!([{}, {}, {"Item": item(1, 1)}]));
    let of = |table: &str, units: f64| json!({"CapacityUnits": units, "ReadCapacityUnits": units, "TableName": table});
    assert_eq!(answer["ConsumedCapacity"], json!([of("other", 2.0), of("users", 4.0)]));
}

#[tokio::test]
async fn requests_are_refused_in_dynamodbs_words_and_order() {
    let service = two_tables().await;
    let empty = json!({"TransactItems": [], "ReturnConsumedCapacity": "x"});
    let at = "1 validation error detected: Value '[]' at 'transactItems' failed to satisfy constraint: ";
    let expected = format!("{at}Member must have length greater than or equal to 1");
    assert_eq!(service.refused("TransactWriteItems", empty.clone()).await, expected);
    assert_eq!(service.refused("TransactGetItems", empty).await, expected);
    let many: Vec<Value> = (0..101).map(get).collect();
    assert!(service.refused("TransactGetItems", write(&many)).await.ends_with("less than or equal to 100"));
    let cases = [
        (
            json!({}),
            "1 validation error detected: Value null at 'transactItems' failed to satisfy constraint: Member must not be null",
        ),
        (
            json!({"TransactItems": [{}], "ClientRequestToken": "x".repeat(37)}),
            &format!(
                "1 validation error detected: Value '{}' at 'clientRequestToken' failed to satisfy constraint: Member must have length less than or equal to 36",
                "x".repeat(37)
            ),
        ),
        (write(&[json!({})]), "Invalid Request: TransactWriteRequest should contain Delete or Put or Update request"),
        (
            write(&[
                json!({"Put": {"TableName": "users", "Item": item(1, 1)}, "Delete": {"TableName": "users", "Key": key(1)}}),
            ]),
            "TransactItems can only contain one of Check, Put, Update or Delete",
        ),
        (
            write(&[json!({"Update": {"TableName": "users", "Key": key(1)}})]),
            "1 validation error detected: Value null at 'transactItems.1.member.update.updateExpression' failed to satisfy constraint: Member must not be null",
        ),
        (
            write(&[
                json!({"Delete": {"TableName": "users", "Key": key(1), "ReturnValuesOnConditionCheckFailure": "x"}}),
            ]),
            "1 validation error detected: Value 'x' at 'transactItems.1.member.delete.returnValuesOnConditionCheckFailure' failed to satisfy constraint: Member must satisfy enum value set: [ALL_OLD, NONE]",
        ),
        (
            write(&[put(item(1, 1)), json!({"Delete": {"TableName": "a", "Key": key(1)}})]),
            "1 validation error detected: Value 'a' at 'transactItems.2.member.delete.tableName' failed to satisfy constraint: Member must have length greater than or equal to 3",
        ),
        (
            write(&[put(item(1, 1)), check(1, "attribute_exists(")]),
            "Invalid ConditionExpression: Syntax error; token: \"<EOF>\", near: \"(\"",
        ),
        (
            write(&[put(item(1, 1)), put(item(1, 2))]),
            "Transaction request cannot include multiple operations on one item",
        ),
        (
            write(&[json!({"Put": {"TableName": "users", "Item": {"Id": {"S": ""}, "Game": {"N": "1"}}}})]),
            "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: Id",
        ),
    ];
    for (request, expected) in cases {
        assert_eq!(service.refused("TransactWriteItems", request.clone()).await, expected, "{request}");
    }
    let deep = (0..40).fold(json!({"S": "x"}), |value, _| json!({"M": {"n": value}}));
    let deep = json!({"Id": deep, "Game": {"N": "1"}});
    let delete = |condition| json!({"Delete": {"TableName": "users", "Key": deep, "ConditionExpression": condition}});
    let cases = [
        (write(&[delete("a = = b")]), "Invalid ConditionExpression: Syntax error; token: \"=\""),
        (write(&[delete("attribute_exists(a)"), check(1, "a = = b")]), "Nesting Levels"),
        (write(&[check(1, "a = = b"), delete("attribute_exists(a)")]), "Invalid ConditionExpression"),
        (write(&[put(deep.clone()), check(1, "a = = b")]), "Nesting Levels"),
    ];
    for (request, expected) in cases {
        let text = service.refused("TransactWriteItems", request.clone()).await;
        assert!(text.starts_with(expected), "{text} {request}");
    }
    let missing = write(&[put(item(1, 1)), json!({"Delete": {"TableName": "missing", "Key": key(1)}})]);
    assert_eq!(service.error("TransactWriteItems", missing).await.0, "ResourceNotFoundException");
    let twice = write(&[get(1), get(1)]);
    let expected = "Transaction request cannot include multiple operations on one item";
    assert_eq!(service.refused("TransactGetItems", twice).await, expected);
    let unread = write(&[json!({})]);
    assert!(service.refused("TransactGetItems", unread).await.contains("'transactItems.1.member.get'"));
}

#[tokio::test]
async fn a_key_that_does_not_fit_is_a_reason() {
    let service = Service::with_users().await;
    let wrong = json!({"Delete": {"TableName": "users", "Key": {"Id": {"S": "a"}}}});
    let (codes, answer) = service.canceled("TransactWriteItems", write(&[put(item(1, 1)), wrong])).await;
    assert_eq!(codes, ["None", "ValidationError"]);
    assert_eq!(answer["CancellationReasons"][1]["Message"], "The provided key element does not match the schema");
    let wrong = json!({"Get": {"TableName": "users", "Key": {"Id": {"N": "1"}, "Game": {"N": "1"}}}});
    let (codes, _) = service.canceled("TransactGetItems", write(&[get(1), wrong])).await;
    assert_eq!(codes, ["None", "ValidationError"]);
}

fn statements(statements: &[&str]) -> Value {
    let statements: Vec<Value> = statements.iter().map(|text| json!({"Statement": text})).collect();
    json!({"TransactStatements": statements})
}

#[tokio::test]
async fn statements_are_a_transaction() {
    let service = two_tables().await;
    service.put(item(1, 1)).await;
    let writes = statements(&[
        "INSERT INTO users VALUE {'Id': 'a', 'Game': 2, 'Score': 2}",
        "UPDATE users SET Score = 7 WHERE Id = 'a' AND Game = 1",
        "EXISTS(SELECT * FROM users WHERE Id = 'a' AND Game = 3 AND Score = 3)",
    ]);
    let (codes, _) = service.canceled("ExecuteTransaction", writes.clone()).await;
    assert_eq!(codes, ["None", "None", "ConditionalCheckFailed"]);
    service.put(item(3, 3)).await;
    assert_eq!(service.ok("ExecuteTransaction", writes).await, json!({"Responses": []}));
    let mut reads = statements(&[
        "SELECT Score FROM users WHERE Id = 'a' AND Game = 1",
        "SELECT * FROM users WHERE Id = 'a' AND Game = 9",
        "SELECT * FROM users WHERE Id = 'a' AND Game = 2",
    ]);
    reads["ReturnConsumedCapacity"] = json!("TOTAL");
    let answer = service.ok("ExecuteTransaction", reads).await;
    assert_eq!(answer["Responses"], json!([{"Item": {"Score": {"N": "7"}}}, {}, {"Item": item(2, 2)}]));
    assert_eq!(answer["ConsumedCapacity"][0]["ReadCapacityUnits"], 6.0);
    let again = statements(&[
        "INSERT INTO users VALUE {'Id': 'a', 'Game': 2}",
        "DELETE FROM users WHERE Id = 'a' AND Game = 1",
    ]);
    let (codes, answer) = service.canceled("ExecuteTransaction", again).await;
    assert_eq!(codes, ["DuplicateItem", "None"]);
    assert_eq!(answer["CancellationReasons"][0]["Message"], "Duplicate primary key exists in table");
}

#[tokio::test]
async fn statements_that_no_transaction_takes_are_refused_by_their_place() {
    let service = Service::with_users().await;
    let cases = [
        (
            &["SELECT * FROM users WHERE Id = 'a' AND Game = 1", "DELETE FROM users WHERE Id = 'a' AND Game = 2"][..],
            "ExecuteTransaction API does not support both read and write operations in the same request.",
        ),
        (
            &[
                "DELETE FROM users WHERE Id = 'a' AND Game = 2",
                "DELETE FROM users WHERE Id = 'a' AND Game = 1 RETURNING ALL OLD *",
            ],
            "Validation failed in TransactStatements[1]: RETURNING clause is not supported in ExecuteTransaction.",
        ),
        (
            &["SELECT * FROM users WHERE Id = 'a'"],
            "Validation failed in TransactStatements[0]: Select statements within ExecuteTransaction must specify the primary key in the where clause.",
        ),
        (
            &["SELECT * FROM nowhere WHERE Id = 'a'", "SELECT * FROM users.\"by-score\" WHERE Id = 'a'"],
            "Validation failed in TransactStatements[1]: Reads on indices are not supported within transactions.",
        ),
        (
            &["SELECT * FROM users.\"by-score\" WHERE Id = 'a'"],
            "Validation failed in TransactStatements[0]: Reads on indices are not supported within transactions.",
        ),
        (
            &["EXISTS(SELECT * FROM users WHERE Id = 'a' AND Game = 1)"],
            "Validation failed in TransactStatements[0]: EXISTS() must contain a single item read with additional condition",
        ),
        (
            &["EXISTS(SELECT * FROM users WHERE Id = 'a' AND Game IN [1] AND Score = 1)"],
            "Validation failed in TransactStatements[0]: EXISTS() must contain a single item read with additional condition",
        ),
    ];
    for (texts, expected) in cases {
        assert_eq!(service.refused("ExecuteTransaction", statements(texts)).await, expected);
    }
    for text in ["DELETE FROM nowhere WHERE Id = 'a'", "DELETE FROM nowhere WHERE Id = 'a' RETURNING ALL OLD *"] {
        let (codes, _) = service.canceled("ExecuteTransaction", statements(&[text])).await;
        assert_eq!(codes, ["ResourceNotFound"]);
    }
}

/// As captured at DynamoDB.
#[tokio::test]
async fn a_check_looks_at_the_first_key_that_it_names_and_asks_it_for_the_others() {
    let service = Service::with_users().await;
    service.put(item(1, 1)).await;
    for condition in ["Id = 'a' AND Game = 1 AND Id = 'b' AND Score = 1", "Game = 1 AND Game = 2 AND Id = 'a'"] {
        let exists = format!("EXISTS(SELECT * FROM users WHERE {condition})");
        let request = statements(&[&exists, "INSERT INTO users VALUE {'Id': 'b', 'Game': 1}"]);
        let (codes, _) = service.canceled("ExecuteTransaction", request).await;
        assert_eq!(codes, ["ConditionalCheckFailed", "None"], "{condition}");
    }
}

/// As captured at DynamoDB: it reads the statements, and then cancels the transaction for their keys.
#[tokio::test]
async fn statements_that_name_no_item_cancel_their_transaction() {
    let service = Service::with_users().await;
    let mismatch = "The provided key element does not match the schema";
    let update = |condition: &str| format!("UPDATE users SET Score = 1 WHERE {condition}");
    for (text, message) in [
        (update("Id = 'a'"), mismatch),
        (update("Id = 'a' AND Game IN [1]"), mismatch),
        (update("Id = 'a' AND Game = '1'"), mismatch),
        (
            update("Id = 'a' AND Game = 1 AND Id = 'b'"),
            "Multiple conditions on same key Id. Only single item Update/Insert/Delete are supported",
        ),
        ("DELETE FROM users WHERE Game = 1".to_owned(), mismatch),
        (
            "INSERT INTO users VALUE {'Id': 'a'}".to_owned(),
            "One or more parameter values were invalid: Missing the key Game in the item",
        ),
    ] {
        let request = statements(&[&text, "DELETE FROM users WHERE Id = 'b' AND Game = 2"]);
        let (codes, answer) = service.canceled("ExecuteTransaction", request).await;
        assert_eq!(codes, ["ValidationError", "None"], "{text}");
        assert_eq!(answer["CancellationReasons"][0]["Message"], message, "{text}");
    }
    let read = statements(&["SELECT * FROM users WHERE Id = 'a' AND Game = '1'"]);
    let (codes, answer) = service.canceled("ExecuteTransaction", read).await;
    assert_eq!(
        (codes.as_slice(), &answer["CancellationReasons"][0]["Message"]),
        (&["ValidationError".to_owned()][..], &mismatch.into())
    );
}
