//! The lines of data files, whatever they are written in.

use super::{dynamodb_json, ion};
use cairn_model::{
    codec::{CodecError, EncodedItem},
    export::ExportFormat,
    table::KeySchema,
    time::Timestamp,
};

/// An item that was written: what it is and what it was, where it is and was there and is to be shown.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    pub written_at: Timestamp,
    /// The item as it is, or was last: it has its key.
    pub latest: &'a EncodedItem,
    pub new: Option<&'a EncodedItem>,
    pub old: Option<&'a EncodedItem>,
}

impl Change<'_> {
    /// Whole milliseconds, and what came within one in its order.
    pub(super) fn micros(&self) -> u64 {
        self.written_at.millis() * 1_000 + (self.written_at.0 & 0xffff).min(999)
    }
}

/// An item of a full export.
pub fn item(format: ExportFormat, item: &EncodedItem, out: &mut Vec<u8>) -> Result<(), CodecError> {
    match format {
        ExportFormat::DynamodbJson => dynamodb_json::item(item, out),
        ExportFormat::Ion => ion::item(item, out),
    }
}

/// A changed item of an incremental export.
pub fn change(
    format: ExportFormat,
    schema: &KeySchema,
    change: Change<'_>,
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    match format {
        ExportFormat::DynamodbJson => dynamodb_json::change(schema, change, out),
        ExportFormat::Ion => ion::change(schema, change, out),
    }
}
