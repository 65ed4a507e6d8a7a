//! Tables made of files in a bucket: declared, and asked for through the API.

use super::tables;
use crate::{
    harness::{NAMESPACE, Verdict, World, aws},
    kube,
};
use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::{fmt::Write as _, time::Duration};

const NO_BUCKET: &str = "the suite can't run an S3 server that this cluster's pods reach";
const PATIENCE: Duration = Duration::from_secs(90);
const ITEMS: usize = 20_000;

/// A table that is made of DynamoDB JSON in the bucket of this name.
fn importing(name: &str, bucket: &str) -> String {
    let from = format!("{{s3BucketSource: {{s3Bucket: {bucket}, s3KeyPrefix: json/}}, inputFormat: DYNAMODB_JSON}}");
    tables::manifest(name, &format!("billingMode: PAY_PER_REQUEST\n  importFrom: {from}"))
}

pub(crate) async fn files_in_a_bucket_become_tables(world: &mut World) -> Result<Verdict> {
    let client = world.dynamo()?;
    let Some(bucket) = &world.bucket else { return Ok(Verdict::Skipped(NO_BUCKET)) };
    let mut lines = String::new();
    for n in 0..ITEMS {
        writeln!(lines, "{{\"Item\":{{\"Id\":{{\"S\":\"{n}\"}},\"Value\":{{\"N\":\"{n}\"}}}}}}")?;
    }
    bucket.put_source("json/items.json", &lines)?;
    bucket.put_source("csv/items.csv", "Id;Value\na;1\nb;2;3\n")?;

    // Declared, and refused for good where the bucket is none.
    kube::apply(&importing("imported", "source"))?;
    kube::apply(&importing("unimported", "no-such-bucket"))?;
    let took = tables::wait_active("imported", PATIENCE)?;
    tables::wait_exists(&client, "imported").await?;
    kube::wait("the import is COMPLETED", PATIENCE, || {
        Ok(tables::status("imported")?["import"]["importStatus"] == "COMPLETED")
    })?;
    let status = tables::status("imported")?;
    ensure!(status["import"]["importedItemCount"] == ITEMS, "{}", status["import"]);
    let last_id = (ITEMS - 1).to_string();
    let last = json!({"TableName": "imported", "Key": {"Id": {"S": last_id}}, "ConsistentRead": true});
    let item = client.insist("GetItem", &last, PATIENCE).await?.ok()?;
    ensure!(item["Item"]["Value"]["N"] == *last_id, "the last item is {item}");
    kube::wait("the other import is FAILED", PATIENCE, || {
        Ok(tables::status("unimported")?["import"]["importStatus"] == "FAILED")
    })?;
    let status = tables::status("unimported")?;
    ensure!(status["import"]["failureCode"] == "S3NoSuchBucket" && status["itemCount"].is_null(), "{status}");

    // Through the API, with an index and a line that is no item.
    let mut aws = |arguments: &[&str]| aws(world, arguments);
    let begun = aws(&[
        "import-table",
        "--s3-bucket-source",
        "S3Bucket=source,S3KeyPrefix=csv/",
        "--input-format",
        "CSV",
        "--input-format-options",
        r#"{"Csv": {"Delimiter": ";"}}"#,
        "--table-creation-parameters",
        &json!({
            "TableName": "asked", "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [
                {"AttributeName": "Id", "AttributeType": "S"}, {"AttributeName": "Value", "AttributeType": "S"},
            ],
            "KeySchema": [{"AttributeName": "Id", "KeyType": "HASH"}],
            "GlobalSecondaryIndexes": [{
                "IndexName": "by-value", "KeySchema": [{"AttributeName": "Value", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }],
        })
        .to_string(),
    ])?;
    let arn = begun["ImportTableDescription"]["ImportArn"].as_str().context("no ARN")?.to_owned();
    kube::wait("the import is FAILED by one line", PATIENCE, || {
        let import = aws(&["describe-import", "--import-arn", &arn])?["ImportTableDescription"].take();
        ensure!(import["ImportStatus"] != "COMPLETED", "{import}");
        let is_of_items = import["FailureCode"] == "ItemValidationError";
        Ok(is_of_items && import["ImportedItemCount"] == 1 && import["ErrorCount"] == 1)
    })?;
    let item = aws(&["get-item", "--table-name", "asked", "--key", r#"{"Id": {"S": "a"}}"#])?;
    ensure!(item["Item"]["Value"]["S"] == "1", "the file held {item}");
    let found = aws(&[
        "query",
        "--table-name",
        "asked",
        "--index-name",
        "by-value",
        "--key-condition-expression",
        "#v = :v",
        "--expression-attribute-names",
        r##"{"#v": "Value"}"##,
        "--expression-attribute-values",
        r#"{":v": {"S": "1"}}"#,
    ])?;
    ensure!(found["Items"] == json!([{"Id": {"S": "a"}, "Value": {"S": "1"}}]), "the index has {found}");
    let listed = aws(&["list-imports"])?;
    let count = listed["ImportSummaryList"].as_array().map_or(0, Vec::len);
    ensure!(count == 3, "list-imports answers {listed}");
    let names = ["imported", "unimported", "asked"];
    kube::kubectl(&[&["delete", "tables.cairn.dev", "-n", NAMESPACE, "--timeout=60s"][..], &names].concat())?;
    let import = aws(&["describe-import", "--import-arn", &arn])?;
    ensure!(import["ImportTableDescription"]["ImportedItemCount"] == 1, "its table is gone: {import}");
    Ok(Verdict::Passed(format!("{ITEMS} items are a table after {:.1} s", took.as_secs_f64())))
}
