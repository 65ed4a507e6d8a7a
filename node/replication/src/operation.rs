//! What a router asks of a partition and what it is answered: one write, a few gets, one page of a range, or a
//! step of a transaction.

use crate::{
    feed::{Fed, FeedBatch},
    global::NotEmpty,
    transaction::{MetLock, TransactGetOutcome, TransactGetRequest, TransactOutcome, TransactRequest},
};
use bytes::Bytes;
use cairn_expression::{Condition, Projection, Update};
use cairn_model::{
    Item,
    codec::{CodecError, EncodedItem},
    ids::{PartitionId, RequestId},
    key::EncodedKey,
    stream::SequenceNumber,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use std::ops::Bound;

/// One write of one item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WriteRequest {
    pub request_id: RequestId,
    pub key: EncodedKey,
    pub action: WriteAction,
    pub condition: Option<Condition>,
    pub return_values: ReturnValues,
    /// `ReturnValuesOnConditionCheckFailure: ALL_OLD`.
    pub return_item_on_condition_failure: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum WriteAction {
    /// The whole item, its size and keys checked already.
    Put(EncodedItem),
    Update {
        key_attributes: Item,
        update: Update,
    },
    Delete,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReturnValues {
    None,
    AllOld,
    UpdatedOld,
    AllNew,
    UpdatedNew,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WriteOutcome {
    /// What `ReturnValues` asked for; none where there is nothing to return.
    pub attributes: Option<EncodedItem>,
    /// Item sizes in DynamoDB's bytes (SEMANTICS: item size), 0 where there was or is no item.
    pub size_before: u32,
    pub size_after: u32,
    /// What the write did to each index that it changed: the local ones by their slots, and then the global ones.
    pub indexes: Vec<IndexWrite>,
    /// The size of the item's collection after the write, in DynamoDB's bytes: its items and what the local indexes show of
    /// them. Of tables with local indexes only.
    pub collection_bytes: Option<u64>,
}

impl WriteOutcome {
    /// Of a write that found nothing and left nothing.
    pub(crate) fn of_nothing() -> Self {
        Self { attributes: None, size_before: 0, size_after: 0, indexes: Vec::new(), collection_bytes: None }
    }
}

/// What a write did to one index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexWrite {
    /// A local index's slot, or the byte by which entries tell changes of a global one.
    pub slot: u8,
    /// Of what the index showed of the item before and shows after, in DynamoDB's bytes; 0 where it was or is not in it.
    pub size_before: u32,
    pub size_after: u32,
    /// The item's place in the index changed: that is a deletion and a write.
    pub moved: bool,
}

impl IndexWrite {
    /// The slot of the global index that it is of; none if of a local one.
    pub fn global_slot(&self) -> Option<u8> {
        cairn_engine::global_slot(self.slot)
    }
}

/// A few items by their keys, each read on its own (read-committed).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GetRequest {
    pub keys: Vec<EncodedKey>,
    pub projection: Option<Projection>,
    pub consistent: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GetOutcome {
    /// In the order of the keys: the item (projected) and its whole size in bytes.
    pub items: Vec<Option<(EncodedItem, u32)>>,
}

/// One page of a Query or a Scan, in key order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RangeRequest {
    pub lower: Bound<Bytes>,
    pub upper: Bound<Bytes>,
    pub forward: bool,
    /// Items to evaluate at most, before the filter.
    pub limit: Option<u32>,
    /// Bytes of items to read at most, before filter and projection: the page ends with the item that reaches it. Of an index,
    /// what it shows of the items counts, or what is fetched.
    pub page_bytes: u32,
    pub filter: Option<Condition>,
    pub projection: Option<Projection>,
    /// `Select: COUNT`: no items come back.
    pub count_only: bool,
    pub consistent: bool,
    /// The bounds are of this local index, and so is the order; none: of the table.
    pub index: Option<IndexRead>,
}

/// A read of a local index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexRead {
    pub index_name: String,
    /// Whole items instead of what the index shows of them: each is fetched, and counted in [`RangeOutcome::fetched_units`].
    pub whole_items: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RangeOutcome {
    pub items: Vec<EncodedItem>,
    pub count: u32,
    pub scanned_count: u32,
    /// Item sizes of all that was evaluated; of an index, of what it shows of the items.
    pub bytes_read: u64,
    /// Units of 4 KB, each item rounded up, of items fetched from the table for a read of an index.
    pub fetched_units: u64,
    /// The key attributes of the last item evaluated, and of the index, where the page ended before the range did.
    pub last_evaluated_key: Option<Item>,
}

/// One page of a stream's records, in their order. Always consistent: a record that was shown stays, and nothing comes before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamRequest {
    /// When the stream was enabled, by which it is told from others of the table; milliseconds since the Unix epoch.
    pub stream: u64,
    /// Records behind this one; none: from the oldest that is not trimmed.
    pub after: Option<SequenceNumber>,
    /// Records below this time are trimmed.
    pub horizon: Timestamp,
    /// Records at most; 0 asks for the shard's bounds alone.
    pub limit: u32,
    /// Of what the records show, in DynamoDB's bytes: the page ends before the record that would pass it, but has one at least.
    pub page_bytes: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamOutcome {
    /// Of which the stream's shard is.
    pub partition: PartitionId,
    pub records: Vec<StreamRecord>,
    /// Behind which the next page begins.
    pub last: SequenceNumber,
    /// Behind everything that was applied.
    pub latest: SequenceNumber,
    /// A record behind `after` is trimmed already, and nothing was read.
    pub trimmed: bool,
    /// Of the shard, where no record was asked for.
    pub bounds: Option<ShardBounds>,
    /// No record is left behind `last`, and none will come.
    pub ended: bool,
}

/// The numbers that records of a shard can have, both inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardBounds {
    pub first: SequenceNumber,
    /// None while it takes more.
    pub last: Option<SequenceNumber>,
}

