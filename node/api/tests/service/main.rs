//! The service over a real socket, with signed requests, on partitions and a catalog in memory.
#![allow(clippy::unwrap_used, clippy::panic)]

mod batches;
mod catalog;
mod client;
mod fuzz;
mod gets_and_writes;
mod legacy;
mod partitions;
mod protocol;
mod queries;
mod signer;
mod tables;
