//! A leader's part in Time To Live: it makes the index of expirations and deletes what has expired, by steps of their own,
//! each of which waits until no write does.

use super::{InFlight, Propose, Proposer, ProposerError, RemoteInFlight, Round, Undecided};
use crate::{
    entry::{Effect, Entry, EntryBody, EntryWrite},
    expirations::{self, Making},
    indexes,
};
use bytes::Bytes;
use cairn_engine::{IndexChange, Kept, Store};
use cairn_model::{
    codec::{EncodedItem, StoredVersion},
    ids::RequestId,
    key::EncodedKey,
    table::TimeToLive,
    ttl,
};
use std::ops::Bound;

/// How much one step looks at: places in the index, or items.
#[derive(Clone, Copy, Debug)]
struct StepLimits {
    count: usize,
    bytes: usize,
}

const ALONE: StepLimits = StepLimits { count: 512, bytes: 1 << 20 };
/// Where clients' writes are under way: the next ones are not to wait long.
const BESIDE_WRITES: StepLimits = StepLimits { count: 128, bytes: 128 << 10 };

/// How far the index is made, as of every entry proposed.
#[derive(Clone, Debug, Default)]
enum State {
    /// To be read from the engine before anything is done.
    #[default]
    Unread,
    Made,
    Making(Making),
}

#[derive(Debug, Default)]
pub(super) struct Expiry {
    state: State,
    is_due: bool,
    /// A step was applied, and the next is to follow soon.
    goes_on: bool,
    /// The index has no place before this one, as of what is applied: to find out again, step by step, what was deleted there would
    /// take the store longer and longer.
    from: Bytes,
    /// When there was nothing to do, by the boot-time clock.
    idle_boot_ms: Option<u64>,
    deleted: u64,
}

/// What an entry under way does to expired items.
#[derive(Debug)]
pub(super) struct ExpiryInFlight {
    pub(super) keys: Vec<EncodedKey>,
}

/// What a step comes to.
#[derive(Debug, Default)]
struct Step {
    writes: Vec<EntryWrite>,
    index_changes: Vec<IndexChange>,
    bytes: usize,
    /// The first place that has to be looked at again.
    left: Option<Bytes>,
}

impl From<Option<Making>> for State {
    fn from(making: Option<Making>) -> Self {
        making.map_or(Self::Made, Self::Making)
    }
}

impl Expiry {
    pub(super) fn is_due(&self) -> bool {
        self.is_due
    }

    /// What was evaluated on entries that are worth nothing is read anew.
    pub(super) fn forget(&mut self) {
        self.state = State::Unread;
        self.from = Bytes::new();
        self.is_due = true;
    }

    /// A step was applied.
    pub(super) fn applied(&mut self, entry: &ExpiryInFlight) {
        self.deleted += entry.keys.len() as u64;
        self.goes_on = true;
    }

    /// An entry was applied that entered items into the index, the first of them here.
    pub(super) fn entered(&mut self, place: Bytes) {
        self.from = place.min(std::mem::take(&mut self.from));
    }
}

impl Step {
    fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.index_changes.is_empty()
    }
}

impl Proposer {
    /// Its time has come, where there may be anything to do.
    pub(crate) fn look_for_expired(&mut self, has_time_to_live: bool, boot_ms: u64) {
        let pause_ms = match &self.expiry.state {
            State::Made if !has_time_to_live => return,
            State::Made => self.limits.expiry_interval_ms,
            State::Unread | State::Making(_) => 0,
        };
        let is_time = |idle: u64| boot_ms.saturating_sub(idle) >= pause_ms;
        self.expiry.is_due |= self.expiry.idle_boot_ms.is_none_or(is_time);
    }

    /// Whether a next step is to follow as soon as those who write have had their turn: [`Self::go_on_expiring`].
    pub(crate) fn take_expiry_going_on(&mut self) -> bool {
        std::mem::take(&mut self.expiry.goes_on)
    }

    pub(crate) fn go_on_expiring(&mut self) {
        self.expiry.is_due = true;
    }

    pub(crate) fn take_expired_count(&mut self) -> u64 {
        std::mem::take(&mut self.expiry.deleted)
    }

