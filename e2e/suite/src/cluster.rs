//! A cluster under test: kubectl and helm against it, and the faults that `e2e/cluster` can make.

use crate::kube::output;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::{
    env,
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
};

/// A cluster, as kubectl and helm see it.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    kubeconfig: PathBuf,
    /// By which `e2e/cluster` knows it, if it made it and so can break it.
    pub(crate) own: Option<String>,
}

impl Cluster {
    /// The one that `KUBECONFIG` points to: three zones.
    pub(crate) fn first() -> Self {
        Self { kubeconfig: env::var_os("KUBECONFIG").unwrap_or_default().into(), own: variable("CAIRN_E2E_CLUSTER") }
    }

    /// A second one, of one zone: made, or given; none where this run may not make one.
    pub(crate) fn second() -> Result<Option<Self>> {
        if let Some(kubeconfig) = variable("CAIRN_E2E_SECOND_KUBECONFIG") {
            return Ok(Some(Self { kubeconfig: kubeconfig.into(), own: None }));
        }
        let Some(name) = variable("CAIRN_E2E_SECOND_CLUSTER") else { return Ok(None) };
        let archive = variable("CAIRN_E2E_ARCHIVE").context("CAIRN_E2E_ARCHIVE is not set")?;
        script(&["down", &name])?; // what an ended run left behind
        script(&["up", &name, "1"])?;
        script(&["load", &name, &archive])?;
        let environment = script(&["env", &name])?;
        let kubeconfig = environment.split_whitespace().find_map(|word| word.strip_prefix("KUBECONFIG="));
        let kubeconfig = kubeconfig.with_context(|| format!("no kubeconfig of {name}: {environment}"))?.into();
        Ok(Some(Self { kubeconfig, own: Some(name) }))
    }

    /// Takes it down, if `e2e/cluster` made it.
    pub(crate) fn take_down(&self) -> Result<()> {
        match &self.own {
            Some(name) => script(&["down", name]).map(drop),
            None => Ok(()),
        }
    }

    /// A program that works with it, such as helm.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("KUBECONFIG", &self.kubeconfig);
        command
    }

    pub(crate) fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        output(self.command("kubectl").args(arguments))
    }

    /// What kubectl gets, as JSON.
    pub(crate) fn get(&self, arguments: &[&str]) -> Result<Value> {
        let text = self.kubectl(&[&["get", "-o", "json"], arguments].concat())?;
        Ok(serde_json::from_str(&text)?)
    }

    pub(crate) fn items(&self, arguments: &[&str]) -> Result<Vec<Value>> {
        match self.get(arguments)?["items"].take() {
            Value::Array(items) => Ok(items),
            other => bail!("not a list: {other}"),
        }
    }

    /// Applies YAML as a person would, `more` being further arguments.
    pub(crate) fn apply(&self, more: &[&str], manifests: &str) -> Result<String> {
        let mut child = self
            .command("kubectl")
            .args(["apply", "-f", "-"])
            .args(more)
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

    /// The storage pods of an account's namespace.
    pub(crate) fn storage_pods(&self, namespace: &str) -> Result<Vec<Value>> {
        self.items(&["pods", "-n", namespace, "-l", "app.kubernetes.io/component=storage"])
    }

    /// What a pod tells on its admin port.
    pub(crate) fn metrics(&self, namespace: &str, pod: &str) -> Result<String> {
        self.kubectl(&["get", "--raw", &format!("/api/v1/namespaces/{namespace}/pods/{pod}:8080/proxy/metrics")])
    }

    /// Kills the containers of all these pods at once and has them replaced.
    pub(crate) fn kill_pods(&self, namespace: &str, names: &[&str]) -> Result<()> {
        let arguments =
            [&["delete", "pod", "-n", namespace, "--grace-period=0", "--force", "--wait=false"], names].concat();
        self.kubectl(&arguments).map(drop)
    }

    /// Where NodePorts answer, whichever zone is killed, if it can be told.
    pub(crate) fn address(&self) -> Result<String> {
        if let Some(name) = &self.own {
            return Ok(script(&["address", name])?.trim().to_owned());
        }
        let addresses = self.kubectl(&[
            "get",
            "nodes",
            "-o",
            "jsonpath={.items[*].status.addresses[?(@.type==\"InternalIP\")].address}",
        ])?;
        Ok(addresses.split_whitespace().next().context("the nodes tell no address")?.to_owned())
    }

    /// `e2e/cluster/cluster COMMAND NAME …`
    pub(crate) fn script(&self, command: &str, arguments: &[&str]) -> Result<String> {
        let name = self.own.as_deref().context("this cluster is not ours to break")?;
        script(&[&[command, name], arguments].concat())
    }

    /// Takes away the network between the pods of two clusters of `e2e/cluster`, or gives it back.
    pub(crate) fn link(&self, other: &Self, action: &str) -> Result<()> {
        let other = other.own.as_deref().context("this cluster is not ours to break")?;
        self.script("link", &[other, action]).map(drop)
    }
}

pub(crate) fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn script(arguments: &[&str]) -> Result<String> {
    let script = variable("CAIRN_E2E_SCRIPT").context("CAIRN_E2E_SCRIPT is not set")?;
    output(Command::new(script).args(arguments))
}
