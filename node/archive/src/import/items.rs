//! The items of one file, one after the other, with what was wrong in between.

use super::{
    BYTE_ORDER_MARK, Compression, Format, csv,
    dynamodb_json::{self, Fault},
    ion,
    lines::{Line, Lines},
};
use cairn_model::{
    Item, TableDefinition, codec::EncodedItem, index_keys::check_index_keys, key::EncodedKey, limits::ITEM_BYTES_MAX,
    size::item_size,
};
use std::{
    io::{self, BufRead, BufReader, Read},
    sync::Arc,
};

/// Of what is wrong, and of why, as much is told.
const SHOWN_BYTES_MAX: usize = 1_024;
const BUFFER_BYTES: usize = 64 << 10;
/// A frame may ask for a window of any size, and that much memory: 16 MiB are more than zstd's levels up to 19 ask for.
const ZSTD_WINDOW_LOG_MAX: u32 = 24;
const WINDOW_TOO_LARGE: &str =
    "its zstd window is larger than 16 MiB: compress it with a level of at most 19, and not with --long";
const TOO_LONG: &str = "The record is too long";

/// An item of a file, checked as PutItem checks one, or what stands in its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its first line, from 1, in the uncompressed file.
    pub line: u64,
    pub item: Result<(EncodedKey, EncodedItem), Rejected>,
}

/// What is no item of the table, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    pub message: String,
    /// Its beginning.
    pub text: String,
}

/// Reads one file. An error of its iteration is the end of it: what follows can't be read; so may be what is no item.
pub struct Items<'a> {
    lines: Lines<Box<dyn BufRead + Send + 'a>>,
    records: Records,
    definition: TableDefinition,
    ended: bool,
}

#[derive(Clone, Debug)]
enum Records {
    DynamoDbJson,
    Ion,
    Csv(Csv),
}

#[derive(Clone, Debug)]
struct Csv {
    delimiter: u8,
    /// None until the first record is read.
    header: Option<Arc<Vec<String>>>,
}

impl std::fmt::Debug for Items<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Items")
            .field("records", &self.records)
            .field("line", &self.lines.number)
            .finish_non_exhaustive()
    }
}

