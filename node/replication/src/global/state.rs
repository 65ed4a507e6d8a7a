//! What a replica knows of other regions: replicated with its data, one record of the engine.
//!
//! Byte 0 is the version, 1. The rest is a [`GlobalState`] in postcard's encoding, in which fields go by their position:
//! any change of them is a new version.

use super::{CopyPosition, Gone, Lineage, Member, NotEmpty, Reader, RemoteBatch, Vector, joining};
use crate::{place::LogPlace, wire};
use bytes::Bytes;
use cairn_model::{
    table::{GLOBAL_MEMBERS_MAX, GlobalReplicas},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Regions of which something is known: members, and members of members.
const PEERS_MAX: usize = 2 * GLOBAL_MEMBERS_MAX;
/// Lineages in one vector: every table that a region ever had adds one.
const LINEAGES_MAX: usize = 1_024;

#[derive(Debug, thiserror::Error)]
#[error("failed to read what is known of other regions")]
pub struct StateError(#[from] wire::WireError);

/// What came of it that something was said of a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Heard {
    Nothing,
    Moved,
    /// Its table was not known, or whom it may be joined with.
    New,
}

/// All of it begins when the table becomes global, and ends when it is so no more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GlobalState {
    /// This region's. None: it was not noted yet that the table became global.
    pub own: Option<Lineage>,
    /// The table whose items were there before it became global: one at most of all that are joined.
    pub founder: Option<Lineage>,
    /// It was joined with others, and has had items since.
    pub is_settled: bool,
    /// What is here of other regions.
    pub vector: Vector,
    /// By region.
    pub peers: BTreeMap<String, Peer>,
    /// Those that went out of the union of the members.
    pub gone: Gone,
}

