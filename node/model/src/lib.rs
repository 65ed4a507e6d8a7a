//! What a DynamoDB item, key and table are: values, numbers, encodings, sizes, limits, errors. No I/O.
//!
//! Everything here is pure; HTTP, JSON requests, storage and replication are above it.

#[cfg(test)]
mod arbitrary;
pub mod archive;
pub mod arn;
pub mod codec;
pub mod consumption;
pub mod descriptor;
pub mod error;
pub mod export;
mod hex_bytes;
pub mod identity;
pub mod ids;
pub mod index;
pub mod index_keys;
pub mod json;
pub mod key;
pub mod keys;
pub mod limits;
pub mod node;
pub mod number;
pub mod region;
pub mod size;
pub mod stream;
pub mod table;
pub mod table_class;
pub mod tags;
pub mod throttling;
pub mod throughput;
pub mod time;
pub mod transaction;
pub mod ttl;
pub mod value;

pub use error::{CancellationReason, ErrorKind, ServiceError};
pub use table::{KeySchema, TableDefinition};
pub use value::{AttributeValue, Item};
