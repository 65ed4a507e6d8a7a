//! The steps of transactions: they wait here, are decided on the items as of every earlier write, and each becomes an entry.
//!
//! Whose a lock is, is known in memory, read from what is kept before anything is evaluated. An answer that rests on what is
//! *not* there becomes an entry, as a write's does; one that rests on a record that is applied is given at once, for it is true
//! whoever leads. That an item is locked is said at once too: whoever is told so has nothing done.

mod decide;
mod table;

use super::{
    Answer, InFlight, Propose, Proposer, ProposerError, Round, internal,
    remote::Undecided,
    waiting::{Queue, Waiting, answer_of, done_before},
};
use crate::{
    entry::{EntryBody, EntryWrite, TransactionEntry, TransactionWrite},
    operation::{PartitionError, PartitionOutcome, WriteRequest},
    read,
    transaction::{FINISHED_MAX, MetLock, RECORD_AGE_MS_MAX, TransactOutcome, TransactRequest, TransactionId, kept},
    wire,
};
use bytes::Bytes;
use cairn_engine::{Engine, Kept, Store};
use cairn_model::{ServiceError, ids::RequestId, key::EncodedKey, time::Timestamp, transaction::LeftTransaction};
use decide::{Decided, Effects};
use std::collections::{HashMap, VecDeque};
use table::{PreparedTable, TableChange};

/// Records dropped together with a step, and when there is nothing else to do.
const DROPPED_WITH_STEP_MAX: usize = 8;
const DROPPED_MAX: usize = 512;

type WaitingStep = Waiting<TransactRequest>;

/// What a router is answered, as it is kept.
type StepResult = Result<TransactOutcome, ServiceError>;

/// A leader's part in transactions.
#[derive(Debug, Default)]
pub(super) struct Transactions {
    steps: Queue<TransactRequest>,
    /// As of every entry proposed. None: to be read from the engine before anything is evaluated.
    table: Option<PreparedTable>,
    /// The keys of what entries under way keep, or let go, and the last index of each.
    under_way: HashMap<Bytes, u64>,
    upkeep_due: bool,
    /// Some of those that wait for somebody to end them.
    left: Vec<LeftTransaction>,
}

/// What of a transaction is in an entry under way.
#[derive(Debug, Default)]
pub(super) struct StepInFlight {
    keys: Vec<EncodedKey>,
    kept: Vec<Bytes>,
    step: Option<(WaitingStep, StepResult)>,
    prepares: Option<TransactionId>,
    ends: Option<TransactionId>,
}

/// What is kept under a key.
enum Found {
    Nothing,
    /// By what is applied.
    Applied(Bytes),
    /// An entry under way changes it.
    UnderWay,
}

impl Transactions {
    pub(super) fn waits(&self) -> bool {
        self.steps.waits()
    }

    pub(super) fn is_due(&self) -> bool {
        self.waits() || self.upkeep_due
    }

    pub(super) fn waiting(&self) -> usize {
        self.steps.len()
    }

    /// What was evaluated on entries that are worth nothing is read anew.
    pub(super) fn forget(&mut self) {
        self.table = None;
        self.under_way.clear();
        self.left.clear();
    }

    fn known<S: Store>(&mut self, engine: &Engine<S>, storage_id: u64) -> Result<&PreparedTable, ProposerError> {
        Ok(match &mut self.table {
            Some(table) => table,
            none => none.insert(PreparedTable::read(engine, storage_id)?),
        })
    }

    pub(super) fn keep_up(&mut self, wall_ms: u64) {
        self.left = self.table.as_ref().map_or_else(Vec::new, |table| table.left_behind(wall_ms));
        self.upkeep_due |= self.table.as_ref().is_none_or(|table| table.drop_ms.is_some());
    }

    pub(super) fn has_locked(&self, key: &EncodedKey) -> bool {
        self.table.as_ref().is_some_and(|table| table.has_locked(key))
    }

    /// The transaction that has locked an item.
    pub(super) fn lock_on(&self, write: &WriteRequest) -> Option<MetLock> {
        self.table.as_ref()?.lock_on(&write.key, 0)
    }

    /// All that was under way is applied.
    pub(super) fn settle(&mut self, evaluations_max: u32, answers: &mut Vec<Answer>) {
        self.forget();
        self.steps.settle(evaluations_max, answers);
    }

