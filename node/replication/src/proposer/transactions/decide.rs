//! What a step of a transaction comes to, on the items as of every earlier write.

use super::{Found, Proposer, StepResult, TableChange};
use crate::{
    entry::TransactionWrite,
    evaluate::{self, Change},
    operation::{WriteAction, WriteOutcome},
    proposer::{
        Round,
        effects::{Beside, Taken, stream_change, with_indexes},
        internal,
        remote::Undecided,
    },
    stream::StreamChange,
    transaction::{
        BEGUN_AGE_MS_MAX, ConditionCheck, Idempotency, MetLock, Participant, TOKEN_AGE_MS_MAX, TransactAction,
        TransactOutcome, TransactRequest, TransactStep, TransactWrite, TransactionId,
        kept::{self, KeptError, Lock, LockEffect, Prepared, Record, TokenRecord, Unfinished},
    },
};
use cairn_engine::{EngineError, IndexChange, Store};
use cairn_model::{
    ErrorKind, ServiceError,
    codec::{EncodedItem, StoredVersion},
    key::EncodedKey,
    limits::TRANSACTION_BYTES_MAX,
    time::Timestamp,
};
use std::collections::HashSet;

/// Transactions of one partition that are prepared at one time.
const PREPARED_MAX: usize = 1_024;
/// Of the items that a transaction replaces or deletes, where the table's stream shows them: they are in its entry, too.
const OLD_IMAGES_BYTES_MAX: usize = 2 * TRANSACTION_BYTES_MAX;
/// Transactions that a partition has decided and nobody has finished: no more are decided meanwhile.
const UNFINISHED_MAX: usize = 65_536;

pub(super) enum Decided {
    /// At once: it rests on what is applied, or says that nothing was done.
    Answer(TransactOutcome),
    Locked(Vec<MetLock>),
    Overloaded(&'static str),
    /// Once the entry is applied.
    Entry {
        result: StepResult,
        effects: Box<Effects>,
    },
}

/// What an entry does.
#[derive(Debug, Default)]
pub(super) struct Effects {
    pub(super) writes: Vec<Taken>,
    pub(super) beside: Beside,
    pub(super) kept: Vec<TransactionWrite>,
    pub(super) change: Option<TableChange>,
}

/// What all others have of what their primary decides.
#[derive(Clone, Copy, Default)]
struct Others {
    prepared_bytes: u64,
    /// The last of them; 0: not known, or there are none.
    prepared_at: Timestamp,
}

/// One action, evaluated.
struct Evaluated {
    key: EncodedKey,
    current: Option<StoredVersion>,
    change: Change,
    index_changes: Vec<IndexChange>,
    stream_change: Option<StreamChange>,
    outcome: WriteOutcome,
    /// A check, or an update that only takes away from what is not there: whoever writes the item meanwhile is not in its way.
    is_idle: bool,
}

impl Evaluated {
    /// Of what it writes, as the limit of a transaction counts them: what is deleted or only looked at doesn't.
    fn new_bytes(&self) -> u64 {
        if matches!(self.change, Change::Put(_)) { u64::from(self.outcome.size_after) } else { 0 }
    }
}

impl From<KeptError> for Undecided {
    fn from(error: KeptError) -> Self {
        tracing::error!(%error, "failed to read what is kept of a transaction");
        Self::Refused(ServiceError::new(ErrorKind::InternalServerError, "Internal server error"))
    }
}

impl From<EngineError> for Undecided {
    fn from(error: EngineError) -> Self {
        if error.is_fatal() { Self::Fatal(error.into()) } else { Self::Refused(internal(&error)) }
    }
}

impl Proposer {
    pub(super) fn decide_step<S: Store>(
        &mut self,
        round: &Round<'_, S>,
        request: &TransactRequest,
    ) -> Result<Decided, Undecided> {
        let (id, asks_for_times) = (request.transaction, request.step.asks_for_times());
        match self.find(round, kept::record(id))? {
            Found::UnderWay => return Ok(Decided::Answer(TransactOutcome::Pending)),
            Found::Applied(_) if request.step == TransactStep::Finish => return Ok(self.decide_finish(round, id)),
            Found::Applied(record) => {
                let record = Record::decode(record)?;
                return Ok(Decided::Answer(match record.is_committed {
                    true if asks_for_times => TransactOutcome::Committed(record.outcomes).at(record.time),
                    true => TransactOutcome::Committed(record.outcomes),
                    false => TransactOutcome::Aborted,
                }));
            }
            Found::Nothing => {}
        }
        let others = |prepared_bytes, prepared_at| Some(Others { prepared_bytes, prepared_at });
        let decided_at = match &request.step {
            TransactStep::CommitDecided { decided_at } if decided_at.0 > 0 => Some(*decided_at),
            _ => None,
        };
        let decided = match &request.step {
            TransactStep::Write(write) if write.participants.is_empty() => {
                self.decide_write(round, id, write, Some(Others::default()))
            }
            TransactStep::Write(write) | TransactStep::Prepare(write) => self.decide_write(round, id, write, None),
            TransactStep::Decide { write, prepared_bytes, .. } => {
                self.decide_write(round, id, write, others(*prepared_bytes, Timestamp(0)))
            }
            TransactStep::DecideAfter { write, prepared_bytes, prepared_at, .. } => {
                self.decide_write(round, id, write, others(*prepared_bytes, *prepared_at))
            }
            TransactStep::Commit | TransactStep::CommitDecided { .. } => self.decide_commit(round, id, decided_at),
            TransactStep::Abort { age_ms_min } | TransactStep::Resolve { age_ms_min } => {
                Ok(self.decide_abort(round, id, *age_ms_min)?)
            }
            TransactStep::Finish => Ok(Decided::Answer(TransactOutcome::Aborted)),
        };
        Ok(match decided? {
            // The entry is stamped with the last time.
            Decided::Entry { result, effects } if asks_for_times => Decided::Entry {
                result: result.map(|outcome| outcome.at(decided_at.unwrap_or(self.last_time))),
                effects,
            },
            decided => decided,
        })
    }

