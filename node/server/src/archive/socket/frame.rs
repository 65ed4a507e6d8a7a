//! Frames: what the bodies of entries, snapshots and restores are made of.
//!
//! ```text
//! body (version 1; numbers big-endian)
//! 0   1   version: 1
//! 1   …   frames
//!
//! frame  0   1   kind
//!        1   4   bytes that follow: 64 MiB at most
//!        5   …   by kind:
//!
//! 1 head         what a snapshot is of: JSON, `SnapshotHead`
//! 2 chunk        of a snapshot, as the engine wrote it
//! 3 chunks done  nothing: no chunk follows
//! 4 entry        0   8   index
//!                8   8   term
//!                16  1   kind of entry
//!                17  8   entry time, 0 if it has none
//!                25  …   payload
//! 5 end          nothing: all of it was there
//! 6 adopt        what the restored data is to become: JSON, `AdoptOrder`
//! 7 failed       why no more follows: JSON, `Refusal`
//! 8 layout       what follows is only to be read: nothing, or
//!                0   8   after this time, what is deleted is kept
//! 9 read         nothing: no entry follows
//! 10 item        0   4   bytes of the key
//!                4   …   the key
//!                …   …   the stored version
//! 11 deleted     0   8   when
//!                8   …   the key
//! 12 items       of a partition that is filled: see `items`
//! 13 entry behind  as 4, with the time restored to in the place of the entry's
//! ```
//!
//! A body without the frame that ends it (5, 6, 7 or 9) was cut.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use cairn_model::{key::EncodedKey, time::Timestamp};
use cairn_replication::log::LogEntry;

const VERSION: u8 = 1;
const FRAME_BYTES_MAX: usize = 64 << 20;
const HEADER_BYTES: usize = 5;
const ENTRY_HEADER_BYTES: usize = 25;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    Head(Bytes),
    Chunk(Bytes),
    ChunksDone,
    Entry(LogEntry, Timestamp),
    End,
    Adopt(Bytes),
    Failed(Bytes),
    Layout(Option<Timestamp>),
    Read,
    /// A key, and what is stored under it.
    Item(EncodedKey, Bytes),
    Deleted(EncodedKey, Timestamp),
    Items(Bytes),
    EntryBehind(LogEntry, Timestamp),
}

/// Why a body is not what it should be.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameError {
    #[error("its version is {0}, and this program knows none above {VERSION}")]
    UnknownVersion(u8),
    #[error("it has a frame of the unknown kind {0}")]
    UnknownKind(u8),
    #[error("it has a frame of {0} bytes, and {FRAME_BYTES_MAX} are allowed")]
    TooLarge(usize),
    #[error("it has an entry of {0} bytes, less than its header")]
    ShortEntry(usize),
    #[error("it has a frame of {0} bytes that ends early")]
    Short(usize),
    #[error("it was cut short")]
    CutShort,
    #[error("nothing of it came for {0} s")]
    Idle(u64),
    #[error("it broke off")]
    Broken(#[from] hyper::Error),
}

/// Gathers frames into pieces of a body.
#[derive(Debug)]
pub(super) struct FrameWriter {
    out: BytesMut,
}

impl FrameWriter {
    pub(super) fn new() -> Self {
        Self { out: BytesMut::from(&[VERSION][..]) }
    }

    pub(super) fn put(&mut self, frame: &Frame) -> Result<(), FrameError> {
        match frame {
            Frame::Head(json) => self.put_bytes(1, json),
            Frame::Chunk(chunk) => self.put_bytes(2, chunk),
            Frame::ChunksDone => self.put_bytes(3, &[]),
            Frame::Entry(entry, time) => self.put_entry(4, entry, *time),
            Frame::EntryBehind(entry, at) => self.put_entry(13, entry, *at),
            Frame::End => self.put_bytes(5, &[]),
            Frame::Adopt(json) => self.put_bytes(6, json),
            Frame::Failed(json) => self.put_bytes(7, json),
            Frame::Layout(None) => self.put_bytes(8, &[]),
            Frame::Layout(Some(after)) => self.put_bytes(8, &after.0.to_be_bytes()),
            Frame::Read => self.put_bytes(9, &[]),
            Frame::Item(EncodedKey(key), stored) => {
                self.put_header(10, 4 + key.len() + stored.len())?;
                self.out.put_u32(key.len() as u32);
                self.out.put_slice(key);
                self.out.put_slice(stored);
                Ok(())
            }
            Frame::Deleted(EncodedKey(key), at) => {
                self.put_header(11, 8 + key.len())?;
                self.out.put_u64(at.0);
                self.out.put_slice(key);
                Ok(())
            }
            Frame::Items(items) => self.put_bytes(12, items),
        }
    }

