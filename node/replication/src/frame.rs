//! What travels between the nodes' replicas: Raft's messages, snapshots, and word that a replica is no member.
//!
//! Format version 1; integers are little-endian, `n*` is a byte string of that many bytes.
//!
//! ```text
//! offset  size
//!      0     1  format version: 1
//!      1     1  kind: 1 raft message, 2 snapshot chunk, 3 snapshot acknowledgement, 4 gone
//!      2    16  partition id
//!     18    16  node id of the receiver
//!     34     8  replica id of the receiver
//!     42     8  replica id of the sender
//!     50     8  sender's wall clock, ms
//!     58     8  sender's boot-time clock, ms
//!     66     8  receiver's boot-time clock as the sender last saw it, 0: never
//!     74     8  how long ago that was, ms
//!     82     8  the index up to which the sender knows the archive to have the partition's entries
//!     90        body
//!
//! raft message
//!            1  type: 1 append, 2 append response, 3 vote, 4 vote response, 5 heartbeat, 6 heartbeat response,
//!               7 timeout now, 8 pre-vote, 9 pre-vote response
//!            8  term
//!            8  log term
//!            8  index
//!            8  commit
//!            8  commit term
//!            1  1 if rejected, else 0
//!            8  hint of a rejection
//!            2  n, n* context
//!            4  n, n* introduction: `{"descriptor": …, "definition": …, "first": …}` in JSON; n is 0 without one
//!            4  count, and for each entry: kind (1), term (8), index (8), n (4), n* payload
//! snapshot chunk
//!            8  snapshot id, of the sender's choice
//!            8  term of the leader
//!            4  number, from 0
//!               the chunk, as the engine writes it
//! snapshot acknowledgement
//!            8  snapshot id
//!            4  number of the chunk that is due next
//!            1  1 if the receiver gave it up, else 0
//! gone
//!            8  epoch of the sender's descriptor, in which the receiver is no member
//! ```
//!
//! Whoever sends has proved to be of this node's group; still, nothing here trusts a length or a kind.

use crate::{
    agreement::FrameClock,
    raft_types::{self, RaftMessage},
};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use cairn_model::{
    descriptor::PartitionDescriptor,
    ids::{NodeId, PartitionId, ReplicaId},
    table::TableDefinition,
};
use serde::{Deserialize, Serialize};

const VERSION: u8 = 1;
const HEADER_BYTES: usize = 90;

/// From whom a frame is, for whom, what their clocks show, and how far the archive has the partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) partition: PartitionId,
    pub(crate) to_node: NodeId,
    pub(crate) to: ReplicaId,
    pub(crate) from: ReplicaId,
    pub(crate) clock: FrameClock,
    pub(crate) archived: u64,
}

