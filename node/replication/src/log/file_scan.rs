//! Reads raft-engine's log files before raft-engine does, so that nothing is cut without our knowing.
//!
//! raft-engine 0.4 skips files before a gap, cuts the last file at the first bad batch whatever lies behind it, and
//! checks the entries of only the last batch of each file. So each file is read here first, in the format that raft-engine
//! writes (its version 2, without compression and alignment):
//!
//! ```text
//! file: header, batches one behind the other, then perhaps zeros that were allocated ahead
//!
//! header  0   53  "RAFT-LOG-FILE-HEADER-9986AB3E47F320B394C8E84916EB0ED5"
//!         53  8   version: 2, big-endian
//!         61  8   alignment: 0, big-endian
//! batch   0   8   length of the batch << 8 | compression (0: none), big-endian
//!         8   8   offset of the items in the batch, big-endian
//!         16  …   entries, one behind the other (encoding.rs), and their CRC-32, little-endian; nothing if there are none
//!         …   …   items, and their CRC-32 XOR the file's number, little-endian
//! items   count, then for each: log id, type, and
//!           type 1, entries:  count, first index, and the offset behind each of them among the batch's entries
//!           type 2, command:  1 = the log ends; 2 and an index = the log begins there
//!           type 3, value:    1 = put, key and value with their lengths; 2 = delete, key with its length
//!         (types one byte, all other numbers LEB128)
//! ```

use super::{
    LogError,
    encoding::{ENTRY_HEADER_BYTES, ENTRY_VERSION, STATE_KEY, STATE_VERSION, StoredState},
};
use bytes::Buf;
use std::{collections::BTreeMap, path::Path};

const MAGIC: &[u8] = b"RAFT-LOG-FILE-HEADER-9986AB3E47F320B394C8E84916EB0ED5";
const FILE_VERSION: u64 = 2;
const FILE_HEADER_BYTES: usize = MAGIC.len() + 16;
const BATCH_HEADER_BYTES: usize = 16;
const CHECKSUM_BYTES: usize = 4;

/// What a file has behind its last good batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// Nothing.
    Clean,
    /// Bytes from here on with nothing valid behind them: a write that was torn or, where they are all zero, room that was
    /// allocated ahead.
    Torn { at: u64, zeros: bool },
    /// A bad batch and good ones behind it.
    Damaged { reason: String },
}

/// What the files read so far say of each log.
#[derive(Debug, Default)]
pub(super) struct Surveyed {
    pub(super) logs: BTreeMap<u64, SurveyedLog>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SurveyedLog {
    pub(super) last_index: Option<u64>,
    pub(super) state: Option<StoredState>,
    /// Some of its entries were seen in the append queue, from where on there must be no hole.
    appended: bool,
}

/// raft-engine's two queues of files: what is written, and what it wrote again to be able to delete old files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Queue {
    Rewrite,
    Append,
}

/// Reads one file; those of the rewrite queue come first, then those of the append queue, each in the order of their
/// numbers. `number` is that in its name.
pub(super) fn scan(path: &Path, queue: Queue, number: u64, surveyed: &mut Surveyed) -> Result<Tail, LogError> {
    let file = std::fs::read(path).map_err(LogError::io("read", path))?;
    let newer = |found: u64, known: u64| LogError::NewerFormat { path: path.to_owned(), found, known };
    if !file.starts_with(MAGIC) || file.len() < FILE_HEADER_BYTES {
        let zeros = is_zero(&file);
        let begun = file.len() < FILE_HEADER_BYTES && MAGIC.starts_with(&file[..file.len().min(MAGIC.len())]);
        return Ok(match zeros || begun {
            true => Tail::Torn { at: 0, zeros },
            false => Tail::Damaged { reason: "its header is damaged".into() },
        });
    }
    let mut header = &file[MAGIC.len()..FILE_HEADER_BYTES];
    let (version, alignment) = (header.get_u64(), header.get_u64());
    if version > FILE_VERSION && version < u64::from(u16::MAX) {
        return Err(newer(version, FILE_VERSION));
    }
    if version != FILE_VERSION || alignment != 0 {
        return Ok(Tail::Damaged { reason: "its header is damaged".into() });
    }
    let mut at = FILE_HEADER_BYTES;
    while at < file.len() {
        let Some(batch) = Batch::at(&file, at, number) else {
            return Ok(tail(&file, at, number));
        };
        match surveyed.take(queue, &batch) {
            Ok(()) => at += batch.length,
            Err(Flaw::Newer { found, known }) => return Err(newer(u64::from(found), u64::from(known))),
            Err(Flaw::Damaged(reason)) => return Ok(Tail::Damaged { reason: format!("at byte {at}: {reason}") }),
        }
    }
    Ok(Tail::Clean)
}

