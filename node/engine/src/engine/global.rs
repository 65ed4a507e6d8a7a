//! What a replica of a global table keeps beside its items: tombstones, versions set aside, what other regions have.

use super::{Engine, Kept, KeptIter, ScanIter};
use crate::{
    EngineError, ReplicaRecord, Store, StoreSnapshot, layout,
    record::{AppliedState, StoredRecord},
};
use bytes::Bytes;
use cairn_model::{ids::PartitionId, key::EncodedKey};

/// A replica at one applied index, with what it knows of other regions then.
#[derive(Clone, Debug)]
pub struct GlobalPoint {
    pub replica: ReplicaRecord,
    /// As it was kept under [`Kept::Regions`].
    pub regions: Option<Bytes>,
    /// The key of the first version set aside, behind the storage id and the index.
    pub first_set_aside: Option<Bytes>,
}

impl<S: Store> Engine<S> {
    pub fn kept(&self, storage_id: u64, what: &Kept) -> Result<Option<Bytes>, EngineError> {
        Ok(self.store.get(&layout::kept(storage_id, what))?)
    }

    /// What is kept under [`Kept::Fed`], by partition.
    pub fn fed(&self, storage_id: u64) -> Result<Vec<(PartitionId, Bytes)>, EngineError> {
        let (lower, upper) = layout::all_fed(storage_id);
        let kept = KeptIter(self.store.snapshot().range(lower, upper, true));
        let of_source = |(key, value): (Bytes, Bytes)| Some((PartitionId((*key).try_into().ok()?), value));
        kept.filter_map(|pair| pair.map(of_source).transpose()).collect()
    }

    /// The tombstones behind a key, in key order, all as of now. Drop it within seconds.
    pub fn tombstones(&self, storage_id: u64, after: Option<&EncodedKey>) -> ScanIter {
        let (lower, upper) = layout::tombstones(storage_id, after.map(|key| &key.0[..]));
        ScanIter::new(self.store.snapshot().range(lower, upper, true))
    }

    /// What is set aside behind a key, the earliest version time first. Drop it within seconds.
    pub fn set_aside(&self, storage_id: u64, after: Option<&[u8]>) -> KeptIter {
        let (lower, upper) = layout::set_aside(storage_id, after);
        KeptIter(self.store.snapshot().range(lower, upper, true))
    }

    /// The replica and what it knows of other regions, both as of one applied index.
    pub fn global_point(&self, storage_id: u64) -> Result<GlobalPoint, EngineError> {
        let (partition_id, _) = self.live_storage(storage_id)?;
        let snapshot = self.store.snapshot();
        let missing = || EngineError::UnknownStorage { storage_id };
        let record = StoredRecord::decode(&snapshot.get(&layout::record(partition_id))?.ok_or_else(missing)?)?;
        if record.storage_id != storage_id {
            return Err(missing());
        }
        let state = AppliedState::decode(&snapshot.get(&layout::applied(storage_id))?.ok_or_else(missing)?)?;
        let regions = snapshot.get(&layout::kept(storage_id, &Kept::Regions))?;
        let (lower, upper) = layout::set_aside(storage_id, None);
        let first_set_aside = KeptIter(snapshot.range(lower, upper, true)).next().transpose()?.map(|(key, _)| key);
        Ok(GlobalPoint { replica: record.with_applied(state.applied), regions, first_set_aside })
    }
}
