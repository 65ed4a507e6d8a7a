//! GetItem, PutItem, UpdateItem, DeleteItem.

use crate::client::Service;
use serde_json::json;

#[tokio::test]
async fn what_is_put_is_got_with_all_ten_types() {
    let service = Service::with_users().await;
    let item = json!({
        "Id": {"S": "anna"}, "Game": {"N": "7"}, "Text": {"S": "\"ü\"\n"}, "Bytes": {"B": "AAEC"},
        "Yes": {"BOOL": true}, "Nothing": {"NULL": true}, "Texts": {"SS": ["a", "b"]},
        "Numbers": {"NS": ["-1", "12345678901234567890123456789012345678"]}, "Blobs": {"BS": ["AA==", "AQ=="]},
        "List": {"L": [{"S": "x"}, {"L": []}]}, "Map": {"M": {"a": {"M": {}}}}
    });
    service.put(item.clone()).await;
    let key = json!({"Id": {"S": "anna"}, "Game": {"N": "7.0"}});
    let answer = service.ok("GetItem", json!({"TableName": "users", "Key": key})).await;
    assert_eq!(answer, json!({"Item": item}));
}

#[tokio::test]
async fn an_item_that_is_not_there_is_an_empty_answer_and_costs_a_unit() {
    let service = Service::with_users().await;
    let request = json!({
        "TableName": "users", "Key": {"Id": {"S": "a"}, "Game": {"N": "1"}}, "ConsistentRead": true,
        "ReturnConsumedCapacity": "TOTAL"
    });
    let answer = service.ok("GetItem", request).await;
    assert_eq!(answer, json!({"ConsumedCapacity": {"TableName": "users", "CapacityUnits": 1.0}}));
}

#[tokio::test]
async fn a_projection_returns_its_paths_and_is_charged_for_the_whole_item() {
    let service = Service::with_users().await;
    let big = "x".repeat(9_000);
    service
        .put(json!({"Id": {"S": "a"}, "Game": {"N": "1"}, "Big": {"S": big}, "M": {"M": {"k": {"L": [{"N": "5"}]}}}}))
        .await;
    let request = json!({
        "TableName": "users", "Key": {"Id": {"S": "a"}, "Game": {"N": "1"}}, "ProjectionExpression": "M.#k[0]",
        "ExpressionAttributeNames": {"#k": "k"}, "ReturnConsumedCapacity": "INDEXES"
    });
    let answer = service.ok("GetItem", request).await;
    assert_eq!(
        answer,
        json!({
            "Item": {"M": {"M": {"k": {"L": [{"N": "5"}]}}}},
            "ConsumedCapacity": {"TableName": "users", "CapacityUnits": 1.5, "Table": {"CapacityUnits": 1.5}}
        })
    );
}

#[tokio::test]
async fn a_put_returns_the_old_item_and_its_units() {
    let service = Service::with_users().await;
    service.put(json!({"Id": {"S": "a"}, "Game": {"N": "1"}, "V": {"S": "x".repeat(3_000)}})).await;
    let answer = service
        .ok(
            "PutItem",
            json!({
                "TableName": "users", "Item": {"Id": {"S": "a"}, "Game": {"N": "1"}, "V": {"N": "2"}},
                "ReturnValues": "ALL_OLD", "ReturnConsumedCapacity": "TOTAL", "ReturnItemCollectionMetrics": "SIZE"
            }),
        )
        .await;
    assert_eq!(answer["Attributes"]["V"]["S"].as_str().unwrap().len(), 3_000);
    assert_eq!(answer["ConsumedCapacity"]["CapacityUnits"], 3.0);
    assert!(answer.get("ItemCollectionMetrics").is_none());
}

