//! What this package asks of whoever makes tables of files in a bucket. How the bucket is reached is the implementor's
//! business.

pub use cairn_model::archive::import::{
    CsvOptions, ImportCompression, ImportFailure, ImportFormat, ImportOrder, ImportOutcome, ImportProgress,
    ImportReport, ImportSource, ImportStatus,
};

use crate::{arn::ImportArn, catalog::NewTable};
use async_trait::async_trait;
use cairn_model::ServiceError;

/// Imports under way of an account (DynamoDB's quota).
pub const IMPORTS_MAX: usize = 50;
/// For how long a client token stands for one import (reference).
pub const TOKEN_MS: u64 = 8 * 3_600 * 1_000;

/// ImportTable's parameters, but for the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportRequest {
    pub client_token: Option<String>,
    pub source: ImportSource,
    pub format: ImportFormat,
    pub compression: ImportCompression,
}

impl ImportRequest {
    /// Whether an import with this order is what is asked for, together with this table.
    pub fn is(&self, order: &ImportOrder, table: NewTable) -> bool {
        let made = &order.definition;
        let mut index_ids = made.global_indexes.iter().map(|index| index.index_id);
        let index_id = || index_ids.next().unwrap_or(made.table_id);
        let asked = table.into_definition(&made.account, made.table_id, made.creation_time_ms, index_id);
        asked == *made
            && self.source == order.source
            && self.format == order.format
            && self.compression == order.compression
    }
}

/// One page of ListImports.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImportPage {
    pub imports: Vec<ImportReport>,
    /// Whether there are more after the last of these.
    pub more: bool,
}

/// Who makes imports.
///
/// An operation returns in far less than a request may take ([`crate::ApiConfig::operation_timeout`]): what takes long
/// goes on after it, as IN_PROGRESS. [`crate::errors`] has the texts.
#[async_trait]
pub trait Imports: Send + Sync {
    /// Begins an import. The table is CREATING until the import has ended. Where it FAILED, there is no table, but for what was no
    /// item of it (`ItemValidationError`): the table stays with the others then, as DynamoDB's does.
    ///
    /// Where the account used the request's token within the last eight hours: the import that was begun then, or
    /// `ImportConflictException` for another request than it was. `ResourceInUseException` where the table's name is
    /// taken, `LimitExceededException` where too many imports or tables are there: looked for in this order.
    async fn import_table(
        &self,
        account: &str,
        request: ImportRequest,
        table: NewTable,
    ) -> Result<ImportReport, ServiceError>;

    /// `ImportNotFoundException` where the account has no such import.
    async fn describe_import(&self, account: &str, arn: ImportArn<'_>) -> Result<ImportReport, ServiceError>;

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
