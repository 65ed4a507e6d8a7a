//! What an entry says of its changes for the stream, beside their effects, and the records that come of it where it is applied.

use super::Kept;
use crate::operation::StreamEvent;
use bytes::Bytes;
use cairn_engine::StreamWrite;
use cairn_model::{
    codec::EncodedItem,
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

    /// The record of the next effect that puts (`new`) or deletes. `count_change`: of the partition's items, by which an item that
    /// was not there is told from one that was.
    pub(crate) fn record(
        &mut self,
        key: &EncodedKey,
        new: Option<&EncodedItem>,
        count_change: i8,
    ) -> Option<StreamWrite> {
        let number = SequenceNumber { time: self.entry_time, ordinal: self.ordinal };
        self.ordinal += 1;
        let (stream, change) = (self.stream?, self.changes.next()?);
        let StreamChange::Item { by_service, old_image } = change else { return None };
        let event = match (new, count_change) {
            (None, _) => StreamEvent::Remove,
            (Some(_), 1) => StreamEvent::Insert,
            (Some(_), _) => StreamEvent::Modify,
        };
        let new_image = new.filter(|_| stream.view_type.shows_new()).map(|item| item.0.clone()).unwrap_or_default();
        let kept = Kept { event, by_service, key: key.clone(), old_image, new_image };
        Some(StreamWrite { stream: stream.enabled_at_ms, number, record: kept.encode() })
    }
}
