//! The prepared transactions of a partition, as its leader knows them: which items are locked, and by whom.

use crate::{
    proposer::ProposerError,
    transaction::{
        MetLock, TransactionId, kept,
        kept::{Prepared, Unfinished},
    },
};
use cairn_engine::{Engine, Store};
use cairn_model::{key::EncodedKey, time::Timestamp, transaction::LeftTransaction};
use std::collections::HashMap;

/// Who is waited for that long is gone.
pub(super) const LEFT_AGE_MS: u64 = 10_000;
/// As many are told at a time.
const LEFT_MAX: usize = 16;

#[derive(Debug, Default)]
pub(super) struct PreparedTable {
    transactions: HashMap<TransactionId, Standing>,
    locks: HashMap<EncodedKey, TransactionId>,
    tokens: HashMap<[u8; 16], TransactionId>,
    /// Those whose end is in an entry under way, and when they were prepared: it may turn out to be void.
    ending: HashMap<TransactionId, Timestamp>,
    /// Committed here, as their primary.
    unfinished: HashMap<TransactionId, (Timestamp, Unfinished)>,
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
    /// Noted, perhaps without having been prepared.
    Decided(TransactionId),
    /// Committed, without having been prepared, where others are to follow.
    Unfinished(TransactionId, Timestamp, Unfinished),
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
        let (from, to) = kept::ALL_UNFINISHED;
        for pair in engine.transactions(storage_id, from, to) {
            let (key, value) = pair?;
            let (time, id) = kept::of_timed(&key)?;
            table.change(TableChange::Unfinished(id, time, Unfinished::decode(value)?));
        }
        let (from, to) = kept::ALL_NOTED;
        table.drop_ms = engine.transactions(storage_id, from, to).next().transpose()?.map(|_| 0);
        Ok(table)
    }

    pub(super) fn len(&self) -> usize {
        self.transactions.len()
    }

    pub(super) fn unfinished_count(&self) -> usize {
        self.unfinished.len()
    }

    pub(super) fn unfinished(&self, id: TransactionId) -> Option<&(Timestamp, Unfinished)> {
        self.unfinished.get(&id)
    }

    /// All others have applied it: it is noted, and kept for a while yet. Whoever looks in the engine for what is to be dropped
    /// does so before: it does not see the note, and would have it that there is none.
    pub(super) fn finish(&mut self, id: TransactionId) {
        self.unfinished.remove(&id);
        self.recorded();
    }

    /// Of those that wait for somebody to end them some, others at another time.
    pub(super) fn left_behind(&self, wall_ms: u64) -> Vec<LeftTransaction> {
        let prepared = self.transactions.iter().map(|(id, Standing { prepared, .. })| {
            let since_ms = prepared.time.millis();
            (since_ms, *id, &prepared.participants)
        });
        let unfinished =
            self.unfinished.iter().map(|(id, (time, unfinished))| (time.millis(), *id, &unfinished.participants));
        let is_left = |(since_ms, ..): &(u64, _, _)| since_ms.saturating_add(LEFT_AGE_MS) <= wall_ms;
        let mut left: Vec<_> = prepared.chain(unfinished).filter(is_left).collect();
        left.sort_unstable_by_key(|(_, id, _)| *id);
        let from = (wall_ms / LEFT_AGE_MS) as usize * LEFT_MAX % left.len().max(1);
        let told = left.iter().cycle().skip(from).take(left.len().min(LEFT_MAX));
        told.map(|(since_ms, transaction, participants)| LeftTransaction {
            transaction: *transaction,
            participants: Vec::clone(participants),
            since_ms: *since_ms,
        })
        .collect()
    }

    pub(super) fn get(&self, id: TransactionId) -> Option<&Prepared> {
        self.transactions.get(&id).map(|standing| &standing.prepared)
    }

    /// The clock when the oldest of those was prepared whose end is not applied.
    pub(super) fn oldest(&self) -> Option<Timestamp> {
        let prepared = self.transactions.values().map(|standing| standing.prepared.time);
        prepared.chain(self.ending.values().copied()).min()
    }

    /// The entry that ended it is applied.
    pub(super) fn ended(&mut self, id: TransactionId) {
        self.ending.remove(&id);
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
                self.ending.insert(id, prepared.time);
            }
            TableChange::Unfinished(id, time, unfinished) => drop(self.unfinished.insert(id, (time, unfinished))),
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