#[tokio::test]
async fn a_failed_condition_returns_the_item_it_met_when_asked() {
    let service = Service::with_users().await;
    service.put(json!({"Id": {"S": "a"}, "Game": {"N": "1"}, "V": {"N": "1"}})).await;
    let mut request = json!({
        "TableName": "users", "Item": {"Id": {"S": "a"}, "Game": {"N": "1"}},
        "ConditionExpression": "attribute_not_exists(Id)"
    });
    let answer = service.call("PutItem", request.to_string()).await;
    assert_eq!(
        answer.json(),
        json!({
            "__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",
            "message": "The conditional request failed"
        })
    );
    request["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD".into();
    let answer = service.call("PutItem", request.to_string()).await;
    assert_eq!(
        answer.json(),
        json!({
            "__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",
            "Message": "The conditional request failed",
            "Item": {"Id": {"S": "a"}, "Game": {"N": "1"}, "V": {"N": "1"}}
        })
    );
}

#[tokio::test]
async fn an_update_makes_changes_and_returns_what_was_asked_for() {
    let service = Service::with_users().await;
    let mut request = json!({
        "TableName": "users", "Key": {"Id": {"S": "a"}, "Game": {"N": "1"}},
        "UpdateExpression": "SET Score = if_not_exists(Score, :zero) + :five, Label = :label",
        "ExpressionAttributeValues": {":zero": {"N": "0"}, ":five": {"N": "5"}, ":label": {"S": "new"}},
        "ReturnValues": "UPDATED_NEW"
    });
    let answer = service.ok("UpdateItem", request.clone()).await;
    assert_eq!(answer, json!({"Attributes": {"Score": {"N": "5"}, "Label": {"S": "new"}}}));
    request["ReturnValues"] = "UPDATED_OLD".into();
    let answer = service.ok("UpdateItem", request.clone()).await;
    assert_eq!(answer["Attributes"]["Score"], json!({"N": "5"}));
    request["ReturnValues"] = "ALL_NEW".into();
    let answer = service.ok("UpdateItem", request).await;
    assert_eq!(answer["Attributes"]["Score"], json!({"N": "15"}));
    assert_eq!(answer["Attributes"]["Id"], json!({"S": "a"}));
}

#[tokio::test]
async fn an_update_without_an_expression_makes_the_item() {
    let service = Service::with_users().await;
    let key = json!({"Id": {"S": "a"}, "Game": {"N": "1"}});
    service.ok("UpdateItem", json!({"TableName": "users", "Key": key})).await;
    let answer = service.ok("GetItem", json!({"TableName": "users", "Key": key})).await;
    assert_eq!(answer, json!({"Item": key}));
}

/// "DELETE - Nothing happens; there is no attribute to delete" (reference, AttributeValueUpdate).
#[tokio::test]
async fn an_update_that_only_takes_away_makes_no_item() {
    let service = Service::with_users().await;
    let key = json!({"Id": {"S": "a"}, "Game": {"N": "1"}});
    let from_set = json!({":s": {"SS": ["x"]}});
    let updates = [
        json!({"UpdateExpression": "REMOVE Label, Score"}),
        json!({"UpdateExpression": "REMOVE Label DELETE Friends :s", "ExpressionAttributeValues": from_set}),
        json!({"AttributeUpdates": {"Label": {"Action": "DELETE"}}}),
        json!({"AttributeUpdates": {"Friends": {"Action": "DELETE", "Value": {"SS": ["x"]}}}}),
    ];
    for update in updates {
        let mut request = json!({"TableName": "users", "Key": key, "ReturnConsumedCapacity": "TOTAL"});
        request.as_object_mut().unwrap().extend(update.as_object().unwrap().clone());
        for values in ["ALL_OLD", "UPDATED_OLD", "ALL_NEW", "UPDATED_NEW"] {
            request["ReturnValues"] = values.into();
            let answer = service.ok("UpdateItem", request.clone()).await;
            assert_eq!(answer, json!({"ConsumedCapacity": {"TableName": "users", "CapacityUnits": 1.0}}), "{request}");
        }
        if update.get("UpdateExpression").is_some() {
            request = json!({"Update": request});
            for parameter in ["ReturnValues", "ReturnConsumedCapacity"] {
                request["Update"].as_object_mut().unwrap().remove(parameter);
            }
            service.ok("TransactWriteItems", json!({"TransactItems": [request]})).await;
        }
    }
    let answer = service.ok("GetItem", json!({"TableName": "users", "Key": key})).await;
    assert_eq!(answer, json!({}));
}

#[tokio::test]
async fn a_delete_returns_the_old_item_and_is_idempotent() {
    let service = Service::with_users().await;
    let item = json!({"Id": {"S": "a"}, "Game": {"N": "1"}});
    service.put(item.clone()).await;
    let request = json!({"TableName": "users", "Key": item, "ReturnValues": "ALL_OLD"});
    assert_eq!(service.ok("DeleteItem", request.clone()).await, json!({"Attributes": item}));
    assert_eq!(service.ok("DeleteItem", request).await, json!({}));
}

#[tokio::test]
async fn a_retry_by_the_sdk_has_the_request_id_of_the_first_attempt() {
    let service = Service::with_users().await;
    let body = json!({"TableName": "users", "Item": {"Id": {"S": "a"}, "Game": {"N": "1"}}}).to_string();
    for id in ["one", "one", "two"] {
        service.call_with("PutItem", body.clone().into(), &[("amz-sdk-invocation-id", id)]).await;
    }
    let ids = service.partitions.request_ids.lock().unwrap();
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[0], ids[2]);
}

