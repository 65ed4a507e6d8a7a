//! Streams as requests name them, and what is asked of their shards.

use super::Call;
use crate::{
    RoutingKey, TableView,
    arn::{StreamArn, TableArn},
    errors,
    validation::constraints::{Constraints, is_table_name},
};
use cairn_model::{
    ServiceError, TableDefinition,
    stream::{RETENTION_MS, SequenceNumber, Stream, label},
    table::TableStatus,
    time::Timestamp,
};
use cairn_replication::operation::{PartitionOutcome, PartitionRequest, StreamOutcome, StreamRequest};
use std::sync::Arc;

const ARN_BYTES_MIN: usize = 37;
const ARN_BYTES_MAX: usize = 1_024;
const SHARD_ID_BYTES_MIN: usize = 28;
const SHARD_ID_BYTES_MAX: usize = 65;
/// Of what a page of records shows (reference, GetRecords).
const PAGE_BYTES: u32 = 1 << 20;

/// A stream of one of the account's tables, or of one that was deleted within the retention.
#[derive(Debug)]
pub(super) struct NamedStream {
    pub(super) table: Arc<TableView>,
    pub(super) stream: Stream,
    /// It takes the table's changes.
    pub(super) is_on: bool,
}

pub(super) fn constrain_arn(path: &str, arn: Option<&str>, constraints: &mut Constraints) {
    constraints.length(path, arn, ARN_BYTES_MIN..=ARN_BYTES_MAX);
}

pub(super) fn constrain_shard_id(path: &str, shard_id: Option<&str>, constraints: &mut Constraints) {
    constraints.length(path, shard_id, SHARD_ID_BYTES_MIN..=SHARD_ID_BYTES_MAX);
}

/// The ARN of a stream of this table.
pub(super) fn stream_arn(table: &TableView, stream: Stream) -> String {
    format!("{}/stream/{}", table.arn, label(stream.enabled_at_ms))
}

/// The account's tables that were deleted, all or those of this name: what is left of them are their streams.
pub(super) fn deleted_tables(call: &Call<'_>, name: Option<&str>) -> impl Iterator<Item = TableView> {
    let is_deleted = |table: &TableDefinition| {
        let there = call.catalog.table(call.account, &table.table_name);
        there.is_none_or(|there| there.definition.table_id != table.table_id)
    };
    let streamed = call.partitions.streamed(call.account, name).into_iter();
    streamed.filter(is_deleted).map(|definition| {
        let arn = TableArn { region: call.region, account: call.account, table_name: &definition.table_name };
        TableView {
            arn: arn.to_string(),
            definition,
            status: TableStatus::Deleting,
            is_warming: false,
            item_count: 0,
            size_bytes: 0,
            global_indexes: Vec::new(),
        }
    })
}

impl NamedStream {
    /// The stream of this ARN.
    pub(super) async fn find(call: &Call<'_>, text: &str) -> Result<Self, ServiceError> {
        let arn = StreamArn::parse(text)
            .filter(|arn| is_table_name(arn.table.table_name))
            .ok_or_else(|| ServiceError::validation(format!("Invalid StreamArn: {text}")))?;
        if arn.table.account != call.account {
            return Err(errors::access_denied());
        }
        let not_found = || {
            call.known_table(arn.table.table_name);
            errors::stream_not_found(text)
        };
        if arn.table.region != call.region {
            return Err(not_found());
        }
        let name = arn.table.table_name;
        let of = |table| Self::of(call, table, arn.enabled_at_ms);
        let there = || {
            let found = call.catalog.table(call.account, name).and_then(of)?;
            call.meter.touch(&found.table.definition);
            Some(found)
        };
        if let Some(found) = there() {
            return Ok(found);
        }
        let deleted = deleted_tables(call, Some(name)).find_map(|table| of(Arc::new(table))).ok_or_else(not_found)?;
        if !deleted.is_on {
            return Ok(deleted);
        }
        // Its table was deleted a moment ago, or was made a moment ago.
        call.renew(name).await;
        Ok(there().unwrap_or(deleted))
    }

    fn of(call: &Call<'_>, table: Arc<TableView>, enabled_at_ms: u64) -> Option<Self> {
        let mut streams = table.definition.readable_streams(call.request_ids.environment.wall_ms());
        let (stream, is_on) = streams.find(|(stream, _)| stream.enabled_at_ms == enabled_at_ms)?;
        drop(streams);
        Some(Self { table, stream, is_on })
    }

    /// `StreamStatus`.
    pub(super) fn status(&self) -> &'static str {
        match (self.is_on, self.table.status) {
            (false, _) => "DISABLED",
            (true, TableStatus::Creating) => "ENABLING",
            (true, TableStatus::Deleting) => "DISABLING",
            (true, TableStatus::Active | TableStatus::Updating) => "ENABLED",
        }
    }

    /// Whether there is a shard already.
    pub(super) fn has_shard(&self) -> bool {
        self.table.status != TableStatus::Creating
    }

    /// Asks the shard for its bounds.
    pub(super) async fn shard(&self, call: &Call<'_>) -> Result<StreamOutcome, ServiceError> {
        self.page(call, None, 0).await
    }

    /// Asks the shard for records behind this one, or for the oldest.
    pub(super) async fn page(
        &self,
        call: &Call<'_>,
        after: Option<SequenceNumber>,
        limit: u32,
    ) -> Result<StreamOutcome, ServiceError> {
        let request = PartitionRequest::Stream(StreamRequest {
            stream: self.stream.enabled_at_ms,
            after,
            horizon: horizon(call),
            limit,
            page_bytes: PAGE_BYTES,
        });
        // A table has one partition, and so a stream one shard.
        match call.partitions.request(&self.table, RoutingKey(b""), request, call.room).await? {
            PartitionOutcome::Stream(outcome) => Ok(outcome),
            _ => Err(errors::internal()),
        }
    }
}

/// Records below this time are trimmed.
pub(super) fn horizon(call: &Call<'_>) -> Timestamp {
    Timestamp::from_millis(call.request_ids.environment.wall_ms().saturating_sub(RETENTION_MS))
}
