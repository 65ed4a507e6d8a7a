//! Connections to the routers of other regions: one for each endpoint, shared by all that is read from there.

use super::{
    message::{self, ANSWER_BYTES_MAX, RegionAnswer, TableCall, WAIT_MAX},
    trouble::{let_in, problem},
};
use crate::{
    internal::client::{exchange, multiplex, post},
    tls::{Tls, TlsError, roots_of},
};
use bytes::Bytes;
use cairn_model::{
    identity::Role,
    region::{RegionProblem, RegionTrouble},
    table::PeerCluster,
};
use cairn_replication::{Clock, wire};
use http_body_util::Full;
use hyper::{Uri, client::conn::http2::SendRequest};
use parking_lot::Mutex;
use rustls::{AlertDescription, CertificateError, pki_types::CertificateDer};
use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::net::TcpStream;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Other regions may be far away.
const PING_TIMEOUT: Duration = Duration::from_secs(5);
/// For an answer, besides what was asked to be waited: longer than a router looks for one.
const ANSWER_DEADLINE: Duration = Duration::from_secs(13);
/// For so long, a connection that could not be made is not tried again, whoever asks.
const REST_MS: u64 = 200;
const PORT: u16 = 443;

/// All of a node.
#[derive(Debug)]
pub(crate) struct PeerClient {
    tls: Arc<Tls>,
    clock: Arc<dyn Clock>,
    connections: Mutex<HashMap<Ends, Weak<PeerConnection>>>,
}

/// A region as one table's definition has it, and this one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ends {
    pub(crate) own: String,
    pub(crate) region: String,
    pub(crate) endpoint: String,
    pub(crate) ca: String,
}

impl Ends {
    pub(crate) fn new(own: &str, region: &str, peer: &PeerCluster) -> Self {
        let [own, region] = [own, region].map(str::to_owned);
        Self { own, region, endpoint: peer.endpoint.clone(), ca: peer.ca.clone() }
    }
}

#[derive(Debug)]
pub(crate) struct PeerConnection {
    tls: Arc<Tls>,
    clock: Arc<dyn Clock>,
    ends: Ends,
    state: tokio::sync::Mutex<State>,
}

#[derive(Debug)]
enum State {
    Closed,
    /// With the certificate that was shown for it.
    Open {
        sender: SendRequest<Full<Bytes>>,
        certificate: Arc<Vec<CertificateDer<'static>>>,
    },
    Failed {
        at_boot_ms: u64,
        problem: RegionProblem,
    },
}

/// An answer, its size, and how long it took.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) answer: RegionAnswer,
    pub(crate) bytes: usize,
    pub(crate) asked_boot_ms: u64,
    pub(crate) answered: cairn_replication::Now,
}

impl PeerClient {
    pub(crate) fn new(tls: Arc<Tls>, clock: Arc<dyn Clock>) -> Self {
        Self { tls, clock, connections: Mutex::default() }
    }

    /// The one that is there, or one that is opened when it is used. It is kept for as long as someone has it.
    pub(crate) fn connection(&self, ends: Ends) -> Arc<PeerConnection> {
        let mut connections = self.connections.lock();
        if let Some(connection) = connections.get(&ends).and_then(Weak::upgrade) {
            return connection;
        }
        connections.retain(|_, connection| connection.strong_count() > 0);
        let state = tokio::sync::Mutex::new(State::Closed);
        let connection =
            Arc::new(PeerConnection { tls: self.tls.clone(), clock: self.clock.clone(), ends: ends.clone(), state });
        connections.insert(ends, Arc::downgrade(&connection));
        connection
    }
}

impl PeerConnection {
    pub(crate) async fn call(&self, call: &TableCall) -> Result<Answered, RegionProblem> {
        let failed = |message: String| problem(RegionTrouble::Failed, message);
        let body = wire::encode(call).map_err(|error| failed(error.to_string()))?;
        let mut sender = self.sender().await?;
        let asked_boot_ms = self.clock.now().boot_ms;
        let Ends { region, endpoint, .. } = &self.ends;
        let unreachable = |why: String| {
            problem(RegionTrouble::Unreachable, format!("region {region} gave no answer at {endpoint}: {why}"))
        };
        let exchanging = exchange(&mut sender, post(message::PATH, body), ANSWER_BYTES_MAX);
        let (status, body) = match tokio::time::timeout(WAIT_MAX + ANSWER_DEADLINE, exchanging).await {
            Ok(exchanged) => exchanged.map_err(unreachable)?,
            Err(_) => {
                // Whatever holds it up, another connection may not meet it.
                *self.state.lock().await = State::Closed;
                return Err(unreachable("it took too long".into()));
            }
        };
        let answered = self.clock.now();
        if !status.is_success() {
            let said = String::from_utf8_lossy(&body[..body.len().min(200)]).trim().to_owned();
            return Err(failed(format!("region {region} answered {status} at {endpoint}: {said}")));
        }
        let answer = message::decode_answer(&body).map_err(|error| {
            failed(format!("region {region} answers what this version of Cairn does not understand: {error}"))
        })?;
        Ok(Answered { answer, bytes: body.len(), asked_boot_ms, answered })
    }

