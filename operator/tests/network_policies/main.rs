//! What NetworkPolicies say for every pair that must talk and every pair that must not, worked out as Kubernetes defines it:
//! the test cluster's network does not enforce them.

#![allow(clippy::unwrap_used, clippy::panic)]

mod evaluation;
mod release;
mod storage;
