//! ListStreams.

use super::{Call, stream};
use crate::{
    TableView,
    input::{self, Input, fields::Integer, shape::Shape},
    output::Object,
    validation::constraints::Constraints,
};
use cairn_model::{ServiceError, arn::StreamArn, stream::label};
use serde::Deserialize;
use std::collections::BTreeMap;

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

/// Streams are listed by table, those of deleted ones among them, and those of one in the order in which they were enabled.
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
    if let Some(name) = &input.table_name {
        call.renew(name).await;
    }
    let mut deleted: BTreeMap<String, Vec<TableView>> = BTreeMap::new();
    for table in stream::deleted_tables(call, input.table_name.as_deref()) {
        deleted.entry(table.definition.table_name.clone()).or_default().push(table);
    }
    let mut names = match input.table_name {
        Some(name) => vec![name],
        None => call.catalog.list_tables(call.account),
    };
    names.extend(deleted.keys().cloned());
    names.sort_unstable();
    names.dedup();
    let begin = start.map_or(0, |start| names.partition_point(|name| name.as_str() < start.table.table_name));
    let now_ms = call.request_ids.environment.wall_ms();
    let mut page = Vec::new();
    // One more than are shown tells whether there are more.
    'tables: for name in &names[begin..] {
        let there = call.catalog.table(call.account, name);
        let tables = there.as_deref().into_iter().chain(deleted.get(name).into_iter().flatten());
        let streams = tables.flat_map(|table| {
            let streams = table.definition.readable_streams(now_ms);
            streams.map(move |(found, _)| (found.enabled_at_ms, stream::stream_arn(table, found)))
        });
        for (enabled_at_ms, arn) in streams.collect::<BTreeMap<_, _>>() {
            let place = (name.as_str(), enabled_at_ms);
            if start.is_some_and(|start| place <= (start.table.table_name, start.enabled_at_ms)) {
                continue;
            }
            page.push((arn, name, label(enabled_at_ms)));
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
