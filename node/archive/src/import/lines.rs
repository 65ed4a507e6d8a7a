//! Lines of a file, or JSON values one after the other, none of them longer than a record may be.

use super::{BYTE_ORDER_MARK, RECORD_BYTES_MAX};
use std::io::{self, BufRead};

/// One line.
pub(super) enum Line {
    /// Without its end; whether a carriage return stood before it.
    Whole { carriage_return: bool },
    /// It went on past the limit; the rest of it was passed over.
    TooLong,
}

/// A file, line by line or value by value.
pub(super) struct Lines<R> {
    reader: R,
    /// The last line or value, or its beginning.
    pub(super) text: Vec<u8>,
    /// Of the last line, or of the line in which the last value begins; from 1.
    pub(super) number: u64,
    /// Line ends read so far.
    ends: u64,
    /// Read so far.
    pub(super) bytes: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, text: Vec::new(), number: 0, ends: 0, bytes: 0 }
    }

    /// The next line, into [`Self::text`]; none after the last.
    pub(super) fn read(&mut self) -> io::Result<Option<Line>> {
        let Some(is_whole) = self.read_through(|byte| byte == b'\n')? else { return Ok(None) };
        self.number += 1;
        if !is_whole {
            return Ok(Some(Line::TooLong));
        }
        self.text.pop_if(|last| *last == b'\n');
        let carriage_return = self.text.pop_if(|last| *last == b'\r').is_some();
        Ok(Some(Line::Whole { carriage_return }))
    }

    /// The next JSON value, into [`Self::text`]; none after the last. What is between values is passed over; what does not begin as
    /// an object goes to the end of its line, and one that is not closed to the end of the file.
    pub(super) fn read_value(&mut self) -> io::Result<Option<Line>> {
        let Some(first) = self.skip_blank()? else { return Ok(None) };
        self.number = self.ends + 1;
        let mut object = Object::default();
        let read = self.read_through(|byte| if first == b'{' { object.ends_with(byte) } else { byte == b'\n' })?;
        self.text.truncate(self.text.trim_ascii_end().len());
        Ok(read.map(|is_whole| if is_whole { Line::Whole { carriage_return: false } } else { Line::TooLong }))
    }

    /// The byte that a value begins with, which is not read; none after the last. A byte order mark is part of no value.
    fn skip_blank(&mut self) -> io::Result<Option<u8>> {
        loop {
            let Some(byte) = fill(&mut self.reader)?.first().copied() else { return Ok(None) };
            let is_mark = usize::try_from(self.bytes).is_ok_and(|at| BYTE_ORDER_MARK.get(at) == Some(&byte));
            if !byte.is_ascii_whitespace() && !is_mark {
                return Ok(Some(byte));
            }
            self.ends += u64::from(byte == b'\n');
            self.bytes += 1;
            self.reader.consume(1);
        }
    }

    /// Reads into [`Self::text`] to the byte that `is_last` says so of, or to the end of the file; whether that is no longer than a
    /// record may be. None where the file is at its end.
    fn read_through(&mut self, mut is_last: impl FnMut(u8) -> bool) -> io::Result<Option<bool>> {
        self.text.clear();
        let (mut any, mut too_long) = (false, false);
        loop {
            let buffer = fill(&mut self.reader)?;
            if buffer.is_empty() {
                return Ok(any.then_some(!too_long));
            }
            any = true;
            let last = buffer.iter().position(|byte| is_last(*byte));
            let part = &buffer[..last.map_or(buffer.len(), |last| last + 1)];
            let (length, ends) = (part.len(), part.iter().filter(|byte| **byte == b'\n').count());
            too_long |= self.text.len() + length > RECORD_BYTES_MAX;
            if !too_long {
                self.text.extend_from_slice(part);
            }
            self.reader.consume(length);
            self.bytes += length as u64;
            self.ends += ends as u64;
            if last.is_some() {
                return Ok(Some(!too_long));
            }
        }
    }
}

/// What of a file is there to be read; nothing at its end.
fn fill<R: BufRead>(reader: &mut R) -> io::Result<&[u8]> {
    while let Err(error) = reader.fill_buf() {
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    reader.fill_buf()
}

/// How far a JSON object is read, as far as its brackets tell: whether they match is for its reader.
#[derive(Default)]
struct Object {
    depth: u64,
    in_text: bool,
    escaped: bool,
}

impl Object {
    /// Whether this byte, the next, is its last.
    fn ends_with(&mut self, byte: u8) -> bool {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' if self.in_text => self.escaped = true,
            b'"' => self.in_text = !self.in_text,
            _ if self.in_text => {}
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth -= 1;
                return self.depth == 0;
            }
            _ => {}
        }
        false
    }
}
