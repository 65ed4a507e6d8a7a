//! What an entry says of its changes for the stream, beside their effects, and the records that come of it where it is applied.

use super::Kept;
use crate::operation::StreamEvent;
use bytes::Bytes;
use cairn_engine::{ApplyBatch, StreamWrite};
use cairn_model::{
    codec::{EncodedItem, StoredVersion},
    key::EncodedKey,
    stream::{SequenceNumber, Stream},
    time::Timestamp,
};

/// What is said of one effect that puts or deletes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StreamChange {
    /// The item stays as it was: there is no record of it.
    Nothing,
    /// There is one.
    Item {
        by_service: bool,
        /// The item as it was, an [`EncodedItem`], where the stream shows it; else empty.
        old_image: Bytes,
    },
}

impl StreamChange {
    /// Of an item that was and becomes this; none while the table has no stream.
    pub(crate) fn of(
        stream: Option<Stream>,
        old: Option<&EncodedItem>,
        new: Option<&EncodedItem>,
        by_service: bool,
    ) -> Option<Self> {
        let stream = stream?;
        // Every item has one encoding.
        if old == new {
            return Some(Self::Nothing);
        }
        let old_image = old.filter(|_| stream.view_type.shows_old()).map(|item| item.0.clone()).unwrap_or_default();
        Some(Self::Item { by_service, old_image })
    }

    pub(crate) fn encoded_bytes(&self) -> usize {
        match self {
            Self::Nothing => 1,
            Self::Item { old_image, .. } => 5 + old_image.len(),
        }
    }
}

/// Makes the records of one entry, effect by effect, in the order in which the entry has them.
#[derive(Debug)]
pub(crate) struct Recorder {
    /// None while the table has none.
    stream: Option<Stream>,
    entry_time: Timestamp,
    changes: std::vec::IntoIter<StreamChange>,
    ordinal: u32,
}

impl Recorder {
    pub(crate) fn new(stream: Option<Stream>, entry_time: Timestamp, changes: Vec<StreamChange>) -> Self {
        Self { stream, entry_time, changes: changes.into_iter(), ordinal: 0 }
    }

    /// The next effect puts this stored version. `count_change`: of the partition's items, by which an item that was not there is
    /// told from one that was.
    pub(crate) fn put(&mut self, key: &EncodedKey, version: &Bytes, count_change: i8, batch: &mut ApplyBatch) {
        let event = if count_change > 0 { StreamEvent::Insert } else { StreamEvent::Modify };
        self.record(event, key, Some(version), batch);
    }

    /// The next effect deletes the item.
    pub(crate) fn delete(&mut self, key: &EncodedKey, batch: &mut ApplyBatch) {
        self.record(StreamEvent::Remove, key, None, batch);
    }

    fn record(&mut self, event: StreamEvent, key: &EncodedKey, version: Option<&Bytes>, batch: &mut ApplyBatch) {
        let number = SequenceNumber { time: self.entry_time, ordinal: self.ordinal };
        self.ordinal += 1;
        let (Some(stream), Some(change)) = (self.stream, self.changes.next()) else { return };
        let StreamChange::Item { by_service, old_image } = change else { return };
        // Every entry has versions that can be read: this replica's leader made them.
        let shown = version.filter(|_| stream.view_type.shows_new()).and_then(|it| StoredVersion::parse(it.clone()).ok());
        let new_image = shown.map(|version| version.item.0).unwrap_or_default();
        let kept = Kept { event, by_service, key: key.clone(), old_image, new_image };
        batch.stream.push(StreamWrite { stream: stream.enabled_at_ms, number, record: kept.encode() });
    }
}
