//! Making the index of expirations: what was in it is removed, then the items are entered.

use super::{Step, StepLimits};
use crate::{
    entry::EntryBody,
    expirations::{self, Making},
    proposer::{Propose, Proposer, ProposerError, Round},
};
use bytes::Bytes;
use cairn_engine::Store;
use cairn_model::{codec::StoredVersion, table::TimeToLive, ttl};
use std::ops::Bound;

impl Proposer {
    /// Removes what is in the index, from behind this place on.
    pub(super) fn clear<S: Store>(
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
            step.beside.index_changes.push(expirations::removal(in_index.clone()));
            if step.beside.index_changes.len() >= limits.count || step.bytes >= limits.bytes {
                next = Some(Making::Clearing { behind: in_index });
                break;
            }
        }
        self.make(round, next, step, propose)
    }

    /// Enters the items, from behind this key on.
    pub(super) fn fill<S: Store>(
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
                step.beside.index_changes.push(expirations::entering(expirations::index_key(expiry, &key)));
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
        self.propose_expiry(round, (body, step.beside), Vec::new(), propose)
    }
}

fn bound_behind(behind: &[u8]) -> Bound<&[u8]> {
    if behind.is_empty() { Bound::Unbounded } else { Bound::Excluded(behind) }
}
