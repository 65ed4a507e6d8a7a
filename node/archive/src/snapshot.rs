//! A snapshot of a partition as one object.
//!
//! ```text
//! snapshot (version 1; numbers big-endian)
//! 0   8   magic: "CAIRNSNP"
//! 8   1   version: 1
//! 9   16  partition id
//! 25  8   index of the last entry in it
//! 33  8   term of that entry
//! 41  8   entry time of the newest entry in it that has one; 0 if none has
//! 49  8   bytes of the items, as DynamoDB counts them
//! 57  8   items
//! 65  4   CRC-32 (IEEE) of the 65 bytes before it
//! 69  …   blocks (block.rs) of chunks
//!
//! chunk  0  4  bytes
//!        4  …  what the engine wrote
//! ```
//!
//! A snapshot's checksum, which only its manifest has, is the XXH3-64 (seed 0) of the whole object.

use crate::{
    ArchiveError, Bucket, SourceSnapshot,
    block::{Block, BlockReader, BlockWriter, SealedBlock},
};
use bytes::{Buf, BufMut, Bytes};
use cairn_model::{ids::PartitionId, time::Timestamp};
use object_store::path::Path;
use std::io;
use tokio::sync::mpsc;
use xxhash_rust::xxh3::Xxh3;

const HEADER_BYTES: usize = 69;
const MAGIC: &[u8; 8] = b"CAIRNSNP";
const VERSION: u8 = 1;
/// A chunk that says it has more is damaged.
const CHUNK_BYTES_MAX: usize = 256 * 1024;
/// Pieces between the thread that reads the partition and the upload; each is a block at most.
const PIECES_AHEAD: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SnapshotHeader {
    pub(crate) partition_id: PartitionId,
    pub(crate) index: u64,
    pub(crate) term: u64,
    pub(crate) entry_time: Timestamp,
    pub(crate) size_bytes: u64,
    pub(crate) item_count: u64,
}

