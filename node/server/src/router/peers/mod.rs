//! The port for peers: where storage nodes of other regions read the tables that are global with theirs. Who is let in, and
//! to which table, is told by the tables' definitions alone; the calls go on to the leaders.

mod any_of;
mod authorities;
mod forwarding;

use super::nodes::Nodes;
use crate::{
    internal::{
        client::NodeClient,
        listener::{self, Door, Limits, Port, text},
    },
    regions::message::{self, CALL_BYTES_MAX, PATH, PartitionCall, RegionAnswer, RegionRefusal, TableCall},
    tls::{Shown, Tls, TlsError},
};
use authorities::Authorities;
use bytes::Bytes;
use cairn_model::identity::Role;
use cairn_replication::wire;
use forwarding::Forwarding;
use http_body_util::Full;
use hyper::{Method, Response, StatusCode, http::request::Parts};
use std::{fmt, sync::Arc};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::server::TlsStream;

/// Serves until the task is dropped.
pub async fn serve(listener: TcpListener, tls: Arc<Tls>, client: Arc<NodeClient>, nodes: Arc<Nodes>) {
    let authorities = Arc::new(Authorities::new(nodes.shared_routes()));
    let door = Arc::new(PeerDoor { tls, authorities: authorities.clone() });
    let port = Arc::new(PeerPort { authorities, forwarding: Forwarding::new(client, nodes) });
    listener::serve(listener, door, port).await;
}

struct PeerDoor {
    tls: Arc<Tls>,
    authorities: Arc<Authorities>,
}

/// Someone with a certificate of an authority that some table's definition names.
pub(crate) struct Peer(Shown);

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.identity.fmt(f)
    }
}

impl Door for PeerDoor {
    type Caller = Peer;

    async fn accept(&self, stream: TcpStream) -> Result<(TlsStream<TcpStream>, Peer), TlsError> {
        let (stream, shown) = self.tls.accept_from(stream, self.authorities.verifier()).await?;
        Ok((stream, Peer(shown)))
    }
}

struct PeerPort {
    authorities: Arc<Authorities>,
    forwarding: Forwarding,
}

impl Port<Peer> for PeerPort {
    /// Peers are other people's: what they all may have of a router's memory is a part of it, and what one may have of that
    /// leaves enough for others. It is 64 MiB of what was not read yet, as much of calls, and 256 answers of mostly below 1 MiB.
    const LIMITS: Limits = Limits {
        connections: 512,
        streams: 64,
        calls: 256,
        body_bytes: CALL_BYTES_MAX,
        shares: 4,
        windows_bytes: (64 << 10, 128 << 10),
    };

    fn allows(&self, Peer(caller): &Peer, method: &Method, path: &str) -> bool {
        method == Method::POST && path == PATH && caller.identity.role == Role::Storage
    }

    fn share(&self, Peer(caller): &Peer) -> String {
        format!("{}/{}", caller.identity.region, caller.identity.namespace)
    }

    async fn answer(&self, Peer(caller): &Peer, _call: Parts, body: Bytes) -> Response<Full<Bytes>> {
        let call: TableCall = match wire::decode(&body) {
            Ok(call) => call,
            Err(error) => return text(StatusCode::BAD_REQUEST, error.to_string()),
        };
        Response::new(Full::new(message::encode_answer(&self.answer_call(caller, call).await)))
    }
}

impl PeerPort {
    async fn answer_call(&self, caller: &Shown, call: TableCall) -> RegionAnswer {
        let table = self.authorities.authorise(caller, &call.account, &call.table)?;
        let TableCall { cluster_id, ask, .. } = call;
        let asks_of = |partition| PartitionCall {
            partition,
            region: caller.identity.region.clone(),
            cluster_id: cluster_id.clone(),
            ask: ask.clone(),
        };
        match call.partition {
            None => self.forwarding.describe(&table, asks_of).await,
            Some(partition) => {
                if !table.routes.iter().any(|route| route.descriptor.partition_id == partition) {
                    return Err(RegionRefusal::unavailable("the table has no such partition"));
                }
                self.forwarding.forward(table.definition.table_id, &asks_of(partition)).await
            }
        }
    }
}
