//! Transactions on the partitions in memory: prepared, committed or aborted, by the rules that the true ones have.

use crate::{
    index_entries,
    partitions::{Rows, get, write},
};
use bytes::Bytes;
use cairn_model::{ErrorKind, ServiceError, TableDefinition, codec::EncodedItem, key::EncodedKey};
use cairn_replication::{
    operation::{GetRequest, PartitionOutcome, WriteOutcome},
    transaction::{
        ItemVersion, MetLock, Participant, TransactAction, TransactGetOutcome, TransactGetRequest, TransactGot,
        TransactOutcome, TransactRequest, TransactStep, TransactWrite, TransactionId,
    },
};
use std::collections::BTreeMap;

type Of = ([u8; 16], TransactionId);
type Token = ([u8; 16], [u8; 16]);

/// By table, as everything here.
#[derive(Default)]
pub(crate) struct Transactions {
    prepared: BTreeMap<Of, (TransactWrite, Rows, Vec<WriteOutcome>)>,
    committed: BTreeMap<Of, Vec<WriteOutcome>>,
    aborted: Vec<Of>,
    /// By token: its parameters, and what was committed.
    tokens: BTreeMap<Token, ([u8; 16], TransactionId, Vec<Participant>)>,
    locks: BTreeMap<([u8; 16], Bytes), TransactionId>,
    /// Told to whoever meets a lock.
    pub(crate) since_ms: u64,
}

impl Transactions {
    pub(crate) fn lock_on(&self, table: &TableDefinition, key: &EncodedKey, at: usize) -> Option<MetLock> {
        let transaction = *self.locks.get(&(table.table_id.0, key.0.clone()))?;
        let (write, ..) = self.prepared.get(&(table.table_id.0, transaction))?;
        Some(MetLock { at: at as u32, transaction, participants: write.participants.clone(), since_ms: self.since_ms })
    }