    fn put_bytes(&mut self, kind: u8, bytes: &[u8]) -> Result<(), FrameError> {
        self.put_header(kind, bytes.len())?;
        self.out.put_slice(bytes);
        Ok(())
    }

    fn put_entry(&mut self, kind: u8, entry: &LogEntry, time: Timestamp) -> Result<(), FrameError> {
        self.put_header(kind, ENTRY_HEADER_BYTES + entry.payload.len())?;
        self.out.put_u64(entry.index);
        self.out.put_u64(entry.term);
        self.out.put_u8(entry.kind);
        self.out.put_u64(time.0);
        self.out.put_slice(&entry.payload);
        Ok(())
    }

    fn put_header(&mut self, kind: u8, bytes: usize) -> Result<(), FrameError> {
        if bytes > FRAME_BYTES_MAX {
            return Err(FrameError::TooLarge(bytes));
        }
        self.out.put_u8(kind);
        self.out.put_u32(bytes as u32);
        Ok(())
    }

    /// Bytes that were put in and not taken yet.
    pub(super) fn bytes(&self) -> usize {
        self.out.len()
    }

    pub(super) fn take(&mut self) -> Bytes {
        self.out.split().freeze()
    }
}

/// Takes frames out of a body that comes in pieces of any size.
#[derive(Debug, Default)]
pub(super) struct FrameReader {
    begun: bool,
    waiting: BytesMut,
}

impl FrameReader {
    pub(super) fn push(&mut self, piece: &[u8]) {
        self.waiting.extend_from_slice(piece);
    }

    /// The next frame; none before more is pushed.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        if !self.begun && !self.waiting.is_empty() {
            match self.waiting.get_u8() {
                VERSION => self.begun = true,
                other => return Err(FrameError::UnknownVersion(other)),
            }
        }
        let Some(mut header) = self.waiting.get(..HEADER_BYTES) else { return Ok(None) };
        let (kind, bytes) = (header.get_u8(), header.get_u32() as usize);
        if bytes > FRAME_BYTES_MAX {
            return Err(FrameError::TooLarge(bytes));
        }
        if self.waiting.len() < HEADER_BYTES + bytes {
            return Ok(None);
        }
        self.waiting.advance(HEADER_BYTES);
        let body = self.waiting.split_to(bytes).freeze();
        Ok(Some(match kind {
            1 => Frame::Head(body),
            2 => Frame::Chunk(body),
            3 => Frame::ChunksDone,
            4 => {
                let (entry, time) = entry(body)?;
                Frame::Entry(entry, time)
            }
            5 => Frame::End,
            6 => Frame::Adopt(body),
            7 => Frame::Failed(body),
            8 => Frame::Layout(if body.is_empty() { None } else { Some(time(body)?.0) }),
            9 => Frame::Read,
            10 => item(body)?,
            11 => {
                let (at, key) = time(body)?;
                Frame::Deleted(EncodedKey(key), at)
            }
            12 => Frame::Items(body),
            13 => {
                let (entry, at) = entry(body)?;
                Frame::EntryBehind(entry, at)
            }
            other => return Err(FrameError::UnknownKind(other)),
        }))
    }
}

fn entry(mut body: Bytes) -> Result<(LogEntry, Timestamp), FrameError> {
    if body.len() < ENTRY_HEADER_BYTES {
        return Err(FrameError::ShortEntry(body.len()));
    }
    let (index, term, kind, time) = (body.get_u64(), body.get_u64(), body.get_u8(), body.get_u64());
    Ok((LogEntry { index, term, kind, payload: body }, Timestamp(time)))
}

/// What begins with a time, and the rest.
fn time(mut body: Bytes) -> Result<(Timestamp, Bytes), FrameError> {
    let bytes = body.len();
    let time = body.try_get_u64().map_err(|_| FrameError::Short(bytes))?;
    Ok((Timestamp(time), body))
}

