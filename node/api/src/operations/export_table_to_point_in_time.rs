//! ExportTableToPointInTime.

use super::{Call, export_description};
use crate::{
    errors,
    exports::{ExportEncryption, ExportFilter, ExportFormat, ExportRequest, ExportScope, ExportView, Filter},
    input::{
        self, Input,
        fields::Time,
        shape::{ATTRIBUTES, NAMES, Shape},
    },
    validation::{
        constraints::Constraints,
        parameters::{Names, Values, ValuesOf, read_values},
        references::{constrain_table_arn, parse_table_arn},
        unsupported::unsupported,
    },
};
use cairn_model::{Item, ServiceError, json, table::TableStatus};
use serde::Deserialize;
use std::time::Duration;

const BUCKET_BYTES_MAX: usize = 255;
const PREFIX_BYTES_MAX: usize = 1_024;
const KEY_ID_BYTES_MAX: usize = 2_048;
/// Of an incremental export (ServiceQuotas, "Table export").
const SPAN_MAX: Duration = Duration::from_secs(24 * 3_600);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ExportInput {
    table_arn: Option<String>,
    export_time: Option<Time>,
    client_token: Option<String>,
    #[serde(rename = "S3Bucket")]
    s3_bucket: Option<String>,
    #[serde(rename = "S3BucketOwner")]
    s3_bucket_owner: Option<String>,
    #[serde(rename = "S3Prefix")]
    s3_prefix: Option<String>,
    #[serde(rename = "S3SseAlgorithm")]
    s3_sse_algorithm: Option<String>,
    #[serde(rename = "S3SseKmsKeyId")]
    s3_sse_kms_key_id: Option<String>,
    export_format: Option<String>,
    export_type: Option<String>,
    incremental_export_specification: Option<IncrementalInput>,
    filter_specification: Option<FilterInput>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct IncrementalInput {
    export_from_time: Option<Time>,
    export_to_time: Option<Time>,
    export_view_type: Option<String>,
}

/// `FilterSpecification` as a request has it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FilterInput {
    filter_expression: Option<String>,
    projection_expression: Option<String>,
    key_condition_expression: Option<String>,
    expression_attribute_names: Option<Names>,
    expression_attribute_values: Option<Values>,
}

impl FilterInput {
    fn asked(self) -> Result<ExportFilter, ServiceError> {
        let values = self.expression_attribute_values.map(|values| read_values(values, ValuesOf::Query)).transpose()?;
        let written = |values: Item| {
            let mut text = Vec::new();
            json::write_item(&values, &mut text);
            serde_json::from_slice(&text).map_err(|_| errors::internal())
        };
        Ok(ExportFilter {
            filter_expression: self.filter_expression,
            projection_expression: self.projection_expression,
            key_condition_expression: self.key_condition_expression,
            expression_attribute_names: self.expression_attribute_names,
            expression_attribute_values: values.map(written).transpose()?,
        })
    }
}

