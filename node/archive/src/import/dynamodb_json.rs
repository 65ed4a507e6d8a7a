//! DynamoDB JSON: `{"Item": {…}}`, one a line, as exports of DynamoDB have it.

use cairn_model::{Item, json::JsonItem};
use serde::Deserialize;

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "Item")]
    item: Option<JsonItem>,
}

/// The item of a line, or what is wrong with it.
pub(super) fn read(line: &[u8]) -> Result<Item, String> {
    let line: Line = serde_json::from_slice(line).map_err(|error| format!("The line cannot be read: {error}"))?;
    let item = line.item.ok_or("The line has no Item")?;
    item.into_item().map_err(|error| error.message)
}
