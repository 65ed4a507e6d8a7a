//! What of a table's past can be restored, and which moment a time that is asked for means.

use cairn_archive::{
    ArchiveError, Bucket, Recovery, TablePath, Window,
    restore::{self, TableRef},
    table::ArchivedTable,
};
use cairn_model::{
    archive::{ArchiveOwner, RecoveryWindow, RestoreTime, TableReference},
    ids::TableId,
    table::TableDefinition,
    time::Timestamp,
};

const DAY_MS: u64 = 24 * 3_600 * 1_000;
/// Of a table whose recovery is off, or was at its end.
const PERIOD_DAYS_MAX: u64 = 35;
/// Deleted tables of one name that are looked at.
const SAME_NAME_MAX: usize = 16;
/// Windows and problems that a text names.
const NAMED_MAX: usize = 4;

/// What can be restored of a table by now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Past {
    /// Disjoint, ascending; each has a whole millisecond.
    windows: Vec<Window>,
    problems: Vec<String>,
}

impl Past {
    /// Nothing that is older than the recovery period.
    pub(crate) fn new(recovery: Recovery, table: &TableDefinition, now_ms: u64) -> Self {
        let days = table.continuous_backups.map_or(PERIOD_DAYS_MAX, |on| on.recovery_period_days.into());
        let floor = Timestamp::from_millis(now_ms.saturating_sub(days * DAY_MS));
        let mut windows = recovery.windows;
        windows.iter_mut().for_each(|window| window.earliest = window.earliest.max(floor));
        windows.retain(|window| window.earliest <= window.latest && earliest_ms(window) <= window.latest.millis());
        Self { windows, problems: recovery.problems }
    }

    /// In whole milliseconds.
    pub(crate) fn windows(&self) -> Vec<RecoveryWindow> {
        let whole = |window| RecoveryWindow { earliest_ms: earliest_ms(window), latest_ms: window.latest.millis() };
        self.windows.iter().map(whole).collect()
    }

    /// The moment that is meant: its millisecond, and all of that as far as it is known to be there. None where it can't be
    /// restored.
    pub(crate) fn moment(&self, time: RestoreTime) -> Option<(u64, Timestamp)> {
        let (window, at_ms) = match time {
            RestoreTime::Latest => self.windows.last().map(|window| (window, window.latest.millis())),
            RestoreTime::Millis(at_ms) => {
                let has = |window: &&Window| (earliest_ms(window)..=window.latest.millis()).contains(&at_ms);
                self.windows.iter().find(has).map(|window| (window, at_ms))
            }
        }?;
        Some((at_ms, Timestamp(Timestamp::from_millis(at_ms).0 | 0xFFFF).min(window.latest)))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.windows.is_empty()
    }

    /// Why a moment can't be restored, and what can.
    pub(crate) fn refusal(&self, table_name: &str, time: RestoreTime) -> String {
        let mut text = match time {
            _ if self.windows.is_empty() => {
                format!(
                    "nothing of the table {table_name} can be restored: nothing within its recovery period is in the archive, or not yet"
                )
            }
            RestoreTime::Latest => format!("the table {table_name} can't be restored"),
            RestoreTime::Millis(at_ms) => {
                let windows = self.windows();
                let nearest = windows.iter().map(|window| at_ms.clamp(window.earliest_ms, window.latest_ms));
                let nearest = nearest.min_by_key(|nearest| nearest.abs_diff(at_ms)).unwrap_or(at_ms);
                let named: Vec<String> = windows.iter().rev().take(NAMED_MAX).rev().map(span).collect();
                let at = iso_time(at_ms);
                let (spans, nearest) = (named.join(" and "), iso_time(nearest));
                format!(
                    "the table {table_name} can't be restored to {at}: it can be to times from {spans}; the nearest is {nearest}"
                )
            }
        };
        for problem in self.problems.iter().take(NAMED_MAX) {
            text.push_str("; ");
            text.push_str(problem);
        }
        text
    }

    pub(crate) fn into_problems(self) -> Vec<String> {
        self.problems
    }
}

fn span(window: &RecoveryWindow) -> String {
    format!("{} to {}", iso_time(window.earliest_ms), iso_time(window.latest_ms))
}

fn earliest_ms(window: &Window) -> u64 {
    window.earliest.0.div_ceil(1 << 16)
}

/// As people write it.
pub(crate) fn iso_time(millis: u64) -> String {
    let time = i64::try_from(millis).ok().and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    time.map_or_else(|| format!("{millis} ms"), |time| format!("{time:.3}"))
}

