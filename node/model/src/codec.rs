//! The binary form of an item, as it is stored and sent.

use crate::{AttributeValue, Item, ServiceError, time::Timestamp};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Why bytes that should be a stored item are not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    #[error("failed to read an item: its format version is {0}, and this program knows none above 1")]
    UnknownVersion(u8),
    #[error("failed to read an item: it is damaged: {0}")]
    Damaged(&'static str),
}

impl From<CodecError> for ServiceError {
    fn from(error: CodecError) -> Self {
        ServiceError::new(crate::ErrorKind::InternalServerError, error.to_string())
    }
}

/// An item in its binary form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EncodedItem(pub Bytes);

impl EncodedItem {
    pub fn encode(_item: &Item) -> Self {
        todo!()
    }

    pub fn decode(&self) -> Result<Item, CodecError> {
        todo!()
    }

    /// DynamoDB's size of the item in bytes, names included; read from the header.
    pub fn size(&self) -> Result<u32, CodecError> {
        todo!()
    }

    /// One top-level attribute, the others skipped.
    pub fn get(&self, _name: &str) -> Result<Option<AttributeValue>, CodecError> {
        todo!()
    }
}

/// What the engine stores under an item's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredVersion {
    pub version_time: Timestamp,
    /// The region that wrote the version; empty: this one.
    pub origin: Bytes,
    pub item: EncodedItem,
}

impl StoredVersion {
    /// Slices into `bytes`; nothing is copied.
    pub fn parse(_bytes: Bytes) -> Result<Self, CodecError> {
        todo!()
    }

    pub fn encode(&self) -> Bytes {
        todo!()
    }
}
