//! The archive's connections to the node: one that is kept, for calls, and one for each stream.

use crate::archive::socket::{
    CONNECTION_WINDOW_BYTES, JSON_BYTES_MAX, STREAM_WINDOW_BYTES,
    body::{self, Body},
    message::Refusal,
};
use anyhow::Context;
use bytes::Bytes;
use cairn_archive::SourceError;
use http_body_util::{BodyExt, Limited};
use hyper::{
    Method, Request, Uri,
    body::Incoming,
    client::conn::http2::SendRequest,
    http::uri::{Authority, Parts, PathAndQuery, Scheme},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde::{Serialize, de::DeserializeOwned};
use std::{path::PathBuf, time::Duration};
use tokio::net::UnixStream;

const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Connections {
    socket: PathBuf,
    /// For a node's answer.
    deadline: Duration,
    kept: tokio::sync::Mutex<Option<SendRequest<Body>>>,
}

impl Connections {
    pub(super) fn new(socket: PathBuf, deadline: Duration) -> Self {
        Self { socket, deadline, kept: tokio::sync::Mutex::default() }
    }

    /// Asks without a body, over the kept connection.
    pub(super) async fn get<A: DeserializeOwned>(&self, path: &'static str) -> Result<A, SourceError> {
        let request = request(Method::GET, path, body::whole(""));
        self.kept_call(path, async |sender| parsed(send(sender, request).await?).await).await
    }

    /// Asks with a body of JSON, over the kept connection.
    pub(super) async fn post<A: DeserializeOwned>(
        &self,
        path: &'static str,
        call: &impl Serialize,
    ) -> Result<A, SourceError> {
        self.post_for(path, call, parsed).await
    }

    /// As [`Self::post`], with an answer that `read` makes something of, all within the deadline.
    pub(super) async fn post_for<A>(
        &self,
        path: &'static str,
        call: &impl Serialize,
        read: impl AsyncFnOnce(Incoming) -> Result<A, SourceError>,
    ) -> Result<A, SourceError> {
        let request = post(path, call)?;
        self.kept_call(path, async |sender| read(send(sender, request).await?).await).await
    }

    /// Asks for a stream, over a connection of its own; gives its beginning within the deadline.
    pub(super) async fn stream(&self, path: &'static str, call: &impl Serialize) -> Result<Incoming, SourceError> {
        let request = post(path, call)?;
        let mut sender = self.connect().await?;
        match tokio::time::timeout(self.deadline, send(&mut sender, request)).await {
            Ok(answer) => answer,
            Err(_) => Err(self.no_answer(path)),
        }
    }

    /// A new connection.
    pub(super) async fn connect(&self) -> Result<SendRequest<Body>, SourceError> {
        let connecting = async {
            let stream = UnixStream::connect(&self.socket).await?;
            let (sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
                .initial_stream_window_size(STREAM_WINDOW_BYTES)
                .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
                .handshake(TokioIo::new(stream))
                .await?;
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "a connection to the node ended");
                }
            });
            anyhow::Ok(sender)
        };
        let connected = tokio::time::timeout(CONNECT_DEADLINE, connecting).await;
        let connected = connected.map_err(|_| anyhow::anyhow!("it does not answer")).flatten();
        connected.with_context(|| format!("failed to reach the node at {}", self.socket.display())).map_err(failed)
    }

    async fn kept_call<A>(
        &self,
        path: &'static str,
        call: impl AsyncFnOnce(&mut SendRequest<Body>) -> Result<A, SourceError>,
    ) -> Result<A, SourceError> {
        let called = async { call(&mut self.kept().await?).await };
        match tokio::time::timeout(self.deadline, called).await {
            Ok(answer) => answer,
            Err(_) => {
                // Whatever it is that holds it up, the next call need not share it. Who has the lock connects anew.
                if let Ok(mut kept) = self.kept.try_lock() {
                    *kept = None;
                }
                Err(self.no_answer(path))
            }
        }
    }

    async fn kept(&self) -> Result<SendRequest<Body>, SourceError> {
        let mut kept = self.kept.lock().await;
        if let Some(open) = kept.as_ref().filter(|open| !open.is_closed()) {
            return Ok(open.clone());
        }
        *kept = None;
        let open = self.connect().await?;
        *kept = Some(open.clone());
        Ok(open)
    }

    fn no_answer(&self, path: &str) -> SourceError {
        let Self { socket, deadline, .. } = self;
        failed(anyhow::anyhow!("the node at {} did not answer {path} within {deadline:?}", socket.display()))
    }
}

/// Sends a request, and waits for an answer that is no refusal.
pub(super) async fn send(sender: &mut SendRequest<Body>, request: Request<Body>) -> Result<Incoming, SourceError> {
    let path = request.uri().path().to_owned();
    let answered = async {
        sender.ready().await?;
        sender.send_request(request).await
    };
    let response = answered.await.with_context(|| format!("failed to ask the node for {path}")).map_err(failed)?;
    let status = response.status();
    if status.is_success() {
        return Ok(response.into_body());
    }
    let body = collected(response.into_body()).await?;
    Err(match serde_json::from_slice::<Refusal>(&body) {
        Ok(refusal) => refusal.into(),
        Err(_) => failed(anyhow::anyhow!("the node answered {path} with {status}")),
    })
}

pub(super) fn request(method: Method, path: &'static str, body: Body) -> Request<Body> {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    // A formality: the socket is what counts.
    let mut parts = Parts::default();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(Authority::from_static("node"));
    parts.path_and_query = Some(PathAndQuery::from_static(path));
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
    request
}

fn post(path: &'static str, call: &impl Serialize) -> Result<Request<Body>, SourceError> {
    let body = serde_json::to_vec(call).map_err(|error| failed(error.into()))?;
    Ok(request(Method::POST, path, body::whole(body)))
}

async fn parsed<A: DeserializeOwned>(body: Incoming) -> Result<A, SourceError> {
    let body = collected(body).await?;
    serde_json::from_slice(&body).context("failed to read the node's answer").map_err(failed)
}

async fn collected(body: Incoming) -> Result<Bytes, SourceError> {
    let body = Limited::new(body, JSON_BYTES_MAX).collect().await;
    let body = body.map_err(anyhow::Error::from_boxed).context("failed to read the node's answer");
    Ok(body.map_err(failed)?.to_bytes())
}

pub(super) fn failed(error: anyhow::Error) -> SourceError {
    SourceError::Failed(error.into())
}
