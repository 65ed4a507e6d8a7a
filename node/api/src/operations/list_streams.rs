//! ListStreams.

use super::{Call, stream};
use crate::{
    input::{self, Input, fields::Integer, shape::Shape},
    output::Object,
    validation::constraints::Constraints,
};
use cairn_model::{ServiceError, arn::StreamArn, stream::label};
use serde::Deserialize;

/// Of one page (reference, ListStreams).
const LIMIT_MAX: usize = 100;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListStreamsInput {
    table_name: Option<String>,
    limit: Option<Integer>,
    exclusive_start_stream_arn: Option<String>,
}

impl Input for ListStreamsInput {
    const FIELDS: &'static [(&'static str, Shape)] =
        &[("TableName", Shape::Text), ("Limit", Shape::Integer), ("ExclusiveStartStreamArn", Shape::Text)];
}

/// Streams are listed by table, and those of one in the order in which they were enabled.
pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let input: ListStreamsInput = input::parse(call.body)?;
    let mut constraints = Constraints::default();
    if let Some(name) = &input.table_name {
        constraints.name_in_full("tableName", name);
    }
    let limit = input.limit.map(|limit| limit.0);
    constraints.at_least("limit", limit, 1);
    constraints.at_most("limit", limit, LIMIT_MAX as i64);
    let start = input.exclusive_start_stream_arn.as_deref();
    stream::constrain_arn("exclusiveStartStreamArn", start, &mut constraints);
    constraints.finish()?;
    let invalid = |arn: &str| ServiceError::validation(format!("Invalid StreamArn: {arn}"));
    let start = start.map(|arn| StreamArn::parse(arn).ok_or_else(|| invalid(arn))).transpose()?;

    let limit = limit.map_or(LIMIT_MAX, |limit| limit as usize);
    let names = match input.table_name {
        Some(name) => {
            call.renew(&name).await;
            vec![name]
        }
        None => call.catalog.list_tables(call.account),
    };
    let begin = start.map_or(0, |start| names.partition_point(|name| name.as_str() < start.table.table_name));
    let now_ms = call.request_ids.environment.wall_ms();
    let mut page = Vec::new();
    // One more than are shown tells whether there are more.
    'tables: for name in &names[begin..] {
        let Some(table) = call.catalog.table(call.account, name) else { continue };
        for (found, _) in table.definition.readable_streams(now_ms) {
            let place = (name.as_str(), found.enabled_at_ms);
            if start.is_some_and(|start| place <= (start.table.table_name, start.enabled_at_ms)) {
                continue;
            }
            page.push((stream::stream_arn(&table, found), name, label(found.enabled_at_ms)));
            if page.len() > limit {
                break 'tables;
            }
        }
    }
    let has_more = page.len() > limit;
    page.truncate(limit);

    let mut out = Vec::new();
    let mut answer = Object::begin(&mut out);
    if let Some((last, _, _)) = page.last().filter(|_| has_more) {
        answer.text("LastEvaluatedStreamArn", last);
    }
    answer.list("Streams", &page, |(arn, name, label), out| {
        let mut stream = Object::begin(out);
        stream.text("StreamArn", arn);
        stream.text("StreamLabel", label);
        stream.text("TableName", name);
        stream.end();
    });
    answer.end();
    Ok(out)
}
