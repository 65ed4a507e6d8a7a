//! What other regions wrote, decided by version on the items as of every earlier write; and the upkeep of what is kept
//! beside the items: tombstones that nobody needs any more, versions whose time has come.

use super::{InFlight, Limits, Propose, Proposer, ProposerError, Round, internal};
use crate::{
    entry::{Entry, EntryBody, RemoteEffect, RemoteGroup, RemoteWrite, RemoteWrites, Upkeep},
    global::{
        BatchBody, CopyPosition, GlobalState, Group, Lineage, Origin, Reader, Reading, Record, RemoteBatch, Stability,
        Vector, time_and_key,
    },
    operation::PartitionError,
    place::LogPlace,
    read,
};
use bytes::Bytes;
use cairn_engine::{Kept, Store};
use cairn_model::{ServiceError, codec::StoredVersion, key::EncodedKey, table::GlobalReplicas, time::Timestamp};
use std::collections::VecDeque;

/// Batches of one partition that wait.
const WAITING_MAX: usize = 8;
/// Tombstones looked at, and versions taken up, in one step of the upkeep.
const UPKEEP_TOMBSTONES: usize = 1_024;
const UPKEEP_TAKEN_UP: usize = 256;
const UPKEEP_BYTES: usize = 1 << 20;
/// Entries of another region's log that brought nothing, after which it is written down how far it was read.
const UNLOGGED_ENTRIES_MAX: u64 = 1_024;

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
    /// What was here when it was last written down, and when that was.
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
    waiter: Option<(u64, u64, Reader)>,
    is_upkeep: bool,
}

/// A batch that is being decided.
struct Decided {
    state: GlobalState,
    groups: Vec<RemoteGroup>,
    keys: Vec<EncodedKey>,
    /// Something was won, set aside or copied: it is written down at once.
    weighs: bool,
    moved: bool,
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

