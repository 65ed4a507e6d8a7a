//! The tags of tables.

use crate::client::Service;
use cairn_model::table::TableStatus;
use serde_json::{Value, json};

const ARN: &str = "arn:aws:dynamodb:east:game:table/users";

fn tags(pairs: &[(&str, &str)]) -> Value {
    pairs.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect()
}

/// So many tags from that number on.
fn numbered(from: usize, count: usize) -> Value {
    (from..from + count).map(|number| json!({"Key": format!("k{number}"), "Value": ""})).collect()
}

async fn tag(service: &Service, tags: Value) {
    let answer = service.call("TagResource", json!({"ResourceArn": ARN, "Tags": tags}).to_string()).await;
    assert_eq!((answer.status.as_u16(), answer.bytes.len()), (200, 0), "{answer:?}");
}

async fn listed(service: &Service) -> Value {
    service.ok("ListTagsOfResource", json!({"ResourceArn": ARN})).await
}

#[tokio::test]
async fn tags_are_put_listed_replaced_and_removed() {
    let service = Service::with_users().await;
    assert_eq!(listed(&service).await, json!({"Tags": []}));
    tag(&service, tags(&[("env", "prod"), ("Env", ""), ("ключ", "café")])).await;
    tag(&service, tags(&[("env", "test")])).await;
    assert_eq!(listed(&service).await, json!({"Tags": tags(&[("Env", ""), ("env", "test"), ("ключ", "café")])}));
    let untag = json!({"ResourceArn": ARN, "TagKeys": ["env", "never set"]});
    let answer = service.call("UntagResource", untag.to_string()).await;
    assert_eq!((answer.status.as_u16(), answer.bytes.len()), (200, 0));
    assert_eq!(answer.headers["x-amz-crc32"], "0");
    assert_eq!(listed(&service).await, json!({"Tags": tags(&[("Env", ""), ("ключ", "café")])}));
}

#[tokio::test]
async fn a_table_is_created_with_tags_or_not_at_all() {
    let service = Service::start().await;
    let create = |tags: Value| {
        json!({
            "TableName": "users", "BillingMode": "PAY_PER_REQUEST", "Tags": tags,
            "AttributeDefinitions": [{"AttributeName": "Id", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "Id", "KeyType": "HASH"}],
        })
    };
    for (given, text) in [
        (tags(&[("aws:foo", "x")]), "Tag Key cannot be prefixed with aws:, Key: aws:foo"),
        (numbered(0, 51), "Number of Tags exceed the current limit for the provided ResourceArn"),
    ] {
        assert_eq!(service.invalid("CreateTable", create(given)).await, text);
    }
    assert_eq!(service.error("DescribeTable", json!({"TableName": "users"})).await.0, "ResourceNotFoundException");
    service.ok("CreateTable", create(tags(&[("env", "prod")]))).await;
    assert_eq!(listed(&service).await, json!({"Tags": tags(&[("env", "prod")])}));
    service.ok("DeleteTable", json!({"TableName": "users"})).await;
    service.ok("CreateTable", create(json!([]))).await;
    assert_eq!(listed(&service).await, json!({"Tags": []}));
}

#[tokio::test]
async fn a_table_has_at_most_fifty_tags() {
    let service = Service::with_users().await;
    tag(&service, numbered(0, 50)).await;
    assert_eq!(listed(&service).await["Tags"].as_array().unwrap().len(), 50);
    assert!(listed(&service).await.get("NextToken").is_none());
    tag(&service, numbered(0, 50)).await;
    for more in [numbered(50, 1), numbered(49, 2)] {
        let text = service.invalid("TagResource", json!({"ResourceArn": ARN, "Tags": more})).await;
        assert_eq!(text, "Number of Tags exceed the current limit for the provided ResourceArn");
    }
    let keys: Vec<String> = (0..51).map(|number| format!("k{number}")).collect();
    let text = service.invalid("UntagResource", json!({"ResourceArn": ARN, "TagKeys": keys})).await;
    assert_eq!(text, "Number of Tags exceed the current limit for the provided ResourceArn");
    assert_eq!(listed(&service).await["Tags"].as_array().unwrap().len(), 50);
}

#[tokio::test]
async fn a_bad_tag_is_refused_in_dynamodbs_words_and_none_of_the_others_is_put() {
    let service = Service::with_users().await;
    let (key, value) = ("k".repeat(129), "v".repeat(257));
    for (given, expected) in [
        (json!([]), "Atleast one Tag needs to be provided as Input.".to_owned()),
        (tags(&[("good", ""), (&key, "")]), format!("The Tag Key provided is invalid, Key: {key}")),
        (tags(&[("good", &value)]), format!("The Tag Value provided is invalid, Value: {value}")),
        (tags(&[("", "x")]), "The Tag Key provided is invalid, Key: ".to_owned()),
        (tags(&[("bad#char", "x")]), "The Tag Key provided is invalid, Key: bad#char".to_owned()),
        (tags(&[("good", "100%")]), "The Tag Value provided is invalid, Value: 100%".to_owned()),
        (tags(&[("AWS:foo", "x")]), "Tag Key cannot be prefixed with aws:, Key: AWS:foo".to_owned()),
        (json!([{"Key": "good"}]), "The Tag Value provided is invalid, Value: null".to_owned()),
        (json!([{"Value": "good"}]), "The Tag Key provided is invalid, Key: null".to_owned()),
        (
            tags(&[("dup", "a"), ("dup", "b")]),
            "Duplicate Tag Keys provided as input: Duplicate Tag Key found dup".to_owned(),
        ),
    ] {
        assert_eq!(service.invalid("TagResource", json!({"ResourceArn": ARN, "Tags": given})).await, expected);
    }
    assert_eq!(listed(&service).await, json!({"Tags": []}));
    for (keys, expected) in [
        (json!([]), "Atleast one Tag Key needs to be provided as Input."),
        (json!([""]), "The Tag Key provided is invalid, Key: "),
        (json!(["aws:foo"]), "Tag Key cannot be prefixed with aws:, Key: aws:foo"),
    ] {
        assert_eq!(service.invalid("UntagResource", json!({"ResourceArn": ARN, "TagKeys": keys})).await, expected);
    }
    tag(&service, tags(&[("myaws:foo", &"v".repeat(256)), (&"k".repeat(128), "")])).await;
}

