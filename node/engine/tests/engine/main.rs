//! The engine as replication uses it: on a store in memory, and on fjall with real files.

#![allow(clippy::unwrap_used)]

mod apply;
mod crashes;
mod expirations;
mod global;
mod golden;
mod outcomes;
mod replicas;
mod retired;
mod snapshots;
mod streams;
mod support;