    fn locks_on<'k>(&self, table: &TableDefinition, keys: impl Iterator<Item = &'k EncodedKey>) -> Vec<MetLock> {
        keys.enumerate().filter_map(|(at, key)| self.lock_on(table, key, at)).collect()
    }

    pub(crate) fn get(&self, rows: &Rows, table: &TableDefinition, request: &TransactGetRequest) -> PartitionOutcome {
        let met = self.locks_on(table, request.gets.iter().map(|get| &get.key));
        if !met.is_empty() {
            return PartitionOutcome::Locked(met);
        }
        let got = |asked: &cairn_replication::transaction::TransactGet| {
            let (keys, projection) = (vec![asked.key.clone()], asked.projection.clone());
            let item = get(rows, table.table_id.0, &GetRequest { keys, projection, consistent: true }).items.remove(0);
            let version = ItemVersion::Absent { last_deletion: 0 };
            TransactGot { item, version }
        };
        PartitionOutcome::TransactGet(TransactGetOutcome { items: request.gets.iter().map(got).collect() })
    }

    pub(crate) fn step(
        &mut self,
        rows: &mut Rows,
        table: &TableDefinition,
        request: TransactRequest,
    ) -> Result<PartitionOutcome, ServiceError> {
        let of = (table.table_id.0, request.transaction);
        let outcome = match request.step {
            _ if self.committed.contains_key(&of) => TransactOutcome::Committed(self.committed[&of].clone()),
            _ if self.aborted.contains(&of) => TransactOutcome::Aborted,
            TransactStep::Write(write) | TransactStep::Prepare(write) => {
                let decides = write.participants.is_empty();
                return self.write(rows, table, of, write, decides);
            }
            TransactStep::Decide { write, .. } | TransactStep::DecideAfter { write, .. } => {
                return self.write(rows, table, of, write, true);
            }
            TransactStep::Commit | TransactStep::CommitDecided { .. } => match self.prepared.remove(&of) {
                Some((write, after, outcomes)) => {
                    self.locks.retain(|(table, _), id| (*table, *id) != of);
                    self.commit((rows, table), &after, of, &write, outcomes)
                }
                None => self.abort(of),
            },
            TransactStep::Abort { .. } | TransactStep::Resolve { .. } | TransactStep::Finish => self.abort(of),
        };
        Ok(PartitionOutcome::Transact(outcome))
    }

    fn write(
        &mut self,
        rows: &mut Rows,
        table: &TableDefinition,
        of: Of,
        request: TransactWrite,
        decides: bool,
    ) -> Result<PartitionOutcome, ServiceError> {
        if let Some((parameters, transaction, participants)) = self.tokens.get(&(of.0, request.idempotency.token)) {
            let outcomes = self.committed[&(of.0, *transaction)].clone();
            return Ok(PartitionOutcome::Transact(match *parameters == request.idempotency.parameters {
                true => {
                    let (transaction, participants) = (*transaction, participants.clone());
                    TransactOutcome::Replayed { transaction, participants, outcomes }
                }
                false => TransactOutcome::ParameterMismatch,
            }));
        }
        let met = self.locks_on(table, request.actions.iter().map(TransactAction::key));
        if !met.is_empty() {
            return Ok(PartitionOutcome::Locked(met));
        }
        let mut after = rows.clone();
        let results: Vec<_> = request.actions.iter().map(|action| act(&mut after, table, action)).collect();
        if results.iter().any(Result::is_err) {
            let reasons = results.into_iter().map(Result::err).collect();
            return Ok(PartitionOutcome::Transact(TransactOutcome::Cancelled(reasons)));
        }
        let outcomes: Vec<WriteOutcome> = results.into_iter().flatten().collect();
        Ok(PartitionOutcome::Transact(if decides {
            self.commit((rows, table), &after, of, &request, outcomes)
        } else {
            let keys = request.actions.iter().map(|action| ((of.0, action.key().0.clone()), of.1));
            self.locks.extend(keys);
            self.prepared.insert(of, (request, after, outcomes.clone()));
            TransactOutcome::Prepared(outcomes)
        }))
    }

    fn commit(
        &mut self,
        (rows, table): (&mut Rows, &TableDefinition),
        after: &Rows,
        of: Of,
        write: &TransactWrite,
        outcomes: Vec<WriteOutcome>,
    ) -> TransactOutcome {
        for action in &write.actions {
            let key = (of.0, action.key().0.clone());
            let before = rows.get(&key).cloned();
            index_entries::feed(rows, table, action.key(), before.as_ref(), after.get(&key));
            match after.get(&key) {
                Some(item) => rows.insert(key, EncodedItem::clone(item)),
                None => rows.remove(&key),
            };
        }
        let of_token = (write.idempotency.parameters, of.1, write.participants.clone());
        self.tokens.insert((of.0, write.idempotency.token), of_token);
        self.committed.insert(of, outcomes.clone());
        TransactOutcome::Committed(outcomes)
    }

    fn abort(&mut self, of: Of) -> TransactOutcome {
        self.prepared.remove(&of);
        self.locks.retain(|(table, _), id| (*table, *id) != of);
        self.aborted.push(of);
        TransactOutcome::Aborted
    }
}

fn act(rows: &mut Rows, table: &TableDefinition, action: &TransactAction) -> Result<WriteOutcome, ServiceError> {
    let check = match action {
        TransactAction::Write(request) => return write(rows, table, request.clone()),
        TransactAction::Check(check) => check,
    };
    let item = rows.get(&(table.table_id.0, check.key.0.clone()));
    let decoded = item.map(|item| item.decode().unwrap());
    if !check.condition.evaluate(decoded.as_ref()) {
        let mut error = ServiceError::new(ErrorKind::ConditionalCheckFailedException, "The conditional request failed");
        error.item = decoded.filter(|_| check.return_item_on_condition_failure);
        return Err(error);
    }
    let size = item.map_or(0, |item| item.size().unwrap());
    let (size_before, size_after) = (size, size);
    Ok(WriteOutcome { attributes: None, size_before, size_after, indexes: vec![], collection_bytes: None })
}
