//! What a storage node listens to: frames from its group, requests from routers, orders from the operator.

use super::{
    BODY_BYTES_MAX, CONNECTION_WINDOW_BYTES, NODE_ID_HEADER, PING_INTERVAL, PING_TIMEOUT, STREAM_WINDOW_BYTES,
    transport,
};
use crate::{storage::StorageNode, tls::Tls};
use bytes::Bytes;
use cairn_model::{
    identity::{Identity, Role},
    ids::NodeId,
    node::Order,
};
use cairn_replication::wire;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, Response, StatusCode, body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

/// Connections at once: the group's nodes, the release's routers and operators, and room for old ones that time out.
const CONNECTIONS_MAX: usize = 1024;
/// Calls at once on one connection.
const STREAMS_MAX: u32 = 1024;

/// Who may call this node: its own group, and the routers and operators of the release.
#[derive(Clone, Debug)]
pub struct Callers {
    /// This node's own identity.
    pub own: Identity,
    /// Where routers and operators have their certificates from.
    pub release_namespace: String,
}

impl Callers {
    fn allows(&self, caller: &Identity, method: &Method, path: &str) -> bool {
        let of_release = caller.region == self.own.region && caller.namespace == self.release_namespace;
        match (method, path) {
            (&Method::POST, "/v1/raft") => *caller == self.own,
            (&Method::POST, "/v1/partition") => of_release && caller.role == Role::Router,
            (&Method::POST, "/v1/orders") => of_release && caller.role == Role::Operator,
            (&Method::GET, "/v1/node") => *caller == self.own || (of_release && caller.role != Role::Storage),
            _ => false,
        }
    }
}

/// Serves until the task is dropped.
pub async fn serve(listener: TcpListener, tls: Arc<Tls>, callers: Callers, node: Arc<StorageNode>) {
    let callers = Arc::new(callers);
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
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
        let (tls, callers, node) = (tls.clone(), callers.clone(), node.clone());
        tokio::spawn(async move {
            if let Err(error) = serve_connection(stream, &tls, callers, node).await {
                tracing::debug!(%error, "an internal connection ended");
            }
            drop(place);
        });
    }
}

async fn serve_connection(
    stream: TcpStream,
    tls: &Tls,
    callers: Arc<Callers>,
    node: Arc<StorageNode>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    stream.set_nodelay(true)?;
    let (stream, caller) = tls.accept(stream).await?;
    let caller = Arc::new(caller);
    let service = service_fn(move |request: Request<Incoming>| {
        let (caller, callers, node) = (caller.clone(), callers.clone(), node.clone());
        async move { Ok::<_, Infallible>(answer(request, &caller, &callers, &node).await) }
    });
    hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(STREAMS_MAX)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .await?;
    Ok(())
}

async fn answer(
    request: Request<Incoming>,
    caller: &Identity,
    callers: &Callers,
    node: &StorageNode,
) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    if !callers.allows(caller, &parts.method, parts.uri.path()) {
        tracing::warn!(%caller, method = %parts.method, path = parts.uri.path(), "refused a call");
        return text(StatusCode::FORBIDDEN, format!("{caller} may not {} {}", parts.method, parts.uri.path()));
    }
    let body = match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return text(StatusCode::BAD_REQUEST, error.to_string()),
    };
    match parts.uri.path() {
        "/v1/raft" => {
            let from: Option<NodeId> =
                parts.headers.get(NODE_ID_HEADER).and_then(|id| id.to_str().ok()).and_then(|id| id.parse().ok());
            match (from, transport::frames(body)) {
                (Some(from), Some(frames)) => {
                    frames.into_iter().for_each(|frame| node.host().deliver(from, frame));
                    Response::new(Full::default())
                }
                _ => text(StatusCode::BAD_REQUEST, "the frames can't be taken apart".into()),
            }
        }
        "/v1/partition" => match wire::decode_call(body) {
            Ok(call) => {
                let outcome = node.request(call).await;
                Response::new(Full::new(wire::encode_answer(&outcome)))
            }
            Err(error) => text(StatusCode::BAD_REQUEST, error.to_string()),
        },
        "/v1/orders" => match serde_json::from_slice::<Order>(&body) {
            Ok(order) => json(&node.host().order(order).await),
            Err(error) => text(StatusCode::BAD_REQUEST, error.to_string()),
        },
        _ => json(&node.report()),
    }
}

fn json(value: &impl serde::Serialize) -> Response<Full<Bytes>> {
    match serde_json::to_vec(value) {
        Ok(body) => Response::new(Full::new(Bytes::from(body))),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

fn text(status: StatusCode, message: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(message)));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn callers() -> Callers {
        Callers { own: "cairn://east/game/default/storage".parse().unwrap(), release_namespace: "cairn-system".into() }
    }

    fn allowed(caller: &str, method: Method, path: &str) -> bool {
        callers().allows(&caller.parse().unwrap(), &method, path)
    }

    #[test]
    fn a_node_listens_to_its_own_group_the_routers_and_the_operator_each_for_its_own_purpose() {
        assert!(allowed("cairn://east/game/default/storage", Method::POST, "/v1/raft"));
        assert!(allowed("cairn://east/cairn-system/-/router", Method::POST, "/v1/partition"));
        assert!(allowed("cairn://east/cairn-system/-/operator", Method::POST, "/v1/orders"));
        assert!(allowed("cairn://east/cairn-system/-/router", Method::GET, "/v1/node"));
    }

    #[test]
    fn nobody_else_is_listened_to() {
        for caller in [
            "cairn://east/game/analytics/storage",
            "cairn://east/shop/default/storage",
            "cairn://west/game/default/storage",
            "cairn://east/cairn-system/-/router",
            "cairn://east/cairn-system/-/operator",
        ] {
            assert!(!allowed(caller, Method::POST, "/v1/raft"), "{caller}");
        }
        assert!(!allowed("cairn://east/game/-/router", Method::POST, "/v1/partition"), "a router of another namespace");
        assert!(!allowed("cairn://west/cairn-system/-/operator", Method::POST, "/v1/orders"), "another region");
        assert!(!allowed("cairn://east/cairn-system/-/router", Method::POST, "/v1/orders"), "routers give no orders");
        assert!(!allowed("cairn://east/game/default/storage", Method::POST, "/v1/partition"));
    }
}
