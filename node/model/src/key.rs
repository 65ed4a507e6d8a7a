//! The bytes an item is found under.

use crate::{AttributeValue, Item, KeySchema, ServiceError, codec::CodecError};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::ops::Bound;

/// The key of one item: hash, partition key, sort key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EncodedKey(pub Bytes);

/// What a Query asks of the sort key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum SortCondition {
    Equal(AttributeValue),
    Less(AttributeValue),
    LessOrEqual(AttributeValue),
    Greater(AttributeValue),
    GreaterOrEqual(AttributeValue),
    Between(AttributeValue, AttributeValue),
    BeginsWith(AttributeValue),
}

/// A range of encoded keys.
pub type KeyBounds = (Bound<Bytes>, Bound<Bytes>);

impl EncodedKey {
    /// The key of a whole item (PutItem): other attributes may be there too.
    pub fn new(_schema: &KeySchema, _item: &Item) -> Result<Self, ServiceError> {
        todo!()
    }

    /// The key from a `Key` parameter (GetItem, UpdateItem, DeleteItem, batches): just the key attributes.
    pub fn from_key(_schema: &KeySchema, _key: &Item) -> Result<Self, ServiceError> {
        todo!()
    }

    /// The key attributes again.
    pub fn decode(&self, _schema: &KeySchema) -> Result<Item, CodecError> {
        todo!()
    }
}

/// The bytes with which every key of this partition key value begins.
pub fn partition_prefix(_partition: &AttributeValue) -> Result<Bytes, ServiceError> {
    todo!()
}

/// The keys of one partition key value that a sort condition allows; all of them without one.
pub fn sort_bounds(_partition: &AttributeValue, _sort: Option<&SortCondition>) -> Result<KeyBounds, ServiceError> {
    todo!()
}

/// The keys of one of a Scan's `total` segments.
pub fn segment_bounds(_segment: u32, _total: u32) -> KeyBounds {
    todo!()
}