    /// Commits where all others, if there are any, have prepared it; else prepares.
    fn decide_write<S: Store>(
        &mut self,
        round: &Round<'_, S>,
        id: TransactionId,
        write: &TransactWrite,
        others: Option<Others>,
    ) -> Result<Decided, Undecided> {
        if let Some(earlier) = self.earlier(round, &write.idempotency)? {
            return Ok(Decided::Answer(earlier));
        }
        if write.begun_ms.saturating_add(BEGUN_AGE_MS_MAX) < round.wall_ms {
            return Ok(Decided::Answer(TransactOutcome::Aborted));
        }
        let Others { prepared_bytes, prepared_at } = others.unwrap_or_default();
        // The entry would take the partition's times along. In a global table they are that far ahead at most, after a write of a
        // region whose clock is: with less no transaction over such a table and another could be.
        if prepared_at.millis() > round.wall_ms.saturating_add(self.limits.remote_ahead_ms_max) {
            return Ok(self.abort(round, id, &[])?);
        }
        let Some(table) = &self.transactions.table else {
            return Ok(Decided::Overloaded("the partition's locks are not read yet"));
        };
        let locks = (0..).zip(&write.actions).filter_map(|(at, action)| table.lock_on(action.key(), at));
        let met: Vec<MetLock> = locks.collect();
        if !met.is_empty() {
            return Ok(Decided::Locked(met));
        }
        if others.is_none() && table.len() >= PREPARED_MAX {
            return Ok(Decided::Overloaded("too many transactions of the partition are under way"));
        }
        if !write.participants.is_empty() && table.unfinished_count() >= UNFINISHED_MAX {
            return Ok(Decided::Overloaded("too many transactions of the partition are applied nowhere else yet"));
        }
        let mut keys = HashSet::new();
        if !write.actions.iter().all(|action| keys.insert(action.key())) {
            let message = "Transaction request cannot include multiple operations on one item";
            return Err(Undecided::Refused(ServiceError::validation(message)));
        }
        let mut replaced = Timestamp(0);
        let mut evaluated = Vec::with_capacity(write.actions.len());
        for action in &write.actions {
            let current = self.current(round, action.key())?;
            replaced = current.as_ref().map_or(replaced, |version| replaced.max(version.version_time));
            let current = current.filter(|version| !version.is_tombstone());
            evaluated.push(evaluate_action(round, action, current));
        }
        self.last_time = self.last_time.max(replaced).max(prepared_at).next(round.wall_ms);
        let mut faults = evaluated.iter().filter_map(|evaluated| evaluated.as_ref().err());
        if let Some(fault) = faults.find(|fault| fault.is_of_empty_key()) {
            return Ok(Decided::Entry { result: Err(fault.clone()), effects: Box::default() });
        }
        if evaluated.iter().any(Result::is_err) {
            let result = Ok(TransactOutcome::Cancelled(evaluated.into_iter().map(Result::err).collect()));
            return Ok(Decided::Entry { result, effects: Box::default() });
        }
        let evaluated: Vec<Evaluated> = evaluated.into_iter().flatten().collect();
        let bytes: u64 = evaluated.iter().map(Evaluated::new_bytes).sum();
        let old_images = evaluated.iter().filter_map(|evaluated| evaluated.stream_change.as_ref());
        let old_images_bytes: usize = old_images.map(StreamChange::encoded_bytes).sum();
        if bytes.saturating_add(prepared_bytes) > TRANSACTION_BYTES_MAX as u64
            || old_images_bytes > OLD_IMAGES_BYTES_MAX
        {
            return Ok(Decided::Entry { result: Err(too_large()), effects: Box::default() });
        }
        match others {
            Some(_) => {
                self.commit(evaluated, (id, self.last_time), write.idempotency, write.participants.clone(), None)
            }
            None => Self::prepare(round, evaluated, id, write),
        }
    }

