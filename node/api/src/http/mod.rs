//! HTTP, below the operations: bodies, answers, connections.

pub(crate) mod body;
pub(crate) mod coding;
pub(crate) mod connection;
pub(crate) mod cors;
pub(crate) mod handshake;
pub(crate) mod head;
pub(crate) mod listener;
mod place;
pub(crate) mod reply;
mod timed_stream;
mod traffic;
