//! When a table's class was changed, and how soon it may be again: twice in a trailing period of 30 days (Developer Guide,
//! considerations when choosing a table class).

use crate::table::TableClass;
use serde::{Deserialize, Serialize};

/// Updates of the class in a period.
pub const UPDATES_MAX: usize = 2;
pub const PERIOD_DAYS: u64 = 30;
const PERIOD_MS: u64 = PERIOD_DAYS * 24 * 3_600 * 1_000;

/// All times are milliseconds since the Unix epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TableClassHistory {
    /// What the table had last; none before anybody looked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<TableClass>,
    /// Its last updates, [`UPDATES_MAX`] at most, the newest last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub updates_ms: Vec<u64>,
}

impl TableClassHistory {
    /// Takes note of the class that the table has now.
    pub fn note(&mut self, class: TableClass, now_ms: u64) {
        if self.class.replace(class).is_some_and(|before| before != class) {
            self.updates_ms.push(now_ms);
            let outdated = self.updates_ms.len().saturating_sub(UPDATES_MAX);
            self.updates_ms.drain(..outdated);
        }
    }

    /// When the table came to have this class, its last one or the one before, by an update; none where it was made with it.
    pub fn updated_to_ms(&self, class: TableClass) -> Option<u64> {
        let later = usize::from(self.class.is_some_and(|last| last != class));
        self.updates_ms.iter().rev().nth(later).copied()
    }

    /// When the class may be updated again; none where it may now.
    pub fn next_update_ms(&self, now_ms: u64) -> Option<u64> {
        let oldest_ms = self.updates_ms.iter().rev().nth(UPDATES_MAX - 1)?;
        Some(oldest_ms + PERIOD_MS).filter(|next_ms| *next_ms > now_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use TableClass::{Standard, StandardInfrequentAccess};

    #[test]
    fn a_third_update_waits_until_the_first_is_30_days_old() {
        let mut history = TableClassHistory::default();
        for (class, now_ms) in [(Standard, 1), (StandardInfrequentAccess, 2), (StandardInfrequentAccess, 3)] {
            history.note(class, now_ms);
        }
        assert_eq!((history.updates_ms.as_slice(), history.next_update_ms(3)), (&[2][..], None));
        history.note(Standard, 4);
        assert_eq!(history.next_update_ms(4), Some(2 + PERIOD_MS));
        assert_eq!(history.next_update_ms(2 + PERIOD_MS), None);
        history.note(StandardInfrequentAccess, 2 + PERIOD_MS);
        assert_eq!((history.updates_ms.len(), history.next_update_ms(3 + PERIOD_MS)), (2, Some(4 + PERIOD_MS)));
    }

    #[test]
    fn a_table_has_its_class_since_its_update_and_had_the_one_before_since_the_one_before() {
        let mut history = TableClassHistory::default();
        let mut since = |class, now_ms| {
            history.note(class, now_ms);
            [Standard, StandardInfrequentAccess].map(|class| history.updated_to_ms(class))
        };
        assert_eq!(since(Standard, 1), [None, None]);
        assert_eq!(since(StandardInfrequentAccess, 2), [None, Some(2)]);
        assert_eq!(since(Standard, 3), [Some(3), Some(2)]);
        assert_eq!(since(StandardInfrequentAccess, 4), [Some(3), Some(4)]);
    }

    #[test]
    fn the_class_that_a_table_is_made_with_is_no_update() {
        let mut history = TableClassHistory::default();
        history.note(StandardInfrequentAccess, 1);
        assert!(history.updates_ms.is_empty());
    }
}
