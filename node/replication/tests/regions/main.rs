//! Two and three regions in one thread, each a true machine on its own nodes, with links between them that lose, repeat,
//! delay and reorder batches.
//!
//! `CAIRN_SEED=n` replays one seed of the convergence test, `CAIRN_SEEDS=n` runs so many.
#![allow(clippy::unwrap_used, clippy::panic, unreachable_pub)]

#[path = "../cluster/cluster.rs"]
#[allow(dead_code, reason = "the tests of one region use the rest")]
mod cluster;
#[path = "../support/indexed.rs"]
mod indexed;
#[path = "../cluster/requests.rs"]
#[allow(dead_code, reason = "the tests of one region use the rest")]
mod requests;
#[path = "../support/streamed.rs"]
mod streamed;

mod comebacks;
mod convergence;
mod copies;
mod expiry;
mod index_feed;
mod indexes;
mod members;
mod parting;
mod restores;
mod skew;
mod transactions;
mod world;
mod writes;