    pub(super) fn refuse_waiting(&mut self, error: &PartitionError, answers: &mut Vec<Answer>) {
        self.steps.refuse_waiting(error, answers);
    }

    /// Leads no more; what is in flight is told by [`StepInFlight::abandon`].
    pub(super) fn abandon(&mut self, error: &PartitionError, answers: &mut Vec<Answer>) {
        self.steps.refuse(error, answers);
        self.forget();
    }

    pub(super) fn expire(&mut self, boot_ms: u64, error: &PartitionError, answers: &mut Vec<Answer>) {
        self.steps.expire(boot_ms, error, answers);
    }

    fn under_way_applied(&mut self, kept: &[Bytes], index: u64) {
        for key in kept {
            if self.under_way.get(key) == Some(&index) {
                self.under_way.remove(key);
            }
        }
    }
}

impl StepInFlight {
    pub(super) fn abandon(self, error: &PartitionError, answers: &mut Vec<Answer>) {
        if let Some((step, _)) = self.step {
            step.answer(Err(error.clone()), answers);
        }
    }

    pub(super) fn expire(&mut self, boot_ms: u64, error: &PartitionError, answers: &mut Vec<Answer>) {
        if let Some((step, _)) = &mut self.step {
            step.expire(boot_ms, error, answers);
        }
    }
}

impl Proposer {
    /// Takes a step in; gives the answer if there is no room.
    pub(crate) fn enqueue_step(&mut self, token: u64, request: TransactRequest, deadline_ms: u64) -> Option<Answer> {
        if self.waiting() >= self.limits.waiting_max {
            return Some((token, Err(super::too_many_wait())));
        }
        self.transactions.steps.push(token, request, deadline_ms);
        None
    }

    /// Of the transactions that wait for somebody to end them some, as of the last upkeep.
    pub(crate) fn left_transactions(&self) -> &[LeftTransaction] {
        &self.transactions.left
    }

    /// Reads which items are locked, if that was not done. Nothing of a transaction is under way then.
    pub(super) fn know_locks<S: Store>(&mut self, round: &Round<'_, S>) -> Result<(), ProposerError> {
        self.transactions.known(round.engine, round.storage_id).map(drop)
    }

    /// What is prepared and has not ended by all that is applied will be decided later than that, if it ever is; none: nothing
    /// is prepared. While this replica leads.
    pub(crate) fn prepared_since<S: Store>(
        &mut self,
        engine: &Engine<S>,
        storage_id: u64,
    ) -> Result<Option<Timestamp>, ProposerError> {
        Ok(self.transactions.known(engine, storage_id)?.oldest())
    }

    /// Decides the next step that waits, and proposes what it comes to.
    pub(super) fn take_step<S: Store>(
        &mut self,
        round: &mut Round<'_, S>,
        propose: Propose<'_>,
        answers: &mut Vec<Answer>,
    ) -> Result<(), ProposerError> {
        let Some(step) = self.transactions.steps.pop() else { return Ok(()) };
        let Some(mut step) = self.answer_step_retry(round, step, answers)? else { return Ok(()) };
        if let Some(write) = step.request.step.write()
            && !write.actions.iter().all(|action| read::contains(round.range, action.key()))
        {
            step.answer(Err(PartitionError::EpochMismatch { epoch: round.epoch }), answers);
            return Ok(());
        }
        step.evaluations += 1;
        let answer = match self.decide_step(round, &step.request) {
            Ok(Decided::Entry { result, effects }) => {
                return self.propose_step(round, Some((step, result)), *effects, propose);
            }
            Ok(Decided::Answer(outcome)) => Ok(PartitionOutcome::Transact(outcome)),
            Ok(Decided::Locked(met)) => Ok(PartitionOutcome::Locked(met)),
            Ok(Decided::Overloaded(reason)) => Err(PartitionError::Overloaded { reason: reason.into() }),
            Err(Undecided::Fatal(error)) => return Err(error),
            // Of this replica's disk only, so no outcome.
            Err(Undecided::Refused(error)) => Err(PartitionError::Service(error)),
        };
        step.answer(answer, answers);
        Ok(())
    }

