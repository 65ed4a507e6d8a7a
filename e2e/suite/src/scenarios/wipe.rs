//! The cluster forgets everything; the volumes do not.

use super::{faults, install, tables};
use crate::{
    harness::{NAMESPACE, Verdict, World},
    kube,
    load::Load,
};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::time::Duration;

/// The volumes as a person would declare them again: bound to the same claims by name.
fn volumes_to_reapply() -> Result<Vec<String>> {
    kube::items(&["persistentvolumes"])?
        .into_iter()
        .filter(|volume| {
            let claim = &volume["spec"]["claimRef"];
            // Those of the group `default`, which holds the table.
            claim["namespace"] == NAMESPACE
                && claim["name"].as_str().is_some_and(|name| name.starts_with("data-cairn-default-"))
        })
        .map(|mut volume| {
            let claim = volume["spec"]["claimRef"].take();
            let mut spec = volume["spec"].take();
            spec["claimRef"] = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": claim["namespace"], "name": claim["name"]});
            spec["persistentVolumeReclaimPolicy"] = Value::from("Retain");
            let name = volume["metadata"]["name"].take();
            Ok(json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec}).to_string())
        })
        .collect()
}

pub(crate) async fn data_survives_an_emptied_etcd(world: &mut World) -> Result<Verdict> {
    if !kube::is_direct() {
        return Ok(Verdict::Skipped("this cluster's etcd is not ours to empty"));
    }
    faults::wait_whole()?;
    let client = world.dynamo()?;
    let load = Load::start(&client, tables::MAIN, "wipe");
    load.reach(2_000).await?;
    let witness = load.witness();
    load.end().await?;
    let table_id = tables::status(tables::MAIN)?["tableId"].as_str().context("no table id")?.to_owned();
    let volumes = volumes_to_reapply()?;
    ensure!(volumes.len() == 3, "{} volumes", volumes.len());

    kube::cluster("wipe", &[])?;
    world.east.forget_endpoint();
    for volume in volumes {
        kube::apply(&volume)?;
    }
    install::helm(world, "install", &["--create-namespace", "--wait"])?;
    for manifest in &world.manifests {
        kube::apply(manifest)?;
    }
    kube::wait("the condition AdoptionRequired", Duration::from_secs(120), || {
        let status = tables::status(tables::MAIN)?;
        ensure!(status["tableStatus"] != "ACTIVE", "the table became ACTIVE without anybody's word");
        Ok(status["conditions"].to_string().contains("AdoptionRequired"))
    })?;
    let conditions = tables::status(tables::MAIN)?["conditions"].to_string();
    ensure!(conditions.contains(&table_id), "the condition does not name the table id to adopt: {conditions}");
    kube::kubectl(&["annotate", "table", tables::MAIN, "-n", NAMESPACE, &format!("cairn.dev/adopt={table_id}")])?;
    let took = tables::wait_active(tables::MAIN, Duration::from_secs(60))?;
    let client = world.dynamo()?;
    tables::wait_exists(&client, tables::MAIN).await?;
    let count = witness.verify(&client).await?;
    let load = Load::start(&client, tables::MAIN, "adopted");
    load.reach(500).await?;
    load.end().await?;
    Ok(Verdict::Passed(format!("{count} writes, none missing; ACTIVE {took:.1?} after the annotation")))
}
