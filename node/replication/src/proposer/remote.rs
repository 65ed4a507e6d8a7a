//! What other regions wrote, decided by version on the items as of every earlier write.

mod decide;
mod upkeep;

use super::{Beside, Limits, Propose, Proposer, ProposerError, Round, internal};
use crate::{
    entry::{EntryBody, RemoteGroup, RemoteWrites},
    global::{GlobalState, Lineage, Origin, Reader, Reading, RemoteBatch, Vector},
    operation::PartitionError,
};
use cairn_engine::{Kept, Store};
use cairn_model::{
    ServiceError,
    codec::{CodecError, StoredVersion},
    key::EncodedKey,
    time::Timestamp,
};
use std::collections::VecDeque;

/// Batches of one partition that wait.
const WAITING_MAX: usize = 8;

pub(crate) type RemoteAnswer = (u64, Result<Reader, PartitionError>);

#[derive(Debug)]
struct WaitingBatch {
    token: u64,
    deadline_ms: u64,
    batch: RemoteBatch,
}

/// A leader's part in a global table.
#[derive(Debug, Default)]
pub(super) struct Remote {
    waiting: VecDeque<WaitingBatch>,
    /// None: to be read from the engine before anything is evaluated.
    known: Option<Known>,
    upkeep_due: bool,
    /// Where the upkeep of the tombstones goes on.
    behind: Option<EncodedKey>,
    /// Up to which time they were looked through.
    looked_through: Timestamp,
    answers: Vec<RemoteAnswer>,
    pub(super) counts: RemoteCounts,
}

/// What became of other regions' writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RemoteCounts {
    pub(crate) taken: u64,
    pub(crate) passed_over: u64,
    pub(crate) set_aside: u64,
}

/// What is known of other regions as of every entry proposed, and what was not worth one.
#[derive(Debug)]
struct Known {
    state: GlobalState,
    /// Whether anything is kept beside the items.
    keeps: bool,
    /// Which times this leader has told to those who read the log, and when it wrote down what it knows.
    logged: Vector,
    logged_boot_ms: Option<u64>,
    /// Something of it is not written down.
    is_ahead: bool,
}

/// What of a global table is in an entry under way.
#[derive(Debug, Default)]
pub(super) struct RemoteInFlight {
    pub(super) keys: Vec<EncodedKey>,
    /// Who waits, until when by the boot-time clock, and for what.
    waiter: Option<(u64, u64, Result<Reader, PartitionError>)>,
    is_upkeep: bool,
    /// There is more to keep up as soon as it is applied.
    has_more: bool,
}

/// A batch that is being decided.
struct Decided {
    /// This region's.
    own: Lineage,
    source: String,
    /// Everything that its records may be of.
    known: Vector,
    /// Where the reading of the source stood.
    reading: Reading,
    state: GlobalState,
    groups: Vec<RemoteGroup>,
    keys: Vec<EncodedKey>,
    beside: Beside,
    /// Something was won, set aside or copied: it is written down at once.
    weighs: bool,
    moved: bool,
}

/// Why a version could not be decided.
#[derive(Debug)]
pub(super) enum Undecided {
    Fatal(ProposerError),
    Refused(ServiceError),
}

impl From<ProposerError> for Undecided {
    fn from(error: ProposerError) -> Self {
        Self::Fatal(error)
    }
}

impl From<CodecError> for Undecided {
    fn from(error: CodecError) -> Self {
        Self::Refused(error.into())
    }
}

impl Known {
    /// Whether it is time to write down what brought nothing else.
    fn is_late(&self, boot_ms: u64, limits: &Limits) -> bool {
        self.logged_boot_ms.is_none_or(|logged| boot_ms.saturating_sub(logged) >= limits.remote_times_interval_ms)
    }
}

impl Remote {
    pub(super) fn waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(super) fn is_due(&self) -> bool {
        self.waits() || self.upkeep_due
    }

    /// What was evaluated on entries that are worth nothing is read anew, and what has to be noted then is noted at once.
    pub(super) fn forget(&mut self) {
        self.known = None;
        self.upkeep_due = true;
    }

    pub(super) fn keeps_tombstones(&self) -> bool {
        self.known.as_ref().is_some_and(|known| known.keeps)
    }

