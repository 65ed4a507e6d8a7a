//! A global table's way between clusters. The leader of each partition *pulls*: it calls the other region's routers at their
//! port for peers ([`crate::router::peers`]), which hand the call to the leader of the partition there.
//!
//! [`source`] answers such calls, [`readers`] makes them. What versions, batches and positions mean is in
//! [`cairn_replication::global`]; who lists whom comes with the table's definition. Kubernetes has no part in any of it.

mod came;
mod clock_offset;
pub(crate) mod message;
mod metrics;
mod pair;
mod peer;
mod pull;
mod readers;
mod shipment;
mod source;
pub(crate) mod standing;
mod trouble;

pub(crate) use readers::Readers;
pub(crate) use source::RegionSource;
