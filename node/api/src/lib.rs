//! DynamoDB's front door: HTTP, signatures, the JSON protocol and the operations, down to one request a partition.
//!
//! Tables, partitions and access keys are behind the traits [`Catalog`], [`Partitions`] and [`Credentials`]; nothing
//! here knows of replicas, disks or Kubernetes.

pub mod catalog;
pub mod credentials;
pub mod environment;
pub mod errors;
pub mod partitions;
mod service;

pub use catalog::{Catalog, NewTable, TableUpdate, TableView};
pub use credentials::{AccessKey, Authentication, Credentials};
pub use environment::Environment;
pub use partitions::{Partitions, RoutingKey};
pub use service::{Api, ApiConfig, Backends, serve};
