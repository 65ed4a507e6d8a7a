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
/// A stored item, and what a transaction of 4 MB came to, are below this; a stream that says otherwise is damaged.
const VALUE_BYTES_MAX: usize = 8 * 1024 * 1024;
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
    /// The beginning of the entry that the next chunk goes on with.
    begun: BytesMut,
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
            begun: BytesMut::new(),
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

    /// Takes the next chunk; gives the pairs it completes, keys from their index on. They are views of the chunk, but for
    /// those that began in one before it.
    pub(crate) fn take_chunk(&mut self, chunk: &Bytes) -> Result<Vec<(Bytes, Bytes)>, EngineError> {
        let failed = |reason: String| EngineError::Snapshot { reason };
        if chunk.len() < CHUNK_HEADER_BYTES || chunk.len() > SNAPSHOT_CHUNK_BYTES_MAX {
            return Err(failed(format!("a chunk has {} bytes", chunk.len())));
        }
        let mut payload = chunk.slice(CHUNK_HEADER_BYTES..);
        let mut header = &chunk[..CHUNK_HEADER_BYTES];
        if header[0] != CHUNK_VERSION {
            return Err(failed(format!("a chunk has format version {}, known is {CHUNK_VERSION}", header[0])));
        }
        let expected = checksum(&header[..6], &payload);
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
        let mut pairs = Vec::new();
        while let Some(entry) = self.next_entry(&mut payload)? {
            pairs.extend(self.take_entry(entry)?);
        }
        if last != self.ended || (last && !self.begun.is_empty()) {
            return Err(failed(format!("the stream and its last chunk ({number}) do not end together")));
        }
        self.complete = last;
        Ok(pairs)
    }

    /// The next whole entry of the stream; none when the payload is used up.
    fn next_entry(&mut self, payload: &mut Bytes) -> Result<Option<Bytes>, EngineError> {
        if self.ended && !payload.is_empty() {
            return Err(EngineError::Snapshot { reason: "the stream goes on after its end".into() });
        }
        if self.begun.is_empty()
            && let Some(bytes) = entry_bytes(payload)?
        {
            if bytes <= payload.len() {
                return Ok(Some(payload.split_to(bytes)));
            }
            self.begun.reserve(bytes);
        }
        while !payload.is_empty() {
            // Where its length is not known yet, no more than what tells it.
            let bytes = entry_bytes(&self.begun)?.unwrap_or(self.begun.len() + 1);
            let missing = bytes - self.begun.len();
            self.begun.reserve(missing);
            self.begun.extend_from_slice(&payload.split_to(missing.min(payload.len())));
            if entry_bytes(&self.begun)? == Some(self.begun.len()) {
                return Ok(Some(self.begun.split().freeze()));
            }
        }
        Ok(None)
    }

    /// Takes one whole entry; gives its pair, if it is one.
    fn take_entry(&mut self, mut entry: Bytes) -> Result<Option<(Bytes, Bytes)>, EngineError> {
        let failed = |reason: &str| EngineError::Snapshot { reason: reason.into() };
        match entry.get_u8() {
            HEADER if self.header.is_none() => {
                let length = entry.get_u32() as usize;
                let record = StoredRecord::decode(&entry[..length])?;
                let state = AppliedState::decode(&entry[length..])?;
                self.header = Some((record, state));
                Ok(None)
            }
            PAIR if self.header.is_some() => {
                let (key_bytes, _) = (entry.get_u16() as usize, entry.get_u32());
                let key = entry.split_to(key_bytes);
                if !crate::layout::is_replicated(&key) {
                    return Err(failed("a key is of no known kind"));
                }
                self.pair_count += 1;
                Ok(Some((key, entry)))
            }
            END if self.header.is_some() => {
                if entry.get_u64() != self.pair_count {
                    return Err(failed("pairs are missing"));
                }
                self.ended = true;
                Ok(None)
            }
            _ => Err(failed("an entry of the stream is out of place")),
        }
    }
}

/// How long the entry is that begins here; none before enough of it is there to tell.
fn entry_bytes(mut begun: &[u8]) -> Result<Option<usize>, EngineError> {
    let failed = |reason: &str| EngineError::Snapshot { reason: reason.into() };
    let Ok(kind) = begun.try_get_u8() else { return Ok(None) };
    match kind {
        HEADER => {
            let Ok(record_bytes) = begun.try_get_u32() else { return Ok(None) };
            if record_bytes as usize > RECORD_BYTES_MAX {
                return Err(failed("its replica record is too long"));
            }
            Ok(Some(5 + record_bytes as usize + APPLIED_BYTES))
        }
        PAIR => {
            if begun.remaining() < 6 {
                return Ok(None);
            }
            let (key_bytes, value_bytes) = (begun.get_u16() as usize, begun.get_u32() as usize);
            if value_bytes > VALUE_BYTES_MAX {
                return Err(failed("a value is too long"));
            }
            Ok(Some(7 + key_bytes + value_bytes))
        }
        END => Ok(Some(9)),
        _ => Err(failed("an entry of the stream is of an unknown kind")),
    }
}
