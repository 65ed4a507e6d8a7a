//! A replica's data as a stream of chunks, from one node to another.
//!
//! ```text
//! chunk (version 1; numbers big-endian)
//! 0   1  version: 1
//! 1   4  number, from 0
//! 5   1  1 in the last chunk, else 0
//! 6   4  CRC-32 (IEEE) of the six bytes before it and of all after it
//! 10  …  the next bytes of the stream
//!
//! stream: a header, pairs in key order, an end
//! header  0  1  0x01
//!         1  4  bytes of the replica record
//!         5  …  replica record  (record.rs; its ids and paths of the sender mean nothing to the receiver)
//!         …  73 applied state   (record.rs)
//! pair    0  1  0x02
//!         1  2  bytes of the key
//!         3  4  bytes of the value
//!         7  …  key, from its index on  (layout.rs)
//!         …  …  value
//! end     0  1  0x03
//!         1  8  pairs there were
//! ```

use crate::{
    EngineError, Ingestion, ReplicaRecord, StoreRange,
    record::{AppliedState, StoredRecord},
};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::fmt;

/// Bytes of a chunk, at most.
pub const SNAPSHOT_CHUNK_BYTES_MAX: usize = 256 * 1024;

const CHUNK_VERSION: u8 = 1;
const CHUNK_HEADER_BYTES: usize = 10;
const HEADER: u8 = 0x01;
const PAIR: u8 = 0x02;
const END: u8 = 0x03;
const APPLIED_BYTES: usize = 73;
/// A stored item or outcome is far below this; a stream that says otherwise is damaged.
const VALUE_BYTES_MAX: usize = 4 * 1024 * 1024;
const RECORD_BYTES_MAX: usize = 1024 * 1024;
/// From the index on: what begins a stored key before that is of one node only.
const STORAGE_ID_BYTES: usize = 8;

/// Reads one state of a replica; holds a snapshot of the store, so drop it when the receiver is gone.
pub struct SnapshotReader {
    record: ReplicaRecord,
    pairs: Option<StoreRange>,
    pair_count: u64,
    stream: BytesMut,
    next_chunk: u32,
    finished: bool,
}

impl SnapshotReader {
    pub(crate) fn new(record: StoredRecord, state: AppliedState, pairs: StoreRange) -> Result<Self, EngineError> {
        let mut stream = BytesMut::new();
        let encoded = record.encode()?;
        stream.put_u8(HEADER);
        stream.put_u32(encoded.len() as u32);
        stream.put_slice(&encoded);
        stream.put_slice(&state.encode());
        Ok(Self {
            record: record.with_applied(state.applied),
            pairs: Some(pairs),
            pair_count: 0,
            stream,
            next_chunk: 0,
            finished: false,
        })
    }

    /// The replica as of the snapshot.
    pub fn record(&self) -> &ReplicaRecord {
        &self.record
    }

    /// The next chunk, none after the last.
    pub fn next_chunk(&mut self) -> Result<Option<Bytes>, EngineError> {
        if self.finished {
            return Ok(None);
        }
        let payload_max = SNAPSHOT_CHUNK_BYTES_MAX - CHUNK_HEADER_BYTES;
        while self.stream.len() < payload_max {
            let Some(pairs) = &mut self.pairs else { break };
            match pairs.next() {
                Some(pair) => {
                    let (key, value) = pair?;
                    let key = &key[STORAGE_ID_BYTES..];
                    self.stream.put_u8(PAIR);
                    self.stream.put_u16(key.len() as u16);
                    self.stream.put_u32(value.len() as u32);
                    self.stream.put_slice(key);
                    self.stream.put_slice(&value);
                    self.pair_count += 1;
                }
                None => {
                    self.stream.put_u8(END);
                    self.stream.put_u64(self.pair_count);
                    self.pairs = None;
                }
            }
        }
        self.finished = self.pairs.is_none() && self.stream.len() <= payload_max;
        let payload = self.stream.split_to(self.stream.len().min(payload_max));
        let mut chunk = BytesMut::with_capacity(CHUNK_HEADER_BYTES + payload.len());
        chunk.put_u8(CHUNK_VERSION);
        chunk.put_u32(self.next_chunk);
        chunk.put_u8(u8::from(self.finished));
        let checksum = checksum(&chunk, &payload);
        chunk.put_u32(checksum);
        chunk.put_slice(&payload);
        self.next_chunk += 1;
        Ok(Some(chunk.freeze()))
    }
}

fn checksum(header: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header);
    hasher.update(payload);
    hasher.finalize()
}

impl fmt::Debug for SnapshotReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SnapshotReader")
            .field("record", &self.record)
            .field("next_chunk", &self.next_chunk)
            .finish_non_exhaustive()
    }
}

/// A snapshot on its way in, under a storage id of its own. Dropped before it is installed, it is cleaned up at the next
/// start; [`crate::Engine::abandon`] does so at once.
pub struct SnapshotWriter {
    pub(crate) storage_id: u64,
    /// Present while items are loaded past the store's journal, and the last key that was.
    pub(crate) ingestion: Option<Box<dyn Ingestion>>,
    pub(crate) last_key: Bytes,
    stream: BytesMut,
    next_chunk: u32,
    pub(crate) header: Option<(StoredRecord, AppliedState)>,
    pair_count: u64,
    ended: bool,
    pub(crate) complete: bool,
}

