//! The parameters that came before expressions.

use crate::client::Service;
use serde_json::json;

#[tokio::test]
async fn expected_is_a_condition() {
    let service = Service::with_users().await;
    let item = json!({"Id": {"S": "a"}, "Game": {"N": "1"}, "V": {"N": "1"}});
    let put = |expected| json!({"TableName": "users", "Item": item, "Expected": expected});
    service.ok("PutItem", put(json!({"Id": {"Exists": false}}))).await;
    let (name, _) = service.error("PutItem", put(json!({"Id": {"Exists": "false"}}))).await;
    assert_eq!(name, "ConditionalCheckFailedException");
    service.ok("PutItem", put(json!({"V": {"Value": {"N": "1"}}}))).await;
    let two = json!({
        "V": {"ComparisonOperator": "GT", "AttributeValueList": [{"N": "5"}]}, "Id": {"ComparisonOperator": "NOT_NULL"}
    });
    let mut request = put(two);
    assert_eq!(service.error("PutItem", request.clone()).await.0, "ConditionalCheckFailedException");
    request["ConditionalOperator"] = "OR".into();
    service.ok("PutItem", request).await;
}

#[tokio::test]
async fn attribute_updates_are_an_update() {
    let service = Service::with_users().await;
    let updates = json!({
        "Score": {"Action": "ADD", "Value": {"N": "3"}}, "Name": {"Value": {"S": "x"}}, "Gone": {"Action": "DELETE"}
    });
    let request = json!({
        "TableName": "users", "Key": {"Id": {"S": "a"}, "Game": {"N": "1"}}, "AttributeUpdates": updates,
        "ReturnValues": "UPDATED_NEW"
    });
    let answer = service.ok("UpdateItem", request).await;
    assert_eq!(answer, json!({"Attributes": {"Score": {"N": "3"}, "Name": {"S": "x"}}}));
}

#[tokio::test]
async fn attribute_updates_are_refused_in_dynamodbs_words() {
    let service = Service::with_users().await;
    service.put(json!({"Id": {"S": "a"}, "Game": {"N": "1"}, "V": {"N": "1"}})).await;
    for (update, text) in [
        (json!({"Action": "ADD", "Value": {"SS": ["x"]}}), "Type mismatch for attribute to update"),
        (
            json!({"Action": "DELETE", "Value": {"N": "1"}}),
            "One or more parameter values were invalid: DELETE action with value is not supported for the type N",
        ),
        (
            json!({"Action": "put", "Value": {"N": "1"}}),
            "1 validation error detected: Member must satisfy enum value set: [ADD, DELETE, PUT]' for Action",
        ),
    ] {
        let request = json!({
            "TableName": "users", "Key": {"Id": {"S": "a"}, "Game": {"N": "1"}}, "AttributeUpdates": {"V": update}
        });
        assert_eq!(service.invalid("UpdateItem", request).await, text);
    }
}

#[tokio::test]
async fn a_name_of_64_kilobytes_is_refused_wherever_it_is_given_as_it_is() {
    let service = Service::with_users().await;
    let (name, key) = ("x".repeat(65_536), json!({"Id": {"S": "a"}, "Game": {"N": "1"}}));
    let wanted = json!([name]);
    let expected = json!({name.clone(): {"Exists": false}});
    let filter = json!({name.clone(): {"ComparisonOperator": "NOT_NULL"}});
    let of_anna = json!({"Id": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "a"}]}});
    let refusal = "Attribute name is too large, must be less than 65536 bytes";
    for (operation, request) in [
        ("GetItem", json!({"TableName": "users", "Key": key, "AttributesToGet": wanted})),
        ("BatchGetItem", json!({"RequestItems": {"users": {"Keys": [key], "AttributesToGet": wanted}}})),
        ("Scan", json!({"TableName": "users", "AttributesToGet": wanted})),
        ("Scan", json!({"TableName": "users", "ScanFilter": filter})),
        ("Query", json!({"TableName": "users", "KeyConditions": of_anna, "AttributesToGet": wanted})),
        ("Query", json!({"TableName": "users", "KeyConditions": of_anna, "QueryFilter": filter})),
    ] {
        assert_eq!(service.invalid(operation, request).await, refusal, "{operation}");
    }
    for (operation, request) in [
        ("UpdateItem", json!({"TableName": "users", "Key": key, "AttributeUpdates": {name: {"Action": "DELETE"}}})),
        ("UpdateItem", json!({"TableName": "users", "Key": key, "Expected": expected})),
        ("PutItem", json!({"TableName": "users", "Item": key, "Expected": expected})),
        ("DeleteItem", json!({"TableName": "users", "Key": key, "Expected": expected})),
    ] {
        let text = service.invalid(operation, request).await;
        assert_eq!(text, format!("1 validation error detected: {refusal}"), "{operation}");
    }
}

