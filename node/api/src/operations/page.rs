//! What Query and Scan have in common: what a page may hold, and how it is written.

use crate::{
    TableView,
    capacity::{CapacityReport, HalfUnits},
    output::{Object, write_list},
    validation::select::Select,
};
use cairn_model::{Item, KeySchema, ServiceError, json, json::JsonItem, key::EncodedKey};
use cairn_replication::operation::RangeOutcome;

/// What DynamoDB says of an `ExclusiveStartKey` that is no key of the table, and before most other things wrong with it.
const INVALID_START: &str = "The provided starting key is invalid";
/// What is said of a key that doesn't fit the table elsewhere.
const MISMATCH: &str = "The provided key element does not match the schema";

/// How a page is answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct PageStyle<'a> {
    /// Where the request named the table by it.
    pub(super) table_arn: Option<&'a str>,
    pub(super) select: Select,
    pub(super) consistent: bool,
    pub(super) report: CapacityReport,
}

pub(super) fn write(table: &TableView, outcome: &RangeOutcome, style: PageStyle<'_>) -> Result<Vec<u8>, ServiceError> {
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
    style.report.write(style.table_arn.unwrap_or(&table.definition.table_name), units, &mut answer);
    answer.end();
    Ok(out)
}

/// Who asks for the page: DynamoDB words what is wrong with a starting key by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pager {
    Query,
    Scan,
}

/// `ExclusiveStartKey`'s values, read.
pub(super) fn start_values(key: Option<JsonItem>, pager: Pager) -> Result<Option<Item>, ServiceError> {
    key.map(JsonItem::into_item).transpose().map_err(|error| {
        // What is wrong with a number or a repeated element is said without the introduction, and so is a name that is none.
        const BARE: [&str; 6] = [
            "contains duplicates",
            "number set",
            "numeric value",
            "significant digits",
            "number with magnitude",
            "Empty attribute name",
        ];
        let bare = BARE.iter().any(|text| error.message.contains(text))
            || (pager == Pager::Query && error.message.starts_with("One or more parameter values were invalid"));
        if bare { error } else { introduced(error) }
    })
}

/// `ExclusiveStartKey` as a key of the table.
pub(super) fn start_key(schema: &KeySchema, values: &Item, pager: Pager) -> Result<EncodedKey, ServiceError> {
    EncodedKey::from_key(schema, values).map_err(|error| match pager {
        _ if error.message == MISMATCH => ServiceError::validation(INVALID_START),
        Pager::Query => error,
        Pager::Scan => introduced(error),
    })
}

fn introduced(error: ServiceError) -> ServiceError {
    ServiceError::validation(format!("{INVALID_START}: {}", error.message))
}

/// DynamoDB's words for an index the table doesn't have.
pub(super) fn no_such_index(name: &str) -> ServiceError {
    ServiceError::validation(format!("The table does not have the specified index: {name}"))
}
