//! What can be wrong with a second region: each thing has its name, on the side where it shows, and goes once it is put right.

use super::{NO_SECOND, PATIENCE, Pair, both, global_table, put, read, table, wait_read, wait_reason};
use crate::{
    client::now,
    cluster::Cluster,
    harness::{NAMESPACE, Verdict, World},
    kube::{self, RELEASE_NAMESPACE},
    region::Region,
    scenarios::tables,
};
use anyhow::{Result, ensure};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};
use tokio::time::sleep;

const NAME: &str = "mistaken";
/// East's ConfigMap with west's peer bundle in this scenario alone.
const PEER: &str = "west-by-hand";
const SETTLED: Duration = Duration::from_secs(3);

/// Every container of the account and the release, with the number of its restarts.
fn containers(cluster: &Cluster) -> Result<BTreeMap<String, u64>> {
    let mut found = BTreeMap::new();
    for namespace in [NAMESPACE, RELEASE_NAMESPACE] {
        for pod in cluster.items(&["pods", "-n", namespace, "-l", "app.kubernetes.io/component"])? {
            let uid = pod["metadata"]["uid"].as_str().unwrap_or_default();
            for container in pod["status"]["containerStatuses"].as_array().into_iter().flatten() {
                let name = container["name"].as_str().unwrap_or_default();
                let restarts = container["restartCount"].as_u64().unwrap_or_default();
                found.insert(format!("{} {uid} {name}", kube::name(&pod)), restarts);
            }
        }
    }
    Ok(found)
}

/// An authority that signed nothing of anybody's.
fn stranger() -> Result<String> {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    Ok(authority.self_signed(&KeyPair::generate()?)?.pem())
}

/// West's peer bundle under another name, with some of its keys changed.
fn give_peer(east: &Region, genuine: &Value, changes: &[(&str, &str)]) -> Result<()> {
    let mut peer = genuine.clone();
    peer["metadata"]["name"] = PEER.into();
    for (key, value) in changes {
        peer["data"][*key] = (*value).into();
    }
    east.cluster.apply(&["-n", NAMESPACE], &peer.to_string()).map(drop)
}

/// The peer bundle that was applied in the account, as JSON to be applied again.
fn genuine(pair: &Pair<'_>) -> Result<Value> {
    let applied = pair.east.cluster.get(&["configmap", pair.west.name(), "-n", NAMESPACE])?;
    Ok(json!({"apiVersion": "v1", "kind": "ConfigMap", "data": applied["data"],
        "metadata": {"name": applied["metadata"]["name"], "labels": applied["metadata"]["labels"]}}))
}

pub(crate) async fn each_wrong_thing_is_named(world: &mut World) -> Result<Verdict> {
    let Some(mut pair) = both(world)? else { return Ok(Verdict::Skipped(NO_SECOND)) };
    let start = now();
    let before = [containers(&pair.east.cluster)?, containers(&pair.west.cluster)?];
    let genuine = genuine(&pair)?;
    let (east_name, west_name) = (pair.east.name(), pair.west.name());
    let (east, west) = pair.clients()?;
    let by_hand = global_table(NAME, west_name, &format!(", peerRef: {{name: {PEER}}}"));
    pair.east.cluster.apply(&[], &format!("{}---\n{by_hand}", table(NAME)))?;
    tables::wait_exists(&east, NAME).await?;
    wait_reason(pair.east, NAME, "PeerMissing", &[PEER, west_name])?;
    give_peer(pair.east, &genuine, &[("ca.crt", &stranger()?)])?;
    wait_reason(pair.east, NAME, "Untrusted", &[west_name])?;
    let nobody = pair.west.peer_endpoint()?.replace("30843", "30999");
    give_peer(pair.east, &genuine, &[("endpoint", &nobody)])?;
    wait_reason(pair.east, NAME, "Unreachable", &[&nobody])?;
    give_peer(pair.east, &genuine, &[("clusterId", "00000000-0000-0000-0000-000000000000")])?;
    wait_reason(pair.east, NAME, "WrongCluster", &[west_name])?;
    give_peer(pair.east, &genuine, &[])?;
    wait_reason(pair.east, NAME, "TableMissing", &[west_name])?;

    // The table there has other keys, and then does not list this region; then both know of the keys.
    let other_keys = table(NAME).replace("attributeName: Id", "attributeName: Other");
    pair.west.cluster.apply(&[], &other_keys)?;
    tables::wait_exists(&west, NAME).await?;
    wait_reason(pair.east, NAME, "NotListed", &[west_name])?;
    pair.west.cluster.apply(&[], &global_table(NAME, east_name, ""))?;
    wait_reason(pair.east, NAME, "KeySchemaDiffers", &[west_name])?;
    wait_reason(pair.west, NAME, "KeySchemaDiffers", &[east_name])?;
    put(&east, NAME, "a", "at last").await?;
    delete_table(pair.west)?;
    pair.west.cluster.apply(&[], &table(NAME))?;
    tables::wait_exists(&west, NAME).await?;
    let mended = pair.wait_active(NAME)?;
    wait_read(&west, NAME, "a", "at last").await?;
    let after = [containers(&pair.east.cluster)?, containers(&pair.west.cluster)?];
    ensure!(before == after, "something was started anew: {before:?}, now {after:?}");
    pair.forget(NAME)?;
    pair.east.cluster.kubectl(&["delete", "configmap", PEER, "-n", NAMESPACE])?;
    Ok(Verdict::Passed(format!(
        "8 wrong things in {:.0} s; ACTIVE {mended:.1?} after the last was put right, nothing started anew",
        start.elapsed().as_secs_f64()
    )))
}

