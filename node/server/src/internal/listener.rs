//! The connections of a port that Cairn's own programs call each other at: HTTP/2 over mutual TLS, with a limit on
//! everything. Who may call what, and what is answered, is the business of the [`Port`].

use super::{CONNECTION_WINDOW_BYTES, PING_INTERVAL, PING_TIMEOUT, STREAM_WINDOW_BYTES};
use crate::tls::{Tls, TlsError};
use bytes::Bytes;
use cairn_model::identity::Identity;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, Response, StatusCode, body::Incoming, http::request::Parts, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::{convert::Infallible, fmt::Display, future::Future, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_rustls::server::TlsStream;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// At once; more wait.
    pub(crate) connections: usize,
    /// Calls at once on one connection.
    pub(crate) streams: u32,
    /// Calls at once on all of them; more are refused.
    pub(crate) calls: usize,
    pub(crate) body_bytes: usize,
}

/// How a port learns who calls.
pub(crate) trait Door: Send + Sync + 'static {
    type Caller: Display + Send + Sync + 'static;

    fn accept(
        &self,
        stream: TcpStream,
    ) -> impl Future<Output = Result<(TlsStream<TcpStream>, Self::Caller), TlsError>> + Send;
}

/// Of this program's own CA.
impl Door for Tls {
    type Caller = Identity;

    async fn accept(&self, stream: TcpStream) -> Result<(TlsStream<TcpStream>, Identity), TlsError> {
        self.accept(stream).await
    }
}

/// What a port allows and answers.
pub(crate) trait Port<C = Identity>: Send + Sync + 'static {
    const LIMITS: Limits;

    fn allows(&self, caller: &C, method: &Method, path: &str) -> bool;

    fn answer(&self, caller: &C, call: Parts, body: Bytes) -> impl Future<Output = Response<Full<Bytes>>> + Send;
}

/// Serves until the task is dropped.
pub(crate) async fn serve<D: Door, P: Port<D::Caller>>(listener: TcpListener, door: Arc<D>, port: Arc<P>) {
    let places = Arc::new(Semaphore::new(P::LIMITS.connections));
    let calls = Arc::new(Semaphore::new(P::LIMITS.calls));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "failed to accept on the internal port");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (door, port, calls) = (door.clone(), port.clone(), calls.clone());
        tokio::spawn(async move {
            if let Err(error) = serve_connection(stream, &*door, port, calls).await {
                tracing::debug!(%error, "an internal connection ended");
            }
            drop(place);
        });
    }
}

async fn serve_connection<D: Door, P: Port<D::Caller>>(
    stream: TcpStream,
    door: &D,
    port: Arc<P>,
    calls: Arc<Semaphore>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    stream.set_nodelay(true)?;
    let (stream, caller) = door.accept(stream).await?;
    let caller = Arc::new(caller);
    let service = service_fn(move |request: Request<Incoming>| {
        let (caller, port, calls) = (caller.clone(), port.clone(), calls.clone());
        async move { Ok::<_, Infallible>(answer(request, &*caller, &*port, &calls).await) }
    });
    hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(P::LIMITS.streams)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .await?;
    Ok(())
}

async fn answer<C: Display, P: Port<C>>(
    request: Request<Incoming>,
    caller: &C,
    port: &P,
    calls: &Semaphore,
) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    if !port.allows(caller, &parts.method, parts.uri.path()) {
        tracing::warn!(%caller, method = %parts.method, path = parts.uri.path(), "refused a call");
        return text(StatusCode::FORBIDDEN, format!("{caller} may not {} {}", parts.method, parts.uri.path()));
    }
    let Ok(_place) = calls.try_acquire() else {
        return text(StatusCode::SERVICE_UNAVAILABLE, "too many calls at once: call again later".into());
    };
    match Limited::new(body, P::LIMITS.body_bytes).collect().await {
        Ok(body) => port.answer(caller, parts, body.to_bytes()).await,
        Err(error) => text(StatusCode::BAD_REQUEST, error.to_string()),
    }
}

pub(crate) fn json(value: &impl serde::Serialize) -> Response<Full<Bytes>> {
    match serde_json::to_vec(value) {
        Ok(body) => Response::new(Full::new(Bytes::from(body))),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

pub(crate) fn text(status: StatusCode, message: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(message)));
    *response.status_mut() = status;
    response
}
