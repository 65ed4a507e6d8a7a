//! What the partitions of a storage node consumed in each of the last minutes, as the node reports it: auto-scaling follows it.

use crate::ids::PartitionId;
use serde::{Deserialize, Serialize};

/// The minutes that are kept: as many as target tracking looks back on.
pub const MINUTES_KEPT: u64 = 15;

/// Of the partitions with a limit that a node has replicas of. Minutes are counted from the Unix epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Consumption {
    /// The first minute of which the node knows everything: what it did before it started, it doesn't know.
    pub first_minute: u64,
    /// The last minute that is over.
    pub last_minute: u64,
    pub partitions: Vec<PartitionConsumption>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PartitionConsumption {
    pub partition_id: PartitionId,
    /// Those of the kept minutes that are over and in which anything was consumed, ascending.
    pub minutes: Vec<MinuteConsumption>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MinuteConsumption {
    pub minute: u64,
    pub read_half_units: u64,
    pub write_half_units: u64,
}
