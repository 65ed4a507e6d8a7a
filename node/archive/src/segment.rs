//! A sealed segment: a run of a partition's log as one object.
//!
//! ```text
//! segment (version 1; numbers big-endian)
//! 0    8   magic: "CAIRNSEG"
//! 8    1   version: 1
//! 9    16  partition id
//! 25   8   first index
//! 33   8   last index
//! 41   8   entry time of the first entry that has one; 0 if none has
//! 49   8   entry time of the last entry that has one; 0 if none has
//! 57   8   term of the last entry
//! 65   8   first index of the segment before it; 0 where the chain begins
//! 73   8   checksum of the segment before it; 0 where the chain begins
//! 81   8   bytes after the header
//! 89   8   XXH3-64 (seed 0) of the bytes after the header
//! 97   4   CRC-32 (IEEE) of the 97 bytes before it
//! 101  …   blocks (block.rs) of entries, index by index
//!
//! entry  0   8  term
//!        8   1  kind
//!        9   8  entry time, 0 if it has none
//!        17  4  bytes of the payload
//!        21  …  payload
//! ```
//!
//! A segment's checksum is the XXH3-64 of its header, which has that of all the rest.

use crate::block::{BlockReader, BlockWriter};
use bytes::{Buf, BufMut, Bytes};
use cairn_model::{ids::PartitionId, time::Timestamp};
use cairn_replication::log::LogEntry;
use std::io;
use xxhash_rust::xxh3::xxh3_64;

pub(crate) const HEADER_BYTES: usize = 101;
const MAGIC: &[u8; 8] = b"CAIRNSEG";
const VERSION: u8 = 1;
const ENTRY_HEADER_BYTES: usize = 21;

/// The segment that another one follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) first: u64,
    pub(crate) checksum: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) partition_id: PartitionId,
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) first_time: Timestamp,
    pub(crate) last_time: Timestamp,
    pub(crate) last_term: u64,
    /// None where the chain begins.
    pub(crate) previous: Option<Link>,
    body_bytes: u64,
    body_checksum: u64,
}

impl SegmentHeader {
    fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut header = [0; HEADER_BYTES];
        let mut out = &mut header[..];
        out.put_slice(MAGIC);
        out.put_u8(VERSION);
        out.put_slice(&self.partition_id.0);
        out.put_u64(self.first);
        out.put_u64(self.last);
        out.put_u64(self.first_time.0);
        out.put_u64(self.last_time.0);
        out.put_u64(self.last_term);
        let previous = self.previous.unwrap_or_default();
        out.put_u64(previous.first);
        out.put_u64(previous.checksum);
        out.put_u64(self.body_bytes);
        out.put_u64(self.body_checksum);
        let checksum = crc32fast::hash(&header[..HEADER_BYTES - 4]);
        header[HEADER_BYTES - 4..].copy_from_slice(&checksum.to_be_bytes());
        header
    }

    /// Its errors say what is damaged, but not in which object.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, String> {
        let Some(header) = bytes.get(..HEADER_BYTES) else { return Err("it is truncated in its header".into()) };
        let mut read = header;
        if &read[..8] != MAGIC {
            return Err("it is no segment".into());
        }
        read.advance(8);
        let version = read.get_u8();
        if version != VERSION {
            return Err(format!("it has format version {version}, known is {VERSION}: start a newer program"));
        }
        if crc32fast::hash(&header[..HEADER_BYTES - 4]).to_be_bytes() != header[HEADER_BYTES - 4..] {
            return Err("the checksum of its header does not match".into());
        }
        let mut partition_id = [0; 16];
        read.copy_to_slice(&mut partition_id);
        let (first, last) = (read.get_u64(), read.get_u64());
        let (first_time, last_time) = (Timestamp(read.get_u64()), Timestamp(read.get_u64()));
        let last_term = read.get_u64();
        let previous = Link { first: read.get_u64(), checksum: read.get_u64() };
        Ok(Self {
            partition_id: PartitionId(partition_id),
            first,
            last,
            first_time,
            last_time,
            last_term,
            previous: (previous != Link::default()).then_some(previous),
            body_bytes: read.get_u64(),
            body_checksum: read.get_u64(),
        })
    }

    /// Of the whole object.
    pub(crate) fn bytes(&self) -> u64 {
        HEADER_BYTES as u64 + self.body_bytes
    }

    pub(crate) fn checksum(&self) -> u64 {
        xxh3_64(&self.encode())
    }
}

/// Builds a segment, entry by entry.
#[derive(Debug)]
pub(crate) struct SegmentBuilder {
    out: Vec<u8>,
    blocks: BlockWriter,
    /// Of the entries so far; its fields of the body are empty.
    header: Option<SegmentHeader>,
    partition_id: PartitionId,
    previous: Option<Link>,
}

