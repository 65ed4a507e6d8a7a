//! What this package asks of whoever makes tables of files in a bucket. How the bucket is reached is the implementor's
//! business.

use crate::{arn::ImportArn, catalog::NewTable};
use async_trait::async_trait;
use cairn_model::{ServiceError, TableDefinition};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportStatus {
    InProgress,
    Completed,
    Failed,
}

/// `S3BucketSource`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportSource {
    pub bucket: String,
    /// Of the keys of all objects that are imported: all of the bucket's, if there is none.
    pub key_prefix: Option<String>,
    pub bucket_owner: Option<String>,
}

/// `CsvOptions`, as they were given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CsvOptions {
    /// One of `,;:|`, a tab and a space; a comma, if none is given.
    pub delimiter: Option<char>,
    /// If none is given, each object's first line.
    pub header_list: Option<Vec<String>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportFormat {
    DynamoDbJson,
    Ion,
    /// With its options, if there are any.
    Csv(Option<CsvOptions>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportCompression {
    None,
    Gzip,
    Zstd,
}

/// ImportTable's parameters, but for the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportRequest {
    pub client_token: Option<String>,
    pub source: ImportSource,
    pub format: ImportFormat,
    pub compression: ImportCompression,
}

/// Why an import came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportFailure {
    pub code: String,
    pub message: String,
}

/// How far an import is, or was when it ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportProgress {
    /// Of the source, uncompressed.
    pub processed_size_bytes: u64,
    pub processed_item_count: u64,
    pub imported_item_count: u64,
    pub error_count: u64,
}

/// `ImportTableDescription`.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportDescription {
    /// As [`ImportArn`] writes it.
    pub arn: String,
    pub status: ImportStatus,
    /// The table as it was made first.
    pub table: TableDefinition,
    pub table_arn: String,
    pub request: ImportRequest,
    /// Milliseconds since the Unix epoch.
    pub start_time_ms: u64,
    pub end_time_ms: Option<u64>,
    pub progress: ImportProgress,
    /// Where the errors are told, if there are any.
    pub error_log: Option<String>,
    pub failure: Option<ImportFailure>,
}

/// One page of ListImports.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImportPage {
    pub imports: Vec<ImportDescription>,
    /// Whether there are more after the last of these.
    pub more: bool,
}

/// Who makes imports.
///
/// An operation returns in far less than a request may take ([`crate::ApiConfig::operation_timeout`]): what takes long
/// goes on after it, as IN_PROGRESS. [`crate::errors`] has the texts.
#[async_trait]
pub trait Imports: Send + Sync {
    /// Begins an import. The table is CREATING until the import is COMPLETED, and gone if it FAILED.
    ///
    /// Where the account used the request's token within the last eight hours: the import that was begun then, or
    /// `ImportConflictException` for another request than it was. `ResourceInUseException` where the table's name is
    /// taken, `LimitExceededException` where too many imports or tables are there: looked for in this order.
    async fn import_table(
        &self,
        account: &str,
        request: ImportRequest,
        table: NewTable,
    ) -> Result<ImportDescription, ServiceError>;

    /// `ImportNotFoundException` where the account has no such import.
    async fn describe_import(&self, account: &str, arn: ImportArn<'_>) -> Result<ImportDescription, ServiceError>;

    /// At most `limit` (1 to 25) of the account's imports of the last 90 days, those into one table if its ARN is given,
    /// in descending order of their ids, from the first that is below `exclusive_start_id`, which need not be there.
    async fn list_imports(
        &self,
        account: &str,
        table_arn: Option<&str>,
        limit: usize,
        exclusive_start_id: Option<&str>,
    ) -> Result<ImportPage, ServiceError>;
}