/// What lies at a bad batch: the last bytes of the file, or is there a good batch anywhere behind?
fn tail(file: &[u8], at: usize, number: u64) -> Tail {
    let zeros_at = file.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    match (at + 1..zeros_at).find(|behind| Batch::at(file, *behind, number).is_some()) {
        Some(behind) => {
            Tail::Damaged { reason: format!("the batch at byte {at} is bad, that at byte {behind} is good") }
        }
        None => Tail::Torn { at: at as u64, zeros: zeros_at <= at },
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

enum Flaw {
    Damaged(&'static str),
    Newer { found: u8, known: u8 },
}

/// A batch whose checksums match.
struct Batch<'a> {
    length: usize,
    entries: &'a [u8],
    items: &'a [u8],
}

impl<'a> Batch<'a> {
    fn at(file: &'a [u8], at: usize, number: u64) -> Option<Self> {
        let mut header = file.get(at..at + BATCH_HEADER_BYTES)?;
        let length_and_type = header.get_u64();
        let items_at = usize::try_from(header.get_u64()).ok()?;
        let length = usize::try_from(length_and_type >> 8).ok()?;
        if length_and_type & 0xFF != 0
            || items_at < BATCH_HEADER_BYTES
            || items_at >= length
            || length > file.len() - at
        {
            return None;
        }
        let batch = &file[at..at + length];
        let items = checked(&batch[items_at..], number as u32)?;
        let entries = match &batch[BATCH_HEADER_BYTES..items_at] {
            [] => &[],
            entries => checked(entries, 0)?,
        };
        Some(Self { length, entries, items })
    }
}

/// The bytes before a checksum that matches them.
fn checked(bytes: &[u8], signature: u32) -> Option<&[u8]> {
    let (content, mut checksum) = bytes.split_at(bytes.len().checked_sub(CHECKSUM_BYTES)?);
    (!content.is_empty() && crc32fast::hash(content) ^ signature == checksum.get_u32_le()).then_some(content)
}

impl Surveyed {
    fn take(&mut self, queue: Queue, batch: &Batch<'_>) -> Result<(), Flaw> {
        let mut items = Items(batch.items);
        let mut entries_end = 0;
        for _ in 0..items.number()? {
            let log_id = items.number()?;
            match items.byte()? {
                1 => self.take_entries(queue, log_id, &mut items, batch.entries, &mut entries_end)?,
                2 => match items.byte()? {
                    1 => {
                        self.logs.remove(&log_id);
                    }
                    2 => {
                        let first = items.number()?;
                        let log = self.logs.entry(log_id).or_default();
                        log.last_index = log.last_index.filter(|last| *last >= first);
                    }
                    _ => return Err(Flaw::Damaged("a command is unknown")),
                },
                3 => {
                    let put = items.byte()? == 1;
                    let key = items.bytes()?;
                    let value = if put { Some(items.bytes()?) } else { None };
                    if key == STATE_KEY {
                        self.take_state(log_id, value)?;
                    }
                }
                _ => return Err(Flaw::Damaged("an item is of no known type")),
            }
        }
        Ok(())
    }

    fn take_entries(
        &mut self,
        queue: Queue,
        log_id: u64,
        items: &mut Items<'_>,
        entries: &[u8],
        entries_end: &mut usize,
    ) -> Result<(), Flaw> {
        let count = items.number()?;
        if count == 0 {
            return Ok(());
        }
        let first = items.number()?;
        for _ in 0..count {
            let end = items.number()? as usize;
            let entry = entries.get(*entries_end..end).filter(|entry| entry.len() >= ENTRY_HEADER_BYTES);
            let entry = entry.ok_or(Flaw::Damaged("an entry is not where it should be"))?;
            if entry[0] > ENTRY_VERSION {
                return Err(Flaw::Newer { found: entry[0], known: ENTRY_VERSION });
            }
            *entries_end = end;
        }
        let log = self.logs.entry(log_id).or_default();
        if queue == Queue::Append {
            if log.appended && log.last_index.is_some_and(|last| first > last + 1) {
                return Err(Flaw::Damaged("entries are missing before these"));
            }
            log.appended = true;
        }
        log.last_index = Some(first + count - 1);
        Ok(())
    }

    fn take_state(&mut self, log_id: u64, value: Option<&[u8]>) -> Result<(), Flaw> {
        let state = match value {
            Some([found, ..]) if *found > STATE_VERSION => {
                return Err(Flaw::Newer { found: *found, known: STATE_VERSION });
            }
            Some(value) => Some(StoredState::decode(value).ok_or(Flaw::Damaged("a log's state is damaged"))?),
            None => None,
        };
        self.logs.entry(log_id).or_default().state = state;
        Ok(())
    }
}

/// The items of a batch, from here on.
struct Items<'a>(&'a [u8]);

impl<'a> Items<'a> {
    fn byte(&mut self) -> Result<u8, Flaw> {
        let (byte, rest) = self.0.split_first().ok_or(Flaw::Damaged("its items end too early"))?;
        self.0 = rest;
        Ok(*byte)
    }

    fn number(&mut self) -> Result<u64, Flaw> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Flaw::Damaged("a number of its items has no end"))
    }

    fn bytes(&mut self) -> Result<&'a [u8], Flaw> {
        let length = usize::try_from(self.number()?).unwrap_or(usize::MAX);
        let bytes = self.0.get(..length).ok_or(Flaw::Damaged("its items end too early"))?;
        self.0 = &self.0[length..];
        Ok(bytes)
    }
}
