//! DynamoDB's front door: HTTP, signatures, the JSON protocol and the operations, down to one request a partition.
//!
//! Tables, partitions and access keys are behind the traits [`Catalog`], [`Partitions`] and [`Credentials`]; nothing
//! here knows of replicas, disks or Kubernetes.

mod capacity;
pub mod catalog;
pub mod credentials;
pub mod environment;
pub mod errors;
mod http;
mod input;
mod metrics;
mod operations;
mod output;
pub mod partitions;
mod request_id;
mod service;
mod sigv4;
mod validation;

pub use catalog::{Catalog, NewTable, TableUpdate, TableView};
pub use credentials::{AccessKey, Authentication, Credentials};
pub use environment::Environment;
pub use http::listener::serve;
pub use partitions::{Partitions, RoutingKey};
pub use service::{Api, ApiConfig, Backends};