impl<'a> Items<'a> {
    pub fn new(
        reader: impl Read + Send + 'a,
        compression: Compression,
        format: Format,
        definition: TableDefinition,
    ) -> io::Result<Self> {
        let reader: Box<dyn BufRead + Send + 'a> = match compression {
            Compression::None => Box::new(BufReader::with_capacity(BUFFER_BYTES, reader)),
            Compression::Gzip => {
                Box::new(BufReader::with_capacity(BUFFER_BYTES, flate2::read::MultiGzDecoder::new(reader)))
            }
            Compression::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::new(reader)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                Box::new(BufReader::with_capacity(BUFFER_BYTES, Unpacked(decoder)))
            }
        };
        let records = match format {
            Format::DynamoDbJson => Records::DynamoDbJson,
            Format::Ion => Records::Ion,
            Format::Csv { delimiter, header } => {
                header.as_deref().map_or(Ok(()), csv::check_header).map_err(invalid)?;
                Records::Csv(Csv { delimiter, header: header.map(Arc::new) })
            }
        };
        Ok(Self { lines: Lines::new(reader), records, definition, ended: false })
    }

    /// Read so far, uncompressed.
    pub fn bytes(&self) -> u64 {
        self.lines.bytes
    }

    fn read(&mut self) -> io::Result<Option<Entry>> {
        match self.records.clone() {
            Records::DynamoDbJson => self.read_value(),
            Records::Ion => self.read_ion(),
            Records::Csv(Csv { delimiter, header: Some(header) }) => self.read_csv(delimiter, &header),
            Records::Csv(Csv { delimiter, header: None }) => {
                let Some(header) = self.read_header(delimiter)?.map(Arc::new) else { return Ok(None) };
                self.records = Records::Csv(Csv { delimiter, header: Some(header.clone()) });
                self.read_csv(delimiter, &header)
            }
        }
    }

    /// What can't be made an item of is the last of its file: DynamoDB abandons the rest of the object (Alternator's test_import.py,
    /// measured at AWS). What is an item, but none of the table, is not.
    fn read_value(&mut self) -> io::Result<Option<Entry>> {
        let item = match self.lines.read_value()? {
            None => return Ok(None),
            Some(Line::TooLong) => Err(TOO_LONG.to_owned()),
            Some(Line::Whole { .. }) => match dynamodb_json::read(&self.lines.text) {
                Ok(item) => Ok(item),
                Err(Fault::Invalid(problem)) => Err(problem),
                Err(Fault::NoItem(problem)) => {
                    self.ended = true;
                    Err(format!("{problem}; the rest of the object is passed over"))
                }
            },
        };
        Ok(Some(entry(self.lines.number, item, &self.definition, &self.lines.text)))
    }

    fn read_ion(&mut self) -> io::Result<Option<Entry>> {
        let read = self.read_lines();
        if self.lines.number == 1 && ion::is_binary(&self.lines.text) {
            return Err(invalid("it is binary Ion: an import needs text, an item a line".to_owned()));
        }
        read
    }

    /// The next line that has an item or should have one.
    fn read_lines(&mut self) -> io::Result<Option<Entry>> {
        while let Some(line) = self.lines.read()? {
            let text = self.text();
            let item = match line {
                Line::TooLong => Err(TOO_LONG.to_owned()),
                Line::Whole { .. } if text.trim_ascii().is_empty() => continue,
                Line::Whole { .. } => match ion::read(text).transpose() {
                    Some(item) => item,
                    None => continue,
                },
            };
            return Ok(Some(entry(self.lines.number, item, &self.definition, text)));
        }
        Ok(None)
    }

    fn read_csv(&mut self, delimiter: u8, header: &[String]) -> io::Result<Option<Entry>> {
        let Some(record) = self.read_record(delimiter, Some(header))? else { return Ok(None) };
        let item = record.values.and_then(|values| csv::item(values, header, &self.definition));
        Ok(Some(entry(record.line, item, &self.definition, &record.shown)))
    }

    fn read_header(&mut self, delimiter: u8) -> io::Result<Option<Vec<String>>> {
        let Some(record) = self.read_record(delimiter, None)? else { return Ok(None) };
        let values = record.values.map_err(|problem| invalid(format!("its header cannot be read: {problem}")))?;
        csv::header(values).map(Some).map_err(invalid)
    }

    /// The next record of CSV; lines without anything are passed over.
    fn read_record(&mut self, delimiter: u8, header: Option<&[String]>) -> io::Result<Option<CsvRecord>> {
        let mut record = csv::Record::new(delimiter, header);
        let mut begun: Option<(u64, Vec<u8>)> = None;
        loop {
            let line = self.lines.read()?;
            let values = match (line, begun.is_some()) {
                (None, false) => return Ok(None),
                (None, true) => Err("A quoted value that begins here is not closed".to_owned()),
                (Some(Line::TooLong), _) => Err(TOO_LONG.to_owned()),
                (Some(Line::Whole { .. }), false) if self.text().is_empty() => continue,
                (Some(Line::Whole { carriage_return }), _) => match record.read(self.text(), carriage_return) {
                    csv::Progress::Complete => Ok(std::mem::take(&mut record.values)),
                    csv::Progress::Invalid(problem) => Err(problem),
                    csv::Progress::Open => {
                        begun.get_or_insert_with(|| (self.lines.number, beginning(self.text()).to_vec()));
                        continue;
                    }
                },
            };
            let (line, shown) = begun.unwrap_or_else(|| (self.lines.number, beginning(self.text()).to_vec()));
            return Ok(Some(CsvRecord { line, shown, values }));
        }
    }

    /// The last line; a byte order mark is none of its text.
    fn text(&self) -> &[u8] {
        let text = &self.lines.text;
        if self.lines.number == 1 { text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text) } else { text }
    }
}

/// What zstd makes of a file, with a word of what to do where its window is too large.
struct Unpacked<R>(R);

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.0.read(out).map_err(|error| {
            // zstd's own errors are known by their texts only.
            let too_large = error.to_string().contains("requires too much memory");
            if too_large { invalid(WINDOW_TOO_LARGE.to_owned()) } else { error }
        })
    }
}

struct CsvRecord {
    line: u64,
    /// The beginning of its first line.
    shown: Vec<u8>,
    values: Result<Vec<Vec<u8>>, String>,
}

impl Iterator for Items<'_> {
    type Item = io::Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.read().transpose();
        self.ended |= !matches!(next, Some(Ok(_)));
        next
    }
}

fn entry(line: u64, item: Result<Item, String>, definition: &TableDefinition, text: &[u8]) -> Entry {
    let shown = |text: &[u8]| String::from_utf8_lossy(beginning(text)).into_owned();
    let item = item
        .and_then(|item| checked(&item, definition))
        .map_err(|message| Rejected { message: shown(message.as_bytes()), text: shown(text) });
    Entry { line, item }
}

/// As PutItem would take it.
fn checked(item: &Item, definition: &TableDefinition) -> Result<(EncodedKey, EncodedItem), String> {
    if item_size(item) > ITEM_BYTES_MAX {
        return Err("Item size has exceeded the maximum allowed size".to_owned());
    }
    let key = EncodedKey::new(&definition.key_schema, item).map_err(|error| error.message)?;
    check_index_keys(definition, item).map_err(|error| error.message)?;
    Ok((key, EncodedItem::encode(item)))
}

fn beginning(text: &[u8]) -> &[u8] {
    &text[..text.len().min(SHOWN_BYTES_MAX)]
}

fn invalid(problem: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}
