//! The records of streams: read in their order, and trimmed from the front.

use super::{Engine, Live};
use crate::{Changes, EngineError, Store, StoreRange, StoreSnapshot, layout};
use bytes::Bytes;
use cairn_model::{stream::SequenceNumber, time::Timestamp};
use parking_lot::Mutex;
use std::{fmt, ops::Bound, sync::Arc};

impl<S: Store> Engine<S> {
    /// The records of a stream behind a number, or all, in their order and as of now. Drop it within seconds.
    pub fn stream_records(&self, storage_id: u64, stream: u64, after: Option<SequenceNumber>) -> StreamIter {
        let (lower, upper) = layout::stream_records(storage_id, stream, after);
        StreamIter(self.store.snapshot().range(lower, upper, true))
    }

    /// The number of a stream's last record, if there is one.
    pub fn last_stream_number(&self, storage_id: u64, stream: u64) -> Result<Option<SequenceNumber>, EngineError> {
        let (lower, upper) = layout::stream_records(storage_id, stream, None);
        let last = StreamIter(self.store.snapshot().range(lower, upper, false)).next().transpose()?;
        Ok(last.map(|(number, _)| number))
    }

    /// Deletes the records of all streams that are older than this, from the front of each replica and at most `keys_max` of
    /// one in this step. True if more may be left.
    pub fn trim_streams(&self, before: Timestamp, keys_max: usize) -> Result<bool, EngineError> {
        let mut is_left = false;
        for (record, live) in self.live() {
            is_left |= self.trim_streams_of(record.storage_id, &live, before, keys_max.max(1))?;
        }
        Ok(is_left)
    }

    fn trim_streams_of(
        &self,
        storage_id: u64,
        live: &Arc<Mutex<Live>>,
        before: Timestamp,
        keys_max: usize,
    ) -> Result<bool, EngineError> {
        let after = live.lock().trimmed.clone();
        let (lower, upper) = layout::all_stream_records(storage_id);
        let lower = after.map_or(lower, Bound::Excluded);
        let mut changes = Changes::default();
        let mut last = None;
        let mut keys = 0;
        for pair in self.store.snapshot().range(lower, upper, true).take(keys_max) {
            let (key, _) = pair?;
            // Those of a later stream are younger still.
            if number(&key)?.time >= before {
                break;
            }
            last = Some(key.clone());
            changes.delete(key);
            keys += 1;
        }
        let mut live = live.lock();
        // The data of a dropped replica is reclaimed as a whole.
        if last.is_none() || live.dropped {
            return Ok(false);
        }
        self.store.commit(changes)?;
        live.trimmed = last;
        Ok(keys == keys_max)
    }
}

fn number(key: &[u8]) -> Result<SequenceNumber, EngineError> {
    layout::stream_number(key)
        .ok_or_else(|| EngineError::Damaged { what: "stream", reason: "a key has the wrong length".into() })
}

/// Records with their numbers.
pub struct StreamIter(StoreRange);

impl Iterator for StreamIter {
    type Item = Result<(SequenceNumber, Bytes), EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        let pair = self.0.next()?;
        Some(pair.map_err(EngineError::from).and_then(|(key, record)| Ok((number(&key)?, record))))
    }
}

impl fmt::Debug for StreamIter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StreamIter")
    }
}
