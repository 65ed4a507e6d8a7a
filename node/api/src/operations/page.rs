//! What Query and Scan have in common: what a page may hold, and how it is written.

use crate::{
    TableView,
    capacity::{CapacityReport, ConsumedCapacity},
    output::{Object, write_list},
    read_target::ReadTarget,
    validation::select::Select,
};
use bytes::Bytes;
use cairn_model::{Item, ServiceError, json, json::JsonItem};
use cairn_replication::operation::RangeOutcome;

/// What DynamoDB says of an `ExclusiveStartKey` that is no key of what is read, and before most other things wrong with it.
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

pub(super) fn write(
    target: ReadTarget<'_>,
    outcome: &RangeOutcome,
    style: PageStyle<'_>,
) -> Result<Vec<u8>, ServiceError> {
    let bytes: usize = outcome.items.iter().map(|item| item.0.len()).sum();
    let mut out = Vec::with_capacity(256 + bytes * 2);
    let mut answer = Object::begin(&mut out);
    if style.select != Select::Count {
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
    let consumed = ConsumedCapacity::range(target.charged(), outcome, style.consistent);
    style.report.write(style.table_arn.unwrap_or(&target.table().table_name), &consumed, &mut answer);
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

/// `ExclusiveStartKey` as a place in what is read.
pub(super) fn start_key(target: ReadTarget<'_>, values: &Item, pager: Pager) -> Result<Bytes, ServiceError> {
    if pager == Pager::Scan {
        target.check_scan_start(values)?;
    }
    target.encoded_key(values).map_err(|error| match pager {
        _ if error.message == MISMATCH => ServiceError::validation(INVALID_START),
        Pager::Query => error,
        Pager::Scan => introduced(error),
    })
}

fn introduced(error: ServiceError) -> ServiceError {
    ServiceError::validation(format!("{INVALID_START}: {}", error.message))
}

/// The table or its index, with DynamoDB's words for one that it doesn't have or that isn't read so.
pub(super) fn target<'t>(
    table: &'t TableView,
    index_name: Option<&str>,
    consistent: bool,
) -> Result<ReadTarget<'t>, ServiceError> {
    let target = ReadTarget::of(table, index_name).ok_or_else(|| {
        let name = index_name.unwrap_or_default();
        ServiceError::validation(format!("The table does not have the specified index: {name}"))
    })?;
    if consistent && target.is_global_index() {
        return Err(ServiceError::validation("Consistent reads are not supported on global secondary indexes"));
    }
    Ok(target)
}
