//! Replicas at a router: declared as Kubernetes resources, told of by what the storage nodes report.
#![allow(unreachable_pub, clippy::unwrap_used, clippy::panic)]

mod changing;
mod describing;
mod owners;
mod setting;
#[path = "../support/mod.rs"]
mod support;