    pub(super) fn refuse_waiting(&mut self, error: &PartitionError) {
        self.answers.extend(self.waiting.drain(..).map(|waiting| (waiting.token, Err(error.clone()))));
    }

    pub(super) fn expire(&mut self, boot_ms: u64, error: &PartitionError) {
        while self.waiting.front().is_some_and(|waiting| waiting.deadline_ms <= boot_ms) {
            self.answers.extend(self.waiting.pop_front().map(|waiting| (waiting.token, Err(error.clone()))));
        }
    }
}

impl RemoteInFlight {
    pub(super) fn answer(self, result: Result<(), PartitionError>, remote: &mut Remote) {
        remote.upkeep_due |= self.has_more;
        if let Some((token, _, reader)) = self.waiter {
            remote.answers.push((token, result.and(reader)));
        }
    }

    pub(super) fn expire(&mut self, boot_ms: u64, error: &PartitionError, remote: &mut Remote) {
        if let Some((token, _, _)) = self.waiter.take_if(|(_, deadline_ms, _)| *deadline_ms <= boot_ms) {
            remote.answers.push((token, Err(error.clone())));
        }
    }
}

impl Proposer {
    /// Takes in a batch of another region.
    pub(crate) fn enqueue_remote(&mut self, token: u64, batch: RemoteBatch, deadline_ms: u64) {
        if self.remote.waiting.len() >= WAITING_MAX {
            let reason = "too many batches of other regions wait".into();
            self.remote.answers.push((token, Err(PartitionError::Overloaded { reason })));
        } else {
            self.remote.waiting.push_back(WaitingBatch { token, deadline_ms, batch });
        }
    }

    pub(crate) fn take_remote_answers(&mut self) -> Vec<RemoteAnswer> {
        std::mem::take(&mut self.remote.answers)
    }

    pub(crate) fn take_remote_counts(&mut self) -> RemoteCounts {
        std::mem::take(&mut self.remote.counts)
    }

    /// Reads what is known of other regions, if that was not done.
    pub(super) fn know<S: Store>(&mut self, round: &Round<'_, S>) -> Result<(), ProposerError> {
        if self.remote.known.is_some() {
            return Ok(());
        }
        let kept = round.engine.kept(round.storage_id, &Kept::Regions)?;
        let state = GlobalState::of(kept.as_ref())?;
        let keeps = round.replicas().is_some()
            || round.engine.tombstones(round.storage_id, None).next().transpose()?.is_some()
            || round.engine.set_aside(round.storage_id, None).next().transpose()?.is_some();
        // The leader before may have kept times and not told them: the first entry tells all.
        let logged = Vector::default();
        self.remote.known = Some(Known { state, keeps, logged, logged_boot_ms: None, is_ahead: false });
        (self.remote.behind, self.remote.looked_through) = (None, Timestamp(0));
        Ok(())
    }

    /// Notes that the table became global, and whether it held items then: before anything else is written. Nothing is under
    /// way, for the definition was changed, or this leader is new.
    pub(super) fn begin<S: Store>(
        &mut self,
        round: &mut Round<'_, S>,
        propose: Propose<'_>,
    ) -> Result<(), ProposerError> {
        let Some(replicas) = round.replicas() else { return Ok(()) };
        let Some(known) = self.remote.known.as_mut().filter(|known| known.state.own.is_none()) else { return Ok(()) };
        let held_items =
            round.item_count > 0 || round.engine.set_aside(round.storage_id, None).next().transpose()?.is_some();
        let since = self.last_time.next(round.wall_ms);
        let own = Lineage { region: replicas.region.clone(), since, partition: round.partition };
        known.state = GlobalState::beginning(own, held_items);
        self.write_down(round, (Vec::new(), Beside::default()), RemoteInFlight::default(), propose)
    }

    /// An item's version as of every write under way: its tombstone, where one is kept.
    pub(super) fn current<S: Store>(
        &self,
        round: &Round<'_, S>,
        key: &EncodedKey,
    ) -> Result<Option<StoredVersion>, Undecided> {
        let stored = match self.overlay.get(key) {
            Some(item) => Ok(item.version.clone()),
            None => match round.engine.get(round.storage_id, key) {
                Ok(None) if self.remote.keeps_tombstones() => {
                    round.engine.kept(round.storage_id, &Kept::Tombstone(key.clone()))
                }
                stored => stored,
            },
        };
        match stored {
            Err(error) if error.is_fatal() => Err(Undecided::Fatal(error.into())),
            Err(error) => Err(Undecided::Refused(internal(&error))),
            Ok(bytes) => Ok(bytes.map(StoredVersion::parse).transpose()?),
        }
    }

