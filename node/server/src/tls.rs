//! Mutual TLS between Cairn's own programs: certificates from a mounted folder, read again when they change, and the
//! identity of whoever is at the other end. Who may do what is for the caller to decide.

pub mod clients;
mod reloaded;

use cairn_model::identity::{INTERNAL_NAME, Identity, Role};
use reloaded::{Files, Reloaded};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
    version::TLS13,
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{io::AsyncBufReadExt, net::TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};
use x509_parser::{extensions::GeneralName, prelude::FromDer};

const FILES: &[&str] = &["tls.crt", "tls.key", "ca.crt"];
/// A handshake that takes longer is given up.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// One, and others while one takes its place; each costs a signature's check in a handshake.
const PEER_AUTHORITIES_MAX: usize = 4;

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("failed to read {}: {source}", path.display())]
    Read { path: PathBuf, source: rustls::pki_types::pem::Error },
    #[error("{} holds no certificate", path.display())]
    Empty { path: PathBuf },
    #[error("failed to set up TLS from the files in {}: {source}", dir.display())]
    Configure { dir: PathBuf, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("the TLS handshake failed: {0}")]
    Handshake(#[from] std::io::Error),
    #[error("the TLS handshake took longer than {HANDSHAKE_TIMEOUT:?}")]
    HandshakeTimeout,
    #[error("the peer's certificate carries no identity of Cairn's: {0}")]
    NoIdentity(String),
}

/// The certificate, key and CA of this program, always the newest that were readable.
pub struct Tls(Arc<Reloaded<Configs>>);

struct Configs {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    certificate: Arc<Vec<CertificateDer<'static>>>,
    key: PrivateKeyDer<'static>,
}

/// Who is at the other end, and the certificates that say so, its own first.
#[derive(Clone, Debug)]
pub struct Shown {
    pub identity: Identity,
    pub chain: Vec<CertificateDer<'static>>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("dir", &self.0.dir()).finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads `tls.crt`, `tls.key` and `ca.crt` of the folder and keeps looking for newer ones for as long as it is used.
    pub fn from_dir(dir: &Path) -> Result<Arc<Self>, TlsError> {
        Ok(Arc::new(Self(Reloaded::start(dir, FILES, load, Box::new(|_| {}))?)))
    }

    /// The identity in this program's own certificate.
    pub fn own_identity(&self) -> Result<Identity, TlsError> {
        identity_of(self.0.load().certificate.first())
    }

    /// The same, if it is that of a storage node of this group: its archive shows it too.
    pub fn storage_identity(&self, region: &str, account: &str, group: &str) -> anyhow::Result<Identity> {
        let own = self.own_identity()?;
        anyhow::ensure!(
            own.role == Role::Storage && own.region == region && own.namespace == account && own.group == group,
            "the certificate in {} is {own}'s, not that of a storage node of region {region}, namespace {account}, group {group}",
            self.0.dir().display()
        );
        Ok(own)
    }

    /// Answers a handshake; the peer has shown a certificate of the same CA.
    pub async fn accept(&self, stream: TcpStream) -> Result<(server::TlsStream<TcpStream>, Identity), TlsError> {
        let acceptor = TlsAcceptor::from(self.0.load().server.clone());
        let stream = tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream))
            .await
            .map_err(|_| TlsError::HandshakeTimeout)??;
        let identity = identity_of(stream.get_ref().1.peer_certificates().and_then(<[_]>::first))?;
        Ok((stream, identity))
    }

    /// Answers a handshake of whoever `verifier` lets in. Nothing of it is resumed later: it is looked at each time.
    pub async fn accept_from(
        &self,
        stream: TcpStream,
        verifier: Arc<dyn ClientCertVerifier>,
    ) -> Result<(server::TlsStream<TcpStream>, Shown), TlsError> {
        let configs = self.0.load();
        let mut server = ServerConfig::builder_with_protocol_versions(&[&TLS13])
            .with_client_cert_verifier(verifier)
            .with_single_cert(configs.certificate.to_vec(), configs.key.clone_key())
            .map_err(|error| TlsError::Configure { dir: self.0.dir().to_owned(), source: error.into() })?;
        server.alpn_protocols = vec![b"h2".to_vec()];
        server.send_tls13_tickets = 0;
        let stream = tokio::time::timeout(HANDSHAKE_TIMEOUT, TlsAcceptor::from(Arc::new(server)).accept(stream))
            .await
            .map_err(|_| TlsError::HandshakeTimeout)??;
        let chain: Vec<_> = stream
            .get_ref()
            .1
            .peer_certificates()
            .unwrap_or_default()
            .iter()
            .cloned()
            .map(CertificateDer::into_owned)
            .collect();
        let identity = identity_of(chain.first())?;
        Ok((stream, Shown { identity, chain }))
    }

    /// Makes a handshake with a peer of another CA, and waits for its first word: not before that has it looked at the
    /// certificate that it was shown.
    pub async fn connect_trusting(
        &self,
        stream: TcpStream,
        roots: Arc<RootCertStore>,
    ) -> Result<(client::TlsStream<TcpStream>, Identity), TlsError> {
        let configs = self.0.load();
        let mut client = ClientConfig::builder_with_protocol_versions(&[&TLS13])
            .with_root_certificates(roots)
            .with_client_auth_cert(configs.certificate.to_vec(), configs.key.clone_key())
            .map_err(|error| TlsError::Configure { dir: self.0.dir().to_owned(), source: error.into() })?;
        client.alpn_protocols = vec![b"h2".to_vec()];
        let connecting = async {
            let mut stream = TlsConnector::from(Arc::new(client)).connect(internal_name()?, stream).await?;
            if stream.fill_buf().await?.is_empty() {
                return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
            }
            Ok::<_, TlsError>(stream)
        };
        let stream =
            tokio::time::timeout(HANDSHAKE_TIMEOUT, connecting).await.map_err(|_| TlsError::HandshakeTimeout)??;
        let identity = identity_of(stream.get_ref().1.peer_certificates().and_then(<[_]>::first))?;
        Ok((stream, identity))
    }

    /// The certificate that is shown now.
    pub fn certificate(&self) -> Arc<Vec<CertificateDer<'static>>> {
        self.0.load().certificate.clone()
    }

    /// Makes a handshake; the peer has shown a certificate of the same CA.
    pub async fn connect(&self, stream: TcpStream) -> Result<(client::TlsStream<TcpStream>, Identity), TlsError> {
        let connector = TlsConnector::from(self.0.load().client.clone());
        let stream = tokio::time::timeout(HANDSHAKE_TIMEOUT, connector.connect(internal_name()?, stream))
            .await
            .map_err(|_| TlsError::HandshakeTimeout)??;
        let identity = identity_of(stream.get_ref().1.peer_certificates().and_then(<[_]>::first))?;
        Ok((stream, identity))
    }
}

