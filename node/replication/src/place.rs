//! A place in a partition's log, with all that decides whether the entry behind it is valid.

use crate::{
    entry::{Entry, EntryBody, EntryError, EntryHeader},
    log::LogEntry,
};
use serde::{Deserialize, Serialize};

/// What is true once the entry at `index` is applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPlace {
    pub index: u64,
    /// Of the entry there.
    pub term: u64,
    /// Of the proposer's last valid entry in that term.
    pub sequence: u64,
    /// Of the descriptor.
    pub epoch: u64,
    pub schema_version: u64,
}

impl LogPlace {
    /// Moves over the next entry, of this term.
    pub(crate) fn enter(&mut self, index: u64, term: u64) {
        if term != self.term {
            self.sequence = 0;
        }
        (self.index, self.term) = (index, term);
    }

    /// Whether the entry there was evaluated on just this state: its term, epoch and schema, and all of the proposer's entries
    /// before it. A void entry leaves the sequence where it was, so that those evaluated on top of it are void too.
    pub(crate) fn is_met_by(&self, header: &EntryHeader) -> bool {
        header.term == self.term
            && header.epoch == self.epoch
            && header.schema_version == self.schema_version
            && header.sequence == self.sequence + 1
    }

    /// Moves over the next entry of a log that was applied; gives it if it was valid. (Who proposes a descriptor or a
    /// definition has the present one before it, so that those are void only where others are.)
    pub(crate) fn pass(&mut self, entry: &LogEntry) -> Result<Option<Entry>, EntryError> {
        self.enter(entry.index, entry.term);
        if entry.payload.is_empty() {
            return Ok(None);
        }
        let entry = Entry::decode(entry.payload.clone())?;
        if !self.is_met_by(&entry.header) {
            return Ok(None);
        }
        self.sequence = entry.header.sequence;
        match &entry.body {
            EntryBody::Descriptor(descriptor) => self.epoch = descriptor.epoch,
            EntryBody::Definition(definition) => self.schema_version = definition.schema_version,
            _ => {}
        }
        Ok(Some(entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{apply::ReplicatedState, testing};
    use cairn_engine::{Applied, ApplyBatch};
    use cairn_model::time::Timestamp;
    use std::sync::Arc;

    /// Valid ones, and void for each reason.
    #[test]
    fn whoever_reads_a_log_passes_over_just_what_was_void_when_it_was_applied() {
        let mut state = ReplicatedState {
            descriptor: Arc::new(testing::descriptor(1)),
            definition: Arc::new(testing::definition()),
            applied: Applied { index: 1, term: 1, ..Applied::default() },
            fed: Arc::default(),
        };
        let mut place = state.place();
        let header = |term, schema_version, sequence| EntryHeader {
            term,
            epoch: 1,
            schema_version,
            sequence,
            entry_time: Timestamp(1),
        };
        let writes = EntryBody::Writes(Vec::new());
        let mut definition = testing::definition();
        definition.schema_version = 2;
        let entries = [
            (1, Some((header(1, 1, 1), writes.clone()))),
            (1, Some((header(1, 1, 3), writes.clone()))),
            (1, Some((header(1, 1, 2), EntryBody::Definition(Box::new(definition))))),
            (1, Some((header(1, 1, 3), writes.clone()))),
            (1, Some((header(1, 2, 3), writes.clone()))),
            (2, None),
            (2, Some((header(1, 2, 1), writes.clone()))),
            (2, Some((header(2, 2, 1), writes))),
        ];
        let mut valid = Vec::new();
        for (index, (term, entry)) in (2..).zip(entries) {
            let payload = entry.map(|(header, body)| {
                Entry { header, body, index_changes: Vec::new(), stream_changes: Vec::new() }.encode().unwrap().into()
            });
            let entry = LogEntry { index, term, kind: 0, payload: payload.unwrap_or_default() };
            let applies = state.apply(&entry, &mut ApplyBatch::default()).unwrap();
            let passed = place.pass(&entry).unwrap();
            assert_eq!(passed.is_some(), applies == crate::apply::Applies::Valid, "entry {index}");
            assert_eq!(place, state.place());
            valid.extend(passed.map(|_| index));
        }
        assert_eq!(valid, [2, 4, 6, 9]);
    }
}