/// What a replica needs to come to be: sent until it has answered once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Introduction {
    pub(crate) descriptor: PartitionDescriptor,
    pub(crate) definition: TableDefinition,
    /// The sender has applied nothing since the partition was initialised: this is all there is to know of it, and whoever
    /// comes to be by it is as good as the one that was initialised.
    #[serde(default)]
    pub(crate) first: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum FrameBody {
    Raft { message: Box<RaftMessage>, introduction: Option<Box<Introduction>> },
    Chunk { snapshot: u64, term: u64, number: u32, bytes: Bytes },
    ChunkAck { snapshot: u64, next: u32, refused: bool },
    Gone { epoch: u64 },
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("failed to read a frame: its format version is {0}, and this program knows none above {VERSION}")]
    UnknownVersion(u8),
    #[error("failed to read a frame: its kind {0} is not known")]
    UnknownKind(u8),
    #[error("failed to read a frame: {0}")]
    Malformed(&'static str),
    #[error("failed to read or write what a frame introduces")]
    Introduction(#[from] serde_json::Error),
}

impl From<bytes::TryGetError> for FrameError {
    fn from(_: bytes::TryGetError) -> Self {
        Self::Malformed("it is cut short")
    }
}

pub(crate) fn encode(header: &FrameHeader, body: &FrameBody) -> Result<Bytes, FrameError> {
    let mut out = BytesMut::with_capacity(HEADER_BYTES + body_bytes(body));
    out.put_u8(VERSION);
    out.put_u8(match body {
        FrameBody::Raft { .. } => 1,
        FrameBody::Chunk { .. } => 2,
        FrameBody::ChunkAck { .. } => 3,
        FrameBody::Gone { .. } => 4,
    });
    out.put_slice(&header.partition.0);
    out.put_slice(&header.to_node.0);
    out.put_u64_le(header.to.0);
    out.put_u64_le(header.from.0);
    out.put_u64_le(header.clock.wall_ms);
    out.put_u64_le(header.clock.boot_ms);
    out.put_u64_le(header.clock.echo_boot_ms);
    out.put_u64_le(header.clock.echo_held_ms);
    out.put_u64_le(header.archived);
    match body {
        FrameBody::Raft { message, introduction } => {
            put_message(&mut out, message, introduction.as_deref())?;
        }
        FrameBody::Chunk { snapshot, term, number, bytes } => {
            out.put_u64_le(*snapshot);
            out.put_u64_le(*term);
            out.put_u32_le(*number);
            out.put_slice(bytes);
        }
        FrameBody::ChunkAck { snapshot, next, refused } => {
            out.put_u64_le(*snapshot);
            out.put_u32_le(*next);
            out.put_u8(u8::from(*refused));
        }
        FrameBody::Gone { epoch } => out.put_u64_le(*epoch),
    }
    Ok(out.freeze())
}

fn body_bytes(body: &FrameBody) -> usize {
    match body {
        FrameBody::Raft { message, .. } => {
            64 + message.entries.iter().map(|entry| 21 + entry.payload.len()).sum::<usize>() + message.context.len()
        }
        FrameBody::Chunk { bytes, .. } => 20 + bytes.len(),
        FrameBody::ChunkAck { .. } => 13,
        FrameBody::Gone { .. } => 8,
    }
}

fn put_message(
    out: &mut BytesMut,
    message: &RaftMessage,
    introduction: Option<&Introduction>,
) -> Result<(), FrameError> {
    const TOO_LONG: FrameError = FrameError::Malformed("a part is too long");
    out.put_u8(message.kind);
    out.put_u64_le(message.term);
    out.put_u64_le(message.log_term);
    out.put_u64_le(message.index);
    out.put_u64_le(message.commit);
    out.put_u64_le(message.commit_term);
    out.put_u8(u8::from(message.reject));
    out.put_u64_le(message.reject_hint);
    out.put_u16_le(u16::try_from(message.context.len()).map_err(|_| TOO_LONG)?);
    out.put_slice(&message.context);
    let introduction = match introduction {
        Some(introduction) => serde_json::to_vec(introduction)?,
        None => Vec::new(),
    };
    out.put_u32_le(u32::try_from(introduction.len()).map_err(|_| TOO_LONG)?);
    out.put_slice(&introduction);
    out.put_u32_le(u32::try_from(message.entries.len()).map_err(|_| TOO_LONG)?);
    for entry in &message.entries {
        out.put_u8(entry.kind);
        out.put_u64_le(entry.term);
        out.put_u64_le(entry.index);
        out.put_u32_le(u32::try_from(entry.payload.len()).map_err(|_| TOO_LONG)?);
        out.put_slice(&entry.payload);
    }
    Ok(())
}

/// Slices into `bytes`; payloads and chunks are not copied.
pub(crate) fn decode(mut bytes: Bytes) -> Result<(FrameHeader, FrameBody), FrameError> {
    let version = bytes.try_get_u8()?;
    if version != VERSION {
        return Err(FrameError::UnknownVersion(version));
    }
    let kind = bytes.try_get_u8()?;
    let header = FrameHeader {
        partition: PartitionId(sixteen(&mut bytes)?),
        to_node: NodeId(sixteen(&mut bytes)?),
        to: ReplicaId(bytes.try_get_u64_le()?),
        from: ReplicaId(bytes.try_get_u64_le()?),
        clock: FrameClock {
            wall_ms: bytes.try_get_u64_le()?,
            boot_ms: bytes.try_get_u64_le()?,
            echo_boot_ms: bytes.try_get_u64_le()?,
            echo_held_ms: bytes.try_get_u64_le()?,
        },
        archived: bytes.try_get_u64_le()?,
    };
    // Clocks are computed with as signed numbers.
    if [header.clock.wall_ms, header.clock.boot_ms].iter().any(|ms| *ms > 1 << 48) {
        return Err(FrameError::Malformed("its clock shows no time"));
    }
    let body = match kind {
        1 => take_message(&mut bytes)?,
        2 => FrameBody::Chunk {
            snapshot: bytes.try_get_u64_le()?,
            term: bytes.try_get_u64_le()?,
            number: bytes.try_get_u32_le()?,
            bytes: std::mem::take(&mut bytes),
        },
        3 => FrameBody::ChunkAck {
            snapshot: bytes.try_get_u64_le()?,
            next: bytes.try_get_u32_le()?,
            refused: bytes.try_get_u8()? != 0,
        },
        4 => FrameBody::Gone { epoch: bytes.try_get_u64_le()? },
        other => return Err(FrameError::UnknownKind(other)),
    };
    if bytes.is_empty() { Ok((header, body)) } else { Err(FrameError::Malformed("bytes are left behind its end")) }
}

fn take_message(bytes: &mut Bytes) -> Result<FrameBody, FrameError> {
    let mut message = RaftMessage {
        kind: bytes.try_get_u8()?,
        term: bytes.try_get_u64_le()?,
        log_term: bytes.try_get_u64_le()?,
        index: bytes.try_get_u64_le()?,
        commit: bytes.try_get_u64_le()?,
        commit_term: bytes.try_get_u64_le()?,
        reject: bytes.try_get_u8()? != 0,
        reject_hint: bytes.try_get_u64_le()?,
        ..RaftMessage::default()
    };
    let context_bytes = bytes.try_get_u16_le()?;
    message.context = take(bytes, usize::from(context_bytes))?;
    let introduction_bytes = bytes.try_get_u32_le()?;
    let introduction = match take(bytes, introduction_bytes as usize)? {
        empty if empty.is_empty() => None,
        encoded => Some(Box::new(serde_json::from_slice(&encoded)?)),
    };
    let count = bytes.try_get_u32_le()? as usize;
    // An entry takes 21 bytes at least.
    if count > bytes.len() / 21 {
        return Err(FrameError::Malformed("it is cut short"));
    }
    message.entries.reserve(count);
    for position in 0..count as u64 {
        let (kind, term, index) = (bytes.try_get_u8()?, bytes.try_get_u64_le()?, bytes.try_get_u64_le()?);
        let payload_bytes = bytes.try_get_u32_le()?;
        let payload = take(bytes, payload_bytes as usize)?;
        if message.index.checked_add(1 + position) != Some(index) {
            return Err(FrameError::Malformed("its entries have a gap"));
        }
        message.entries.push(raft_types::LogEntry { kind, term, index, payload });
    }
    if !message.is_sound() {
        return Err(FrameError::Malformed("its message is of no kind that replicas send"));
    }
    Ok(FrameBody::Raft { message: Box::new(message), introduction })
}

fn take(bytes: &mut Bytes, length: usize) -> Result<Bytes, FrameError> {
    if length > bytes.len() {
        return Err(FrameError::Malformed("it is cut short"));
    }
    Ok(bytes.split_to(length))
}

fn sixteen(bytes: &mut Bytes) -> Result<[u8; 16], FrameError> {
    let mut array = [0; 16];
    bytes.try_copy_to_slice(&mut array)?;
    Ok(array)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn header() -> FrameHeader {
        FrameHeader {
            partition: PartitionId([1; 16]),
            to_node: NodeId([2; 16]),
            to: ReplicaId(3),
            from: ReplicaId(4),
            clock: FrameClock { wall_ms: 5, boot_ms: 6, echo_boot_ms: 7, echo_held_ms: 8 },
            archived: 9,
        }
    }

    fn append() -> RaftMessage {
        let entry = |index| raft_types::LogEntry { index, term: 9, kind: 0, payload: Bytes::from_static(b"payload") };
        RaftMessage {
            kind: 1,
            term: 9,
            log_term: 8,
            index: 10,
            commit: 9,
            entries: vec![entry(11), entry(12)],
            ..RaftMessage::default()
        }
    }

    fn bodies() -> Vec<FrameBody> {
        let introduction =
            Introduction { descriptor: testing::descriptor(3), definition: testing::definition(), first: true };
        vec![
            FrameBody::Raft { message: Box::new(append()), introduction: None },
            FrameBody::Raft { message: Box::new(append()), introduction: Some(Box::new(introduction)) },
            FrameBody::Chunk { snapshot: 1, term: 2, number: 3, bytes: Bytes::from_static(b"chunk") },
            FrameBody::ChunkAck { snapshot: 1, next: 2, refused: true },
            FrameBody::Gone { epoch: 7 },
        ]
    }

    #[test]
    fn a_frame_is_read_as_it_was_written() {
        for body in bodies() {
            let bytes = encode(&header(), &body).unwrap();
            assert_eq!(decode(bytes).unwrap(), (header(), body));
        }
    }

    #[test]
    fn a_frame_cut_short_is_refused() {
        for body in bodies() {
            // A chunk has no length of its own: the engine's checksum covers it.
            if matches!(body, FrameBody::Chunk { .. }) {
                continue;
            }
            let bytes = encode(&header(), &body).unwrap();
            for end in 0..bytes.len() {
                assert!(decode(bytes.slice(..end)).is_err(), "{body:?} cut at {end}");
            }
        }
    }

    /// The bytes of format version 1: neighbouring versions of the program run together.
    #[test]
    fn frames_of_format_version_1_stay_readable() {
        let golden = "0101".to_owned()
            + &"01".repeat(16)
            + &"02".repeat(16)
            + "0300000000000000"
            + "0400000000000000"
            + "0500000000000000"
            + "0600000000000000"
            + "0700000000000000"
            + "0800000000000000"
            + "0900000000000000"
            + "01"
            + "0900000000000000"
            + "0800000000000000"
            + "0a00000000000000"
            + "0900000000000000"
            + "0000000000000000"
            + "00"
            + "0000000000000000"
            + "0000"
            + "00000000"
            + "02000000"
            + "00"
            + "0900000000000000"
            + "0b00000000000000"
            + "07000000"
            + "7061796c6f6164"
            + "00"
            + "0900000000000000"
            + "0c00000000000000"
            + "07000000"
            + "7061796c6f6164";
        let bytes = encode(&header(), &FrameBody::Raft { message: Box::new(append()), introduction: None }).unwrap();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, golden);
    }

    #[test]
    fn entries_with_a_gap_and_messages_no_replica_sends_are_refused() {
        let mut gap = append();
        gap.entries[1].index = 13;
        let mut from_later_term = append();
        from_later_term.entries[1].term = 10;
        let without_term = RaftMessage { kind: 5, ..RaftMessage::default() };
        let of_no_kind = RaftMessage { kind: 14, term: 1, ..RaftMessage::default() };
        for message in [gap, from_later_term, without_term, of_no_kind] {
            let bytes = encode(&header(), &FrameBody::Raft { message: Box::new(message), introduction: None }).unwrap();
            assert!(matches!(decode(bytes), Err(FrameError::Malformed(_))));
        }
    }
}