fn internal_name() -> Result<ServerName<'static>, TlsError> {
    ServerName::try_from(INTERNAL_NAME).map_err(|error| TlsError::NoIdentity(error.to_string()))
}

/// The authorities in a PEM text: of another cluster, and few.
pub fn roots_of(pem: &str) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
        if roots.len() > PEER_AUTHORITIES_MAX {
            return Err(format!("it holds more than {PEER_AUTHORITIES_MAX} certificates"));
        }
    }
    if roots.is_empty() { Err("it holds no certificate".to_owned()) } else { Ok(roots) }
}

fn load(dir: &Path, files: &Files) -> Result<Configs, TlsError> {
    let configure =
        |source: Box<dyn std::error::Error + Send + Sync>| TlsError::Configure { dir: dir.to_owned(), source };
    let [certificate, key, ca] = files.as_slice() else { return Err(configure("it has three files".into())) };
    let certificate = certificates(&dir.join("tls.crt"), certificate)?;
    let key = private_key(&dir.join("tls.key"), key)?;
    let mut roots = RootCertStore::empty();
    for ca in certificates(&dir.join("ca.crt"), ca)? {
        roots.add(ca).map_err(|error| configure(error.into()))?;
    }
    let roots = Arc::new(roots);
    let verifier = WebPkiClientVerifier::builder(roots.clone()).build().map_err(|error| configure(error.into()))?;
    let mut server = ServerConfig::builder()
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificate.clone(), key.clone_key())
        .map_err(|error| configure(error.into()))?;
    server.alpn_protocols = vec![b"h2".to_vec()];
    let mut client = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_client_auth_cert(certificate.clone(), key.clone_key())
        .map_err(|error| configure(error.into()))?;
    client.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Configs { server: Arc::new(server), client: Arc::new(client), certificate: Arc::new(certificate), key })
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = |source| TlsError::Read { path: path.to_owned(), source };
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(read)?;
    if certificates.is_empty() {
        return Err(TlsError::Empty { path: path.to_owned() });
    }
    Ok(certificates)
}

fn private_key(path: &Path, pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|source| TlsError::Read { path: path.to_owned(), source })
}

fn identity_of(certificate: Option<&CertificateDer<'_>>) -> Result<Identity, TlsError> {
    let none = |why: &str| TlsError::NoIdentity(why.to_owned());
    let certificate = certificate.ok_or_else(|| none("it showed no certificate"))?;
    let (_, parsed) = x509_parser::certificate::X509Certificate::from_der(certificate)
        .map_err(|error| TlsError::NoIdentity(error.to_string()))?;
    let names = parsed
        .subject_alternative_name()
        .map_err(|error| TlsError::NoIdentity(error.to_string()))?
        .ok_or_else(|| none("it has no alternative names"))?;
    let mut uris = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    match (uris.next(), uris.next()) {
        (Some(uri), None) => {
            uri.parse().map_err(|error: cairn_model::identity::InvalidIdentity| none(&error.to_string()))
        }
        _ => Err(none("it must have exactly one URI among its alternative names")),
    }
}
