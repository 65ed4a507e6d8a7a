//! What a committed entry does to a replica's state, or that it is void: the same on every replica.

use crate::{
    entry::{Effect, Entry, EntryBody, EntryError, EntryWrite, RemoteEffect, RemoteWrite, Upkeep},
    expirations::Making,
    feed::Fed,
    global::set_aside,
    membership::{self, MemberChange},
    place::LogPlace,
    raft_types::LogEntry,
    stream::Recorder,
    transaction::kept,
};
use bytes::Bytes;
use cairn_engine::{Applied, ApplyBatch, ItemWrite, Kept, KeptWrite, Outcome};
use cairn_model::{
    codec::StoredVersion,
    descriptor::PartitionDescriptor,
    ids::{PartitionId, TableId},
    key::EncodedKey,
    table::TableDefinition,
    time::Timestamp,
};
use std::{collections::BTreeMap, sync::Arc};

/// What entries change besides items.
#[derive(Clone, Debug)]
pub(crate) struct ReplicatedState {
    pub(crate) descriptor: Arc<PartitionDescriptor>,
    pub(crate) definition: Arc<TableDefinition>,
    pub(crate) applied: Applied,
    /// Of a partition of a global index: how much it has of each of its table's.
    pub(crate) fed: Arc<BTreeMap<PartitionId, Fed>>,
}

/// What an entry came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Applies {
    /// The entry a leader's term begins with.
    Empty,
    Void,
    Valid,
    /// Valid, and Raft must be told.
    Members(MemberChange),
}

impl ReplicatedState {
    /// Applies one entry to this state and adds its effects to the batch.
    pub(crate) fn apply(&mut self, entry: &LogEntry, batch: &mut ApplyBatch) -> Result<Applies, EntryError> {
        let mut place = self.place();
        place.enter(entry.index, entry.term);
        (self.applied.index, self.applied.term, self.applied.sequence) = (place.index, place.term, place.sequence);
        if entry.payload.is_empty() {
            return Ok(Applies::Empty);
        }
        let Entry { header, body, index_changes, stream_changes } = Entry::decode(entry.payload.clone())?;
        self.applied.entry_time = self.applied.entry_time.max(header.entry_time);
        if !place.is_met_by(&header) {
            return Ok(Applies::Void);
        }
        let stream = self.definition.current_stream();
        let mut recorder = Recorder::new(stream, header.entry_time, stream_changes);
        let applies = match body {
            EntryBody::Writes(writes) => {
                for write in writes {
                    let (request_id, value) = (write.request_id, write.outcome.clone());
                    let is_asked_for = write.effect != Effect::Expire;
                    self.write(write, &mut recorder, batch);
                    if is_asked_for {
                        batch.outcomes.push(Outcome { request_id, entry_time: header.entry_time, value });
                    }
                }
                Applies::Valid
            }
            EntryBody::Descriptor(descriptor) => {
                let Some(change) = membership::change_between(&self.descriptor, &descriptor) else {
                    return Ok(Applies::Void);
                };
                self.descriptor = Arc::new(descriptor.clone());
                batch.descriptor = Some(descriptor);
                Applies::Members(change)
            }
            EntryBody::Definition(definition) => {
                if definition.schema_version != self.definition.schema_version + 1
                    || definition.table_id != self.definition.table_id
                {
                    return Ok(Applies::Void);
                }
                if definition.replicas.is_some() != self.definition.replicas.is_some() {
                    // What was known of other regions is of a life of the table that is over.
                    batch.kept.push(KeptWrite { what: Kept::Regions, value: None });
                }
                let stays = |id: TableId| definition.global_indexes.iter().any(|index| index.index_id == id);
                let gone = self.definition.global_indexes.iter().map(|index| index.index_id).filter(|id| !stays(*id));
                batch.kept.extend(gone.map(|id| KeptWrite { what: Kept::Filled(id), value: None }));
                if definition.time_to_live != self.definition.time_to_live {
                    let making = Making::begin().encode();
                    batch.kept.push(KeptWrite { what: Kept::Expirations, value: Some(making) });
                }
                self.definition = Arc::new(TableDefinition::clone(&definition));
                batch.definition = Some(*definition);
                Applies::Valid
            }
            EntryBody::Remote(remote) => {
                batch.kept.push(KeptWrite { what: Kept::Regions, value: Some(remote.state) });
                let writes = remote.groups.into_iter().flat_map(|group| group.writes);
                for write in writes {
                    self.apply_remote(write, &mut recorder, batch);
                }
                Applies::Valid
            }
            EntryBody::Upkeep(upkeep) => {
                self.apply_upkeep(upkeep, &mut recorder, batch);
                Applies::Valid
            }
            EntryBody::Expirations(making) => {
                batch.kept.push(KeptWrite { what: Kept::Expirations, value: making });
                Applies::Valid
            }
            EntryBody::Transaction(entry) => {
                entry.writes.into_iter().for_each(|write| self.write(write, &mut recorder, batch));
                batch.kept.extend(entry.kept.into_iter().map(|write| kept::write(write.key, write.value)));
                let outcome = |(request_id, value)| Outcome { request_id, entry_time: header.entry_time, value };
                batch.outcomes.extend(entry.outcome.map(outcome));
                Applies::Valid
            }
            EntryBody::Fed(fed) => {
                // What a newer program wrote is taken over all the same.
                if let Ok(known) = Fed::of(Some(&fed.fed)) {
                    Arc::make_mut(&mut self.fed).insert(fed.source, known);
                }
                batch.kept.push(KeptWrite { what: Kept::Fed(fed.source), value: Some(fed.fed) });
                fed.writes.into_iter().for_each(|write| self.apply_remote(write, &mut recorder, batch));
                Applies::Valid
            }
            EntryBody::Shown(shown) => {
                batch.kept.push(KeptWrite { what: Kept::Filled(shown.index), value: Some(shown.filled) });
                Applies::Valid
            }
        };
        batch.indexes.changes.extend(index_changes);
        self.applied.sequence = header.sequence;
        Ok(applies)
    }

