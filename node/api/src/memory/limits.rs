//! How the memory of a process is divided among its clients.

use super::room::{FREE_BYTES, FREE_READ_BYTES};
use crate::http::{
    body::FREE_BODY_BYTES,
    connection::{CONNECTION_WINDOW_BYTES, HEAD_BYTES_MAX, REFUSED_MAX},
};

/// The tasks of a connection, and a record of its TLS in each direction.
const CONNECTION_STATE_BYTES: usize = (8 << 10) + 2 * (16 << 10);
/// What is left of a stream of HTTP/2 once its request is refused, until its client takes the answer.
const REFUSED_STREAM_BYTES: usize = 1 << 10;
/// A request's headers once parsed, and what serves it.
const REQUEST_STATE_BYTES: usize = 16 << 10;
/// Requests that may wait for a place, however few may be served at once: they end within moments.
const WAITING_ALWAYS: usize = 64;

/// What a connection may hold: what it reads at once, and its state.
const CONNECTION_BYTES: usize = HEAD_BYTES_MAX + CONNECTION_STATE_BYTES;
/// What one of HTTP/2 may hold besides: what its client sent before anyone read it, and requests that are refused.
const HTTP2_BYTES: usize = CONNECTION_WINDOW_BYTES as usize + REFUSED_MAX * REFUSED_STREAM_BYTES;
/// What a request may hold without asking a budget: its head, its body, what that becomes, and its answer, where these are small.
const REQUEST_BYTES: usize = HEAD_BYTES_MAX + FREE_BODY_BYTES + FREE_READ_BYTES + FREE_BYTES + REQUEST_STATE_BYTES;

/// How many further connections one of HTTP/2 stands for.
pub(crate) const HTTP2_CONNECTIONS: u32 = HTTP2_BYTES.div_ceil(CONNECTION_BYTES) as u32;

/// What all clients together may make a process hold. Of its memory, four sixteenths are for connections, four for requests, two for
/// their bodies and three for answers; the rest is the program's, its tables' and its own connections'.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once; one of HTTP/2 counts as three.
    pub connections_max: usize,
    /// Requests served at once, of which one connection of HTTP/2 may have several.
    pub requests_max: usize,
    /// Bytes of request bodies, small ones aside; one of 16 MB is always taken where it is the only one.
    pub body_bytes_max: usize,
    /// Bytes of answers, of what they are made of and of what requests become once they are read, small ones aside; one of any size is always made where it is the only one.
    pub answer_bytes_max: usize,
}

impl Limits {
    /// For a process that may use `bytes` in all.
    pub fn for_memory(bytes: u64) -> Self {
        let sixteenth = usize::try_from(bytes / 16).unwrap_or(usize::MAX / 16);
        let of_requests = (4 * sixteenth).saturating_sub(WAITING_ALWAYS * REQUEST_BYTES);
        Self {
            connections_max: (4 * sixteenth / CONNECTION_BYTES).max(16),
            // An eighth as many may wait.
            requests_max: (of_requests / 9 * 8 / REQUEST_BYTES).max(16),
            body_bytes_max: 2 * sixteenth,
            answer_bytes_max: 3 * sixteenth,
        }
    }

    /// How many requests may wait for those that are served.
    pub(crate) fn waiting_max(&self) -> usize {
        self.requests_max / 8 + WAITING_ALWAYS
    }

    /// What it comes to where clients hold all that they can.
    pub fn bytes_max(&self) -> usize {
        self.connections_max * CONNECTION_BYTES
            + (self.requests_max + self.waiting_max()) * REQUEST_BYTES
            + self.body_bytes_max
            + self.answer_bytes_max
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
        assert!(limits.connections_max >= 2_000 && limits.requests_max >= 1_000, "{limits:?}");
        // What is no budget's counts as so many connections as it takes.
        assert!(HTTP2_CONNECTIONS as usize * CONNECTION_BYTES >= HTTP2_BYTES);
    }

    #[test]
    fn more_memory_makes_room_for_more() {
        let limits = [64, 512, 8192].map(|megabytes| Limits::for_memory(megabytes << 20));
        assert!(limits.is_sorted_by_key(|limits| limits.connections_max));
        assert!(limits.is_sorted_by_key(|limits| limits.answer_bytes_max));
    }
}
