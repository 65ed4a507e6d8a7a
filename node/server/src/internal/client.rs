//! Calls to storage nodes over kept connections, one for each address.

use super::{BODY_BYTES_MAX, CONNECTION_WINDOW_BYTES, PING_INTERVAL, PING_TIMEOUT, STREAM_WINDOW_BYTES};
use crate::tls::{Tls, TlsError};
use bytes::Bytes;
use cairn_api::Room;
use cairn_model::identity::{Identity, Role};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::{Body, Incoming},
    client::conn::http2::SendRequest,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Addresses beyond this are forgotten, oldest knowledge first: nodes come and go, names of theirs may not pile up.
const ADDRESSES_MAX: usize = 4096;

/// Why a call has no answer, and whether the node may have acted on it.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The request did not leave: nothing was done.
    #[error("failed to reach {address}: {reason}")]
    NotSent { address: String, reason: String },
    /// The request left and no whole answer came: it may have been done.
    #[error("no answer from {address}: {reason}")]
    NoAnswer { address: String, reason: String },
    /// It answered, and there is no room in memory for what it said.
    #[error("no room for the answer from {address}")]
    NoRoom { address: String },
    /// The node answered with something other than success.
    #[error("{address} answered {status}: {message}")]
    Refused { address: String, status: StatusCode, message: String },
}

/// The storage group a peer must show that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GroupName {
    pub account: String,
    pub group: String,
}

/// Kept connections to storage nodes.
#[derive(Debug)]
pub struct NodeClient {
    tls: Arc<Tls>,
    region: String,
    connections: Mutex<HashMap<String, Arc<Connection>>>,
}

#[derive(Debug, Default)]
struct Connection {
    sender: tokio::sync::Mutex<Option<SendRequest<Full<Bytes>>>>,
}

impl NodeClient {
    pub fn new(tls: Arc<Tls>, region: String) -> Arc<Self> {
        Arc::new(Self { tls, region, connections: Mutex::default() })
    }

    /// One call, within `deadline` in all; the peer must be a storage node of the group.
    pub async fn call(
        &self,
        group: &GroupName,
        address: &str,
        request: Request<Full<Bytes>>,
        deadline: Duration,
    ) -> Result<Bytes, CallError> {
        self.call_with_room(group, address, request, deadline, None).await.map(|(_, body)| body)
    }

    /// The same, with the answer's headers; it is taken into memory once there is room.
    async fn call_with_room(
        &self,
        group: &GroupName,
        address: &str,
        request: Request<Full<Bytes>>,
        deadline: Duration,
        room: Option<&Room>,
    ) -> Result<(HeaderMap, Bytes), CallError> {
        let no_answer = |reason: String| CallError::NoAnswer { address: address.to_owned(), reason };
        let mut sender = tokio::time::timeout(deadline.min(CONNECT_TIMEOUT), self.connection(group, address))
            .await
            .unwrap_or_else(|_| Err("connecting took too long".to_owned()))
            .map_err(|reason| CallError::NotSent { address: address.to_owned(), reason })?;
        let answer = async {
            let mut response = sender.send_request(request).await.map_err(|error| no_answer(chain(&error)))?;
            let headers = std::mem::take(response.headers_mut());
            if let Some(room) = room {
                // It says how much it has; what says nothing of itself is an error's text.
                let bytes = response.body().size_hint().exact().unwrap_or(0);
                let made = room.make(usize::try_from(bytes).unwrap_or(BODY_BYTES_MAX).min(BODY_BYTES_MAX)).await;
                made.map_err(|_| CallError::NoRoom { address: address.to_owned() })?;
            }
            let (status, body) = collect(response, BODY_BYTES_MAX).await.map_err(no_answer)?;
            if status.is_success() {
                return Ok((headers, body));
            }
            let message = String::from_utf8_lossy(&body).trim().to_owned();
            Err(CallError::Refused { address: address.to_owned(), status, message })
        };
        match tokio::time::timeout(deadline, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(no_answer(format!("nothing within {deadline:?}"))),
        }
    }

