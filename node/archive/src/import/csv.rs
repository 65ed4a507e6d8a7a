//! CSV: values between delimiters, in quotes where they hold one, a quote in quotes doubled (RFC 4180).

use super::RECORD_BYTES_MAX;
use base64::{Engine, engine::general_purpose::STANDARD};
use cairn_model::{
    AttributeValue, Item, TableDefinition,
    number::Number,
    table::{KeyAttribute, ScalarType},
};
use std::collections::BTreeSet;

/// Columns of a header: each of a record takes memory, be it empty.
const COLUMNS_MAX: usize = 16_384;

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before a value's first byte.
    Start,
    Plain,
    Quoted,
    /// Behind a quote in quotes: their end, or the first of two.
    QuoteInQuotes,
}

/// What a record is after one more line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    Complete,
    /// A quoted value goes on in the next line.
    Open,
    Invalid(String),
}

/// One record, read line by line.
pub(super) struct Record<'a> {
    delimiter: u8,
    /// None while the header itself is read.
    header: Option<&'a [String]>,
    pub(super) values: Vec<Vec<u8>>,
    state: State,
    bytes: usize,
}

impl<'a> Record<'a> {
    pub(super) fn new(delimiter: u8, header: Option<&'a [String]>) -> Self {
        Self { delimiter, header, values: Vec::new(), state: State::Start, bytes: 0 }
    }

    pub(super) fn read(&mut self, line: &[u8], carriage_return: bool) -> Progress {
        self.bytes += line.len() + 2;
        if self.bytes > RECORD_BYTES_MAX {
            return Progress::Invalid("The record is too long: is a quote not closed?".to_owned());
        }
        if self.state != State::Quoted {
            self.values.push(Vec::new());
        }
        for byte in line {
            if let Some(problem) = self.read_byte(*byte) {
                return Progress::Invalid(problem);
            }
        }
        if self.state == State::Quoted {
            self.push(if carriage_return { b"\r\n" } else { b"\n" });
            return Progress::Open;
        }
        self.state = State::Start;
        Progress::Complete
    }

    fn read_byte(&mut self, byte: u8) -> Option<String> {
        self.state = match (self.state, byte) {
            (State::Quoted, b'"') => State::QuoteInQuotes,
            (State::Quoted, _) => {
                self.push(&[byte]);
                State::Quoted
            }
            (State::QuoteInQuotes, b'"') => {
                self.push(b"\"");
                State::Quoted
            }
            (_, byte) if byte == self.delimiter => {
                if self.values.len() >= self.header.map_or(COLUMNS_MAX, <[String]>::len) {
                    return Some(self.too_many());
                }
                self.values.push(Vec::new());
                State::Start
            }
            (State::QuoteInQuotes, _) => {
                return Some("There is something between a closing quote and the delimiter".to_owned());
            }
            (State::Start, b'"') => State::Quoted,
            (State::Plain, b'"') => {
                let problem = "There is a quote in a value without quotes: put the value in quotes, and double it";
                return Some(problem.to_owned());
            }
            (State::Start | State::Plain, _) => {
                self.push(&[byte]);
                State::Plain
            }
        };
        None
    }

    fn too_many(&self) -> String {
        match self.header {
            None => format!("it has more than {COLUMNS_MAX} columns: is the delimiter the right one?"),
            Some(header) => format!("The record has more columns than the header, which has {}", header.len()),
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        if let Some(value) = self.values.last_mut() {
            value.extend_from_slice(bytes);
        }
    }
}

/// The names of the columns, as a file's first record has them; or what is wrong with them.
pub(super) fn header(values: Vec<Vec<u8>>) -> Result<Vec<String>, String> {
    let names: Result<Vec<String>, _> = values.into_iter().map(String::from_utf8).collect();
    let names = names.map_err(|_| "its header is not UTF-8".to_owned())?;
    check_header(&names)?;
    Ok(names)
}

pub(super) fn check_header(names: &[String]) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    match names.iter().find(|name| name.is_empty() || !seen.insert(*name)) {
        None => Ok(()),
        Some(name) if name.is_empty() => Err("a column of its header has no name".to_owned()),
        Some(name) => Err(format!("its header has the column {name:?} twice")),
    }
}

/// The item of a record: the keys of the table and of its indexes of their types, all others strings, as DynamoDB has it.
pub(super) fn item(values: Vec<Vec<u8>>, header: &[String], definition: &TableDefinition) -> Result<Item, String> {
    if values.len() != header.len() {
        return Err(format!("The record has {} columns, but the header has {}", values.len(), header.len()));
    }
    header.iter().zip(values).map(|(name, value)| Ok((name.clone(), self::value(name, value, definition)?))).collect()
}

fn value(name: &str, value: Vec<u8>, definition: &TableDefinition) -> Result<AttributeValue, String> {
    let text = String::from_utf8(value).map_err(|_| format!("The value of {name} is not UTF-8"))?;
    let is_named = |key: &&KeyAttribute| key.name == name;
    let of_indexes = definition.index_keys().map(|key| key.attribute);
    let key = definition.key_schema.attributes().chain(of_indexes).find(is_named);
    match key.map(|key| key.scalar_type) {
        None | Some(ScalarType::S) => Ok(AttributeValue::S(text)),
        Some(ScalarType::N) => Number::parse(&text).map(AttributeValue::N).map_err(|error| error.message),
        Some(ScalarType::B) => {
            let decoded = STANDARD.decode(&text);
            decoded
                .map(|bytes| AttributeValue::B(bytes.into()))
                .map_err(|_| format!("The value of {name} is not Base64"))
        }
    }
}
