//! Reading the binary form of items: a cursor that steps over values, and the way from there to an [`Item`].

use super::{
    CodecError, DEPTH_MAX, FORMAT_VERSION, NUMBER_EXPONENT, NUMBER_LENGTH, NUMBER_NEGATIVE, TAG_B, TAG_BS, TAG_FALSE,
    TAG_L, TAG_M, TAG_N, TAG_NS, TAG_NULL, TAG_S, TAG_SS, TAG_TRUE,
};
use crate::{AttributeValue, Item, number::Number};
use bytes::Bytes;

/// An element in memory is larger than its shortest encoding: damage must not turn into an allocation that fails.
const PREALLOCATED_MAX: usize = 1024;

const TRUNCATED: CodecError = CodecError::Damaged("it ends early");

/// A cursor over encoded bytes. Nothing it gives has been copied.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
}

/// One value, its outermost shape read; what a container holds is still to be read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ValueReader<'a> {
    S(&'a str),
    N(Number),
    B(&'a [u8]),
    Bool(bool),
    Null,
    M(Reader<'a>),
    L(Reader<'a>),
    Ss(Reader<'a>),
    Ns(Reader<'a>),
    Bs(Reader<'a>),
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub(crate) fn version(&mut self) -> Result<(), CodecError> {
        match self.byte()? {
            FORMAT_VERSION => Ok(()),
            version => Err(CodecError::UnknownVersion(version)),
        }
    }

    pub(crate) fn byte(&mut self) -> Result<u8, CodecError> {
        let (&byte, rest) = self.bytes.split_first().ok_or(TRUNCATED)?;
        self.bytes = rest;
        Ok(byte)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let (array, rest) = self.bytes.split_first_chunk().ok_or(TRUNCATED)?;
        self.bytes = rest;
        Ok(*array)
    }

    pub(crate) fn slice(&mut self, length: usize) -> Result<&'a [u8], CodecError> {
        let (slice, rest) = self.bytes.split_at_checked(length).ok_or(TRUNCATED)?;
        self.bytes = rest;
        Ok(slice)
    }

    pub(crate) fn rest(self) -> &'a [u8] {
        self.bytes
    }

    pub(crate) fn varint(&mut self) -> Result<usize, CodecError> {
        let mut value = 0u64;
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                if byte == 0 && shift > 0 {
                    return Err(CodecError::Damaged("a length with leading zeros"));
                }
                return usize::try_from(value).map_err(|_| TRUNCATED);
            }
        }
        Err(CodecError::Damaged("a length past 32 bits"))
    }

    /// How many elements follow. Each takes a byte at least, so that a count can be trusted with an allocation.
    pub(crate) fn count(&mut self) -> Result<usize, CodecError> {
        let count = self.varint()?;
        if count > self.bytes.len() { Err(TRUNCATED) } else { Ok(count) }
    }

    pub(crate) fn string(&mut self) -> Result<&'a [u8], CodecError> {
        let length = self.varint()?;
        self.slice(length)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, CodecError> {
        std::str::from_utf8(self.string()?).map_err(|_| CodecError::Damaged("a string that is not UTF-8"))
    }

    pub(crate) fn number(&mut self) -> Result<Number, CodecError> {
        let flags = self.byte()?;
        let exponent = if flags & NUMBER_EXPONENT == 0 { 0 } else { i16::from_le_bytes(self.array()?) };
        let length = usize::from(flags & NUMBER_LENGTH);
        let bytes = self.slice(length)?;
        let mut coefficient = [0; 16];
        coefficient.get_mut(..length).ok_or(CodecError::Damaged("a number past 16 bytes"))?.copy_from_slice(bytes);
        let unused = flags & !(NUMBER_NEGATIVE | NUMBER_EXPONENT | NUMBER_LENGTH);
        let not_shortest = bytes.last() == Some(&0) || (flags & NUMBER_EXPONENT != 0 && exponent == 0);
        if unused != 0 || not_shortest {
            return Err(CodecError::Damaged("a number that is not in its one form"));
        }
        Number::from_parts(flags & NUMBER_NEGATIVE != 0, exponent, u128::from_le_bytes(coefficient))
            .map_err(|_| CodecError::Damaged("a number that is not in its one form"))
    }

    pub(crate) fn value(&mut self) -> Result<ValueReader<'a>, CodecError> {
        Ok(match self.byte()? {
            TAG_S => ValueReader::S(self.text()?),
            TAG_N => ValueReader::N(self.number()?),
            TAG_B => ValueReader::B(self.string()?),
            TAG_FALSE => ValueReader::Bool(false),
            TAG_TRUE => ValueReader::Bool(true),
            TAG_NULL => ValueReader::Null,
            TAG_M => ValueReader::M(self.body()?),
            TAG_L => ValueReader::L(self.body()?),
            TAG_SS => ValueReader::Ss(self.body()?),
            TAG_NS => ValueReader::Ns(self.body()?),
            TAG_BS => ValueReader::Bs(self.body()?),
            _ => return Err(CodecError::Damaged("an unknown type of value")),
        })
    }

    pub(crate) fn finish(self) -> Result<(), CodecError> {
        if self.bytes.is_empty() { Ok(()) } else { Err(CodecError::Damaged("bytes behind the end")) }
    }

    fn body(&mut self) -> Result<Reader<'a>, CodecError> {
        let length = u32::from_le_bytes(self.array()?);
        self.slice(usize::try_from(length).map_err(|_| TRUNCATED)?).map(Reader::new)
    }
}

