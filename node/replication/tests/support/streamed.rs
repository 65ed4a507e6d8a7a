//! What a replica's stream says of its items: each change once, each on top of the one before, and the last as the item is.

use bytes::Bytes;
use cairn_engine::{Engine, Store};
use cairn_model::{
    codec::{EncodedItem, StoredVersion},
    ids::PartitionId,
    key::EncodedKey,
    stream::Stream,
    table::{StreamViewType, TableDefinition},
    time::Timestamp,
};
use cairn_replication::{
    operation::{PartitionOutcome, PartitionRequest, StreamEvent, StreamOutcome, StreamRecord, StreamRequest},
    read::{ReadPlace, read},
};
use std::{collections::BTreeMap, ops::Bound};

/// The stream that tables are tried with.
pub const STREAM: Stream = Stream { view_type: StreamViewType::NewAndOldImages, enabled_at_ms: 1_000 };

pub fn records<S: Store>(engine: &Engine<S>, storage_id: u64, definition: &TableDefinition) -> Vec<StreamRecord> {
    let place = ReadPlace {
        storage_id,
        schema: &definition.key_schema,
        range: &Default::default(),
        local_indexes: &[],
        index_of: None,
        partition: PartitionId([0; 16]),
        streams: definition.stream.as_ref(),
    };
    let (mut records, mut after) = (Vec::new(), None);
    loop {
        let request = StreamRequest {
            stream: STREAM.enabled_at_ms,
            after,
            horizon: Timestamp(1),
            limit: 100,
            page_bytes: 1 << 20,
        };
        match read(engine, place, &PartitionRequest::Stream(request)).unwrap() {
            PartitionOutcome::Stream(StreamOutcome { records: page, .. }) if page.is_empty() => return records,
            PartitionOutcome::Stream(page) => {
                after = Some(page.last);
                records.extend(page.records);
            }
            other => panic!("no page: {other:?}"),
        }
    }
}

/// Where the stream and the items contradict each other. Items that were there before the stream have no record of how they came.
pub fn flaw<S: Store>(engine: &Engine<S>, storage_id: u64, definition: &TableDefinition) -> Option<String> {
    let mut last: BTreeMap<Bytes, Option<EncodedItem>> = BTreeMap::new();
    let mut number = None;
    for record in records(engine, storage_id, definition) {
        let key = EncodedKey::from_key(&definition.key_schema, &record.keys.decode().unwrap()).unwrap();
        let has = (record.old_image.is_some(), record.new_image.is_some());
        let fits = match record.event {
            StreamEvent::Insert => has == (false, true),
            StreamEvent::Modify => has == (true, true) && record.old_image != record.new_image,
            StreamEvent::Remove => has == (true, false),
        };
        let goes_on = last.get(&key.0).is_none_or(|before| *before == record.old_image);
        if !fits || !goes_on || number >= Some(record.number) {
            return Some(format!("{record:?} comes after {:?}, behind {number:?}", last.get(&key.0)));
        }
        number = Some(record.number);
        last.insert(key.0, record.new_image);
    }
    for pair in engine.scan(storage_id, Bound::Unbounded, Bound::Unbounded, true) {
        let (key, stored) = pair.unwrap();
        let item = StoredVersion::parse(stored).unwrap().item;
        match last.remove(&key.0) {
            Some(shown) if shown.as_ref() != Some(&item) => {
                return Some(format!("{key:x?} is {item:x?}, and its last record has {shown:x?}"));
            }
            _ => {}
        }
    }
    let gone = last.into_iter().find(|(_, shown)| shown.is_some())?;
    Some(format!("{:x?} is gone without a record", gone.0))
}