    /// What became of an earlier transaction under the same token.
    fn earlier<S: Store>(
        &self,
        round: &Round<'_, S>,
        idempotency: &Idempotency,
    ) -> Result<Option<TransactOutcome>, Undecided> {
        let table = self.transactions.table.as_ref();
        if let Some((id, prepared)) = table.and_then(|table| table.of_token(&idempotency.token)) {
            return Ok(match table.and_then(|table| table.met(id, 0)) {
                _ if prepared.idempotency != *idempotency => Some(TransactOutcome::ParameterMismatch),
                met => met.map(TransactOutcome::InProgress),
            });
        }
        let record = match self.find(round, kept::token(&idempotency.token))? {
            Found::Nothing => return Ok(None),
            Found::UnderWay => return Ok(Some(TransactOutcome::Pending)),
            Found::Applied(record) => TokenRecord::decode(record)?,
        };
        if record.time.millis() + TOKEN_AGE_MS_MAX < round.wall_ms {
            return Ok(None);
        }
        if record.parameters != idempotency.parameters {
            return Ok(Some(TransactOutcome::ParameterMismatch));
        }
        let transaction = record.transaction;
        match self.find(round, kept::record(transaction))? {
            Found::Applied(record) => {
                let Record { participants, outcomes, .. } = Record::decode(record)?;
                Ok(Some(TransactOutcome::Replayed { transaction, participants, outcomes }))
            }
            Found::UnderWay | Found::Nothing => Ok(None),
        }
    }

    fn prepare<S>(
        round: &Round<'_, S>,
        evaluated: Vec<Evaluated>,
        id: TransactionId,
        write: &TransactWrite,
    ) -> Result<Decided, Undecided> {
        let prepared = Prepared {
            time: Timestamp::from_millis(round.wall_ms),
            idempotency: write.idempotency,
            participants: write.participants.clone(),
            keys: evaluated.iter().map(|evaluated| evaluated.key.clone()).collect(),
        };
        let mut kept = vec![put(kept::prepared(id), prepared.encode()?)];
        let mut outcomes = Vec::with_capacity(evaluated.len());
        for Evaluated { key, change, outcome, is_idle, .. } in evaluated {
            let effect = match change {
                Change::Put(item) => LockEffect::Put(item),
                _ if is_idle => LockEffect::Nothing,
                Change::Delete | Change::Nothing => LockEffect::Delete,
            };
            kept.push(put(kept::lock(&key), Lock { transaction: id, effect }.encode()));
            outcomes.push(outcome);
        }
        let change = Some(TableChange::Prepared(id, prepared));
        let effects = Box::new(Effects { kept, change, ..Effects::default() });
        Ok(Decided::Entry { result: Ok(TransactOutcome::Prepared(outcomes)), effects })
    }

