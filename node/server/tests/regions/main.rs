//! Two regions, each of storage nodes as processes and a router's port for peers, with certificates of their own.
#![allow(unreachable_pub, clippy::unwrap_used, clippy::panic, clippy::expect_used)]

#[path = "../support/mod.rs"]
mod support;

mod convergence;
mod faults;
mod link;
mod side;
mod troubles;
