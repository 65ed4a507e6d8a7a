//! Tables: declared and created, good and bad.

use crate::{
    client::{Dynamo, now},
    harness::{NAMESPACE, Verdict, World},
    kube,
};
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};
use tokio::time::sleep;

/// The table of the fault scenarios; its key is the string `Id`.
pub(super) const MAIN: &str = "users";

/// A table's manifest with a string key `Id`; `more` are further lines of its spec.
pub(super) fn manifest(name: &str, more: &str) -> String {
    format!(
        "apiVersion: cairn.dev/v1alpha1
kind: Table
metadata: {{name: {name}, namespace: {NAMESPACE}}}
spec:
  attributeDefinitions: [{{attributeName: Id, attributeType: S}}]
  keySchema: [{{attributeName: Id, keyType: HASH}}]
  {more}
"
    )
}

pub(super) fn status(name: &str) -> Result<Value> {
    Ok(kube::get(&["table", name, "-n", NAMESPACE])?["status"].take())
}

pub(super) fn wait_active(name: &str, patience: Duration) -> Result<Duration> {
    kube::wait(&format!("the table {name} is ACTIVE"), patience, || Ok(status(name)?["tableStatus"] == "ACTIVE"))
}

/// Waits until the API serves the table, as SDKs' waiters do.
pub(super) async fn wait_exists(client: &Dynamo, name: &str) -> Result<Value> {
    let deadline = now() + Duration::from_secs(60);
    loop {
        let answer = client.call("DescribeTable", &json!({"TableName": name})).await;
        match answer {
            Ok(answer) if answer.status == 200 && answer.body["Table"]["TableStatus"] == "ACTIVE" => {
                return Ok(answer.body);
            }
            answer if now() > deadline => bail!("the API does not serve {name}: {answer:?}"),
            _ => sleep(Duration::from_millis(20)).await,
        }
    }
}

pub(crate) async fn a_table_comes_up_with_a_replica_in_each_zone(world: &mut World) -> Result<Verdict> {
    let text = manifest(MAIN, "billingMode: PAY_PER_REQUEST");
    kube::apply(&text)?;
    world.manifests.push(text);
    let took = wait_active(MAIN, Duration::from_secs(120))?;
    let pods = kube::storage_pods(NAMESPACE)?;
    let zones: BTreeSet<&str> = pods.iter().map(kube::pod_zone).collect();
    let nodes: BTreeSet<&str> = pods.iter().filter_map(|pod| pod["spec"]["nodeName"].as_str()).collect();
    ensure!(
        pods.len() == 3 && zones.len() == 3 && nodes.len() == 3,
        "3 pods in 3 zones expected: {zones:?} on {nodes:?}"
    );
    kube::wait("all zones are ready", Duration::from_secs(60), || Ok(status(MAIN)?["zonesReady"] == "3/3"))?;
    wait_exists(&world.dynamo()?, MAIN).await?;
    Ok(Verdict::Passed(format!("ACTIVE after {:.1} s, with its group", took.as_secs_f64())))
}

