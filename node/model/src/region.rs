//! How a partition of a global table stands with another region, as the storage node that leads it sees it.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegionReport {
    pub region: String,
    pub state: RegionState,
    /// What is wrong now, if something is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<RegionProblem>,
    /// When something of that region, be it that there is nothing new, was last taken in; milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_success_ms: Option<u64>,
    /// From a write there until it is here: the last one that came; milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u64>,
    /// Entries of that region's log that are not here yet, when it was last asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_records: Option<u64>,
    /// Items that the present copy has brought, and about how many there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<CopyProgress>,
    /// That region's clock less this one's, as far as the time a message takes lets one tell; milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_offset_ms: Option<i64>,
    /// Versions, of whatever region, that wait here because their time is too far ahead.
    #[serde(default)]
    pub set_aside: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CopyProgress {
    pub items: u64,
    pub items_of: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RegionState {
    /// Nothing was read of it yet.
    Connecting,
    /// What it holds is being copied.
    Copying,
    /// All that it held is here, and what it writes follows.
    Replicating,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegionProblem {
    pub reason: RegionTrouble,
    /// For a person: on which side what is wrong, and what to do.
    pub message: String,
}

/// The reasons of conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RegionTrouble {
    /// The endpoint does not answer.
    Unreachable,
    /// One side's certificate is not of the authority that the other was told, or not of the region.
    Untrusted,
    /// Whoever answers is another cluster than the peer bundle says, or another region.
    WrongCluster,
    /// The other side does not list this region.
    NotListed,
    /// The other side has no such table yet.
    TableMissing,
    /// The tables' keys differ.
    KeySchemaDiffers,
    /// Both tables had data before they were joined, or one was taken out and comes back with what it had.
    NotEmpty,
    /// The clocks differ by more than is safe to ignore.
    ClockSkew,
    /// The other side, or this one, failed; it is tried again.
    Failed,
}

impl RegionTrouble {
    /// As it stands in a condition.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Unreachable => "Unreachable",
            Self::Untrusted => "Untrusted",
            Self::WrongCluster => "WrongCluster",
            Self::NotListed => "NotListed",
            Self::TableMissing => "TableMissing",
            Self::KeySchemaDiffers => "KeySchemaDiffers",
            Self::NotEmpty => "NotEmpty",
            Self::ClockSkew => "ClockSkew",
            Self::Failed => "Failed",
        }
    }
}
