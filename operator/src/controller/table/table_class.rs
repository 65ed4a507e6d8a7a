//! When a table's class changed, whoever asked for it: what the nodes hold is compared with what they held before.

use cairn_crds::{TableResourceStatus, table::TableClassStatus};
use cairn_model::{
    table::TableDefinition,
    table_class::{PERIOD_DAYS, TableClassHistory, UPDATES_MAX},
};
use jiff::Timestamp;

/// Takes note of what the nodes hold.
pub fn note(status: &mut TableResourceStatus, held: &TableDefinition, now: Timestamp) {
    status.table_class = TableClassStatus::of(&history(status, held, now));
}

/// Has what is wanted keep the class that the nodes hold, where it can't change yet. Says what it waits for.
pub fn hold_back(
    status: &TableResourceStatus,
    held: &TableDefinition,
    wanted: &mut TableDefinition,
    now: Timestamp,
) -> Option<String> {
    if wanted.table_class.unwrap_or_default() == held.table_class.unwrap_or_default() {
        return None;
    }
    let next_ms = history(status, held, now).next_update_ms(millis(now))?;
    let next = i64::try_from(next_ms).ok().and_then(|millis| Timestamp::from_millisecond(millis).ok())?;
    wanted.table_class = held.table_class;
    Some(format!(
        "spec.tableClass is another than the table's, which can change {UPDATES_MAX} times in {PERIOD_DAYS} days: it will at \
         {next}, unless it is changed before"
    ))
}

/// With what the nodes hold now.
fn history(status: &TableResourceStatus, held: &TableDefinition, now: Timestamp) -> TableClassHistory {
    let mut history = status.table_class.as_ref().map(TableClassStatus::history).unwrap_or_default();
    history.note(held.table_class.unwrap_or_default(), millis(now));
    history
}

fn millis(time: Timestamp) -> u64 {
    u64::try_from(time.as_millisecond()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::table::fixture;
    use cairn_model::table::TableClass::{self, Standard, StandardInfrequentAccess};

    fn of(table_class: TableClass) -> TableDefinition {
        TableDefinition { table_class: Some(table_class), ..fixture::definition() }
    }

    #[test]
    fn a_third_change_of_a_manifest_waits_for_its_time_and_holds_back_only_itself() {
        let mut status = TableResourceStatus::default();
        let at = |second| Timestamp::from_second(second).unwrap();
        for (held, second) in [(fixture::definition(), 1), (of(StandardInfrequentAccess), 2)] {
            note(&mut status, &held, at(second));
            assert_eq!(hold_back(&status, &held, &mut of(Standard), at(second)), None);
        }
        let mut wanted = TableDefinition { deletion_protection_enabled: true, ..of(StandardInfrequentAccess) };
        let expected = TableDefinition { table_class: Some(Standard), ..wanted.clone() };
        let waits = hold_back(&status, &of(Standard), &mut wanted, at(3)).unwrap();
        assert!(waits.contains("spec.tableClass") && waits.contains("it will at 1970-01-31T00:00:02Z"), "{waits}");
        assert_eq!(wanted, expected);
        note(&mut status, &of(Standard), at(3));
        let later = at(30 * 24 * 3_600 + 2);
        assert_eq!(hold_back(&status, &of(Standard), &mut of(StandardInfrequentAccess), later), None);
    }
}
