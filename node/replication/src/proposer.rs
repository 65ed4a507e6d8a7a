//! The one place where a partition's writes are evaluated: in order, on the items as of every earlier write.
//!
//! A write is evaluated on the overlay over the engine and becomes part of an entry; its answer waits until that entry is
//! applied. So does that of a write that changes nothing: its outcome must meet attempts of it that come late, when its
//! condition would hold; and the commit proves that this replica led, and waits for what it was read from. When an entry turns out to be void, or a proposal fails, the overlay is worth
//! nothing: nothing is evaluated until all that is under way is applied, and then the waiters are evaluated anew.
//!
//! Which replica may propose, and when, is [`crate::replica`]'s to know.

mod effects;
mod expiry;
mod feed;
mod remote;
mod showing;
mod transactions;
mod waiting;
mod writes;

use crate::{
    entry::{Entry, EntryBody, EntryError, EntryHeader},
    expirations::{self, MakingError},
    global::StateError,
    operation::{PartitionError, PartitionOutcome, WriteRequest},
    overlay::Overlay,
    place::LogPlace,
    transaction::kept::KeptError,
    wire,
};
use bytes::Bytes;
use cairn_engine::{Applied, Engine, EngineError, Store};
use cairn_model::{
    ErrorKind, ServiceError,
    descriptor::KeyRange,
    ids::{PartitionId, RequestId},
    table::{GlobalReplicas, TableDefinition},
    time::Timestamp,
};
use effects::Beside;
use expiry::{Expiry, ExpiryInFlight};
use feed::{FeedInFlight, Feeds};
use remote::{Remote, RemoteInFlight, Undecided};
use std::collections::{HashMap, VecDeque};
use transactions::{StepInFlight, Transactions};
use waiting::{Queue, Waiting, answer_of};
use writes::{OpenEntry, WriteResult};

pub(crate) type Answer = (u64, Result<PartitionOutcome, PartitionError>);

#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) waiting_max: usize,
    pub(crate) entry_writes_max: usize,
    pub(crate) entry_bytes_max: usize,
    pub(crate) entries_in_flight_max: usize,
    pub(crate) bytes_in_flight_max: usize,
    pub(crate) evaluations_max: u32,
    pub(crate) remote_ahead_ms_max: u64,
    pub(crate) remote_times_interval_ms: u64,
    pub(crate) expiry_interval_ms: u64,
}

/// An entry under way between its proposal and its apply.
#[derive(Debug)]
struct InFlight {
    index: u64,
    bytes: usize,
    writes: Vec<(Waiting<WriteRequest>, WriteResult)>,
    remote: RemoteInFlight,
    /// Present of a step of the Time To Live.
    expiry: Option<ExpiryInFlight>,
    /// The first place in the index of expirations that it enters an item at.
    entered: Option<Bytes>,
    step: StepInFlight,
    feed: Option<FeedInFlight>,
    /// It shows items again.
    shows: bool,
}

impl InFlight {
    /// With nothing in it.
    fn new(index: u64, bytes: usize) -> Self {
        let (remote, step) = (RemoteInFlight::default(), StepInFlight::default());
        Self { index, bytes, writes: Vec::new(), remote, expiry: None, entered: None, step, feed: None, shows: false }
    }
}

/// Under what a round evaluates.
pub(crate) struct Round<'a, S> {
    pub(crate) engine: &'a Engine<S>,
    pub(crate) storage_id: u64,
    pub(crate) partition: PartitionId,
    pub(crate) range: &'a KeyRange,
    /// As of what is applied.
    pub(crate) item_count: u64,
    /// Up to where the log is applied.
    pub(crate) place: LogPlace,
    pub(crate) definition: &'a TableDefinition,
    pub(crate) term: u64,
    pub(crate) epoch: u64,
    pub(crate) wall_ms: u64,
    pub(crate) boot_ms: u64,
    /// The log index that the next proposal gets.
    pub(crate) next_index: u64,
}

/// Appends an entry to the log: true if it took it.
pub(crate) type Propose<'a> = &'a mut dyn FnMut(Vec<u8>) -> bool;

