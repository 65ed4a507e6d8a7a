//! From what was validated to the Kubernetes objects it becomes: pure, one resource a file.

pub mod archive;
mod container;
pub mod default_group;
pub mod fleet_secret;
pub mod names;
pub mod network_policy;
pub mod peer_bundle;
pub mod pod;
pub mod pod_disruption_budget;
pub mod service;
pub mod service_account;
pub mod stateful_set;
pub mod tls_secret;

#[cfg(test)]
pub(crate) mod fixture;