    pub(crate) fn place(&self) -> LogPlace {
        LogPlace {
            index: self.applied.index,
            term: self.applied.term,
            sequence: self.applied.sequence,
            epoch: self.descriptor.epoch,
            schema_version: self.definition.schema_version,
        }
    }

    fn write(&mut self, write: EntryWrite, recorder: &mut Recorder, batch: &mut ApplyBatch) {
        self.count(&write.key, write.size_change, write.count_change, batch);
        match write.effect {
            Effect::Put(version) => {
                recorder.put(&write.key, &version, write.count_change, batch);
                batch.items.push(ItemWrite { key: write.key, value: Some(version) });
            }
            Effect::Delete | Effect::Expire => {
                recorder.delete(&write.key, batch);
                self.delete(write.key, write.version_time, batch);
            }
            Effect::Nothing => {}
        }
    }

    /// In a global table a deletion leaves a tombstone.
    fn delete(&self, key: EncodedKey, version_time: Timestamp, batch: &mut ApplyBatch) {
        if self.definition.replicas.is_some() {
            let tombstone = StoredVersion::tombstone(version_time, Bytes::new()).encode();
            batch.kept.push(KeptWrite { what: Kept::Tombstone(key.clone()), value: Some(tombstone) });
        }
        batch.items.push(ItemWrite { key, value: None });
    }

    fn apply_remote(&mut self, write: RemoteWrite, recorder: &mut Recorder, batch: &mut ApplyBatch) {
        self.count(&write.key, write.size_change, write.count_change, batch);
        let RemoteWrite { key, version, count_change, .. } = write;
        match write.effect {
            RemoteEffect::Put => {
                recorder.put(&key, &version, count_change, batch);
                batch.items.push(ItemWrite { key, value: Some(version) });
            }
            RemoteEffect::Delete => {
                recorder.delete(&key, batch);
                batch.items.push(ItemWrite { key: key.clone(), value: None });
                if self.definition.index_of.is_none() {
                    batch.kept.push(KeptWrite { what: Kept::Tombstone(key), value: Some(version) });
                }
            }
            RemoteEffect::SetAside => {
                if let Some(what) = set_aside(&key, &version) {
                    batch.kept.push(KeptWrite { what, value: Some(version) });
                }
            }
            RemoteEffect::Nothing => {}
        }
    }

    fn apply_upkeep(&mut self, upkeep: Upkeep, recorder: &mut Recorder, batch: &mut ApplyBatch) {
        if let Some(state) = upkeep.state {
            batch.kept.push(KeptWrite { what: Kept::Regions, value: Some(state) });
        }
        for key in upkeep.tombstones_removed {
            batch.kept.push(KeptWrite { what: Kept::Tombstone(key), value: None });
        }
        for write in upkeep.taken_up {
            if let Some(what) = set_aside(&write.key, &write.version) {
                batch.kept.push(KeptWrite { what, value: None });
            }
            self.apply_remote(write, recorder, batch);
        }
    }

