//! How far a global index is filled with what its table had before: kept with the table, moved on by entries that show the
//! table's items again, a page each. And how much of the log the index has, as of some time ago.

use crate::{
    place::LogPlace,
    wire::{self, WireError},
};
use bytes::Bytes;
use cairn_engine::{Engine, Kept, Store};
use cairn_model::{index::GlobalIndex, key::EncodedKey};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Filled {
    /// Before the first of those entries: what is in the log up to there, the index does not need.
    pub(crate) start: LogPlace,
    pub(crate) progress: Progress,
    /// The index has the log up to this entry, or further: it is kept behind it, on every replica.
    pub(crate) fed: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Progress {
    /// All items up to this key were shown.
    Behind(EncodedKey),
    /// All were, by the entry at this index of the log.
    Done(u64),
}

/// Up to which entry the index has the log, as it is kept; none while it was not begun to fill it.
pub(crate) fn fed<S: Store>(engine: &Engine<S>, storage_id: u64, index: &GlobalIndex) -> Option<u64> {
    let kept = engine.kept(storage_id, &Kept::Filled(index.index_id)).ok().flatten()?;
    // What can't be read is kept for.
    Some(Filled::of(Some(&kept)).ok().flatten().map_or(0, |filled| filled.fed))
}

impl Filled {
    pub(crate) fn encode(&self) -> Result<Bytes, WireError> {
        wire::encode(self)
    }

    pub(crate) fn of(kept: Option<&Bytes>) -> Result<Option<Self>, WireError> {
        kept.map(|bytes| wire::decode(bytes)).transpose()
    }

    /// Keys begin with a hash, so that where one lies tells how many are before it.
    pub(crate) fn share(&self) -> f64 {
        let hash = |key: &EncodedKey| key.0.first_chunk().map_or(0, |hash| u64::from_be_bytes(*hash));
        match &self.progress {
            Progress::Behind(key) => hash(key) as f64 / u64::MAX as f64,
            Progress::Done(_) => 1.0,
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        matches!(self.progress, Progress::Done(_))
    }
}
