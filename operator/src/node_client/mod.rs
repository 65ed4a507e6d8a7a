//! Asking storage nodes and giving them orders: HTTP/2 over mutual TLS, who answers checked by identity.

pub mod cache;
pub mod tls;

pub use cache::Reports;

use bytes::Bytes;
use cairn_model::{
    archive::{ArchiveAnswer, ArchiveCall},
    identity::Identity,
    node::{NodeReport, Order, OrderOutcome},
};
use futures::future::BoxFuture;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, StatusCode, client::conn::http2::SendRequest, header};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ClientConfig;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{net::TcpStream, time::timeout};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);
/// An archive answers from the bucket.
const ARCHIVE_TIMEOUT: Duration = Duration::from_secs(15);
/// Where the archive listens, on the host of the node it is beside.
pub const ARCHIVE_PORT: u16 = 7401;
/// A report of ten thousand replicas has a few megabytes.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A node, and who must answer there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// Host name and port.
    pub address: String,
    pub identity: Identity,
}

impl Target {
    /// The archive beside this node: it shows the certificate of the node's group.
    #[must_use]
    pub fn archive(&self) -> Self {
        let host = self.address.rsplit_once(':').map_or(self.address.as_str(), |(host, _)| host);
        Self { address: format!("{host}:{ARCHIVE_PORT}"), identity: self.identity.clone() }
    }
}

/// Why a node could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    #[error("the operator has no certificate yet")]
    NoCertificate,
    #[error("its pod is not running")]
    NotRunning,
    #[error("it did not answer within {} s", .0.as_secs())]
    Timeout(Duration),
    #[error("failed to connect")]
    Connect(#[from] std::io::Error),
    #[error("it identifies itself as {found}, not as {expected}")]
    Identity { expected: String, found: String },
    #[error("failed to speak HTTP/2")]
    Http(#[from] hyper::Error),
    #[error("failed to build the request")]
    Request(#[from] hyper::http::Error),
    #[error("failed to read the answer: {0}")]
    Body(String),
    #[error("it answered {status}: {body}")]
    Status { status: StatusCode, body: String },
    #[error("failed to parse the answer")]
    Json(#[from] serde_json::Error),
}

/// What can be asked of nodes.
pub trait Nodes: Send + Sync {
    /// `GET /v1/node`.
    fn report<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, Result<NodeReport, NodeError>>;
    /// `POST /v1/orders`.
    fn order<'a>(&'a self, target: &'a Target, order: &'a Order) -> BoxFuture<'a, Result<OrderOutcome, NodeError>>;
    /// `POST /v1/archive`, to the archive beside a node ([`Target::archive`]).
    fn archive<'a>(
        &'a self,
        archive: &'a Target,
        call: &'a ArchiveCall,
    ) -> BoxFuture<'a, Result<ArchiveAnswer, NodeError>>;
    /// Tells where the pod behind an address is, or that there is none: known sooner than a name server would say, which remembers
    /// for seconds that a name was not there yet.
    fn locate(&self, _address: &str, _ip: Option<IpAddr>) {}
}

/// One connection to each node, made when needed.
#[derive(Default)]
pub struct NodeClient {
    tls: Mutex<Option<Arc<ClientConfig>>>,
    connections: Mutex<HashMap<Target, SendRequest<Full<Bytes>>>>,
    /// Where the pods behind addresses are; what is not in here is looked up by name.
    located: Mutex<HashMap<String, Option<IpAddr>>>,
}

impl std::fmt::Debug for NodeClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeClient").finish_non_exhaustive()
    }
}

