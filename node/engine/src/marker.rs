//! The marker: what was durable at the last fsync, kept beside the store so that it can tell when either went back.
//!
//! ```text
//! marker (version 1; numbers big-endian)
//! 0   8  "CAIRNMRK"
//! 8   1  version: 1
//! 9   4  entries
//! 13  …  for each entry, 64 bytes:
//!          0   8  log id
//!          8   16 partition id
//!          24  8  replica id
//!          32  8  applied index that the store has made durable
//!          40  8  entries written to the log, as it counts them, that it has made durable
//!          48  8  term of the hard state that the log has made durable
//!          56  8  0
//! …   4  CRC-32 (IEEE) of all bytes before it
//! ```

use crate::EngineError;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use cairn_model::ids::{PartitionId, ReplicaId};

const MAGIC: &[u8; 8] = b"CAIRNMRK";
pub(crate) const MARKER_VERSION: u8 = 1;
const HEADER_BYTES: usize = 13;
const ENTRY_BYTES: usize = 64;
const CHECKSUM_BYTES: usize = 4;

/// How far a log is known to be durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogMark {
    /// Entries ever written to it, and those before its start: its last index, and one more for each that others replaced.
    /// A new leader may lawfully replace a log's end by a shorter one; this never falls.
    pub written: u64,
    /// Of the hard state.
    pub term: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkerEntry {
    pub log_id: u64,
    pub partition_id: PartitionId,
    pub replica_id: ReplicaId,
    pub applied_index: u64,
    pub log: LogMark,
}

/// One entry for each replica there was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marker {
    pub entries: Vec<MarkerEntry>,
}

impl Marker {
    pub fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(HEADER_BYTES + ENTRY_BYTES * self.entries.len() + CHECKSUM_BYTES);
        bytes.put_slice(MAGIC);
        bytes.put_u8(MARKER_VERSION);
        bytes.put_u32(self.entries.len() as u32);
        for entry in &self.entries {
            bytes.put_u64(entry.log_id);
            bytes.put_slice(&entry.partition_id.0);
            bytes.put_u64(entry.replica_id.0);
            bytes.put_u64(entry.applied_index);
            bytes.put_u64(entry.log.written);
            bytes.put_u64(entry.log.term);
            bytes.put_u64(0);
        }
        bytes.put_u32(crc32fast::hash(&bytes));
        bytes.freeze()
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, EngineError> {
        let damaged = |reason: &str| EngineError::Damaged { what: "marker", reason: reason.into() };
        if bytes.len() < HEADER_BYTES + CHECKSUM_BYTES || !bytes.starts_with(MAGIC) {
            return Err(damaged("it is not a marker of cairn"));
        }
        if bytes[8] > MARKER_VERSION {
            return Err(EngineError::NewerFormat { what: "marker", found: bytes[8], known: MARKER_VERSION });
        }
        let (content, mut checksum) = bytes.split_at(bytes.len() - CHECKSUM_BYTES);
        if bytes[8] == 0 || crc32fast::hash(content) != checksum.get_u32() {
            return Err(damaged("its checksum does not match"));
        }
        let mut rest = &content[9..];
        let count = rest.get_u32() as usize;
        if rest.len() != count * ENTRY_BYTES {
            return Err(damaged("its length does not match its count of entries"));
        }
        let mut entries = Vec::with_capacity(count);
        for _ in 0..count {
            let log_id = rest.get_u64();
            let mut partition_id = [0; 16];
            rest.copy_to_slice(&mut partition_id);
            entries.push(MarkerEntry {
                log_id,
                partition_id: PartitionId(partition_id),
                replica_id: ReplicaId(rest.get_u64()),
                applied_index: rest.get_u64(),
                log: LogMark { written: rest.get_u64(), term: rest.get_u64() },
            });
            rest.advance(8);
        }
        Ok(Self { entries })
    }
}
