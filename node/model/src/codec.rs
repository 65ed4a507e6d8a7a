//! The binary form of an item, as it is stored and sent, and of what the engine stores under a key. Format version 1.
//!
//! `varint` is an unsigned LEB128 number: seven bits a byte, the low ones first, the top bit set on all but the last.
//!
//! ```text
//! item        = 01            format version
//!               varint        DynamoDB's size of the item in bytes
//!               attributes
//! attributes  = varint        how many
//!               attribute…    in ascending byte order of their names, each name once
//! attribute   = string value
//! string      = varint byte…  length, bytes
//! value       = 01 string                 S, UTF-8
//!             | 02 number                 N
//!             | 03 string                 B, any bytes
//!             | 04                        BOOL false
//!             | 05                        BOOL true
//!             | 06                        NULL
//!             | 07 u32 attributes         M: length of what follows in bytes, little-endian; attributes
//!             | 08 u32 varint value…      L: length of what follows, how many, values
//!             | 09 u32 varint string…     SS: length of what follows, how many, in ascending byte order, each once
//!             | 0a u32 varint number…     NS: length of what follows, how many, in ascending order, each once
//!             | 0b u32 varint string…     BS: as SS
//! number      = flags         80: negative; 40: an exponent follows, else it is 0; 1f: bytes of the coefficient, 0 to 16
//!               [i16]         exponent, little-endian, not 0
//!               byte…         coefficient, little-endian, its last byte not 0; it has no decimal trailing zeros
//!
//! stored version = 01         format version
//!               u64           version time, little-endian (48 bits of milliseconds, 16 of a counter)
//!               varint byte…  region of origin, UTF-8; empty: this region
//!               item          as above, to the end; nothing: the item was deleted, and this is its *tombstone*
//! ```
//!
//! Of two versions of an item the one with the later version time counts, and of two of one time that of the region whose
//! name comes later in the order of bytes.
//!
//! Every item has one encoding. Readers take nothing on trust: bytes that are not of this form are an error.

mod read;
mod write;

pub(crate) use read::{Reader, ValueReader};

use crate::{AttributeValue, ErrorKind, Item, ServiceError, size, time::Timestamp};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The format written, and the newest one read.
pub const FORMAT_VERSION: u8 = 1;

/// How deep a reader follows lists and maps; a decoded value deeper than DynamoDB's limit is damage.
const DEPTH_MAX: usize = crate::limits::NESTING_DEPTH_MAX;

const TAG_S: u8 = 1;
const TAG_N: u8 = 2;
const TAG_B: u8 = 3;
const TAG_FALSE: u8 = 4;
const TAG_TRUE: u8 = 5;
const TAG_NULL: u8 = 6;
const TAG_M: u8 = 7;
const TAG_L: u8 = 8;
const TAG_SS: u8 = 9;
const TAG_NS: u8 = 10;
const TAG_BS: u8 = 11;

const NUMBER_NEGATIVE: u8 = 0x80;
const NUMBER_EXPONENT: u8 = 0x40;
const NUMBER_LENGTH: u8 = 0x1f;

/// Why bytes that should be a stored item or key are not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    #[error(
        "failed to read stored data: its format version is {0}, and this program knows none above {FORMAT_VERSION}"
    )]
    UnknownVersion(u8),
    #[error("failed to read stored data: it is damaged: {0}")]
    Damaged(&'static str),
}

impl From<CodecError> for ServiceError {
    fn from(error: CodecError) -> Self {
        ServiceError::new(ErrorKind::InternalServerError, error.to_string())
    }
}

/// An item in its binary form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EncodedItem(pub Bytes);

impl EncodedItem {
    pub fn encode(item: &Item) -> Self {
        let size = size::item_size(item);
        // Tags, lengths and counts come on top of what DynamoDB counts.
        let mut out = Vec::with_capacity(size + size / 4 + 16);
        out.push(FORMAT_VERSION);
        write::varint(size, &mut out);
        write::attributes(item, &mut out);
        Self(out.into())
    }