/// What is known of one region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// What it said of itself, at last.
    pub said: Member,
    /// It said so itself, and was not refused: only then is anything shipped to it.
    pub is_joined: bool,
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

    /// The state of a table that has just become global.
    pub(crate) fn beginning(own: Lineage, held_items: bool) -> Self {
        Self { founder: held_items.then(|| own.clone()), own: Some(own), ..Self::default() }
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

    /// Takes note of what a source says of itself and of others, or refuses it: see [`joining`].
    pub(crate) fn hear_source(&mut self, own: &Lineage, has: &Vector, batch: &RemoteBatch) -> Result<Heard, NotEmpty> {
        let source = &batch.source;
        let is_joined = self.has_joined(&source.lineage);
        if let Some(refusal) = joining::refusal(&self.side(own, has), &batch.side(), !is_joined) {
            return Err(refusal);
        }
        let mut heard = Heard::Nothing;
        if self.founder.is_none() && source.founder.is_some() {
            self.founder.clone_from(&source.founder);
            heard = Heard::New;
        }
        if self.gone.merge(&batch.gone) {
            self.peers.retain(|_, peer| !self.gone.contains(&peer.said.lineage));
            heard = Heard::New;
        }
        let others = batch.others.iter().filter(|member| member.lineage.region != own.region);
        heard = others.chain([source]).map(|member| self.hear(member)).fold(heard, Heard::max);
        match self.peers.get_mut(&source.lineage.region) {
            Some(peer) if !is_joined && peer.said.lineage == source.lineage => {
                peer.is_joined = true;
                Ok(Heard::New)
            }
            _ => Ok(heard),
        }
    }

    /// Whether this table itself was heard, and not refused.
    pub(crate) fn has_joined(&self, lineage: &Lineage) -> bool {
        self.peers.get(&lineage.region).is_some_and(|peer| peer.is_joined && peer.said.lineage == *lineage)
    }

    fn side<'a>(&'a self, own: &'a Lineage, has: &'a Vector) -> joining::Side<'a> {
        let heard = has.iter().map(|(lineage, _)| lineage).chain(self.peers.values().map(|peer| &peer.said.lineage));
        joining::Side {
            lineage: own,
            founder: self.founder.as_ref(),
            is_settled: self.is_settled,
            has,
            gone: &self.gone,
            heard: heard.collect(),
        }
    }

    /// Takes note of what is said of a region. What it says of a table that another has taken the place of is not heard, nor
    /// what it says of one that is gone, or that has another founder.
    pub(crate) fn hear(&mut self, said: &Member) -> Heard {
        let region = &said.lineage.region;
        let has_another_founder = said.founder.is_some() && self.founder.is_some() && said.founder != self.founder;
        if has_another_founder || self.gone.contains(&said.lineage) {
            return Heard::Nothing;
        }
        let has_room = self.peers.len() < PEERS_MAX;
        match self.peers.get_mut(region) {
            Some(Peer { said: known, .. }) if known.lineage == said.lineage => {
                let moved = known.has.merge(&said.has);
                // At one time a region has one list, and its own time rises with every change of it.
                if moved {
                    known.members.clone_from(&said.members);
                    known.founder.clone_from(&said.founder);
                    known.is_settled = said.is_settled;
                }
                if moved { Heard::Moved } else { Heard::Nothing }
            }
            Some(peer) if peer.said.lineage < said.lineage => {
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
        others.map(|(_, peer)| peer.said.clone()).collect()
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
        Some(Reader {
            lineage: own.clone(),
            vector: self.has(own, own_time, None),
            source: peer.said.lineage.clone(),
            place: peer.reading.place,
            copy: peer.reading.copy.clone(),
        })
    }

    /// Up to which entry the log of a source has been read.
    pub(crate) fn read_of(&self, source: &str) -> Option<(Lineage, u64)> {
        self.peers.get(source).map(|peer| (peer.said.lineage.clone(), peer.reading.kept_through()))
    }

    /// Up to which entry all other members have read this partition's log.
    pub(crate) fn read_by_all(&self, replicas: &GlobalReplicas) -> u64 {
        let others = replicas.members.iter().filter(|region| **region != replicas.region);
        others.map(|region| self.peers.get(region).map_or(0, |peer| peer.has_read)).min().unwrap_or(u64::MAX)
    }

    /// Whether it names more lineages than are kept: it is part of entries, and of batches.
    pub(crate) fn is_too_large(&self) -> bool {
        let said = self.peers.values().map(|peer| &peer.said.has);
        said.chain([&self.vector]).any(|vector| vector.len() > LINEAGES_MAX)
    }

    /// Whether it was ever joined with another one.
    pub(crate) fn was_joined(&self) -> bool {
        !self.vector.is_empty() || self.peers.values().any(|peer| peer.is_joined)
    }

    /// Notes as gone who is no member any more, and nobody's member either: once all members were heard of, for whom they list
    /// is a member too. True if there is one.
    pub(crate) fn forget_strangers(&mut self, replicas: &GlobalReplicas) -> bool {
        let union = self.union(replicas);
        if !self.has_heard_of(&union, &replicas.region) {
            return false;
        }
        let (members, strangers): (Vec<&Peer>, Vec<&Peer>) =
            self.peers.values().partition(|peer| union.contains(&peer.said.lineage.region));
        let mut forgotten = Vec::new();
        for stranger in strangers.iter().map(|peer| &peer.said.lineage) {
            let all = members.iter().map(|member| &member.said.has).chain([&self.vector]);
            let until = all.map(|has| has.get(stranger)).max().unwrap_or_default();
            if self.gone.note(stranger, until) {
                forgotten.push(stranger.region.clone());
            }
        }
        forgotten.iter().for_each(|region| drop(self.peers.remove(region)));
        !forgotten.is_empty()
    }

    fn has_heard_of(&self, union: &BTreeSet<String>, own: &str) -> bool {
        union.iter().all(|region| region == own || self.peers.contains_key(region))
    }

    /// The members that this region lists, and those that they list.
    pub(super) fn union(&self, replicas: &GlobalReplicas) -> BTreeSet<String> {
        let mut union = replicas.members.clone();
        let mut unheard: Vec<String> = union.iter().cloned().collect();
        while let Some(region) = unheard.pop() {
            let Some(peer) = self.peers.get(&region) else { continue };
            for member in &peer.said.members {
                if union.len() < PEERS_MAX && union.insert(member.clone()) {
                    unheard.push(member.clone());
                }
            }
        }
        union
    }
}

impl Peer {
    fn new(said: &Member) -> Self {
        Self { said: said.clone(), is_joined: false, has_read: 0, reading: Reading::default() }
    }
}

#[cfg(test)]
mod tests;
