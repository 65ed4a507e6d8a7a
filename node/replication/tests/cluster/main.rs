//! The machine on one to four nodes in one thread: what it does when nothing, or just one thing, goes wrong.
//! What it does when everything does is the simulation's.
#![allow(clippy::unwrap_used, clippy::panic, unreachable_pub)]

mod claims;
mod clocks;
mod cluster;
mod damage;
mod expiry;
mod filling;
mod global_indexes;
#[path = "../support/indexed.rs"]
mod indexed;
mod indexes;
mod leadership;
mod membership;
mod orders;
mod reads;
mod requests;
mod restores;
mod snapshots;
#[path = "../support/streamed.rs"]
mod streamed;
mod streams;
mod writes;
