//! An S3 server of the suite's own, beside the cluster: versitygw over a folder, with TLS under an authority of its own.

use crate::{client::now, kube};
use anyhow::{Context, Result, bail};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::{
    env, fs,
    net::{IpAddr, SocketAddr, TcpStream, UdpSocket},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

pub(crate) const CREDENTIALS_SECRET: &str = "archive-credentials";
pub(crate) const CA_SECRET: &str = "archive-ca";
const ACCESS_KEY: &str = "archive-key";
const SECRET_KEY: &str = "archive-secret";
const NAME: &str = "tables";
const PORT: u16 = 17443;

#[derive(Debug)]
pub(crate) struct Bucket {
    folder: PathBuf,
    address: IpAddr,
    authority: String,
    server: Option<Child>,
}

impl Drop for Bucket {
    fn drop(&mut self) {
        self.stop();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Bucket {
    /// Starts one where the cluster's pods can reach it; none where the cluster is not one of this machine's.
    pub(crate) fn start() -> Result<Option<Self>> {
        if !kube::is_direct() {
            return Ok(None);
        }
        let address = own_address()?;
        let folder = env::temp_dir().join(format!("cairn-e2e-bucket-{}", std::process::id()));
        fs::create_dir_all(folder.join("data").join(NAME))?;
        let authority = certificates(&folder, address)?;
        let mut bucket = Self { folder, address, authority, server: None };
        bucket.resume()?;
        Ok(Some(bucket))
    }

    /// SIGKILL: what it was writing stays half written.
    pub(crate) fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
        }
    }

    pub(crate) fn resume(&mut self) -> Result<()> {
        let listen = SocketAddr::new(self.address, PORT);
        let server = Command::new("versitygw")
            .args(["--access", ACCESS_KEY, "--secret", SECRET_KEY, "--region", "us-east-1", "--quiet"])
            .args(["--port", &listen.to_string()])
            .arg("--cert")
            .arg(self.folder.join("tls.crt"))
            .arg("--key")
            .arg(self.folder.join("tls.key"))
            .arg("posix")
            .arg(self.folder.join("data"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("failed to start versitygw")?;
        self.server = Some(server);
        let deadline = now() + Duration::from_secs(20);
        while TcpStream::connect_timeout(&listen, Duration::from_millis(200)).is_err() {
            if now() > deadline {
                bail!("versitygw does not listen on {listen}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// `spec.archive` of a StorageGroup, as JSON.
    pub(crate) fn spec(&self) -> String {
        format!(
            r#"{{"url": "s3://{NAME}/cairn", "endpoint": "https://{}", "region": "us-east-1", "credentialsSecret": {{"name": "{CREDENTIALS_SECRET}"}}, "ca": {{"kind": "Secret", "name": "{CA_SECRET}", "key": "ca.crt"}}}}"#,
            SocketAddr::new(self.address, PORT)
        )
    }

    /// The Secrets that a namespace needs to use it, as YAML documents.
    pub(crate) fn secrets(&self, namespace: &str) -> String {
        let authority = self.authority.replace('\n', "\n    ");
        format!(
            "apiVersion: v1
kind: Secret
metadata: {{name: {CREDENTIALS_SECRET}, namespace: {namespace}}}
stringData: {{accessKeyId: {ACCESS_KEY}, secretAccessKey: {SECRET_KEY}}}
---
apiVersion: v1
kind: Secret
metadata: {{name: {CA_SECRET}, namespace: {namespace}}}
stringData:
  ca.crt: |
    {authority}
"
        )
    }

    /// Puts an object into the bucket `source`, for a table to be made of.
    pub(crate) fn put_source(&self, key: &str, content: &str) -> Result<()> {
        let path = self.folder.join("data/source").join(key);
        fs::create_dir_all(path.parent().context("an object has a folder")?)?;
        fs::write(&path, content).with_context(|| format!("failed to write {}", path.display()))
    }

    /// The objects below a folder of the bucket, as files.
    pub(crate) fn objects(&self, below: &str) -> Vec<PathBuf> {
        let mut folders = vec![self.folder.join("data").join(NAME).join("cairn").join(below)];
        let mut files = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                    _ => files.push(entry.path()),
                }
            }
        }
        files
    }
}

/// The address from which this process reaches the API server: there the pods reach this process.
fn own_address() -> Result<IpAddr> {
    let server = kube::kubectl(&["config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}"])?;
    let host = server.trim_start_matches("https://");
    let probe = UdpSocket::bind("0.0.0.0:0")?;
    probe.connect(host).with_context(|| format!("the API server's address {host} is not to be reached"))?;
    Ok(probe.local_addr()?.ip())
}

/// A certificate for the address in the folder; gives back the authority's.
fn certificates(folder: &std::path::Path, address: IpAddr) -> Result<String> {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec![address.to_string()])?.signed_by(&key, &authority)?;
    fs::write(folder.join("tls.crt"), certificate.pem())?;
    fs::write(folder.join("tls.key"), key.serialize_pem())?;
    Ok(authority.pem())
}