#[derive(Debug, thiserror::Error)]
pub(crate) enum ProposerError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Entry(#[from] EntryError),
    #[error(transparent)]
    Wire(#[from] wire::WireError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Making(#[from] MakingError),
    #[error(transparent)]
    Kept(#[from] KeptError),
}

#[derive(Debug)]
pub(crate) struct Proposer {
    limits: Limits,
    writes: Queue<WriteRequest>,
    in_flight: VecDeque<InFlight>,
    bytes_in_flight: usize,
    ids_in_flight: HashMap<RequestId, u64>,
    overlay: Overlay,
    /// Of the last entry proposed in this term.
    sequence: u64,
    /// Of the last entry proposed or applied.
    last_time: Timestamp,
    /// Set while nothing is evaluated until everything in flight is applied.
    draining: bool,
    remote: Remote,
    feeds: Feeds,
    /// Whether items are to be shown again, if any are.
    showing_due: bool,
    /// A page was applied: the next comes with the next flush.
    showing_goes_on: bool,
    /// Not while an index is behind.
    showing_held: bool,
    expiry: Expiry,
    transactions: Transactions,
}

impl Proposer {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            writes: Queue::default(),
            in_flight: VecDeque::new(),
            bytes_in_flight: 0,
            ids_in_flight: HashMap::new(),
            overlay: Overlay::default(),
            sequence: 0,
            last_time: Timestamp::default(),
            draining: false,
            remote: Remote::default(),
            feeds: Feeds::default(),
            showing_due: false,
            showing_goes_on: false,
            showing_held: false,
            expiry: Expiry::default(),
            transactions: Transactions::default(),
        }
    }

    /// Begins to lead: the first entry of the term is applied.
    pub(crate) fn lead(&mut self, applied: &Applied) {
        debug_assert!(self.in_flight.is_empty() && self.overlay.is_empty());
        self.sequence = applied.sequence;
        self.last_time = applied.entry_time;
        self.draining = false;
        self.remote.forget();
        self.feeds.forget();
        self.showing_due = true;
        self.expiry.forget();
        self.transactions.forget();
    }

    /// Stamps nothing at or below this time any more, while it leads.
    pub(crate) fn close_time(&mut self, time: Timestamp) {
        self.last_time = self.last_time.max(time);
    }

    /// Takes a write in; gives the answer if there is no room.
    pub(crate) fn enqueue(&mut self, token: u64, request: WriteRequest, deadline_ms: u64) -> Option<Answer> {
        if self.waiting() >= self.limits.waiting_max {
            return Some((token, Err(too_many_wait())));
        }
        self.writes.push(token, request, deadline_ms);
        None
    }

    pub(crate) fn has_waiting(&self) -> bool {
        self.writes.waits() || self.remote.waits() || self.transactions.waits() || self.feeds.waits()
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Writes that wait for their evaluation.
    pub(crate) fn waiting(&self) -> usize {
        self.writes.len() + self.transactions.waiting()
    }

    fn has_room(&self) -> bool {
        self.in_flight.len() < self.limits.entries_in_flight_max
            && self.bytes_in_flight < self.limits.bytes_in_flight_max
    }

    /// Whether a round would evaluate anything.
    pub(crate) fn is_ready(&self) -> bool {
        let is_anything_due = self.writes.waits()
            || self.remote.is_due()
            || self.expiry.is_due()
            || self.transactions.is_due()
            || self.feeds.waits()
            || self.showing_due;
        !self.draining && is_anything_due && self.has_room()
    }

    /// Evaluates what waits, as far as there is room, and proposes it.
    pub(crate) fn round<S: Store>(
        &mut self,
        mut round: Round<'_, S>,
        propose: Propose<'_>,
        answers: &mut Vec<Answer>,
    ) -> Result<(), ProposerError> {
        if !self.is_ready() {
            return Ok(());
        }
        self.know(&round)?;
        self.know_locks(&round)?;
        self.begin(&mut round, propose)?;
        if !self.draining {
            self.upkeep(&mut round, propose)?;
        }
        if !self.draining {
            self.drop_records(&mut round, propose)?;
        }
        if !self.draining {
            self.show(&mut round, propose)?;
        }
        let mut entry = OpenEntry::default();
        while self.is_ready() {
            if self.feeds.waits() && entry.is_empty() {
                self.take_feed(&mut round, propose, answers)?;
                continue;
            }
            if self.remote.waits() && entry.is_empty() {
                self.take_batch(&mut round, propose)?;
                if self.draining {
                    break;
                }
            }
            if self.transactions.waits() && entry.is_empty() {
                self.take_step(&mut round, propose, answers)?;
                if self.draining || !self.has_room() {
                    break;
                }
            }
            let Some(write) = self.writes.pop() else {
                if self.remote.waits() || self.transactions.waits() || self.feeds.waits() {
                    self.close(&mut round, &mut entry, propose)?;
                    continue;
                }
                break;
            };
            self.take_write(&mut round, &mut entry, write, propose, answers)?;
        }
        self.close(&mut round, &mut entry, propose)?;
        self.expiry_step(&mut round, propose)
    }

    /// Proposes the next entry, stamped with the last time. Gives it as it is in flight, for whoever waits for it; none: it was
    /// not taken.
    fn propose<S>(
        &mut self,
        round: &mut Round<'_, S>,
        body: EntryBody,
        Beside { index_changes, stream_changes }: Beside,
        propose: Propose<'_>,
    ) -> Result<Option<&mut InFlight>, EntryError> {
        let entered = expirations::first_entered(&index_changes);
        let payload = Entry { header: self.header(round), body, index_changes, stream_changes }.encode()?;
        let bytes = payload.len();
        if !propose(payload) {
            return Ok(None);
        }
        self.sequence += 1;
        self.bytes_in_flight += bytes;
        self.in_flight.push_back(InFlight { entered, ..InFlight::new(round.next_index, bytes) });
        round.next_index += 1;
        Ok(self.in_flight.back_mut())
    }

    /// What to write for a change that is not a write of items; none while something else must come first.
    pub(crate) fn change(&mut self, round: &Round<'_, impl Store>, body: EntryBody) -> Option<Entry> {
        if self.draining {
            return None;
        }
        self.last_time = self.last_time.next(round.wall_ms);
        Some(Entry { header: self.header(round), body, index_changes: Vec::new(), stream_changes: Vec::new() })
    }

    /// Of the next entry, stamped with the last time.
    fn header<S>(&self, round: &Round<'_, S>) -> EntryHeader {
        EntryHeader {
            term: round.term,
            epoch: round.epoch,
            schema_version: round.definition.schema_version,
            sequence: self.sequence + 1,
            entry_time: self.last_time,
        }
    }

    /// A change was proposed at `index`, or failed to be. Nothing is evaluated until it is applied: it would be void.
    pub(crate) fn change_proposed(&mut self, proposed: Option<u64>) {
        self.draining = true;
        if let Some(index) = proposed {
            self.sequence += 1;
            self.in_flight.push_back(InFlight::new(index, 0));
        }
    }

    /// The entry at `index`, of this replica's own term, was applied, or was void.
    pub(crate) fn applied(&mut self, index: u64, valid: bool, answers: &mut Vec<Answer>) {
        if self.in_flight.front().is_none_or(|entry| entry.index != index) {
            return;
        }
        let Some(entry) = self.in_flight.pop_front() else { return };
        self.bytes_in_flight -= entry.bytes;
        for (write, _) in &entry.writes {
            if self.ids_in_flight.get(&write.request.request_id) == Some(&index) {
                self.ids_in_flight.remove(&write.request.request_id);
            }
            self.overlay.applied(&write.request.key, index);
        }
        entry.remote.keys.iter().for_each(|key| self.overlay.applied(key, index));
        if let Some(expiry) = &entry.expiry {
            expiry.keys.iter().for_each(|key| self.overlay.applied(key, index));
        }
        if valid {
            entry.expiry.iter().for_each(|step| self.expiry.applied(step));
            entry.entered.into_iter().for_each(|place| self.expiry.entered(place));
        }
        self.step_applied(index, entry.step, valid, answers);
        entry.feed.iter().flat_map(FeedInFlight::keys).for_each(|key| self.overlay.applied(key, index));
        self.showing_goes_on |= entry.shows;
        if valid {
            entry.remote.answer(Ok(()), &mut self.remote);
            entry.feed.into_iter().for_each(|feed| feed.answer(Ok(()), answers));
            for (write, result) in entry.writes {
                write.answer(answer_of(result, PartitionOutcome::Write), answers);
            }
        } else {
            let reason = "the entry was void".into();
            let void = PartitionError::Overloaded { reason };
            entry.remote.answer(Err(void.clone()), &mut self.remote);
            entry.feed.into_iter().for_each(|feed| feed.answer(Err(void.clone()), answers));
            self.discard(entry.writes.into_iter().map(|(write, _)| write));
        }
    }

    /// After entries were applied: ends a drain.
    pub(crate) fn settle(&mut self, applied: &Applied, answers: &mut Vec<Answer>) {
        if self.draining && self.in_flight.is_empty() {
            self.draining = false;
            self.remote.forget();
            self.feeds.forget();
            self.expiry.forget();
            self.transactions.settle(self.limits.evaluations_max, answers);
            self.writes.settle(self.limits.evaluations_max, answers);
            self.sequence = applied.sequence;
            self.last_time = self.last_time.max(applied.entry_time);
        }
    }

    /// The overlay is worth nothing: what was evaluated on it is evaluated anew, after all in flight is applied.
    fn discard(&mut self, writes: impl Iterator<Item = Waiting<WriteRequest>>) {
        self.draining = true;
        self.overlay.clear();
        self.writes.retry(writes);
        let in_flight = &self.in_flight;
        self.ids_in_flight.retain(|_, index| in_flight.iter().any(|entry| entry.index == *index));
    }

    /// Leads no more. What is in flight may still be committed by another leader; the rest was not done.
    pub(crate) fn abandon(&mut self, not_leader: &PartitionError, answers: &mut Vec<Answer>) {
        let unknown = PartitionError::Unknown { reason: "the partition's leader changed".into() };
        for entry in self.in_flight.drain(..) {
            entry.writes.iter().for_each(|(write, _)| write.answer(Err(unknown.clone()), answers));
            entry.remote.answer(Err(unknown.clone()), &mut self.remote);
            entry.feed.into_iter().for_each(|feed| feed.answer(Err(unknown.clone()), answers));
            entry.step.abandon(&unknown, answers);
        }
        self.transactions.abandon(not_leader, answers);
        self.remote.refuse_waiting(not_leader);
        self.remote.forget();
        self.feeds.refuse_waiting(not_leader, answers);
        self.feeds.forget();
        self.expiry.forget();
        self.writes.refuse(not_leader, answers);
        self.bytes_in_flight = 0;
        self.ids_in_flight.clear();
        self.overlay.clear();
        self.draining = false;
    }

    /// What waits for its evaluation is turned away; what is under way goes on.
    pub(crate) fn refuse_waiting(&mut self, error: &PartitionError, answers: &mut Vec<Answer>) {
        self.writes.refuse_waiting(error, answers);
        self.remote.refuse_waiting(error);
        self.feeds.refuse_waiting(error, answers);
        self.transactions.refuse_waiting(error, answers);
    }

    /// Answers whoever has waited too long.
    pub(crate) fn expire(&mut self, boot_ms: u64, answers: &mut Vec<Answer>) {
        let undone = PartitionError::Overloaded { reason: "the write was not evaluated in time".into() };
        let unknown = PartitionError::Unknown { reason: "the write was not committed in time".into() };
        self.writes.expire(boot_ms, &undone, answers);
        self.remote.expire(boot_ms, &undone);
        self.feeds.expire(boot_ms, &undone, answers);
        self.transactions.expire(boot_ms, &undone, answers);
        for entry in &mut self.in_flight {
            entry.writes.iter_mut().for_each(|(write, _)| write.expire(boot_ms, &unknown, answers));
            entry.remote.expire(boot_ms, &unknown, &mut self.remote);
            entry.feed.iter_mut().for_each(|feed| feed.expire(boot_ms, &unknown, answers));
            entry.step.expire(boot_ms, &unknown, answers);
        }
    }
}

impl<'a, S> Round<'a, S> {
    /// Of a global table.
    fn replicas(&self) -> Option<&'a GlobalReplicas> {
        self.definition.replicas.as_ref()
    }
}

/// What can't be read fails the requests for it, not the node.
fn internal(error: &EngineError) -> ServiceError {
    tracing::error!(error = error as &dyn std::error::Error, "failed to read an item or an outcome");
    ServiceError::new(ErrorKind::InternalServerError, "Internal server error")
}

fn too_many_wait() -> PartitionError {
    PartitionError::Overloaded { reason: "too many writes of the partition wait".into() }
}

fn answer_one(token: u64, error: ServiceError) -> Answer {
    (token, Err(PartitionError::Service(error)))
}

#[cfg(test)]
mod tests;
