//! Files that a Table's first items come from, and how far they are imported.

use super::{
    Table,
    definition::DefinitionError,
    recovery::{millis_of_time, time_of_millis},
    rules,
};
use crate::{name::resource_id, rules::json};
use cairn_model::{
    archive::import::{
        self, CsvOptions, ImportCompression, ImportFormat, ImportOrder, ImportProgress, ImportReport, ImportSource,
    },
    arn::{ImportArn, TableArn},
    table::TableDefinition,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Files in a bucket that a table's first items come from, as ImportTable names them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = json(rules::IMPORT_FROM)))]
pub struct ImportFrom {
    pub s3_bucket_source: S3BucketSource,
    #[schemars(with = "String", extend("enum" = ["CSV", "DYNAMODB_JSON", "ION"]))]
    pub input_format: InputFormat,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_format_options: Option<InputFormatOptions>,
    #[serde(default)]
    #[schemars(with = "String", extend("enum" = ["NONE", "GZIP", "ZSTD"]))]
    pub input_compression_type: ImportCompression,
    /// What the caller of ImportTable tells the import by, where it was begun so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub client_token: Option<String>,
}

/// The objects, in a bucket that is reached as the one of the StorageGroup's archive is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct S3BucketSource {
    #[schemars(length(min = 2, max = 255), regex(pattern = r"^[a-zA-Z0-9][a-zA-Z0-9._-]*[a-zA-Z0-9]$"))]
    pub s3_bucket: String,
    /// Of the keys of all objects that are imported; all of the bucket's where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub s3_key_prefix: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 12), regex(pattern = r"^[0-9]{12}$"))]
    pub s3_bucket_owner: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum InputFormat {
    #[serde(rename = "CSV")]
    Csv,
    #[serde(rename = "DYNAMODB_JSON")]
    DynamoDbJson,
    #[serde(rename = "ION")]
    Ion,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InputFormatOptions {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub csv: Option<Csv>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Csv {
    /// One of `,;:|`, a tab and a space; a comma where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1), regex(pattern = r"^[,;:|\t ]$"))]
    pub delimiter: Option<String>,
    /// The columns' names; each object's first line where they are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255), inner(length(min = 1, max = 65536)), extend("x-kubernetes-list-type" = "atomic"))]
    pub header_list: Option<Vec<String>>,
}

/// How far an import is, or how it ended.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = json(rules::IMPORT_STATUS)))]
pub struct ImportStatus {
    #[schemars(length(max = 1024))]
    pub import_arn: String,
    /// With the `failureCode` `ItemValidationError`, FAILED is an import whose table is there, without what was no item of it.
    #[schemars(with = "String", extend("enum" = ["IN_PROGRESS", "COMPLETED", "FAILED"]))]
    pub import_status: import::ImportStatus,
    pub start_time: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_time: Option<Time>,
    /// Of the objects, uncompressed.
    #[serde(default)]
    pub processed_size_bytes: i64,
    #[serde(default)]
    pub processed_item_count: i64,
    #[serde(default)]
    pub imported_item_count: i64,
    /// What was no item of the table.
    #[serde(default)]
    pub error_count: i64,
    /// The object that tells of them, in the archive's bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub cloud_watch_log_group_arn: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub failure_code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8192))]
    pub failure_message: Option<String>,
}

/// Of a message, as much goes into a status.
const MESSAGE_CHARACTERS_MAX: usize = 8_000;

impl ImportFrom {
    /// The source that the API names, in the order of its parameters.
    pub fn new(
        client_token: Option<String>,
        source: ImportSource,
        format: ImportFormat,
        compression: ImportCompression,
    ) -> Self {
        let (input_format, csv) = match format {
            ImportFormat::DynamoDbJson => (InputFormat::DynamoDbJson, None),
            ImportFormat::Ion => (InputFormat::Ion, None),
            ImportFormat::Csv { options } => (InputFormat::Csv, options),
        };
        let csv = csv.map(|csv| Csv { delimiter: csv.delimiter.map(String::from), header_list: csv.header_list });
        Self {
            s3_bucket_source: S3BucketSource {
                s3_bucket: source.bucket,
                s3_key_prefix: source.key_prefix,
                s3_bucket_owner: source.bucket_owner,
            },
            input_format,
            input_format_options: csv.map(|csv| InputFormatOptions { csv: Some(csv) }),
            input_compression_type: compression,
            client_token,
        }
    }

    fn source(&self) -> ImportSource {
        let source = self.s3_bucket_source.clone();
        ImportSource {
            bucket: source.s3_bucket,
            key_prefix: source.s3_key_prefix,
            bucket_owner: source.s3_bucket_owner,
        }
    }

    fn format(&self) -> ImportFormat {
        let csv = self.input_format_options.as_ref().and_then(|options| options.csv.clone());
        match self.input_format {
            InputFormat::DynamoDbJson => ImportFormat::DynamoDbJson,
            InputFormat::Ion => ImportFormat::Ion,
            InputFormat::Csv => ImportFormat::Csv {
                options: csv.map(|csv| CsvOptions {
                    delimiter: csv.delimiter.and_then(|text| text.chars().next()),
                    header_list: csv.header_list,
                }),
            },
        }
    }
}

impl Table {
    /// The id of the import that makes this table, which is in its ARN: whoever reads the resource knows it. None before the
    /// API server has it, and where none does.
    pub fn import_id(&self) -> Option<String> {
        self.spec.import_from.as_ref().and_then(|_| resource_id(&self.metadata))
    }

    /// The import that makes this table with this definition, if one does.
    pub fn import_order(
        &self,
        region: &str,
        definition: TableDefinition,
    ) -> Result<Option<ImportOrder>, DefinitionError> {
        let Some(from) = &self.spec.import_from else { return Ok(None) };
        // Where indexes are made is no part of what was asked for.
        let mut definition = definition;
        definition.global_indexes.iter_mut().for_each(|index| index.partitions.clear());
        let import_id = self.import_id().ok_or(DefinitionError::Missing { field: "metadata.uid" })?;
        let (account, table_name) = (self.account(), self.table_name());
        let table = TableArn { region, account: &account, table_name: &table_name };
        Ok(Some(ImportOrder {
            arn: ImportArn { table, import_id: &import_id }.to_string(),
            table_arn: table.to_string(),
            definition,
            client_token: from.client_token.clone(),
            source: from.source(),
            format: from.format(),
            compression: from.input_compression_type,
            start_time_ms: self.metadata.creation_timestamp.as_ref().map(millis_of_time).unwrap_or_default(),
            import_id,
        }))
    }
}

impl ImportStatus {
    /// What an archive says of an import, or what is known before any was asked.
    pub fn of_report(report: &ImportReport) -> Self {
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let failure = report.failure.as_ref();
        Self {
            import_arn: report.order.arn.clone(),
            import_status: report.status,
            start_time: time_of_millis(report.order.start_time_ms),
            end_time: report.end_time_ms.map(time_of_millis),
            processed_size_bytes: count(report.progress.processed_size_bytes),
            processed_item_count: count(report.progress.processed_item_count),
            imported_item_count: count(report.progress.imported_item_count),
            error_count: count(report.progress.error_count),
            cloud_watch_log_group_arn: report.error_log.clone(),
            failure_code: failure.map(|failure| failure.code.clone()),
            failure_message: failure.map(|failure| failure.message.chars().take(MESSAGE_CHARACTERS_MAX).collect()),
        }
    }

    /// What the status says of the import with this order.
    pub fn report(&self, order: ImportOrder) -> ImportReport {
        let count = |count: i64| u64::try_from(count).unwrap_or_default();
        let message = self.failure_message.clone().unwrap_or_default();
        ImportReport {
            order,
            status: self.import_status,
            progress: ImportProgress {
                processed_size_bytes: count(self.processed_size_bytes),
                processed_item_count: count(self.processed_item_count),
                imported_item_count: count(self.imported_item_count),
                error_count: count(self.error_count),
            },
            end_time_ms: self.end_time.as_ref().map(millis_of_time),
            error_log: self.cloud_watch_log_group_arn.clone(),
            failure: self.failure_code.clone().map(|code| import::ImportFailure { code, message }),
            keeps_table: false,
        }
    }

    pub fn is_in_progress(&self) -> bool {
        self.import_status == import::ImportStatus::InProgress
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TableSpec;
    use cairn_model::{archive::import::ImportOutcome, ids::TableId, table::BillingMode};

    fn definition() -> TableDefinition {
        let json = serde_json::json!({
            "account": "game", "tableName": "users", "tableId": TableId([7; 16]), "schemaVersion": 1,
            "keySchema": {"partition": {"name": "Id", "scalarType": "S"}},
            "billingMode": BillingMode::PayPerRequest, "creationTimeMs": 1_000,
        });
        serde_json::from_value(json).unwrap()
    }

    fn table(from: Option<ImportFrom>) -> Table {
        let mut table =
            Table::new("users", TableSpec { import_from: from, ..TableSpec::from_definition(&definition()) });
        table.metadata.namespace = Some("game".into());
        table.metadata.creation_timestamp = Some(time_of_millis(1_700_000_000_000));
        table.metadata.uid = Some("abcdef12-3456-7890-abcd-ef1234567890".into());
        table
    }

    #[test]
    fn what_the_api_asks_for_survives_the_way_through_a_spec() {
        let source =
            ImportSource { bucket: "source".into(), key_prefix: Some("some/".into()), bucket_owner: Some("1".into()) };
        let options = CsvOptions { delimiter: Some(';'), header_list: Some(vec!["Id".into()]) };
        for format in [
            ImportFormat::DynamoDbJson,
            ImportFormat::Ion,
            ImportFormat::Csv { options: None },
            ImportFormat::Csv { options: Some(options) },
        ] {
            let from = ImportFrom::new(Some("token".into()), source.clone(), format.clone(), ImportCompression::Zstd);
            let order = table(Some(from)).import_order("east", definition()).unwrap().unwrap();
            assert_eq!(order.arn, "arn:aws:dynamodb:east:game:table/users/import/01700000000000-abcdef12");
            assert_eq!((order.source, order.format, order.start_time_ms), (source.clone(), format, 1_700_000_000_000));
            assert_eq!((order.client_token.as_deref(), order.compression), (Some("token"), ImportCompression::Zstd));
        }
        assert_eq!(table(None).import_order("east", definition()), Ok(None));
    }

    #[test]
    fn a_manifest_says_it_in_the_apis_names() {
        let yaml = "{s3BucketSource: {s3Bucket: source, s3KeyPrefix: some/}, inputFormat: CSV, \
                    inputFormatOptions: {csv: {delimiter: ';', headerList: [Id, V]}}, inputCompressionType: GZIP}";
        let from: ImportFrom = serde_yaml_ng::from_str(yaml).unwrap();
        let options = CsvOptions { delimiter: Some(';'), header_list: Some(vec!["Id".into(), "V".into()]) };
        assert_eq!(from.format(), ImportFormat::Csv { options: Some(options) });
        assert_eq!(
            (from.source().key_prefix.as_deref(), from.input_compression_type),
            (Some("some/"), ImportCompression::Gzip)
        );
    }

    #[test]
    fn a_report_survives_the_way_through_a_status() {
        let from: ImportFrom =
            serde_yaml_ng::from_str("{s3BucketSource: {s3Bucket: source}, inputFormat: ION}").unwrap();
        let order = table(Some(from)).import_order("east", definition()).unwrap().unwrap();
        let outcome = ImportOutcome {
            progress: ImportProgress {
                processed_item_count: 3,
                imported_item_count: 2,
                error_count: 1,
                ..Default::default()
            },
            error_log: true,
            ..ImportOutcome::interrupted(1_700_000_001_000)
        };
        let report = ImportReport::ended(order.clone(), outcome, "arn:aws:s3:::b/errors.jsonl".into());
        assert_eq!(ImportStatus::of_report(&report).report(order), report);
    }
}
