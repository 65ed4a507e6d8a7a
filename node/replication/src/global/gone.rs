//! The tables that were taken out of a global table: none of them may come back with what it had.

use super::{Lineage, Vector};
use cairn_model::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Regions of which it is noted.
const GONE_MAX: usize = 128;

/// By region, the last of its tables that is gone; those before it are gone as well.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone(BTreeMap<String, Ended>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Ended {
    lineage: Lineage,
    /// As much of it as anyone had who was joined with it: whoever has more took it later.
    until: Timestamp,
}

impl Gone {
    pub fn contains(&self, lineage: &Lineage) -> bool {
        self.0.get(&lineage.region).is_some_and(|gone| *lineage <= gone.lineage)
    }

    /// Notes one; false if there is no room for it.
    pub(crate) fn note(&mut self, lineage: &Lineage, until: Timestamp) -> bool {
        let has_room = self.0.len() < GONE_MAX;
        match self.0.get_mut(&lineage.region) {
            Some(gone) if *lineage == gone.lineage => gone.until = gone.until.max(until),
            Some(gone) if *lineage < gone.lineage => {}
            None if !has_room => return false,
            _ => {
                self.0.insert(lineage.region.clone(), Ended { lineage: lineage.clone(), until });
            }
        }
        true
    }

    /// Notes what another one has noted. True if that was news.
    pub(crate) fn merge(&mut self, other: &Self) -> bool {
        let before = self.clone();
        other.0.values().for_each(|gone| {
            self.note(&gone.lineage, gone.until);
        });
        *self != before
    }

    /// One of which `has` has more than those had who were joined with it.
    pub(crate) fn of_which_more_is_in(&self, has: &Vector) -> Option<&Lineage> {
        self.0.values().find(|gone| has.get(&gone.lineage) > gone.until).map(|gone| &gone.lineage)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Lineage> {
        self.0.values().map(|gone| &gone.lineage)
    }

    pub(crate) fn regions(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_model::ids::PartitionId;

    fn lineage(region: &str, since: u64) -> Lineage {
        Lineage { region: region.into(), since: Timestamp(since), partition: PartitionId([1; 16]) }
    }

    #[test]
    fn with_a_table_of_a_region_those_before_it_are_gone_and_none_after_it() {
        let mut gone = Gone::default();
        assert!(gone.note(&lineage("west", 5), Timestamp(9)) && gone.note(&lineage("west", 3), Timestamp(9)));
        assert!(gone.contains(&lineage("west", 4)) && gone.contains(&lineage("west", 5)));
        assert!(!gone.contains(&lineage("west", 6)) && !gone.contains(&lineage("east", 1)));
    }

    #[test]
    fn what_is_gone_is_noted_of_so_many_regions_and_none_is_dropped_for_another() {
        let mut gone = Gone::default();
        assert!((0..GONE_MAX).all(|number| gone.note(&lineage(&number.to_string(), 1), Timestamp(9))));
        assert!(!gone.note(&lineage("west", 1), Timestamp(9)) && gone.note(&lineage("7", 2), Timestamp(9)));
        assert_eq!(gone.len(), GONE_MAX);
    }

    #[test]
    fn of_what_is_gone_the_most_counts_that_any_had_who_noted_it() {
        let (mut one, mut other) = (Gone::default(), Gone::default());
        one.note(&lineage("west", 5), Timestamp(7));
        other.note(&lineage("west", 5), Timestamp(8));
        assert!(one.merge(&other) && !one.merge(&other));
        let has = |time| [(lineage("west", 5), Timestamp(time))].into_iter().collect::<Vector>();
        assert_eq!(one.of_which_more_is_in(&has(8)), None);
        assert_eq!(one.of_which_more_is_in(&has(9)), Some(&lineage("west", 5)));
    }
}
