//! The operator: makes storage groups, tables, certificates and access keys of what people declare.
//!
//! A reconcile is dereference → validate → build → apply. It never stands in the path of data: nodes and routers go on without it.

pub mod admin;
pub mod build;
pub mod config;
pub mod context;
pub mod controller;
pub mod error;
pub mod leader;
pub mod metrics;
pub mod node_client;
pub mod pki;
pub mod rolling;
pub mod run;
pub mod uninstall;
pub mod watches;

pub use error::{Error, Result};

/// Under this name the operator applies what it builds.
pub const FIELD_MANAGER: &str = "cairn-operator";
