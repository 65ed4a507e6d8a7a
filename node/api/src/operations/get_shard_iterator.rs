//! GetShardIterator.

use super::{
    Call,
    shard_iterator::ShardIterator,
    stream::{self, NamedStream},
};
use crate::{
    errors,
    input::{self, Input, fields::Time, shape::Shape},
    output::Object,
    validation::constraints::Constraints,
};
use cairn_model::{
    ServiceError,
    stream::{SEQUENCE_DIGITS_MAX, SEQUENCE_DIGITS_MIN, SequenceNumber, shard_id},
};
use cairn_replication::operation::{ShardBounds, StreamOutcome};
use serde::Deserialize;

const ITERATOR_TYPES: &[&str] =
    &["TRIM_HORIZON", "LATEST", "AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER", "AT_TIMESTAMP"];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetShardIteratorInput {
    stream_arn: Option<String>,
    shard_id: Option<String>,
    shard_iterator_type: Option<String>,
    sequence_number: Option<String>,
    timestamp: Option<Time>,
}

impl Input for GetShardIteratorInput {
    const FIELDS: &'static [(&'static str, Shape)] = &[
        ("StreamArn", Shape::Text),
        ("ShardId", Shape::Text),
        ("ShardIteratorType", Shape::Text),
        ("SequenceNumber", Shape::Text),
        ("Timestamp", Shape::Time),
    ];
}

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let input: GetShardIteratorInput = input::parse(call.body)?;
    input.constrain()?;
    input.check_members()?;
    let arn = input.stream_arn.as_deref().unwrap_or_default();
    let named = NamedStream::find(call, arn).await?;
    let shard = named.shard(call).await?;
    if input.shard_id != Some(shard_id(named.stream.enabled_at_ms, shard.partition)) {
        return Err(errors::shard_not_found());
    }
    let issued_at_ms = call.request_ids.environment.wall_ms();
    let iterator = ShardIterator {
        stream_arn: arn,
        table: named.table.definition.table_id,
        shard: shard.partition,
        issued_at_ms,
        after: input.start(call, &shard)?,
    };
    let mut out = Vec::with_capacity(256);
    let mut answer = Object::begin(&mut out);
    answer.text("ShardIterator", &iterator.to_text());
    answer.end();
    Ok(out)
}

impl GetShardIteratorInput {
    fn constrain(&self) -> Result<(), ServiceError> {
        let mut constraints = Constraints::default();
        constraints.required("streamArn", self.stream_arn.is_some());
        stream::constrain_arn("streamArn", self.stream_arn.as_deref(), &mut constraints);
        constraints.required("shardId", self.shard_id.is_some());
        stream::constrain_shard_id("shardId", self.shard_id.as_deref(), &mut constraints);
        constraints.required("shardIteratorType", self.shard_iterator_type.is_some());
        constraints.one_of("shardIteratorType", self.shard_iterator_type.as_deref(), ITERATOR_TYPES);
        let digits = SEQUENCE_DIGITS_MIN..=SEQUENCE_DIGITS_MAX;
        constraints.length("sequenceNumber", self.sequence_number.as_deref(), digits);
        constraints.finish()
    }

    /// Whether what the type needs is there, and nothing that it does not take.
    fn check_members(&self) -> Result<(), ServiceError> {
        let (needs_number, needs_time) = match self.shard_iterator_type.as_deref() {
            Some("AT_SEQUENCE_NUMBER" | "AFTER_SEQUENCE_NUMBER") => (true, false),
            Some("AT_TIMESTAMP") => (false, true),
            _ => (false, false),
        };
        let members = [
            ("SequenceNumber", needs_number, self.sequence_number.is_some()),
            ("Timestamp", needs_time, self.timestamp.is_some()),
        ];
        members.into_iter().try_for_each(|(member, is_needed, is_there)| match (is_needed, is_there) {
            (true, false) => Err(invalid(&format!("{member} cannot be null"))),
            (false, true) => Err(invalid(&format!("{member} should not be passed for this iterator type"))),
            _ => Ok(()),
        })
    }

    /// Behind which record reading begins; none: with the oldest.
    fn start(&self, call: &Call<'_>, shard: &StreamOutcome) -> Result<Option<SequenceNumber>, ServiceError> {
        match (self.shard_iterator_type.as_deref(), self.timestamp) {
            (Some("LATEST"), _) => Ok(Some(shard.latest)),
            (Some("AT_SEQUENCE_NUMBER"), _) => Ok(Some(self.number(call, shard)?.before())),
            (Some("AFTER_SEQUENCE_NUMBER"), _) => Ok(Some(self.number(call, shard)?)),
            (Some("AT_TIMESTAMP"), Some(Time { millis })) => {
                if millis > call.request_ids.environment.wall_ms() {
                    return Err(invalid("Timestamp cannot be in the future"));
                }
                let start = SequenceNumber::before_millis(millis);
                Ok(Some(start).filter(|start| start.time >= stream::horizon(call)))
            }
            _ => Ok(None),
        }
    }

    /// A number that a record of the shard has, or could have had, and that is not trimmed.
    fn number(&self, call: &Call<'_>, shard: &StreamOutcome) -> Result<SequenceNumber, ServiceError> {
        let number = self.sequence_number.as_deref().and_then(SequenceNumber::parse);
        // A shard in which nothing was written yet has the number that it begins with.
        let last = |bounds: ShardBounds| bounds.last.unwrap_or(shard.latest.max(bounds.first));
        let is_known =
            |number: &SequenceNumber| shard.bounds.is_some_and(|bounds| (bounds.first..=last(bounds)).contains(number));
        let number =
            number.filter(is_known).ok_or_else(|| ServiceError::validation("Invalid SequenceNumber for the shard"))?;
        if number.time < stream::horizon(call) { Err(errors::trimmed_data()) } else { Ok(number) }
    }
}

fn invalid(what: &str) -> ServiceError {
    ServiceError::validation(format!("One or more parameter values were invalid: {what}"))
}
