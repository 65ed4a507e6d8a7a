//! Transactions over several items: whoever serves such a request coordinates it, and keeps nothing of it.
//!
//! What the steps do in a partition, and why a coordinator may die between any two of them, is told in
//! [`cairn_replication::transaction`].

mod cancellation;
mod capacity;
mod finished;
mod reading;
mod recovery;
mod serving;
#[cfg(test)]
mod tests;
mod token;
mod writing;

pub(crate) use cancellation::{canceled, conflict, conflict_reason, reason_of};
pub(crate) use finished::Finished;
pub(crate) use reading::Got;
pub(crate) use recovery::end_left_behind;
pub(crate) use serving::{check_distinct, read, write};
pub(crate) use token::{constrain_token, identity};

use crate::{Catalog, Environment, Partitions, Room, RoutingKey, TableView, errors};
use cairn_model::{ServiceError, ids::RequestId, key::EncodedKey, time::Timestamp};
use cairn_replication::{
    operation::{PartitionOutcome, PartitionRequest, WriteOutcome},
    transaction::{Idempotency, MetLock, Participant, TransactAction, TransactGet, TransactOutcome, TransactRequest},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// How often a transaction begins anew after another's was found dead, or an earlier attempt of its own just done.
const ATTEMPTS_MAX: u32 = 3;
const PAUSE: Duration = Duration::from_millis(30);

/// Who coordinates, for one account.
#[derive(Clone, Copy)]
pub(crate) struct Coordinator<'a> {
    pub(crate) partitions: &'a dyn Partitions,
    pub(crate) catalog: &'a dyn Catalog,
    pub(crate) environment: &'a dyn Environment,
    pub(crate) account: &'a str,
    /// For what is read.
    pub(crate) room: &'a Room,
    pub(crate) finished: &'a Finished,
}

/// What is to be done to an item, or read.
pub(crate) struct Addressed<T> {
    pub(crate) table: Arc<TableView>,
    pub(crate) what: T,
}

/// What of a transaction is one partition's.
struct Part<'t, T> {
    table: &'t TableView,
    /// Leads to the partition.
    key: EncodedKey,
    /// Where in the request they are, and what.
    ordinals: Vec<usize>,
    what: Vec<T>,
}

/// What makes a request the same when it is asked again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    pub(crate) idempotency: Idempotency,
    /// The same on all retries of an SDK.
    pub(crate) request_id: RequestId,
    /// An attempt before this one may still be under way: then it is not said that nothing was done for a conflict.
    pub(crate) is_retry: bool,
}

/// What a transaction did.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Written {
    /// In the order of the actions.
    pub(crate) outcomes: Vec<WriteOutcome>,
    /// It was done before, under the same token.
    pub(crate) replayed: bool,
}

pub(crate) trait Keyed {
    fn key(&self) -> &EncodedKey;
}

impl Keyed for TransactAction {
    fn key(&self) -> &EncodedKey {
        TransactAction::key(self)
    }
}

impl Keyed for TransactGet {
    fn key(&self) -> &EncodedKey {
        &self.key
    }
}

/// By partition, the lowest table first: that is the primary. A table has one partition.
fn parts<T: Keyed + Clone>(addressed: &[Addressed<T>]) -> Vec<Part<'_, T>> {
    let mut parts: BTreeMap<[u8; 16], Part<'_, T>> = BTreeMap::new();
    for (ordinal, Addressed { table, what }) in addressed.iter().enumerate() {
        let part = parts.entry(table.definition.table_id.0).or_insert_with(|| Part {
            table,
            key: what.key().clone(),
            ordinals: Vec::new(),
            what: Vec::new(),
        });
        part.ordinals.push(ordinal);
        part.what.push(what.clone());
    }
    parts.into_values().collect()
}

impl<T> Part<'_, T> {
    fn participant(&self) -> Participant {
        Participant { table_id: self.table.definition.table_id, key: self.key.clone() }
    }

    /// Where in the request what was met is.
    fn ordinals_of<'s>(&'s self, met: &'s [MetLock]) -> impl Iterator<Item = usize> + 's {
        met.iter().filter_map(|met| self.ordinals.get(met.at as usize).copied())
    }
}

impl Coordinator<'_> {
    async fn ask(
        &self,
        table: &TableView,
        key: &EncodedKey,
        request: PartitionRequest,
    ) -> Result<PartitionOutcome, ServiceError> {
        self.partitions.request(table, RoutingKey::from(key), request, self.room).await
    }

    async fn step(&self, table: &TableView, key: &EncodedKey, request: TransactRequest) -> Result<Told, ServiceError> {
        match self.ask(table, key, PartitionRequest::Transact(request)).await? {
            PartitionOutcome::Transact(outcome) => Ok(Told::of(outcome)),
            _ => Err(mismatch()),
        }
    }
}

/// What a step came to, and when, where that is told.
#[derive(Debug)]
struct Told {
    outcome: TransactOutcome,
    /// When it was prepared or decided; 0: a node that does not know of times does not tell.
    at: Timestamp,
}

impl Told {
    fn of(outcome: TransactOutcome) -> Self {
        let (outcome, at) = outcome.split_time();
        Self { outcome, at: at.unwrap_or_default() }
    }
}

fn mismatch() -> ServiceError {
    tracing::error!("a partition answered another step of a transaction than it was asked for");
    errors::internal()
}
