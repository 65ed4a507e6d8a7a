//! A leader's part in Time To Live: it makes the index of expirations and deletes what has expired, by steps of their own,
//! each of which waits until no write does.

mod making;
mod reaping;

use super::{Beside, Propose, Proposer, ProposerError, Round};
use crate::{
    entry::{EntryBody, EntryWrite},
    expirations::Making,
};
use bytes::Bytes;
use cairn_engine::{Kept, Store};
use cairn_model::key::EncodedKey;

/// How much one step looks at: places in the index, or items.
#[derive(Clone, Copy, Debug)]
struct StepLimits {
    count: usize,
    bytes: usize,
}

const ALONE: StepLimits = StepLimits { count: 512, bytes: 1 << 20 };
/// Where clients' writes are under way: the next ones are not to wait long.
const BESIDE_WRITES: StepLimits = StepLimits { count: 32, bytes: 32 << 10 };

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
    beside: Beside,
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
        self.writes.is_empty() && self.beside.index_changes.is_empty()
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

    /// Whether a next step is to follow as soon as those who write have had their turn, of the deletion of expired items
    /// or of the filling of indexes: [`Self::go_on`].
    pub(crate) fn take_going_on(&mut self) -> bool {
        std::mem::take(&mut self.expiry.goes_on) || self.showing_goes_on
    }

    pub(crate) fn go_on(&mut self) {
        self.expiry.is_due = true;
        self.showing_due |= std::mem::take(&mut self.showing_goes_on);
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
        let others_wait = self.writes.waits() || self.remote.waits() || self.transactions.waits();
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

    fn propose_expiry<S>(
        &mut self,
        round: &mut Round<'_, S>,
        (body, beside): (EntryBody, Beside),
        keys: Vec<EncodedKey>,
        propose: Propose<'_>,
    ) -> Result<(), ProposerError> {
        match self.propose(round, body, beside, propose)? {
            Some(in_flight) => in_flight.expiry = Some(ExpiryInFlight { keys }),
            None => self.discard(std::iter::empty()),
        }
        Ok(())
    }
}