    async fn sender(&self) -> Result<SendRequest<Full<Bytes>>, RegionProblem> {
        let mut state = self.state.lock().await;
        let certificate = self.tls.certificate();
        let now_ms = self.clock.now().boot_ms;
        match &*state {
            State::Open { sender, certificate: shown } if !sender.is_closed() && *shown == certificate => {
                return Ok(sender.clone());
            }
            State::Failed { at_boot_ms, problem } if now_ms < at_boot_ms + REST_MS => return Err(problem.clone()),
            _ => {}
        }
        match self.open().await {
            Ok(sender) => {
                *state = State::Open { sender: sender.clone(), certificate };
                Ok(sender)
            }
            Err(problem) => {
                *state = State::Failed { at_boot_ms: self.clock.now().boot_ms, problem: problem.clone() };
                Err(problem)
            }
        }
    }

    async fn open(&self) -> Result<SendRequest<Full<Bytes>>, RegionProblem> {
        let Ends { region, endpoint, ca, .. } = &self.ends;
        let unreachable = |why: String| {
            problem(RegionTrouble::Unreachable, format!("failed to reach region {region} at {endpoint}: {why}"))
        };
        let roots = roots_of(ca).map_err(|why| {
            let message = format!("the authority in the peer bundle of region {region} can't be read (ca.crt): {why}");
            problem(RegionTrouble::Untrusted, message)
        })?;
        let (host, port) =
            host_and_port(endpoint).ok_or_else(|| unreachable("it must read https://HOST:PORT".into()))?;
        let stream = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect((host, port)))
            .await
            .map_err(|_| unreachable("connecting took too long".into()))?
            .map_err(|error| unreachable(error.to_string()))?;
        stream.set_nodelay(true).map_err(|error| unreachable(error.to_string()))?;
        let connected = self.tls.connect_trusting(stream, Arc::new(roots)).await;
        let (stream, met) = connected.map_err(|error| self.handshake_problem(&error))?;
        if met.role != Role::Router {
            let message = format!("who answers at {endpoint} is not a router of region {region}, but {met}");
            return Err(problem(RegionTrouble::Untrusted, message));
        }
        if met.region != *region {
            let message = format!(
                "who answers at {endpoint} is region {}, not {region}: apply the peer bundle of region {region}",
                met.region
            );
            return Err(problem(RegionTrouble::WrongCluster, message));
        }
        multiplex(stream, endpoint, PING_TIMEOUT).await.map_err(unreachable)
    }

    /// Whose certificate the other side does not like, or that it is not there.
    fn handshake_problem(&self, error: &TlsError) -> RegionProblem {
        let Ends { own, region, endpoint, .. } = &self.ends;
        let cause = match error {
            TlsError::Handshake(error) => error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()),
            _ => None,
        };
        match (cause, error) {
            (Some(rustls::Error::AlertReceived(alert)), _) if is_about_certificate(*alert) => {
                problem(RegionTrouble::Untrusted, format!("{} (it answered {alert:?})", let_in(own, region)))
            }
            // Of another authority, and of another one with the same name.
            (
                Some(rustls::Error::InvalidCertificate(
                    CertificateError::UnknownIssuer | CertificateError::BadSignature,
                )),
                _,
            ) => problem(
                RegionTrouble::Untrusted,
                format!(
                    "who answers at {endpoint} has no certificate of the authority in the peer bundle of region {region}: \
                     exchange the peer bundles anew (apply the ConfigMap cairn-peer of {region} here, in the table's namespace)"
                ),
            ),
            (Some(rustls::Error::InvalidCertificate(why)), _) => problem(
                RegionTrouble::Untrusted,
                format!("the certificate of who answers at {endpoint} is not valid: {why}"),
            ),
            (_, TlsError::NoIdentity(why)) => problem(
                RegionTrouble::Untrusted,
                format!(
                    "the certificate of who answers at {endpoint} is not that of a router of region {region}: {why}"
                ),
            ),
            _ => problem(RegionTrouble::Unreachable, format!("failed to reach region {region} at {endpoint}: {error}")),
        }
    }
}

/// Whether the other side says that it does not like what it was shown.
fn is_about_certificate(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateRequired
            | AlertDescription::AccessDenied
            // Of another authority that has the same name.
            | AlertDescription::DecryptError
    )
}

/// Of `https://HOST:PORT`.
fn host_and_port(endpoint: &str) -> Option<(String, u16)> {
    let uri: Uri = endpoint.parse().ok()?;
    let host = uri.host()?.trim_start_matches('[').trim_end_matches(']').to_owned();
    (uri.scheme_str() == Some("https")).then(|| (host, uri.port_u16().unwrap_or(PORT)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_names_a_host_and_a_port() {
        for (endpoint, expected) in [
            ("https://west.example:8443", Some(("west.example", 8443))),
            ("https://[::1]:8443", Some(("::1", 8443))),
            ("https://10.0.0.1", Some(("10.0.0.1", 443))),
            ("http://west.example:8443", None),
            ("west.example:8443", None),
            ("", None),
        ] {
            assert_eq!(host_and_port(endpoint), expected.map(|(host, port)| (host.to_owned(), port)), "{endpoint}");
        }
    }
}
