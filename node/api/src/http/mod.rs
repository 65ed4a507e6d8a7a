//! HTTP, below the operations: bodies, answers, connections.

pub(crate) mod body;
pub(crate) mod listener;
pub(crate) mod reply;
mod timed_stream;
