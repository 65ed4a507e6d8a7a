//! Records in compressed, checksummed blocks: what segments and snapshots consist of behind their headers.
//!
//! ```text
//! blocks (numbers big-endian): any number of blocks, an end
//! block  0   4  compressed bytes, not 0
//!        4   4  uncompressed bytes
//!        8   4  records that begin and end in it
//!        12  4  CRC-32 (IEEE) of the twelve bytes before it and of all after it
//!        16  …  zstd frame: the records, one after the other
//! end    0   4  0
//!        4   8  records in all blocks
//!        12  4  CRC-32 of the twelve bytes before it
//! ```

use crate::rope::Rope;
use bytes::{Buf, BufMut, Bytes};
use std::io;

/// A block is compressed once it has this many bytes; it holds more only if one record does.
const BLOCK_BYTES: usize = 4 << 20;
/// A block that says it has more is damaged.
const BLOCK_BYTES_MAX: usize = 64 << 20;
const HEADER_BYTES: usize = 16;
/// zstd's fastest that packs all there is to pack: the archive runs beside the writes it keeps.
const COMPRESSION_LEVEL: i32 = 1;
/// At this one it packs repetitions only; what has none is stored as it is, and unpacked by copying.
const REPETITIONS_LEVEL: i32 = -1;
/// Saved is a fifth at least, or it is not worth what unpacking costs a restore.
const SAVED_MIN: (usize, usize) = (1, 5);

/// Builds blocks; gives out what is finished.
#[derive(Debug, Default)]
pub(crate) struct BlockWriter {
    block: Vec<u8>,
    block_records: u32,
    records: u64,
}

impl BlockWriter {
    /// Adds a record, given in parts; writes the block before it to `out` if that is full.
    pub(crate) fn record(&mut self, parts: &[&[u8]], out: &mut Vec<u8>) -> io::Result<()> {
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        if bytes > BLOCK_BYTES_MAX {
            return Err(io::Error::other(format!("a record has {bytes} bytes, more than {BLOCK_BYTES_MAX}")));
        }
        if self.block.len() + bytes > BLOCK_BYTES {
            self.seal(out)?;
        }
        parts.iter().for_each(|part| self.block.extend_from_slice(part));
        self.block_records += 1;
        self.records += 1;
        Ok(())
    }

    fn seal(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let compressed = compress(&self.block)?;
        let at = out.len();
        out.put_u32(compressed.len() as u32);
        out.put_u32(self.block.len() as u32);
        out.put_u32(self.block_records);
        let checksum = checksum(&out[at..], &compressed);
        out.put_u32(checksum);
        out.put_slice(&compressed);
        self.block.clear();
        self.block_records = 0;
        Ok(())
    }

    pub(crate) fn finish(mut self, out: &mut Vec<u8>) -> io::Result<()> {
        self.seal(out)?;
        let at = out.len();
        out.put_u32(0);
        out.put_u64(self.records);
        let checksum = checksum(&out[at..], &[]);
        out.put_u32(checksum);
        Ok(())
    }
}

fn compress(block: &[u8]) -> io::Result<Vec<u8>> {
    let compressed = zstd::bulk::compress(block, COMPRESSION_LEVEL)?;
    let (saved, of) = SAVED_MIN;
    if block.len().saturating_sub(compressed.len()) * of >= block.len() * saved {
        return Ok(compressed);
    }
    zstd::bulk::compress(block, REPETITIONS_LEVEL)
}

/// A block's records, uncompressed.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) records: u32,
    pub(crate) bytes: Bytes,
}

/// A block as it is stored, its checksum verified.
#[derive(Debug)]
pub(crate) struct SealedBlock {
    compressed: Bytes,
    plain_bytes: usize,
    records: u32,
    /// Records in the blocks before it.
    after: u64,
}

impl SealedBlock {
    /// Decompresses it: most of the work that reading is, and no block needs another for it.
    pub(crate) fn open(self) -> Result<Block, String> {
        let Self { compressed, plain_bytes, records, after } = self;
        let plain = zstd::bulk::decompress(&compressed, plain_bytes)
            .map_err(|error| format!("the block after record {after} cannot be decompressed: {error}"))?;
        if plain.len() != plain_bytes {
            return Err(format!("the block after record {after} has another size than it says"));
        }
        Ok(Block { records, bytes: plain.into() })
    }
}

/// Reads blocks from bytes that come in pieces of any size. Its errors say what is damaged, but not in which object.
#[derive(Debug, Default)]
pub(crate) struct BlockReader {
    pending: Rope,
    records: u64,
    ended: bool,
}

