//! The local indexes of one table together: their slots, and whether two tables have the same.

use super::{LOCAL_INDEXES_MAX, LocalIndex};
use std::collections::BTreeSet;

/// A table's indexes with their slots: by the order of their names, so that all who make a definition of the same indexes make
/// the same one, in whatever order they are told them.
pub fn in_slots(mut indexes: Vec<LocalIndex>) -> Vec<LocalIndex> {
    let mut names: Vec<String> = indexes.iter().map(|index| index.index_name.clone()).collect();
    names.sort();
    for index in &mut indexes {
        let place = names.partition_point(|name| *name < index.index_name);
        index.slot = u8::try_from(place + 1).unwrap_or(u8::MAX);
    }
    indexes
}

/// Whether two tables have the same local indexes: by name, sort key and projection, in whatever order and slots.
pub fn are_same(one: &[LocalIndex], other: &[LocalIndex]) -> bool {
    one.len() == other.len() && first_without_equal(one, other).is_none()
}

/// The first of some indexes that is not, as it is, among the others.
pub fn first_without_equal<'a>(indexes: &'a [LocalIndex], among: &[LocalIndex]) -> Option<&'a LocalIndex> {
    indexes.iter().find(|index| !among.iter().any(|other| index.is_like(other)))
}

/// Why a table can't have these local indexes: each needs a slot and a name of its own.
pub fn flaw(indexes: &[LocalIndex]) -> Option<String> {
    let mut slots = BTreeSet::new();
    let mut names = BTreeSet::new();
    indexes.iter().find_map(|index| {
        let name = &index.index_name;
        if !(1..=LOCAL_INDEXES_MAX).contains(&usize::from(index.slot)) || !slots.insert(index.slot) {
            return Some(format!("localIndexes: the slot {} of {name:?} is none of its own", index.slot));
        }
        (!names.insert(name)).then(|| format!("localIndexes: {name:?} is there twice"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        index::{IndexProjection, ProjectionType},
        table::{KeyAttribute, ScalarType},
    };

    fn key(name: &str) -> KeyAttribute {
        KeyAttribute { name: name.into(), scalar_type: ScalarType::S }
    }

    fn index(name: &str) -> LocalIndex {
        let projection = IndexProjection { projection_type: ProjectionType::All, non_key_attributes: BTreeSet::new() };
        LocalIndex { index_name: name.into(), slot: 0, sort: key("At"), projection }
    }

    fn slots(names: &[&str]) -> Vec<u8> {
        let indexes = in_slots(names.iter().map(|name| index(name)).collect());
        assert!(indexes.iter().map(|index| index.index_name.as_str()).eq(names.iter().copied()), "the order stays");
        indexes.iter().map(|index| index.slot).collect()
    }

    #[test]
    fn slots_follow_the_names_whatever_the_order() {
        assert_eq!(slots(&["by-rank", "by-age", "by-zone"]), [2, 1, 3]);
        assert_eq!(slots(&["by-zone", "by-rank", "by-age"]), [3, 2, 1]);
    }

    #[test]
    fn indexes_are_the_same_by_what_they_are_and_not_by_their_slots() {
        let one = in_slots(vec![index("by-age"), index("by-rank")]);
        let other = vec![LocalIndex { slot: 4, ..index("by-rank") }, LocalIndex { slot: 5, ..index("by-age") }];
        assert!(are_same(&one, &other));
        let projection = IndexProjection { projection_type: ProjectionType::KeysOnly, ..other[0].projection.clone() };
        for changed in [
            vec![],
            vec![index("by-age")],
            vec![index("by-age"), index("by-zone")],
            vec![index("by-age"), LocalIndex { sort: key("Other"), ..index("by-rank") }],
            vec![index("by-age"), LocalIndex { projection, ..index("by-rank") }],
        ] {
            assert!(!are_same(&one, &changed) && !are_same(&changed, &one), "{changed:?}");
        }
    }

    #[test]
    fn indexes_need_slots_and_names_of_their_own() {
        assert_eq!(flaw(&in_slots(vec![index("by-age"), index("by-rank")])), None);
        let shared = vec![LocalIndex { slot: 1, ..index("by-age") }, LocalIndex { slot: 1, ..index("by-rank") }];
        let twice = vec![LocalIndex { slot: 1, ..index("by-age") }, LocalIndex { slot: 2, ..index("by-age") }];
        for flawed in [vec![index("by-age")], vec![LocalIndex { slot: 6, ..index("by-age") }], shared, twice] {
            assert!(flaw(&flawed).is_some(), "{flawed:?}");
        }
    }
}
