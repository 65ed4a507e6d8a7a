//! Backups and point-in-time recovery: what lies in the bucket, how it gets there, and how a table comes back from it.
//!
//! [`Shipper`] brings the committed log and snapshots of a node's partitions into a [`Bucket`]; [`backup`] keeps whole
//! copies of tables; [`restore`] finds and reads what a new table is made of; [`check`] looks for damage, [`retention`]
//! deletes what is past its time. The archive knows log entries and
//! snapshots as bytes: what they mean is the business of the packages around it, which it meets in [`Source`] and
//! [`RestoreSink`](restore::RestoreSink).

mod archived;
pub mod backup;
mod block;
mod bucket;
pub mod check;
mod config;
mod document;
mod error;
pub mod export;
pub mod import;
mod layout;
mod manifest;
mod merging;
mod metrics;
mod prepares;
mod presence;
pub mod restore;
pub mod retention;
mod rope;
mod segment;
mod shipper;
mod snapshot;
mod source;
pub mod table;
mod tail;
mod window;

pub use bucket::Bucket;
pub use cairn_replication::core::Claim;
pub use config::ArchiveConfig;
pub use error::ArchiveError;
pub use layout::TablePath;
pub use metrics::Metrics;
pub use shipper::{Shipper, ShipperOptions};
pub use source::{Source, SourceError, SourcePartition, SourceSnapshot};
pub use window::{Recovery, Window};

#[cfg(test)]
mod golden;
