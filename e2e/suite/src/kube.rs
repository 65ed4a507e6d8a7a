//! The first cluster, which is the only one of nearly all scenarios; waiting, and what objects tell.

use crate::{
    client::now,
    cluster::{Cluster, variable},
};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::{
    process::{Command, Stdio},
    thread,
    time::Duration,
};

/// Where the release under test lives.
pub(crate) const RELEASE_NAMESPACE: &str = "cairn-system";

/// Runs to the end and gives standard output; standard error goes into the error.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let what = format!("{command:?}");
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("failed to run {what}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!("{what} failed: {}{}", text, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(text)
}

pub(crate) fn kubectl(arguments: &[&str]) -> Result<String> {
    Cluster::first().kubectl(arguments)
}

pub(crate) fn get(arguments: &[&str]) -> Result<Value> {
    Cluster::first().get(arguments)
}

pub(crate) fn items(arguments: &[&str]) -> Result<Vec<Value>> {
    Cluster::first().items(arguments)
}

pub(crate) fn apply(manifests: &str) -> Result<String> {
    Cluster::first().apply(&[], manifests)
}

pub(crate) fn storage_pods(namespace: &str) -> Result<Vec<Value>> {
    Cluster::first().storage_pods(namespace)
}

pub(crate) fn kill_pods(namespace: &str, names: &[&str]) -> Result<()> {
    Cluster::first().kill_pods(namespace, names)
}

/// `e2e/cluster/cluster COMMAND NAME …`
pub(crate) fn cluster(command: &str, arguments: &[&str]) -> Result<String> {
    Cluster::first().script(command, arguments)
}

/// The name of the cluster, if `e2e/cluster` made it and so can break it.
pub(crate) fn own_cluster() -> Option<String> {
    Cluster::first().own
}

/// Whether the clusters are made of this machine's processes, so that Services can be reached and etcd be emptied.
pub(crate) fn is_direct() -> bool {
    variable("CAIRN_E2E_DIRECT").is_some()
}

/// Asks again until the answer is yes.
pub(crate) fn wait(what: &str, patience: Duration, mut answer: impl FnMut() -> Result<bool>) -> Result<Duration> {
    let start = now();
    loop {
        let problem = match answer() {
            Ok(true) => return Ok(start.elapsed()),
            Ok(false) => None,
            Err(error) => Some(error),
        };
        if start.elapsed() > patience {
            let problem = problem.map(|error| format!(": {error:#}")).unwrap_or_default();
            bail!("not within {patience:?}: {what}{problem}");
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// A zone and the number by which `cluster node` knows its node.
pub(crate) fn node_number(zone: &str) -> Result<String> {
    let letter = zone.bytes().last().context("a zone without a name")?;
    Ok(letter.saturating_sub(b'a').saturating_add(1).to_string())
}

pub(crate) fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

pub(crate) fn pod_zone(pod: &Value) -> &str {
    pod["metadata"]["labels"]["cairn.dev/zone"].as_str().unwrap_or_default()
}

pub(crate) fn is_ready(pod: &Value) -> bool {
    pod["status"]["conditions"]
        .as_array()
        .is_some_and(|conditions| conditions.iter().any(|c| c["type"] == "Ready" && c["status"] == "True"))
        && pod["metadata"]["deletionTimestamp"].is_null()
}
