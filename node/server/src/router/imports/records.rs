//! What the buckets of an account's groups know of imports. Groups may share one.

use crate::router::archives::{ArchiveError, Archives};
use cairn_api::{errors, imports::ImportReport};
use cairn_model::{ServiceError, archive::ArchiveRefusal};
use futures::{StreamExt, future::try_join_all};
use std::{collections::BTreeMap, sync::Arc};

/// Groups of an account asked at once.
const GROUPS_AT_ONCE: usize = 16;
/// Calls that one group is asked for one list: a table that is rare in it may need all.
const CALLS_MAX: usize = 100;

pub(super) struct Records {
    archives: Arc<Archives>,
}

impl Records {
    pub(super) fn new(archives: Arc<Archives>) -> Self {
        Self { archives }
    }

    /// The import of this id that is in the bucket of one of the account's groups.
    pub(super) async fn get(&self, account: &str, id: &str) -> Result<Option<ImportReport>, ServiceError> {
        let groups = self.archives.groups(account).into_iter();
        let asked = groups.map(|group| async move { self.archives.describe_import(&group, id).await });
        let mut answers = futures::stream::iter(asked).buffered(GROUPS_AT_ONCE);
        let mut failure: Option<ArchiveError> = None;
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(report) => return Ok(Some(report)),
                Err(error) if error.reason() == Some(ArchiveRefusal::NotFound) => {}
                Err(error) => failure = Some(error),
            }
        }
        failure.map_or(Ok(None), |error| Err(error.internal("look for an import")))
    }

    /// By their ids, the newest `limit` at least of those below `below` that were begun since then, those into one table if its
    /// ARN is given.
    pub(super) async fn list(
        &self,
        account: &str,
        table_arn: Option<&str>,
        below: Option<&str>,
        limit: usize,
        oldest_ms: u64,
    ) -> Result<BTreeMap<String, ImportReport>, ServiceError> {
        let groups = self.archives.groups(account);
        let read = groups.iter().map(|group| async move {
            let (mut found, mut below) = (Vec::new(), below.map(str::to_owned));
            for _ in 0..CALLS_MAX {
                let left = limit - found.len();
                let listed = self.archives.list_imports(group, table_arn, below.clone(), left).await;
                let (imports, read_to) = listed.map_err(|error| error.internal("list the imports"))?;
                found.extend(imports.into_iter().filter(|import| import.order.start_time_ms >= oldest_ms));
                let is_past = read_to.as_deref().is_some_and(|id| begun_ms(id) < oldest_ms);
                if read_to.is_none() || is_past || found.len() >= limit {
                    return Ok(found);
                }
                below = read_to;
            }
            tracing::error!(group = group.group, "the account has more imports than can be looked through");
            Err(errors::internal())
        });
        let all = try_join_all(read).await?.into_iter().flatten();
        Ok(all.map(|import| (import.order.import_id.clone(), import)).collect())
    }
}

/// When an import of this id was begun.
fn begun_ms(id: &str) -> u64 {
    id.split('-').next().and_then(|millis| millis.parse().ok()).unwrap_or_default()
}
