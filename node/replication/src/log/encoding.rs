//! What the log's files hold of ours, byte by byte. (The files around it are raft-engine's, see `file_scan`.)
//!
//! ```text
//! entry (version 1; numbers big-endian)
//! 0   1  version: 1
//! 1   8  index
//! 9   8  term
//! 17  1  kind: 0 a normal entry, 1 a change of the configuration
//! 18  …  payload (entry.rs)
//!
//! state of a log, under the key "s" (version 1, 49 bytes; numbers big-endian)
//! 0   1  version: 1
//! 1   8  index   \ of the entry just before the first one that is kept
//! 9   8  term    /
//! 17  8  term    \
//! 25  8  vote     | the hard state
//! 33  8  commit  /
//! 41  8  entries that others replaced
//! ```
//!
//! raft-engine wants its entries to be messages of protobuf 2; ours pass for such, and no protobuf is ever written or parsed.

use super::{HardState, LogEntry, LogStart};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use cairn_engine::LogMark;
use protobuf::{Clear, CodedInputStream, CodedOutputStream, Message, ProtobufError, ProtobufResult, UnknownFields};
use raft_engine::MessageExt;
use std::{any::Any, io::Read, sync::LazyLock};

pub(super) const ENTRY_VERSION: u8 = 1;
pub(super) const ENTRY_HEADER_BYTES: usize = 18;
pub(super) const STATE_KEY: &[u8] = b"s";
pub(super) const STATE_VERSION: u8 = 1;
const STATE_BYTES: usize = 49;

/// An entry as raft-engine takes and gives it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct StoredEntry {
    pub(super) entry: LogEntry,
    unknown: UnknownFields,
}

impl From<LogEntry> for StoredEntry {
    fn from(entry: LogEntry) -> Self {
        Self { entry, unknown: UnknownFields::default() }
    }
}

impl StoredEntry {
    fn header(&self) -> [u8; ENTRY_HEADER_BYTES] {
        let mut header = [0; ENTRY_HEADER_BYTES];
        let mut rest = &mut header[..];
        rest.put_u8(ENTRY_VERSION);
        rest.put_u64(self.entry.index);
        rest.put_u64(self.entry.term);
        rest.put_u8(self.entry.kind);
        header
    }

    fn decode(bytes: Vec<u8>) -> Option<LogEntry> {
        let mut bytes = Bytes::from(bytes);
        if bytes.len() < ENTRY_HEADER_BYTES || bytes.get_u8() != ENTRY_VERSION {
            return None;
        }
        Some(LogEntry { index: bytes.get_u64(), term: bytes.get_u64(), kind: bytes.get_u8(), payload: bytes })
    }
}

pub(super) struct Entries;

impl MessageExt for Entries {
    type Entry = StoredEntry;

    fn index(stored: &StoredEntry) -> u64 {
        stored.entry.index
    }
}

impl Clear for StoredEntry {
    fn clear(&mut self) {
        *self = Self::new();
    }
}

impl Message for StoredEntry {
    fn descriptor(&self) -> &'static protobuf::reflect::MessageDescriptor {
        unreachable!("only asked for where a required field is missing, and there are none")
    }

    fn is_initialized(&self) -> bool {
        true
    }

    fn merge_from(&mut self, input: &mut CodedInputStream<'_>) -> ProtobufResult<()> {
        let mut bytes = Vec::new();
        input.read_to_end(&mut bytes)?;
        let damaged = || ProtobufError::IoError(std::io::Error::other("an entry is damaged or of a newer format"));
        self.entry = Self::decode(bytes).ok_or_else(damaged)?;
        Ok(())
    }

    fn write_to_with_cached_sizes(&self, output: &mut CodedOutputStream<'_>) -> ProtobufResult<()> {
        output.write_raw_bytes(&self.header())?;
        output.write_raw_bytes(&self.entry.payload)
    }

    fn compute_size(&self) -> u32 {
        (ENTRY_HEADER_BYTES + self.entry.payload.len()) as u32
    }

    fn get_cached_size(&self) -> u32 {
        self.compute_size()
    }

    fn get_unknown_fields(&self) -> &UnknownFields {
        &self.unknown
    }

    fn mut_unknown_fields(&mut self) -> &mut UnknownFields {
        &mut self.unknown
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn new() -> Self {
        LogEntry { index: 0, term: 0, kind: 0, payload: Bytes::new() }.into()
    }

    fn default_instance() -> &'static Self {
        static DEFAULT: LazyLock<StoredEntry> = LazyLock::new(StoredEntry::new);
        &DEFAULT
    }
}

/// All of a log but its entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct StoredState {
    pub(super) start: LogStart,
    pub(super) hard_state: HardState,
    /// How many of its entries others replaced, ever.
    pub(super) replaced: u64,
}

impl StoredState {
    /// The mark of a log in this state that ends at `last_index`, once that is durable.
    pub(super) fn mark(&self, last_index: u64) -> LogMark {
        LogMark { written: last_index.saturating_add(self.replaced), term: self.hard_state.term }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = BytesMut::with_capacity(STATE_BYTES);
        bytes.put_u8(STATE_VERSION);
        bytes.put_u64(self.start.index);
        bytes.put_u64(self.start.term);
        bytes.put_u64(self.hard_state.term);
        bytes.put_u64(self.hard_state.vote);
        bytes.put_u64(self.hard_state.commit);
        bytes.put_u64(self.replaced);
        bytes.into()
    }

    pub(super) fn decode(mut bytes: &[u8]) -> Option<Self> {
        if bytes.len() != STATE_BYTES || bytes.get_u8() != STATE_VERSION {
            return None;
        }
        Some(Self {
            start: LogStart { index: bytes.get_u64(), term: bytes.get_u64() },
            hard_state: HardState { term: bytes.get_u64(), vote: bytes.get_u64(), commit: bytes.get_u64() },
            replaced: bytes.get_u64(),
        })
    }
}