    /// Decides the next batch that waits, and proposes what it comes to.
    pub(super) fn take_batch<S: Store>(
        &mut self,
        round: &mut Round<'_, S>,
        propose: Propose<'_>,
    ) -> Result<(), ProposerError> {
        let Some(WaitingBatch { token, deadline_ms, batch }) = self.remote.waiting.pop_front() else { return Ok(()) };
        let Some(known) = &mut self.remote.known else { return Ok(()) };
        let decided = match decide::begin(round, known, self.last_time, &batch) {
            Ok(decided) => self.decide(round, decided, batch.body),
            Err(error) => {
                self.remote.answers.push((token, Err(error)));
                return Ok(());
            }
        };
        let decided = match decided {
            Ok(decided) => decided,
            Err(Undecided::Fatal(error)) => return Err(error),
            Err(Undecided::Refused(error)) => {
                // What was decided of it may be in the overlay.
                self.discard(std::iter::empty());
                self.remote.answers.push((token, Err(PartitionError::Service(error))));
                return Ok(());
            }
        };
        let Decided { own, state, source, groups, keys, beside, weighs, moved, .. } = decided;
        let Some(known) = &mut self.remote.known else { return Ok(()) };
        let reader = state.reader(&own, self.last_time, &source);
        let reader = reader.ok_or(PartitionError::Overloaded { reason: "too many regions are known".into() });
        known.is_ahead |= moved;
        known.state = state;
        if weighs || known.is_ahead && known.is_late(round.boot_ms, &self.limits) {
            let waiter = Some((token, deadline_ms, reader));
            let remote = RemoteInFlight { keys, waiter, ..RemoteInFlight::default() };
            self.write_down(round, (groups, beside), remote, propose)
        } else {
            self.remote.answers.push((token, reader));
            Ok(())
        }
    }

    /// Proposes an entry with what is known now, and these writes.
    fn write_down<S>(
        &mut self,
        round: &mut Round<'_, S>,
        (mut groups, beside): (Vec<RemoteGroup>, Beside),
        remote: RemoteInFlight,
        propose: Propose<'_>,
    ) -> Result<(), ProposerError> {
        let Some(known) = &mut self.remote.known else { return Ok(()) };
        let moves = known.state.vector.iter().filter(|(lineage, time)| *time > known.logged.get(lineage));
        groups.extend(moves.map(|(lineage, time)| RemoteGroup {
            origin: Some(Origin { lineage: lineage.clone(), time }),
            writes: Vec::new(),
        }));
        let body = EntryBody::Remote(RemoteWrites { state: known.state.encode()?, groups });
        known.logged.clone_from(&known.state.vector);
        (known.keeps, known.is_ahead, known.logged_boot_ms) = (true, false, Some(round.boot_ms));
        self.propose_remote(round, (body, beside), remote, propose)
    }

    fn propose_remote<S>(
        &mut self,
        round: &mut Round<'_, S>,
        (body, beside): (EntryBody, Beside),
        remote: RemoteInFlight,
        propose: Propose<'_>,
    ) -> Result<(), ProposerError> {
        self.last_time = self.last_time.next(round.wall_ms);
        match self.propose(round, body, beside, propose) {
            Ok(Some(in_flight)) => in_flight.remote = remote,
            Ok(None) => self.undo(remote, PartitionError::Overloaded { reason: "the entry was not taken".into() }),
            // What another region sent must not end this node, and the next that leads.
            Err(error) if remote.waiter.is_some() => {
                let message = format!("the batch can't be written down: {error}");
                self.undo(remote, ServiceError::validation(message).into());
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// What was evaluated is not proposed: it is evaluated anew on what is applied.
    fn undo(&mut self, remote: RemoteInFlight, error: PartitionError) {
        remote.answer(Err(error), &mut self.remote);
        self.discard(std::iter::empty());
    }
}

impl<S> Round<'_, S> {
    /// This region; empty where the table is not global.
    fn region(&self) -> &str {
        self.replicas().map(|replicas| replicas.region.as_str()).unwrap_or_default()
    }
}
