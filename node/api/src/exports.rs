//! What this package asks of whoever exports tables: what a table held, or how it changed, as files in a bucket. Where
//! the past is kept and how the bucket is reached is the implementor's business.

mod filter;

pub use cairn_model::export::ExportFilter;
pub use filter::Filter;

use crate::{arn::ExportArn, catalog::TableView};
use async_trait::async_trait;
use cairn_model::{ServiceError, ids::TableId};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportStatus {
    InProgress,
    Completed,
    Failed,
}

/// How an export is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    DynamoDbJson,
    Ion,
}

/// What an export shows of a changed item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportView {
    NewImage,
    NewAndOldImages,
}

/// What the bucket is asked to encrypt the files with; its own way where nothing is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExportEncryption {
    /// With the store's keys.
    Aes256,
    /// With a key of its key management, or the bucket's.
    Kms { key_id: Option<String> },
}

/// What is exported. Times are milliseconds since the Unix epoch; one that a request leaves out is the time of the
/// request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportScope {
    /// Every item as it was at that time.
    Full { time_ms: Option<u64> },
    /// The items that are otherwise just before `to_ms` than just before `from_ms`, or were written between.
    Incremental { from_ms: u64, to_ms: Option<u64>, view: ExportView },
}

/// ExportTableToPointInTime's parameters, but for the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportRequest {
    pub scope: ExportScope,
    pub format: ExportFormat,
    pub client_token: Option<String>,
    pub s3_bucket: String,
    pub s3_prefix: Option<String>,
    pub encryption: Option<ExportEncryption>,
    /// A [`Filter`] for the table; none: all items, whole.
    pub filter: Option<ExportFilter>,
}

/// Why an export came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportFailure {
    pub code: String,
    pub message: String,
}

/// `ExportDescription`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportDescription {
    /// As [`ExportArn`] writes it.
    pub arn: String,
    pub status: ExportStatus,
    pub start_time_ms: u64,
    pub end_time_ms: Option<u64>,
    pub table_arn: String,
    pub table_id: TableId,
    /// As it was asked for, but with every time there.
    pub request: ExportRequest,
    /// The key of the summary in the bucket, once the export is there.
    pub manifest: Option<String>,
    pub billed_size_bytes: Option<u64>,
    pub item_count: Option<u64>,
    pub failure: Option<ExportFailure>,
}

/// One page of ListExports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportPage {
    pub exports: Vec<ExportDescription>,
    /// Whether there are more after the last of these.
    pub more: bool,
}

/// Who makes exports.
///
/// An operation returns in far less than a request may take ([`crate::ApiConfig::operation_timeout`]): what takes long
/// goes on after it, as IN_PROGRESS. [`crate::errors`] has the texts.
#[async_trait]
pub trait Exports: Send + Sync {
    /// Begins an export of a table whose point-in-time recovery is on.
    ///
    /// Where the account used the request's token within the last eight hours: the export that was begun then, or
    /// `ExportConflictException` for another request than it was. `PointInTimeRecoveryUnavailableException` while
    /// nothing of the table can be restored yet, `InvalidExportTimeException` for a time that can't be restored or is
    /// not there yet, `LimitExceededException` where too many exports are in progress: looked for in this order.
    async fn export_table(&self, table: &TableView, request: ExportRequest) -> Result<ExportDescription, ServiceError>;

    /// `ExportNotFoundException` where the account has no such export.
    async fn describe_export(&self, account: &str, arn: ExportArn<'_>) -> Result<ExportDescription, ServiceError>;

    /// At most `limit` (1 to 25) of the account's exports of the last 90 days, those of one table if it is given, in
    /// descending order of their ids, so the newest first, from the first that is below `exclusive_start`'s, which need not be
    /// there.
    async fn list_exports(
        &self,
        account: &str,
        table_arn: Option<&str>,
        limit: usize,
        exclusive_start: Option<ExportArn<'_>>,
    ) -> Result<ExportPage, ServiceError>;
}