impl SegmentBuilder {
    pub(crate) fn new(partition_id: PartitionId, previous: Option<Link>) -> Self {
        Self { out: vec![0; HEADER_BYTES], blocks: BlockWriter::default(), header: None, partition_id, previous }
    }

    /// Adds the entry after the one before.
    pub(crate) fn entry(&mut self, entry: &LogEntry, time: Timestamp) -> io::Result<()> {
        let header = self.header.get_or_insert(SegmentHeader {
            partition_id: self.partition_id,
            first: entry.index,
            last: entry.index,
            first_time: time,
            last_time: time,
            last_term: entry.term,
            previous: self.previous,
            body_bytes: 0,
            body_checksum: 0,
        });
        (header.last, header.last_term) = (entry.index, entry.term);
        header.last_time = header.last_time.max(time);
        if header.first_time.0 == 0 {
            header.first_time = time;
        }
        let mut fields = Vec::with_capacity(ENTRY_HEADER_BYTES);
        fields.put_u64(entry.term);
        fields.put_u8(entry.kind);
        fields.put_u64(time.0);
        fields.put_u32(entry.payload.len() as u32);
        self.blocks.record(&[&fields, &entry.payload], &mut self.out)
    }

    pub(crate) fn finish(self) -> io::Result<(SegmentHeader, Bytes)> {
        let Self { mut out, blocks, header, .. } = self;
        let mut header = header.ok_or_else(|| io::Error::other("a segment of no entries"))?;
        blocks.finish(&mut out)?;
        header.body_bytes = (out.len() - HEADER_BYTES) as u64;
        header.body_checksum = xxh3_64(&out[HEADER_BYTES..]);
        out[..HEADER_BYTES].copy_from_slice(&header.encode());
        Ok((header, out.into()))
    }
}

/// Seals entries, of which there is at least one and whose indexes have no hole.
pub(crate) fn seal(
    partition_id: PartitionId,
    entries: &[(LogEntry, Timestamp)],
    previous: Option<Link>,
) -> io::Result<(SegmentHeader, Bytes)> {
    let mut segment = SegmentBuilder::new(partition_id, previous);
    for (entry, time) in entries {
        segment.entry(entry, *time)?;
    }
    segment.finish()
}

/// Reads a whole segment, block by block, after everything about it was checked that can be before.
/// Its errors say what is damaged, but not in which object.
#[derive(Debug)]
pub(crate) struct SegmentReader {
    header: SegmentHeader,
    blocks: BlockReader,
    next_index: u64,
    newest: Timestamp,
}

impl SegmentReader {
    pub(crate) fn new(object: &Bytes) -> Result<Self, String> {
        let header = SegmentHeader::decode(object)?;
        let body = object.slice(HEADER_BYTES..);
        if body.len() as u64 != header.body_bytes {
            return Err(format!("it has {} bytes where its header says {}", object.len(), header.bytes()));
        }
        if xxh3_64(&body) != header.body_checksum {
            return Err("the checksum of its content does not match".into());
        }
        let mut blocks = BlockReader::default();
        blocks.push(body);
        Ok(Self { next_index: header.first, header, blocks, newest: Timestamp(0) })
    }

    pub(crate) fn header(&self) -> &SegmentHeader {
        &self.header
    }

    /// The entries of the next block; none after the last.
    pub(crate) fn next(&mut self) -> Result<Option<Vec<(LogEntry, Timestamp)>>, String> {
        let Some(block) = self.blocks.next()? else {
            self.blocks.finish()?;
            if self.next_index != self.header.last + 1 {
                return Err(format!("its entries end before {}, not after {}", self.next_index, self.header.last));
            }
            return Ok(None);
        };
        let mut bytes = block.bytes;
        let mut entries = Vec::with_capacity(block.records as usize);
        while !bytes.is_empty() {
            let index = self.next_index;
            if bytes.len() < ENTRY_HEADER_BYTES {
                return Err(format!("entry {index} is cut off"));
            }
            let (term, kind, time) = (bytes.get_u64(), bytes.get_u8(), Timestamp(bytes.get_u64()));
            let payload_bytes = bytes.get_u32() as usize;
            if bytes.len() < payload_bytes {
                return Err(format!("entry {index} is cut off"));
            }
            if time.0 != 0 {
                if time <= self.newest {
                    return Err(format!("entry {index} is not later than the one before it"));
                }
                self.newest = time;
            }
            let payload = bytes.split_to(payload_bytes);
            entries.push((LogEntry { index, term, kind, payload }, time));
            self.next_index += 1;
        }
        Ok(Some(entries))
    }
}
