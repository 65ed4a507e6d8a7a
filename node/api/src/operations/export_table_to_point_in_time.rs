//! ExportTableToPointInTime.

use super::{Call, export_description};
use crate::{
    errors,
    exports::{ExportFormat, ExportRequest, ExportScope, ExportView},
    input::{self, Input, fields::Time, shape::Shape},
    validation::{
        constraints::Constraints,
        references::{constrain_table_arn, parse_table_arn},
        unsupported::{Unsupported, refuse},
    },
};
use cairn_model::{ServiceError, table::TableStatus};
use serde::Deserialize;

const BUCKET_BYTES_MAX: usize = 255;
const PREFIX_BYTES_MAX: usize = 1_024;
const INVALID: &str = "One or more parameter values were invalid";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ExportInput {
    table_arn: Option<String>,
    export_time: Option<Time>,
    client_token: Option<String>,
    #[serde(rename = "S3Bucket")]
    s3_bucket: Option<String>,
    #[serde(rename = "S3BucketOwner")]
    s3_bucket_owner: Option<Unsupported>,
    #[serde(rename = "S3Prefix")]
    s3_prefix: Option<String>,
    #[serde(rename = "S3SseAlgorithm")]
    s3_sse_algorithm: Option<Unsupported>,
    #[serde(rename = "S3SseKmsKeyId")]
    s3_sse_kms_key_id: Option<Unsupported>,
    export_format: Option<String>,
    export_type: Option<String>,
    incremental_export_specification: Option<IncrementalInput>,
    filter_specification: Option<Unsupported>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct IncrementalInput {
    export_from_time: Option<Time>,
    export_to_time: Option<Time>,
    export_view_type: Option<String>,
}

const INCREMENTAL: Shape = Shape::Struct(
    "IncrementalExportSpecification",
    &[("ExportFromTime", Shape::Time), ("ExportToTime", Shape::Time), ("ExportViewType", Shape::Text)],
);

impl Input for ExportInput {
    const FIELDS: &'static [(&'static str, Shape)] = &[
        ("TableArn", Shape::Text),
        ("ExportTime", Shape::Time),
        ("ClientToken", Shape::Text),
        ("S3Bucket", Shape::Text),
        ("S3Prefix", Shape::Text),
        ("ExportFormat", Shape::Text),
        ("ExportType", Shape::Text),
        ("IncrementalExportSpecification", INCREMENTAL),
    ];
}

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let input: ExportInput = input::parse(call.body)?;
    input.constrain()?;
    input.refuse_what_is_missing()?;
    let scope = input.scope()?;
    let arn = parse_table_arn(call, input.table_arn.as_deref().unwrap_or_default())?;
    let table = call.catalog.table(call.account, arn.table_name).filter(|_| arn.region == call.region);
    let table = table.filter(|table| matches!(table.status, TableStatus::Active | TableStatus::Updating));
    let table = table.ok_or_else(|| errors::exported_table_not_found(arn))?;
    let exports = call.exports.ok_or_else(errors::exports_unavailable)?;
    if table.definition.continuous_backups.is_none() {
        return Err(errors::recovery_off(arn.table_name));
    }
    let request = ExportRequest {
        scope,
        format: match input.export_format.as_deref() {
            Some("ION") => ExportFormat::Ion,
            _ => ExportFormat::DynamoDbJson,
        },
        client_token: input.client_token,
        s3_bucket: input.s3_bucket.unwrap_or_default(),
        s3_prefix: input.s3_prefix,
    };
    Ok(export_description::answer(&exports.export_table(&table, request).await?))
}