    /// One step, in an entry of its own if there is anything to do.
    pub(super) fn expiry_step<S: Store>(
        &mut self,
        round: &mut Round<'_, S>,
        propose: Propose<'_>,
    ) -> Result<(), ProposerError> {
        let others_wait = !self.waiting.is_empty() || self.remote.waits();
        if !self.expiry.is_due || others_wait || self.draining || !self.has_room() {
            return Ok(());
        }
        self.expiry.is_due = false;
        if self.in_flight.iter().any(|entry| entry.expiry.is_some()) {
            return Ok(());
        }
        let is_alone = self.in_flight.iter().all(|entry| entry.writes.is_empty());
        let limits = if is_alone { ALONE } else { BESIDE_WRITES };
        if let State::Unread = self.expiry.state {
            let kept = round.engine.kept(round.storage_id, &Kept::Expirations)?;
            self.expiry.state = kept.as_ref().map(Making::decode).transpose()?.into();
        }
        match (self.expiry.state.clone(), &round.definition.time_to_live) {
            (State::Making(Making::Clearing { behind }), _) => self.clear(round, &behind, limits, propose),
            (State::Making(Making::Filling { behind }), Some(by)) => self.fill(round, &behind, by, limits, propose),
            (State::Made, Some(by)) => self.reap(round, by, limits, propose),
            _ => Ok(()),
        }
    }

    /// Removes what is in the index, from behind this place on.
    fn clear<S: Store>(
        &mut self,
        round: &mut Round<'_, S>,
        behind: &[u8],
        limits: StepLimits,
        propose: Propose<'_>,
    ) -> Result<(), ProposerError> {
        let mut step = Step::default();
        let places = round.engine.expirations(round.storage_id, bound_behind(behind), Bound::Unbounded);
        let mut next = Making::of_cleared(round.definition);
        for in_index in places {
            let in_index = in_index?;
            step.bytes += in_index.len();
            step.index_changes.push(expirations::removal(in_index.clone()));
            if step.index_changes.len() >= limits.count || step.bytes >= limits.bytes {
                next = Some(Making::Clearing { behind: in_index });
                break;
            }
        }
        self.make(round, next, step, propose)
    }

    /// Enters the items, from behind this key on.
    fn fill<S: Store>(
        &mut self,
        round: &mut Round<'_, S>,
        behind: &[u8],
        by: &TimeToLive,
        limits: StepLimits,
        propose: Propose<'_>,
    ) -> Result<(), ProposerError> {
        let mut step = Step::default();
        let (mut looked_at, mut next) = (0, None);
        for pair in round.engine.scan(round.storage_id, bound_behind(behind), Bound::Unbounded, true) {
            let (key, stored) = pair?;
            (looked_at, step.bytes) = (looked_at + 1, step.bytes + key.0.len() + stored.len());
            // A write under way has entered its item already. What can't be read is damage of this disk: it has no expiry here.
            if self.overlay.get(&key).is_none()
                && let Ok(version) = StoredVersion::parse(stored)
                && let Ok(Some(expiry)) = ttl::expiry_of(&version.item, &by.attribute_name)
            {
                step.index_changes.push(expirations::entering(expirations::index_key(expiry, &key)));
            }
            if looked_at >= limits.count || step.bytes >= limits.bytes {
                next = Some(Making::Filling { behind: key.0 });
                break;
            }
        }
        self.make(round, next, step, propose)
    }

    /// Proposes a step by which the index is made, and what is still to be done behind it.
    fn make<S>(
        &mut self,
        round: &mut Round<'_, S>,
        next: Option<Making>,
        step: Step,
        propose: Propose<'_>,
    ) -> Result<(), ProposerError> {
        let body = EntryBody::Expirations(next.as_ref().map(Making::encode));
        self.expiry.from = Bytes::new();
        self.expiry.state = next.into();
        self.last_time = self.last_time.next(round.wall_ms);
        self.propose_expiry(round, (body, step.index_changes), Vec::new(), propose)
    }

