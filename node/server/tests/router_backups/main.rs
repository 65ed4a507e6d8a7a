//! The operations on backups at a router: over archives that answer, are silent or know nothing, and over Kubernetes
//! resources.
#![allow(unreachable_pub, clippy::unwrap_used, clippy::panic)]

mod archive;
mod deletions;
mod listing;
mod making;
mod recovery;
mod restores;
mod setting;
mod silence;
#[path = "../support/mod.rs"]
mod support;
