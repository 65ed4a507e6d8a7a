//! What a router asks of a partition and what it is answered: one write, a few gets, one page of a range, or a
//! step of a transaction.

use crate::{
    global::NotEmpty,
    transaction::{MetLock, TransactGetOutcome, TransactGetRequest, TransactOutcome, TransactRequest, TransactStep},
};
use bytes::Bytes;
use cairn_expression::{Condition, Projection, Update};
use cairn_model::{Item, codec::EncodedItem, ids::RequestId, key::EncodedKey};
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
    /// What the write did to each local index that it changed, in the order of their slots.
    pub indexes: Vec<IndexWrite>,
    /// The size of the item's collection after the write, in DynamoDB's bytes: its items and what the local indexes show of
    /// them. Of tables with local indexes only.
    pub collection_bytes: Option<u64>,
}

/// What a write did to one local index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexWrite {
    pub slot: u8,
    /// Of what the index showed of the item before and shows after, in DynamoDB's bytes; 0 where it was or is not in it.
    pub size_before: u32,
    pub size_after: u32,
    /// The item's place in the index changed: that is a deletion and a write.
    pub moved: bool,
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

/// What travels from router to storage node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum PartitionRequest {
    Write(WriteRequest),
    Get(GetRequest),
    Range(RangeRequest),
    Transact(TransactRequest),
    TransactGet(TransactGetRequest),
}

impl PartitionRequest {
    /// Whether it may change anything.
    pub fn writes(&self) -> bool {
        matches!(self, Self::Write(_) | Self::Transact(_))
    }

    /// Whether it brings data, and has to stay out where there is no room: a transaction that is prepared may end.
    pub fn brings_data(&self) -> bool {
        match self {
            Self::Write(_) => true,
            Self::Transact(request) => matches!(request.step, TransactStep::Write(_)),
            Self::Get(_) | Self::Range(_) | Self::TransactGet(_) => false,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum PartitionOutcome {
    Write(WriteOutcome),
    Get(GetOutcome),
    Range(RangeOutcome),
    Transact(TransactOutcome),
    TransactGet(TransactGetOutcome),
    /// Nothing was done of a write or a transaction, nothing read for one: items are locked by transactions under way.
    Locked(Vec<MetLock>),
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
}