#[tokio::test]
async fn keys_that_do_not_fit_the_table_are_refused() {
    let service = Service::with_users().await;
    let get = |key| json!({"TableName": "users", "Key": key});
    for key in [
        json!({}),
        json!({"Id": {"S": "a"}}),
        json!({"Id": {"S": "a"}, "Game": {"S": "1"}}),
        json!({"Id": {"S": "a"}, "Game": {"N": "1"}, "More": {"N": "1"}}),
    ] {
        let text = service.invalid("GetItem", get(key)).await;
        assert_eq!(text, "The provided key element does not match the schema");
    }
    let text = service.invalid("PutItem", json!({"TableName": "users", "Item": {"Id": {"S": "a"}}})).await;
    assert_eq!(text, "One or more parameter values were invalid: Missing the key Game in the item");
    let request = json!({
        "TableName": "users", "Key": {"Id": {"S": "a"}, "Game": {"N": "1"}}, "UpdateExpression": "SET Game = :v",
        "ExpressionAttributeValues": {":v": {"N": "1"}}
    });
    let text = service.invalid("UpdateItem", request).await;
    assert_eq!(
        text,
        "One or more parameter values were invalid: Cannot update attribute Game. This attribute is part of the key"
    );
}

#[tokio::test]
async fn violated_constraints_are_listed_together() {
    let service = Service::with_users().await;
    let text = service.invalid("GetItem", json!({"TableName": "a!b", "ReturnConsumedCapacity": "ALL"})).await;
    assert_eq!(
        text,
        "3 validation errors detected: Value null at 'key' failed to satisfy constraint: Member must not be null; \
         Value 'a!b' at 'tableName' failed to satisfy constraint: Member must satisfy regular expression pattern: \
         [a-zA-Z0-9_.-]+; Value 'ALL' at 'returnConsumedCapacity' failed to satisfy constraint: Member must satisfy \
         enum value set: [INDEXES, TOTAL, NONE]"
    );
    let text = service.invalid("PutItem", json!({"TableName": ""})).await;
    assert_eq!(
        text,
        "1 validation error detected: Value at 'TableName' failed to satisfy constraint: Member must have length \
         greater than or equal to 1"
    );
}

#[tokio::test]
async fn expression_parameters_are_checked_before_the_table() {
    let service = Service::start().await;
    let key = json!({"Id": {"S": "a"}});
    for (operation, more, expected) in [
        (
            "GetItem",
            json!({"AttributesToGet": ["a"], "ProjectionExpression": "b"}),
            "Can not use both expression and non-expression parameters in the same request: Non-expression \
             parameters: {AttributesToGet} Expression parameters: {ProjectionExpression}",
        ),
        (
            "GetItem",
            json!({"ExpressionAttributeNames": {"#a": "a"}}),
            "ExpressionAttributeNames can only be specified when using expressions",
        ),
        (
            "GetItem",
            json!({"ProjectionExpression": "b", "ExpressionAttributeNames": {"#a": "a"}}),
            "Value provided in ExpressionAttributeNames unused in expressions: keys: {#a}",
        ),
        (
            "GetItem",
            json!({"AttributesToGet": ["a", "a"]}),
            "One or more parameter values were invalid: Duplicate value in attribute name: a",
        ),
        (
            "DeleteItem",
            json!({"ConditionExpression": "a = :a"}),
            "1 validation error detected: Invalid ConditionExpression: An expression attribute value used in \
             expression is not defined; attribute value: :a",
        ),
        (
            "UpdateItem",
            json!({"ConditionalOperator": "AND"}),
            "1 validation error detected: ConditionalOperator cannot be used without Filter or Expected",
        ),
    ] {
        let mut request = json!({"TableName": "absent", "Key": key});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert_eq!(service.invalid(operation, request).await, expected);
    }
    let (name, text) = service.error("GetItem", json!({"TableName": "absent", "Key": key})).await;
    assert_eq!((name.as_str(), text.as_str()), ("ResourceNotFoundException", "Requested resource not found"));
}

#[tokio::test]
async fn return_values_that_a_write_does_not_know_are_refused() {
    let service = Service::with_users().await;
    let key = json!({"Id": {"S": "a"}, "Game": {"N": "1"}});
    let put = json!({"TableName": "users", "Item": key, "ReturnValues": "ALL_NEW"});
    let delete = json!({"TableName": "users", "Key": key, "ReturnValues": "UPDATED_NEW"});
    for (operation, request) in [("PutItem", put), ("DeleteItem", delete)] {
        let text = service.invalid(operation, request).await;
        assert_eq!(text, "1 validation error detected: ReturnValues can only be ALL_OLD or NONE");
    }
}

