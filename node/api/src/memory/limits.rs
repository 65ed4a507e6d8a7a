//! How the memory of a process is divided among its clients.

use super::room::FREE_BYTES;
use crate::http::{
    body::FREE_BODY_BYTES,
    connection::{CONNECTION_WINDOW_BYTES, HEAD_BYTES_MAX, REFUSED_MAX},
};

/// What is left of a stream of HTTP/2 once its request is refused, until its client takes the answer.
const REFUSED_STREAM_BYTES: usize = 1 << 10;
/// A connection's tasks and its TLS, with a record of each direction.
const CONNECTION_STATE_BYTES: usize = 48 << 10;
/// A request's headers once parsed, and what serves it.
const REQUEST_STATE_BYTES: usize = 24 << 10;

/// What a connection may hold: what it reads at once, what its client sent before anyone read it, requests that are refused.
pub(super) const CONNECTION_BYTES: usize =
    HEAD_BYTES_MAX + CONNECTION_WINDOW_BYTES as usize + REFUSED_MAX * REFUSED_STREAM_BYTES + CONNECTION_STATE_BYTES;
/// What a request may hold without asking a budget: its head, its body and its answer where these are small.
pub(super) const REQUEST_BYTES: usize = HEAD_BYTES_MAX + FREE_BODY_BYTES + FREE_BYTES + REQUEST_STATE_BYTES;

/// How many requests may wait for a place.
pub(crate) const fn waiting_max(connections_max: usize) -> usize {
    connections_max / 8 + WAITING_ALWAYS
}

/// However few there may be at once: they end within moments.
const WAITING_ALWAYS: usize = 64;

/// What all clients together may make a process hold: half of its memory for connections, as many requests and those that wait; an
/// eighth for bodies of requests, three sixteenths for answers. The rest is the program's, its tables' and its connections' to
/// storage nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once, and requests at once.
    pub connections_max: usize,
    /// Bytes of request bodies, small ones aside.
    pub body_bytes_max: usize,
    /// Bytes of answers, and of what they are made of, small ones aside.
    pub answer_bytes_max: usize,
}

impl Limits {
    /// For a process that may use `bytes` for its clients.
    pub fn for_memory(bytes: u64) -> Self {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        let of_connections = (bytes / 2).saturating_sub(WAITING_ALWAYS * REQUEST_BYTES);
        let of_one = CONNECTION_BYTES + REQUEST_BYTES + REQUEST_BYTES / 8;
        Self {
            connections_max: (of_connections / of_one).max(1),
            body_bytes_max: bytes / 8,
            answer_bytes_max: bytes / 16 * 3,
        }
    }

    /// What that comes to where clients hold all that they can.
    pub fn bytes_max(&self) -> usize {
        let requests = self.connections_max + waiting_max(self.connections_max);
        self.connections_max * CONNECTION_BYTES + requests * REQUEST_BYTES + self.body_bytes_max + self.answer_bytes_max
    }
}

impl Default for Limits {
    /// Those of a process of which nobody knows how much memory it may use.
    fn default() -> Self {
        Self::for_memory(2 << 30)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the chart gives a router by default.
    fn router_memory_bytes() -> u64 {
        let values = include_str!("../../../../charts/cairn/values.yaml");
        let router = values.split("\nrouter:\n").nth(1).unwrap();
        let limit = router.split("limits: {memory: ").nth(1).unwrap();
        let megabytes: u64 = limit.split("Mi}").next().unwrap().parse().unwrap();
        megabytes << 20
    }

    #[test]
    fn clients_can_hold_no_more_than_a_router_of_the_chart_can_spare() {
        let memory = router_memory_bytes();
        let limits = Limits::for_memory(memory);
        let spared = memory as usize / 16 * 13;
        assert!((spared - (1 << 20)..=spared).contains(&limits.bytes_max()), "{limits:?}");
        assert!(limits.connections_max >= 1_000, "{limits:?}");
    }

    #[test]
    fn more_memory_makes_room_for_more() {
        let limits = [64, 512, 8192].map(|megabytes| Limits::for_memory(megabytes << 20));
        assert!(limits.is_sorted_by_key(|limits| limits.connections_max));
        assert!(limits.is_sorted_by_key(|limits| limits.answer_bytes_max));
    }
}
