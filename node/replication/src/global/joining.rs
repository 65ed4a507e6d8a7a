//! Which two tables may be joined.
//!
//! A tombstone is there until all members have it. So two tables may be joined only if nothing that one of them has was
//! deleted in the other without them:
//!
//! - *One founder.* Of a table that held items when it became global, nobody has the tombstones from before: it is the
//!   founder of all that has its items, and of two that have different founders, neither takes from the other. Tables that
//!   became global empty take the founder of whom they take from; but for those that were joined with others without one,
//!   and have had items since: a table that is then put back from a backup has what they deleted.
//! - *No way back.* Who went out of the union of the members is noted as gone, in the same entry with which the tombstones go
//!   that wait for it no longer. All who hear of it note it too. A table made anew is another lineage.
//! - *Not by a third either.* Whoever is new must not have more of one that is gone than those have who were joined with it:
//!   that was taken from it later.
//! - *Not after a time alone.* A table that was not global for a while is another lineage as well, and one that held items is
//!   its own founder: whoever knows of its life before does not take it back.

use super::{Gone, Lineage, NotEmpty, Vector};

/// One of the two.
pub(crate) struct Side<'a> {
    pub(crate) lineage: &'a Lineage,
    pub(crate) founder: Option<&'a Lineage>,
    pub(crate) is_settled: bool,
    pub(crate) has: &'a Vector,
    pub(crate) gone: &'a Gone,
    /// Lineages that it has heard of.
    pub(crate) heard: Vec<&'a Lineage>,
}

/// Why these two must not be joined, as this region tells it; if they are not yet, of whom else they have anything counts too.
pub(crate) fn refusal(here: &Side<'_>, there: &Side<'_>, is_new: bool) -> Option<NotEmpty> {
    let region = || there.lineage.region.clone();
    let pairs = [(here, there), (there, here)];
    if pairs.iter().any(|(one, other)| one.gone.contains(other.lineage) || one.knew(other)) {
        return Some(NotEmpty::Parted { region: region() });
    }
    let takes_founder = |side: &Side<'_>| side.founder.is_none() && !side.is_settled;
    if here.founder != there.founder && !takes_founder(here) && !takes_founder(there) {
        return Some(NotEmpty::BothHeldItems { region: region() });
    }
    let gone = pairs.iter().find_map(|(one, other)| one.gone.of_which_more_is_in(other.has)).filter(|_| is_new);
    gone.map(|gone| NotEmpty::OfOneGone { region: region(), gone: gone.region.clone() })
}

impl Side<'_> {
    /// Whether the other has the items of a table whose life before is known here.
    fn knew(&self, other: &Side<'_>) -> bool {
        let Some(founder) = other.founder.filter(|founder| self.founder != Some(*founder)) else { return false };
        self.heard.iter().copied().chain(self.gone.iter()).any(|lineage| lineage.is_other_life_of(founder))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_model::{ids::PartitionId, time::Timestamp};

    fn lineage(region: &str, since: u64) -> Lineage {
        Lineage { region: region.into(), since: Timestamp(since), partition: PartitionId([1; 16]) }
    }

    /// What a side owns.
    #[derive(Clone)]
    struct Table {
        lineage: Lineage,
        founder: Option<Lineage>,
        is_settled: bool,
        has: Vector,
        gone: Gone,
    }

    impl Table {
        fn empty(region: &str, since: u64) -> Self {
            Self {
                lineage: lineage(region, since),
                founder: None,
                is_settled: false,
                has: Vector::default(),
                gone: Gone::default(),
            }
        }

        fn with_items(region: &str, since: u64) -> Self {
            Self { founder: Some(lineage(region, since)), ..Self::empty(region, since) }
        }

        fn having(mut self, lineage: Lineage, time: u64) -> Self {
            self.has.advance(&lineage, Timestamp(time));
            self
        }

        fn without(mut self, lineage: &Lineage) -> Self {
            self.gone.note(lineage, self.has.get(lineage));
            self
        }

        fn side(&self) -> Side<'_> {
            Side {
                lineage: &self.lineage,
                founder: self.founder.as_ref(),
                is_settled: self.is_settled,
                has: &self.has,
                gone: &self.gone,
                heard: self.has.iter().map(|(lineage, _)| lineage).collect(),
            }
        }
    }

    /// What either says of the other: never does one take what the other does not ship.
    fn refused(here: &Table, there: &Table, is_new: bool) -> Option<NotEmpty> {
        let refused = refusal(&here.side(), &there.side(), is_new);
        assert_eq!(refused.is_some(), refusal(&there.side(), &here.side(), is_new).is_some());
        refused
    }

    fn parted() -> Option<NotEmpty> {
        Some(NotEmpty::Parted { region: "west".into() })
    }

    #[test]
    fn a_table_with_items_and_an_empty_one_are_joined_and_two_with_items_are_not() {
        let (east, west) = (Table::with_items("east", 1), Table::with_items("west", 2));
        assert_eq!(refused(&east, &Table::empty("west", 2), true), None);
        assert_eq!(refused(&Table::empty("east", 1), &Table::empty("west", 2), true), None);
        let both = Some(NotEmpty::BothHeldItems { region: "west".into() });
        assert_eq!(refused(&east, &west, true), both);
        let joined = Table { founder: west.founder.clone(), ..Table::empty("west", 9) };
        assert_eq!(refused(&east, &joined, true), both, "it has the items of another one");
        assert_eq!(refused(&east, &joined, false), both, "since then");
    }

    #[test]
    fn those_that_were_joined_empty_and_have_items_now_take_no_table_that_has_others() {
        let east = Table { is_settled: true, ..Table::empty("east", 1) };
        let both = Some(NotEmpty::BothHeldItems { region: "west".into() });
        assert_eq!(refused(&east, &Table::with_items("west", 2), true), both);
        assert_eq!(refused(&east, &Table::empty("west", 2), true), None);
        let settled = Table { is_settled: true, ..Table::empty("west", 2) };
        assert_eq!(refused(&east, &settled, true), None);
    }

    #[test]
    fn one_that_is_gone_does_not_come_back_and_one_made_anew_does() {
        let gone = lineage("west", 2);
        let east = Table::with_items("east", 1).without(&gone);
        assert_eq!(refused(&east, &Table::empty("west", 2), true), parted());
        assert_eq!(refused(&east, &Table::empty("west", 3), true), None);
    }

    #[test]
    fn one_that_was_not_global_for_a_while_comes_back_only_empty() {
        for east in [
            Table::empty("east", 1).having(lineage("west", 2), 5),
            Table::with_items("east", 1).without(&lineage("west", 2)),
        ] {
            assert_eq!(refused(&east, &Table::with_items("west", 9), true), parted());
            assert_eq!(refused(&east, &Table::empty("west", 9), true), None);
        }
    }

    #[test]
    fn whoever_has_taken_from_one_that_is_gone_is_not_joined() {
        let gone = lineage("north", 2);
        let east = Table::empty("east", 1).having(gone.clone(), 5).without(&gone);
        let (before, after) =
            (Table::empty("west", 3).having(gone.clone(), 5), Table::empty("west", 3).having(gone, 6));
        assert_eq!(refused(&east, &before, true), None);
        let found = refused(&east, &after, true);
        assert_eq!(found, Some(NotEmpty::OfOneGone { region: "west".into(), gone: "north".into() }));
        assert_eq!(refused(&east, &after, false), None, "who was joined with it had the tombstones");
    }
}