/// Where what belongs to a table of an account lies.
pub(crate) fn path_of(owner: &ArchiveOwner, table_id: TableId) -> TablePath {
    TablePath { cluster: owner.region.clone(), account: owner.account.clone(), table_id }
}

/// A table that the bucket knows, with its past: of several that had the name the one there is, else the youngest of which
/// anything can be restored, else the youngest. None where there is none.
pub(crate) async fn find(
    bucket: &Bucket,
    owner: &ArchiveOwner,
    table: &TableReference,
    now_ms: u64,
) -> Result<Option<(TableDefinition, Past)>, ArchiveError> {
    let by = match table {
        TableReference::Name(name) => TableRef::Name(name),
        TableReference::Id(id) => TableRef::Id(*id),
    };
    let mut found: Vec<ArchivedTable> = restore::find_table(bucket, &owner.region, &owner.account, by).await?;
    if let Some(there) = found.iter().position(|table| table.deleted_at_ms.is_none()) {
        found.swap(0, there);
        found.truncate(1);
    }
    let mut youngest = None;
    for ArchivedTable { definition, .. } in found.into_iter().take(SAME_NAME_MAX) {
        let past = past_of(bucket, owner, &definition, now_ms).await?;
        if !past.is_empty() {
            return Ok(Some((definition, past)));
        }
        youngest.get_or_insert((definition, past));
    }
    Ok(youngest)
}

async fn past_of(
    bucket: &Bucket,
    owner: &ArchiveOwner,
    table: &TableDefinition,
    now_ms: u64,
) -> Result<Past, ArchiveError> {
    match restore::recoverable(bucket, &path_of(owner, table.table_id)).await {
        Ok(recovery) => Ok(Past::new(recovery, table, now_ms)),
        Err(error @ (ArchiveError::Damaged { .. } | ArchiveError::NewerFormat { .. })) => {
            Ok(Past { windows: Vec::new(), problems: vec![error.text()] })
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::testing::definition;

    fn past(windows: &[(u64, u64)]) -> Past {
        let windows = windows
            .iter()
            .map(|(earliest, latest)| Window { earliest: Timestamp(*earliest), latest: Timestamp(*latest) })
            .collect();
        Past::new(Recovery { windows, problems: Vec::new() }, &definition("users", 7), 2_000)
    }

    const MS: u64 = 1 << 16;

    #[test]
    fn a_millisecond_means_all_of_it_as_far_as_it_is_known_to_be_there() {
        let past = past(&[(5 * MS + 1, 10 * MS + 7)]);
        assert_eq!(past.windows(), [RecoveryWindow { earliest_ms: 6, latest_ms: 10 }]);
        assert_eq!(past.moment(RestoreTime::Millis(6)), Some((6, Timestamp(6 * MS + 0xFFFF))));
        assert_eq!(past.moment(RestoreTime::Millis(10)), Some((10, Timestamp(10 * MS + 7))));
        assert_eq!(past.moment(RestoreTime::Latest), Some((10, Timestamp(10 * MS + 7))));
        for outside in [5, 11, u64::MAX] {
            assert_eq!(past.moment(RestoreTime::Millis(outside)), None, "{outside}");
        }
    }

    #[test]
    fn no_time_before_the_recovery_period_can_be_asked_for() {
        let now_ms = 100 * DAY_MS;
        let windows = vec![Window { earliest: Timestamp(0), latest: Timestamp::from_millis(now_ms) }];
        let recovery = Recovery { windows, problems: Vec::new() };
        let past = Past::new(recovery, &definition("users", 7), now_ms);
        assert_eq!(past.windows(), [RecoveryWindow { earliest_ms: 65 * DAY_MS, latest_ms: now_ms }]);
    }

    #[test]
    fn a_refusal_names_the_windows_and_the_nearest_time() {
        let past = past(&[(1_000 * MS, 2_000 * MS), (9_000 * MS, 10_000 * MS)]);
        let text = past.refusal("users", RestoreTime::Millis(4_000));
        for part in ["1970-01-01T00:00:01.000Z to 1970-01-01T00:00:02.000Z", "and 1970-01-01T00:00:09.000Z"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(text.ends_with("the nearest is 1970-01-01T00:00:02.000Z"), "{text}");
        assert!(Past::default().refusal("users", RestoreTime::Latest).contains("nothing of the table users"));
    }
}
