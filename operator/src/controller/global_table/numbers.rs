//! Numbers of a status that move by themselves: rounded, and not written down for every step.

use cairn_crds::{GlobalTableReplicaStatus, GlobalTableResourceStatus, condition};
use jiff::SignedDuration;

/// Of a description; a condition joins several.
const DESCRIPTION_BYTES_MAX: usize = 1_000;
/// Where only numbers moved, they are written down this often.
const WRITE_INTERVAL: SignedDuration = SignedDuration::from_secs(30);
/// A backlog this long is told while it grows or shrinks by half.
const BACKLOG: i64 = 1_000;

/// The number with two significant digits.
pub fn rounded(number: u64) -> i64 {
    let step = 10_u64.pow(number.checked_ilog10().unwrap_or(0).saturating_sub(1));
    i64::try_from(number / step * step).unwrap_or(i64::MAX)
}

/// Milliseconds for a person.
pub fn duration(millis: i64) -> String {
    if millis < 1_000 { format!("{millis}ms") } else { format!("{}s", millis / 1_000) }
}

pub fn bounded(text: &str) -> &str {
    condition::bounded(text, DESCRIPTION_BYTES_MAX)
}

/// Whether there is a backlog to be worked off.
pub fn is_behind(status: &GlobalTableResourceStatus) -> bool {
    status.pending_records.is_some_and(|pending| pending >= BACKLOG)
}

/// Whether the later status is worth writing over the one before.
pub fn is_news(before: &GlobalTableResourceStatus, after: &GlobalTableResourceStatus) -> bool {
    if with_numbers_of(after, before) != *before {
        return true;
    }
    let halves = |a: Option<i64>, b: Option<i64>| {
        let (low, high) = (a.min(b).unwrap_or(0), a.max(b).unwrap_or(0));
        high >= BACKLOG && low <= high / 2
    };
    let moved_on = match (&before.last_success, &after.last_success) {
        (Some(before), Some(after)) => after.0.duration_since(before.0).abs() >= WRITE_INTERVAL,
        (before, after) => before != after,
    };
    moved_on || halves(before.pending_records, after.pending_records)
}

/// The status with the numbers that another has.
fn with_numbers_of(status: &GlobalTableResourceStatus, other: &GlobalTableResourceStatus) -> GlobalTableResourceStatus {
    let mut status = status.clone();
    status.latency.clone_from(&other.latency);
    status.pending_records = other.pending_records;
    status.last_success.clone_from(&other.last_success);
    for replica in &mut status.replicas {
        if let Some(other) = other.replicas.iter().find(|other| other.region_name == replica.region_name) {
            *replica = GlobalTableReplicaStatus {
                latency_milliseconds: other.latency_milliseconds,
                pending_records: other.pending_records,
                last_success: other.last_success.clone(),
                ..replica.clone()
            };
        }
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_crds::table::recovery::time_of_millis;

    fn status(second: u64, pending: i64) -> GlobalTableResourceStatus {
        let last_success = Some(time_of_millis(second * 1_000));
        let replica = GlobalTableReplicaStatus {
            region_name: "west".into(),
            replica_status: "ACTIVE".into(),
            latency_milliseconds: Some(i64::try_from(second).unwrap()),
            last_success: last_success.clone(),
            ..GlobalTableReplicaStatus::default()
        };
        GlobalTableResourceStatus {
            pending_records: Some(pending),
            last_success,
            replicas: vec![replica],
            ..GlobalTableResourceStatus::default()
        }
    }

    #[test]
    fn a_number_keeps_two_digits() {
        let expected = [(0, 0), (7, 7), (42, 42), (123, 120), (9_999, 9_900), (u64::MAX, i64::MAX)];
        assert!(expected.iter().all(|(number, rounding)| rounded(*number) == *rounding), "{expected:?}");
        assert_eq!((duration(120), duration(1_200)), ("120ms".to_owned(), "1s".to_owned()));
    }

    #[test]
    fn numbers_that_move_are_written_down_twice_a_minute() {
        assert!(!is_news(&status(100, 0), &status(129, 7)));
        assert!(is_news(&status(100, 0), &status(130, 0)));
    }

    #[test]
    fn a_backlog_is_told_while_it_is_worked_off() {
        assert!(is_news(&status(100, 0), &status(101, 1_000)));
        assert!(!is_news(&status(100, 10_000), &status(101, 9_000)));
        assert!(is_news(&status(100, 10_000), &status(101, 5_000)) && is_behind(&status(1, 1_000)));
        assert!(!is_news(&status(100, 900), &status(101, 0)));
    }

    #[test]
    fn whatever_else_changes_is_written_down_at_once() {
        let mut after = status(101, 0);
        after.replicas[0].replica_status = "CREATING".into();
        assert!(is_news(&status(100, 0), &after));
        let mut first = status(100, 0);
        first.last_success = None;
        assert!(is_news(&first, &status(100, 0)));
    }
}
