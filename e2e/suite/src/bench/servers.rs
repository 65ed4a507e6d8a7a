//! The servers that are measured, each a process of its own.

use super::{
    ACCESS_KEY, REGION, SECRET_KEY, disk,
    memory::{self, Cage},
    processor,
};
use crate::{client::Dynamo, sigv4::Signer};
use anyhow::{Context, Result, bail};
use serde_json::json;
use std::{
    env, fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};
use tokio::{net::TcpStream, time::sleep};

/// One under way; it ends, and its data goes, when this is dropped.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) name: String,
    pub(super) authority: String,
    child: Child,
    data: Option<Data>,
    cage: Option<Cage>,
}

/// Where a server has its data.
#[derive(Debug)]
struct Data {
    folder: PathBuf,
    /// It stays when the server goes.
    is_kept: bool,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(Data { folder, .. }) = self.data.as_ref().filter(|data| !data.is_kept) {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl Server {
    /// `cairn dev`, which verifies signatures and keeps its tables beside the results: on a disk, not in memory.
    pub(super) async fn cairn() -> Result<Self> {
        Self::cairn_with("cairn dev", false, None, None).await
    }

    /// The same, which plans with so many bytes of memory and, where the kernel has a limit to give, gets no more. In the folder
    /// that `CAIRN_E2E_KEPT` names, if it does, it keeps its tables for the next time.
    pub(super) async fn limited(bytes: u64) -> Result<Self> {
        let kept = env::var_os("CAIRN_E2E_KEPT").map(PathBuf::from);
        let mut server = Self::cairn_with("cairn dev", false, Some(bytes), kept).await?;
        server.cage = Cage::around(server.child.id(), bytes);
        Ok(server)
    }

    /// The same, with an archive in a folder beside its tables.
    pub(super) async fn archived() -> Result<Self> {
        Self::cairn_with("cairn dev --archive", true, None, None).await
    }

    async fn cairn_with(name: &str, archive: bool, memory_bytes: Option<u64>, kept: Option<PathBuf>) -> Result<Self> {
        let program = env::var_os("CAIRN_E2E_CAIRN").context("CAIRN_E2E_CAIRN is not set")?;
        let results = PathBuf::from(env::var_os("CAIRN_E2E_RESULTS").context("CAIRN_E2E_RESULTS is not set")?);
        let is_kept = kept.is_some();
        let folder = kept.unwrap_or_else(|| results.join(format!("data-{}-{archive}", std::process::id())));
        fs::create_dir_all(&folder)?;
        let keys = folder.join("keys.json");
        let key = json!({"accessKeyId": ACCESS_KEY, "secretAccessKey": SECRET_KEY, "account": "local"});
        fs::write(&keys, json!({"version": 1, "keys": [key]}).to_string())?;
        let authority = format!("127.0.0.1:{}", free_port()?);
        let mut command = Command::new(program);
        command.args(["dev", "--listen", &authority, "--region", REGION, "--data"]).arg(folder.join("tables"));
        command.arg("--credentials").arg(keys).env("CAIRN_LOG", "warn");
        if archive {
            command.args(["--archive", &format!("file://{}", fs::canonicalize(&folder)?.join("archive").display())]);
        }
        if let Some(bytes) = memory_bytes {
            command.args(["--memory-limit", &bytes.to_string()]);
        }
        Self::start(name, authority, command, Some(Data { folder, is_kept })).await
    }

    pub(super) async fn floor() -> Result<Self> {
        let authority = format!("127.0.0.1:{}", free_port()?);
        let mut command = Command::new(env::current_exe()?);
        command.args(["floor", &authority]);
        Self::start("bare hyper", authority, command, None).await
    }

    /// dynoxide on SQLite in memory, if it is there.
    pub(super) async fn dynoxide() -> Result<Option<Self>> {
        let Some(program) = env::var_os("CAIRN_E2E_DYNOXIDE") else { return Ok(None) };
        let port = free_port()?;
        let mut command = Command::new(program);
        command.args(["--port", &port.to_string(), "--log", "quiet"]);
        Self::start("dynoxide in memory", format!("127.0.0.1:{port}"), command, None).await.map(Some)
    }

    /// dynalite in memory, if it is there.
    pub(super) async fn dynalite() -> Result<Option<Self>> {
        let Some(script) = env::var_os("CAIRN_E2E_DYNALITE") else { return Ok(None) };
        let port = free_port()?;
        let mut command = Command::new("node");
        command.arg(script).args(["--host", "127.0.0.1", "--port", &port.to_string()]);
        Self::start("dynalite in memory", format!("127.0.0.1:{port}"), command, None).await.map(Some)
    }

    async fn start(name: &str, authority: String, mut command: Command, data: Option<Data>) -> Result<Self> {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("failed to start {name}"))?;
        let mut server = Self { name: name.to_owned(), authority, child, data, cage: None };
        for _ in 0..200 {
            if TcpStream::connect(&server.authority).await.is_ok() {
                return Ok(server);
            }
            if let Some(status) = server.child.try_wait()? {
                bail!("{name} ended before it listened ({status})");
            }
            sleep(Duration::from_millis(50)).await;
        }
        bail!("{name} does not listen");
    }

    /// Where it keeps its data, if it does.
    pub(super) fn folder(&self) -> Option<&Path> {
        self.data.as_ref().map(|data| data.folder.as_path())
    }

    /// Seconds that its process kept processors busy so far.
    pub(super) fn processor_seconds(&self) -> Result<f64> {
        processor::seconds_of(self.child.id())
    }

    /// Where the kernel keeps it within a limit.
    pub(super) fn cage(&self) -> Option<&Cage> {
        self.cage.as_ref()
    }

    pub(super) fn memory_bytes(&self) -> Result<u64> {
        memory::anonymous_bytes(self.child.id())
    }

    /// The most it ever had.
    pub(super) fn memory_bytes_peak(&self) -> Result<u64> {
        memory::peak_bytes(self.child.id())
    }

    /// What the kernel had to fetch for it so far.
    pub(super) fn disk_bytes_read(&self) -> Result<u64> {
        disk::bytes_read(self.child.id())
    }

    pub(super) fn client(&self) -> Dynamo {
        let signer = Signer { access_key: ACCESS_KEY.into(), secret_key: SECRET_KEY.into(), region: REGION.into() };
        Dynamo::new(&self.authority, signer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn data_that_is_kept_stays_though_its_server_does_not_start() {
        for is_kept in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let data = Data { folder: folder.path().to_owned(), is_kept };
            let authority = format!("127.0.0.1:{}", free_port().unwrap());
            assert!(Server::start("false", authority, Command::new("false"), Some(data)).await.is_err());
            assert_eq!(folder.path().exists(), is_kept);
        }
    }
}
