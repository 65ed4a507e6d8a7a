//! TLS of the port that clients talk to: the certificate of a mounted folder, and HTTP/2 with whoever knows it.

use super::{
    HANDSHAKE_TIMEOUT, TlsError, certificates, private_key,
    reloaded::{Files, Reloaded},
};
use anyhow::Context;
use cairn_api::Handshake;
use prometheus::{IntGauge, Registry};
use rustls::ServerConfig;
use std::{io, path::Path, sync::Arc};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

const FILES: &[&str] = &["tls.crt", "tls.key"];
/// What of an answer may wait encrypted, besides what it came from: one record.
const UNSENT_BYTES_MAX: usize = 16 << 10;

/// The certificate and key that clients are shown, always the newest that could be used.
pub struct ClientTls(Arc<Reloaded<Presented>>);

struct Presented {
    config: Arc<ServerConfig>,
    /// Seconds since the Unix epoch.
    not_after: i64,
}

impl std::fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientTls").field("dir", &self.0.dir()).finish_non_exhaustive()
    }
}

impl ClientTls {
    /// Reads `tls.crt` and `tls.key` of the folder and keeps looking for newer ones for as long as it is used.
    pub fn from_dir(dir: &Path, registry: &Registry) -> anyhow::Result<Self> {
        let failing = IntGauge::new(
            "cairn_client_tls_reload_failing",
            "1 while the files of the clients' certificate can't be used and an older one is",
        )?;
        let not_after = IntGauge::new(
            "cairn_client_tls_not_after_timestamp_seconds",
            "When the certificate that clients are shown ends",
        )?;
        registry.register(Box::new(failing.clone()))?;
        registry.register(Box::new(not_after.clone()))?;
        let observe = move |made: Result<&Presented, &TlsError>| {
            failing.set(i64::from(made.is_err()));
            if let Ok(shown) = made {
                not_after.set(shown.not_after);
            }
        };
        let reloaded = Reloaded::start(dir, FILES, load, Box::new(observe));
        Ok(Self(reloaded.context("failed to set up the TLS of clients")?))
    }
}

impl Handshake for ClientTls {
    type Stream = TlsStream<TcpStream>;

    async fn shake(&self, stream: TcpStream) -> io::Result<Self::Stream> {
        let acceptor = TlsAcceptor::from(self.0.load().config.clone());
        let shaken = tokio::time::timeout(
            HANDSHAKE_TIMEOUT,
            acceptor.accept_with(stream, |connection| connection.set_buffer_limit(Some(UNSENT_BYTES_MAX))),
        )
        .await;
        shaken.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

fn load(dir: &Path, files: &Files) -> Result<Presented, TlsError> {
    let configure =
        |source: Box<dyn std::error::Error + Send + Sync>| TlsError::Configure { dir: dir.to_owned(), source };
    let [certificate, key] = files.as_slice() else { return Err(configure("it has two files".into())) };
    let chain = certificates(&dir.join("tls.crt"), certificate)?;
    let not_after = match chain.first().map(|own| X509Certificate::from_der(own)) {
        Some(Ok((_, own))) => own.validity().not_after.timestamp(),
        Some(Err(error)) => return Err(configure(Box::new(error))),
        None => return Err(TlsError::Empty { path: dir.join("tls.crt") }),
    };
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, private_key(&dir.join("tls.key"), key)?)
        .map_err(|error| configure(error.into()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Presented { config: Arc::new(config), not_after })
}

#[cfg(test)]
mod tests;
