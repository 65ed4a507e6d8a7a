//! A Raft group for each partition: proposer, log, transport, snapshots, membership.
//!
//! [`core`] is a pure step machine for all the partitions of a node: no threads, no clocks, no network.
//! [`host`] drives it with one thread, and answers what needs no loop at all. What a write does to an item is decided
//! in [`proposer`]; what a router asks and is answered is in [`operation`]. HTTP and routing are above this package;
//! how items lie on disk is below it. No type of the Raft libraries leaves it.

mod agreement;
mod apply;
pub mod clock;
pub mod config;
pub mod core;
mod entry;
mod evaluate;
mod expirations;
pub mod feed;
mod frame;
pub mod global;
pub mod host;
mod indexes;
pub mod log;
mod log_sizes;
mod membership;
pub mod metrics;
pub mod operation;
mod overlay;
mod place;
mod proposer;
mod raft_logger;
mod raft_types;
pub mod read;
mod reads;
mod replica;
pub mod restore;
mod storage;
mod stream;
#[cfg(test)]
mod testing;
pub mod transaction;
pub mod wire;

pub use clock::{Clock, Now, SystemClock};
pub use config::{CoreConfig, ShortOfRoom};
pub use host::{Host, HostConfig, Transport};
pub use metrics::Metrics;
pub use place::LogPlace;
