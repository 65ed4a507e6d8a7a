//! What a replica knows of other regions: replicated with its data, one record of the engine.
//!
//! Byte 0 is the version, 1. The rest is a [`GlobalState`] in postcard's encoding, in which fields go by their position:
//! any change of them is a new version.

use super::{CopyPosition, Lineage, Member, Reader, Vector};
use crate::{place::LogPlace, wire};
use bytes::Bytes;
use cairn_model::{
    ids::PartitionId,
    table::{GLOBAL_MEMBERS_MAX, GlobalReplicas},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Regions of which something is known: members, and members of members.
const PEERS_MAX: usize = 2 * GLOBAL_MEMBERS_MAX;

#[derive(Debug, thiserror::Error)]
#[error("failed to read what is known of other regions")]
pub struct StateError(#[from] wire::WireError);

/// What came of it that something was said of a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Nothing,
    Moved,
    /// Its table was not known.
    New,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GlobalState {
    /// What is here of other regions.
    pub vector: Vector,
    /// By region.
    pub peers: BTreeMap<String, Peer>,
}

/// What is known of one region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    pub partition: PartitionId,
    /// When that region's table was made.
    pub created_ms: u64,
    /// The members as it lists them.
    pub members: BTreeSet<String>,
    pub has: Vector,
    /// Up to which entry of this partition's log it has read, and keeps that it has.
    pub has_read: u64,
    /// Where the reading of its log stands.
    pub reading: Reading,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    pub place: Option<LogPlace>,
    pub copy: Option<CopyPosition>,
}

impl Reading {
    /// The first entry of the source's log that is still needed, less one.
    fn kept_through(&self) -> u64 {
        match (&self.place, &self.copy) {
            (_, Some(copy)) => copy.start.index,
            (Some(place), None) => place.index,
            (None, None) => 0,
        }
    }
}

impl GlobalState {
    pub fn encode(&self) -> Result<Bytes, StateError> {
        Ok(wire::encode(self)?)
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, StateError> {
        Ok(wire::decode(bytes)?)
    }

    /// None: nothing was ever kept.
    pub fn of(kept: Option<&Bytes>) -> Result<Self, StateError> {
        kept.map_or_else(|| Ok(Self::default()), |bytes| Self::decode(bytes))
    }

    /// What this region has, its own writes up to `own_time` among it: all of it only before the first version set aside.
    pub fn has(&self, own: &Lineage, own_time: Timestamp, first_set_aside: Option<Timestamp>) -> Vector {
        let mut has = self.vector.clone();
        has.advance(own, own_time);
        match first_set_aside {
            Some(time) => has.until(Timestamp(time.0.saturating_sub(1))),
            None => has,
        }
    }

    /// Takes note of what is said of a region. What it says of a table that another has taken the place of is not heard.
    pub(crate) fn hear(&mut self, said: &Member) -> Heard {
        let region = &said.lineage.region;
        let has_room = self.peers.len() < PEERS_MAX;
        match self.peers.get_mut(region) {
            Some(peer) if peer.partition == said.lineage.partition => {
                let moved = peer.has.merge(&said.has);
                // At one time a region has one list, and its own time rises with every change of it.
                if moved && peer.members != said.members {
                    peer.members.clone_from(&said.members);
                }
                if moved { Heard::Moved } else { Heard::Nothing }
            }
            Some(peer) if peer.is_before(said) => {
                *peer = Peer::new(said);
                Heard::New
            }
            None if has_room => {
                self.peers.insert(region.clone(), Peer::new(said));
                Heard::New
            }
            _ => Heard::Nothing,
        }
    }

    /// What is known of the others, to be passed on.
    pub(crate) fn others(&self, but: &[&str]) -> Vec<Member> {
        let others = self.peers.iter().filter(|(region, _)| !but.contains(&region.as_str()));
        others
            .map(|(region, peer)| Member {
                lineage: Lineage { region: region.clone(), partition: peer.partition },
                created_ms: peer.created_ms,
                members: peer.members.clone(),
                has: peer.has.clone(),
            })
            .collect()
    }

    /// What this region has, and what it is copying.
    pub(crate) fn known(&self, has: &Vector) -> Vector {
        let mut known = has.clone();
        for copy in self.peers.values().filter_map(|peer| peer.reading.copy.as_ref()) {
            known.merge(&copy.vector);
        }
        known
    }

    /// Where this region stands with a source.
    pub(crate) fn reader(&self, own: &Lineage, own_time: Timestamp, source: &str) -> Option<Reader> {
        let peer = self.peers.get(source)?;
        let mut vector = self.vector.clone();
        vector.advance(own, own_time);
        Some(Reader {
            region: own.region.clone(),
            partition: own.partition,
            vector,
            source: peer.partition,
            place: peer.reading.place,
            copy: peer.reading.copy.clone(),
        })
    }

    /// Up to which entry the log of a source has been read.
    pub(crate) fn read_of(&self, source: &str) -> Option<(PartitionId, u64)> {
        self.peers.get(source).map(|peer| (peer.partition, peer.reading.kept_through()))
    }

    /// Up to which entry all other members have read this partition's log.
    pub(crate) fn read_by_all(&self, replicas: &GlobalReplicas) -> u64 {
        let others = replicas.members.iter().filter(|region| **region != replicas.region);
        others.map(|region| self.peers.get(region).map_or(0, |peer| peer.has_read)).min().unwrap_or(u64::MAX)
    }

    /// Forgets who is no member any more, and nobody's member either.
    pub(crate) fn forget_strangers(&mut self, replicas: &GlobalReplicas) -> bool {
        let union = self.union(replicas);
        let before = self.peers.len();
        self.peers.retain(|region, _| union.contains(region));
        before != self.peers.len()
    }

    /// The members that this region lists, and those that they list.
    fn union(&self, replicas: &GlobalReplicas) -> BTreeSet<String> {
        let mut union = replicas.members.clone();
        let mut unheard: Vec<String> = union.iter().cloned().collect();
        while let Some(region) = unheard.pop() {
            let Some(peer) = self.peers.get(&region) else { continue };
            for member in &peer.members {
                if union.len() < PEERS_MAX && union.insert(member.clone()) {
                    unheard.push(member.clone());
                }
            }
        }
        union
    }
}

impl Peer {
    /// Whether another table has taken the place of the one that is known.
    pub(crate) fn is_before(&self, said: &Member) -> bool {
        (self.created_ms, self.partition) < (said.created_ms, said.lineage.partition)
    }

    fn new(said: &Member) -> Self {
        Self {
            partition: said.lineage.partition,
            created_ms: said.created_ms,
            members: said.members.clone(),
            has: said.has.clone(),
            has_read: 0,
            reading: Reading::default(),
        }
    }
}

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
        let mut stable = Timestamp(u64::MAX);
        for reader in &union {
            let has = match self.state.peers.get(reader) {
                _ if *reader == self.own.region => self.has,
                Some(peer) => &peer.has,
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
            _ if writer == self.own.region => self.own.clone(),
            Some(peer) => Lineage { region: writer.to_owned(), partition: peer.partition },
            None => return Timestamp(0),
        };
        let mut until = has.get(&present);
        let everybody = self.state.peers.values().map(|peer| &peer.has).chain([self.has]);
        for (lineage, theirs) in everybody.flat_map(|vector| vector.of_region(writer)) {
            if *lineage != present && has.get(lineage) < theirs {
                until = until.min(has.get(lineage));
            }
        }
        until
    }
}

#[cfg(test)]
mod tests;
