//! A `cairn archive` beside each node of a group, as processes over one bucket in a folder, and the operator's way to them.

use super::group::{ACCOUNT, GROUP, Group, group_name};
use bytes::Bytes;
use cairn_model::archive::{ArchiveAnswer, ArchiveCall, ArchiveReport, BackupReport, RestoreProgress};
use cairn_server::internal::client::CallError;
use std::{
    path::Path,
    process::{Child, Command},
    time::Duration,
};

const DEADLINE: Duration = Duration::from_secs(15);

pub struct Archives {
    arguments: Vec<String>,
    ports: Vec<u16>,
    admin_ports: Vec<u16>,
    processes: Vec<Option<Child>>,
}

impl Archives {
    /// Starts one beside each node, over a bucket in a folder; each is waited for until it answers.
    pub async fn start(group: &Group, bucket: &Path) -> Self {
        Self::start_with(group, &["--archive", &format!("file://{}", bucket.display())]).await
    }

    /// Starts them with other arguments about the bucket.
    pub async fn start_with(group: &Group, arguments: &[&str]) -> Self {
        // Held until all are known, so that they differ.
        let listeners: Vec<_> = (0..6).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let mut ports: Vec<u16> = listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
        drop(listeners);
        let admin_ports = ports.split_off(3);
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let mut archives = Self { arguments, ports, admin_ports, processes: vec![None, None, None] };
        for node in 0..3 {
            archives.start_archive(group, node);
        }
        for node in 0..3 {
            archives.report(group, node).await;
        }
        archives
    }

    pub fn address(&self, node: usize) -> String {
        format!("127.0.0.1:{}", self.ports[node])
    }

    pub fn admin_address(&self, node: usize) -> String {
        format!("127.0.0.1:{}", self.admin_ports[node])
    }

    pub fn start_archive(&mut self, group: &Group, node: usize) {
        let child = Command::new(env!("CARGO_BIN_EXE_cairn"))
            .args(["archive", "--region", "east", "--account", ACCOUNT, "--group", GROUP])
            .args(["--name", &format!("node-{node}"), "--release-namespace", "cairn-system"])
            .args(["--listen", &self.address(node), "--admin", &self.admin_address(node)])
            .args(&self.arguments)
            .arg("--socket")
            .arg(group.socket(node))
            .arg("--tls-dir")
            .arg(group.tls_dir("storage"))
            .env("CAIRN_LOG", "warn")
            .spawn()
            .unwrap();
        self.processes[node] = Some(child);
    }

    /// SIGKILL, as an out-of-memory killer would.
    pub fn kill_archive(&mut self, node: usize) {
        let mut child = self.processes[node].take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// SIGTERM, as a kubelet would; waits for the end, which must be a success.
    pub fn stop_archive(&mut self, node: usize) {
        let mut child = self.processes[node].take().unwrap();
        assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
        assert!(child.wait().unwrap().success());
    }

    pub async fn call(&self, group: &Group, node: usize, call: &ArchiveCall) -> Result<ArchiveAnswer, CallError> {
        let body = Bytes::from(serde_json::to_vec(call).unwrap());
        let answer = group.operator.post(&group_name(), &self.address(node), "/v1/archive", body, DEADLINE).await?;
        Ok(serde_json::from_slice(&answer).unwrap())
    }

    /// Waited for while it starts.
    pub async fn report(&self, group: &Group, node: usize) -> ArchiveReport {
        for _ in 0..200 {
            match self.call(group, node, &ArchiveCall::Report).await {
                Ok(ArchiveAnswer::Report(report)) => return report,
                Ok(other) => panic!("{other:?}"),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
        panic!("archive {node} does not report");
    }

    /// Asks until it is done; what must not be refused.
    pub async fn restored(&self, group: &Group, node: usize, call: &ArchiveCall) {
        for _ in 0..600 {
            match self.call(group, node, call).await.unwrap() {
                ArchiveAnswer::Restore(RestoreProgress::Done) => return,
                ArchiveAnswer::Restore(RestoreProgress::Loading { .. }) => {}
                other => panic!("{other:?}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("it is not restored within thirty seconds");
    }

    pub async fn backup(&self, group: &Group, node: usize, call: &ArchiveCall) -> BackupReport {
        match self.call(group, node, call).await.unwrap() {
            ArchiveAnswer::Backup(report) => *report,
            other => panic!("{other:?}"),
        }
    }
}

impl Drop for Archives {
    fn drop(&mut self) {
        for child in self.processes.iter_mut().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
