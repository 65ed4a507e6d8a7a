//! The exports of a cluster's tables: the archives of the storage groups make them and keep what is known of them in their
//! buckets. Those of one group may share theirs with another's.

use super::{
    archives::{ArchiveError, Archives},
    tables::Tables,
};
use crate::{
    archive::service::Refusal,
    exports::{ArchivedExports, ExportArchive},
    internal::client::GroupName,
};
use async_trait::async_trait;
use cairn_api::{Backups, Exports, TableView, arn::ExportArn};
use cairn_model::{
    archive::{ArchiveCall, ArchiveRefusal},
    export::ExportRecord,
};
use futures::{StreamExt, future::try_join_all};
use std::{collections::BTreeMap, sync::Arc};

/// Groups of an account asked at once.
const GROUPS_AT_ONCE: usize = 16;

struct ClusterExports {
    archives: Arc<Archives>,
    tables: Arc<Tables>,
}

/// `backups` say what can be exported.
pub fn cluster_exports(
    archives: Arc<Archives>,
    tables: Arc<Tables>,
    backups: Arc<dyn Backups>,
    region: String,
) -> Arc<dyn Exports> {
    Arc::new(ArchivedExports::new(ClusterExports { archives, tables }, backups, region))
}

impl From<ArchiveError> for Refusal {
    fn from(error: ArchiveError) -> Self {
        let reason = error.reason().unwrap_or(ArchiveRefusal::Failed);
        Self::new(reason, error.to_string())
    }
}

fn not_found(what: &str) -> Refusal {
    Refusal::new(ArchiveRefusal::NotFound, format!("no archive has {what}"))
}

impl ClusterExports {
    /// Where exports of the table are kept.
    fn group(&self, table: &TableView) -> Result<GroupName, Refusal> {
        self.tables.group(table).ok_or_else(|| not_found("the table"))
    }
}

#[async_trait]
impl ExportArchive for ClusterExports {
    async fn find(&self, table: &TableView, client_token: &str) -> Result<ExportRecord, Refusal> {
        let call = ArchiveCall::FindExport { client_token: client_token.to_owned() };
        Ok(self.archives.export(&self.group(table)?, &call).await?)
    }

    async fn begin(&self, table: &TableView, export: ExportRecord) -> Result<ExportRecord, Refusal> {
        let call = ArchiveCall::BeginExport { export: Box::new(export) };
        Ok(self.archives.export(&self.group(table)?, &call).await?)
    }

    async fn describe(&self, account: &str, arn: ExportArn<'_>) -> Result<ExportRecord, Refusal> {
        let (text, call) = (arn.to_string(), ArchiveCall::DescribeExport { export_id: arn.export_id.to_owned() });
        let asked = self.archives.groups(account).into_iter().map(|group| {
            let call = &call;
            async move { self.archives.export(&group, call).await }
        });
        let mut answers = futures::stream::iter(asked).buffered(GROUPS_AT_ONCE);
        let mut failure = None;
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(export) if export.arn == text => return Ok(export),
                Ok(_) => {}
                Err(error) if error.reason() == Some(ArchiveRefusal::NotFound) => {}
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.map_or_else(|| not_found("the export"), Refusal::from))
    }

    async fn list(
        &self,
        account: &str,
        table_arn: Option<&str>,
        before: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<ExportRecord>, bool), Refusal> {
        let (table_arn, before) = (table_arn.map(str::to_owned), before.map(str::to_owned));
        let call = ArchiveCall::ListExports { table_arn, before, limit };
        let groups = self.archives.groups(account);
        let listed = try_join_all(groups.iter().map(|group| self.archives.list_exports(group, &call))).await?;
        // Each has its newest: among them are the newest of all.
        let mut more = listed.iter().any(|(_, more)| *more);
        let exports = listed.into_iter().flat_map(|(exports, _)| exports);
        let all: BTreeMap<String, ExportRecord> = exports.map(|export| (export.export_id.clone(), export)).collect();
        more |= all.len() > limit;
        Ok((all.into_values().rev().take(limit).collect(), more))
    }
}
