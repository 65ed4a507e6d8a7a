//! Transactions over several partitions, as far as others than those who take part need to know of them.

use crate::{ids::TableId, key::EncodedKey};
use serde::{Deserialize, Serialize};

/// One attempt of a transaction, never used for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TransactionId(pub [u8; 16]);

/// A partition that takes part in a transaction: the one that has this key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Participant {
    pub table_id: TableId,
    pub key: EncodedKey,
}

/// A transaction that a partition's leader has waited for too long: it is prepared and nobody says what became of it, or it was
/// decided here and nobody says that the others have heard of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LeftTransaction {
    pub transaction: TransactionId,
    /// The primary first.
    pub participants: Vec<Participant>,
    /// By the clock of the partition's leader.
    pub since_ms: u64,
}
