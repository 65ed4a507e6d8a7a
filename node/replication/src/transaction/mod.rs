//! Transactions over the items of one partition or several: what a router asks of each, and what is kept of them.
//!
//! All items of a transaction that lie in one partition are written by one entry, and there is no more to it. Of several
//! partitions the first is the *primary*, and each of the others *prepares* first: it evaluates its conditions, and one entry
//! keeps what it will write and locks the items. Nobody waits for a lock: who meets one is told whose it is. When all others are
//! prepared the primary *decides*: it evaluates its own part, and the entry in which it applies that, with a record that the
//! transaction is committed, is the point of commit; the others follow. A transaction that the primary does not know is
//! aborted by whoever comes next, with a record at the primary: a decision that comes later meets it. So a coordinator
//! keeps nothing and may die at any step. Whoever is to say that nothing was done has that record made first, for a message to
//! decide may still be under way.
//!
//! Since who is not known is aborted, a primary forgets a transaction that it committed only some time after it was told that all
//! others have applied it, however long that takes. What waits for too long, there or prepared, leaders report, and routers end.
//!
//! What is kept, in [`kept`], is replicated as items are. How the steps are decided is in `proposer::transactions`; who takes
//! them, in the api package.

pub(crate) mod kept;

use crate::operation::{WriteOutcome, WriteRequest};
use bytes::Bytes;
use cairn_expression::{Condition, Projection};
pub use cairn_model::transaction::{Participant, TransactionId};
use cairn_model::{ServiceError, codec::EncodedItem, ids::RequestId, key::EncodedKey, time::Timestamp};
use serde::{Deserialize, Serialize};
use std::slice;

/// For how long a token is remembered, by the clock of the partition's leader (reference, TransactWriteItems).
pub const TOKEN_AGE_MS_MAX: u64 = 10 * 60 * 1000;
/// For how long it is kept what became of a transaction: longer than any message about it can be under way.
pub const RECORD_AGE_MS_MAX: u64 = 15 * 60 * 1000;
/// A transaction that its router began earlier than that is not taken in: what its earlier attempts came to may be forgotten.
pub const BEGUN_AGE_MS_MAX: u64 = 5 * 60 * 1000;

/// What makes a transaction that is asked for again the same: digests of the account's token, and of all that is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idempotency {
    pub token: [u8; 16],
    pub parameters: [u8; 16],
}

/// What one action does to its item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum TransactAction {
    /// The request id in it means nothing.
    Write(WriteRequest),
    Check(ConditionCheck),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConditionCheck {
    pub key: EncodedKey,
    pub condition: Condition,
    /// `ReturnValuesOnConditionCheckFailure: ALL_OLD`.
    pub return_item_on_condition_failure: bool,
}

impl TransactAction {
    pub fn key(&self) -> &EncodedKey {
        match self {
            Self::Write(write) => &write.key,
            Self::Check(check) => &check.key,
        }
    }
}

/// Of so many earlier transactions a primary is told with one that it is to decide.
pub const FINISHED_MAX: usize = 256;

/// One step of a transaction in one partition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TransactRequest {
    pub request_id: RequestId,
    pub transaction: TransactionId,
    pub step: TransactStep,
}

impl TransactRequest {
    /// Of which transactions it says that all others have applied them.
    pub(crate) fn finished(&self) -> &[TransactionId] {
        match &self.step {
            TransactStep::Decide { finished, .. } => finished,
            TransactStep::Finish => slice::from_ref(&self.transaction),
            TransactStep::Write(_) | TransactStep::Commit | TransactStep::Abort { .. } => &[],
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum TransactStep {
    /// All of the transaction where it has no other participants, else it is prepared.
    Write(TransactWrite),
    Commit,
    /// Unless it is committed, or was prepared less than this long ago.
    Abort {
        age_ms_min: u64,
    },
    /// All of the primary's part, of whose transaction all other participants are prepared.
    Decide {
        write: TransactWrite,
        /// Of their items, as the limit of a transaction counts them.
        prepared_bytes: u64,
        /// Earlier ones that the same primary decided, as for [`Self::Finish`]: they go into the same entry, if there is one.
        finished: Vec<TransactionId>,
    },
    /// All other participants have applied what the primary has committed: only now may it ever be forgotten.
    Finish,
}

impl TransactStep {
    /// What it does to items, where it says so.
    pub fn write(&self) -> Option<&TransactWrite> {
        match self {
            Self::Write(write) | Self::Decide { write, .. } => Some(write),
            Self::Commit | Self::Abort { .. } | Self::Finish => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TransactWrite {
    pub idempotency: Idempotency,
    /// This partition's, no two on one item.
    pub actions: Vec<TransactAction>,
    /// Of several partitions all, the primary first.
    pub participants: Vec<Participant>,
    /// When the router began it, by its clock.
    pub begun_ms: u64,
}

/// What a step came to. Outcomes of actions are in the order of this partition's actions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum TransactOutcome {
    /// It is applied here.
    Committed(Vec<WriteOutcome>),
    /// It will be applied here, if it is committed.
    Prepared(Vec<WriteOutcome>),
    /// Nothing was done. For each action why, if it was for it.
    Cancelled(Vec<Option<ServiceError>>),
    /// Nothing was done, nor will be, under this transaction's id.
    Aborted,
    /// It is not decided yet.
    Pending,
    /// It was done before under the same token: this transaction.
    Replayed { transaction: TransactionId, participants: Vec<Participant>, outcomes: Vec<WriteOutcome> },
    /// It is being done under the same token.
    InProgress(MetLock),
    /// Another transaction was asked for under the same token.
    ParameterMismatch,
}

/// A transaction under way that was met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetLock {
    /// Where in the request the item is that it has locked.
    pub at: u32,
    pub transaction: TransactionId,
    /// The primary first.
    pub participants: Vec<Participant>,
    /// When it was prepared, by the clock of the partition's leader.
    pub since_ms: u64,
}

/// Items as of one applied index, none of which a transaction is about to write.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TransactGetRequest {
    pub gets: Vec<TransactGet>,
    /// The items themselves don't come.
    pub versions_only: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TransactGet {
    pub key: EncodedKey,
    pub projection: Option<Projection>,
}

/// In the order of the request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TransactGetOutcome {
    pub items: Vec<TransactGot>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TransactGot {
    /// The item (projected) and its whole size in bytes.
    pub item: Option<(EncodedItem, u32)>,
    pub version: ItemVersion,
}

/// Where it is the same in two reads, the item was neither written nor made and deleted between them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ItemVersion {
    Written {
        time: Timestamp,
        origin: Bytes,
    },
    /// Not there, and no deletion of it lies behind this index of the log.
    Absent {
        last_deletion: u64,
    },
}