impl BlockReader {
    pub(crate) fn push(&mut self, piece: Bytes) {
        self.pending.push(piece);
    }

    /// The next block, opened; none before more is pushed.
    pub(crate) fn next(&mut self) -> Result<Option<Block>, String> {
        self.next_sealed()?.map(SealedBlock::open).transpose()
    }

    /// The next block; none before more is pushed.
    pub(crate) fn next_sealed(&mut self) -> Result<Option<SealedBlock>, String> {
        if self.ended {
            return if self.pending.is_empty() { Ok(None) } else { Err("it goes on after its end mark".into()) };
        }
        let Some(head) = self.pending.peek::<HEADER_BYTES>() else { return Ok(None) };
        let mut header = &head[..];
        let compressed_bytes = header.get_u32() as usize;
        if compressed_bytes == 0 {
            let (records, expected) = (header.get_u64(), header.get_u32());
            if checksum(&head[..12], &[]) != expected {
                return Err("the checksum of its end mark does not match".into());
            }
            if records != self.records {
                return Err(format!("it holds {} records where its end mark has {records}", self.records));
            }
            self.ended = true;
            self.pending.take(HEADER_BYTES);
            return self.next_sealed();
        }
        let (plain_bytes, records, expected) = (header.get_u32() as usize, header.get_u32(), header.get_u32());
        if plain_bytes > BLOCK_BYTES_MAX || compressed_bytes > 2 * BLOCK_BYTES_MAX {
            return Err("a block says it is larger than any is".into());
        }
        let Some(block) = self.pending.take(HEADER_BYTES + compressed_bytes) else { return Ok(None) };
        let (compressed, after) = (block.slice(HEADER_BYTES..), self.records);
        if checksum(&head[..12], &compressed) != expected {
            return Err(format!("the checksum of the block after record {after} does not match"));
        }
        self.records += u64::from(records);
        Ok(Some(SealedBlock { compressed, plain_bytes, records, after }))
    }

    /// Whether everything was there.
    pub(crate) fn finish(&self) -> Result<(), String> {
        if self.ended && self.pending.is_empty() {
            Ok(())
        } else {
            Err("it is truncated: its end mark is missing".into())
        }
    }
}

fn checksum(header: &[u8], rest: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header);
    hasher.update(rest);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], piece: usize) -> Result<Vec<u8>, String> {
        let mut reader = BlockReader::default();
        let mut read = Vec::new();
        for piece in bytes.chunks(piece) {
            reader.push(Bytes::copy_from_slice(piece));
            while let Some(block) = reader.next()? {
                read.extend_from_slice(&block.bytes);
            }
        }
        reader.finish()?;
        Ok(read)
    }

    fn written(records: &[Vec<u8>]) -> Vec<u8> {
        let (mut writer, mut out) = (BlockWriter::default(), Vec::new());
        for record in records {
            writer.record(&[record], &mut out).unwrap();
        }
        writer.finish(&mut out).unwrap();
        out
    }

    #[test]
    fn records_come_back_from_pieces_of_any_size() {
        let records: Vec<Vec<u8>> = (0..40u8).map(|n| vec![n; 300_000]).collect();
        let bytes = written(&records);
        for piece in [1_000, 65_536, bytes.len()] {
            assert_eq!(read(&bytes, piece).unwrap(), records.concat());
        }
        assert_eq!(read(&written(&[]), 3).unwrap(), Vec::<u8>::new());
    }

    #[test]
    fn what_hardly_gets_smaller_is_kept_as_it_is_and_the_rest_is_packed() {
        // Characters without a pattern: six and a half bits each.
        let mut state = 1_u64;
        let mut noise = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            33 + ((state >> 33) % 94) as u8
        };
        let noise: Vec<u8> = (0..1_000_000).map(|_| noise()).collect();
        let bytes = written(std::slice::from_ref(&noise));
        assert!((1_000_000..1_001_000).contains(&bytes.len()), "{} bytes", bytes.len());
        assert_eq!(read(&bytes, 65_536).unwrap(), noise);
        let base64: Vec<u8> = noise.iter().map(|byte| 48 + byte % 64).collect();
        assert!(written(&[base64]).len() < 800_000);
        let repeated = noise[..100_000].repeat(10);
        assert!(written(&[repeated]).len() < 110_000, "a repetition is packed, whatever it repeats");
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let bytes = written(&[b"one".to_vec(), b"two".to_vec()]);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << (at % 8);
            assert!(read(&damaged, 7).is_err(), "byte {at}");
            assert!(read(&bytes[..at], 7).is_err(), "cut at {at}");
        }
        assert!(read(&[bytes, vec![0]].concat(), 7).is_err());
    }
}
