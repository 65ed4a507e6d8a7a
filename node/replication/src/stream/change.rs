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
        let shown =
            version.filter(|_| stream.view_type.shows_new()).and_then(|it| StoredVersion::parse(it.clone()).ok());
        let new_image = shown.map(|version| version.item.0).unwrap_or_default();
        let kept = Kept { event, by_service, key: key.clone(), old_image, new_image };
        batch.stream.push(StreamWrite { stream: stream.enabled_at_ms, number, record: kept.encode() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        operation::StreamRecord,
        stream::shown,
        testing::{self, item, key},
    };
    use cairn_model::table::StreamViewType;

    const VIEW_TYPES: [StreamViewType; 4] =
        [StreamViewType::KeysOnly, StreamViewType::NewImage, StreamViewType::OldImage, StreamViewType::NewAndOldImages];

    /// The record of an item's change in a stream of this view type.
    fn record(view_type: StreamViewType, old: Option<i64>, new: Option<i64>) -> Option<StreamRecord> {
        let stream = Some(Stream { view_type, enabled_at_ms: 7 });
        let [old, new] = [old, new].map(|number| number.map(|number| EncodedItem::encode(&item("a", number))));
        let change = StreamChange::of(stream, old.as_ref(), new.as_ref(), false).unwrap();
        let mut recorder = Recorder::new(stream, Timestamp(5), vec![change]);
        let mut batch = ApplyBatch::default();
        match &new {
            Some(item) => {
                let version =
                    StoredVersion { version_time: Timestamp(4), origin: Bytes::new(), item: item.clone() }.encode();
                recorder.put(&key("a"), &version, i8::from(old.is_none()), &mut batch);
            }
            None => recorder.delete(&key("a"), &mut batch),
        }
        let write = batch.stream.pop()?;
        assert_eq!((write.stream, write.number), (7, SequenceNumber { time: Timestamp(5), ordinal: 0 }));
        Some(shown(write.number, write.record, &testing::definition().key_schema).unwrap())
    }

    #[test]
    fn every_view_type_shows_of_every_change_what_it_says() {
        let image = |number: i64| Some(EncodedItem::encode(&item("a", number)));
        let changes = [
            (None, Some(1), StreamEvent::Insert),
            (Some(1), Some(2), StreamEvent::Modify),
            (Some(2), None, StreamEvent::Remove),
        ];
        for (old, new, event) in changes {
            for view_type in VIEW_TYPES {
                let record = record(view_type, old, new).unwrap();
                assert_eq!((record.event, record.by_service), (event, false));
                assert_eq!(record.keys, EncodedItem::encode(&testing::key_attributes("a")));
                let [old_image, new_image] = [old, new].map(|number| number.and_then(image));
                assert_eq!(record.old_image, old_image.filter(|_| view_type.shows_old()), "{view_type:?}");
                assert_eq!(record.new_image, new_image.filter(|_| view_type.shows_new()), "{view_type:?}");
            }
        }
    }

    #[test]
    fn a_change_of_nothing_has_no_record() {
        for view_type in VIEW_TYPES {
            assert_eq!(record(view_type, Some(1), Some(1)), None);
            assert_eq!(record(view_type, None, None), None);
        }
    }

    #[test]
    fn a_table_without_a_stream_says_nothing_for_one() {
        assert_eq!(StreamChange::of(None, None, Some(&EncodedItem::encode(&item("a", 1))), false), None);
    }
}
