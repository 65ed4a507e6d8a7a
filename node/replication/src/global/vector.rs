//! Up to which time a region has all that others wrote.

use cairn_model::{codec::Version, ids::PartitionId, time::Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A partition of a region's table, for as long as the table is global: one that is made anew, or that becomes global once
/// more, is another one and begins anew. Of two of a region the later one counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Lineage {
    pub region: String,
    /// The time of the entry that noted that the table had become global, by that region's clock.
    pub since: Timestamp,
    pub partition: PartitionId,
}

impl Lineage {
    /// Whether both are of one table, which was not global for a while between.
    pub(crate) fn is_other_life_of(&self, other: &Self) -> bool {
        self.region == other.region && self.partition == other.partition && self.since != other.since
    }
}

/// For each lineage, up to which entry time all its writes are here; nothing: 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vector(BTreeMap<Lineage, Timestamp>);

impl Vector {
    pub fn get(&self, lineage: &Lineage) -> Timestamp {
        self.0.get(lineage).copied().unwrap_or_default()
    }

    /// Moves one forward; never back. True if it moved.
    pub fn advance(&mut self, lineage: &Lineage, time: Timestamp) -> bool {
        let moves = time > self.get(lineage);
        if moves {
            self.0.insert(lineage.clone(), time);
        }
        moves
    }

    /// Moves all forward that the other has further.
    pub fn merge(&mut self, other: &Self) -> bool {
        other.0.iter().fold(false, |moved, (lineage, time)| self.advance(lineage, *time) | moved)
    }

    /// Whether all that the other has is here too.
    pub fn covers(&self, other: &Self) -> bool {
        other.0.iter().all(|(lineage, time)| self.get(lineage) >= *time)
    }

    /// The same, but nothing after `time`.
    #[must_use]
    pub fn until(&self, time: Timestamp) -> Self {
        Self(self.0.iter().map(|(lineage, has)| (lineage.clone(), (*has).min(time))).collect())
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Lineage, Timestamp)> {
        self.0.iter().map(|(lineage, time)| (lineage, *time))
    }

    /// Of a region, every lineage.
    pub fn of_region<'a>(&'a self, region: &'a str) -> impl Iterator<Item = (&'a Lineage, Timestamp)> {
        self.0.iter().filter(move |(lineage, _)| lineage.region == region).map(|(lineage, time)| (lineage, *time))
    }

    /// Whether a version is here or was, though not by which lineage it was written: so all those must be covered of which
    /// `source`, that still has the version, knows; and what the founder's table held from before.
    pub(crate) fn covers_version(&self, version: &Version, source: &Self, founder: Option<&Lineage>) -> bool {
        self.of_region(&version.region).any(|(_, has)| has >= version.time)
            && source.of_region(&version.region).all(|(lineage, theirs)| self.get(lineage) >= theirs.min(version.time))
            && founder.is_none_or(|founder| self.get(founder) >= founder.since)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl FromIterator<(Lineage, Timestamp)> for Vector {
    fn from_iter<T: IntoIterator<Item = (Lineage, Timestamp)>>(pairs: T) -> Self {
        Self(pairs.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lineage(region: &str, number: u8) -> Lineage {
        Lineage { region: region.into(), since: Timestamp(1), partition: PartitionId([number; 16]) }
    }

    fn vector(pairs: &[(&str, u8, u64)]) -> Vector {
        pairs.iter().map(|(region, number, time)| (lineage(region, *number), Timestamp(*time))).collect()
    }

    #[test]
    fn a_vector_only_goes_forward() {
        let mut has = vector(&[("west", 1, 5)]);
        assert!(!has.advance(&lineage("west", 1), Timestamp(5)));
        assert!(has.merge(&vector(&[("west", 1, 3), ("east", 1, 1)])));
        assert_eq!(has, vector(&[("west", 1, 5), ("east", 1, 1)]));
        assert!(has.covers(&vector(&[("west", 1, 5)])) && !vector(&[]).covers(&has));
    }

    #[test]
    fn a_version_is_covered_only_if_every_lineage_that_may_have_written_it_is() {
        let version = |time| Version { time: Timestamp(time), region: "west".into() };
        let has = vector(&[("west", 2, 100)]);
        assert!(has.covers_version(&version(100), &vector(&[("west", 2, 90)]), None));
        assert!(!has.covers_version(&version(101), &vector(&[("west", 2, 120)]), None));
        // A table made anew in the west has stamped on, but lacks what the one before it wrote.
        assert!(!has.covers_version(&version(50), &vector(&[("west", 1, 60)]), None));
        assert!(!vector(&[]).covers_version(&version(50), &vector(&[]), None));
    }

    #[test]
    fn what_the_founder_held_from_before_is_covered_only_by_who_has_all_of_it() {
        let version = Version { time: Timestamp(50), region: "west".into() };
        let (west, both) = (vector(&[("west", 2, 100)]), vector(&[("west", 2, 100), ("east", 1, 1)]));
        let founder = lineage("east", 1);
        assert!(!west.covers_version(&version, &west, Some(&founder)));
        assert!(both.covers_version(&version, &both, Some(&founder)));
    }
}