    /// A request id that is under way gets the answer of the attempt under way; one that is done gets its outcome.
    fn answer_step_retry<S: Store>(
        &mut self,
        round: &Round<'_, S>,
        step: WaitingStep,
        answers: &mut Vec<Answer>,
    ) -> Result<Option<WaitingStep>, ProposerError> {
        let request_id = step.request.request_id;
        if let Some(&index) = self.ids_in_flight.get(&request_id) {
            let entry = self.in_flight.iter_mut().find(|entry| entry.index == index);
            if let Some((first, _)) = entry.and_then(|entry| entry.step.step.as_mut()) {
                first.join(step);
                return Ok(None);
            }
        }
        let Some(answer) = done_before(round, &request_id, PartitionOutcome::Transact)? else { return Ok(Some(step)) };
        step.answer(answer, answers);
        Ok(None)
    }

    /// Drops what was kept for long enough, in an entry of its own if there is anything.
    pub(super) fn drop_records<S: Store>(
        &mut self,
        round: &mut Round<'_, S>,
        propose: Propose<'_>,
    ) -> Result<(), ProposerError> {
        if !std::mem::take(&mut self.transactions.upkeep_due) {
            return Ok(());
        }
        let dropped = self.dropped(round, DROPPED_MAX)?;
        if dropped.is_empty() {
            return Ok(());
        }
        self.last_time = self.last_time.next(round.wall_ms);
        let effects = Effects { kept: dropped, ..Effects::default() };
        self.propose_step(round, None, effects, propose)
    }

    /// What is to be kept once all others have applied these: only those that are unfinished here come to anything.
    fn finish(&mut self, ids: &[TransactionId]) -> Vec<TransactionWrite> {
        let Transactions { table: Some(table), under_way, .. } = &mut self.transactions else { return Vec::new() };
        let mut kept = Vec::new();
        for id in ids.iter().take(FINISHED_MAX) {
            let Some((time, unfinished)) = table.unfinished(*id) else { continue };
            let key = kept::unfinished(*time, *id);
            if under_way.contains_key(&key) {
                continue;
            }
            let noted = kept::encode_noted(Some(&unfinished.token));
            kept.push(TransactionWrite { key, value: None });
            kept.push(TransactionWrite { key: kept::noted(self.last_time, *id), value: Some(noted) });
            table.finish(*id);
        }
        kept
    }

    /// What was noted longer ago than anybody may ask for.
    fn dropped<S: Store>(
        &mut self,
        round: &Round<'_, S>,
        count_max: usize,
    ) -> Result<Vec<TransactionWrite>, ProposerError> {
        let drop_ms = self.transactions.table.as_ref().and_then(|table| table.drop_ms);
        if drop_ms.is_none_or(|drop_ms| drop_ms > round.wall_ms) {
            return Ok(Vec::new());
        }
        let mut dropped = Vec::new();
        // What is under way is not seen yet.
        let mut next_ms = (!self.in_flight.is_empty()).then_some(0);
        let (from, to) = kept::ALL_NOTED;
        let is_under_way = |key: &Bytes| self.transactions.under_way.contains_key(key);
        for pair in round.engine.transactions(round.storage_id, from, to).take(count_max + is_many(&self.in_flight)) {
            let (key, value) = pair?;
            let (time, id) = kept::of_timed(&key)?;
            let due_ms = time.millis() + RECORD_AGE_MS_MAX;
            if due_ms > round.wall_ms || dropped.len() >= 3 * count_max {
                next_ms = Some(due_ms);
                break;
            }
            next_ms = Some(0);
            if is_under_way(&key) {
                continue;
            }
            let gone = |key| TransactionWrite { key, value: None };
            if let Some(token) = kept::decode_noted(value)?.map(|token| kept::token(&token))
                && !is_under_way(&token)
            {
                let stored = round.engine.kept(round.storage_id, &Kept::Transaction(token.clone()))?;
                let record = stored.map(kept::TokenRecord::decode).transpose()?;
                // It may be another transaction's by now.
                if record.is_some_and(|record| record.transaction == id) {
                    dropped.push(gone(token));
                }
            }
            dropped.extend([gone(kept::record(id)), gone(key)]);
        }
        if let Some(table) = &mut self.transactions.table {
            table.drop_ms = next_ms;
        }
        Ok(dropped)
    }

