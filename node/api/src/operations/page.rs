//! What Query and Scan have in common: what a page may hold, and how it is written.

use crate::{
    TableView,
    capacity::{CapacityReport, HalfUnits},
    output::{Object, write_list},
    validation::select::Select,
};
use cairn_model::{Item, KeySchema, ServiceError, json, json::JsonItem, key::EncodedKey};
use cairn_replication::operation::RangeOutcome;

/// The first words of whatever is wrong with `ExclusiveStartKey`.
const INVALID_START: &str = "The provided starting key is invalid";

/// How a page is answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct PageStyle {
    pub(super) select: Select,
    pub(super) consistent: bool,
    pub(super) report: CapacityReport,
}

pub(super) fn write(table: &TableView, outcome: &RangeOutcome, style: PageStyle) -> Result<Vec<u8>, ServiceError> {
    let bytes: usize = outcome.items.iter().map(|item| item.0.len()).sum();
    let mut out = Vec::with_capacity(256 + bytes * 2);
    let mut answer = Object::begin(&mut out);
    if style.select == Select::Items {
        let mut written = Ok(());
        write_list(answer.field("Items"), &outcome.items, |item, out| {
            if written.is_ok() {
                written = json::write_encoded_item(item, out);
            }
        });
        written?;
    }
    answer.literal("Count", outcome.count);
    answer.literal("ScannedCount", outcome.scanned_count);
    if let Some(last) = &outcome.last_evaluated_key {
        answer.item("LastEvaluatedKey", last);
    }
    let units = HalfUnits::read(outcome.bytes_read, style.consistent);
    style.report.write(&table.definition.table_name, units, &mut answer);
    answer.end();
    Ok(out)
}

/// `ExclusiveStartKey`'s values, read.
pub(super) fn start_values(key: Option<JsonItem>) -> Result<Option<Item>, ServiceError> {
    key.map(JsonItem::into_item).transpose().map_err(|mut error| {
        // What is wrong with a number or a repeated element is said without the introduction.
        const BARE: [&str; 5] =
            ["contains duplicates", "number set", "numeric value", "significant digits", "number with magnitude"];
        if !BARE.iter().any(|text| error.message.contains(text)) {
            error.message.insert_str(0, ": ");
            error.message.insert_str(0, INVALID_START);
        }
        error
    })
}

/// `ExclusiveStartKey` as a key of the table.
pub(super) fn start_key(schema: &KeySchema, values: &Item) -> Result<EncodedKey, ServiceError> {
    EncodedKey::from_key(schema, values)
        .map_err(|error| ServiceError::validation(format!("{INVALID_START}: {}", error.message)))
}

/// DynamoDB's words for an index the table doesn't have.
pub(super) fn no_such_index(name: &str) -> ServiceError {
    ServiceError::validation(format!("The table does not have the specified index: {name}"))
}
