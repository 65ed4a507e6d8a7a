//! What this package asks of whoever carries requests to the partitions' replicas.

use crate::{catalog::TableView, memory::Room};
use async_trait::async_trait;
use cairn_model::{ServiceError, TableDefinition, key::EncodedKey, node::Counts, transaction::LeftTransaction};
use cairn_replication::operation::{PartitionOutcome, PartitionRequest};

/// Where in a table's keys a request goes: an encoded key, or the lower bound of a range; inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoutingKey<'a>(pub &'a [u8]);

impl<'a> From<&'a EncodedKey> for RoutingKey<'a> {
    fn from(key: &'a EncodedKey) -> Self {
        Self(&key.0)
    }
}

/// Finds the partition that holds a key and, in it, the replica that can answer; asks again, under the same request
/// id, where that is safe.
///
/// The outcome is of the request's own kind. Where everything is overloaded the error is
/// `ThrottlingException` (batches answer it with unprocessed keys and items); where it can't be known whether a write
/// was done, `InternalServerError`; where nobody could be asked, `ServiceUnavailable`.
///
/// What was read is taken into memory only where the room for it could be made.
#[async_trait]
pub trait Partitions: Send + Sync {
    async fn request(
        &self,
        table: &TableView,
        key: RoutingKey<'_>,
        request: PartitionRequest,
        room: &Room,
    ) -> Result<PartitionOutcome, ServiceError>;

    /// What the table holds now, with every write that was acknowledged. Where a partition's leader does not answer within a
    /// moment: what was last heard of it, or nothing.
    async fn counts(&self, table: &TableView) -> Option<Counts>;

    /// The tables of the account with streams, all or those of this name, as the storage nodes have them: of one that was deleted
    /// nobody else knows. From memory, without waiting; of tables that are there any may be missing.
    fn streamed(&self, _account: &str, _name: Option<&str>) -> Vec<TableDefinition> {
        Vec::new()
    }

    /// Some of the transactions that wait for somebody to end them, beside the account of the table whose leader tells of them.
    fn left_transactions(&self) -> Vec<(String, Vec<LeftTransaction>)>;
}