    /// The item again; its binaries are slices of these bytes.
    pub fn decode(&self) -> Result<Item, CodecError> {
        let mut reader = self.attributes()?.1;
        let item = read::attributes(&mut reader, &self.0, 0)?;
        reader.finish()?;
        Ok(item)
    }

    /// DynamoDB's size of the item in bytes, names included; read from the header.
    pub fn size(&self) -> Result<u32, CodecError> {
        Ok(self.attributes()?.0)
    }

    /// One top-level attribute, the others skipped.
    pub fn get(&self, name: &str) -> Result<Option<AttributeValue>, CodecError> {
        let mut reader = self.attributes()?.1;
        for _ in 0..reader.count()? {
            let found = reader.string()?;
            let value = reader.value()?;
            if found == name.as_bytes() {
                return read::value(value, &self.0, 0).map(Some);
            }
            if found > name.as_bytes() {
                break;
            }
        }
        Ok(None)
    }

    /// Checks the version and gives the size and a reader at the attributes.
    pub(crate) fn attributes(&self) -> Result<(u32, Reader<'_>), CodecError> {
        let mut reader = Reader::new(&self.0);
        reader.version()?;
        let size = reader.varint()?;
        Ok((u32::try_from(size).map_err(|_| CodecError::Damaged("a size past 32 bits"))?, reader))
    }
}

/// What the engine stores under an item's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredVersion {
    pub version_time: Timestamp,
    /// The region that wrote the version, UTF-8; empty: this one.
    pub origin: Bytes,
    pub item: EncodedItem,
}

/// The order of an item's versions: the greater one counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    pub time: Timestamp,
    /// The region that wrote it, by its name.
    pub region: String,
}

impl StoredVersion {
    /// Slices into `bytes`; nothing is copied, and the item's own bytes are not read.
    pub fn parse(bytes: Bytes) -> Result<Self, CodecError> {
        let mut reader = Reader::new(&bytes);
        reader.version()?;
        let version_time = Timestamp(u64::from_le_bytes(reader.array()?));
        let origin = reader.string()?;
        if std::str::from_utf8(origin).is_err() {
            return Err(CodecError::Damaged("a region that is not UTF-8"));
        }
        let origin = if origin.is_empty() { Bytes::new() } else { bytes.slice_ref(origin) };
        let rest = reader.rest();
        let item = EncodedItem(bytes.slice(bytes.len() - rest.len()..));
        Ok(Self { version_time, origin, item })
    }

    pub fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(10 + self.origin.len() + self.item.0.len());
        out.push(FORMAT_VERSION);
        out.extend_from_slice(&self.version_time.0.to_le_bytes());
        write::string(&self.origin, &mut out);
        out.extend_from_slice(&self.item.0);
        out.into()
    }

    /// What a deletion leaves in a global table, so that no older version comes back.
    pub fn tombstone(version_time: Timestamp, origin: Bytes) -> Self {
        Self { version_time, origin, item: EncodedItem(Bytes::new()) }
    }

    pub fn is_tombstone(&self) -> bool {
        self.item.0.is_empty()
    }

    /// A stored version as this region's own; what is not one stays as it is.
    pub fn made_own(bytes: Bytes) -> Bytes {
        match Self::parse(bytes.clone()) {
            Ok(mut version) if !version.origin.is_empty() => {
                version.origin = Bytes::new();
                version.encode()
            }
            _ => bytes,
        }
    }

    /// What the version is ordered by, in the region `own`.
    pub fn version(&self, own: &str) -> Version {
        Version { time: self.version_time, region: self.origin_region().unwrap_or(own).to_owned() }
    }

    /// The region that wrote the version; none: this one.
    pub fn origin_region(&self) -> Option<&str> {
        std::str::from_utf8(&self.origin).ok().filter(|region| !region.is_empty())
    }
}

#[cfg(test)]
mod tests;
