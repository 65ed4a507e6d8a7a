//! Lines of a file, none of them longer than a record may be.

use super::RECORD_BYTES_MAX;
use std::io::{self, BufRead};

/// One line.
pub(super) enum Line {
    /// Without its end; whether a carriage return stood before it.
    Whole { carriage_return: bool },
    /// It went on past the limit; the rest of it was passed over.
    TooLong,
}

/// A file, line by line.
pub(super) struct Lines<R> {
    reader: R,
    /// The last line, or its beginning.
    pub(super) text: Vec<u8>,
    /// Of the last line, from 1.
    pub(super) number: u64,
    /// Read so far.
    pub(super) bytes: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, text: Vec::new(), number: 0, bytes: 0 }
    }

    /// The next line, into [`Self::text`]; none after the last.
    pub(super) fn read(&mut self) -> io::Result<Option<Line>> {
        self.text.clear();
        let mut any = false;
        let mut too_long = false;
        loop {
            let buffer = match self.reader.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if buffer.is_empty() {
                break;
            }
            any = true;
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let part = &buffer[..end.unwrap_or(buffer.len())];
            if self.text.len() + part.len() > RECORD_BYTES_MAX {
                too_long = true;
            } else if !too_long {
                self.text.extend_from_slice(part);
            }
            let consumed = part.len() + usize::from(end.is_some());
            self.reader.consume(consumed);
            self.bytes += consumed as u64;
            if end.is_some() {
                break;
            }
        }
        if !any {
            return Ok(None);
        }
        self.number += 1;
        if too_long {
            return Ok(Some(Line::TooLong));
        }
        let carriage_return = self.text.last() == Some(&b'\r');
        if carriage_return {
            self.text.pop();
        }
        Ok(Some(Line::Whole { carriage_return }))
    }
}
