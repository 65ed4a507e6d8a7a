//! Raft's frames from this node to the others: a bounded queue and one sender for each address. Frames may be lost, as
//! Raft expects; they are never waited for.

use super::client::{GroupName, NodeClient};
use super::{NODE_ID_HEADER, client};
use bytes::{BufMut, Bytes, BytesMut};
use cairn_model::{descriptor::Member, ids::NodeId};
use cairn_replication::Transport;
use hyper::header::HeaderValue;
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::sync::mpsc;

/// Frames waiting for one address; more are dropped.
const QUEUE_FRAMES_MAX: usize = 4096;
/// Bytes of frames in one call.
const BATCH_BYTES_MAX: usize = 4 << 20;
const CALL_DEADLINE: Duration = Duration::from_secs(2);
/// How long a sender rests after a call that failed; what came meanwhile is old and dropped.
const RETRY_PAUSE: Duration = Duration::from_millis(200);
/// A sender without work for this long goes away.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);

/// Sends frames to the members of this node's group.
#[derive(Debug)]
pub struct PeerTransport {
    own: NodeId,
    group: GroupName,
    client: Arc<NodeClient>,
    runtime: tokio::runtime::Handle,
    queues: Mutex<HashMap<String, mpsc::Sender<Bytes>>>,
}

impl PeerTransport {
    pub fn new(own: NodeId, group: GroupName, client: Arc<NodeClient>) -> Arc<Self> {
        Arc::new(Self { own, group, client, runtime: tokio::runtime::Handle::current(), queues: Mutex::default() })
    }

    fn queue(&self, address: &str) -> mpsc::Sender<Bytes> {
        let mut queues = self.queues.lock();
        if let Some(queue) = queues.get(address).filter(|queue| !queue.is_closed()) {
            return queue.clone();
        }
        let (sender, receiver) = mpsc::channel(QUEUE_FRAMES_MAX);
        queues.insert(address.to_owned(), sender.clone());
        let (own, group, client) = (self.own, self.group.clone(), self.client.clone());
        self.runtime.spawn(send_all(own, group, client, address.to_owned(), receiver));
        sender
    }
}

impl Transport for PeerTransport {
    fn send(&self, to: &Member, frame: Bytes) {
        // A full queue means a peer that does not answer: Raft sends again what still matters.
        let _ = self.queue(&to.address).try_send(frame);
    }
}

async fn send_all(
    own: NodeId,
    group: GroupName,
    client: Arc<NodeClient>,
    address: String,
    mut queue: mpsc::Receiver<Bytes>,
) {
    let Ok(own) = HeaderValue::from_str(&own.to_string()) else { return };
    let mut reachable = true;
    while let Ok(Some(first)) = tokio::time::timeout(IDLE_TIMEOUT, queue.recv()).await {
        let mut body = BytesMut::with_capacity(first.len() + 4);
        put_frame(&mut body, &first);
        while body.len() < BATCH_BYTES_MAX
            && let Ok(next) = queue.try_recv()
        {
            put_frame(&mut body, &next);
        }
        let mut request = client::post("/v1/raft", body.freeze());
        request.headers_mut().insert(NODE_ID_HEADER, own.clone());
        match client.call(&group, &address, request, CALL_DEADLINE).await {
            Ok(_) if !reachable => {
                reachable = true;
                tracing::info!(%address, "reached the peer again");
            }
            Ok(_) => {}
            Err(error) => {
                if reachable {
                    tracing::warn!(%address, %error, "failed to send to the peer; trying on");
                }
                reachable = false;
                tokio::time::sleep(RETRY_PAUSE).await;
                while queue.try_recv().is_ok() {}
            }
        }
    }
}

fn put_frame(body: &mut BytesMut, frame: &Bytes) {
    body.put_u32_le(frame.len() as u32);
    body.extend_from_slice(frame);
}

/// Takes apart the body of `POST /v1/raft`; none when its lengths do not add up.
pub fn frames(mut body: Bytes) -> Option<Vec<Bytes>> {
    let mut frames = Vec::new();
    while !body.is_empty() {
        let length = u32::from_le_bytes(body.get(..4)?.try_into().ok()?) as usize;
        let end = 4usize.checked_add(length)?;
        if body.len() < end {
            return None;
        }
        frames.push(body.slice(4..end));
        body = body.slice(end..);
    }
    Some(frames)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_apart_as_they_were_put_together() {
        let mut body = BytesMut::new();
        let sent = [Bytes::from_static(b"one"), Bytes::new(), Bytes::from_static(b"three")];
        sent.iter().for_each(|frame| put_frame(&mut body, frame));
        assert_eq!(frames(body.freeze()), Some(sent.to_vec()));
    }

    #[test]
    fn a_body_cut_short_is_refused_whole() {
        let mut body = BytesMut::new();
        put_frame(&mut body, &Bytes::from_static(b"frame"));
        let body = body.freeze();
        for end in 1..body.len() {
            assert_eq!(frames(body.slice(..end)), None, "cut at {end}");
        }
    }
}