impl fmt::Debug for SnapshotWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SnapshotWriter")
            .field("storage_id", &self.storage_id)
            .field("next_chunk", &self.next_chunk)
            .field("complete", &self.complete)
            .finish_non_exhaustive()
    }
}

impl SnapshotWriter {
    pub(crate) fn new(storage_id: u64) -> Self {
        Self {
            storage_id,
            ingestion: None,
            last_key: Bytes::new(),
            stream: BytesMut::new(),
            next_chunk: 0,
            header: None,
            pair_count: 0,
            ended: false,
            complete: false,
        }
    }

    /// The number of the chunk that must come next.
    pub fn next_chunk(&self) -> u32 {
        self.next_chunk
    }

    /// The replica whose snapshot this is, as the sender has it; known from the first chunks on.
    pub fn record(&self) -> Option<ReplicaRecord> {
        self.header.as_ref().map(|(record, state)| record.clone().with_applied(state.applied))
    }

    /// True when the last chunk is in: the snapshot can be installed.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Takes the next chunk; gives the pairs it completes, keys from their index on.
    pub(crate) fn take_chunk(&mut self, chunk: &[u8]) -> Result<Vec<(Bytes, Bytes)>, EngineError> {
        let failed = |reason: String| EngineError::Snapshot { reason };
        if chunk.len() < CHUNK_HEADER_BYTES || chunk.len() > SNAPSHOT_CHUNK_BYTES_MAX {
            return Err(failed(format!("a chunk has {} bytes", chunk.len())));
        }
        let (mut header, payload) = chunk.split_at(CHUNK_HEADER_BYTES);
        if header[0] != CHUNK_VERSION {
            return Err(failed(format!("a chunk has format version {}, known is {CHUNK_VERSION}", header[0])));
        }
        let expected = checksum(&header[..6], payload);
        header.advance(1);
        let number = header.get_u32();
        let last = header.get_u8() == 1;
        if header.get_u32() != expected {
            return Err(failed(format!("the checksum of chunk {number} does not match")));
        }
        if number != self.next_chunk || self.complete {
            return Err(failed(format!("chunk {number} came where {} was due", self.next_chunk)));
        }
        self.next_chunk += 1;
        self.stream.extend_from_slice(payload);
        let mut pairs = Vec::new();
        while let Some(pair) = self.take_entry()? {
            pairs.extend(pair);
        }
        if last != self.ended || (last && !self.stream.is_empty()) {
            return Err(failed(format!("the stream and its last chunk ({number}) do not end together")));
        }
        self.complete = last;
        Ok(pairs)
    }

    /// Takes one whole entry off the stream; none when there is no whole one, an empty one where it was no pair.
    fn take_entry(&mut self) -> Result<Option<Option<(Bytes, Bytes)>>, EngineError> {
        let failed = |reason: &str| EngineError::Snapshot { reason: reason.into() };
        let mut peek = &self.stream[..];
        if peek.is_empty() {
            return Ok(None);
        }
        let kind = peek.get_u8();
        match kind {
            _ if self.ended => Err(failed("the stream goes on after its end")),
            HEADER if self.header.is_none() => {
                if peek.remaining() < 4 {
                    return Ok(None);
                }
                let length = peek.get_u32() as usize;
                if length > RECORD_BYTES_MAX {
                    return Err(failed("its replica record is too long"));
                }
                if peek.remaining() < length + APPLIED_BYTES {
                    return Ok(None);
                }
                let record = StoredRecord::decode(&peek[..length])?;
                let state = AppliedState::decode(&peek[length..length + APPLIED_BYTES])?;
                self.header = Some((record, state));
                self.stream.advance(5 + length + APPLIED_BYTES);
                Ok(Some(None))
            }
            PAIR if self.header.is_some() => {
                if peek.remaining() < 6 {
                    return Ok(None);
                }
                let (key_bytes, value_bytes) = (peek.get_u16() as usize, peek.get_u32() as usize);
                if value_bytes > VALUE_BYTES_MAX {
                    return Err(failed("a value is too long"));
                }
                if peek.remaining() < key_bytes + value_bytes {
                    return Ok(None);
                }
                self.stream.advance(7);
                let key = self.stream.split_to(key_bytes).freeze();
                let value = self.stream.split_to(value_bytes).freeze();
                if !crate::layout::is_replicated(&key) {
                    return Err(failed("a key is of no known kind"));
                }
                self.pair_count += 1;
                Ok(Some(Some((key, value))))
            }
            END if self.header.is_some() => {
                if peek.remaining() < 8 {
                    return Ok(None);
                }
                if peek.get_u64() != self.pair_count {
                    return Err(failed("pairs are missing"));
                }
                self.ended = true;
                self.stream.advance(9);
                Ok(Some(None))
            }
            _ => Err(failed("an entry of the stream is out of place or of an unknown kind")),
        }
    }
}
