//! HTTP/2 between Cairn's own programs: what a storage node listens to, and how it is called.

pub mod client;
pub(crate) mod listener;
pub(crate) mod partition_answer;
mod places;
pub mod server;
pub mod transport;

/// Names the sending node on `POST /v1/raft`; its value is a node id.
const NODE_ID_HEADER: &str = "cairn-node-id";

/// A dead peer is noticed after one missed ping: a network that is cut drops packets without a word.
const PING_INTERVAL: std::time::Duration = std::time::Duration::from_secs(1);
const PING_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(2);

/// Flow-control windows: one answer of a full page fits a stream's.
const STREAM_WINDOW_BYTES: u32 = 2 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;

/// The largest body of a call or an answer: a full page of items that a request's limits allow, with room to spare.
const BODY_BYTES_MAX: usize = 32 << 20;