    /// What was evaluated on entries that are worth nothing is read anew.
    pub(super) fn forget(&mut self) {
        self.known = None;
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
        if let Some((token, _, reader)) = self.waiter {
            remote.answers.push((token, result.map(|()| reader)));
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

    /// The time of its upkeep has come, where there is anything to be kept up, or that is not known yet.
    pub(crate) fn keep_up(&mut self) {
        self.remote.upkeep_due |= self.remote.known.as_ref().is_none_or(|known| known.keeps);
    }

    /// Reads what is known of other regions, if that was not done.
    pub(super) fn know<S: Store>(&mut self, round: &Round<'_, S>) -> Result<(), ProposerError> {
        if self.remote.known.is_some() {
            return Ok(());
        }
        let kept = round.engine.kept(round.storage_id, &Kept::Regions)?;
        let keeps = round.replicas.is_some()
            || kept.is_some()
            || round.engine.tombstones(round.storage_id, None).next().transpose()?.is_some();
        let state = GlobalState::of(kept.as_ref())?;
        let logged = state.vector.clone();
        self.remote.known = Some(Known { state, keeps, logged, logged_boot_ms: None, is_ahead: false });
        (self.remote.behind, self.remote.looked_through) = (None, Timestamp(0));
        Ok(())
    }

    /// An item's version as of every write under way: its tombstone, where one is kept.
    pub(super) fn current<S: Store>(
        &self,
        round: &Round<'_, S>,
        key: &EncodedKey,
    ) -> Result<Result<Option<StoredVersion>, ServiceError>, ProposerError> {
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
            Err(error) if error.is_fatal() => Err(error.into()),
            Err(error) => Ok(Err(internal(&error))),
            Ok(bytes) => Ok(bytes.map(StoredVersion::parse).transpose().map_err(ServiceError::from)),
        }
    }

    /// Decides the next batch that waits, and proposes what it comes to.
    pub(super) fn take_batch<S: Store>(
        &mut self,
        round: &mut Round<'_, S>,
        propose: Propose<'_>,
    ) -> Result<(), ProposerError> {
        let Some(WaitingBatch { token, deadline_ms, batch }) = self.remote.waiting.pop_front() else { return Ok(()) };
        let source = batch.source.lineage.clone();
        let decided = match self.decide(round, batch)? {
            Ok(decided) => decided,
            Err(error) => {
                // What was decided of it may be in the overlay.
                self.discard(std::iter::empty());
                self.remote.answers.push((token, Err(PartitionError::Service(error))));
                return Ok(());
            }
        };
        let Some(known) = &mut self.remote.known else { return Ok(()) };
        let reader = decided.state.reader(&round.own(), self.last_time, &source.region);
        let Some(reader) = reader else {
            let reason = "too many regions are known".into();
            self.remote.answers.push((token, Err(PartitionError::Overloaded { reason })));
            return Ok(());
        };
        let read = |state: &GlobalState| state.read_of(&source.region).map_or(0, |(_, index)| index);
        let is_far = read(&decided.state) > read(&known.state) + UNLOGGED_ENTRIES_MAX;
        known.is_ahead |= decided.moved;
        known.state = decided.state;
        if decided.weighs || known.is_ahead && (is_far || known.is_late(round.boot_ms, &self.limits)) {
            let remote =
                RemoteInFlight { keys: decided.keys, waiter: Some((token, deadline_ms, reader)), is_upkeep: false };
            self.write_down(round, decided.groups, remote, propose)
        } else {
            self.remote.answers.push((token, Ok(reader)));
            Ok(())
        }
    }

    /// Proposes an entry with what is known now, and these writes.
    fn write_down<S>(
        &mut self,
        round: &mut Round<'_, S>,
        mut groups: Vec<RemoteGroup>,
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
        self.propose_remote(round, body, remote, propose)
    }

    /// An error refuses the batch.
    fn decide<S: Store>(
        &mut self,
        round: &Round<'_, S>,
        batch: RemoteBatch,
    ) -> Result<Result<Decided, ServiceError>, ProposerError> {
        let (Some(replicas), Some(known)) = (round.replicas, &self.remote.known) else {
            return Ok(Err(ServiceError::validation("the table is not global")));
        };
        if let Err(error) =
            flaw(replicas, &batch).map_or(Ok(()), Err).and(batch.check().map_err(|error| error.to_string()))
        {
            return Ok(Err(ServiceError::validation(error)));
        }
        let source = batch.source.lineage.region.clone();
        let mut state = known.state.clone();
        let mut moved = state.hear(&batch.source, true);
        for member in batch.others.iter().filter(|member| member.lineage.region != replicas.region) {
            moved |= state.hear(member, false);
        }
        let Some(peer) = state.peers.get_mut(&source) else {
            return Ok(Err(ServiceError::validation("too many regions are known")));
        };
        if let Some((partition, index)) = batch.read
            && partition == round.partition
            && index > peer.has_read
        {
            peer.has_read = index;
            moved = true;
        }
        let reading = peer.reading.clone();
        let mut decided = Decided { state, groups: Vec::new(), keys: Vec::new(), weighs: false, moved };
        let done = match batch.body {
            BatchBody::Hello => Ok(()),
            BatchBody::Changes { after, through, groups } => {
                self.decide_changes(round, &mut decided, &source, &reading, (after, through), groups, &batch.known)?
            }
            BatchBody::Copy { page, next, records } => {
                self.decide_page(round, &mut decided, &source, &reading, page, next, records, &batch.known)?
            }
        };
        Ok(done.map(|()| decided))
    }

    #[allow(clippy::too_many_arguments)] // each is a part of one batch, taken apart once
    fn decide_changes<S: Store>(
        &mut self,
        round: &Round<'_, S>,
        decided: &mut Decided,
        source: &str,
        reading: &Reading,
        (after, through): (u64, LogPlace),
        groups: Vec<Group>,
        known: &Vector,
    ) -> Result<Result<(), ServiceError>, ProposerError> {
        let Some(place) = reading.place.filter(|place| reading.copy.is_none() && after <= place.index) else {
            return Ok(Ok(()));
        };
        if through.index > place.index
            && let Some(peer) = decided.state.peers.get_mut(source)
        {
            peer.reading.place = Some(through);
            decided.moved = true;
        }
        let own = round.own();
        for group in groups {
            let is_here =
                |origin: &Origin| origin.lineage == own || decided.state.vector.get(&origin.lineage) >= origin.time;
            if group.origin.as_ref().is_some_and(is_here) {
                continue;
            }
            let covered = group.origin.is_none().then_some(known);
            match self.decide_records(round, decided, group.records, covered)? {
                Ok(writes) if writes.is_empty() => {}
                Ok(writes) => decided.groups.push(RemoteGroup { origin: group.origin.clone(), writes }),
                Err(error) => return Ok(Err(error)),
            }
            if let Some(origin) = &group.origin {
                decided.moved |= decided.state.vector.advance(&origin.lineage, origin.time);
            }
        }
        Ok(Ok(()))
    }

    #[allow(clippy::too_many_arguments)] // each is a part of one batch, taken apart once
    fn decide_page<S: Store>(
        &mut self,
        round: &Round<'_, S>,
        decided: &mut Decided,
        source: &str,
        reading: &Reading,
        page: CopyPosition,
        next: Option<Bytes>,
        records: Vec<Record>,
        known: &Vector,
    ) -> Result<Result<(), ServiceError>, ProposerError> {
        let goes_on = reading.copy.as_ref() == Some(&page);
        let is_later = |index: Option<u64>| index.is_none_or(|index| index < page.start.index);
        let begins = page.after.is_empty()
            && is_later(reading.copy.as_ref().map(|copy| copy.start.index))
            && is_later(reading.place.map(|place| place.index));
        if !goes_on && !begins {
            return Ok(Ok(()));
        }
        match self.decide_records(round, decided, records, Some(known))? {
            Ok(writes) if writes.is_empty() => {}
            Ok(writes) => decided.groups.push(RemoteGroup { origin: None, writes }),
            Err(error) => return Ok(Err(error)),
        }
        decided.weighs = true;
        let own = round.own();
        let Some(peer) = decided.state.peers.get_mut(source) else { return Ok(Ok(())) };
        peer.reading = match next {
            Some(after) => Reading { place: reading.place, copy: Some(CopyPosition { after, ..page }) },
            None => {
                for (lineage, time) in page.vector.iter().filter(|(lineage, _)| **lineage != own) {
                    decided.state.vector.advance(lineage, time);
                }
                Reading { place: Some(page.start), copy: None }
            }
        };
        Ok(Ok(()))
    }

    /// What records come to; those that are covered, where their source knows of `covered`, were here before.
    fn decide_records<S: Store>(
        &mut self,
        round: &Round<'_, S>,
        decided: &mut Decided,
        records: Vec<Record>,
        covered: Option<&Vector>,
    ) -> Result<Result<Vec<RemoteWrite>, ServiceError>, ProposerError> {
        let own = round.own();
        let mut has = decided.state.vector.clone();
        has.advance(&own, self.last_time);
        let mut writes = Vec::new();
        for record in records {
            let version = match record.parse() {
                Ok(version) => version,
                Err(error) => return Ok(Err(ServiceError::from(error))),
            };
            let is_covered = covered.is_some_and(|known| has.covers_version(&version.version(&own.region), known));
            if is_covered || !read::contains(round.range, &record.key) {
                self.remote.counts.passed_over += 1;
                continue;
            }
            match self.decide_version(round, record.key, version, true)? {
                Ok(Some(write)) => {
                    if write.effect == RemoteEffect::SetAside {
                        self.remote.counts.set_aside += 1;
                    } else {
                        self.remote.counts.taken += 1;
                        decided.keys.push(write.key.clone());
                    }
                    decided.weighs = true;
                    writes.push(write);
                }
                Ok(None) => self.remote.counts.passed_over += 1,
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(writes))
    }

    /// What a version comes to; none if what is here is as new.
    fn decide_version<S: Store>(
        &mut self,
        round: &Round<'_, S>,
        key: EncodedKey,
        mut version: StoredVersion,
        may_wait: bool,
    ) -> Result<Result<Option<RemoteWrite>, ServiceError>, ProposerError> {
        let region = &round.own().region;
        if version.origin_region() == Some(region) {
            version.origin = Bytes::new();
        }
        let current = match self.current(round, &key)? {
            Ok(current) => current,
            Err(error) => return Ok(Err(error)),
        };
        if current.as_ref().is_some_and(|current| current.version(region) >= version.version(region)) {
            return Ok(Ok(None));
        }
        let bytes = version.encode();
        if may_wait && version.version_time.millis() > round.wall_ms + self.limits.remote_ahead_ms_max {
            let effect = RemoteEffect::SetAside;
            return Ok(Ok(Some(RemoteWrite { key, effect, size_change: 0, count_change: 0, version: bytes })));
        }
        let sizes = |version: Option<&StoredVersion>| match version.filter(|version| !version.is_tombstone()) {
            None => Ok((0, 0)),
            Some(version) => version.item.size().map(|size| (i64::from(size), 1)),
        };
        let ((before, count_before), (after, count_after)) = match (sizes(current.as_ref()), sizes(Some(&version))) {
            (Ok(before), Ok(after)) => (before, after),
            (Err(error), _) | (_, Err(error)) => return Ok(Err(ServiceError::from(error))),
        };
        self.overlay.put(key.clone(), Some(bytes.clone()), round.next_index);
        Ok(Ok(Some(RemoteWrite {
            key,
            effect: if version.is_tombstone() { RemoteEffect::Delete } else { RemoteEffect::Put },
            size_change: after - before,
            count_change: count_after - count_before,
            version: bytes,
        })))
    }

    fn propose_remote<S>(
        &mut self,
        round: &mut Round<'_, S>,
        body: EntryBody,
        remote: RemoteInFlight,
        propose: Propose<'_>,
    ) -> Result<(), ProposerError> {
        self.last_time = self.last_time.next(round.wall_ms);
        let payload = Entry { header: self.header(round), body }.encode()?;
        let (index, bytes) = (round.next_index, payload.len());
        if !propose(payload) {
            remote
                .answer(Err(PartitionError::Overloaded { reason: "the entry was not taken".into() }), &mut self.remote);
            self.discard(std::iter::empty());
            return Ok(());
        }
        self.sequence += 1;
        self.bytes_in_flight += bytes;
        self.in_flight.push_back(InFlight { index, bytes, writes: Vec::new(), remote });
        round.next_index += 1;
        Ok(())
    }

    /// One step of the upkeep, in an entry of its own if there is anything to do.
    pub(super) fn upkeep<S: Store>(
        &mut self,
        round: &mut Round<'_, S>,
        propose: Propose<'_>,
    ) -> Result<(), ProposerError> {
        if !std::mem::take(&mut self.remote.upkeep_due) || self.in_flight.iter().any(|entry| entry.remote.is_upkeep) {
            return Ok(());
        }
        let mut upkeep = Upkeep::default();
        let mut keys = Vec::new();
        let first_aside = self.take_up(round, &mut upkeep, &mut keys)?;
        let Some(known) = &self.remote.known else { return Ok(()) };
        let own = round.own();
        let stable = match round.replicas {
            None => Timestamp(u64::MAX),
            Some(replicas) => {
                let has = known.state.has(&own, self.last_time, first_aside);
                Stability { state: &known.state, replicas, own: &own, has: &has }.time()
            }
        };
        let mut state = known.state.clone();
        let forgets = match round.replicas {
            None => !std::mem::take(&mut state.peers).is_empty(),
            Some(replicas) => state.forget_strangers(replicas),
        };
        self.remove_tombstones(round, stable, &mut upkeep)?;
        if let Some(known) = self.remote.known.as_mut().filter(|_| forgets) {
            upkeep.state = Some(state.encode()?);
            known.state = state;
        }
        keys.extend(upkeep.tombstones_removed.iter().cloned());
        if upkeep != Upkeep::default() {
            let remote = RemoteInFlight { keys, waiter: None, is_upkeep: true };
            return self.propose_remote(round, EntryBody::Upkeep(upkeep), remote, propose);
        }
        match &self.remote.known {
            Some(known) if known.is_ahead && known.is_late(round.boot_ms, &self.limits) => {
                self.write_down(round, Vec::new(), RemoteInFlight::default(), propose)
            }
            _ => Ok(()),
        }
    }

    /// Takes up what was set aside until now; gives the time of the first that is left.
    fn take_up<S: Store>(
        &mut self,
        round: &Round<'_, S>,
        upkeep: &mut Upkeep,
        keys: &mut Vec<EncodedKey>,
    ) -> Result<Option<Timestamp>, ProposerError> {
        let mut bytes = 0;
        for pair in round.engine.set_aside(round.storage_id, None) {
            let (at, stored) = pair?;
            // What is no version can't be taken up, and was never set aside.
            let (Some((time, key)), Ok(version)) = (time_and_key(&at), StoredVersion::parse(stored.clone())) else {
                continue;
            };
            let is_full = upkeep.taken_up.len() >= UPKEEP_TAKEN_UP || bytes >= UPKEEP_BYTES;
            if is_full || time.millis() > round.wall_ms + self.limits.remote_ahead_ms_max {
                return Ok(Some(time));
            }
            let lost = RemoteWrite {
                key: key.clone(),
                effect: RemoteEffect::Nothing,
                size_change: 0,
                count_change: 0,
                version: stored,
            };
            // What can't be read here is damage of this disk: it waits.
            let Ok(won) = self.decide_version(round, key, version, false)? else { return Ok(Some(time)) };
            keys.extend(won.as_ref().map(|write| write.key.clone()));
            let write = won.unwrap_or(lost);
            bytes += write.encoded_bytes();
            upkeep.taken_up.push(write);
        }
        Ok(None)
    }

    fn remove_tombstones<S: Store>(
        &mut self,
        round: &Round<'_, S>,
        stable: Timestamp,
        upkeep: &mut Upkeep,
    ) -> Result<(), ProposerError> {
        if self.remote.behind.is_none() && stable <= self.remote.looked_through {
            return Ok(());
        }
        let mut looked_at = 0;
        let mut last = None;
        for pair in round.engine.tombstones(round.storage_id, self.remote.behind.as_ref()).take(UPKEEP_TOMBSTONES) {
            let (key, stored) = pair?;
            looked_at += 1;
            last = Some(key.clone());
            let is_stable = StoredVersion::parse(stored).is_ok_and(|version| version.version_time <= stable);
            if is_stable && self.overlay.get(&key).is_none() {
                upkeep.tombstones_removed.push(key);
            }
        }
        self.remote.behind = last.filter(|_| looked_at == UPKEEP_TOMBSTONES);
        if self.remote.behind.is_none() {
            self.remote.looked_through = stable;
        }
        for key in &upkeep.tombstones_removed {
            // An item that was put back since is still there.
            if round.engine.get(round.storage_id, key)?.is_none() {
                self.overlay.put(key.clone(), None, round.next_index);
            }
        }
        Ok(())
    }
}

/// Why a batch is not taken.
fn flaw(replicas: &GlobalReplicas, batch: &RemoteBatch) -> Option<String> {
    let source = &batch.source.lineage.region;
    if batch.reader != replicas.region {
        return Some(format!("the batch is for region {:?}, and this is {:?}", batch.reader, replicas.region));
    }
    (*source == replicas.region || !replicas.members.contains(source))
        .then(|| format!("region {source:?} is not among the table's other members"))
}

impl<S> Round<'_, S> {
    /// This region's own lineage.
    fn own(&self) -> Lineage {
        let region = self.replicas.map(|replicas| replicas.region.clone()).unwrap_or_default();
        Lineage { region, partition: self.partition }
    }
}
