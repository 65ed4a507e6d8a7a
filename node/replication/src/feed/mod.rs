//! How a global index gets what its table has: the table's leader sends what its log changes in the index, in order, and the
//! index keeps, with its data, how far that is.
//!
//! *A partition of an index takes from a log only what is behind the place it is at, and all of it in the log's order.* So any
//! batch may be sent again, by whoever leads the table then.

pub(crate) mod filling;
mod source;

pub(crate) use filling::{Filled, Progress};
pub use source::{FeedError, Source};

use crate::{
    place::LogPlace,
    wire::{self, WireError},
};
use bytes::Bytes;
use cairn_model::{
    ids::{PartitionId, TableId},
    key::EncodedKey,
    node::FedReport,
};
use serde::{Deserialize, Serialize};

/// Bytes of a batch, but for its last entry.
pub const FEED_BYTES_MAX: usize = 1 << 20;
/// Writes of a batch, but for its last entry: the index's leader evaluates them all between two other entries.
pub(crate) const FEED_WRITES_MAX: usize = 1_024;

/// What a table's log changes in one of its global indexes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedBatch {
    /// The partition whose log it is.
    pub source: PartitionId,
    /// The index: its partitions are those of this table.
    pub index: TableId,
    /// None: only asks where the index is.
    pub changes: Option<FeedChanges>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedChanges {
    /// Behind which place of the log it begins; none: where the index begins.
    pub after: Option<LogPlace>,
    pub through: LogPlace,
    /// All that was there before the index is in it, once it is at `through`.
    pub complete: bool,
    /// In the log's order; of several to one key the last counts.
    pub writes: Vec<FeedWrite>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedWrite {
    pub key: EncodedKey,
    /// What the index shows of the item, as a stored version; none: it is in the index no more.
    pub version: Option<Bytes>,
}

/// How much of a partition's log is in an index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fed {
    pub place: Option<LogPlace>,
    /// All that was there before the index is in it.
    pub complete: bool,
}

impl Fed {
    /// As it is kept with the data of the index: a message of [`wire`], version 1.
    pub(crate) fn encode(&self) -> Result<Bytes, WireError> {
        wire::encode(self)
    }

    pub(crate) fn report(self, source: PartitionId) -> FedReport {
        let through = self.place.map_or(0, |place| place.index);
        FedReport { partition_id: source, complete: self.complete, through }
    }

    pub(crate) fn of(kept: Option<&Bytes>) -> Result<Self, WireError> {
        kept.map_or(Ok(Self::default()), |bytes| wire::decode(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: LogPlace = LogPlace { index: 300, term: 2, sequence: 3, epoch: 4, schema_version: 5 };

    /// They lie with the data: this may get siblings, it never changes.
    #[test]
    fn what_is_kept_of_version_1_stays_readable() {
        let fed = Fed { place: Some(PLACE), complete: true };
        let golden = [1, 1, 0xac, 2, 2, 3, 4, 5, 1];
        assert_eq!(fed.encode().unwrap(), golden.as_slice());
        assert_eq!(Fed::of(Some(&Bytes::copy_from_slice(&golden))), Ok(fed));
        assert_eq!(Fed::of(None), Ok(Fed::default()));
        let filled = Filled { start: PLACE, progress: Progress::Behind(EncodedKey(Bytes::from_static(b"k"))), fed: 7 };
        let golden = [1, 0xac, 2, 2, 3, 4, 5, 0, 1, b'k', 7];
        assert_eq!(filled.encode().unwrap(), golden.as_slice());
        assert_eq!(Filled::of(Some(&Bytes::copy_from_slice(&golden))), Ok(Some(filled)));
        let done = Filled { start: PLACE, progress: Progress::Done(9), fed: 8 };
        assert_eq!(done.encode().unwrap(), [1, 0xac, 2, 2, 3, 4, 5, 1, 9, 8].as_slice());
    }
}
