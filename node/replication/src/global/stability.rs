//! When a tombstone may go: once no member can have an older version of its item any more.

use super::{GlobalState, Lineage, Vector};
use cairn_model::{table::GlobalReplicas, time::Timestamp};

/// Up to which time every member has everything of every member.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stability<'a> {
    pub(crate) state: &'a GlobalState,
    pub(crate) replicas: &'a GlobalReplicas,
    pub(crate) own: &'a Lineage,
    /// What this region has.
    pub(crate) has: &'a Vector,
}

impl Stability<'_> {
    pub(crate) fn time(&self) -> Timestamp {
        let union = self.state.union(self.replicas);
        // Who is in nobody's members any more is waited for until it is noted as gone.
        if !self.state.peers.keys().all(|region| union.contains(region)) {
            return Timestamp(0);
        }
        let mut stable = Timestamp(u64::MAX);
        for reader in &union {
            let has = match self.state.peers.get(reader) {
                _ if *reader == self.own.region => self.has,
                Some(peer) => &peer.said.has,
                None => return Timestamp(0),
            };
            for writer in &union {
                stable = stable.min(self.has_of(has, writer));
            }
        }
        stable
    }

    /// Up to which time a region has everything of `writer`: of its present lineage, and of those before it, that write no
    /// more, as much as anyone has.
    fn has_of(&self, has: &Vector, writer: &str) -> Timestamp {
        let present = match self.state.peers.get(writer) {
            _ if writer == self.own.region => self.own,
            Some(peer) => &peer.said.lineage,
            None => return Timestamp(0),
        };
        let mut until = has.get(present);
        let everybody = self.state.peers.values().map(|peer| &peer.said.has).chain([self.has]);
        for (lineage, theirs) in everybody.flat_map(|vector| vector.of_region(writer)) {
            if lineage != present && has.get(lineage) < theirs {
                until = until.min(has.get(lineage));
            }
        }
        until
    }
}