impl ExportInput {
    fn constrain(&self) -> Result<(), ServiceError> {
        let mut constraints = Constraints::default();
        constraints.required("tableArn", self.table_arn.is_some());
        constrain_table_arn("tableArn", self.table_arn.as_deref(), &mut constraints);
        if let Some(token) = self.client_token.as_deref().filter(|token| token.is_empty() || token.contains('$')) {
            constraints.value(token, "clientToken", "Member must satisfy regular expression pattern: ^[^\\$]+$");
        }
        constraints.required("s3Bucket", self.s3_bucket.is_some());
        if let Some(bucket) = &self.s3_bucket {
            constrain_bucket(bucket, &mut constraints);
        }
        if let Some(prefix) = self.s3_prefix.as_deref().filter(|prefix| prefix.len() > PREFIX_BYTES_MAX) {
            constraints.value(prefix, "s3Prefix", "Member must have length less than or equal to 1024");
        }
        constraints.one_of("exportFormat", self.export_format.as_deref(), &["ION", "DYNAMODB_JSON"]);
        constraints.one_of("exportType", self.export_type.as_deref(), &["INCREMENTAL_EXPORT", "FULL_EXPORT"]);
        let view = self.incremental_export_specification.as_ref().and_then(|given| given.export_view_type.as_deref());
        constraints.one_of("incrementalExportSpecification.exportViewType", view, &["NEW_IMAGE", "NEW_AND_OLD_IMAGES"]);
        constraints.finish()
    }

    fn refuse_what_is_missing(&self) -> Result<(), ServiceError> {
        refuse([
            ("S3BucketOwner", &self.s3_bucket_owner),
            ("S3SseAlgorithm", &self.s3_sse_algorithm),
            ("S3SseKmsKeyId", &self.s3_sse_kms_key_id),
            ("FilterSpecification", &self.filter_specification),
        ])
    }

    fn scope(&self) -> Result<ExportScope, ServiceError> {
        let incremental = self.export_type.as_deref() == Some("INCREMENTAL_EXPORT");
        match (&self.incremental_export_specification, incremental) {
            (None, false) => Ok(ExportScope::Full { time_ms: self.export_time.map(|time| time.millis) }),
            (Some(_), false) => Err(invalid("IncrementalExportSpecification needs ExportType INCREMENTAL_EXPORT")),
            (None, true) => Err(invalid("ExportType INCREMENTAL_EXPORT needs an IncrementalExportSpecification")),
            (Some(_), true) if self.export_time.is_some() => {
                Err(invalid("ExportTime is of full exports; ExportType INCREMENTAL_EXPORT has ExportToTime"))
            }
            (Some(given), true) => given.scope(),
        }
    }
}

impl IncrementalInput {
    fn scope(&self) -> Result<ExportScope, ServiceError> {
        let from_ms = self.export_from_time.ok_or_else(|| invalid("ExportFromTime is missing"))?.millis;
        let to_ms = self.export_to_time.map(|time| time.millis);
        if to_ms.is_some_and(|to_ms| to_ms <= from_ms) {
            return Err(invalid("ExportFromTime must be before ExportToTime"));
        }
        let view = match self.export_view_type.as_deref() {
            Some("NEW_IMAGE") => ExportView::NewImage,
            _ => ExportView::NewAndOldImages,
        };
        Ok(ExportScope::Incremental { from_ms, to_ms, view })
    }
}

fn invalid(what: &str) -> ServiceError {
    ServiceError::validation(format!("{INVALID}: {what}"))
}

/// The model's pattern: letters, digits, and between them also `.`, `-` and `_`.
fn constrain_bucket(bucket: &str, constraints: &mut Constraints) {
    if bucket.len() > BUCKET_BYTES_MAX {
        constraints.value(bucket, "s3Bucket", "Member must have length less than or equal to 255");
    }
    let bytes = bucket.as_bytes();
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let inner = bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(byte));
    if bytes.len() < 2 || !ends(bytes.first()) || !ends(bytes.last()) || !inner {
        constraints.value(
            bucket,
            "s3Bucket",
            "Member must satisfy regular expression pattern: ^[a-z0-9A-Z]+[\\.\\-\\w]*[a-z0-9A-Z]+$",
        );
    }
}
