//! What this package asks of whoever makes tables of files in a bucket. How the bucket is reached is the implementor's
//! business.

pub use cairn_model::archive::import::{
    CsvOptions, ImportCompression, ImportFailure, ImportFormat, ImportOrder, ImportOutcome, ImportProgress,
    ImportReport, ImportSource, ImportStatus,
};

use crate::{arn::ImportArn, catalog::NewTable, errors};
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

/// What an import into a table of this name is answered, before one is begun for it (Alternator's test_import.py, measured at AWS).
/// `earlier` is what its client token stands for, and nothing of it but the table's name is compared; whether a table has the name
/// counts for more, once the import has ended.
pub fn answered_before(
    earlier: Option<ImportReport>,
    table_name: &str,
    is_taken: bool,
) -> Result<Option<ImportReport>, ServiceError> {
    match earlier {
        Some(earlier)
            if earlier.order.definition.table_name == table_name
                && (earlier.status == ImportStatus::InProgress || !is_taken) =>
        {
            Ok(Some(earlier))
        }
        _ if is_taken => Err(errors::table_exists(table_name)),
        Some(_) => Err(errors::import_conflict()),
        None => Ok(None),
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
    /// [`answered_before`] says what stands in the way, and what a token of the last eight hours stands for; then come
    /// `LimitExceededException`s where too many imports or tables are there.
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
