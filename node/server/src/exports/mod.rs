//! The API's operations on exports over archives, wherever those are: in this process, or beside the nodes of a cluster.

mod description;
mod requests;

use crate::archive::{exports::IN_PROGRESS_MAX, service::Refusal};
use async_trait::async_trait;
use cairn_api::{
    Backups, Exports, TableView,
    arn::ExportArn,
    errors,
    exports::{ExportDescription, ExportPage, ExportRequest},
};
use cairn_archive::export::prefix_fault;
use cairn_model::{ServiceError, archive::ArchiveRefusal, export::ExportRecord};
use description::describe;
use requests::{asked, new_record};
use std::sync::Arc;

const INVALID: &str = "One or more parameter values were invalid";

/// Whoever keeps an account's exports. What is not there is [`ArchiveRefusal::NotFound`].
#[async_trait]
pub(crate) trait ExportArchive: Send + Sync {
    /// What a client token stood for in the last eight hours, where exports of the table are kept.
    async fn find(&self, table: &TableView, client_token: &str) -> Result<ExportRecord, Refusal>;

    /// Begins an export of the table; gives it, or the other one that its client token stands for.
    async fn begin(&self, table: &TableView, export: ExportRecord) -> Result<ExportRecord, Refusal>;

    async fn describe(&self, account: &str, arn: ExportArn<'_>) -> Result<ExportRecord, Refusal>;

    /// At most `limit` of the account's exports, or of one table's, in descending order of their ids, from the first below
    /// `before`; and whether there are more.
    async fn list(
        &self,
        account: &str,
        table_arn: Option<&str>,
        before: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<ExportRecord>, bool), Refusal>;
}

/// The implementor of [`Exports`].
pub(crate) struct ArchivedExports<A> {
    archive: A,
    backups: Arc<dyn Backups>,
    region: String,
}

impl<A: ExportArchive> ArchivedExports<A> {
    /// `backups` say what can be exported.
    pub(crate) fn new(archive: A, backups: Arc<dyn Backups>, region: String) -> Self {
        Self { archive, backups, region }
    }
}

#[async_trait]
impl<A: ExportArchive> Exports for ArchivedExports<A> {
    async fn export_table(&self, table: &TableView, request: ExportRequest) -> Result<ExportDescription, ServiceError> {
        if let Some(fault) = request.s3_prefix.as_deref().and_then(prefix_fault) {
            return Err(ServiceError::validation(format!("{INVALID}: S3Prefix: {fault}")));
        }
        if let Some(token) = &request.client_token {
            match self.archive.find(table, token).await {
                Ok(before) => return same(table, &request, before),
                Err(refusal) if refusal.reason() == ArchiveRefusal::NotFound => {}
                Err(refusal) => return Err(failed("look for an export's token", &refusal)),
            }
        }
        let window = self.backups.restorable_window(table).await?;
        let window = window.ok_or_else(|| errors::nothing_restorable_yet(&table.definition.table_name))?;
        let record = new_record(&self.region, table, request.clone(), window)?;
        match self.archive.begin(table, record).await {
            Ok(begun) => same(table, &request, begun),
            Err(refusal) if refusal.reason() == ArchiveRefusal::LimitExceeded => {
                Err(errors::too_many_exports(IN_PROGRESS_MAX))
            }
            Err(refusal) if refusal.reason() == ArchiveRefusal::Invalid => {
                Err(ServiceError::validation(format!("{INVALID}: {}", refusal.message())))
            }
            Err(refusal) => Err(failed("begin an export", &refusal)),
        }
    }

    async fn describe_export(&self, account: &str, arn: ExportArn<'_>) -> Result<ExportDescription, ServiceError> {
        match self.archive.describe(account, arn).await {
            Ok(record) if record.arn == arn.to_string() => Ok(describe(record)),
            Ok(_) => Err(errors::export_not_found(arn)),
            Err(refusal) if refusal.reason() == ArchiveRefusal::NotFound => Err(errors::export_not_found(arn)),
            Err(refusal) => Err(failed("read what is known of an export", &refusal)),
        }
    }

    async fn list_exports(
        &self,
        account: &str,
        table_arn: Option<&str>,
        limit: usize,
        exclusive_start: Option<ExportArn<'_>>,
    ) -> Result<ExportPage, ServiceError> {
        let before = exclusive_start.map(|arn| arn.export_id);
        let listed = self.archive.list(account, table_arn, before, limit).await;
        let (records, more) = listed.map_err(|refusal| failed("list the exports", &refusal))?;
        Ok(ExportPage { exports: records.into_iter().map(describe).collect(), more })
    }
}

/// What stands under a request's token, if that is what the request asks for.
fn same(table: &TableView, request: &ExportRequest, record: ExportRecord) -> Result<ExportDescription, ServiceError> {
    if record.table_id != table.definition.table_id || asked(&record) != *request {
        return Err(errors::export_conflict());
    }
    Ok(describe(record))
}

/// An archive could not do something: the client asks again, the log tells why.
fn failed(action: &'static str, refusal: &Refusal) -> ServiceError {
    tracing::error!(reason = refusal.message(), "failed to {action}");
    errors::internal()
}