/// Reads attributes; `source` is what the reader's bytes are a part of.
pub(super) fn attributes(reader: &mut Reader<'_>, source: &Bytes, depth: usize) -> Result<Item, CodecError> {
    let mut item = Item::new();
    for _ in 0..reader.count()? {
        let name = reader.text()?;
        if item.last_key_value().is_some_and(|(last, _)| last.as_str() >= name) {
            return Err(CodecError::Damaged("attributes out of order"));
        }
        let attribute = value(reader.value()?, source, depth)?;
        item.insert(name.to_owned(), attribute);
    }
    Ok(item)
}

pub(super) fn value(value: ValueReader<'_>, source: &Bytes, depth: usize) -> Result<AttributeValue, CodecError> {
    Ok(match value {
        ValueReader::S(text) => AttributeValue::S(text.to_owned()),
        ValueReader::N(number) => AttributeValue::N(number),
        ValueReader::B(bytes) => AttributeValue::B(shared(bytes, source)),
        ValueReader::Bool(value) => AttributeValue::Bool(value),
        ValueReader::Null => AttributeValue::Null,
        ValueReader::M(mut reader) => {
            let map = attributes(&mut reader, source, deeper(depth)?)?;
            reader.finish()?;
            AttributeValue::M(map)
        }
        ValueReader::L(reader) => {
            let depth = deeper(depth)?;
            AttributeValue::L(elements(reader, |reader| self::value(reader.value()?, source, depth))?)
        }
        ValueReader::Ss(reader) => {
            AttributeValue::Ss(ascending(elements(reader, |reader| reader.text().map(str::to_owned))?)?)
        }
        ValueReader::Ns(reader) => AttributeValue::Ns(ascending(elements(reader, Reader::number)?)?),
        ValueReader::Bs(reader) => {
            AttributeValue::Bs(ascending(elements(reader, |reader| Ok(shared(reader.string()?, source)))?)?)
        }
    })
}

fn shared(bytes: &[u8], source: &Bytes) -> Bytes {
    if bytes.is_empty() { Bytes::new() } else { source.slice_ref(bytes) }
}

fn deeper(depth: usize) -> Result<usize, CodecError> {
    if depth < DEPTH_MAX { Ok(depth + 1) } else { Err(CodecError::Damaged("lists and maps nested too deep")) }
}

fn elements<'a, T>(
    mut reader: Reader<'a>,
    mut read: impl FnMut(&mut Reader<'a>) -> Result<T, CodecError>,
) -> Result<Vec<T>, CodecError> {
    let count = reader.count()?;
    let mut elements = Vec::with_capacity(count.min(PREALLOCATED_MAX));
    for _ in 0..count {
        elements.push(read(&mut reader)?);
    }
    reader.finish()?;
    Ok(elements)
}

fn ascending<T: Ord>(set: Vec<T>) -> Result<Vec<T>, CodecError> {
    if set.is_empty() {
        return Err(CodecError::Damaged("an empty set"));
    }
    if set.is_sorted_by(|a, b| a < b) { Ok(set) } else { Err(CodecError::Damaged("a set out of order")) }
}