    pub async fn get(
        &self,
        group: &GroupName,
        address: &str,
        path: &'static str,
        deadline: Duration,
    ) -> Result<Bytes, CallError> {
        let mut request = Request::new(Full::default());
        *request.uri_mut() = uri(path);
        self.call(group, address, request, deadline).await
    }

    pub async fn post(
        &self,
        group: &GroupName,
        address: &str,
        path: &'static str,
        body: Bytes,
        deadline: Duration,
    ) -> Result<Bytes, CallError> {
        self.call(group, address, post(path, body), deadline).await
    }

    /// A call whose answer may be large, for a request of a client: the answer's headers and its body.
    pub async fn post_with_room(
        &self,
        group: &GroupName,
        address: &str,
        path: &'static str,
        body: Bytes,
        deadline: Duration,
        room: &Room,
    ) -> Result<(HeaderMap, Bytes), CallError> {
        self.call_with_room(group, address, post(path, body), deadline, Some(room)).await
    }

    async fn connection(&self, group: &GroupName, address: &str) -> Result<SendRequest<Full<Bytes>>, String> {
        let connection = {
            let mut connections = self.connections.lock();
            if connections.len() >= ADDRESSES_MAX && !connections.contains_key(address) {
                connections.retain(|_, connection| Arc::strong_count(connection) > 1);
            }
            connections.entry(address.to_owned()).or_default().clone()
        };
        let mut sender = connection.sender.lock().await;
        if let Some(open) = sender.as_ref().filter(|open| !open.is_closed()) {
            return Ok(open.clone());
        }
        *sender = None;
        let open = self.open(group, address).await?;
        *sender = Some(open.clone());
        Ok(open)
    }

    async fn open(&self, group: &GroupName, address: &str) -> Result<SendRequest<Full<Bytes>>, String> {
        let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let (stream, peer) = self.tls.connect(stream).await.map_err(|error: TlsError| error.to_string())?;
        let expected = Identity {
            region: self.region.clone(),
            namespace: group.account.clone(),
            group: group.group.clone(),
            role: Role::Storage,
        };
        if peer != expected {
            return Err(format!("expected {expected} there, met {peer}"));
        }
        multiplex(stream, address, PING_TIMEOUT).await
    }
}

/// HTTP/2 over a connection whose other end is known.
pub(crate) async fn multiplex(
    stream: TlsStream<TcpStream>,
    address: &str,
    ping_timeout: Duration,
) -> Result<SendRequest<Full<Bytes>>, String> {
    let (sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(ping_timeout)
        .keep_alive_while_idle(true)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| chain(&error))?;
    let address = address.to_owned();
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%address, error = %chain(&error), "a connection ended");
        }
    });
    Ok(sender)
}

/// One request over a connection: status and body of the answer.
pub(crate) async fn exchange(
    sender: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
    body_bytes_max: usize,
) -> Result<(StatusCode, Bytes), String> {
    collect(sender.send_request(request).await.map_err(|error| chain(&error))?, body_bytes_max).await
}

async fn collect(response: Response<Incoming>, body_bytes_max: usize) -> Result<(StatusCode, Bytes), String> {
    let status = response.status();
    let body = Limited::new(response.into_body(), body_bytes_max).collect().await.map_err(|error| error.to_string())?;
    Ok((status, body.to_bytes()))
}

/// A POST of the body to the path; the authority is a formality, the connection is what counts.
pub fn post(path: &'static str, body: Bytes) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri(path);
    request
}

fn uri(path: &'static str) -> hyper::Uri {
    let mut parts = hyper::http::uri::Parts::default();
    parts.scheme = Some(hyper::http::uri::Scheme::HTTPS);
    parts.authority = Some(hyper::http::uri::Authority::from_static(cairn_model::identity::INTERNAL_NAME));
    parts.path_and_query = Some(hyper::http::uri::PathAndQuery::from_static(path));
    hyper::Uri::from_parts(parts).unwrap_or_default()
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
