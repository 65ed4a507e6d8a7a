//! Regions added and removed through DynamoDB's API, each on its own side.

use super::{NO_SECOND, both, put, read, wait_described, wait_read};
use crate::{
    harness::{NAMESPACE, Verdict, World},
    region::Region,
    scenarios::tables,
};
use anyhow::{Context, Result, ensure};
use std::time::Duration;
use tokio::time::sleep;

const NAME: &str = "booked";

/// `aws dynamodb update-table --replica-updates …`
fn update_replicas(region: &mut Region, action: &str, other: &str) -> Result<()> {
    let update = format!(r#"[{{"{action}": {{"RegionName": "{other}"}}}}]"#);
    let answer = region.aws(&["update-table", "--table-name", NAME, "--replica-updates", &update])?;
    ensure!(answer["TableDescription"]["TableStatus"] == "UPDATING", "update-table answers {answer}");
    Ok(())
}

pub(crate) async fn the_aws_cli_adds_and_removes_a_region(world: &mut World) -> Result<Verdict> {
    let Some(mut pair) = both(world)? else { return Ok(Verdict::Skipped(NO_SECOND)) };
    let (east_name, west_name) = (pair.east.name(), pair.west.name());
    for region in [&mut *pair.east, &mut *pair.west] {
        region.aws(&[
            "create-table",
            "--table-name",
            NAME,
            "--billing-mode",
            "PAY_PER_REQUEST",
            "--attribute-definitions",
            "AttributeName=Id,AttributeType=S",
            "--key-schema",
            "AttributeName=Id,KeyType=HASH",
        ])?;
        region.aws(&["wait", "table-exists", "--table-name", NAME])?;
    }
    let unknown = update_replicas(pair.east, "Create", "north");
    ensure!(
        unknown.is_err_and(|error| format!("{error:#}").contains("north")),
        "a region without a peer bundle is not refused by its name"
    );
    update_replicas(pair.east, "Create", west_name)?;
    update_replicas(pair.west, "Create", east_name)?;
    wait_described(pair.east, NAME, west_name, "ACTIVE")?;
    let joined = wait_described(pair.west, NAME, east_name, "ACTIVE")?;
    for region in [&mut *pair.east, &mut *pair.west] {
        region.aws(&["wait", "table-exists", "--table-name", NAME])?;
    }
    let again = update_replicas(pair.east, "Create", west_name);
    ensure!(
        again.is_err_and(|error| format!("{error:#}").contains("ValidationException")),
        "a region that is there is added again"
    );
    let (east, west) = pair.clients()?;
    tables::wait_exists(&east, NAME).await?;
    put(&east, NAME, "a", "east's").await?;
    wait_read(&west, NAME, "a", "east's").await?;
    put(&west, NAME, "a", "west's").await?;
    wait_read(&east, NAME, "a", "west's").await?;
    // It is the resource that a person would have written.
    let resource =
        pair.east.cluster.get(&["globaltables.cairn.dev", NAME, "-n", NAMESPACE, "--show-managed-fields"])?;
    let managers = resource["metadata"]["managedFields"].as_array().context("no managers")?;
    ensure!(managers.iter().any(|manager| manager["manager"] == "cairn-api"), "who wrote {resource}?");

    update_replicas(pair.west, "Delete", east_name)?;
    wait_described(pair.east, NAME, west_name, "REPLICATION_NOT_AUTHORIZED")?;
    tables::wait_exists(&west, NAME).await?;
    put(&west, NAME, "a", "alone").await?;
    sleep(Duration::from_secs(2)).await;
    let held = read(&east, NAME, "a").await?;
    ensure!(held.as_deref() == Some("west's"), "east has {held:?} of a table that left");
    pair.forget(NAME)?;
    Ok(Verdict::Passed(format!("ACTIVE on both sides {joined:.1?} after update-table")))
}