impl SnapshotHeader {
    fn of(snapshot: &SourceSnapshot) -> Self {
        Self {
            partition_id: snapshot.descriptor.partition_id,
            index: snapshot.index,
            term: snapshot.term,
            entry_time: snapshot.entry_time,
            size_bytes: snapshot.size_bytes,
            item_count: snapshot.item_count,
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.put_slice(MAGIC);
        header.put_u8(VERSION);
        header.put_slice(&self.partition_id.0);
        header.put_u64(self.index);
        header.put_u64(self.term);
        header.put_u64(self.entry_time.0);
        header.put_u64(self.size_bytes);
        header.put_u64(self.item_count);
        let checksum = crc32fast::hash(&header);
        header.put_u32(checksum);
        header
    }

    fn decode(header: &[u8]) -> Result<Self, String> {
        let mut read = header;
        if &read[..8] != MAGIC {
            return Err("it is no snapshot".into());
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
        Ok(Self {
            partition_id: PartitionId(partition_id),
            index: read.get_u64(),
            term: read.get_u64(),
            entry_time: Timestamp(read.get_u64()),
            size_bytes: read.get_u64(),
            item_count: read.get_u64(),
        })
    }
}

/// A snapshot that is in the bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredSnapshot {
    pub(crate) header: SnapshotHeader,
    pub(crate) bytes: u64,
    pub(crate) checksum: u64,
}

/// Uploads a snapshot; if it fails, nothing of it stays.
pub(crate) async fn upload(
    bucket: &Bucket,
    path: &Path,
    snapshot: SourceSnapshot,
) -> Result<StoredSnapshot, ArchiveError> {
    let header = SnapshotHeader::of(&snapshot);
    let mut upload = bucket.upload(path.clone(), snapshot.size_bytes);
    let (pieces, mut received) = mpsc::channel::<Vec<u8>>(PIECES_AHEAD);
    let object = path.to_string();
    let reading = tokio::task::spawn_blocking(move || read(snapshot, &header, &object, &pieces));
    let mut hasher = Xxh3::new();
    let mut bytes = 0;
    while let Some(piece) = received.recv().await {
        hasher.update(&piece);
        bytes += piece.len() as u64;
        if let Err(error) = upload.write(&piece).await {
            upload.abort().await;
            return Err(error);
        }
    }
    let read = reading.await.map_err(|_| ArchiveError::Interrupted { object: path.to_string() }).flatten();
    if let Err(error) = read {
        upload.abort().await;
        return Err(error);
    }
    upload.finish().await?;
    Ok(StoredSnapshot { header, bytes, checksum: hasher.digest() })
}

fn read(
    snapshot: SourceSnapshot,
    header: &SnapshotHeader,
    object: &str,
    pieces: &mpsc::Sender<Vec<u8>>,
) -> Result<(), ArchiveError> {
    let failed = |error: io::Error| ArchiveError::Source(crate::SourceError::Failed(Box::new(error)));
    let mut out = header.encode();
    let mut blocks = BlockWriter::default();
    for chunk in snapshot.chunks {
        let chunk = chunk?;
        if chunk.len() > CHUNK_BYTES_MAX {
            return Err(failed(io::Error::other(format!("a chunk of the snapshot has {} bytes", chunk.len()))));
        }
        blocks.record(&[&(chunk.len() as u32).to_be_bytes(), &chunk], &mut out).map_err(failed)?;
        if !out.is_empty() && pieces.blocking_send(std::mem::take(&mut out)).is_err() {
            return Err(ArchiveError::Interrupted { object: object.into() });
        }
    }
    blocks.finish(&mut out).map_err(failed)?;
    pieces.blocking_send(out).map_err(|_| ArchiveError::Interrupted { object: object.into() })
}

/// Reads a snapshot from pieces of any size. Its errors say what is damaged, but not in which object.
#[derive(Default)]
pub(crate) struct SnapshotReader {
    head: Vec<u8>,
    header: Option<SnapshotHeader>,
    blocks: BlockReader,
    hasher: Xxh3,
    bytes: u64,
}

impl SnapshotReader {
    pub(crate) fn push(&mut self, mut piece: Bytes) -> Result<(), String> {
        self.hasher.update(&piece);
        self.bytes += piece.len() as u64;
        if self.header.is_none() {
            let missing = (HEADER_BYTES - self.head.len()).min(piece.len());
            self.head.extend_from_slice(&piece.split_to(missing));
            if self.head.len() == HEADER_BYTES {
                self.header = Some(SnapshotHeader::decode(&self.head)?);
            }
        }
        self.blocks.push(piece);
        Ok(())
    }

    /// The next block, whose chunks [`chunks_of`] has; none before more is pushed.
    pub(crate) fn next(&mut self) -> Result<Option<SealedBlock>, String> {
        self.blocks.next_sealed()
    }

    /// What was read, if it was the whole of a snapshot.
    pub(crate) fn finish(self) -> Result<StoredSnapshot, String> {
        self.blocks.finish()?;
        let header = self.header.ok_or("it is truncated in its header")?;
        Ok(StoredSnapshot { header, bytes: self.bytes, checksum: self.hasher.digest() })
    }
}

/// The chunks of a block: decompresses it.
pub(crate) fn chunks_of(block: SealedBlock) -> Result<Vec<Bytes>, String> {
    let Block { records, mut bytes } = block.open()?;
    let mut chunks = Vec::with_capacity(records as usize);
    while !bytes.is_empty() {
        let cut = || "a chunk is cut off".to_owned();
        if bytes.len() < 4 {
            return Err(cut());
        }
        let length = bytes.get_u32() as usize;
        if length > CHUNK_BYTES_MAX || length > bytes.len() {
            return Err(cut());
        }
        chunks.push(bytes.split_to(length));
    }
    Ok(chunks)
}