    /// Writes, and notes that it is committed, and when it was decided; `prepared` are the keys that were locked until now.
    fn commit(
        &self,
        evaluated: Vec<Evaluated>,
        (id, decided_at): (TransactionId, Timestamp),
        idempotency: Idempotency,
        participants: Vec<Participant>,
        prepared: Option<&[EncodedKey]>,
    ) -> Result<Decided, Undecided> {
        let time = self.last_time;
        let mut kept: Vec<TransactionWrite> = prepared.map_or_else(Vec::new, |keys| unlock(id, keys));
        let mut effects = Box::<Effects>::default();
        let mut outcomes = Vec::with_capacity(evaluated.len());
        for Evaluated { key, current, change, index_changes, stream_change, outcome, .. } in evaluated {
            let sizes = (outcome.size_before, outcome.size_after);
            if change != Change::Nothing {
                let held_item = current.is_some();
                effects.writes.push(Taken { key, version_time: time, change, held_item, sizes });
            }
            effects.beside.index_changes.extend(index_changes);
            effects.beside.stream_changes.extend(stream_change);
            outcomes.push(outcome);
        }
        let record = Record { time: decided_at, is_committed: true, participants, outcomes };
        let token = TokenRecord { time, parameters: idempotency.parameters, transaction: id };
        kept.extend([put(kept::record(id), record.encode()?), put(kept::token(&idempotency.token), token.encode())]);
        if prepared.is_none() && !record.participants.is_empty() {
            let unfinished = Unfinished { token: idempotency.token, participants: record.participants };
            kept.push(put(kept::unfinished(time, id), unfinished.encode()?));
            effects.change = Some(TableChange::Unfinished(id, time, unfinished));
        } else {
            kept.push(put(kept::noted(time, id), kept::encode_noted(Some(&idempotency.token))));
            effects.change = Some(TableChange::Decided(id));
        }
        effects.kept = kept;
        Ok(Decided::Entry { result: Ok(TransactOutcome::Committed(record.outcomes)), effects })
    }

    /// Stamped above when it was decided, if that is known.
    fn decide_commit<S: Store>(
        &mut self,
        round: &Round<'_, S>,
        id: TransactionId,
        decided_at: Option<Timestamp>,
    ) -> Result<Decided, Undecided> {
        let Some(table) = &self.transactions.table else {
            return Ok(Decided::Overloaded("the partition's locks are not read yet"));
        };
        let Some(prepared) = table.get(id).cloned() else { return Ok(self.abort(round, id, &[])?) };
        if !table.is_applied(id) {
            return Ok(Decided::Answer(TransactOutcome::Pending));
        }
        // Nothing can refuse it any more, but it can wait: a primary's times are never that far ahead.
        let ahead_ms_max = 2 * self.limits.remote_ahead_ms_max;
        if decided_at.is_some_and(|at| at.millis() > round.wall_ms.saturating_add(ahead_ms_max)) {
            return Ok(Decided::Overloaded("the transaction was decided too far ahead of the clock"));
        }
        let mut replaced = Timestamp(0);
        let mut evaluated = Vec::with_capacity(prepared.keys.len());
        for key in &prepared.keys {
            let lock = match self.find(round, kept::lock(key))? {
                Found::Applied(lock) => Lock::decode(lock)?,
                Found::Nothing | Found::UnderWay => {
                    return Err(KeptError::MISSING_LOCK.into());
                }
            };
            let current = self.current(round, key)?;
            replaced = current.as_ref().map_or(replaced, |version| replaced.max(version.version_time));
            let current = current.filter(|version| !version.is_tombstone());
            evaluated.push(as_locked(round, key.clone(), current, lock.effect)?);
        }
        self.last_time = self.last_time.max(replaced).max(decided_at.unwrap_or_default()).next(round.wall_ms);
        let of = (id, decided_at.unwrap_or(self.last_time));
        self.commit(evaluated, of, prepared.idempotency, prepared.participants, Some(&prepared.keys))
    }

    fn decide_finish<S>(&mut self, round: &Round<'_, S>, id: TransactionId) -> Decided {
        let outcome = TransactOutcome::Committed(Vec::new());
        if self.transactions.table.as_ref().is_none_or(|table| table.unfinished(id).is_none()) {
            return Decided::Answer(outcome);
        }
        self.last_time = self.last_time.next(round.wall_ms);
        Decided::Entry { result: Ok(outcome), effects: Box::default() }
    }

    fn decide_abort<S: Store>(
        &mut self,
        round: &Round<'_, S>,
        id: TransactionId,
        age_ms_min: u64,
    ) -> Result<Decided, KeptError> {
        let prepared = self.transactions.table.as_ref().and_then(|table| table.get(id)).cloned();
        match prepared {
            None => self.abort(round, id, &[]),
            Some(prepared) if prepared.time.millis().saturating_add(age_ms_min) > round.wall_ms => {
                Ok(Decided::Answer(TransactOutcome::Pending))
            }
            Some(prepared) => self.abort(round, id, &prepared.keys),
        }
    }

