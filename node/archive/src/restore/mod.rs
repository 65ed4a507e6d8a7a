//! What a table is restored from, and the reading of it, from the bucket alone: its nodes and volumes may be gone.

pub(crate) mod history;
mod plan;
mod run;

pub use plan::{PartitionPlan, RestorePlan};
pub use run::RestoreSink;

use crate::{
    ArchiveError, Bucket, Recovery, TablePath, backup, document, layout,
    presence::Finding,
    table::{self, ArchivedTable},
    window,
};
use cairn_model::{ids::TableId, time::Timestamp};
use futures::{StreamExt, stream};

const READS_AT_ONCE: usize = 8;

/// A table, by its name or its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableRef<'a> {
    Name(&'a str),
    Id(TableId),
}

/// The tables the archive knows of under a name or an id, also deleted ones; the youngest first. Fails where there is none
/// but one whose document cannot be read.
pub async fn find_table(
    bucket: &Bucket,
    cluster: &str,
    account: &str,
    by: TableRef<'_>,
) -> Result<Vec<ArchivedTable>, ArchiveError> {
    let ids: Vec<TableId> = match by {
        TableRef::Id(id) => vec![id],
        TableRef::Name(_) => {
            let names = bucket.folders(&layout::account(cluster, account)).await?;
            names.iter().filter_map(|name| name.parse().ok()).collect()
        }
    };
    let read = |table_id| async move {
        let path = TablePath { cluster: cluster.into(), account: account.into(), table_id };
        table::get(bucket, &path).await
    };
    let mut read = std::pin::pin!(stream::iter(ids).map(read).buffered(READS_AT_ONCE));
    let (mut tables, mut unusable) = (Vec::<ArchivedTable>::new(), None);
    while let Some(read) = read.next().await {
        match read {
            Ok(table) if matches!(by, TableRef::Name(name) if name != table.definition.table_name) => {}
            Ok(table) => tables.push(table),
            Err(ArchiveError::NotFound { .. }) => {}
            Err(error) if document::is_unusable(&error) => {
                tracing::warn!(%error, "passed over a table of the archive");
                unusable = Some(error);
            }
            Err(error) => return Err(error),
        }
    }
    // That may be the one that is looked for.
    if let Some(error) = unusable.filter(|_| tables.is_empty()) {
        return Err(error);
    }
    tables.sort_by_key(|table| std::cmp::Reverse(table.definition.creation_time_ms));
    Ok(tables)
}

/// What can be restored of a table: all objects are looked for, none is read.
pub async fn recoverable(bucket: &Bucket, path: &TablePath) -> Result<Recovery, ArchiveError> {
    let table = table::get(bucket, path).await?;
    let histories = history::load(bucket, path, &[]).await?;
    let windows = history::windows(&histories, floor(&table));
    let problems = histories.iter().flat_map(|history| &history.problems).map(Finding::to_string).collect();
    Ok(Recovery { windows, problems })
}

/// How a table is restored as of `at`: with every entry whose time is at or before it, and every transaction over several tables
/// that was decided by then. All objects are looked for
/// first. `except` are objects that an earlier attempt found damaged ([`ArchiveError::Hole`]): it is planned without them.
pub async fn plan(
    bucket: &Bucket,
    path: &TablePath,
    at: Timestamp,
    except: &[String],
) -> Result<RestorePlan, ArchiveError> {
    plan_from(bucket, path, at, at, except).await
}

/// As [`plan`], but so that every entry after `from` is read from the log, and is seen.
pub async fn plan_from(
    bucket: &Bucket,
    path: &TablePath,
    from: Timestamp,
    at: Timestamp,
    except: &[String],
) -> Result<RestorePlan, ArchiveError> {
    let table = table::get(bucket, path).await?;
    let histories = history::load(bucket, path, except).await?;
    let windows = history::windows(&histories, floor(&table));
    let chosen = history::covering(&histories, at).filter(|_| windows.iter().any(|window| window.contains(at)));
    let Some(chosen) = chosen else {
        let problems: Vec<String> =
            histories.iter().flat_map(|history| &history.problems).map(Finding::to_string).take(3).collect();
        let reason = match (problems.is_empty(), windows.is_empty()) {
            (true, true) => "nothing of it is in the archive yet".into(),
            (true, false) => "that is not in its recovery period, or not in the archive yet".into(),
            (false, _) => problems.join("; "),
        };
        return Err(ArchiveError::NotRestorable { at, reason, nearest: window::nearest(&windows, at), windows });
    };
    RestorePlan::at(bucket, table.definition, from, at, chosen)
}

/// How a table is restored from a backup.
pub async fn plan_backup(
    bucket: &Bucket,
    cluster: &str,
    account: &str,
    backup_id: &str,
) -> Result<RestorePlan, ArchiveError> {
    let backup = backup::get(bucket, cluster, account, backup_id).await?;
    Ok(RestorePlan::of_backup(bucket, cluster, account, backup))
}

/// No earlier time can be asked for: the table was not there, or its recovery was not on.
fn floor(table: &ArchivedTable) -> Timestamp {
    let definition = &table.definition;
    let enabled_at_ms = definition.continuous_backups.map_or(0, |backups| backups.enabled_at_ms);
    Timestamp::from_millis(definition.creation_time_ms.max(enabled_at_ms))
}