const FILTER: Shape = Shape::Struct(
    "FilterSpecification",
    &[
        ("FilterExpression", Shape::Text),
        ("ProjectionExpression", Shape::Text),
        ("KeyConditionExpression", Shape::Text),
        ("ExpressionAttributeNames", NAMES),
        ("ExpressionAttributeValues", ATTRIBUTES),
    ],
);
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
        ("S3BucketOwner", Shape::Text),
        ("S3Prefix", Shape::Text),
        ("S3SseAlgorithm", Shape::Text),
        ("S3SseKmsKeyId", Shape::Text),
        ("ExportFormat", Shape::Text),
        ("ExportType", Shape::Text),
        ("IncrementalExportSpecification", INCREMENTAL),
        ("FilterSpecification", FILTER),
    ];
}

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let input: ExportInput = input::parse(call.body)?;
    input.constrain()?;
    // S3-compatible stores have no accounts to compare with, and an owner that is not compared must not be taken for one.
    if input.s3_bucket_owner.is_some() {
        return Err(unsupported("S3BucketOwner"));
    }
    let encryption = input.encryption()?;
    let now_ms = call.request_ids.environment.wall_ms();
    let scope = input.scope(now_ms, call.export_span_min)?;
    let arn = parse_table_arn(call, input.table_arn.as_deref().unwrap_or_default())?;
    let table = call.known_table(arn.table_name).filter(|_| arn.region == call.region);
    let table = table.filter(|table| matches!(table.status, TableStatus::Active | TableStatus::Updating));
    let table = table.ok_or_else(|| errors::exported_table_not_found(arn))?;
    let exports = call.exports.ok_or_else(errors::exports_unavailable)?;
    if table.definition.continuous_backups.is_none() {
        return Err(errors::recovery_off(arn.table_name));
    }
    let filter = input.filter_specification.map(FilterInput::asked).transpose()?;
    // One that asks for nothing is none.
    let filter = filter.filter(|asked| *asked != ExportFilter::default());
    filter.as_ref().map(|asked| Filter::new(asked, &table.definition)).transpose()?;
    let request = ExportRequest {
        scope,
        format: match input.export_format.as_deref() {
            Some("ION") => ExportFormat::Ion,
            _ => ExportFormat::DynamoDbJson,
        },
        client_token: input.client_token,
        s3_bucket: input.s3_bucket.unwrap_or_default(),
        s3_prefix: input.s3_prefix,
        encryption,
        filter,
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
        match self.s3_prefix.as_deref() {
            Some("") => constraints.value("", "s3Prefix", "Member must have length greater than or equal to 1"),
            Some(prefix) if prefix.len() > PREFIX_BYTES_MAX => {
                constraints.value(prefix, "s3Prefix", "Member must have length less than or equal to 1024");
            }
            _ => {}
        }
        let is_account = |owner: &str| owner.len() == 12 && owner.bytes().all(|byte| byte.is_ascii_digit());
        if let Some(owner) = self.s3_bucket_owner.as_deref().filter(|owner| !is_account(owner)) {
            constraints.value(owner, "s3BucketOwner", "Member must satisfy regular expression pattern: [0-9]{12}");
        }
        constraints.one_of("s3SseAlgorithm", self.s3_sse_algorithm.as_deref(), &["AES256", "KMS"]);
        if let Some(key) = &self.s3_sse_kms_key_id {
            if key.is_empty() {
                constraints.value(key, "s3SseKmsKeyId", "Member must have length greater than or equal to 1");
            } else if key.len() > KEY_ID_BYTES_MAX {
                constraints.value(key, "s3SseKmsKeyId", "Member must have length less than or equal to 2048");
            }
        }
        constraints.one_of("exportFormat", self.export_format.as_deref(), &["ION", "DYNAMODB_JSON"]);
        constraints.one_of("exportType", self.export_type.as_deref(), &["INCREMENTAL_EXPORT", "FULL_EXPORT"]);
        let view = self.incremental_export_specification.as_ref().and_then(|given| given.export_view_type.as_deref());
        constraints.one_of("incrementalExportSpecification.exportViewType", view, &["NEW_IMAGE", "NEW_AND_OLD_IMAGES"]);
        constraints.finish()
    }

    fn encryption(&self) -> Result<Option<ExportEncryption>, ServiceError> {
        match (self.s3_sse_algorithm.as_deref(), &self.s3_sse_kms_key_id) {
            (Some("KMS"), key_id) => Ok(Some(ExportEncryption::Kms { key_id: key_id.clone() })),
            (_, Some(_)) => Err(invalid("KMS Key Id is not supported for this encryption type")),
            (Some(_), None) => Ok(Some(ExportEncryption::Aes256)),
            (None, None) => Ok(None),
        }
    }

    fn scope(&self, now_ms: u64, span_min: Duration) -> Result<ExportScope, ServiceError> {
        match (&self.incremental_export_specification, self.export_type.as_deref()) {
            (Some(given), Some("INCREMENTAL_EXPORT")) if self.export_time.is_none() => given.scope(now_ms, span_min),
            (Some(_), Some("INCREMENTAL_EXPORT")) => {
                Err(invalid("ExportTime is of full exports; Incremental Export has ExportToTime"))
            }
            (Some(_), None) => Err(invalid(
                "Export Type expected to be Incremental Export when incremental export specification is provided",
            )),
            (Some(_), Some(_)) => Err(invalid(
                "When Export Type is Full Export , Incremental Export Specification should not be provided",
            )),
            (None, Some("INCREMENTAL_EXPORT")) => {
                Err(invalid("Incremental Export Specification expected when export type is set as Incremental Export"))
            }
            (None, _) => Ok(ExportScope::Full { time_ms: self.export_time.map(|time| time.millis) }),
        }
    }
}

impl IncrementalInput {
    fn scope(&self, now_ms: u64, span_min: Duration) -> Result<ExportScope, ServiceError> {
        let from_ms = self
            .export_from_time
            .ok_or_else(|| invalid("ExportFromTime must be provided in IncrementalExportSpecification"))?
            .millis;
        let to_ms = self.export_to_time.map(|time| time.millis);
        check_span(from_ms, to_ms, now_ms, span_min)?;
        let view = match self.export_view_type.as_deref() {
            Some("NEW_IMAGE") => ExportView::NewImage,
            _ => ExportView::NewAndOldImages,
        };
        Ok(ExportScope::Incremental { from_ms, to_ms, view })
    }
}

fn check_span(from_ms: u64, to_ms: Option<u64>, now_ms: u64, span_min: Duration) -> Result<(), ServiceError> {
    if let Some(to_ms) = to_ms.filter(|to_ms| *to_ms > now_ms) {
        return Err(errors::export_span_in_the_future(to_ms));
    }
    let to_ms = to_ms.unwrap_or(now_ms);
    if to_ms.checked_sub(from_ms).is_none_or(|span_ms| span_ms == 0) {
        return Err(errors::invalid_export_span(
            "Incremental export period from time should not be greater or equal to incremental export period to time",
        ));
    }
    let span = Duration::from_millis(to_ms - from_ms);
    let difference = "Difference between export period from time and export period to time is";
    if span < span_min {
        let minutes = span_min.as_secs() / 60;
        return Err(errors::invalid_export_span(format!("{difference} less than {minutes} minutes")));
    }
    if span > SPAN_MAX {
        return Err(errors::invalid_export_span(format!("{difference} greater than 24 hours")));
    }
    Ok(())
}

fn invalid(what: &str) -> ServiceError {
    ServiceError::validation(format!("Invalid Request: {what}"))
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
