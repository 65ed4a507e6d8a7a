//! DescribeStream.

use super::{
    Call,
    stream::{self, NamedStream},
    table_description::write_key_schema,
};
use crate::{
    input::{self, Input, fields::Integer, shape::Shape},
    output::Object,
    validation::constraints::Constraints,
};
use cairn_model::{
    ServiceError,
    stream::{label, shard_id},
};
use cairn_replication::operation::ShardBounds;
use serde::Deserialize;

/// Shards of one page (reference, DescribeStream).
const LIMIT_MAX: i64 = 100;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DescribeStreamInput {
    stream_arn: Option<String>,
    limit: Option<Integer>,
    exclusive_start_shard_id: Option<String>,
    shard_filter: Option<ShardFilter>,
}

/// Asks for the shards that took the place of one.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ShardFilter {
    r#type: Option<String>,
    shard_id: Option<String>,
}

const SHARD_FILTER: Shape = Shape::Struct("ShardFilter", &[("Type", Shape::Text), ("ShardId", Shape::Text)]);

impl Input for DescribeStreamInput {
    const FIELDS: &'static [(&'static str, Shape)] = &[
        ("StreamArn", Shape::Text),
        ("Limit", Shape::Integer),
        ("ExclusiveStartShardId", Shape::Text),
        ("ShardFilter", SHARD_FILTER),
    ];
}

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let input: DescribeStreamInput = input::parse(call.body)?;
    input.constrain()?;
    let arn = input.stream_arn.as_deref().unwrap_or_default();
    let named = NamedStream::find(call, arn).await?;
    let mut shards = Vec::new();
    if named.has_shard() {
        let outcome = named.shard(call).await?;
        shards.extend(outcome.bounds.map(|bounds| (shard_id(named.stream.enabled_at_ms, outcome.partition), bounds)));
    }
    // No shard has taken the place of another: those of a stream begin and end with it.
    shards.retain(|(id, _)| input.shard_filter.is_none() && input.is_behind_start(id));

    let definition = &named.table.definition;
    let mut out = Vec::with_capacity(1_024);
    let mut answer = Object::begin(&mut out);
    let mut description = answer.object("StreamDescription");
    description.timestamp("CreationRequestDateTime", named.stream.enabled_at_ms);
    write_key_schema(definition.key_schema.keys(), &mut description);
    description.list("Shards", &shards, |(id, bounds), out| write_shard(id, *bounds, out));
    description.text("StreamArn", arn);
    description.text("StreamLabel", &label(named.stream.enabled_at_ms));
    description.text("StreamStatus", named.status());
    description.text("StreamViewType", named.stream.view_type.name());
    description.text("TableName", &definition.table_name);
    description.end();
    answer.end();
    Ok(out)
}

impl DescribeStreamInput {
    fn constrain(&self) -> Result<(), ServiceError> {
        let mut constraints = Constraints::default();
        constraints.required("streamArn", self.stream_arn.is_some());
        stream::constrain_arn("streamArn", self.stream_arn.as_deref(), &mut constraints);
        let limit = self.limit.map(|limit| limit.0);
        constraints.at_least("limit", limit, 1);
        constraints.at_most("limit", limit, LIMIT_MAX);
        let start = self.exclusive_start_shard_id.as_deref();
        stream::constrain_shard_id("exclusiveStartShardId", start, &mut constraints);
        if let Some(filter) = &self.shard_filter {
            constraints.required("shardFilter.type", filter.r#type.is_some());
            constraints.required("shardFilter.shardId", filter.shard_id.is_some());
            constraints.one_of("shardFilter.type", filter.r#type.as_deref(), &["CHILD_SHARDS"]);
            stream::constrain_shard_id("shardFilter.shardId", filter.shard_id.as_deref(), &mut constraints);
        }
        constraints.finish()
    }

    fn is_behind_start(&self, id: &str) -> bool {
        self.exclusive_start_shard_id.as_deref().is_none_or(|start| id > start)
    }
}

fn write_shard(id: &str, bounds: ShardBounds, out: &mut Vec<u8>) {
    let mut shard = Object::begin(out);
    let mut range = shard.object("SequenceNumberRange");
    if let Some(last) = bounds.last {
        range.text("EndingSequenceNumber", &last.to_string());
    }
    range.text("StartingSequenceNumber", &bounds.first.to_string());
    range.end();
    shard.text("ShardId", id);
    shard.end();
}
