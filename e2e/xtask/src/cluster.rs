//! Clusters: those that `e2e/cluster` makes, and one of the user's that `KUBECONFIG` points to.

use crate::{
    image,
    process::{self, Undo},
    workspace,
};
use anyhow::{Context, Result};
use std::{
    env,
    ffi::OsStr,
    fs::File,
    path::{self, PathBuf},
    process::Command,
};

/// A cluster that is up, and how to run commands against it.
#[derive(Debug)]
pub(crate) struct Cluster {
    /// Name of one made by `e2e/cluster`; none for one of the user's.
    name: Option<String>,
    /// Whether it is made of this machine's processes, so that its Services can be reached directly.
    native: bool,
    kubeconfig: PathBuf,
    /// The image that its pods run.
    pub(crate) image: String,
    second: Option<Second>,
    _undo: Option<Undo>,
    _lock: Option<File>,
}

/// A second cluster, which whoever runs beside the first makes when it needs it; it goes at the end in any case.
#[derive(Debug)]
struct Second {
    name: String,
    _undo: Undo,
}

/// Why no cluster can be made on this machine, if so.
pub(crate) fn obstacle() -> Option<String> {
    process::output(command().arg("kind")).err().map(|error| {
        let text = format!("{error:#}");
        text.lines().find_map(|line| line.strip_prefix("cluster: ")).unwrap_or(&text).to_owned()
    })
}

pub(crate) fn script(arguments: &[&str]) -> Result<()> {
    process::run(command().args(arguments))
}

/// For `cargo xtask cluster up`: it stays until it is taken down.
pub(crate) fn stay_up(name: &str, zones: &str) -> Result<()> {
    script(&["up", name, zones])?;
    let archive = image::archive();
    if archive.is_file() {
        process::run(command().args(["load", name]).arg(archive))?;
    }
    script(&["env", name])
}

fn command() -> Command {
    Command::new(workspace::root().join("e2e/cluster/cluster"))
}

/// What is built once for all checkouts of a user.
pub(crate) fn cache() -> PathBuf {
    PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".cache/cairn")
}

fn tools() -> PathBuf {
    env::var_os("CAIRN_TOOLS").map_or_else(|| cache().join("bin"), PathBuf::from)
}

/// One of the tools that `e2e/cluster/build-tools` builds, built if need be.
pub(crate) fn tool(name: &str) -> Result<PathBuf> {
    let path = tools().join(name);
    if !path.exists() {
        build_tools(&[name])?;
    }
    Ok(path)
}

/// The description of Kubernetes' API, copied if need be.
pub(crate) fn openapi() -> Result<PathBuf> {
    let path = tools().join("openapi.json");
    if !path.exists() {
        build_tools(&["openapi"])?;
    }
    Ok(path)
}

/// The folder of the tools, with etcd and kube-apiserver in it, built if need be.
pub(crate) fn api_server() -> Result<PathBuf> {
    build_tools(&["etcd", "kubernetes"])?;
    Ok(path::absolute(tools())?)
}

/// What `cluster up` builds where the cluster is made of this machine's processes, built if need be.
pub(crate) fn tools_of_clusters() -> Result<()> {
    if process::output(command().arg("kind"))?.trim() != "native" {
        return Ok(());
    }
    build_tools(&["kubernetes", "etcd", "coredns", "local-path-provisioner", "helm", "kubeconform"])
}

fn build_tools(names: &[&str]) -> Result<()> {
    process::run(Command::new(workspace::root().join("e2e/cluster/build-tools")).args(names))
}

/// Two runs on one machine, of whatever checkouts, take turns.
fn lock(name: &str) -> Result<File> {
    let path = env::temp_dir().join(format!("cairn-e2e-{name}.lock"));
    let file = File::create(&path).with_context(|| format!("failed to create {}", path.display()))?;
    if file.try_lock().is_err() {
        println!("another run on this machine uses the cluster {name}: waiting for it");
        file.lock()?;
    }
    Ok(file)
}

/// At the end, also of a run that is interrupted.
fn take_down(name: &str) -> Undo {
    let owned = name.to_owned();
    Undo::new(move || process::attempt(command().args(["down", &owned])))
}

impl Cluster {
    /// The cluster that `KUBECONFIG` points to, if `CAIRN_E2E_IMAGE` names an image it can pull; no test touches one otherwise.
    pub(crate) fn of_user() -> Option<Self> {
        let kubeconfig = env::var_os("KUBECONFIG").filter(|path| !path.is_empty())?;
        let image = env::var("CAIRN_E2E_IMAGE").ok()?;
        Some(Self {
            name: None,
            native: false,
            kubeconfig: kubeconfig.into(),
            image,
            second: None,
            _undo: None,
            _lock: None,
        })
    }

    /// Makes one of three zones with the image in it; it goes when this is dropped.
    pub(crate) fn create(name: &str) -> Result<Self> {
        let archive = image::build()?;
        let lock = lock(name)?;
        let flavour = process::output(command().arg("kind"))?;
        let undo = take_down(name);
        script(&["down", name])?; // what an ended run left behind
        script(&["up", name]).context("failed to make a cluster")?;
        process::output(command().args(["load", name]).arg(archive))?;
        let environment = process::output(command().args(["env", name]))?;
        let kubeconfig = environment
            .split_whitespace()
            .find_map(|word| word.strip_prefix("KUBECONFIG="))
            .context("failed to learn the cluster's kubeconfig")?;
        Ok(Self {
            name: Some(name.to_owned()),
            native: flavour.trim() == "native",
            kubeconfig: kubeconfig.into(),
            image: image::REFERENCE.to_owned(),
            second: None,
            _undo: Some(undo),
            _lock: Some(lock),
        })
    }

    /// Lets commands of [`Self::command`] make a second cluster of that name, unless this is the user's.
    pub(crate) fn with_second(mut self, name: &str) -> Result<Self> {
        if self.name.is_some() {
            script(&["down", name])?; // what an ended run left behind
            self.second = Some(Second { name: name.to_owned(), _undo: take_down(name) });
        }
        Ok(self)
    }

    /// A command that sees the cluster as kubectl's current one, from where its Services can be reached if that is anywhere.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = match &self.name {
            Some(name) if self.native => {
                let mut command = command();
                command.args(["run", name]).arg(program);
                command
            }
            _ => Command::new(program),
        };
        let path = env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(tools()).chain(env::split_paths(&path));
        command.env("KUBECONFIG", &self.kubeconfig).env("CAIRN_E2E_IMAGE", &self.image);
        if let Ok(path) = env::join_paths(folders) {
            command.env("PATH", path);
        }
        if let Some(name) = &self.name {
            command.env("CAIRN_E2E_CLUSTER", name).env("CAIRN_E2E_DIRECT", if self.native { "1" } else { "" });
        }
        if let Some(second) = &self.second {
            command.env("CAIRN_E2E_SECOND_CLUSTER", &second.name).env("CAIRN_E2E_ARCHIVE", image::archive());
        }
        command
    }

    /// Kills kubelet and containers of a node, counted from 1, or starts them.
    pub(crate) fn node(&self, number: usize, action: &str) -> Result<()> {
        let name = self.name.as_deref().context("the nodes of this cluster are not ours to kill")?;
        script(&["node", name, &number.to_string(), action])
    }

    /// Whether Service addresses can be used by commands of [`Self::command`].
    pub(crate) fn is_direct(&self) -> bool {
        self.native
    }
}