#[tokio::test]
async fn values_that_are_none_are_refused_in_dynamodbs_words() {
    let service = Service::with_users().await;
    for (value, expected) in [
        (json!({}), "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"),
        (
            json!({"S": "a", "N": "1"}),
            "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported \
             datatypes",
        ),
        (
            json!({"SS": []}),
            "1 validation error detected: One or more parameter values were invalid: An string set  may not be empty",
        ),
    ] {
        let item = json!({"Id": {"S": "a"}, "Game": {"N": "1"}, "V": value});
        assert_eq!(service.invalid("PutItem", json!({"TableName": "users", "Item": item})).await, expected);
    }
    let item = json!({"Id": {"S": "a"}, "Game": {"N": "1"}, "V": {"S": 5}});
    let (name, text) = service.error("PutItem", json!({"TableName": "users", "Item": item})).await;
    assert_eq!(
        (name.as_str(), text.as_str()),
        ("SerializationException", "NUMBER_VALUE cannot be converted to String")
    );
}

#[tokio::test]
async fn an_update_reports_its_members_one_at_a_time() {
    let service = Service::with_users().await;
    let update = |more: serde_json::Value| {
        let mut request = json!({"TableName": "users", "Key": {"Id": {"S": "a"}, "Game": {"N": "1"}}});
        for (name, value) in more.as_object().unwrap() {
            request[name] = value.clone();
        }
        request
    };
    let enumeration = "failed to satisfy constraint: Member must satisfy enum value set:";
    for (more, text) in [
        (
            json!({"TableName": "!", "ReturnValues": "X"}),
            "2 validation errors detected: Value '!' at 'tableName' failed to satisfy constraint: Member must satisfy \
             regular expression pattern: [a-zA-Z0-9_.-]+; Value '!' at 'tableName' failed to satisfy constraint: \
             Member must have length greater than or equal to 3"
                .to_owned(),
        ),
        (
            json!({"ReturnConsumedCapacity": "X", "ReturnValuesOnConditionCheckFailure": "Y"}),
            format!("Value 'Y' at 'returnValuesOnConditionCheckFailure' {enumeration} [ALL_OLD, NONE]"),
        ),
        (
            json!({"ReturnConsumedCapacity": "X"}),
            format!("Value 'X' at 'returnConsumedCapacity' {enumeration} [INDEXES, TOTAL, NONE]"),
        ),
        (
            json!({"Key": null, "ReturnItemCollectionMetrics": "X"}),
            format!(
                "2 validation errors detected: Value 'X' at 'returnItemCollectionMetrics' {enumeration} [SIZE, NONE]; \
                 Value null at 'key' failed to satisfy constraint: Member must not be null"
            ),
        ),
        (
            json!({"Key": null, "TableName": "", "ReturnValues": "X", "ConditionalOperator": "XOR"}),
            format!(
                "4 validation errors detected: Value '' at 'tableName' failed to satisfy constraint: Member must have \
                 length greater than or equal to 1; Value 'X' at 'returnValues' {enumeration} [ALL_NEW, UPDATED_OLD, \
                 ALL_OLD, NONE, UPDATED_NEW]; Value 'XOR' at 'conditionalOperator' {enumeration} [OR, AND]; Value null at \
                 'key' failed to satisfy constraint: Member must not be null"
            ),
        ),
    ] {
        assert_eq!(service.invalid("UpdateItem", update(more)).await, text);
    }
}

#[tokio::test]
async fn some_operations_name_the_value_that_is_none() {
    let service = Service::with_users().await;
    let empty = "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes";
    let values = json!({":v": {}});
    let scan = json!({"TableName": "users", "FilterExpression": "V = :v", "ExpressionAttributeValues": values});
    assert_eq!(service.invalid("Scan", scan).await, empty);
    let query = json!({"TableName": "users", "KeyConditionExpression": "Id = :v", "ExpressionAttributeValues": values});
    let named = |fault: &str| format!("ExpressionAttributeValues contains invalid value: {fault} for key :v");
    assert_eq!(service.invalid("Query", query).await, named(empty));
    let two = "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported \
               datatypes";
    for (operation, value, text) in [
        ("UpdateItem", json!({}), empty.to_owned()),
        ("DeleteItem", json!({}), named(empty)),
        ("UpdateItem", json!({"S": "a", "N": "1"}), named(two)),
        ("DeleteItem", json!({"S": "a", "N": "1"}), named(two)),
    ] {
        let request = json!({
            "TableName": "users", "Key": {"Id": {"S": "a"}, "Game": {"N": "1"}}, "ConditionExpression": "V = :v",
            "ExpressionAttributeValues": {":v": value}
        });
        assert_eq!(service.invalid(operation, request).await, text);
    }
}
