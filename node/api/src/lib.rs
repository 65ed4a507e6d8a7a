//! DynamoDB's front door: HTTP, signatures, the JSON protocol and the operations, down to one request a partition.
//!
//! Tables, partitions, backups, other regions and access keys are behind the traits [`Catalog`], [`Partitions`],
//! [`Backups`], [`GlobalTables`] and [`Credentials`]; nothing here knows of replicas, disks, buckets or Kubernetes.

pub mod auto_scaling;
pub mod backups;
mod capacity;
pub mod catalog;
pub mod consumption;
pub mod credentials;
pub mod environment;
pub mod errors;
pub mod exports;
pub mod global_tables;
mod http;
pub mod imports;
mod input;
mod item_collections;
mod memory;
mod metrics;
mod operations;
mod output;
mod partiql;
pub mod partitions;
mod read_target;
mod request_id;
mod service;
mod sigv4;
pub mod tags;
mod transactions;
mod validation;

pub use auto_scaling::{AutoScalingUpdate, TableAutoScaling};
pub use backups::Backups;
pub use cairn_model::arn;
pub use catalog::{
    Catalog, GlobalIndexUpdate, IndexView, MaximumUpdate, NewTable, OnDemandUpdate, RecoveryUpdate, StreamUpdate,
    TableUpdate, TableView, TimeToLiveUpdate,
};
pub use credentials::{AccessKey, Authentication, Credentials};
pub use environment::Environment;
pub use exports::Exports;
pub use global_tables::GlobalTables;
pub use http::{
    handshake::Handshake,
    listener::{serve, serve_after},
};
pub use imports::Imports;
pub use memory::{Limits, Room};
pub use partitions::{Partitions, RoutingKey};
pub use service::{Api, ApiConfig, Backends};
pub use tags::{TagUpdate, Tags};