fn delete_table(region: &Region) -> Result<()> {
    region.cluster.kubectl(&["delete", "tables.cairn.dev", NAME, "-n", NAMESPACE, "--timeout=60s"]).map(drop)
}

pub(crate) async fn a_region_is_taken_out_and_comes_back_empty(world: &mut World) -> Result<Verdict> {
    let Some(mut pair) = both(world)? else { return Ok(Verdict::Skipped(NO_SECOND)) };
    let (east_name, west_name) = (pair.east.name(), pair.west.name());
    pair.declare(NAME).await?;
    let (east, west) = pair.clients()?;
    put(&east, NAME, "shared", "1").await?;
    wait_read(&west, NAME, "shared", "1").await?;

    // Out: by a word on its own side. It goes on alone.
    pair.west.cluster.kubectl(&["delete", "globaltables.cairn.dev", NAME, "-n", NAMESPACE, "--timeout=60s"])?;
    wait_reason(pair.east, NAME, "NotListed", &[west_name])?;
    put(&west, NAME, "shared", "west's").await?;
    put(&east, NAME, "shared", "east's").await?;
    put(&east, NAME, "of-east", "1").await?;
    let description = tables::wait_exists(&west, NAME).await?;
    ensure!(description["Table"]["Replicas"].as_array().is_none_or(Vec::is_empty), "west says {description}");
    sleep(SETTLED).await;
    ensure!(read(&west, NAME, "shared").await?.as_deref() == Some("west's"), "west is not left alone");
    ensure!(read(&east, NAME, "shared").await?.as_deref() == Some("east's"), "east is not left alone");

    // Back with data: nobody's is changed.
    let held = (east.scan(NAME, PATIENCE).await?, west.scan(NAME, PATIENCE).await?);
    pair.west.cluster.apply(&[], &global_table(NAME, east_name, ""))?;
    wait_reason(pair.west, NAME, "NotEmpty", &[east_name])?;
    wait_reason(pair.east, NAME, "NotEmpty", &[west_name])?;
    sleep(SETTLED).await;
    let now_held = (east.scan(NAME, PATIENCE).await?, west.scan(NAME, PATIENCE).await?);
    ensure!(held == now_held, "data changed in a region that was not let in: {held:?}, now {now_held:?}");

    // Back empty: it is filled.
    delete_table(pair.west)?;
    pair.west.cluster.apply(&[], &table(NAME))?;
    tables::wait_exists(&west, NAME).await?;
    let filled = pair.wait_active(NAME)?;
    let (items, _) = pair.wait_equal(NAME).await?;
    ensure!(items == held.0, "the regions agreed on {items:?}, but east had {:?}", held.0);
    put(&west, NAME, "shared", "again").await?;
    wait_read(&east, NAME, "shared", "again").await?;
    pair.forget(NAME)?;
    Ok(Verdict::Passed(format!("ACTIVE {filled:.1?} after it was made anew")))
}
