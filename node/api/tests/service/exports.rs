//! The operations on exports.

use crate::client::Service;
use cairn_api::exports::{ExportFailure, ExportFormat, ExportRequest, ExportScope, ExportStatus, ExportView};
use cairn_model::table::TableStatus;
use serde_json::{Value, json};

const TABLE: &str = "arn:aws:dynamodb:east:game:table/users";
const EXPORT: &str = "arn:aws:dynamodb:east:game:table/users/export/01700000000000-abcdef12";

/// With a table whose recovery is on.
async fn users() -> Service {
    let service = Service::archived().await;
    service.create("users", &[("Id", "S"), ("Game", "N")]).await;
    let on = json!({"TableName": "users", "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": true}});
    service.ok("UpdateContinuousBackups", on).await;
    service
}

fn request(more: Value) -> Value {
    let mut request = json!({"TableArn": TABLE, "S3Bucket": "my-bucket"});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

fn incremental(more: Value) -> Value {
    let mut specification = json!({"ExportFromTime": 1_699_990_000});
    specification.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request(json!({"ExportType": "INCREMENTAL_EXPORT", "IncrementalExportSpecification": specification}))
}

#[tokio::test]
async fn an_export_is_described_as_it_was_asked_for_and_as_it_ended() {
    let service = users().await;
    let more = json!({
        "ExportTime": 1_699_999_000.5, "ClientToken": "once", "S3Prefix": "some/prefix",
        "ExportFormat": "DYNAMODB_JSON", "ExportType": "FULL_EXPORT"
    });
    let begun = service.ok("ExportTableToPointInTime", request(more)).await;
    let mut description = json!({
        "ExportArn": EXPORT,
        "ExportStatus": "IN_PROGRESS",
        "ExportType": "FULL_EXPORT",
        "StartTime": 1_700_000_000.0,
        "TableArn": TABLE,
        "TableId": "00000000-0000-0000-0000-000000000000",
        "ExportTime": 1_699_999_000.5,
        "ClientToken": "once",
        "S3Bucket": "my-bucket",
        "S3Prefix": "some/prefix",
        "ExportFormat": "DYNAMODB_JSON"
    });
    assert_eq!(begun, json!({"ExportDescription": description}));
    assert_eq!(service.ok("DescribeExport", json!({"ExportArn": EXPORT})).await, begun);

    {
        let mut exports = service.exports.0.lock().unwrap();
        let export = &mut exports.get_mut(EXPORT).unwrap().0;
        export.status = ExportStatus::Completed;
        export.end_time_ms = Some(1_700_000_001_250);
        export.manifest = Some("some/prefix/AWSDynamoDB/1/manifest-summary.json".into());
        (export.item_count, export.billed_size_bytes) = (Some(8), Some(64));
    }
    let more = json!({
        "ExportStatus": "COMPLETED", "EndTime": 1_700_000_001.25, "ItemCount": 8, "BilledSizeBytes": 64,
        "ExportManifest": "some/prefix/AWSDynamoDB/1/manifest-summary.json"
    });
    description.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let described = service.ok("DescribeExport", json!({"ExportArn": EXPORT})).await;
    assert_eq!(described, json!({"ExportDescription": description}));
}

#[tokio::test]
async fn a_failed_export_says_why() {
    let service = users().await;
    service.ok("ExportTableToPointInTime", request(json!({}))).await;
    {
        let mut exports = service.exports.0.lock().unwrap();
        let export = &mut exports.get_mut(EXPORT).unwrap().0;
        export.status = ExportStatus::Failed;
        export.failure = Some(ExportFailure { code: "S3NoSuchBucket".into(), message: "it does not exist".into() });
    }
    let described = service.ok("DescribeExport", json!({"ExportArn": EXPORT})).await["ExportDescription"].clone();
    assert_eq!((&described["ExportStatus"], &described["FailureCode"]), (&json!("FAILED"), &json!("S3NoSuchBucket")));
    assert_eq!(described["FailureMessage"], "it does not exist");
}

#[tokio::test]
async fn an_incremental_export_has_its_span_and_its_view() {
    let service = users().await;
    let given = json!({"ExportToTime": 1_699_999_000, "ExportViewType": "NEW_IMAGE"});
    let begun = service.ok("ExportTableToPointInTime", incremental(given)).await;
    let description = &begun["ExportDescription"];
    assert_eq!(description["ExportType"], "INCREMENTAL_EXPORT");
    let expected =
        json!({"ExportFromTime": 1_699_990_000.0, "ExportToTime": 1_699_999_000.0, "ExportViewType": "NEW_IMAGE"});
    assert_eq!(description["IncrementalExportSpecification"], expected);
    service.ok("ExportTableToPointInTime", incremental(json!({}))).await;
    let exports = service.exports.0.lock().unwrap();
    let (_, (_, asked)) = exports.last_key_value().unwrap();
    let view = ExportView::NewAndOldImages;
    let expected = ExportRequest {
        scope: ExportScope::Incremental { from_ms: 1_699_990_000_000, to_ms: None, view },
        format: ExportFormat::DynamoDbJson,
        client_token: None,
        s3_bucket: "my-bucket".into(),
        s3_prefix: None,
        encryption: None,
        filter: None,
    };
    assert_eq!(*asked, expected);
}

#[tokio::test]
async fn an_export_may_be_in_ion() {
    let service = users().await;
    let begun = service.ok("ExportTableToPointInTime", request(json!({"ExportFormat": "ION"}))).await;
    assert_eq!(begun["ExportDescription"]["ExportFormat"], "ION");
    let (_, asked) = service.exports.0.lock().unwrap().last_key_value().unwrap().1.clone();
    assert_eq!(asked.format, ExportFormat::Ion);
    let unsaid = service.ok("ExportTableToPointInTime", request(json!({}))).await;
    assert_eq!(unsaid["ExportDescription"]["ExportFormat"], "DYNAMODB_JSON");
}

#[tokio::test]
async fn exports_are_listed_a_page_at_a_time_and_of_one_table() {
    let service = users().await;
    for _ in 0..3 {
        service.ok("ExportTableToPointInTime", request(json!({}))).await;
    }
    let arn = |n: u64| format!("{TABLE}/export/0170000000000{n}-abcdef12");
    let summary = |n: u64| json!({"ExportArn": arn(n), "ExportStatus": "IN_PROGRESS", "ExportType": "FULL_EXPORT"});
    let first = service.ok("ListExports", json!({"MaxResults": 2})).await;
    assert_eq!(first["ExportSummaries"], json!([summary(2), summary(1)]));
    let rest = service.ok("ListExports", json!({"TableArn": TABLE, "NextToken": first["NextToken"]})).await;
    assert_eq!(rest, json!({"ExportSummaries": [summary(0)]}));
    let others = json!({"TableArn": "arn:aws:dynamodb:east:game:table/others"});
    assert_eq!(service.ok("ListExports", others).await, json!({"ExportSummaries": []}));
    for (body, expected) in [
        (json!({"NextToken": "nonsense"}), "One or more parameter values were invalid: Invalid NextToken"),
        (
            json!({"MaxResults": 0}),
            "1 validation error detected: Value '0' at 'maxResults' failed to satisfy constraint: Member must have value \
             greater than or equal to 1",
        ),
        (
            json!({"MaxResults": 26}),
            "1 validation error detected: Value '26' at 'maxResults' failed to satisfy constraint: Member must have value \
             less than or equal to 25",
        ),
    ] {
        assert_eq!(service.invalid("ListExports", body).await, expected);
    }
}

#[tokio::test]
async fn what_is_not_there_or_has_no_recovery_is_not_exported() {
    let service = users().await;
    let refused = |error: &str, text: &str| (error.to_owned(), text.to_owned());
    for arn in ["arn:aws:dynamodb:east:game:table/others", "arn:aws:dynamodb:west:game:table/users"] {
        let answer = service.error("ExportTableToPointInTime", request(json!({"TableArn": arn}))).await;
        assert_eq!(answer, refused("TableNotFoundException", &format!("Table not found: {arn}")));
    }
    let theirs = request(json!({"TableArn": "arn:aws:dynamodb:east:other:table/users"}));
    assert_eq!(service.error("ExportTableToPointInTime", theirs).await.0, "AccessDeniedException");
    service.create("plain", &[("Id", "S")]).await;
    let plain = request(json!({"TableArn": "arn:aws:dynamodb:east:game:table/plain"}));
    let off = "Point in time recovery is not enabled for table 'plain'";
    let answer = service.error("ExportTableToPointInTime", plain).await;
    assert_eq!(answer, refused("PointInTimeRecoveryUnavailableException", off));
    service.catalog.set_status("users", TableStatus::Deleting);
    let answer = service.error("ExportTableToPointInTime", request(json!({}))).await;
    assert_eq!(answer.0, "TableNotFoundException");

    let answer = service.error("DescribeExport", json!({"ExportArn": EXPORT})).await;
    assert_eq!(answer, refused("ExportNotFoundException", &format!("Export not found: {EXPORT}")));
    let backup = EXPORT.replace("/export/", "/backup/");
    assert_eq!(service.invalid("DescribeExport", json!({"ExportArn": backup})).await, "Invalid Export ARN");
}

#[tokio::test]
async fn an_arn_from_elsewhere_is_denied_whatever_it_names() {
    let service = users().await;
    for arn in [EXPORT, "arn:aws:dynamodb:east:game:table/nonexistent_table_xyz"] {
        for (part, other) in
            [(":aws:", ":qwerty:"), (":dynamodb:", ":qwerty:"), (":east:", ":west:"), (":game:", ":other:")]
        {
            let theirs = json!({"ExportArn": arn.replace(part, other)});
            assert_eq!(service.error("DescribeExport", theirs).await.0, "AccessDeniedException", "{other}");
        }
    }
    let table = json!({"ExportArn": "qwerty:aws:dynamodb:east:game:table/nonexistent_table_xyz"});
    assert_eq!(service.invalid("DescribeExport", table).await, "Invalid Export ARN");
}

#[tokio::test]
async fn of_a_table_that_is_gone_no_export_is_listed_but_each_is_described() {
    let service = users().await;
    service.ok("ExportTableToPointInTime", request(json!({}))).await;
    service.ok("DeleteTable", json!({"TableName": "users"})).await;
    assert_eq!(service.ok("ListExports", json!({"TableArn": TABLE})).await, json!({"ExportSummaries": []}));
    service.ok("DescribeExport", json!({"ExportArn": EXPORT})).await;
}

#[tokio::test]
async fn without_an_archive_nothing_is_exported_and_nothing_is_listed() {
    let service = Service::with_users().await;
    let text = service.invalid("ExportTableToPointInTime", request(json!({}))).await;
    assert!(text.contains("--archive"), "{text}");
    assert_eq!(service.ok("ListExports", json!({})).await, json!({"ExportSummaries": []}));
    assert_eq!(service.error("DescribeExport", json!({"ExportArn": EXPORT})).await.0, "ExportNotFoundException");
}

#[tokio::test]
async fn a_request_that_is_not_allowed_is_refused_in_dynamodbs_words() {
    let service = users().await;
    let pattern = "Member must satisfy regular expression pattern";
    for (more, expected) in [
        (
            json!({"ExportFormat": "QWERTY"}),
            "1 validation error detected: Value 'QWERTY' at 'exportFormat' failed to satisfy constraint: Member must \
             satisfy enum value set: [ION, DYNAMODB_JSON]"
                .to_owned(),
        ),
        (
            json!({"ExportType": ""}),
            "1 validation error detected: Value '' at 'exportType' failed to satisfy constraint: Member must satisfy \
             enum value set: [INCREMENTAL_EXPORT, FULL_EXPORT]"
                .to_owned(),
        ),
        (
            json!({"S3Bucket": "../up"}),
            format!(
                "1 validation error detected: Value '../up' at 's3Bucket' failed to satisfy constraint: {pattern}: \
                 ^[a-z0-9A-Z]+[\\.\\-\\w]*[a-z0-9A-Z]+$"
            ),
        ),
        (
            json!({"ClientToken": "a$b"}),
            format!(
                "1 validation error detected: Value 'a$b' at 'clientToken' failed to satisfy constraint: {pattern}: \
                 ^[^\\$]+$"
            ),
        ),
        (
            json!({"TableArn": null, "S3Bucket": null}),
            "2 validation errors detected: Value null at 'tableArn' failed to satisfy constraint: Member must not be \
             null; Value null at 's3Bucket' failed to satisfy constraint: Member must not be null"
                .to_owned(),
        ),
    ] {
        assert_eq!(service.invalid("ExportTableToPointInTime", request(more)).await, expected);
    }
    let long = request(json!({"S3Prefix": "x".repeat(1_025)}));
    assert!(service.invalid("ExportTableToPointInTime", long).await.contains("'s3Prefix' failed"));
    let empty = request(json!({"S3Prefix": ""}));
    assert!(service.invalid("ExportTableToPointInTime", empty).await.contains("Value '' at 's3Prefix' failed"));
    let name = request(json!({"TableArn": "users"}));
    assert!(service.invalid("ExportTableToPointInTime", name).await.contains("'tableArn' failed"));
}

#[tokio::test]
async fn what_is_not_there_yet_is_refused_by_its_name() {
    let service = users().await;
    for (more, name) in [(json!({"S3BucketOwner": "123456789012"}), "S3BucketOwner")] {
        let text = service.invalid("ExportTableToPointInTime", request(more)).await;
        let expected =
            format!("One or more parameter values were invalid: {name} is not supported by this version of Cairn");
        assert_eq!(text, expected);
    }
}

#[tokio::test]
async fn the_bucket_may_be_asked_to_encrypt() {
    let service = users().await;
    for (more, algorithm, key_id) in [
        (json!({"S3SseAlgorithm": "AES256"}), "AES256", json!(null)),
        (json!({"S3SseAlgorithm": "KMS"}), "KMS", json!(null)),
        (json!({"S3SseAlgorithm": "KMS", "S3SseKmsKeyId": "alias/some"}), "KMS", json!("alias/some")),
    ] {
        let begun = service.ok("ExportTableToPointInTime", request(more)).await["ExportDescription"].clone();
        assert_eq!((&begun["S3SseAlgorithm"], &begun["S3SseKmsKeyId"]), (&json!(algorithm), &key_id));
    }
    for more in [json!({"S3SseKmsKeyId": "key"}), json!({"S3SseAlgorithm": "AES256", "S3SseKmsKeyId": "key"})] {
        let text = service.invalid("ExportTableToPointInTime", request(more)).await;
        assert_eq!(text, "Invalid Request: KMS Key Id is not supported for this encryption type");
    }
    for (more, field) in [
        (json!({"S3SseAlgorithm": "aws:kms"}), "'s3SseAlgorithm' failed"),
        (json!({"S3SseAlgorithm": "KMS", "S3SseKmsKeyId": ""}), "'s3SseKmsKeyId' failed"),
        (json!({"S3BucketOwner": "not-an-account"}), "'s3BucketOwner' failed"),
    ] {
        let text = service.invalid("ExportTableToPointInTime", request(more)).await;
        assert!(text.contains(field), "{text}");
    }
}

#[tokio::test]
async fn a_span_goes_with_an_incremental_export_and_only_with_it() {
    let service = users().await;
    let specification = json!({"ExportFromTime": 1_699_990_000});
    let mut timed = incremental(json!({}));
    timed["ExportTime"] = json!(1_699_990_000);
    let mut full = request(json!({"IncrementalExportSpecification": specification}));
    full["ExportType"] = json!("FULL_EXPORT");
    for (body, expected) in [
        (
            request(json!({"IncrementalExportSpecification": specification})),
            "Export Type expected to be Incremental Export when incremental export specification is provided",
        ),
        (full, "When Export Type is Full Export , Incremental Export Specification should not be provided"),
        (
            request(json!({"ExportType": "INCREMENTAL_EXPORT"})),
            "Incremental Export Specification expected when export type is set as Incremental Export",
        ),
        (timed, "ExportTime is of full exports; Incremental Export has ExportToTime"),
        (
            incremental(json!({"ExportFromTime": null})),
            "ExportFromTime must be provided in IncrementalExportSpecification",
        ),
    ] {
        let text = service.invalid("ExportTableToPointInTime", body).await;
        assert_eq!(text, format!("Invalid Request: {expected}"));
    }
    let view = incremental(json!({"ExportViewType": "OLD_IMAGE"}));
    let text = service.invalid("ExportTableToPointInTime", view).await;
    assert!(text.contains("'incrementalExportSpecification.exportViewType' failed"), "{text}");
}

#[tokio::test]
async fn the_span_of_an_incremental_export_is_fifteen_minutes_to_a_day_and_over() {
    let service = users().await;
    // The test's own clock.
    let now = 1_700_000_000;
    let difference = "Difference between export period from time and export period to time is";
    let (short, long) = (format!("{difference} less than 15 minutes"), format!("{difference} greater than 24 hours"));
    let inverted =
        "Incremental export period from time should not be greater or equal to incremental export period to time";
    let early = "Incremental export period to time cannot be greater than the current time : 2023-11-14T22:13:21";
    for (from, to, expected) in [
        (now - 899, None, short.as_str()),
        (now - 2_000, Some(now - 1_101), &short),
        (now - 86_401, None, &long),
        (now - 1_000, Some(now - 1_000), inverted),
        (now - 1_000, Some(now - 2_000), inverted),
        (now + 1, None, inverted),
        (now - 1_000, Some(now + 1), early),
    ] {
        let given = incremental(json!({"ExportFromTime": from, "ExportToTime": to}));
        let (error, text) = service.error("ExportTableToPointInTime", given).await;
        assert_eq!(error, "InvalidExportTimeException");
        assert!(text.starts_with(expected), "{text}");
    }
    for (from, to) in [(now - 900, None), (now - 86_400, Some(now)), (now - 2_000, Some(now - 1_100))] {
        service.ok("ExportTableToPointInTime", incremental(json!({"ExportFromTime": from, "ExportToTime": to}))).await;
    }
}

/// Developer guide, Filtering a table export.
#[tokio::test]
async fn an_export_may_be_of_some_items_and_some_attributes() {
    let service = users().await;
    let filter = json!({
        "KeyConditionExpression": "Id = :i",
        "FilterExpression": "#v > :v",
        "ProjectionExpression": "#v, Rest.a",
        "ExpressionAttributeNames": {"#v": "V"},
        "ExpressionAttributeValues": {":i": {"S": "a"}, ":v": {"N": "1"}},
    });
    let begun = service.ok("ExportTableToPointInTime", request(json!({"FilterSpecification": filter}))).await;
    assert_eq!(begun["ExportDescription"]["FilterSpecification"], filter);
    let all = service.ok("ExportTableToPointInTime", request(json!({"FilterSpecification": {}}))).await;
    assert!(all["ExportDescription"].get("FilterSpecification").is_none());
}

#[tokio::test]
async fn a_filter_is_held_to_the_rules_of_query_and_scan() {
    let service = users().await;
    let values = json!({":i": {"S": "a"}});
    for (filter, expected) in [
        (
            json!({"ExpressionAttributeNames": {"#v": "V"}}),
            "ExpressionAttributeNames can only be specified when using expressions",
        ),
        (
            json!({"KeyConditionExpression": "Id = :i", "FilterExpression": "Id = :i", "ExpressionAttributeValues": values}),
            "Filter Expression can only contain non-primary key attributes: Primary key attribute: Id",
        ),
        (
            json!({"FilterExpression": "Id = ", "ExpressionAttributeValues": values}),
            "Invalid FilterExpression: Syntax error; token: \"<EOF>\", near: \"=\"",
        ),
        (
            json!({"KeyConditionExpression": "V = :i", "ExpressionAttributeValues": values}),
            "Query condition missed key schema element: Id",
        ),
        (
            json!({"ProjectionExpression": "Id.a"}),
            "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: Key: Id",
        ),
        (
            json!({"FilterExpression": "attribute_exists(V)", "ExpressionAttributeValues": values}),
            "Value provided in ExpressionAttributeValues unused in expressions: keys: {:i}",
        ),
    ] {
        let text = service.invalid("ExportTableToPointInTime", request(json!({"FilterSpecification": filter}))).await;
        assert_eq!(text, expected);
    }
    // Without a key condition a filter may be about keys as well.
    let filter = json!({"FilterExpression": "Id = :i", "ExpressionAttributeValues": values});
    service.ok("ExportTableToPointInTime", request(json!({"FilterSpecification": filter}))).await;
}
