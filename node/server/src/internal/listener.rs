//! The connections of a port that Cairn's own programs call each other at: HTTP/2 over mutual TLS, with a limit on
//! everything. Who may call what, and what is answered, is the business of the [`Port`].

use super::{
    CONNECTION_WINDOW_BYTES, PING_INTERVAL, PING_TIMEOUT, STREAM_WINDOW_BYTES,
    places::{Place, Places},
};
use crate::tls::{Tls, TlsError};
use bytes::Bytes;
use cairn_model::identity::Identity;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body, Incoming},
    http::request::Parts,
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::{convert::Infallible, fmt::Display, future::Future, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_rustls::server::TlsStream;

/// At once; who comes then waits to be accepted. They are not yet known, and so have no share of the connections.
const HANDSHAKES_MAX: usize = 128;
/// For the whole of a call to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);
/// What one answer has waiting to be sent besides its last piece.
const SEND_BYTES_MAX: usize = 64 << 10;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// At once; more are closed.
    pub(crate) connections: usize,
    /// Calls at once on one connection.
    pub(crate) streams: u32,
    /// Calls at once on all of them; more wait a little and are refused then.
    pub(crate) calls: usize,
    pub(crate) body_bytes: usize,
    /// Of connections and of calls, those of one share have one in so many.
    pub(crate) shares: usize,
    /// What a caller may send before it is read: of a call, and of a connection.
    pub(crate) windows_bytes: (u32, u32),
}

impl Limits {
    /// For a port that only programs of this release reach.
    pub(crate) const OWN: Self = Self {
        connections: 1024,
        streams: 1024,
        calls: 1024 * 1024,
        body_bytes: super::BODY_BYTES_MAX,
        shares: 1,
        windows_bytes: (STREAM_WINDOW_BYTES, CONNECTION_WINDOW_BYTES),
    };
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

    /// With whom the caller shares what there is of the port for one share.
    fn share(&self, _caller: &C) -> String {
        String::new()
    }

    fn answer(&self, caller: &C, call: Parts, body: Bytes) -> impl Future<Output = Response<Full<Bytes>>> + Send;
}

/// Serves until the task is dropped.
pub(crate) async fn serve<D: Door, P: Port<D::Caller>>(listener: TcpListener, door: Arc<D>, port: Arc<P>) {
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    let connections = Arc::new(Places::new(P::LIMITS.connections, P::LIMITS.shares));
    let calls = Arc::new(Places::new(P::LIMITS.calls, P::LIMITS.shares));
    loop {
        let Ok(handshake) = handshakes.clone().acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "failed to accept on the internal port");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (door, port, connections, calls) = (door.clone(), port.clone(), connections.clone(), calls.clone());
        tokio::spawn(async move {
            if let Err(error) = serve_connection(stream, handshake, &*door, port, &connections, calls).await {
                tracing::debug!(%error, "an internal connection ended");
            }
        });
    }
}

async fn serve_connection<D: Door, P: Port<D::Caller>>(
    stream: TcpStream,
    handshake: OwnedSemaphorePermit,
    door: &D,
    port: Arc<P>,
    connections: &Places,
    calls: Arc<Places>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    stream.set_nodelay(true)?;
    let (stream, caller) = door.accept(stream).await?;
    drop(handshake);
    let Some(_place) = connections.take_now(&port.share(&caller)) else {
        tracing::warn!(%caller, "closed a connection: there are too many at once");
        return Ok(());
    };
    let caller = Arc::new(caller);
    let service = service_fn(move |request: Request<Incoming>| {
        let (caller, port, calls) = (caller.clone(), port.clone(), calls.clone());
        async move { Ok::<_, Infallible>(answer(request, &*caller, &*port, &calls).await) }
    });
    let (stream_window, connection_window) = P::LIMITS.windows_bytes;
    hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_stream_window_size(stream_window)
        .initial_connection_window_size(connection_window)
        .max_concurrent_streams(P::LIMITS.streams)
        .max_send_buf_size(SEND_BYTES_MAX)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .await?;
    Ok(())
}

async fn answer<C: Display, P: Port<C>>(
    request: Request<impl Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>>,
    caller: &C,
    port: &P,
    calls: &Places,
) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    if !port.allows(caller, &parts.method, parts.uri.path()) {
        tracing::warn!(%caller, method = %parts.method, path = parts.uri.path(), "refused a call");
        return text(StatusCode::FORBIDDEN, format!("{caller} may not {} {}", parts.method, parts.uri.path()));
    }
    let Some(place) = calls.take(&port.share(caller)).await else {
        return text(StatusCode::SERVICE_UNAVAILABLE, "too many calls at once: call again later".into());
    };
    let collected = tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, P::LIMITS.body_bytes).collect());
    match collected.await {
        Ok(Ok(body)) => held(port.answer(caller, parts, body.to_bytes()).await, place).await,
        Ok(Err(error)) => text(StatusCode::BAD_REQUEST, error.to_string()),
        Err(_) => text(StatusCode::REQUEST_TIMEOUT, format!("the call took longer than {BODY_TIMEOUT:?} to arrive")),
    }
}

/// The answer, which keeps the call's place until the last of it is sent: the caller may be slow to read it.
async fn held(response: Response<Full<Bytes>>, place: Place) -> Response<Full<Bytes>> {
    struct Held {
        bytes: Bytes,
        _place: Place,
    }
    impl AsRef<[u8]> for Held {
        fn as_ref(&self) -> &[u8] {
            &self.bytes
        }
    }
    let (parts, body) = response.into_parts();
    let Ok(body) = body.collect().await;
    Response::from_parts(parts, Full::new(Bytes::from_owner(Held { bytes: body.to_bytes(), _place: place })))
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

#[cfg(test)]
mod tests;
