//! Certificates that change while connections are open.

use super::*;
use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use std::os::unix::fs::symlink;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::{TlsConnector, client};

/// A folder as a kubelet keeps it, and a server that says back what it hears.
struct Setting {
    folder: TempDir,
    tls: Arc<ClientTls>,
    registry: Registry,
    address: std::net::SocketAddr,
    versions: usize,
}

/// A certificate that signs itself, and its key.
fn pair() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["dynamodb.example".to_owned()]).unwrap().self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

/// Swaps what the folder holds, at once.
fn swap(folder: &Path, version: usize, certificate: &str, key: &str) {
    let hidden = folder.join(format!("..{version}"));
    std::fs::create_dir(&hidden).unwrap();
    std::fs::write(hidden.join("tls.crt"), certificate).unwrap();
    std::fs::write(hidden.join("tls.key"), key).unwrap();
    symlink(&hidden, folder.join("..next")).unwrap();
    std::fs::rename(folder.join("..next"), folder.join("..data")).unwrap();
    if version == 0 {
        for name in FILES {
            symlink(Path::new("..data").join(name), folder.join(name)).unwrap();
        }
    } else {
        std::fs::remove_dir_all(folder.join(format!("..{}", version - 1))).unwrap();
    }
}

impl Setting {
    async fn new(certificate: &str, key: &str) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        swap(folder.path(), 0, certificate, key);
        let registry = Registry::new();
        let tls = Arc::new(ClientTls::from_dir(folder.path(), &registry).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let served = tls.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let tls = served.clone();
                tokio::spawn(async move {
                    let Ok(stream) = tls.shake(stream).await else { return };
                    let (mut reader, mut writer) = tokio::io::split(stream);
                    let _ = tokio::io::copy(&mut reader, &mut writer).await;
                });
            }
        });
        Self { folder, tls, registry, address, versions: 1 }
    }

    /// Swaps what the folder holds, and looks at it.
    fn swap(&mut self, certificate: &str, key: &str) {
        swap(self.folder.path(), self.versions, certificate, key);
        self.versions += 1;
        self.tls.0.look();
    }

    fn metric(&self, name: &str) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name).unwrap();
        family.get_metric()[0].get_gauge().get_value()
    }

    /// A connection of a client that trusts this certificate alone.
    async fn connect(&self, trusted: &str, protocols: &[&[u8]]) -> io::Result<client::TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(trusted.as_bytes()).unwrap()).unwrap();
        let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        let stream = TcpStream::connect(self.address).await?;
        TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("dynamodb.example").unwrap(), stream).await
    }
}

async fn echoes(stream: &mut client::TlsStream<TcpStream>) -> bool {
    let mut heard = [0; 4];
    stream.write_all(b"ping").await.is_ok() && stream.read_exact(&mut heard).await.is_ok() && &heard == b"ping"
}

#[tokio::test]
async fn a_new_connection_gets_the_new_certificate_and_old_ones_go_on() {
    let [(old, old_key), (new, new_key)] = [pair(), pair()];
    let mut setting = Setting::new(&old, &old_key).await;
    let mut before = setting.connect(&old, &[]).await.unwrap();
    assert!(echoes(&mut before).await);
    setting.swap(&new, &new_key);
    let mut after = setting.connect(&new, &[]).await.unwrap();
    assert!(echoes(&mut after).await && echoes(&mut before).await);
    assert!(setting.connect(&old, &[]).await.is_err());
}

#[tokio::test]
async fn files_that_cannot_be_used_leave_the_old_certificate_and_a_metric_says_so() {
    let [(old, old_key), (new, new_key)] = [pair(), pair()];
    let mut setting = Setting::new(&old, &old_key).await;
    let not_after = setting.metric("cairn_client_tls_not_after_timestamp_seconds");
    assert!(not_after > 0.0);
    for (certificate, key) in [("broken", &*old_key), (&*new, "broken"), (&*new, &*old_key), ("", "")] {
        setting.swap(certificate, key);
        assert!(echoes(&mut setting.connect(&old, &[]).await.unwrap()).await, "{certificate}");
        assert_eq!(setting.metric("cairn_client_tls_reload_failing"), 1.0);
        assert_eq!(setting.metric("cairn_client_tls_not_after_timestamp_seconds"), not_after);
    }
    setting.swap(&old, &old_key);
    assert_eq!(setting.metric("cairn_client_tls_reload_failing"), 0.0);
    setting.swap("broken", "broken");
    setting.swap(&new, &new_key);
    assert_eq!(setting.metric("cairn_client_tls_reload_failing"), 0.0);
    assert!(echoes(&mut setting.connect(&new, &[]).await.unwrap()).await);
}

#[tokio::test]
async fn files_that_are_gone_leave_the_old_certificate_too() {
    let (old, old_key) = pair();
    let setting = Setting::new(&old, &old_key).await;
    std::fs::remove_dir_all(setting.folder.path().join("..0")).unwrap();
    setting.tls.0.look();
    assert_eq!(setting.metric("cairn_client_tls_reload_failing"), 1.0);
    assert!(echoes(&mut setting.connect(&old, &[]).await.unwrap()).await);
}

#[tokio::test]
async fn http_2_is_agreed_on_with_whoever_knows_it() {
    let (certificate, key) = pair();
    let setting = Setting::new(&certificate, &key).await;
    for (offered, agreed) in [(&["http/1.1", "h2"][..], Some("h2")), (&["http/1.1"], Some("http/1.1")), (&[], None)] {
        let offered: Vec<_> = offered.iter().map(|name| name.as_bytes()).collect();
        let stream = setting.connect(&certificate, &offered).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), agreed.map(str::as_bytes));
    }
}

#[tokio::test]
async fn a_folder_without_a_certificate_is_refused_by_the_name_of_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let error = format!("{:#}", ClientTls::from_dir(folder.path(), &Registry::new()).unwrap_err());
    assert!(error.contains("tls.crt"), "{error}");
}
