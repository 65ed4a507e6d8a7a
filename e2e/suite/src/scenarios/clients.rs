//! Clients nobody of ours wrote, and who is let in.

use super::tables;
use crate::{
    harness::{ACCESS_KEY, NAMESPACE, REGION, Verdict, World, aws},
    kube::{self, output},
    sigv4::Signer,
};
use anyhow::{Result, ensure};
use serde_json::json;
use std::time::Duration;

pub(super) fn access_key(name: &str, id: &str, secret: &str) -> String {
    format!(
        "apiVersion: v1
kind: Secret
metadata: {{name: {name}, namespace: {NAMESPACE}, labels: {{cairn.dev/credentials: \"true\"}}}}
stringData: {{accessKeyId: {id}, secretAccessKey: {secret}}}
"
    )
}

pub(crate) async fn the_aws_cli_works_unmodified(world: &mut World) -> Result<Verdict> {
    let mut aws = |arguments: &[&str]| aws(world, arguments);
    let table = "cli";
    aws(&[
        "create-table",
        "--table-name",
        table,
        "--billing-mode",
        "PAY_PER_REQUEST",
        "--attribute-definitions",
        "AttributeName=Artist,AttributeType=S",
        "AttributeName=Song,AttributeType=S",
        "--key-schema",
        "AttributeName=Artist,KeyType=HASH",
        "AttributeName=Song,KeyType=RANGE",
    ])?;
    aws(&["wait", "table-exists", "--table-name", table])?;
    for song in ["a", "b", "c"] {
        let item = json!({"Artist": {"S": "Arturus"}, "Song": {"S": song}, "Plays": {"N": "1"}}).to_string();
        aws(&["put-item", "--table-name", table, "--item", &item])?;
    }
    let key = json!({"Artist": {"S": "Arturus"}, "Song": {"S": "b"}}).to_string();
    let update = aws(&[
        "update-item",
        "--table-name",
        table,
        "--key",
        &key,
        "--update-expression",
        "ADD Plays :n",
        "--expression-attribute-values",
        r#"{":n": {"N": "41"}}"#,
        "--return-values",
        "ALL_NEW",
    ])?;
    ensure!(update["Attributes"]["Plays"]["N"] == "42", "update-item answers {update}");
    let item = aws(&["get-item", "--table-name", table, "--key", &key, "--consistent-read"])?;
    ensure!(item["Item"]["Plays"]["N"] == "42", "get-item answers {item}");
    let query = aws(&[
        "query",
        "--table-name",
        table,
        "--key-condition-expression",
        "Artist = :a AND Song > :s",
        "--expression-attribute-values",
        r#"{":a": {"S": "Arturus"}, ":s": {"S": "a"}}"#,
    ])?;
    ensure!(query["Count"] == 2 && query["Items"][0]["Song"]["S"] == "b", "query answers {query}");
    aws(&["delete-item", "--table-name", table, "--key", &key])?;
    let scan = aws(&["scan", "--table-name", table, "--consistent-read"])?;
    ensure!(scan["Count"] == 2, "scan answers {scan}");
    let refused =
        aws(&["put-item", "--table-name", table, "--item", &key, "--condition-expression", "attribute_exists(Artist)"]);
    ensure!(
        refused.is_err_and(|error| format!("{error:#}").contains("ConditionalCheckFailedException")),
        "a failed condition is not told"
    );
    aws(&["delete-table", "--table-name", table])?;
    aws(&["wait", "table-not-exists", "--table-name", table])?;
    Ok(Verdict::Passed(String::new()))
}

const BOTO3: &str = include_str!("with_boto3.py");

pub(crate) async fn boto3_works_unmodified(world: &mut World) -> Result<Verdict> {
    let answer = output(world.python("python")?.args(["-c", BOTO3]))?;
    ensure!(answer.trim() == "fine", "{answer}");
    Ok(Verdict::Passed(String::new()))
}

/// Of a table that a manifest declares, with a local index, a stream and items that expire; the second is made so by the API.
const BESIDE: &str = "apiVersion: cairn.dev/v1alpha1
kind: Table
metadata: {name: beside}
spec:
  attributeDefinitions: [{attributeName: Id, attributeType: S}, {attributeName: At, attributeType: 'N'}, {attributeName: Score, attributeType: 'N'}]
  keySchema: [{attributeName: Id, keyType: HASH}, {attributeName: At, keyType: RANGE}]
  billingMode: PAY_PER_REQUEST
  localSecondaryIndexes:
    - indexName: by-score
      keySchema: [{attributeName: Id, keyType: HASH}, {attributeName: Score, keyType: RANGE}]
      projection: {projectionType: KEYS_ONLY}
  streamSpecification: {streamEnabled: true, streamViewType: NEW_AND_OLD_IMAGES}
  timeToLive: {attributeName: ends, enabled: true}
";
const BESIDE_ITEMS: &str = include_str!("beside_items.py");

pub(crate) async fn a_manifest_says_indexes_streams_and_expiry(world: &mut World) -> Result<Verdict> {
    kube::apply(&BESIDE.replace("name: beside", &format!("name: beside, namespace: {NAMESPACE}")))?;
    tables::wait_active("beside", Duration::from_secs(30))?;
    tables::wait_exists(&world.dynamo()?, "beside").await?;
    let answer = output(world.python("python")?.args(["-c", BESIDE_ITEMS]))?;
    ensure!(answer.trim() == "fine", "{answer}");
    kube::kubectl(&["delete", "table", "beside", "beside-api", "-n", NAMESPACE, "--timeout=30s"])?;
    Ok(Verdict::Passed(String::new()))
}

pub(crate) async fn a_wrong_signature_is_refused(world: &mut World) -> Result<Verdict> {
    let signer = |access_key: &str, secret_key: &str| Signer {
        access_key: access_key.into(),
        secret_key: secret_key.into(),
        region: REGION.into(),
    };
    let client = world.dynamo()?;
    for (signer, exception) in [
        (signer(ACCESS_KEY, "guessed"), "InvalidSignatureException"),
        (signer("AKIANOBODY0000000000", "guessed"), "UnrecognizedClientException"),
    ] {
        let answer = client.with_signer(signer).call("ListTables", &json!({})).await?;
        ensure!(answer.status == 400 && answer.exception() == exception, "{exception} expected: {answer:?}");
    }
    Ok(Verdict::Passed(String::new()))
}

pub(crate) async fn an_access_key_follows_its_secret(world: &mut World) -> Result<Verdict> {
    let signer =
        Signer { access_key: "AKIAGAME0000EXAMPLE2".into(), secret_key: "second".into(), region: REGION.into() };
    let client = world.dynamo()?.with_signer(signer);
    kube::apply(&access_key("second", "AKIAGAME0000EXAMPLE2", "second"))?;
    let mut answers = 0;
    let start = crate::client::now();
    // Several in a row: each of the routers has to know it.
    while answers < 6 {
        let answer = client.call("ListTables", &json!({})).await?;
        answers = if answer.status == 200 { answers + 1 } else { 0 };
        ensure!(start.elapsed() < Duration::from_secs(20), "the new key is not known after 20 s: {answer:?}");
        if answers == 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        } else {
            ensure!(answer.body["TableNames"].to_string().contains(tables::MAIN), "{answer:?}");
        }
    }
    let known = start.elapsed();
    kube::kubectl(&["delete", "secret", "second", "-n", NAMESPACE])?;
    let start = crate::client::now();
    while client.call("ListTables", &json!({})).await?.status == 200 {
        ensure!(start.elapsed() < Duration::from_secs(20), "the deleted key is still known after 20 s");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(Verdict::Passed(format!("known after {known:.1?}")))
}
