//! Imports: what a new table is made of, how far that is, and how it ended.

use crate::table::TableDefinition;
use serde::{Deserialize, Serialize};

/// For how long imports are listed, and what is kept of them in the bucket (reference).
pub const IMPORTS_KEPT_MS: u64 = 90 * 24 * 3_600 * 1_000;

/// `S3BucketSource`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportSource {
    pub bucket: String,
    /// Of the keys of all objects that are imported: all of the bucket's, if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_prefix: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket_owner: Option<String>,
}

/// How the items of a file are written, as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name")]
pub enum ImportFormat {
    #[serde(rename = "DYNAMODB_JSON")]
    DynamoDbJson,
    #[serde(rename = "ION")]
    Ion,
    #[serde(rename = "CSV")]
    Csv {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        options: Option<CsvOptions>,
    },
}

/// `CsvOptions`, as they were given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CsvOptions {
    /// One of `,;:|`, a tab and a space; a comma, if none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<char>,
    /// If none is given, each object's first line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header_list: Option<Vec<String>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ImportCompression {
    #[default]
    None,
    Gzip,
    Zstd,
}

/// An import to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportOrder {
    /// The last part of its ARN.
    pub import_id: String,
    pub arn: String,
    pub table_arn: String,
    /// The table as it is made first.
    pub definition: TableDefinition,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_token: Option<String>,
    pub source: ImportSource,
    pub format: ImportFormat,
    pub compression: ImportCompression,
    /// Milliseconds since the Unix epoch.
    pub start_time_ms: u64,
}

/// How far an import is, or was when it ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportProgress {
    /// Of the source, uncompressed.
    pub processed_size_bytes: u64,
    pub processed_item_count: u64,
    pub imported_item_count: u64,
    pub error_count: u64,
}

/// What went wrong, also where the table was made without some items.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportFailure {
    pub code: String,
    pub message: String,
}

/// How an import ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportOutcome {
    /// Milliseconds since the Unix epoch.
    pub end_time_ms: u64,
    #[serde(flatten)]
    pub progress: ImportProgress,
    /// Whether there is a table.
    pub completed: bool,
    /// Whether there is an error log.
    pub error_log: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<ImportFailure>,
}

impl ImportOutcome {
    /// One that ended with the process or the table it was for.
    pub fn interrupted(end_time_ms: u64) -> Self {
        Self {
            end_time_ms,
            progress: ImportProgress::default(),
            completed: false,
            error_log: false,
            failure: Some(ImportFailure {
                code: "ImportInterrupted".to_owned(),
                message: "The import was ended before its last item. There is no table of it: import it again"
                    .to_owned(),
            }),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ImportStatus {
    InProgress,
    Completed,
    Failed,
}

/// An import at one moment: `ImportTableDescription`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportReport {
    pub order: ImportOrder,
    pub status: ImportStatus,
    pub progress: ImportProgress,
    /// Milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_time_ms: Option<u64>,
    /// Where the errors are told, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_log: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<ImportFailure>,
    /// Of one that FAILED, whether its table is there all the same: without what was no item of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keeps_table: bool,
}

impl ImportReport {
    pub fn in_progress(order: ImportOrder, progress: ImportProgress) -> Self {
        let status = ImportStatus::InProgress;
        Self { order, status, progress, end_time_ms: None, error_log: None, failure: None, keeps_table: false }
    }

    /// `error_log`: where its errors are told, if they are.
    pub fn ended(order: ImportOrder, outcome: ImportOutcome, error_log: String) -> Self {
        let is_whole = outcome.completed && outcome.failure.is_none();
        Self {
            order,
            status: if is_whole { ImportStatus::Completed } else { ImportStatus::Failed },
            keeps_table: outcome.completed && !is_whole,
            progress: outcome.progress,
            end_time_ms: Some(outcome.end_time_ms),
            error_log: outcome.error_log.then_some(error_log),
            failure: outcome.failure,
        }
    }

    /// Whether it has ended with a table.
    pub fn has_made_table(&self) -> bool {
        self.status == ImportStatus::Completed || self.keeps_table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_has_the_form_that_other_versions_wrote() {
        let options = CsvOptions { delimiter: Some(';'), header_list: Some(vec!["Id".into()]) };
        for (format, json) in [
            (ImportFormat::DynamoDbJson, r#"{"name":"DYNAMODB_JSON"}"#),
            (ImportFormat::Ion, r#"{"name":"ION"}"#),
            (ImportFormat::Csv { options: None }, r#"{"name":"CSV"}"#),
            (
                ImportFormat::Csv { options: Some(options) },
                r#"{"name":"CSV","options":{"delimiter":";","headerList":["Id"]}}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&format).unwrap(), json);
            assert_eq!(serde_json::from_str::<ImportFormat>(json).unwrap(), format);
        }
    }

    #[test]
    fn an_outcome_has_the_form_that_other_versions_wrote() {
        let json = concat!(
            r#"{"endTimeMs":7,"processedSizeBytes":4,"processedItemCount":3,"importedItemCount":2,"errorCount":1,"#,
            r#""completed":true,"errorLog":true,"failure":{"code":"ItemValidationError","message":"m"}}"#
        );
        let outcome: ImportOutcome = serde_json::from_str(json).unwrap();
        assert_eq!(outcome.progress.imported_item_count, 2);
        assert_eq!(serde_json::to_string(&outcome).unwrap(), json);
    }

    #[test]
    fn an_import_without_some_items_has_failed_and_keeps_its_table() {
        let definition = serde_json::json!({
            "account": "game", "tableName": "users", "tableId": crate::ids::TableId([7; 16]), "schemaVersion": 1,
            "keySchema": {"partition": {"name": "Id", "scalarType": "S"}},
            "billingMode": crate::table::BillingMode::PayPerRequest, "creationTimeMs": 1_000,
        });
        let order = ImportOrder {
            import_id: "01700000000000-abcdef12".into(),
            arn: "arn".into(),
            table_arn: "arn".into(),
            definition: serde_json::from_value(definition).unwrap(),
            client_token: None,
            source: ImportSource { bucket: "source".into(), key_prefix: None, bucket_owner: None },
            format: ImportFormat::Ion,
            compression: ImportCompression::None,
            start_time_ms: 1,
        };
        let failed = ImportOutcome::interrupted(7);
        for (completed, failure, status, keeps_table) in [
            (true, None, ImportStatus::Completed, false),
            (true, failed.failure.clone(), ImportStatus::Failed, true),
            (false, failed.failure.clone(), ImportStatus::Failed, false),
        ] {
            let outcome = ImportOutcome { completed, failure, ..failed.clone() };
            let report = ImportReport::ended(order.clone(), outcome, String::new());
            assert_eq!((report.status, report.keeps_table, report.has_made_table()), (status, keeps_table, completed));
        }
    }
}
