//! One page of ListBackups out of several sorted sources: what each group's bucket has, and what is being made.

use crate::{internal::client::GroupName, router::archives::Archives};
use cairn_api::{
    backups::{BackupDescription, BackupFilter, BackupPage, BackupSummary},
    errors,
};
use cairn_model::ServiceError;
use futures::future::try_join_all;
use std::collections::BTreeMap;

/// Backups asked for at once.
const PAGE: usize = 100;
/// Pages a group is asked for in one call: a filter that matches little may have to look at all.
const PAGES_MAX: usize = 1_000;

/// What of a group's list has been read.
struct Source {
    group: GroupName,
    /// Up to here, inclusive; everything where `ended`.
    read_to: Option<String>,
    ended: bool,
    pages: usize,
}

/// At most `limit` backups that the filter lets through, with ids above `after`, in ascending order of their ids; each once,
/// though several groups share a bucket. `creating`, by id, are those that may not be in a bucket yet.
pub(super) async fn page(
    archives: &Archives,
    groups: Vec<GroupName>,
    creating: BTreeMap<String, BackupSummary>,
    filter: &BackupFilter,
    limit: usize,
    after: Option<&str>,
) -> Result<BackupPage, ServiceError> {
    let mut known = creating;
    known.retain(|id, _| after.is_none_or(|after| id.as_str() > after));
    let source = |group| Source { group, read_to: after.map(str::to_owned), ended: false, pages: 0 };
    let mut sources: Vec<Source> = groups.into_iter().map(source).collect();
    let mut backups = Vec::new();
    loop {
        // Below what every source was read to, nothing is missing.
        let complete_to = sources.iter().filter(|source| !source.ended).map(|source| &source.read_to).min();
        while let Some(first) = known.first_entry() {
            if complete_to.is_some_and(|to| to.as_ref().is_none_or(|to| first.key() > to)) {
                break;
            }
            let backup = first.remove();
            if !filter.matches(&backup) {
                continue;
            }
            if backups.len() == limit {
                return Ok(BackupPage { backups, more: true });
            }
            backups.push(backup);
        }
        let behind = complete_to.cloned();
        let Some(behind) = behind else { return Ok(BackupPage { backups, more: false }) };
        let behind = sources.iter_mut().filter(|source| !source.ended && source.read_to == behind);
        for read in try_join_all(behind.map(|source| source.read(archives))).await? {
            known.extend(read);
        }
    }
}

impl Source {
    /// The next page.
    async fn read(&mut self, archives: &Archives) -> Result<Vec<(String, BackupSummary)>, ServiceError> {
        let listed = archives.list_backups(&self.group, self.read_to.clone(), PAGE).await;
        let (reports, more) = listed.map_err(|error| error.internal("list the backups"))?;
        let mut read = Vec::with_capacity(reports.len());
        for report in reports {
            let id = report.order.backup_id.clone();
            if self.read_to.as_ref().is_some_and(|to| id <= *to) {
                tracing::error!(group = self.group.group, id, "an archive lists backups out of order");
                return Err(errors::internal());
            }
            self.read_to = Some(id.clone());
            read.push((id, BackupDescription::from(report).summary()));
        }
        self.pages += 1;
        self.ended = !more || read.is_empty();
        if self.pages == PAGES_MAX && !self.ended {
            tracing::error!(group = self.group.group, "the account has more backups than can be looked through");
            return Err(errors::internal());
        }
        Ok(read)
    }
}
