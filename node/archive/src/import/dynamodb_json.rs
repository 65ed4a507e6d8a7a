//! DynamoDB JSON: `{"Item": {…}}`, one after the other; exports of DynamoDB have one a line.

use cairn_model::{Item, json::JsonItem};
use serde::Deserialize;

#[derive(Deserialize)]
struct Value {
    #[serde(rename = "Item")]
    item: Option<JsonItem>,
}

/// What is in the place of an item.
pub(super) enum Fault {
    /// Something else, or nothing that can be read.
    NoItem(String),
    /// An item with something wrong in it.
    Invalid(String),
}

/// The item of a value.
pub(super) fn read(value: &[u8]) -> Result<Item, Fault> {
    let value: Value =
        serde_json::from_slice(value).map_err(|error| Fault::NoItem(format!("The value cannot be read: {error}")))?;
    let item = value.item.ok_or_else(|| Fault::NoItem("The value has no Item".to_owned()))?;
    item.into_item().map_err(|error| Fault::Invalid(error.message))
}
