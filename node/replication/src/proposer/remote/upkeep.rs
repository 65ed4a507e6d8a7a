//! The upkeep of what a global table keeps beside its items: versions whose time has come are taken up, tombstones that
//! nobody needs any more go, and times that moved are written down.

use super::{Beside, Known, RemoteInFlight, Undecided};
use crate::{
    entry::{EntryBody, RemoteEffect, RemoteWrite, Upkeep},
    global::{Stability, time_and_key},
    proposer::{Propose, Proposer, ProposerError, Round},
};
use cairn_engine::Store;
use cairn_model::{codec::StoredVersion, key::EncodedKey, time::Timestamp};

/// Tombstones looked at, and versions taken up, in one step.
const TOMBSTONES_MAX: usize = 4_096;
const TAKEN_UP_MAX: usize = 256;
const BYTES_MAX: usize = 1 << 20;

impl Proposer {
    /// The time of the upkeep has come, where there is anything to be kept up, or that is not known yet.
    pub(crate) fn keep_up(&mut self, wall_ms: u64) {
        self.remote.upkeep_due |= self.remote.known.as_ref().is_none_or(|known| known.keeps);
        self.transactions.keep_up(wall_ms);
    }

    /// One step of the upkeep, in an entry of its own if there is anything to do.
    pub(in crate::proposer) fn upkeep<S: Store>(
        &mut self,
        round: &mut Round<'_, S>,
        propose: Propose<'_>,
    ) -> Result<(), ProposerError> {
        if !std::mem::take(&mut self.remote.upkeep_due) || self.in_flight.iter().any(|entry| entry.remote.is_upkeep) {
            return Ok(());
        }
        let mut upkeep = Upkeep::default();
        let (mut keys, mut beside) = (Vec::new(), Beside::default());
        let first_aside = self.take_up(round, &mut upkeep, &mut keys, &mut beside)?;
        let Some(known) = &self.remote.known else { return Ok(()) };
        let mut state = known.state.clone();
        let forgets = round.replicas().is_some_and(|replicas| state.forget_strangers(replicas));
        let settles =
            round.replicas().is_some() && !state.is_settled && state.was_joined() && Self::has_had_items(round)?;
        state.is_settled |= settles;
        let stable = match (round.replicas(), &state.own) {
            (Some(replicas), Some(own)) => {
                let has = state.has(own, self.last_time, first_aside);
                Stability { state: &state, replicas, own, has: &has }.time()
            }
            _ => Timestamp(u64::MAX),
        };
        self.remove_tombstones(round, stable, &mut upkeep)?;
        // A tombstone goes only together with what lets it go: a leader that knew less would take again what it keeps out.
        let removes = !upkeep.tombstones_removed.is_empty();
        let noted = |known: &&mut Known| forgets || settles || (removes && known.is_ahead);
        if let Some(known) = self.remote.known.as_mut().filter(noted) {
            upkeep.state = Some(state.encode()?);
            // It stays ahead: who reads this log is not told by this entry which times moved.
            known.state = state;
        }
        keys.extend(upkeep.tombstones_removed.iter().cloned());
        if upkeep != Upkeep::default() {
            let has_more = self.remote.behind.is_some() || upkeep.taken_up.len() >= TAKEN_UP_MAX;
            let remote = RemoteInFlight { keys, waiter: None, is_upkeep: true, has_more };
            return self.propose_remote(round, (EntryBody::Upkeep(upkeep), beside), remote, propose);
        }
        match &self.remote.known {
            Some(known) if known.is_ahead && known.is_late(round.boot_ms, &self.limits) => {
                self.write_down(round, (Vec::new(), Beside::default()), RemoteInFlight::default(), propose)
            }
            _ => Ok(()),
        }
    }

    /// Whether there is an item, or was one: of a deletion there is a tombstone until the upkeep removes it.
    fn has_had_items<S: Store>(round: &Round<'_, S>) -> Result<bool, ProposerError> {
        Ok(round.item_count > 0 || round.engine.tombstones(round.storage_id, None).next().transpose()?.is_some())
    }

    /// Takes up what was set aside until now; gives the time of the first that is left.
    fn take_up<S: Store>(
        &mut self,
        round: &Round<'_, S>,
        upkeep: &mut Upkeep,
        keys: &mut Vec<EncodedKey>,
        beside: &mut Beside,
    ) -> Result<Option<Timestamp>, ProposerError> {
        let mut bytes = 0;
        for pair in round.engine.set_aside(round.storage_id, None) {
            let (at, stored) = pair?;
            // What is no version can't be taken up, and was never set aside.
            let (Some((time, key)), Ok(version)) = (time_and_key(&at), StoredVersion::parse(stored.clone())) else {
                continue;
            };
            let is_full = upkeep.taken_up.len() >= TAKEN_UP_MAX || bytes >= BYTES_MAX;
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
            let won = match self.decide_version(round, key, version, false) {
                Ok(won) => won,
                Err(Undecided::Fatal(error)) => return Err(error),
                Err(Undecided::Refused(_)) => return Ok(Some(time)),
            };
            let write = match won {
                Some((write, changes)) => {
                    keys.push(write.key.clone());
                    beside.extend(changes);
                    write
                }
                None => lost,
            };
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
        for pair in round.engine.tombstones(round.storage_id, self.remote.behind.as_ref()).take(TOMBSTONES_MAX) {
            let (key, stored) = pair?;
            looked_at += 1;
            last = Some(key.clone());
            let is_stable = StoredVersion::parse(stored).is_ok_and(|version| version.version_time <= stable);
            if is_stable && self.overlay.get(&key).is_none() {
                upkeep.tombstones_removed.push(key);
            }
        }
        self.remote.behind = last.filter(|_| looked_at == TOMBSTONES_MAX);
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
