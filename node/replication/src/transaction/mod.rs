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
//! **Times.** A transaction is of the time T of the entry in which its primary decided it, in all its tables: each, restored as of
//! any time X, has it if T is not after X, and else not. So
//!
//! - T is above the time P of the entry that prepared it, wherever it is prepared: participants tell P, the coordinator the
//!   primary the highest. All that a participant held when it prepared is of a time before T therefore.
//! - Whoever tells a participant to commit tells T. Its entry is stamped at a time C above T, and the record in it has T.
//! - A claim ([`crate::core::Claim`]) stays below the clock at which anything was prepared that is not ended, which is not above P: what
//!   was decided by a claim's time has its entry at or below the claim's index, in every table.
//! - A restore leaves out what is stamped after X, but for entries that commit what was decided by X (`restore`). Between
//!   P and C nobody else here writes the items that are written there, so what is left out changed none of them. Another region
//!   may, for no lock keeps it out: what a commit does is worked out again on what is there then, and it puts or deletes the
//!   whole item, so the item is what the transaction made it with or without what the other region wrote meanwhile. Hence a commit says
//!   in a global table that it deletes even where nothing is left to be deleted.
//! - A snapshot between P and C needs to know nothing of it, for the entry that commits has all that is written.
//!
//! Who does not know of times asks for other steps and is answered otherwise, as are those who ask a node that does not know of
//! them: then C takes the place of T.
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
    /// The same for a node that does not know of times; none if it is that already. Under another request id: what is kept of
    /// this one may tell times, which such a node can't read.
    pub fn without_times(&self) -> Option<Self> {
        let step = self.step.without_times()?;
        let mut request_id = self.request_id;
        request_id.0[0] ^= 1;
        Some(Self { request_id, transaction: self.transaction, step })
    }

    /// Of which transactions it says that all others have applied them.
    pub(crate) fn finished(&self) -> &[TransactionId] {
        match &self.step {
            TransactStep::Decide { finished, .. } | TransactStep::DecideAfter { finished, .. } => finished,
            TransactStep::Finish => slice::from_ref(&self.transaction),
            TransactStep::Write(_)
            | TransactStep::Commit
            | TransactStep::Abort { .. }
            | TransactStep::Prepare(_)
            | TransactStep::CommitDecided { .. }
            | TransactStep::Resolve { .. } => &[],
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
    /// As [`Self::Write`], of a transaction that has other participants; tells when it was prepared.
    Prepare(TransactWrite),
    /// As [`Self::Decide`], at a time above that at which any other participant prepared it; tells when it was decided.
    DecideAfter {
        write: TransactWrite,
        prepared_bytes: u64,
        finished: Vec<TransactionId>,
        prepared_at: Timestamp,
    },
    /// As [`Self::Commit`], of what was decided then; 0: that is not known. Tells when it was decided.
    CommitDecided {
        decided_at: Timestamp,
    },
    /// As [`Self::Abort`]; tells when it was decided.
    Resolve {
        age_ms_min: u64,
    },
}

impl TransactStep {
    /// What it does to items, where it says so.
    pub fn write(&self) -> Option<&TransactWrite> {
        match self {
            Self::Write(write)
            | Self::Decide { write, .. }
            | Self::Prepare(write)
            | Self::DecideAfter { write, .. } => Some(write),
            Self::Commit | Self::Abort { .. } | Self::Finish | Self::CommitDecided { .. } | Self::Resolve { .. } => {
                None
            }
        }
    }

    fn without_times(&self) -> Option<Self> {
        Some(match self.clone() {
            Self::Prepare(write) => Self::Write(write),
            Self::DecideAfter { write, prepared_bytes, finished, .. } => {
                Self::Decide { write, prepared_bytes, finished }
            }
            Self::CommitDecided { .. } => Self::Commit,
            Self::Resolve { age_ms_min } => Self::Abort { age_ms_min },
            Self::Write(_) | Self::Commit | Self::Abort { .. } | Self::Decide { .. } | Self::Finish => return None,
        })
    }

    /// Whether who asks for it is to be told times.
    pub(crate) fn asks_for_times(&self) -> bool {
        match self {
            Self::Prepare(_) | Self::DecideAfter { .. } | Self::CommitDecided { .. } | Self::Resolve { .. } => true,
            Self::Write(_) | Self::Commit | Self::Abort { .. } | Self::Decide { .. } | Self::Finish => false,
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
    /// [`Self::Committed`], and when it was decided.
    CommittedAt { outcomes: Vec<WriteOutcome>, decided_at: Timestamp },
    /// [`Self::Prepared`], and when.
    PreparedAt { outcomes: Vec<WriteOutcome>, prepared_at: Timestamp },
}

impl TransactOutcome {
    /// With the time, of what has one.
    pub(crate) fn at(self, time: Timestamp) -> Self {
        match self {
            Self::Committed(outcomes) => Self::CommittedAt { outcomes, decided_at: time },
            Self::Prepared(outcomes) => Self::PreparedAt { outcomes, prepared_at: time },
            other => other,
        }
    }

    /// What it did, or will, to this partition's items.
    pub fn writes(&self) -> &[WriteOutcome] {
        match self {
            Self::Committed(outcomes)
            | Self::Prepared(outcomes)
            | Self::CommittedAt { outcomes, .. }
            | Self::PreparedAt { outcomes, .. } => outcomes,
            _ => &[],
        }
    }

    /// Without the time, and the time if there was one.
    pub fn split_time(self) -> (Self, Option<Timestamp>) {
        match self {
            Self::CommittedAt { outcomes, decided_at } => (Self::Committed(outcomes), Some(decided_at)),
            Self::PreparedAt { outcomes, prepared_at } => (Self::Prepared(outcomes), Some(prepared_at)),
            other => (other, None),
        }
    }
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
