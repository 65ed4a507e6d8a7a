//! DynamoDB JSON.

use crate::{AttributeValue, Item, ServiceError, codec::{CodecError, EncodedItem}};
use serde::{Deserialize, Deserializer};

/// An item as a request carries it. Deserializing fails for what is not of DynamoDB JSON's shape (a
/// SerializationException); a value that DynamoDB's validation refuses is remembered until [`JsonItem::into_item`].
#[derive(Clone, Debug, Default)]
pub struct JsonItem {
    item: Item,
    problem: Option<ServiceError>,
}

impl JsonItem {
    pub fn into_item(self) -> Result<Item, ServiceError> {
        match self.problem {
            Some(problem) => Err(problem),
            None => Ok(self.item),
        }
    }
}

impl<'de> Deserialize<'de> for JsonItem {
    fn deserialize<D: Deserializer<'de>>(_deserializer: D) -> Result<Self, D::Error> {
        todo!()
    }
}

/// One value as a request carries it; see [`JsonItem`].
#[derive(Clone, Debug)]
pub struct JsonValue {
    value: AttributeValue,
    problem: Option<ServiceError>,
}

impl JsonValue {
    pub fn into_value(self) -> Result<AttributeValue, ServiceError> {
        match self.problem {
            Some(problem) => Err(problem),
            None => Ok(self.value),
        }
    }
}

impl<'de> Deserialize<'de> for JsonValue {
    fn deserialize<D: Deserializer<'de>>(_deserializer: D) -> Result<Self, D::Error> {
        todo!()
    }
}

/// Appends an item as DynamoDB JSON.
pub fn write_item(_item: &Item, _out: &mut Vec<u8>) {
    todo!()
}

/// Appends a value as DynamoDB JSON.
pub fn write_value(_value: &AttributeValue, _out: &mut Vec<u8>) {
    todo!()
}

/// Appends a stored item as DynamoDB JSON, straight from its bytes. On an error `out` ends anywhere.
pub fn write_encoded_item(_item: &EncodedItem, _out: &mut Vec<u8>) -> Result<(), CodecError> {
    todo!()
}

/// Appends a JSON string with its quotes.
pub fn write_string(_text: &str, _out: &mut Vec<u8>) {
    todo!()
}