fn item(mut body: Bytes) -> Result<Frame, FrameError> {
    let bytes = body.len();
    match body.try_get_u32() {
        Ok(key) if key as usize <= body.len() => Ok(Frame::Item(EncodedKey(body.split_to(key as usize)), body)),
        _ => Err(FrameError::Short(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames() -> Vec<Frame> {
        let entry = |index, payload: &'static [u8]| LogEntry { index, term: 3, kind: 1, payload: payload.into() };
        vec![
            Frame::Head(Bytes::from_static(b"{}")),
            Frame::Chunk(Bytes::from_static(b"chunk")),
            Frame::Chunk(Bytes::new()),
            Frame::ChunksDone,
            Frame::Entry(entry(7, b"payload"), Timestamp(9)),
            Frame::Entry(entry(8, b""), Timestamp(0)),
            Frame::Adopt(Bytes::from_static(b"{\"a\":1}")),
            Frame::Failed(Bytes::from_static(b"{}")),
            Frame::Layout(None),
            Frame::Layout(Some(Timestamp(5))),
            Frame::Read,
            Frame::Item(EncodedKey(Bytes::from_static(b"key")), Bytes::from_static(b"item")),
            Frame::Item(EncodedKey(Bytes::new()), Bytes::new()),
            Frame::Deleted(EncodedKey(Bytes::from_static(b"key")), Timestamp(7)),
            Frame::Items(Bytes::from_static(b"items")),
            Frame::EntryBehind(entry(9, b"behind"), Timestamp(8)),
            Frame::End,
        ]
    }

    fn written(frames: &[Frame]) -> Bytes {
        let mut writer = FrameWriter::new();
        frames.iter().for_each(|frame| writer.put(frame).unwrap());
        writer.take()
    }

    #[test]
    fn frames_come_out_as_they_went_in_whatever_pieces_they_come_in() {
        let bytes = written(&frames());
        for size in [1, 2, 5, 7, 31, bytes.len()] {
            let (mut reader, mut read) = (FrameReader::default(), Vec::new());
            for piece in bytes.chunks(size) {
                reader.push(piece);
                while let Some(frame) = reader.next().unwrap() {
                    read.push(frame);
                }
            }
            assert_eq!(read, frames(), "pieces of {size}");
        }
    }

    #[test]
    fn the_bytes_of_a_frame_are_those_that_other_versions_expect() {
        let entry = LogEntry { index: 1, term: 2, kind: 0, payload: Bytes::from_static(b"x") };
        let key = || EncodedKey(Bytes::from_static(b"k"));
        let item = Frame::Item(key(), Bytes::from_static(b"ab"));
        let deleted = Frame::Deleted(key(), Timestamp(3));
        let behind = Frame::EntryBehind(entry.clone(), Timestamp(4));
        let entry = Frame::Entry(entry, Timestamp(3));
        let bytes = written(&[Frame::ChunksDone, entry, Frame::Layout(None), item, deleted, behind, Frame::End]);
        let expected = [
            &[1, 3, 0, 0, 0, 0, 4, 0, 0, 0, 26][..],
            &[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 3, b'x'],
            &[8, 0, 0, 0, 0, 10, 0, 0, 0, 7, 0, 0, 0, 1, b'k', b'a', b'b'],
            &[11, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 3, b'k'],
            &[13, 0, 0, 0, 26, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 4, b'x'],
            &[5, 0, 0, 0, 0],
        ];
        assert_eq!(bytes, expected.concat());
    }

    #[test]
    fn a_body_that_is_cut_lacks_its_last_frame() {
        let bytes = written(&frames());
        for end in 0..bytes.len() {
            let (mut reader, mut read) = (FrameReader::default(), Vec::new());
            reader.push(&bytes[..end]);
            while let Some(frame) = reader.next().unwrap() {
                read.push(frame);
            }
            assert!(read.len() < frames().len(), "cut at {end}");
            assert_eq!(read, frames()[..read.len()]);
        }
    }

    #[test]
    fn a_frame_over_the_limit_is_refused_before_it_is_there() {
        let entry = LogEntry { payload: vec![0; FRAME_BYTES_MAX].into(), ..LogEntry::default() };
        let mut writer = FrameWriter::new();
        assert!(matches!(writer.put(&Frame::Entry(entry, Timestamp(1))), Err(FrameError::TooLarge(_))));
        let mut reader = FrameReader::default();
        reader.push(&[VERSION, 2, 0xff, 0, 0, 0]);
        assert!(matches!(reader.next(), Err(FrameError::TooLarge(_))));
    }

    #[test]
    fn what_is_unknown_is_refused() {
        let read = |bytes: &[u8]| {
            let mut reader = FrameReader::default();
            reader.push(bytes);
            reader.next()
        };
        assert!(matches!(read(&[2, 5, 0, 0, 0, 0]), Err(FrameError::UnknownVersion(2))));
        assert!(matches!(read(&[1, 99, 0, 0, 0, 0]), Err(FrameError::UnknownKind(99))));
        assert!(matches!(read(&[1, 4, 0, 0, 0, 1, 0]), Err(FrameError::ShortEntry(1))));
        for short in [&[8, 0, 0, 0, 1, 0][..], &[10, 0, 0, 0, 4, 0, 0, 0, 1], &[11, 0, 0, 0, 1, 0]] {
            assert!(matches!(read(&[&[1], short].concat()), Err(FrameError::Short(_))));
        }
    }
}
