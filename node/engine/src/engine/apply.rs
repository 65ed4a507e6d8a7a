//! Applying entries: one atomic batch for a run of them.

use super::{Engine, IndexBatch, Live};
use crate::{Applied, Changes, EngineError, Store, layout, outcome::OutcomeChanges, record::AppliedState};
use bytes::Bytes;
use cairn_model::{
    TableDefinition,
    descriptor::PartitionDescriptor,
    ids::{PartitionId, RequestId, TableId},
    key::EncodedKey,
    stream::SequenceNumber,
    time::Timestamp,
};
use parking_lot::Mutex;

/// The effects of a run of entries, in their order.
#[derive(Clone, Debug, Default)]
pub struct ApplyBatch {
    /// Of several for one key the last counts.
    pub items: Vec<ItemWrite>,
    /// What is kept beside the items; of several for one thing the last counts.
    pub kept: Vec<KeptWrite>,
    /// What streams keep of the changes.
    pub stream: Vec<StreamWrite>,
    pub indexes: IndexBatch,
    /// In the order of the entries, and of the writes in each.
    pub outcomes: Vec<Outcome>,
    /// The descriptor as of the last entry, if one changed it.
    pub descriptor: Option<PartitionDescriptor>,
    /// The definition as of the last entry, if one changed it.
    pub definition: Option<TableDefinition>,
    /// As of the last entry.
    pub applied: Applied,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemWrite {
    pub key: EncodedKey,
    /// The encoded [`cairn_model::codec::StoredVersion`]; none to delete.
    pub value: Option<Bytes>,
}

/// What a replica keeps beside its items: of a global table, and of transactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Where an item was deleted: its version, without an item.
    Tombstone(EncodedKey),
    /// A version whose time is too far ahead, under a key that begins with the time (layout.rs).
    SetAside(Bytes),
    /// How far the index of expirations is made, while it is not; what is in it is the replication package's business.
    Expirations,
    /// What other regions have, and where the reading of them stands; what is in it is the replication package's business.
    Regions,
    /// Of a partition of a global index: how much of this partition's log is in it.
    Fed(PartitionId),
    /// Of a table: how far the global index with this id is filled with what was there before it.
    Filled(TableId),
    /// What is known of transactions, under a key that is the replication package's business, as what is in it.
    Transaction(Bytes),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptWrite {
    pub what: Kept,
    /// None to delete.
    pub value: Option<Bytes>,
}

/// A stream's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamWrite {
    /// When the stream was enabled, by which it is told from others of the table; milliseconds since the Unix epoch.
    pub stream: u64,
    pub number: SequenceNumber,
    /// What is in it is the replication package's business.
    pub record: Bytes,
}

/// What a request came to, for its retries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub request_id: RequestId,
    /// Of the entry that carries it: all outcomes of an entry have this time, and no others do.
    pub entry_time: Timestamp,
    pub value: Bytes,
}

impl<S: Store> Engine<S> {
    /// Applies a run of entries atomically: after a crash all of it is there, with `applied`, or none. Not fsynced: the
    /// log is, and what is lost here is applied again from it.
    pub fn apply(&self, storage_id: u64, batch: ApplyBatch) -> Result<(), EngineError> {
        let (partition_id, live) = self.live_storage(storage_id)?;
        if batch.descriptor.is_none() && batch.definition.is_none() {
            return self.apply_to(storage_id, &live, &batch, Changes::default());
        }
        let _node = self.node.lock();
        let Some(mut record) = self.directory.read().records.get(&partition_id).map(|(record, _)| record.clone())
        else {
            return Err(EngineError::UnknownStorage { storage_id });
        };
        if let Some(descriptor) = &batch.descriptor {
            record.descriptor = descriptor.clone();
        }
        if let Some(definition) = &batch.definition {
            record.definition = definition.clone();
        }
        let mut changes = Changes::default();
        changes.put(layout::record(partition_id), record.encode()?);
        self.apply_to(storage_id, &live, &batch, changes)?;
        if let Some((known, _)) = self.directory.write().records.get_mut(&partition_id) {
            *known = record;
        }
        Ok(())
    }

    fn apply_to(
        &self,
        storage_id: u64,
        live: &Mutex<Live>,
        batch: &ApplyBatch,
        mut changes: Changes,
    ) -> Result<(), EngineError> {
        let mut live = live.lock();
        if live.dropped {
            return Err(EngineError::UnknownStorage { storage_id });
        }
        let applied = live.state.applied.index;
        if batch.applied.index <= applied {
            return Err(EngineError::AppliedAlready { storage_id, index: batch.applied.index, applied });
        }
        let deleted = batch.items.iter().filter(|write| write.value.is_none());
        deleted.for_each(|write| live.deletions.note(&write.key, batch.applied.index));
        for write in &batch.items {
            let key = layout::item(storage_id, &write.key.0);
            match &write.value {
                Some(value) => changes.put(key, value.clone()),
                None => changes.delete(key),
            }
        }
        for write in &batch.kept {
            let key = layout::kept(storage_id, &write.what);
            match &write.value {
                Some(value) => changes.put(key, value.clone()),
                None => changes.delete(key),
            }
        }
        for write in &batch.stream {
            changes.put(layout::stream_record(storage_id, write.stream, write.number), write.record.clone());
        }
        batch.indexes.plan(&self.store, storage_id, &mut changes)?;
        let outcomes = OutcomeChanges::plan(
            &self.store,
            storage_id,
            &live.outcomes,
            live.state.outcomes,
            &batch.outcomes,
            batch.applied.entry_time,
            &mut changes,
        )?;
        let state = AppliedState { applied: batch.applied, outcomes: outcomes.window };
        changes.put(layout::applied(storage_id), state.encode());
        self.store.commit(changes)?;
        live.state = state;
        outcomes.finish(&mut live.outcomes)
    }
}