    fn count(&mut self, key: &EncodedKey, size_change: i64, count_change: i8, batch: &mut ApplyBatch) {
        if size_change != 0 && !self.definition.local_indexes.is_empty() {
            batch.indexes.growth.push((key.clone(), size_change));
        }
        self.applied.size_bytes = self.applied.size_bytes.saturating_add_signed(size_change);
        self.applied.item_count = self.applied.item_count.saturating_add_signed(count_change.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{entry::EntryHeader, stream::StreamChange, testing};
    use cairn_model::{
        ids::RequestId,
        stream::{SequenceNumber, Stream},
        table::StreamViewType,
    };

    fn state() -> ReplicatedState {
        ReplicatedState {
            descriptor: Arc::new(testing::descriptor(1)),
            definition: Arc::new(testing::definition()),
            applied: Applied { index: 10, term: 2, sequence: 4, ..Applied::default() },
            fed: Arc::default(),
        }
    }

    fn header(term: u64, sequence: u64) -> EntryHeader {
        EntryHeader { term, epoch: 1, schema_version: 1, sequence, entry_time: Timestamp(50) }
    }

    fn writes(index: u64, term: u64, header: EntryHeader) -> LogEntry {
        let write = EntryWrite {
            request_id: RequestId([1; 16]),
            key: EncodedKey(Bytes::from_static(b"key")),
            effect: Effect::Put(Bytes::from_static(b"version")),
            version_time: Timestamp(50),
            size_change: 20,
            count_change: 1,
            outcome: Bytes::from_static(b"outcome"),
        };
        log_entry(
            index,
            term,
            &Entry {
                header,
                body: EntryBody::Writes(vec![write]),
                index_changes: Vec::new(),
                stream_changes: Vec::new(),
            },
        )
    }

    fn log_entry(index: u64, term: u64, entry: &Entry) -> LogEntry {
        LogEntry { index, term, kind: 0, payload: entry.encode().unwrap().into() }
    }

    #[test]
    fn an_entry_evaluated_on_the_state_it_meets_applies() {
        let (mut state, mut batch) = (state(), ApplyBatch::default());
        assert_eq!(state.apply(&writes(11, 2, header(2, 5)), &mut batch), Ok(Applies::Valid));
        assert_eq!((batch.items.len(), batch.outcomes.len()), (1, 1));
        let expected =
            Applied { index: 11, term: 2, sequence: 5, entry_time: Timestamp(50), item_count: 1, size_bytes: 20 };
        assert_eq!(state.applied, expected);
    }

    /// "An entry carries the term, the descriptor's epoch, the schema's version and the proposer's sequence under which it
    /// was evaluated. If any differs when it is applied, or the sequence has a gap, it is void."
    #[test]
    fn an_entry_is_void_if_term_epoch_schema_or_sequence_differ() {
        let good = header(2, 5);
        let others = [
            EntryHeader { term: 1, ..good },
            EntryHeader { epoch: 2, ..good },
            EntryHeader { schema_version: 2, ..good },
            EntryHeader { sequence: 6, ..good },
            EntryHeader { sequence: 4, ..good },
        ];
        for other in others {
            let (mut state, mut batch) = (state(), ApplyBatch::default());
            assert_eq!(state.apply(&writes(11, 2, other), &mut batch), Ok(Applies::Void), "{other:?}");
            assert!(batch.items.is_empty() && batch.outcomes.is_empty());
            assert_eq!(state.applied.index, 11, "the log goes on over it");
            assert_eq!(state.applied.sequence, 4, "what was evaluated on top of it is void too");
        }
    }

    #[test]
    fn a_new_term_counts_its_sequence_from_one() {
        let (mut state, mut batch) = (state(), ApplyBatch::default());
        let empty = LogEntry { index: 11, term: 3, kind: 0, payload: Bytes::new() };
        assert_eq!(state.apply(&empty, &mut batch), Ok(Applies::Empty));
        assert_eq!(state.apply(&writes(12, 3, header(3, 5)), &mut batch), Ok(Applies::Void));
        assert_eq!(state.apply(&writes(13, 3, header(3, 1)), &mut batch), Ok(Applies::Valid));
    }

    #[test]
    fn a_changed_definition_voids_what_was_evaluated_under_the_old_one() {
        let (mut state, mut batch) = (state(), ApplyBatch::default());
        let mut definition = testing::definition();
        definition.schema_version = 2;
        let change = Entry {
            header: header(2, 5),
            body: EntryBody::Definition(Box::new(definition)),
            index_changes: Vec::new(),
            stream_changes: Vec::new(),
        };
        assert_eq!(state.apply(&log_entry(11, 2, &change), &mut batch), Ok(Applies::Valid));
        assert_eq!(state.apply(&writes(12, 2, header(2, 6)), &mut batch), Ok(Applies::Void));
        assert!(batch.definition.is_some() && batch.items.is_empty());
    }

    #[test]
    fn the_changes_of_an_entry_have_their_records_in_its_order() {
        let (mut state, mut batch) = (state(), ApplyBatch::default());
        let stream = Stream { view_type: StreamViewType::KeysOnly, enabled_at_ms: 9 };
        Arc::make_mut(&mut state.definition).set_stream(Some(stream.view_type), stream.enabled_at_ms);
        let write = |effect| EntryWrite {
            request_id: RequestId([1; 16]),
            key: EncodedKey(Bytes::from_static(b"key")),
            effect,
            version_time: Timestamp(50),
            size_change: 0,
            count_change: 0,
            outcome: Bytes::new(),
        };
        let put = || write(Effect::Put(Bytes::from_static(b"version")));
        let writes = vec![put(), write(Effect::Nothing), put(), write(Effect::Delete)];
        let item = || StreamChange::Item { by_service: false, old_image: Bytes::new() };
        let entry = Entry {
            header: header(2, 5),
            body: EntryBody::Writes(writes),
            index_changes: Vec::new(),
            stream_changes: vec![item(), StreamChange::Nothing, item()],
        };
        assert_eq!(state.apply(&log_entry(11, 2, &entry), &mut batch), Ok(Applies::Valid));
        let numbers: Vec<_> = batch.stream.iter().map(|write| (write.stream, write.number)).collect();
        let number = |ordinal| (9, SequenceNumber { time: Timestamp(50), ordinal });
        assert_eq!(numbers, [number(0), number(2)]);
    }
}
