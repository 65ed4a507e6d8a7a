//! Global indexes: declared, added later while writes go on, through a fault, and deleted.

use super::tables;
use crate::{
    client::{Dynamo, now},
    harness::{NAMESPACE, Verdict, World},
    kube,
};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};
use tokio::time::sleep;

const TABLE: &str = "indexed";
const PATIENCE: Duration = Duration::from_secs(120);
/// Items written before an index is added, while it is filled, and in each team.
const BEFORE: usize = 2_000;
const MEANWHILE: usize = 1_000;
const TEAMS: usize = 7;

fn manifest() -> String {
    tables::manifest(
        TABLE,
        "billingMode: PAY_PER_REQUEST\n  globalSecondaryIndexes: [{indexName: by-id, keySchema: [{attributeName: Id, keyType: HASH}], projection: {projectionType: KEYS_ONLY}}]",
    )
}

async fn put(client: &Dynamo, numbers: std::ops::Range<usize>) -> Result<()> {
    for number in numbers {
        let team = format!("team-{}", number % TEAMS);
        let item = json!({"Id": {"S": format!("item-{number}")}, "Team": {"S": team}});
        let put = json!({"TableName": TABLE, "Item": item});
        client.insist("PutItem", &put, PATIENCE).await?.ok().with_context(|| format!("put item {number}"))?;
    }
    Ok(())
}

/// What a team has in the index.
async fn of_team(client: &Dynamo, team: usize) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let mut start = Value::Null;
    loop {
        let mut query = json!({
            "TableName": TABLE, "IndexName": "by-team", "KeyConditionExpression": "Team = :t",
            "ExpressionAttributeValues": {":t": {"S": format!("team-{team}")}},
        });
        if !start.is_null() {
            query["ExclusiveStartKey"] = start;
        }
        let mut page = client.insist("Query", &query, PATIENCE).await?.ok()?;
        let items = page["Items"].as_array().cloned().unwrap_or_default();
        found.extend(items.iter().filter_map(|item| Some(item["Id"]["S"].as_str()?.to_owned())));
        start = page["LastEvaluatedKey"].take();
        if start.is_null() {
            return Ok(found);
        }
    }
}

/// Waits until the index of every team has just these items, some time after they were written.
async fn wait_shown(client: &Dynamo, count: usize) -> Result<()> {
    let deadline = now() + PATIENCE;
    for team in 0..TEAMS {
        let wanted: BTreeSet<String> =
            (0..count).filter(|number| number % TEAMS == team).map(|number| format!("item-{number}")).collect();
        loop {
            let found = of_team(client, team).await?;
            if found == wanted {
                break;
            }
            let (missing, stale) = (wanted.difference(&found).count(), found.difference(&wanted).count());
            ensure!(now() < deadline, "the index lacks {missing} items of team {team} and has {stale} too many");
            sleep(Duration::from_millis(100)).await;
        }
    }
    Ok(())
}

fn index_status(name: &str) -> Result<Option<String>> {
    let status = tables::status(TABLE)?;
    let indexes = status["globalSecondaryIndexes"].as_array().cloned().unwrap_or_default();
    let index = indexes.iter().find(|index| index["indexName"] == name);
    Ok(index.and_then(|index| index["indexStatus"].as_str()).map(str::to_owned))
}

pub(crate) async fn an_index_is_filled_while_writes_go_on_and_its_leader_dies(world: &mut World) -> Result<Verdict> {
    let client = world.dynamo()?;
    kube::apply(&manifest())?;
    tables::wait_active(TABLE, PATIENCE)?;
    tables::wait_exists(&client, TABLE).await?;
    ensure!(index_status("by-id")?.as_deref() == Some("ACTIVE"), "a table is ACTIVE once its indexes are");
    put(&client, 0..BEFORE).await?;

    let attribute = |name: &str| json!({"AttributeName": name, "AttributeType": "S"});
    let index = json!({
        "IndexName": "by-team", "Projection": {"ProjectionType": "ALL"},
        "KeySchema": [{"AttributeName": "Team", "KeyType": "HASH"}],
    });
    let update = json!({
        "TableName": TABLE, "AttributeDefinitions": [attribute("Id"), attribute("Team")],
        "GlobalSecondaryIndexUpdates": [{"Create": index}],
    });
    // The manifest made the table; that the API may change it too is the release's `api.writes`.
    let by_api = client.call("UpdateTable", &update).await?;
    let how = if by_api.exception() == "AccessDeniedException" {
        let spec = json!({"spec": {
            "attributeDefinitions": [{"attributeName": "Id", "attributeType": "S"}, {"attributeName": "Team", "attributeType": "S"}],
            "globalSecondaryIndexes": [
                {"indexName": "by-id", "keySchema": [{"attributeName": "Id", "keyType": "HASH"}], "projection": {"projectionType": "KEYS_ONLY"}},
                {"indexName": "by-team", "keySchema": [{"attributeName": "Team", "keyType": "HASH"}], "projection": {"projectionType": "ALL"}},
            ],
        }});
        kube::kubectl(&["patch", "table", TABLE, "-n", NAMESPACE, "--type=merge", "-p", &spec.to_string()])?;
        "by manifest"
    } else {
        by_api.ok().context("UpdateTable failed")?;
        "by the API"
    };
    let start = now();
    put(&client, BEFORE..BEFORE + MEANWHILE / 2).await?;
    let zone = super::faults::leader_zone()?;
    let pods = kube::storage_pods(NAMESPACE)?;
    let pod = pods.iter().find(|pod| kube::pod_zone(pod) == zone).context("the leader's pod is gone")?;
    kube::kill_pods(NAMESPACE, &[kube::name(pod)])?;
    put(&client, BEFORE + MEANWHILE / 2..BEFORE + MEANWHILE).await?;
    kube::wait("the index is ACTIVE", PATIENCE, || Ok(index_status("by-team")?.as_deref() == Some("ACTIVE")))?;
    let took = start.elapsed();
    wait_shown(&client, BEFORE + MEANWHILE).await?;
    super::faults::wait_whole()?;

    let spec = json!({"spec": {"attributeDefinitions": [{"attributeName": "Id", "attributeType": "S"}], "globalSecondaryIndexes": null}});
    kube::kubectl(&["patch", "table", TABLE, "-n", NAMESPACE, "--type=merge", "-p", &spec.to_string()])?;
    kube::wait("the indexes are gone", PATIENCE, || {
        Ok(index_status("by-team")?.is_none() && index_status("by-id")?.is_none())
    })?;
    tables::wait_active(TABLE, PATIENCE)?;
    kube::kubectl(&["delete", "table", TABLE, "-n", NAMESPACE, "--timeout=60s"])?;
    Ok(Verdict::Passed(format!("added {how} to {BEFORE} items; ACTIVE after {:.1} s", took.as_secs_f64())))
}