impl NodeClient {
    /// Calls from now on under this certificate; connections under an earlier one are let go.
    pub fn set_tls(&self, config: Arc<ClientConfig>) {
        *self.tls.lock().unwrap_or_else(PoisonError::into_inner) = Some(config);
        self.connections.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    async fn call(&self, target: &Target, method: Method, path: &str, body: Bytes) -> Result<Bytes, NodeError> {
        self.call_within(REQUEST_TIMEOUT, target, method, path, body).await
    }

    async fn call_within(
        &self,
        deadline: Duration,
        target: &Target,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Bytes, NodeError> {
        let answer = async {
            let mut sender = self.connection(target).await?;
            let request = Request::builder()
                .method(method)
                .uri(format!("https://{}{path}", target.address))
                .header(header::CONTENT_TYPE, "application/json")
                .body(Full::new(body))?;
            let response = match sender.send_request(request).await {
                Ok(response) => response,
                Err(error) => {
                    self.forget(target);
                    return Err(error.into());
                }
            };
            let status = response.status();
            let body = Limited::new(response.into_body(), BODY_BYTES_MAX)
                .collect()
                .await
                .map_err(|error| NodeError::Body(error.to_string()))?
                .to_bytes();
            if !status.is_success() {
                let body = String::from_utf8_lossy(&body[..body.len().min(512)]).into_owned();
                return Err(NodeError::Status { status, body });
            }
            Ok(body)
        };
        timeout(deadline, answer).await.unwrap_or_else(|_| {
            self.forget(target);
            Err(NodeError::Timeout(deadline))
        })
    }

    async fn connection(&self, target: &Target) -> Result<SendRequest<Full<Bytes>>, NodeError> {
        let held = self.connections.lock().unwrap_or_else(PoisonError::into_inner).get(target).cloned();
        if let Some(sender) = held.filter(|sender| !sender.is_closed()) {
            return Ok(sender);
        }
        let config = self.tls.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or(NodeError::NoCertificate)?;
        let stream = timeout(CONNECT_TIMEOUT, async {
            let tcp = self.dial(&target.address).await?;
            tcp.set_nodelay(true)?;
            Ok::<_, NodeError>(tls::connect(config, tcp).await?)
        })
        .await
        .map_err(|_| NodeError::Timeout(CONNECT_TIMEOUT))??;
        tls::check_identity(&stream, &target.identity)?;
        let (sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(Duration::from_secs(10))
            .keep_alive_timeout(Duration::from_secs(5))
            .handshake(TokioIo::new(stream))
            .await?;
        let address = target.address.clone();
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(address, %error, "a connection to a node broke");
            }
        });
        self.connections.lock().unwrap_or_else(PoisonError::into_inner).insert(target.clone(), sender.clone());
        Ok(sender)
    }

    async fn dial(&self, address: &str) -> Result<TcpStream, NodeError> {
        let located = self.located.lock().unwrap_or_else(PoisonError::into_inner).get(address).copied();
        let port = address.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        Ok(match (located, port) {
            (Some(None), _) => return Err(NodeError::NotRunning),
            (Some(Some(ip)), Some(port)) => TcpStream::connect((ip, port)).await?,
            _ => TcpStream::connect(address).await?,
        })
    }

    fn forget(&self, target: &Target) {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner).remove(target);
    }
}

impl Nodes for NodeClient {
    fn report<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, Result<NodeReport, NodeError>> {
        Box::pin(async move {
            let body = self.call(target, Method::GET, "/v1/node", Bytes::new()).await?;
            Ok(serde_json::from_slice(&body)?)
        })
    }

    fn order<'a>(&'a self, target: &'a Target, order: &'a Order) -> BoxFuture<'a, Result<OrderOutcome, NodeError>> {
        Box::pin(async move {
            let order = serde_json::to_vec(order)?;
            let body = self.call(target, Method::POST, "/v1/orders", Bytes::from(order)).await?;
            Ok(serde_json::from_slice(&body)?)
        })
    }

    fn archive<'a>(
        &'a self,
        archive: &'a Target,
        call: &'a ArchiveCall,
    ) -> BoxFuture<'a, Result<ArchiveAnswer, NodeError>> {
        Box::pin(async move {
            let call = Bytes::from(serde_json::to_vec(call)?);
            let body = self.call_within(ARCHIVE_TIMEOUT, archive, Method::POST, "/v1/archive", call).await?;
            Ok(serde_json::from_slice(&body)?)
        })
    }

    fn locate(&self, address: &str, ip: Option<IpAddr>) {
        let before = self.located.lock().unwrap_or_else(PoisonError::into_inner).insert(address.to_owned(), ip);
        if before != Some(ip) {
            let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
            connections.retain(|target, _| target.address != address);
        }
    }
}
