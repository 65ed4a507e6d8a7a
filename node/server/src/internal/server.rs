//! What a storage node listens to: frames from its group, requests from routers, orders from the operator.

use super::{
    NODE_ID_HEADER,
    listener::{self, Limits, Port, json, text},
    partition_answer, transport,
};
use crate::{indexes::sink, regions::message, storage::StorageNode, tls::Tls};
use bytes::Bytes;
use cairn_model::{
    identity::{Identity, Role},
    ids::{NodeId, PartitionId},
    node::Order,
};
use cairn_replication::wire;
use http_body_util::Full;
use hyper::{Method, Response, StatusCode, http::request::Parts};
use std::sync::Arc;
use tokio::net::TcpListener;

/// Who may call this node: its own group, and the routers and operators of the release.
#[derive(Clone, Debug)]
pub struct Callers {
    /// This node's own identity.
    pub own: Identity,
    /// Where routers and operators have their certificates from.
    pub release_namespace: String,
}

impl Callers {
    /// Whether it is a router or an operator of the release.
    pub(crate) fn is_of_release(&self, caller: &Identity) -> bool {
        caller.region == self.own.region
            && caller.namespace == self.release_namespace
            && matches!(caller.role, Role::Router | Role::Operator)
    }

    fn allows(&self, caller: &Identity, method: &Method, path: &str) -> bool {
        let of_release = self.is_of_release(caller);
        match (method, path) {
            (&Method::POST, "/v1/raft" | sink::PATH) => *caller == self.own,
            (&Method::POST, "/v1/partition" | "/v1/counts" | message::PATH) => {
                of_release && caller.role == Role::Router
            }
            (&Method::POST, "/v1/orders") => of_release && caller.role == Role::Operator,
            (&Method::GET, "/v1/node") => *caller == self.own || of_release,
            _ => false,
        }
    }
}

/// Serves until the task is dropped.
pub async fn serve(listener: TcpListener, tls: Arc<Tls>, callers: Callers, node: Arc<StorageNode>) {
    listener::serve(listener, tls, Arc::new(NodePort { callers, node })).await;
}

struct NodePort {
    callers: Callers,
    node: Arc<StorageNode>,
}

impl Port for NodePort {
    const LIMITS: Limits = Limits::OWN;

    fn allows(&self, caller: &Identity, method: &Method, path: &str) -> bool {
        self.callers.allows(caller, method, path)
    }

    async fn answer(&self, _caller: &Identity, call: Parts, body: Bytes) -> Response<Full<Bytes>> {
        let node = &self.node;
        match call.uri.path() {
            "/v1/raft" => {
                let from: Option<NodeId> =
                    call.headers.get(NODE_ID_HEADER).and_then(|id| id.to_str().ok()).and_then(|id| id.parse().ok());
                match (from, transport::frames(body)) {
                    (Some(from), Some(frames)) => {
                        frames.into_iter().for_each(|frame| node.host().deliver(from, frame));
                        Response::new(Full::default())
                    }
                    _ => text(StatusCode::BAD_REQUEST, "the frames can't be taken apart".into()),
                }
            }
            "/v1/partition" => match wire::decode_call(body) {
                Ok(call) => partition_answer::write(&node.request(call).await),
                Err(error) => text(StatusCode::BAD_REQUEST, error.to_string()),
            },
            sink::PATH => match wire::decode_call(body) {
                Ok(call) => {
                    let outcome = node.feed(call).await;
                    Response::new(Full::new(wire::encode_answer(&outcome)))
                }
                Err(error) => text(StatusCode::BAD_REQUEST, error.to_string()),
            },
            message::PATH => match wire::decode(&body) {
                Ok(call) => Response::new(Full::new(message::encode_answer(&node.answer_region(call).await))),
                Err(error) => text(StatusCode::BAD_REQUEST, error.to_string()),
            },
            "/v1/counts" => match serde_json::from_slice::<PartitionId>(&body) {
                Ok(partition) => json(&node.host().counts(partition).await),
                Err(error) => text(StatusCode::BAD_REQUEST, error.to_string()),
            },
            "/v1/orders" => match serde_json::from_slice::<Order>(&body) {
                Ok(order) => json(&node.host().order(order).await),
                Err(error) => text(StatusCode::BAD_REQUEST, error.to_string()),
            },
            _ => json(&node.report()),
        }
    }
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
        assert!(allowed("cairn://east/cairn-system/-/router", Method::POST, "/v1/counts"));
        assert!(allowed("cairn://east/cairn-system/-/router", Method::POST, "/v1/regions"));
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
        assert!(!allowed("cairn://east/cairn-system/-/operator", Method::POST, "/v1/counts"));
        assert!(!allowed("cairn://east/cairn-system/-/operator", Method::POST, "/v1/regions"));
        assert!(!allowed("cairn://west/game/default/storage", Method::POST, "/v1/regions"), "only through a router");
    }
}
