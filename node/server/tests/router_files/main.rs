//! Exports and imports as the clients of a router meet them, over storage nodes and archives that are processes.
#![allow(unreachable_pub, clippy::unwrap_used, clippy::panic)]

mod exports;
mod imports;
mod setting;
#[path = "../support/mod.rs"]
mod support;
