//! Tables at a router: what of them lies in Kubernetes resources.
#![allow(unreachable_pub, dead_code, clippy::unwrap_used, clippy::panic)]

mod auto_scaling;
mod behind;
mod global_indexes;
mod local_indexes;
mod overtaken;
#[path = "../router_global_tables/setting.rs"]
mod setting;
#[path = "../support/mod.rs"]
mod support;
mod table_class;
mod tags;
mod throughput;
mod time_to_live;