#[tokio::test]
async fn what_is_not_given_is_told_of_before_the_arn_is_looked_at() {
    let service = Service::with_users().await;
    for operation in ["TagResource", "UntagResource", "ListTagsOfResource"] {
        assert_eq!(service.invalid(operation, json!({})).await, "Invalid TableArn");
    }
    for (operation, field) in [("TagResource", "tags"), ("UntagResource", "tagKeys")] {
        assert_eq!(
            service.invalid(operation, json!({"ResourceArn": "users"})).await,
            format!(
                "1 validation error detected: Value null at '{field}' failed to satisfy constraint: Member must not be \
                 null"
            )
        );
    }
}

#[tokio::test]
async fn whatever_the_token_tags_are_listed_from_the_first() {
    let service = Service::with_users().await;
    tag(&service, tags(&[("env", "prod")])).await;
    let again = json!({"ResourceArn": ARN, "NextToken": "more"});
    assert_eq!(service.ok("ListTagsOfResource", again).await, listed(&service).await);
}

#[tokio::test]
async fn what_is_no_arn_of_one_of_the_accounts_tables_is_refused_as_what_it_is() {
    let service = Service::with_users().await;
    let invalid = |what: &str, arn: &str| format!("One or more parameter values were invalid: {what}: {arn}");
    for (arn, what) in [
        ("", "ARNs must start with 'arn:'"),
        ("users", "ARNs must start with 'arn:'"),
        ("arn:aws", "Second colon partition not found"),
        ("arn:aws:dynamodb", "Third colon vendor not found"),
        ("arn:aws:dynamodb:east", "Fourth colon (region/namespace delimiter) not found"),
        ("arn:aws:dynamodb:east:game", "Fifth colon (namespace/relative-id delimiter) not found"),
        (
            "arn:aws:dynamodb:east:game:table/users/index/by-score",
            "Invalid resource arn provided, only table or stream is accepted. Provided resource arn",
        ),
        (
            "arn:aws:dynamodb:east:game:table/users/backup/01550000000000-abcdef12",
            "Provided Arn is not a DynamoDB resource arn",
        ),
        ("arn:aws:dynamodb:east:game:queue/users", "Provided Arn is not a DynamoDB resource arn"),
    ] {
        assert_eq!(service.invalid("ListTagsOfResource", json!({"ResourceArn": arn})).await, invalid(what, arn));
    }
    for arn in ["arn:aws:dynamodb:west:game:table/users", "arn:aws-cn:dynamodb:east:game:table/users", &ARN[..35]] {
        let text = service.invalid("ListTagsOfResource", json!({"ResourceArn": arn})).await;
        assert_eq!(text, format!("Invalid TableArn: Invalid ResourceArn provided as input {arn}"));
    }
    for (arn, expected) in [
        ("arn:aws:dynamodb:east:shop:table/users", "AccessDeniedException"),
        ("arn:aws:dynamodb:west:shop:table/users", "AccessDeniedException"),
        ("arn:aws:s3:::bucket", "AccessDeniedException"),
        ("arn:aws:dynamodb:east:game:table/scores", "ResourceNotFoundException"),
        ("arn:aws:dynamodb:east:game:table/users/stream/2026-11-21T10:00:00.000", "ResourceNotFoundException"),
    ] {
        let (name, text) = service.error("TagResource", json!({"ResourceArn": arn, "Tags": numbered(0, 1)})).await;
        assert_eq!(name, expected, "{arn}: {text}");
        if name == "ResourceNotFoundException" {
            assert_eq!(text, format!("Requested resource not found: ResourceArn: {arn} not found"));
        }
    }
}

#[tokio::test]
async fn tags_change_while_a_table_is_updated_and_not_while_it_comes_or_goes() {
    let service = Service::with_users().await;
    let put = json!({"ResourceArn": ARN, "Tags": tags(&[("env", "prod")])});
    for (status, text) in [(TableStatus::Creating, "being created"), (TableStatus::Deleting, "being deleted")] {
        service.catalog.set_status("users", status);
        for (operation, request) in
            [("TagResource", put.clone()), ("UntagResource", json!({"ResourceArn": ARN, "TagKeys": ["env"]}))]
        {
            let (name, told) = service.error(operation, request).await;
            assert_eq!(name, "ResourceInUseException");
            assert_eq!(told, format!("Attempt to change a resource which is still in use: Table is {text}: users"));
        }
        assert_eq!(listed(&service).await, json!({"Tags": []}));
    }
    service.catalog.set_status("users", TableStatus::Updating);
    tag(&service, tags(&[("env", "prod")])).await;
    assert_eq!(listed(&service).await, json!({"Tags": tags(&[("env", "prod")])}));
}
