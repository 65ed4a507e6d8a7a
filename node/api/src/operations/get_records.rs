//! GetRecords of a stream.

use super::{
    Call,
    shard_iterator::{ITERATOR_BYTES_MAX, ShardIterator},
    stream::NamedStream,
};
use crate::{
    errors,
    input::{self, Input, fields::Integer, shape::Shape},
    output::{Object, write_list},
    validation::constraints::Constraints,
};
use aws_lc_rs::digest;
use cairn_model::{ServiceError, ids::PartitionId, stream::SequenceNumber, table::StreamViewType};
use cairn_replication::operation::{StreamEvent, StreamRecord};
use serde::Deserialize;

/// Records of one page (reference, GetRecords).
const LIMIT_MAX: i64 = 1_000;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetRecordsInput {
    shard_iterator: Option<String>,
    limit: Option<Integer>,
}

impl Input for GetRecordsInput {
    const FIELDS: &'static [(&'static str, Shape)] = &[("ShardIterator", Shape::Text), ("Limit", Shape::Integer)];
}

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let input: GetRecordsInput = input::parse(call.body)?;
    let mut constraints = Constraints::default();
    constraints.required("shardIterator", input.shard_iterator.is_some());
    constraints.length("shardIterator", input.shard_iterator.as_deref(), 1..=ITERATOR_BYTES_MAX);
    let limit = input.limit.map(|limit| limit.0);
    constraints.at_least("limit", limit, 1);
    constraints.at_most("limit", limit, LIMIT_MAX);
    constraints.finish()?;

    let iterator = ShardIterator::parse(input.shard_iterator.as_deref().unwrap_or_default())?;
    let now_ms = call.request_ids.environment.wall_ms();
    if iterator.is_expired(now_ms) {
        return Err(errors::expired_iterator());
    }
    let named = NamedStream::find(call, iterator.stream_arn).await?;
    if named.table.definition.table_id != iterator.table {
        return Err(errors::stream_not_found(iterator.stream_arn));
    }
    let page = named.page(call, iterator.after, limit.unwrap_or(LIMIT_MAX) as u32).await?;
    if page.partition != iterator.shard {
        return Err(errors::shard_not_found());
    }
    if page.trimmed {
        return Err(errors::trimmed_data());
    }
    let shown = Shown { region: call.region, shard: page.partition, view_type: named.stream.view_type };
    let mut out = Vec::with_capacity(1_024);
    let mut answer = Object::begin(&mut out);
    if !page.ended {
        let next = ShardIterator { issued_at_ms: now_ms, after: Some(page.last), ..iterator };
        answer.text("NextShardIterator", &next.to_text());
    }
    let mut written = Ok(());
    write_list(answer.field("Records"), &page.records, |record, out| {
        if written.is_ok() {
            written = shown.write(record, out);
        }
    });
    written?;
    answer.end();
    Ok(out)
}

/// What all records of a page have in common.
struct Shown<'a> {
    region: &'a str,
    shard: PartitionId,
    view_type: StreamViewType,
}

impl Shown<'_> {
    fn write(&self, record: &StreamRecord, out: &mut Vec<u8>) -> Result<(), ServiceError> {
        let mut object = Object::begin(out);
        object.text("awsRegion", self.region);
        let mut change = object.object("dynamodb");
        // To the second, as in DynamoDB.
        change.literal("ApproximateCreationDateTime", record.number.time.millis() / 1_000);
        change.encoded_item("Keys", &record.keys)?;
        if let Some(image) = &record.new_image {
            change.encoded_item("NewImage", image)?;
        }
        if let Some(image) = &record.old_image {
            change.encoded_item("OldImage", image)?;
        }
        change.text("SequenceNumber", &record.number.to_string());
        change.literal("SizeBytes", record.size()?);
        change.text("StreamViewType", self.view_type.name());
        change.end();
        object.text("eventID", &self.event_id(record.number));
        let event = match record.event {
            StreamEvent::Insert => "INSERT",
            StreamEvent::Modify => "MODIFY",
            StreamEvent::Remove => "REMOVE",
        };
        object.text("eventName", event);
        object.text("eventSource", "aws:dynamodb");
        object.text("eventVersion", "1.1");
        if record.by_service {
            let mut identity = object.object("userIdentity");
            identity.text("PrincipalId", "dynamodb.amazonaws.com");
            identity.text("Type", "Service");
            identity.end();
        }
        object.end();
        Ok(())
    }

    /// The same whenever the record is read, and of no other record anywhere.
    fn event_id(&self, number: SequenceNumber) -> String {
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(&self.shard.0);
        hash.update(&number.time.0.to_be_bytes());
        hash.update(&number.ordinal.to_be_bytes());
        let mut id = [0; 16];
        id.copy_from_slice(&hash.finish().as_ref()[..16]);
        format!("{:032x}", u128::from_be_bytes(id))
    }
}