pub(crate) async fn a_table_is_active_within_two_seconds_once_its_group_stands(world: &mut World) -> Result<Verdict> {
    let client = world.dynamo()?;
    let start = now();
    kube::apply(&manifest("second", "billingMode: PAY_PER_REQUEST"))?;
    wait_active("second", Duration::from_secs(30))?;
    let applied = start.elapsed();
    let start = now();
    let request = json!({"TableName": "third", "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "Id", "AttributeType": "S"}], "KeySchema": [{"AttributeName": "Id", "KeyType": "HASH"}]});
    client.call("CreateTable", &request).await?.ok().context("CreateTable failed")?;
    wait_exists(&client, "third").await?;
    let created = start.elapsed();
    let again = client.call("CreateTable", &request).await?;
    ensure!(again.exception() == "ResourceInUseException", "a second CreateTable is answered with {again:?}");
    client.call("DeleteTable", &json!({"TableName": "third"})).await?.ok()?;
    kube::wait("the deleted table is gone", Duration::from_secs(30), || {
        Ok(kube::items(&["tables", "-n", NAMESPACE])?.iter().all(|table| kube::name(table) != "third"))
    })?;
    kube::kubectl(&["delete", "table", "second", "-n", NAMESPACE, "--timeout=30s"])?;
    for (how, took) in [("kubectl apply", applied), ("CreateTable", created)] {
        ensure!(took < Duration::from_secs(2), "{how} to ACTIVE took {took:?}");
    }
    Ok(Verdict::Passed(format!("kubectl apply {applied:.1?}, CreateTable {created:.1?}")))
}

pub(crate) async fn a_table_is_described_the_same_whoever_made_it(world: &mut World) -> Result<Verdict> {
    let client = world.dynamo()?;
    kube::apply(&format!(
        "apiVersion: cairn.dev/v1alpha1
kind: Table
metadata: {{name: declared, namespace: {NAMESPACE}}}
spec:
  attributeDefinitions: [{{attributeName: Id, attributeType: S}}, {{attributeName: At, attributeType: \"N\"}}]
  keySchema: [{{attributeName: Id, keyType: HASH}}, {{attributeName: At, keyType: RANGE}}]
  billingMode: PROVISIONED
  provisionedThroughput: {{readCapacityUnits: 5, writeCapacityUnits: 7}}
"
    ))?;
    let request = json!({"TableName": "created", "BillingMode": "PROVISIONED",
        "AttributeDefinitions": [{"AttributeName": "Id", "AttributeType": "S"}, {"AttributeName": "At", "AttributeType": "N"}],
        "KeySchema": [{"AttributeName": "Id", "KeyType": "HASH"}, {"AttributeName": "At", "KeyType": "RANGE"}],
        "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 7}});
    client.call("CreateTable", &request).await?.ok()?;
    let mut descriptions = Vec::new();
    let mut resources = Vec::new();
    for name in ["declared", "created"] {
        let mut table = wait_exists(&client, name).await?["Table"].take();
        let fields = table.as_object_mut().context("no description")?;
        for own in ["TableName", "TableArn", "TableId", "CreationDateTime"] {
            let value = fields.remove(own);
            ensure!(value.is_some(), "{name} is described without {own}");
        }
        if let Some(throughput) = fields.get_mut("ProvisionedThroughput").and_then(Value::as_object_mut) {
            throughput.remove("LastIncreaseDateTime");
            throughput.remove("LastDecreaseDateTime");
        }
        descriptions.push(table);
        let mut resource = kube::get(&["table", name, "-n", NAMESPACE])?;
        let mut spec = resource["spec"].take();
        if let Some(spec) = spec.as_object_mut() {
            spec.remove("tableName");
        }
        let status: BTreeSet<String> = resource["status"].as_object().context("no status")?.keys().cloned().collect();
        resources.push((spec, status));
    }
    ensure!(descriptions[0] == descriptions[1], "declared {} but created {}", descriptions[0], descriptions[1]);
    ensure!(resources[0] == resources[1], "declared {:?} but created {:?}", resources[0], resources[1]);
    kube::kubectl(&["delete", "table", "declared", "created", "-n", NAMESPACE, "--timeout=30s"])?;
    Ok(Verdict::Passed(String::new()))
}

pub(crate) async fn an_invalid_table_is_refused_by_a_rule_that_names_the_field(_: &mut World) -> Result<Verdict> {
    let undefined = manifest("invalid", "billingMode: PAY_PER_REQUEST")
        .replace("keySchema: [{attributeName: Id", "keySchema: [{attributeName: Other");
    let unpriced = manifest("invalid", "billingMode: PROVISIONED");
    for (text, field) in [(undefined, "AttributeDefinitions"), (unpriced, "provisionedThroughput")] {
        match kube::apply(&text) {
            Ok(_) => bail!("it was accepted: {text}"),
            Err(error) => ensure!(format!("{error:#}").contains(field), "the refusal does not name {field}: {error:#}"),
        }
    }
    Ok(Verdict::Passed(String::new()))
}

pub(crate) async fn a_feature_that_is_not_there_yet_is_refused_by_a_condition(_: &mut World) -> Result<Verdict> {
    kube::apply(&manifest("global", "billingMode: PAY_PER_REQUEST\n  sseSpecification: {enabled: true}"))?;
    let outcome = kube::wait("a condition names sseSpecification", Duration::from_secs(15), || {
        let status = status("global")?;
        ensure!(status["tableStatus"] != "ACTIVE", "the table is ACTIVE");
        Ok(status["conditions"].to_string().contains("sseSpecification"))
    });
    kube::kubectl(&["delete", "table", "global", "-n", NAMESPACE, "--timeout=30s"])?;
    outcome.map(|_| Verdict::Passed(String::new()))
}

pub(crate) async fn one_broken_table_stops_nobody_else(world: &mut World) -> Result<Verdict> {
    let client = world.dynamo()?;
    // The second resource to claim a name is told so; the first goes on.
    kube::apply(&manifest("usurper", &format!("billingMode: PAY_PER_REQUEST\n  tableName: {MAIN}")))?;
    kube::wait("the condition NameTaken", Duration::from_secs(15), || {
        Ok(status("usurper")?["conditions"].to_string().contains("NameTaken"))
    })?;
    kube::apply(&manifest("sound", "billingMode: PAY_PER_REQUEST"))?;
    wait_active("sound", Duration::from_secs(10))?;
    wait_exists(&client, MAIN).await?;
    kube::kubectl(&["delete", "table", "usurper", "sound", "-n", NAMESPACE, "--timeout=30s"])?;
    wait_exists(&client, MAIN).await?;
    Ok(Verdict::Passed(String::new()))
}