#[tokio::test]
async fn key_conditions_and_filters_are_a_query_and_a_scan() {
    let service = Service::with_users().await;
    for game in 0..5 {
        service.put(json!({"Id": {"S": "a"}, "Game": {"N": game.to_string()}, "Odd": {"BOOL": game % 2 == 1}})).await;
    }
    let request = json!({
        "TableName": "users",
        "KeyConditions": {
            "Id": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "a"}]},
            "Game": {"ComparisonOperator": "GE", "AttributeValueList": [{"N": "2"}]}
        },
        "QueryFilter": {"Odd": {"ComparisonOperator": "EQ", "AttributeValueList": [{"BOOL": true}]}},
        "AttributesToGet": ["Game"]
    });
    let answer = service.ok("Query", request).await;
    assert_eq!(answer, json!({"Items": [{"Game": {"N": "3"}}], "Count": 1, "ScannedCount": 3}));
    let request = json!({
        "TableName": "users",
        "ScanFilter": {"Game": {"ComparisonOperator": "IN", "AttributeValueList": [{"N": "1"}, {"N": "4"}]}},
        "Select": "COUNT"
    });
    assert_eq!(service.ok("Scan", request).await, json!({"Count": 2, "ScannedCount": 5}));
}

#[tokio::test]
async fn key_conditions_go_with_every_expression_but_the_one_that_took_their_place() {
    let service = Service::with_users().await;
    for game in 0..3 {
        service.put(json!({"Id": {"S": "a"}, "Game": {"N": game.to_string()}, "Odd": {"BOOL": game % 2 == 1}})).await;
    }
    let mut request = json!({
        "TableName": "users",
        "KeyConditions": {"Id": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "a"}]}},
        "FilterExpression": "#odd = :true",
        "ProjectionExpression": "Game",
        "ExpressionAttributeNames": {"#odd": "Odd"},
        "ExpressionAttributeValues": {":true": {"BOOL": true}}
    });
    let answer = service.ok("Query", request.clone()).await;
    assert_eq!(answer, json!({"Items": [{"Game": {"N": "1"}}], "Count": 1, "ScannedCount": 3}));
    let mixed = |legacy: &str, expressions: &str| {
        format!(
            "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: \
             {{{legacy}}} Expression parameters: {{{expressions}}}"
        )
    };
    request["QueryFilter"] = json!({"Odd": {"ComparisonOperator": "NULL"}});
    let text = service.invalid("Query", request.clone()).await;
    assert_eq!(text, mixed("QueryFilter", "ProjectionExpression, FilterExpression"));
    request["KeyConditionExpression"] = json!("Id = :true");
    let text = service.invalid("Query", request).await;
    assert_eq!(
        text,
        mixed("QueryFilter, KeyConditions", "ProjectionExpression, FilterExpression, KeyConditionExpression")
    );
}

#[tokio::test]
async fn legacy_conditions_are_checked_in_dynamodbs_words() {
    let service = Service::with_users().await;
    let query = |conditions| json!({"TableName": "users", "KeyConditions": conditions});
    let text = service.invalid("Query", query(json!({"Id": {"AttributeValueList": [{"S": "a"}]}}))).await;
    assert_eq!(
        text,
        "1 validation error detected: Value null at 'keyConditions.Id.member.comparisonOperator' failed to satisfy \
         constraint: Member must not be null"
    );
    let text = service.invalid("Query", query(json!({}))).await;
    assert_eq!(text, "Conditions can be of length 1 or 2 only");
    let request = json!({
        "TableName": "users",
        "KeyConditions": {"Id": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "a"}]}},
        "QueryFilter": {"Game": {"ComparisonOperator": "EQ", "AttributeValueList": [{"N": "1"}]}}
    });
    let text = service.invalid("Query", request).await;
    assert_eq!(text, "QueryFilter can only contain non-primary key attributes: Primary key attribute: Game");
    let request = json!({
        "TableName": "users",
        "KeyConditions": {"Id": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "a"}]}},
        "QueryFilter": {"Odd": {"ComparisonOperator": "NULL"}, "Even": {"ComparisonOperator": "NULL"}},
        "ConditionalOperator": "XOR",
        "Select": "SOME"
    });
    let text = service.invalid("Query", request).await;
    assert_eq!(text, "Failed to satisfy constraint: Member must satisfy enum value set: [ALL, OR]");
}
