//! The prepared transactions of a partition, as its leader knows them: which items are locked, and by whom.

use crate::{
    proposer::ProposerError,
    transaction::{MetLock, TransactionId, kept, kept::Prepared},
};
use cairn_engine::{Engine, Store};
use cairn_model::key::EncodedKey;
use std::collections::HashMap;

#[derive(Debug, Default)]
pub(super) struct PreparedTable {
    transactions: HashMap<TransactionId, Standing>,
    locks: HashMap<EncodedKey, TransactionId>,
    tokens: HashMap<[u8; 16], TransactionId>,
    /// Nothing that is kept has to be dropped before that, by the leader's clock in ms; none: nothing is kept at all.
    pub(super) drop_ms: Option<u64>,
}

#[derive(Debug)]
struct Standing {
    prepared: Prepared,
    is_applied: bool,
}

/// What an entry changes of it.
#[derive(Debug)]
pub(super) enum TableChange {
    Prepared(TransactionId, Prepared),
    Decided(TransactionId),
    /// Committed without having been prepared.
    Recorded,
}

impl PreparedTable {
    pub(super) fn read<S: Store>(engine: &Engine<S>, storage_id: u64) -> Result<Self, ProposerError> {
        let mut table = Self::default();
        let (from, to) = kept::ALL_PREPARED;
        for pair in engine.transactions(storage_id, from, to) {
            let (key, value) = pair?;
            let id = kept::id_of_prepared(&key)?;
            table.change(TableChange::Prepared(id, Prepared::decode(value)?));
            table.applied(id);
        }
        let (from, to) = kept::ALL_NOTED;
        table.drop_ms = engine.transactions(storage_id, from, to).next().transpose()?.map(|_| 0);
        Ok(table)
    }

    pub(super) fn len(&self) -> usize {
        self.transactions.len()
    }

    pub(super) fn get(&self, id: TransactionId) -> Option<&Prepared> {
        self.transactions.get(&id).map(|standing| &standing.prepared)
    }

    pub(super) fn is_applied(&self, id: TransactionId) -> bool {
        self.transactions.get(&id).is_some_and(|standing| standing.is_applied)
    }

    /// The transaction under way with this token.
    pub(super) fn of_token(&self, token: &[u8; 16]) -> Option<(TransactionId, &Prepared)> {
        let id = *self.tokens.get(token)?;
        Some((id, self.get(id)?))
    }

    pub(super) fn has_locked(&self, key: &EncodedKey) -> bool {
        self.locks.contains_key(key)
    }

    /// Who has locked an item, which is at this place of a request.
    pub(super) fn lock_on(&self, key: &EncodedKey, at: u32) -> Option<MetLock> {
        self.met(*self.locks.get(key)?, at)
    }

    pub(super) fn met(&self, transaction: TransactionId, at: u32) -> Option<MetLock> {
        let prepared = self.get(transaction)?;
        let (participants, since_ms) = (prepared.participants.clone(), prepared.time.millis());
        Some(MetLock { at, transaction, participants, since_ms })
    }

    pub(super) fn change(&mut self, change: TableChange) {
        match change {
            TableChange::Prepared(id, prepared) => {
                self.locks.extend(prepared.keys.iter().map(|key| (key.clone(), id)));
                self.tokens.insert(prepared.idempotency.token, id);
                self.transactions.insert(id, Standing { prepared, is_applied: false });
            }
            TableChange::Decided(id) => {
                self.recorded();
                let Some(Standing { prepared, .. }) = self.transactions.remove(&id) else { return };
                for key in &prepared.keys {
                    self.locks.remove(key);
                }
                self.tokens.remove(&prepared.idempotency.token);
            }
            TableChange::Recorded => self.recorded(),
        }
    }

    /// Where others are kept they are older.
    fn recorded(&mut self) {
        self.drop_ms.get_or_insert(0);
    }

    /// The entry that prepared it is applied.
    pub(super) fn applied(&mut self, id: TransactionId) {
        if let Some(standing) = self.transactions.get_mut(&id) {
            standing.is_applied = true;
        }
    }
}
