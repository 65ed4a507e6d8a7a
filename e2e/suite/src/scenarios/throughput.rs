//! Tables held to their throughput: provisioned, scaled by what they consume and on demand with maxima, all by manifest.

use super::tables;
use crate::{
    harness::{NAMESPACE, Verdict, World},
    kube::{self, output},
};
use anyhow::{Result, ensure};
use std::time::Duration;

/// Names and what their specs say.
const TABLES: [(&str, &str); 4] = [
    ("held", "billingMode: PROVISIONED\n  provisionedThroughput: {readCapacityUnits: 5, writeCapacityUnits: 5}"),
    (
        "scaled",
        "billingMode: PROVISIONED\n  provisionedThroughput: {readCapacityUnits: 1, writeCapacityUnits: 1}\n  autoScaling: \
         {write: {minUnits: 20, maxUnits: 40, targetUtilizationPercent: 70}}",
    ),
    (
        "grows",
        "billingMode: PROVISIONED\n  provisionedThroughput: {readCapacityUnits: 5, writeCapacityUnits: 5}\n  autoScaling: \
         {write: {minUnits: 5, maxUnits: 25, targetUtilizationPercent: 20}}\n  globalSecondaryIndexes:\n  - indexName: by-id\n    \
         keySchema: [{attributeName: Id, keyType: HASH}]\n    projection: {projectionType: ALL}\n    provisionedThroughput: \
         {readCapacityUnits: 5, writeCapacityUnits: 5}\n    autoScaling: {write: {minUnits: 5, maxUnits: 25, \
         targetUtilizationPercent: 20}}",
    ),
    ("capped", "billingMode: PAY_PER_REQUEST\n  onDemandThroughput: {maxReadRequestUnits: 5, maxWriteRequestUnits: 5}"),
];
const SCRIPT: &str = include_str!("throughput.py");

pub(crate) async fn tables_are_held_to_their_throughput(world: &mut World) -> Result<Verdict> {
    let client = world.dynamo()?;
    for (name, spec) in TABLES {
        kube::apply(&tables::manifest(name, spec))?;
    }
    for (name, _) in TABLES {
        tables::wait_active(name, Duration::from_secs(30))?;
        tables::wait_exists(&client, name).await?;
    }
    let answer = output(world.python("python")?.args(["-c", SCRIPT]))?;
    let told = answer.trim().strip_prefix("fine: ");
    ensure!(told.is_some(), "{answer}");
    kube::kubectl(
        &[&["delete", "table"], &TABLES.map(|(name, _)| name)[..], &["-n", NAMESPACE, "--timeout=30s"]].concat(),
    )?;
    Ok(Verdict::Passed(told.unwrap_or_default().to_owned()))
}