    /// Deletes what has expired.
    fn reap<S: Store>(
        &mut self,
        round: &mut Round<'_, S>,
        by: &TimeToLive,
        limits: StepLimits,
        propose: Propose<'_>,
    ) -> Result<(), ProposerError> {
        let mut step = Step::default();
        let mut looked_at = 0;
        let [lower, upper] = expirations::bounds(&ttl::due(round.wall_ms));
        let from = self.expiry.from.clone();
        let lower = Bound::Included((&from[..]).max(&lower[..]));
        let mut next = Bytes::copy_from_slice(&upper);
        for in_index in round.engine.expirations(round.storage_id, lower, Bound::Excluded(&upper)) {
            let in_index = in_index?;
            looked_at += 1;
            if !self.reap_one(round, by, &in_index, &mut step)? {
                step.left.get_or_insert(in_index.clone());
            }
            if looked_at >= limits.count || step.bytes >= limits.bytes {
                next = in_index;
                break;
            }
        }
        self.expiry.from = step.left.take().unwrap_or(next);
        if looked_at == 0 {
            self.expiry.idle_boot_ms = Some(round.boot_ms);
        }
        if step.is_empty() {
            return Ok(());
        }
        let keys = step.writes.iter().map(|write| write.key.clone()).collect();
        self.last_time = self.last_time.next(round.wall_ms);
        self.propose_expiry(round, (EntryBody::Writes(step.writes), step.index_changes), keys, propose)
    }

    /// Deletes the item that has a place, or removes a place that no item has; false where it has to be looked at again.
    fn reap_one<S: Store>(
        &mut self,
        round: &Round<'_, S>,
        by: &TimeToLive,
        in_index: &Bytes,
        step: &mut Step,
    ) -> Result<bool, ProposerError> {
        let Some((expiry, key)) = expirations::parse_index_key(in_index) else {
            step.index_changes.push(expirations::removal(in_index.clone()));
            return Ok(true);
        };
        // The write under way changes the index too: what it leaves there is looked at then.
        if self.overlay.get(&key).is_some() {
            return Ok(false);
        }
        let version = match self.current(round, &key) {
            Ok(version) => version.filter(|version| !version.is_tombstone()),
            Err(Undecided::Fatal(error)) => return Err(error),
            // What can't be read here is damage of this disk: it stays.
            Err(Undecided::Refused(_)) => return Ok(true),
        };
        let current = version.as_ref().map(|version| ttl::expiry_of(&version.item, &by.attribute_name)).transpose();
        let Ok(current) = current else { return Ok(true) };
        let Some(version) = version.filter(|_| current.flatten() == Some(expiry)) else {
            step.index_changes.push(expirations::removal(in_index.clone()));
            return Ok(true);
        };
        step.bytes += key.0.len() + version.item.0.len();
        let Some((size, changes)) = deletion(round, &key, &version.item) else { return Ok(true) };
        self.last_time = self.last_time.max(version.version_time).next(round.wall_ms);
        let version_time = self.last_time;
        let tombstone = || StoredVersion::tombstone(version_time, Bytes::new()).encode();
        self.overlay.put(key.clone(), round.replicas().map(|_| tombstone()), round.next_index);
        step.index_changes.extend(changes);
        step.writes.push(EntryWrite {
            request_id: RequestId([0; 16]),
            key,
            effect: Effect::Expire,
            version_time,
            size_change: -i64::from(size),
            count_change: -1,
            outcome: Bytes::new(),
        });
        Ok(true)
    }

    fn propose_expiry<S>(
        &mut self,
        round: &mut Round<'_, S>,
        (body, index_changes): (EntryBody, Vec<IndexChange>),
        keys: Vec<EncodedKey>,
        propose: Propose<'_>,
    ) -> Result<(), ProposerError> {
        let payload = Entry { header: self.header(round), body, index_changes }.encode()?;
        let (index, bytes) = (round.next_index, payload.len());
        if !propose(payload) {
            self.discard(std::iter::empty());
            return Ok(());
        }
        self.sequence += 1;
        self.bytes_in_flight += bytes;
        let expiry = Some(ExpiryInFlight { keys });
        self.in_flight.push_back(InFlight {
            index,
            bytes,
            writes: Vec::new(),
            remote: RemoteInFlight::default(),
            expiry,
            entered: None,
        });
        round.next_index += 1;
        Ok(())
    }
}

/// The size of an item that goes, and what that changes in indexes; none where it can't be read.
fn deletion<S>(round: &Round<'_, S>, key: &EncodedKey, item: &EncodedItem) -> Option<(u32, Vec<IndexChange>)> {
    let effects = indexes::effects(round.definition, key, Some(item), None).ok()?;
    Some((item.size().ok()?, effects.changes))
}

fn bound_behind(behind: &[u8]) -> Bound<&[u8]> {
    if behind.is_empty() { Bound::Unbounded } else { Bound::Excluded(behind) }
}
