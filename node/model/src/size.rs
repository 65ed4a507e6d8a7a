//! DynamoDB's sizes of values and items, in bytes.

use crate::{AttributeValue, Item};

/// The size of an item: its values and its attributes' names.
pub fn item_size(_item: &Item) -> usize {
    todo!()
}

/// The size of a value without a name.
pub fn value_size(_value: &AttributeValue) -> usize {
    todo!()
}