/// One change of one item, as a stream shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamRecord {
    pub number: SequenceNumber,
    pub event: StreamEvent,
    /// It was the service's doing: the item had expired.
    pub by_service: bool,
    pub keys: EncodedItem,
    /// What the stream's view type shows of the item.
    pub old_image: Option<EncodedItem>,
    pub new_image: Option<EncodedItem>,
}

impl StreamRecord {
    /// What it shows, in DynamoDB's bytes.
    pub fn size(&self) -> Result<u32, CodecError> {
        let images = self.old_image.iter().chain(&self.new_image);
        images.chain([&self.keys]).try_fold(0_u32, |sum, image| Ok(sum.saturating_add(image.size()?)))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StreamEvent {
    Insert,
    Modify,
    Remove,
}

/// What travels from router to storage node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum PartitionRequest {
    Write(WriteRequest),
    Get(GetRequest),
    Range(RangeRequest),
    Stream(StreamRequest),
    Transact(TransactRequest),
    TransactGet(TransactGetRequest),
    /// Of a table's leader to one of its global indexes.
    Feed(FeedBatch),
}

impl PartitionRequest {
    /// Whether it may change anything.
    pub fn writes(&self) -> bool {
        matches!(self, Self::Write(_) | Self::Transact(_) | Self::Feed(_))
    }

    /// The same for a node of a version that does not know this form of it; none if all know it.
    pub fn for_older_node(&self) -> Option<Self> {
        match self {
            Self::Transact(request) => request.without_times().map(Self::Transact),
            _ => None,
        }
    }

    /// Whether it brings data, and has to stay out where there is no room: a transaction that is prepared may end.
    pub fn brings_data(&self) -> bool {
        match self {
            Self::Write(_) | Self::Feed(_) => true,
            Self::Transact(request) => request.step.write().is_some(),
            Self::Get(_) | Self::Range(_) | Self::Stream(_) | Self::TransactGet(_) => false,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum PartitionOutcome {
    Write(WriteOutcome),
    Get(GetOutcome),
    Range(RangeOutcome),
    Stream(StreamOutcome),
    Transact(TransactOutcome),
    TransactGet(TransactGetOutcome),
    /// Nothing was done of a write or a transaction, nothing read for one: items are locked by transactions under way.
    Locked(Vec<MetLock>),
    /// Where the index is then.
    Fed(Fed),
}

/// Why a partition did not serve a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
pub enum PartitionError {
    /// The request was evaluated, and this is its answer. (A failed condition, an item grown too large.)
    #[error(transparent)]
    Service(#[from] cairn_model::ServiceError),
    /// Nothing was done. Ask the leader, where it is known.
    #[error("this replica does not lead the partition")]
    NotLeader { leader: Option<cairn_model::descriptor::Member> },
    /// Nothing was done: the request was made under another epoch of the descriptor.
    #[error("the request was made under another epoch of the partition's descriptor")]
    EpochMismatch { epoch: u64 },
    /// Nothing was done: this node holds no such partition.
    #[error("this node holds no such partition")]
    UnknownPartition,
    /// Nothing was done: too much is queued, or the disk is nearly full.
    #[error("the node is overloaded: {reason}")]
    Overloaded { reason: String },
    /// It may or may not have been done; asking again under the same request id tells.
    #[error("the outcome is not known: {reason}")]
    Unknown { reason: String },
    /// Nothing was taken of a batch of another region, and nothing will be until one of the tables is made anew.
    #[error(transparent)]
    NotEmpty(#[from] NotEmpty),
    /// Nothing was done: the table has no capacity left for it now.
    #[error("the table's throughput is exceeded: {0:?}")]
    Throttled(cairn_model::throttling::TableLimit),
    /// Nothing was done: a global index has no capacity left for what the write may change in it.
    #[error("the throughput of the global index {index_name} is exceeded: {limit:?}")]
    ThrottledByIndex { limit: cairn_model::throttling::TableLimit, index_name: String },
}
