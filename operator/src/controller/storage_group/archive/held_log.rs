//! How much of the log waits for the archive, by table.

use super::{Finding, LOG_HELD};
use cairn_model::node::NodeReport;
use std::collections::BTreeMap;

/// Half of what a node keeps for its archive.
const BYTES_MAX: u64 = 512 << 20;
/// Bytes are told in steps: else every look at them would be a new status.
const STEP_BYTES: u64 = 64 << 20;
/// How many tables a message names.
const TOLD_MAX: usize = 5;

/// The most that any replica of a table holds.
#[derive(Clone, Debug)]
pub(super) struct HeldLog<'a>(BTreeMap<&'a str, u64>);

impl<'a> HeldLog<'a> {
    pub(super) fn of(reports: impl Iterator<Item = &'a NodeReport>) -> Self {
        let mut tables = BTreeMap::new();
        for replica in reports.flat_map(|report| &report.replicas) {
            let most = tables.entry(replica.definition.table_name.as_str()).or_default();
            *most = replica.unarchived_bytes.max(*most);
        }
        Self(tables)
    }

    pub(super) fn bytes_most(&self) -> u64 {
        self.0.values().copied().max().unwrap_or_default()
    }

    pub(super) fn finding(&self) -> Finding {
        let behind: Vec<_> = self.0.iter().filter(|(_, bytes)| **bytes > BYTES_MAX).collect();
        if behind.is_empty() {
            let message = "the archives keep up with the log".to_owned();
            return Finding { type_: LOG_HELD, is_true: false, is_well: true, reason: "ArchiveKeepsUp", message };
        }
        let say =
            |(table, bytes): &(&&str, &u64)| format!("{table} ({} MiB)", (**bytes / STEP_BYTES * STEP_BYTES) >> 20);
        let mut tables = behind.iter().take(TOLD_MAX).map(say).collect::<Vec<_>>().join(", ");
        if let more @ 1.. = behind.len().saturating_sub(TOLD_MAX) {
            tables = format!("{tables} and {more} more");
        }
        let message = format!(
            "log of {tables} waits: the archive is behind; when 1 GiB is reached the log is given up and times between can't be restored. \
             The condition ArchiveHealthy says whether it reaches the bucket"
        );
        Finding { type_: LOG_HELD, is_true: true, is_well: false, reason: "ArchiveBehind", message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::table::fixture;
    use std::sync::Arc;

    fn finding(bytes: u64) -> Finding {
        let mut reports = fixture::reports_of_one_table(3);
        Arc::make_mut(&mut reports[1]).replicas[0].unarchived_bytes = bytes;
        HeldLog::of(reports.iter().map(AsRef::as_ref)).finding()
    }

    #[test]
    fn log_that_waits_is_told_with_the_table_and_what_will_happen() {
        let finding = finding(BYTES_MAX + STEP_BYTES + 7);
        assert!(finding.is_true && !finding.is_well);
        assert!(finding.message.contains("(576 MiB)") && finding.message.contains("can't be restored"), "{finding:?}");
        let table = &fixture::reports_of_one_table(1)[0].replicas[0].definition.table_name;
        assert!(finding.message.contains(table.as_str()), "{finding:?}");
    }

    #[test]
    fn what_an_archive_has_not_taken_yet_is_no_trouble_until_it_is_much() {
        let finding = finding(BYTES_MAX);
        assert!(!finding.is_true && finding.is_well);
    }
}
