//! What entries of the log become in a batch: the groups that its reader lacks.

use super::{OutboundError, Source};
use crate::{
    entry::{Effect, Entry, EntryBody, EntryWrite, RemoteWrites, TransactionEntry},
    global::{Group, Origin, Reader, Record, Vector},
    log::LogEntry,
    place::LogPlace,
};
use bytes::Bytes;
use cairn_engine::Store;
use cairn_model::codec::StoredVersion;

/// The groups of one batch.
pub(super) struct Gathering<'a, S> {
    source: &'a Source<'a, S>,
    reader: &'a Reader,
    known: Vector,
    groups: Vec<Group>,
    pub(super) record_count: usize,
    /// Times that moved on without a write.
    pub(super) moves: Vector,
}

impl<'a, S: Store> Gathering<'a, S> {
    pub(super) fn new(source: &'a Source<'a, S>, reader: &'a Reader) -> Self {
        let known = source.state.known(&source.vector);
        Self { source, reader, known, groups: Vec::new(), record_count: 0, moves: Vector::default() }
    }

    pub(super) fn entry(&mut self, place: &mut LogPlace, entry: &LogEntry) -> Result<(), OutboundError> {
        let own = &self.source.own;
        let Some(time) = Entry::time_of(&entry.payload) else {
            place.pass(entry)?;
            return Ok(());
        };
        // That it is void matters as little as that it is of another region: no entry behind it is stamped at or below.
        self.moves.advance(own, time);
        match place.pass(entry)?.map(|entry| entry.body) {
            Some(EntryBody::Writes(writes) | EntryBody::Transaction(TransactionEntry { writes, .. }))
                if self.reader.vector.get(own) < time =>
            {
                let records: Result<Vec<Record>, _> =
                    writes.into_iter().filter_map(|write| self.record(write).transpose()).collect();
                self.push(Origin { lineage: own.clone(), time }, records?);
            }
            Some(EntryBody::Remote(remote)) => self.remote(remote)?,
            _ => {}
        }
        Ok(())
    }

    fn record(&self, write: EntryWrite) -> Result<Option<Record>, OutboundError> {
        let version = match write.effect {
            Effect::Put(version) => StoredVersion::parse(version)?,
            Effect::Delete | Effect::Expire => StoredVersion::tombstone(write.version_time, Bytes::new()),
            Effect::Nothing => return Ok(None),
        };
        Ok(Some(Record { key: write.key, version: self.source.with_origin(version) }))
    }

    fn remote(&mut self, remote: RemoteWrites) -> Result<(), OutboundError> {
        let founder = self.source.state.founder.as_ref();
        for group in remote.groups {
            let mut records = Vec::with_capacity(group.writes.len());
            for write in group.writes {
                let version = StoredVersion::parse(write.version)?;
                let of = version.version(&self.source.own.region);
                if group.origin.is_some() || !self.reader.vector.covers_version(&of, &self.known, founder) {
                    records.push(Record { key: write.key, version: self.source.with_origin(version) });
                }
            }
            match group.origin {
                Some(origin) if self.reader.vector.get(&origin.lineage) >= origin.time => {}
                Some(origin) => self.push(origin, records),
                None if records.is_empty() => {}
                None => {
                    self.record_count += records.len();
                    self.groups.push(Group { origin: None, records });
                }
            }
        }
        Ok(())
    }

    fn push(&mut self, origin: Origin, records: Vec<Record>) {
        if records.is_empty() {
            self.moves.advance(&origin.lineage, origin.time);
        } else {
            self.record_count += records.len();
            self.groups.push(Group { origin: Some(origin), records });
        }
    }

    /// Times move on behind all writes of the batch.
    pub(super) fn finish(mut self) -> Vec<Group> {
        for (lineage, time) in self.moves.iter() {
            if time > self.reader.vector.get(lineage) {
                let origin = Some(Origin { lineage: lineage.clone(), time });
                self.groups.push(Group { origin, records: Vec::new() });
            }
        }
        self.groups
    }
}
