//! ListExports.

use super::{Call, export_description::write_summary};
use crate::{
    arn::ExportArn,
    exports::ExportPage,
    input::{self, Input, fields::Integer, shape::Shape},
    output::Object,
    validation::{
        constraints::Constraints,
        references::{constrain_table_arn, parse_table_arn},
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use cairn_model::ServiceError;
use serde::Deserialize;

/// Exports a page of ListExports (reference).
const PAGE_MAX: usize = 25;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListExportsInput {
    table_arn: Option<String>,
    max_results: Option<Integer>,
    next_token: Option<String>,
}

impl Input for ListExportsInput {
    const FIELDS: &'static [(&'static str, Shape)] =
        &[("TableArn", Shape::Text), ("MaxResults", Shape::Integer), ("NextToken", Shape::Text)];
}

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let input: ListExportsInput = input::parse(call.body)?;
    let mut constraints = Constraints::default();
    constrain_table_arn("tableArn", input.table_arn.as_deref(), &mut constraints);
    let limit = input.max_results.map(|limit| limit.0);
    constraints.at_least("maxResults", limit, 1);
    constraints.at_most("maxResults", limit, PAGE_MAX as i64);
    constraints.finish()?;
    let table = input.table_arn.as_deref().map(|text| parse_table_arn(call, text)).transpose()?;
    let start = input.next_token.as_deref().map(read_token).transpose()?;
    let limit = limit.map_or(PAGE_MAX, |limit| limit as usize);
    // Of a table that is gone, none is listed, though each is described (Alternator's test_export.py, measured at AWS).
    let is_there = match table {
        Some(arn) => is_there(call, arn.table_name).await,
        None => true,
    };
    let page = match call.exports.filter(|_| is_there) {
        Some(exports) => {
            let table = table.map(|arn| arn.to_string());
            exports
                .list_exports(call.account, table.as_deref(), limit, start.as_deref().and_then(ExportArn::parse))
                .await?
        }
        None => ExportPage::default(),
    };

    let mut out = Vec::new();
    let mut answer = Object::begin(&mut out);
    answer.list("ExportSummaries", &page.exports, write_summary);
    if let (Some(last), true) = (page.exports.last(), page.more) {
        answer.text("NextToken", &URL_SAFE_NO_PAD.encode(&last.arn));
    }
    answer.end();
    Ok(out)
}

/// Whether there is a table of this name, also where the catalog had not heard of it.
async fn is_there(call: &Call<'_>, name: &str) -> bool {
    call.known_table(name).is_some()
        || call.missed.look_up(call.catalog, call.account).await && call.known_table(name).is_some()
}

/// The ARN of the last export of the page before.
fn read_token(token: &str) -> Result<String, ServiceError> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok();
    let arn = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).filter(|arn| ExportArn::parse(arn).is_some());
    arn.ok_or_else(|| ServiceError::validation("One or more parameter values were invalid: Invalid NextToken"))
}