    /// What is kept under a key as of every entry proposed.
    fn find<S: Store>(&self, round: &Round<'_, S>, key: Bytes) -> Result<Found, Undecided> {
        if self.transactions.under_way.contains_key(&key) {
            return Ok(Found::UnderWay);
        }
        match round.engine.kept(round.storage_id, &Kept::Transaction(key)) {
            Ok(None) => Ok(Found::Nothing),
            Ok(Some(value)) => Ok(Found::Applied(value)),
            Err(error) if error.is_fatal() => Err(Undecided::Fatal(error.into())),
            Err(error) => Err(Undecided::Refused(internal(&error))),
        }
    }

    /// Proposes an entry with these effects; only then does anybody see them.
    fn propose_step<S: Store>(
        &mut self,
        round: &mut Round<'_, S>,
        step: Option<(WaitingStep, StepResult)>,
        effects: Effects,
        propose: Propose<'_>,
    ) -> Result<(), ProposerError> {
        let Effects { writes, beside, mut kept, change } = effects;
        if let Some((step, _)) = &step
            && !(kept.is_empty() && step.request.finished().is_empty())
        {
            // What the step keeps comes behind: a token may be dropped and kept again.
            let dropped = self.dropped(round, DROPPED_WITH_STEP_MAX)?;
            kept.splice(0..0, dropped);
            kept.extend(self.finish(step.request.finished()));
        }
        let outcome = match &step {
            Some((step, result)) => Some((step.request.request_id, wire::encode_outcome(result)?)),
            None => None,
        };
        let request_id = outcome.as_ref().map_or(RequestId([0; 16]), |(request_id, _)| *request_id);
        let in_flight = StepInFlight {
            keys: writes.iter().map(|write| write.key.clone()).collect(),
            kept: kept.iter().map(|write| write.key.clone()).collect(),
            prepares: match &change {
                Some(TableChange::Prepared(id, _)) => Some(*id),
                _ => None,
            },
            ends: match &change {
                Some(TableChange::Decided(id)) => Some(*id),
                _ => None,
            },
            step,
        };
        let writes: Vec<EntryWrite> =
            writes.into_iter().map(|write| self.take_in(round, request_id, write, Bytes::new())).collect();
        self.transactions.under_way.extend(in_flight.kept.iter().map(|key| (key.clone(), round.next_index)));
        if let (Some(table), Some(change)) = (&mut self.transactions.table, change) {
            table.change(change);
        }
        let body = EntryBody::Transaction(TransactionEntry { outcome, kept, writes });
        let index = round.next_index;
        let Some(entry) = self.propose(round, body, beside, propose)? else {
            self.transactions.steps.retry(in_flight.step.map(|(step, _)| step));
            self.discard(std::iter::empty());
            return Ok(());
        };
        let is_asked_for = in_flight.step.is_some();
        entry.step = in_flight;
        if is_asked_for {
            self.ids_in_flight.insert(request_id, index);
        }
        Ok(())
    }

    /// The entry at `index` was applied, or was void: then its step is decided anew.
    pub(super) fn step_applied(&mut self, index: u64, in_flight: StepInFlight, valid: bool, answers: &mut Vec<Answer>) {
        in_flight.keys.iter().for_each(|key| self.overlay.applied(key, index));
        self.transactions.under_way_applied(&in_flight.kept, index);
        if let (Some(table), true) = (&mut self.transactions.table, valid) {
            in_flight.prepares.into_iter().for_each(|id| table.applied(id));
            in_flight.ends.into_iter().for_each(|id| table.ended(id));
        }
        let Some((step, result)) = in_flight.step else { return };
        if self.ids_in_flight.get(&step.request.request_id) == Some(&index) {
            self.ids_in_flight.remove(&step.request.request_id);
        }
        if valid {
            step.answer(answer_of(result, PartitionOutcome::Transact), answers);
        } else {
            self.transactions.steps.retry([step]);
        }
    }
}

/// What is under way lies before what is looked for: so much more is looked at.
fn is_many(in_flight: &VecDeque<InFlight>) -> usize {
    in_flight.iter().map(|entry| entry.step.kept.len()).sum()
}
