//! A region: a cluster with the chart on it, and how clients reach its API from here.

use crate::{
    bucket::Bucket,
    client::Dynamo,
    cluster::Cluster,
    kube::{self, RELEASE_NAMESPACE, output},
    sigv4::Signer,
};
use anyhow::{Context, Result};
use serde_json::Value;
use std::{
    env,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

pub(crate) const ACCESS_KEY: &str = "AKIAGAME0000EXAMPLE1";
pub(crate) const SECRET_KEY: &str = "correct-horse-battery-staple";
pub(crate) const NAMESPACE: &str = "game";
const KINDS: [&str; 5] = ["tables", "storagegroups", "backups", "scheduledbackups", "globaltables"];
/// Where routers of every region listen for others: of the range that Kubernetes gives to nobody who does not ask.
const PEER_NODE_PORT: u16 = 30_043;

/// What the chart is told of a region, besides what all of them have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    values: &'static str,
    /// Of this machine, to the API, where Services can't be reached.
    forward_port: u16,
}

pub(crate) const EAST: Shape = Shape { name: "east", values: "router.replicas=3", forward_port: 18_000 };
/// Its clients come from the other cluster's side, where its Services' addresses mean nothing.
pub(crate) const WEST: Shape = Shape {
    name: "west",
    values: "router.replicas=1,groupDefaults.zoneCount=1,service.type=NodePort",
    forward_port: 18_001,
};

#[derive(Debug)]
pub(crate) struct Region {
    pub(crate) shape: Shape,
    pub(crate) cluster: Cluster,
    endpoint: Option<String>,
    forward: Option<Child>,
}

impl Drop for Region {
    fn drop(&mut self) {
        if let Some(mut forward) = self.forward.take() {
            let _ = forward.kill();
            let _ = forward.wait();
        }
    }
}

impl Region {
    pub(crate) fn new(shape: Shape, cluster: Cluster) -> Self {
        Self { shape, cluster, endpoint: None, forward: None }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.shape.name
    }

    /// `helm COMMAND cairn charts/cairn …` with the values of the suite. Regions take each other's calls from the beginning.
    pub(crate) fn helm(&self, command: &str, archive: Option<&Bucket>, more: &[&str]) -> Result<String> {
        let chart = env::var("CAIRN_E2E_CHART").context("CAIRN_E2E_CHART is not set")?;
        let image = env::var("CAIRN_E2E_IMAGE").context("CAIRN_E2E_IMAGE is not set")?;
        let (repository, tag) = image.rsplit_once(':').context("the image needs a tag")?;
        let values = format!(
            "region={},image.repository={repository},image.tag={tag},groupDefaults.volume.size=1Gi,{}",
            self.shape.name, self.shape.values
        );
        let peers = format!(
            "peers.enabled=true,peers.endpoint={},peers.service.type=NodePort,peers.service.nodePort={PEER_NODE_PORT}",
            self.peer_endpoint()?
        );
        let archive = archive.map(|bucket| format!("groupDefaults.archive={}", bucket.spec()));
        let archive = archive.iter().flat_map(|archive| ["--set-json", archive]);
        output(
            self.cluster
                .command("helm")
                .args([command, "cairn", &chart, "--namespace", RELEASE_NAMESPACE, "--timeout", "180s"])
                .args(["--set", &values, "--set", &peers])
                .args(archive)
                .args(more),
        )
    }

    /// Deletes an object of the account, if it is there.
    pub(crate) fn delete(&self, kind: &str, name: &str) -> Result<()> {
        let how = ["-n", NAMESPACE, "--ignore-not-found", "--timeout=60s"];
        self.cluster.kubectl(&[&["delete", kind, name], &how[..]].concat()).map(drop)
    }

    /// Removes what an uninstallation leaves, so that the cluster is as before.
    pub(crate) fn remove_leftovers(&self) -> Result<()> {
        self.cluster.kubectl(&["delete", "namespace", NAMESPACE, RELEASE_NAMESPACE, "--timeout=90s"])?;
        let definitions = KINDS.map(|kind| format!("{kind}.cairn.dev"));
        let definitions: Vec<&str> = definitions.iter().map(String::as_str).collect();
        self.cluster.kubectl(&[&["delete", "customresourcedefinition"], &definitions[..]].concat()).map(drop)
    }

    /// The end of a region that was there for a while: its cluster goes, or what the suite put on it.
    pub(crate) fn leave(&self) -> Result<()> {
        if self.cluster.own.is_some() {
            return self.cluster.take_down();
        }
        let namespace = ["--namespace", RELEASE_NAMESPACE];
        output(self.cluster.command("helm").args(["uninstall", "cairn", "--no-hooks", "--wait"]).args(namespace))?;
        self.remove_leftovers()
    }

    /// Where other regions reach this one.
    pub(crate) fn peer_endpoint(&self) -> Result<String> {
        Ok(format!("https://{}:{PEER_NODE_PORT}", self.cluster.address()?))
    }

    /// Host and port of the Service, as clients reach it from here.
    pub(crate) fn endpoint(&mut self) -> Result<String> {
        if let Some(endpoint) = &self.endpoint {
            return Ok(endpoint.clone());
        }
        let endpoint = if kube::is_direct() {
            let mut service = self.cluster.get(&["service", "dynamodb", "-n", RELEASE_NAMESPACE])?["spec"].take();
            let port = service["ports"][0].take();
            match port["nodePort"].as_u64() {
                Some(port) => format!("{}:{port}", self.cluster.address()?),
                None => {
                    format!("{}:{}", service["clusterIP"].as_str().context("the Service has no address")?, port["port"])
                }
            }
        } else {
            let port = self.shape.forward_port;
            // kubectl's forwarding ends with the pod it goes to: start it again each time.
            let script = format!(
                "while :; do kubectl -n {RELEASE_NAMESPACE} port-forward service/dynamodb {port}:8000; sleep 0.2; done"
            );
            let mut shell = self.cluster.command("sh");
            self.forward = Some(shell.args(["-c", &script]).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
            std::thread::sleep(Duration::from_secs(2));
            format!("127.0.0.1:{port}")
        };
        self.endpoint = Some(endpoint.clone());
        Ok(endpoint)
    }

    /// The Service's address is another one after etcd was emptied.
    pub(crate) fn forget_endpoint(&mut self) {
        self.endpoint = None;
    }

    pub(crate) fn dynamo(&mut self) -> Result<Dynamo> {
        let region = self.shape.name.to_owned();
        let signer = Signer { access_key: ACCESS_KEY.into(), secret_key: SECRET_KEY.into(), region };
        Ok(Dynamo::new(self.endpoint()?, signer))
    }

    /// A program of the Python environment with what the AWS SDKs read from theirs.
    pub(crate) fn python(&mut self, program: &str) -> Result<Command> {
        let folder = PathBuf::from(env::var_os("CAIRN_E2E_PYTHON").context("CAIRN_E2E_PYTHON is not set")?);
        let mut command = Command::new(folder.join(program));
        command
            .env("AWS_ENDPOINT_URL", format!("http://{}", self.endpoint()?))
            .env("AWS_REGION", self.shape.name)
            .env("AWS_DEFAULT_REGION", self.shape.name)
            .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_PAGER", "");
        Ok(command)
    }

    /// `aws dynamodb …`, with what it prints; null where it prints nothing.
    pub(crate) fn aws(&mut self, arguments: &[&str]) -> Result<Value> {
        let text = output(self.python("aws")?.arg("dynamodb").args(arguments))?;
        Ok(if text.trim().is_empty() { Value::Null } else { serde_json::from_str(&text)? })
    }
}
