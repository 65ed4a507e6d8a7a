//! The tables that were taken out of a global table: none of them may come back with what it had.

use super::Lineage;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Regions of which it is noted.
const GONE_MAX: usize = 128;

/// By region, the last of its lineages that is gone; those before it are gone as well.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone(BTreeMap<String, Lineage>);

impl Gone {
    pub fn contains(&self, lineage: &Lineage) -> bool {
        self.0.get(&lineage.region).is_some_and(|gone| lineage <= gone)
    }

    /// Notes one; false if there is no room for it.
    pub(crate) fn note(&mut self, lineage: &Lineage) -> bool {
        if self.contains(lineage) {
            return true;
        }
        let has_room = self.0.contains_key(&lineage.region) || self.0.len() < GONE_MAX;
        if has_room {
            self.0.insert(lineage.region.clone(), lineage.clone());
        }
        has_room
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Lineage> {
        self.0.values()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_model::{ids::PartitionId, time::Timestamp};

    fn lineage(region: &str, since: u64) -> Lineage {
        Lineage { region: region.into(), since: Timestamp(since), partition: PartitionId([1; 16]) }
    }

    #[test]
    fn with_a_table_of_a_region_those_before_it_are_gone_and_none_after_it() {
        let mut gone = Gone::default();
        assert!(gone.note(&lineage("west", 5)) && gone.note(&lineage("west", 3)));
        assert!(gone.contains(&lineage("west", 4)) && gone.contains(&lineage("west", 5)));
        assert!(!gone.contains(&lineage("west", 6)) && !gone.contains(&lineage("east", 1)));
    }

    #[test]
    fn what_is_gone_is_noted_of_so_many_regions_and_none_is_dropped_for_another() {
        let mut gone = Gone::default();
        assert!((0..GONE_MAX).all(|number| gone.note(&lineage(&number.to_string(), 1))));
        assert!(!gone.note(&lineage("west", 1)) && gone.note(&lineage("7", 2)));
        assert_eq!(gone.len(), GONE_MAX);
    }
}
