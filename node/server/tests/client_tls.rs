//! TLS of the port that clients talk to, in both versions of HTTP.
#![allow(unreachable_pub, clippy::unwrap_used, clippy::panic)]

mod support;

use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Version,
    body::Bytes,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertificateParams, KeyPair};
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use std::{path::Path, sync::Arc};
use support::Dev;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// A `cairn dev` under TLS, and the way to it of a client that trusts its certificate.
struct Setting {
    dev: Dev,
    trusted: Arc<RootCertStore>,
    _folder: TempDir,
}

impl Setting {
    fn new() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        let mut trusted = RootCertStore::empty();
        trusted.add(certificate.der().clone()).unwrap();
        let files = folder.path().join("tls");
        std::fs::create_dir(&files).unwrap();
        std::fs::write(files.join("tls.crt"), certificate.pem()).unwrap();
        std::fs::write(files.join("tls.key"), key.serialize_pem()).unwrap();
        let dev = start(folder.path(), &files);
        Self { dev, trusted: Arc::new(trusted), _folder: folder }
    }

    fn address(&self) -> &str {
        self.dev.endpoint.strip_prefix("https://").expect("it does not say that it speaks TLS")
    }

    async fn connect(&self, protocol: &[u8]) -> TokioIo<TlsStream<TcpStream>> {
        let mut config = ClientConfig::builder().with_root_certificates(self.trusted.clone()).with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        let stream = TcpStream::connect(self.address()).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        TokioIo::new(TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap())
    }
}

fn start(data: &Path, files: &Path) -> Dev {
    Dev::start_with(&data.join("data"), &["--client-tls-dir", files.to_str().unwrap()])
}

fn request(uri: &str) -> Request<Full<Bytes>> {
    Request::get(uri).header("host", "db.example").body(Full::default()).unwrap()
}

#[tokio::test]
async fn clients_that_agree_on_http_2_speak_it_and_others_http_1() {
    let setting = Setting::new();
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), setting.connect(b"h2").await).await.unwrap();
    tokio::spawn(connection);
    let answer = sender.send_request(request("https://db.example/")).await.unwrap();
    assert_eq!(answer.version(), Version::HTTP_2);
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "healthy: db.example ");

    let (mut sender, connection) = http1::handshake(setting.connect(b"http/1.1").await).await.unwrap();
    tokio::spawn(connection);
    let answer = sender.send_request(request("/")).await.unwrap();
    assert_eq!(answer.version(), Version::HTTP_11);
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "healthy: db.example ");
}

#[tokio::test]
async fn nothing_is_served_to_who_speaks_without_tls() {
    let setting = Setting::new();
    let mut stream = TcpStream::connect(setting.address()).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
}