    /// Notes that it never will be committed, though its prepare may still come.
    fn abort<S>(&mut self, round: &Round<'_, S>, id: TransactionId, keys: &[EncodedKey]) -> Result<Decided, KeptError> {
        self.last_time = self.last_time.next(round.wall_ms);
        let time = self.last_time;
        let record = Record { time, is_committed: false, participants: Vec::new(), outcomes: Vec::new() };
        let mut kept = if keys.is_empty() { Vec::new() } else { unlock(id, keys) };
        kept.extend([put(kept::record(id), record.encode()?), put(kept::noted(time, id), kept::encode_noted(None))]);
        let effects = Box::new(Effects { kept, change: Some(TableChange::Decided(id)), ..Effects::default() });
        Ok(Decided::Entry { result: Ok(TransactOutcome::Aborted), effects })
    }
}

fn evaluate_action<S: Store>(
    round: &Round<'_, S>,
    action: &TransactAction,
    current: Option<StoredVersion>,
) -> Result<Evaluated, ServiceError> {
    let key = action.key().clone();
    match action {
        TransactAction::Write(write) => {
            let evaluated = evaluate::evaluate(round.definition, write, current.as_ref())?;
            let (change, index_changes, outcome) = with_indexes(round, &key, current.as_ref(), evaluated, false)?;
            let outcome = WriteOutcome { attributes: None, ..outcome };
            let stream_change = stream_change(round, current.as_ref(), &change);
            let is_idle = change == Change::Nothing && matches!(write.action, WriteAction::Update { .. });
            Ok(Evaluated { key, current, change, index_changes, stream_change, outcome, is_idle })
        }
        TransactAction::Check(check) => {
            let size = evaluate_check(check, current.as_ref().map(|version| &version.item))?;
            let (change, index_changes, outcome) = (Change::Nothing, Vec::new(), unchanged(size));
            Ok(Evaluated { key, current, change, index_changes, stream_change: None, outcome, is_idle: true })
        }
    }
}

/// Gives the item's size.
fn evaluate_check(check: &ConditionCheck, current: Option<&EncodedItem>) -> Result<u32, ServiceError> {
    let item = current.map(EncodedItem::decode).transpose()?;
    if check.condition.evaluate(item.as_ref()) {
        return Ok(current.map_or(Ok(0), EncodedItem::size)?);
    }
    let mut error = ServiceError::new(ErrorKind::ConditionalCheckFailedException, "The conditional request failed");
    error.item = item.filter(|_| check.return_item_on_condition_failure);
    Err(error)
}

/// What was decided when it was prepared; nothing can refuse it any more.
fn as_locked<S: Store>(
    round: &Round<'_, S>,
    key: EncodedKey,
    current: Option<StoredVersion>,
    effect: LockEffect,
) -> Result<Evaluated, Undecided> {
    let size_before = current.as_ref().map_or(Ok(0), |version| version.item.size())?;
    let is_idle = effect == LockEffect::Nothing;
    let (change, outcome) = match effect {
        LockEffect::Put(item) => {
            let size_after = item.size()?;
            (Change::Put(item), WriteOutcome { size_after, ..unchanged(size_before) })
        }
        // What another region has deleted meanwhile is deleted all the same: whoever restores the table may leave that out.
        LockEffect::Delete if current.is_some() || round.replicas().is_some() => {
            (Change::Delete, WriteOutcome { size_after: 0, ..unchanged(size_before) })
        }
        LockEffect::Delete | LockEffect::Nothing => (Change::Nothing, unchanged(size_before)),
    };
    let (change, index_changes, outcome) =
        with_indexes(round, &key, current.as_ref(), (change, outcome), true).map_err(Undecided::Refused)?;
    let stream_change = stream_change(round, current.as_ref(), &change);
    Ok(Evaluated { key, current, change, index_changes, stream_change, outcome, is_idle })
}

fn unchanged(size: u32) -> WriteOutcome {
    WriteOutcome { size_before: size, size_after: size, ..WriteOutcome::of_nothing() }
}

fn put(key: bytes::Bytes, value: bytes::Bytes) -> TransactionWrite {
    TransactionWrite { key, value: Some(value) }
}

fn unlock(id: TransactionId, keys: &[EncodedKey]) -> Vec<TransactionWrite> {
    let keys = std::iter::once(kept::prepared(id)).chain(keys.iter().map(kept::lock));
    keys.map(|key| TransactionWrite { key, value: None }).collect()
}

fn too_large() -> ServiceError {
    ServiceError::validation(
        "Collection size of items exceeded, which can also be caused by the aggregate size of the items in the \
         transaction exceeding the 4MB limit",
    )
}
