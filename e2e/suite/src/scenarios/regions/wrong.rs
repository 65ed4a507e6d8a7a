//! What can be wrong with a second region: each thing has its name, on the side where it shows, and goes once it is put right.

use super::{ANCHOR, NO_SECOND, Pair, both, global_table, put, table, wait_read, wait_reason};
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
use std::collections::BTreeMap;

const NAME: &str = "mistaken";
/// East's ConfigMap with west's peer bundle in this scenario alone.
const PEER: &str = "west-by-hand";
/// No Service has this NodePort.
const NOBODYS_PORT: u16 = 30_044;

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
    pair.declare(ANCHOR).await?;
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
    let nobody = format!("https://{}:{NOBODYS_PORT}", pair.west.cluster.address()?);
    give_peer(pair.east, &genuine, &[("endpoint", &nobody)])?;
    wait_reason(pair.east, NAME, "Unreachable", &[&nobody])?;
    give_peer(pair.east, &genuine, &[])?;
    wait_reason(pair.east, NAME, "TableMissing", &[west_name])?;

    // The table there has other keys and does not list this region; then both know of the keys.
    let other_keys = table(NAME).replace("attributeName: Id", "attributeName: Other");
    pair.west.cluster.apply(&[], &other_keys)?;
    tables::wait_exists(&west, NAME).await?;
    wait_reason(pair.east, NAME, "NotListed", &[west_name])?;
    pair.west.cluster.apply(&[], &global_table(NAME, east_name, ""))?;
    wait_reason(pair.east, NAME, "KeySchemaDiffers", &[west_name])?;
    wait_reason(pair.west, NAME, "KeySchemaDiffers", &[east_name])?;
    put(&east, NAME, "a", "at last").await?;
    pair.west.delete("tables.cairn.dev", NAME)?;
    wait_reason(pair.west, NAME, "TableMissing", &[NAME])?;
    pair.west.cluster.apply(&[], &table(NAME))?;
    tables::wait_exists(&west, NAME).await?;
    let mended = pair.wait_active(NAME)?;
    wait_read(&west, NAME, "a", "at last").await?;

    // A region that took part turns out to be another cluster than the bundle says.
    give_peer(pair.east, &genuine, &[("clusterId", "00000000-0000-0000-0000-000000000000")])?;
    wait_reason(pair.east, NAME, "WrongCluster", &[west_name])?;
    put(&west, NAME, "a", "meanwhile").await?;
    give_peer(pair.east, &genuine, &[])?;
    pair.wait_active(NAME)?;
    wait_read(&east, NAME, "a", "meanwhile").await?;
    let after = [containers(&pair.east.cluster)?, containers(&pair.west.cluster)?];
    ensure!(before == after, "something was started anew: {before:?}, now {after:?}");
    pair.forget(NAME)?;
    pair.forget(ANCHOR)?;
    pair.east.delete("configmap", PEER)?;
    Ok(Verdict::Passed(format!(
        "9 wrong things in {:.0} s; ACTIVE {mended:.1?} after the last was put right, nothing started anew",
        start.elapsed().as_secs_f64()
    )))
}
