//! The operator's end of mutual TLS: its own certificate, and whom it takes the other end to be.

use super::NodeError;
use crate::{
    error::{Error, Result},
    pki::{CertificateView, IssuedCertificate},
};
use cairn_model::identity::{INTERNAL_NAME, Identity};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, version::TLS13};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// How to call under the certificate.
pub fn client_config(own: &IssuedCertificate) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(&own.authority_pem)? {
        roots.add(authority)?;
    }
    let key = PrivateKeyDer::from_pem_slice(own.key_pem.as_bytes()).map_err(unreadable)?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots)
        .with_client_auth_cert(certificates(&own.certificate_pem)?, key)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

/// Shakes hands, under the name that every internal certificate carries.
pub(super) async fn connect(
    config: Arc<ClientConfig>,
    tcp: TcpStream,
) -> std::result::Result<TlsStream<TcpStream>, std::io::Error> {
    let name = ServerName::try_from(INTERNAL_NAME).map_err(std::io::Error::other)?;
    TlsConnector::from(config).connect(name, tcp).await
}

/// Checks that the other end is who was called.
pub(super) fn check_identity(stream: &TlsStream<TcpStream>, expected: &Identity) -> std::result::Result<(), NodeError> {
    let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let found = certificate.and_then(|der| CertificateView::from_der(der).ok()).and_then(|view| view.identity);
    if found.as_ref() == Some(expected) {
        return Ok(());
    }
    Err(NodeError::Identity {
        expected: expected.to_string(),
        found: found.map_or_else(|| "nobody".to_owned(), |identity| identity.to_string()),
    })
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<std::result::Result<_, _>>().map_err(unreadable)
}

fn unreadable(error: impl std::fmt::Display) -> Error {
    Error::CertificateUnreadable { problem: error.to_string() }
}
