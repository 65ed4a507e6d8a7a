//! The cluster under test: kubectl and helm against `KUBECONFIG`, and the faults that `e2e/cluster` can make.

use crate::client::now;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::{
    env,
    io::Write as _,
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
    output(Command::new("kubectl").args(arguments))
}

/// What kubectl gets, as JSON.
pub(crate) fn get(arguments: &[&str]) -> Result<Value> {
    let text = kubectl(&[&["get", "-o", "json"], arguments].concat())?;
    Ok(serde_json::from_str(&text)?)
}

pub(crate) fn items(arguments: &[&str]) -> Result<Vec<Value>> {
    match get(arguments)?["items"].take() {
        Value::Array(items) => Ok(items),
        other => bail!("not a list: {other}"),
    }
}

/// Applies YAML as a person would.
pub(crate) fn apply(manifests: &str) -> Result<String> {
    let mut child = Command::new("kubectl")
        .args(["apply", "-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    child.stdin.take().context("no standard input")?.write_all(manifests.as_bytes())?;
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("kubectl apply failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
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

/// The name of the cluster, if `e2e/cluster` made it and so can break it.
pub(crate) fn own_cluster() -> Option<String> {
    env::var("CAIRN_E2E_CLUSTER").ok().filter(|name| !name.is_empty())
}

/// Whether the cluster is made of this machine's processes, so that Services can be reached and etcd be emptied.
pub(crate) fn is_direct() -> bool {
    env::var("CAIRN_E2E_DIRECT").is_ok_and(|value| !value.is_empty())
}

/// `e2e/cluster/cluster COMMAND NAME …`
pub(crate) fn cluster(command: &str, arguments: &[&str]) -> Result<String> {
    let name = own_cluster().context("this cluster is not ours to break")?;
    let script = env::var("CAIRN_E2E_SCRIPT").context("CAIRN_E2E_SCRIPT is not set")?;
    output(Command::new(script).arg(command).arg(name).args(arguments))
}

/// A zone and the number by which `cluster node` knows its node.
pub(crate) fn node_number(zone: &str) -> Result<String> {
    let letter = zone.bytes().last().context("a zone without a name")?;
    Ok(letter.saturating_sub(b'a').saturating_add(1).to_string())
}

/// The storage pods of an account's namespace.
pub(crate) fn storage_pods(namespace: &str) -> Result<Vec<Value>> {
    items(&["pods", "-n", namespace, "-l", "app.kubernetes.io/component=storage"])
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

/// Kills the containers of all these pods at once and has them replaced.
pub(crate) fn kill_pods(namespace: &str, names: &[&str]) -> Result<()> {
    let arguments =
        [&["delete", "pod", "-n", namespace, "--grace-period=0", "--force", "--wait=false"], names].concat();
    kubectl(&arguments).map(drop)
}
